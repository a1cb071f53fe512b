"""How much one batch may do, whatever the evidence says: rows, notional, share of what is open.

Ceilings stand between a mistake that nobody has thought of and the books. Rows and notional refuse
a batch whole, dry run or apply. The share asks a person: a dry run tells it, an apply is refused
until somebody has allowed it. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from unghost.gates import plain, show_key
from unghost.model import (
    AuditRow,
    Candidate,
    LifecycleKey,
    Mode,
    Reason,
    Refusal,
    Rules,
    Ruling,
)

__all__ = [
    "ANY_SHARE",
    "SHARE_COUNTS_FROM",
    "Ceiling",
    "Load",
    "limit",
    "load_of",
    "load_of_plan",
    "measure",
    "percent",
    "with_share_allowed",
]

SHARE_COUNTS_FROM = 20
"""Fewer lifecycles are looked through by a person anyway, and a share of few says little."""

ANY_SHARE = Decimal(1)
_HUNDRED = Decimal(100)
_TENTH_OF_A_PERCENT = Decimal("0.001")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceiling:
    """One ceiling with what a batch would reach.

    `allowable`: a person may allow more, case by case, and this is the least that lets the batch
    through, as a fraction of the open lifecycles; None where nobody can.
    """

    name: str
    setting: str
    value: str
    most: str
    exceeded: bool
    allowable: Decimal | None = None

    @property
    def sentence(self) -> str:
        """`notional: 1500000 USDT of at most 1000000`."""
        return f"{self.name}: {self.value} of at most {self.most}"

    @property
    def way_on(self) -> str:
        """What to do about it, where it is exceeded."""
        raised = f"raise {self.setting} if that much is right"
        if self.allowable is None:
            return raised
        return (
            "allow it for this batch (--allow-share, `allow_share` in the API, the box in the"
            f" console), or {raised}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a batch would do. `notional` by quote currency: base units times price."""

    rows: int
    notional: tuple[tuple[str, Decimal], ...]
    closing: int
    open: int


def measure(load: Load, rules: Rules) -> tuple[Ceiling, ...]:
    """Every ceiling beside what the batch would reach."""
    return (_rows(load, rules), _notional(load, rules), _share(load, rules))


def limit(rulings: Sequence[Ruling], rules: Rules) -> tuple[Ruling, ...]:
    """Refuse the whole batch where it would go beyond a ceiling."""
    over = [one for one in measure(load_of(rulings), rules) if one.exceeded and _stops(one, rules)]
    if not over:
        return tuple(rulings)
    why = "; ".join(f"the batch is too large, {one.sentence}: {one.way_on}" for one in over)
    return tuple(_refuse_all(ruling, why) for ruling in rulings)


def _stops(ceiling: Ceiling, rules: Rules) -> bool:
    """A dry run only tells what an apply would have to be allowed."""
    return rules.mode is Mode.APPLY or ceiling.allowable is None


def _refuse_all(ruling: Ruling, why: str) -> Ruling:
    refusals = tuple(
        Refusal(
            reason=Reason.LIMIT_EXCEEDED,
            quantity=one.quantity,
            sentence=f"{show_key(one.key)}: {why}",
            order_id=one.order_id,
        )
        for one in ruling.candidates
    )
    return replace(ruling, candidates=(), refusals=(*ruling.refusals, *refusals))


def with_share_allowed(rules: Rules, share: Decimal = ANY_SHARE) -> Rules:
    """The rules after a person has allowed up to this share, for once; never less than is set."""
    return replace(rules, max_share=max(rules.max_share, share))


# --- the ceilings ------------------------------------------------------------------------------


def _rows(load: Load, rules: Rules) -> Ceiling:
    return Ceiling(
        name="rows",
        setting="RECON_EXIT_BACKFILL_MAX_ROWS",
        value=str(load.rows),
        most=str(rules.max_rows),
        exceeded=load.rows > rules.max_rows,
    )


def _notional(load: Load, rules: Rules) -> Ceiling:
    """Of each quote currency by itself: there is no rate at hand that could be believed."""
    most = rules.max_notional
    told = ", ".join(f"{plain(_whole_cents(amount))} {quote}" for quote, amount in load.notional)
    return Ceiling(
        name="notional",
        setting="RECON_EXIT_BACKFILL_MAX_NOTIONAL",
        value=told or "0",
        most="any" if most is None else f"{plain(most)} of one quote currency",
        exceeded=most is not None and any(amount > most for _, amount in load.notional),
    )


def _share(load: Load, rules: Rules) -> Ceiling:
    counts = load.closing >= SHARE_COUNTS_FROM
    share = _share_of(load)
    return Ceiling(
        name="share",
        setting="RECON_EXIT_BACKFILL_MAX_SHARE",
        value=f"{load.closing} of {load.open} open lifecycles ({percent(share)} %)",
        most=f"{percent(rules.max_share)} % (from {SHARE_COUNTS_FROM} lifecycles on)",
        exceeded=counts and load.closing > rules.max_share * load.open,
        allowable=share,
    )


def _share_of(load: Load) -> Decimal:
    """Rounded up: whoever allows the share that is shown allows the batch that it was shown for."""
    share = Decimal(load.closing) / max(load.open, 1)
    return share.quantize(_TENTH_OF_A_PERCENT, rounding=ROUND_CEILING)


def percent(share: Decimal) -> str:
    """`66.7` for 0.667."""
    return plain(share * _HUNDRED)


def _whole_cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01")) if abs(amount) < Decimal("1E+24") else amount


# --- what a batch would do ---------------------------------------------------------------------


def load_of(rulings: Sequence[Ruling]) -> Load:
    """Of rulings as decided: every one of them is an open lifecycle of the profile."""
    return Load(
        rows=sum(len(ruling.candidates) for ruling in rulings),
        notional=_summed(part for ruling in rulings for part in _parts(ruling)),
        closing=sum(bool(ruling.candidates) for ruling in rulings),
        open=len(rulings),
    )


def _parts(ruling: Ruling) -> Iterator[tuple[str, Decimal]]:
    for one in ruling.candidates:
        yield _quote(ruling.evidence), _worth(one, ruling.evidence)


def _worth(candidate: Candidate, evidence: Mapping[str, object]) -> Decimal:
    return abs(candidate.quantity * candidate.price * _unit(evidence))


def load_of_plan(planned: Iterable[AuditRow], open_now: int) -> Load:
    """Of the rows that a dry run has recorded, beside the lifecycles that are open now."""
    rows = list(planned)
    none = Decimal(0)
    closing = {_key(row) for row in rows}
    return Load(
        rows=len(rows),
        notional=_summed(
            (
                _quote(row.evidence),
                abs((row.filled_qty or none) * (row.price or none) * _unit(row.evidence)),
            )
            for row in rows
        ),
        closing=len(closing),
        open=max(open_now, len(closing)),
    )


def _key(row: AuditRow) -> LifecycleKey:
    return LifecycleKey(profile_id=row.profile_id, symbol=row.symbol, trade_id=row.trade_id)


def _unit(evidence: Mapping[str, object]) -> Decimal:
    """Base units per unit of the ledger."""
    return Decimal(str(evidence.get("ledger_unit", "1")))


def _quote(evidence: Mapping[str, object]) -> str:
    """`USDT` of `BTC/USDT:USDT`."""
    _, _, rest = str(evidence.get("market") or "").partition("/")
    return rest.partition(":")[0] or "of unknown currency"


def _summed(parts: Iterable[tuple[str, Decimal]]) -> tuple[tuple[str, Decimal], ...]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for quote, amount in parts:
        sums[quote] += amount
    return tuple(sorted(sums.items()))
