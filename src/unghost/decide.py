"""Stage 3: what happens to each ghost, from evidence and rules alone.

Pure: no I/O, no clock, no ids made up. The invariants that hold here and in the stages around it,
by the numbers used in the property tests and in ARCHITECTURE.md:

1. Same evidence and settings, same decisions, in any input order.
2. Less evidence never means more repair.
3. Closed by us never exceeds closed by the exchange, plus dust (conservation); on spot, plus the
   fees that the exchange took in the asset itself.
4. Same lifecycle, same close order: same order_id, always.
5. Apply, then apply again: nothing new. Apply, then detect: what was applied is closed.
6. Apply, rollback, reinstate, rollback: only `status`, `updated_at`, `reverted_at` ever differ.
7. A dry run leaves `orders` untouched; it holds exactly what an apply on the same state writes.
8. No write while any gate is closed or unknown; audit rows and written rows always agree.
9. A crash at any statement loses nothing and doubles nothing; the next cycle converges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_DOWN, Decimal, localcontext
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _json_text
from typing import Any

from unghost import rowfacts
from unghost.account import ORDERS_SHOWN, Account, market_account
from unghost.allocate import Allocation, LegAllocation, allocate
from unghost.collector import collector_paused
from unghost.gates import (
    Case,
    ask_market,
    first_closed,
    new_case,
    new_result,
    pass_gates,
    plain,
    show_key,
    unusable_fills,
)
from unghost.ids import DUST_ORDER, order_id_at, stamp_of, to_milliseconds
from unghost.makers import maker
from unghost.model import (
    Attribution,
    Candidate,
    Claim,
    Evidence,
    GateResult,
    GateVerdict,
    LedgerRow,
    Lifecycle,
    Money,
    PauseReading,
    PositionSide,
    Reason,
    Refusal,
    Rules,
    Ruling,
    is_amount,
)
from unghost.quantities import PRECISION, dust_threshold, last_place, rounded

ZERO, _ONE = Decimal(0), Decimal(1)

# Looked up once: each lifecycle is asked, and a member costs more through its class.
_OPEN, _FILL_EVIDENCE = GateVerdict.OPEN, Reason.FILL_EVIDENCE

_new_candidate = maker(Candidate)
_new_ruling = maker(Ruling)


def decide(
    evidences: Iterable[Evidence], *, pause: PauseReading, rules: Rules, now: datetime
) -> tuple[Ruling, ...]:
    """Rule on every open lifecycle of the profile, in the order of the keys.

    Candidates may still be refused by what exists already (`confront`), by the plan (`pin`) and by
    the row limit (`limit`), in that order.
    """
    with localcontext(prec=PRECISION), collector_paused():
        rulings = [
            ruling
            for evidence in evidences
            for ruling in _decide_market(evidence, pause=pause, rules=rules, now=now)
        ]
    return tuple(sorted(rulings, key=_place))


def _place(ruling: Ruling) -> tuple[str, str, str]:
    """The order of the keys; as a tuple, which is compared three times as fast as a key."""
    key = ruling.lifecycle.key
    return key.profile_id, key.symbol, key.trade_id


def _decide_market(
    evidence: Evidence, *, pause: PauseReading, rules: Rules, now: datetime
) -> list[Ruling]:
    allocation = allocate(evidence, rules)
    unusable = unusable_fills(evidence)
    cases = [
        new_case(
            lifecycle=lifecycle,
            evidence=evidence,
            pause=pause,
            direction=direction,
            rules=rules,
            now=now,
            unusable_fills=unusable,
        )
        for lifecycle, direction in allocation.sided
        if lifecycle.key.profile_id == evidence.profile_id
    ]
    if not cases:
        return []
    known, common = ask_market(cases[0]), market_account(evidence)
    told: dict[GateResult, dict[str, Any]] = {}
    return [_rule(case, pass_gates(case, known), allocation, common, told) for case in cases]


def _rule(
    case: Case,
    gates: tuple[GateResult, ...],
    allocation: Allocation,
    common: Mapping[str, Any],
    told: dict[GateResult, dict[str, Any]],
) -> Ruling:
    closed = first_closed(gates)
    if closed is not None or case.direction is None:
        refusals: tuple[Refusal, ...] = (_gate_refusal(case, closed),)
        candidates: tuple[Candidate, ...] = ()
    else:
        claims = allocation.claims_of(case.lifecycle.key)
        leg = allocation.leg(case.direction)
        candidates, refusals = _close(case, case.direction, claims, leg)
        gates = (*gates, _supported(case, claims, refusals), _ids_unique(candidates))
    return _new_ruling(
        lifecycle=case.lifecycle,
        gates=gates,
        candidates=candidates,
        refusals=refusals,
        evidence=Account(
            common, case, gates, allocation, most=ORDERS_SHOWN if refusals else 0, told=told
        ),
    )


def _gate_refusal(case: Case, closed: GateResult | None) -> Refusal:
    if closed is None or closed.reason is None:
        return _refusal(case, Reason.INVALID_LEDGER_ROW, case.lifecycle.open_qty, "no direction")
    detail = closed.detail or closed.value
    return _refusal(case, closed.reason, case.lifecycle.open_qty, detail)


def _refusal(case: Case, reason: Reason, quantity: Decimal, detail: str) -> Refusal:
    """Quantity in base units; the refusal holds units of the ledger."""
    return Refusal(
        reason=reason,
        quantity=quantity / case.evidence.ledger_unit,
        sentence=f"{show_key(case.lifecycle.key)}: {detail}",
    )


# --- closing one lifecycle ---------------------------------------------------------------------


def _close(
    case: Case, direction: PositionSide, claims: Sequence[Claim], leg: LegAllocation
) -> tuple[tuple[Candidate, ...], tuple[Refusal, ...]]:
    """Evidence-covered quantity always; the remainder only as dust (checklist section 4)."""
    held = [(claim, _ledger_quantity(claim.quantity, case)) for claim in claims]
    claimed = [one for one in held if one[1] > ZERO]
    covered = sum([quantity for _, quantity in claimed], ZERO) * case.evidence.ledger_unit
    remainder = case.lifecycle.open_qty - covered
    if remainder <= ZERO:
        return tuple([_from_claim(case, direction, *one, remainder) for one in claimed]), ()
    small = dust_threshold(case.lifecycle.open_qty, case.rules)
    is_dust = remainder <= small
    kept = ZERO if is_dust else _kept_as_fee(case, claims, leg)
    is_fee = remainder <= small + kept and kept > 0
    left = ZERO if is_dust or is_fee else remainder
    drafts = [_from_claim(case, direction, claim, qty, left) for claim, qty in claimed]
    refusals = [_uncovered(case, leg, left, kept)] if left > 0 else []
    if is_dust or is_fee:
        dust = _dust(case, direction, claims, remainder, kept)
        drafts += dust
        refusals += [] if dust else [_unwritable(case, remainder)]
    return tuple(drafts), tuple(refusals)


def _kept_as_fee(case: Case, claims: Sequence[Claim], leg: LegAllocation) -> Decimal:
    """What went as fees in the asset itself: it was booked as bought, and no order sold it."""
    market = case.evidence.market
    if market is None or not market.spot:
        return ZERO
    sold = (fee for claim in claims for fee in claim.fees or () if fee.currency == market.base)
    paid = sum((max(ZERO, fee.amount) for fee in sold), ZERO)
    return leg.withheld.get(case.lifecycle.key, ZERO) + paid


def _ledger_quantity(quantity: Decimal, case: Case) -> Decimal:
    """Units of the ledger, cut to what its column holds: never more than was proven."""
    unit, scale = case.evidence.ledger_unit, case.rules.quantity_scale
    if scale is None and unit == _ONE:
        return quantity
    return (quantity / unit).quantize(last_place(scale), rounding=ROUND_DOWN).normalize() + ZERO


def _uncovered(case: Case, leg: LegAllocation, remainder: Decimal, kept: Decimal) -> Refusal:
    threshold = dust_threshold(case.lifecycle.open_qty, case.rules)
    if leg.doubts and leg.unclaimed:
        return _refusal(case, Reason.AMBIGUOUS_ATTRIBUTION, remainder, "; ".join(leg.doubts))
    against = (
        f"; {plain(leg.unexplained)} recorded as closed has no fill in the window and counts"
        " against the others"
    )
    orphans = f"; EXIT rows without trade_id hold {plain(leg.orphaned)} and may be its exit"
    return _refusal(
        case,
        Reason.MISSING_FILL_EVIDENCE,
        remainder,
        f"no fill covers {plain(remainder)} of {plain(case.lifecycle.open_qty)},"
        f" more than the dust threshold of {plain(threshold)}"
        f"{_with_fee(kept)}{against if leg.unexplained > 0 else ''}"
        f"{orphans if leg.orphaned > 0 else ''}",
    )


def _with_fee(kept: Decimal) -> str:
    return f" and the {plain(kept)} that fees took of the asset itself" if kept else ""


def _unwritable(case: Case, remainder: Decimal) -> Refusal:
    """What is not written is told, however little it is."""
    return _refusal(
        case,
        Reason.INVALID_LEDGER_ROW,
        remainder,
        f"a remainder of {plain(remainder)} is dust, but no fill and no ENTRY row gives it a price,"
        " or the ledger's column cannot hold so little",
    )


def _from_claim(
    case: Case, direction: PositionSide, claim: Claim, quantity: Decimal, left: Decimal
) -> Candidate:
    order = claim.order
    return _candidate(
        case,
        direction,
        exchange_order_id=order.exchange_order_id,
        client_order_id=order.client_order_id,
        quantity=quantity,
        price=order.price,
        fees=claim.fees,
        filled_at=order.last_fill_at,
        left=left,
        reason=_FILL_EVIDENCE,
        attribution=claim.attribution,
        evidence_digest=order.digest,
    )


def _dust(
    case: Case,
    direction: PositionSide,
    claims: Sequence[Claim],
    remainder: Decimal,
    kept: Decimal,
) -> list[Candidate]:
    """The row for what no order closed: dust, or with `kept` above zero a fee in the asset."""
    quantity = _ledger_quantity(remainder, case)
    filled_at = _latest(case.lifecycle, claims)
    price = _vwap_of_claims(claims) or _vwap_of_entries(case.lifecycle)
    if quantity <= 0 or filled_at is None or price is None:
        return []
    digests = [claim.order.digest for claim in claims]
    dust = _candidate(
        case,
        direction,
        exchange_order_id=DUST_ORDER,
        client_order_id=None,
        quantity=quantity,
        price=price,
        fees=(),
        filled_at=filled_at,
        left=ZERO,
        reason=Reason.BASE_FEE_REMAINDER if kept else Reason.DUST_REMAINDER,
        attribution=Attribution.BASE_FEE if kept else Attribution.DUST,
        evidence_digest=",".join([*digests, f"fee {plain(kept)}"] if kept else digests),
    )
    return [dust]


def _latest(lifecycle: Lifecycle, claims: Sequence[Claim]) -> datetime | None:
    """The latest of the lifecycle's filled rows and its claims; never the time of the run."""
    times = [row.at for row in _counted_rows(lifecycle) if row.at is not None]
    return max([*times, *(claim.order.last_fill_at for claim in claims)], default=None)


def _counted_rows(lifecycle: Lifecycle) -> list[LedgerRow]:
    key = lifecycle.key
    return [row for row in lifecycle.rows if rowfacts.is_counted(row) and row.symbol == key.symbol]


def _vwap_of_claims(claims: Sequence[Claim]) -> Decimal | None:
    total = sum((claim.quantity for claim in claims), ZERO)
    cost = sum((claim.quantity * claim.order.price for claim in claims), ZERO)
    return cost / total if total else None


def _vwap_of_entries(lifecycle: Lifecycle) -> Decimal | None:
    """A price of 0 is how many a bot says that it did not know it."""
    priced = [
        (row.quantity, row.price)
        for row in _counted_rows(lifecycle)
        if row.action == rowfacts.ENTRY and row.quantity and row.price and _is_price(row.price)
    ]
    total = sum((quantity for quantity, _ in priced), ZERO)
    cost = sum((quantity * price for quantity, price in priced), ZERO)
    return cost / total if total else None


def _is_price(price: Decimal) -> bool:
    return is_amount(price) and price > 0


def _candidate(
    case: Case,
    direction: PositionSide,
    *,
    exchange_order_id: str,
    client_order_id: str | None,
    quantity: Decimal,
    price: Decimal,
    fees: tuple[Money, ...] | None,
    filled_at: datetime,
    left: Decimal,
    reason: Reason,
    attribution: Attribution,
    evidence_digest: str,
) -> Candidate:
    key, unit = case.lifecycle.key, case.evidence.ledger_unit
    fee, currency = _single_fee(fees)
    side, moment = direction.closing_side, to_milliseconds(filled_at)
    stamp = stamp_of(moment)
    booked, open_qty = rounded(price, case.rules.price_scale), case.lifecycle.open_qty / unit
    basis: Basis = (
        ("symbol", key.symbol),
        ("side", str(side)),
        ("quantity", plain(quantity)),
        ("price", plain(booked)),
        ("fees", _fees_text(fees)),
        ("filled_at", stamp),
        ("open quantity", plain(open_qty)),
        ("attribution", str(attribution)),
        (f"fills of exchange order {exchange_order_id}", evidence_digest),
        *_versions(case.lifecycle.rows),
    )
    return _new_candidate(
        order_id_at(key.profile_id, key.trade_id, exchange_order_id, stamp),
        key,
        exchange_order_id,
        client_order_id,
        side,
        direction,
        quantity=quantity,
        price=booked,
        fee=fee,
        fee_currency=currency,
        fees=fees,
        filled_at=moment,
        open_qty=open_qty,
        remainder_qty=left / unit,
        reason=reason,
        attribution=attribution,
        basis=basis,
        fingerprint=fingerprint(basis),
    )


def _single_fee(fees: tuple[Money, ...] | None) -> tuple[Decimal | None, str | None]:
    """One currency is booked; several stay apart in the evidence; unknown stays NULL."""
    if fees is None or len(fees) != 1:
        return None, None
    return fees[0].amount, fees[0].currency


# --- fingerprints ------------------------------------------------------------------------------


Basis = tuple[tuple[str, str], ...]
"""Everything a row rests on, by names that a person understands when something has moved."""


def _versions(rows: Sequence[LedgerRow]) -> list[tuple[str, str]]:
    found = [(f"ledger row {row.order_id}", row.version) for row in rows]
    return sorted(found) if len(found) > 1 else found


def _fees_text(fees: tuple[Money, ...] | None) -> str:
    if fees is None:
        return "unknown"
    told = [f"{plain(fee.amount)} {fee.currency}" for fee in fees]
    return " + ".join(told) or "none"


_ESCAPED = bytes([*range(32), *b'"\\', *range(127, 256)])
"""What JSON in ASCII does not write as it is (DEL it does: so rare that it may go the long way)."""


def fingerprint(basis: Basis) -> str:
    """SHA-256 over the canonical JSON of the basis.

    Texts that need no escapes are their own JSON as soon as they are in quotes. So they are joined
    with all quotes and brackets at once, and it is good if the quotes between them are all that is
    in it of what would have been escaped.
    """
    text = '"],["'.join(map('","'.join, basis))
    if text.isascii():
        inner = text.encode()
        if len(inner) - len(inner.translate(None, _ESCAPED)) == 4 * len(basis) - 2:
            return hashlib.sha256(b'[["%b"]]' % inner).hexdigest()
    pairs = [f"[{_json_text(name)},{_json_text(value)}]" for name, value in basis]
    return hashlib.sha256(f"[{','.join(pairs)}]".encode()).hexdigest()


# --- the last two gates, for show --------------------------------------------------------------


def _supported(case: Case, claims: Sequence[Claim], refusals: Sequence[Refusal]) -> GateResult:
    covered = sum([claim.quantity for claim in claims], ZERO)
    refused = refusals[0] if refusals else None
    return new_result(
        name="quantity_supported",
        verdict=GateVerdict.CLOSED if refused else _OPEN,
        value=f"{plain(covered)} of {plain(case.lifecycle.open_qty)} covered by fills",
        source="claims",
        rule="Each unit closed is proven by a fill, or the remainder is dust.",
        as_of=case.evidence.fills.as_of,
        reason=refused.reason if refused else None,
        detail=refused.sentence if refused else "",
    )


def _ids_unique(candidates: Sequence[Candidate]) -> GateResult:
    count = len(candidates)
    ids = {one.order_id for one in candidates} if count > 1 else candidates
    return _uniqueness(count, len(ids))


@lru_cache(maxsize=64)
def _uniqueness(count: int, different: int) -> GateResult:
    unique = different == count
    return GateResult(
        name="order_id_unique",
        verdict=GateVerdict.OPEN if unique else GateVerdict.CLOSED,
        value=f"{count} ids",
        source="md5(profile_id:trade_id:exchange_order_id:filled_at)",
        rule="Each row has one deterministic order_id of its own.",
        reason=None if unique else Reason.ORDER_ID_CONFLICT,
    )
