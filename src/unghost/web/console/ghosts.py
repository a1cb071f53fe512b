"""The open lifecycles of a profile as its page lists them: with exposure and the last decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from unghost import rowfacts
from unghost.adapters.postgres.history import LastDecision
from unghost.model import Decision, LedgerRow, Lifecycle, LifecycleKey, Reason, is_amount
from unghost.web.console.scales import ZERO

_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ghost:
    """One open lifecycle. `notional` is what the bot counts for it, at its entry prices."""

    key: LifecycleKey
    direction: str | None
    open_qty: Decimal
    notional: Decimal | None
    currency: str | None
    since: datetime | None
    decision: Decision | None
    reasons: tuple[Reason, ...]


def ghosts(lifecycles: Iterable[Lifecycle], decisions: Iterable[LastDecision]) -> tuple[Ghost, ...]:
    """Every open lifecycle beside what was last decided on it."""
    decided: dict[tuple[str, str], list[LastDecision]] = defaultdict(list)
    for one in decisions:
        decided[one.symbol, one.trade_id].append(one)
    return tuple(_ghost(one, decided[one.key.symbol, one.key.trade_id]) for one in lifecycles)


def _ghost(lifecycle: Lifecycle, decided: Sequence[LastDecision]) -> Ghost:
    unit = decided[0].ledger_unit if decided else Decimal(1)
    return Ghost(
        key=lifecycle.key,
        direction=str(lifecycle.direction) if lifecycle.direction else _first_direction(decided),
        open_qty=lifecycle.open_qty,
        notional=notional(lifecycle, unit),
        currency=_currency(decided),
        since=lifecycle.first_entry_at,
        decision=_worst(decided),
        reasons=tuple(dict.fromkeys(one.reason for one in decided)),
    )


def _first_direction(decided: Sequence[LastDecision]) -> str | None:
    return next((one.direction for one in decided if one.direction), None)


def _currency(decided: Sequence[LastDecision]) -> str | None:
    """The quote of `BASE/QUOTE:SETTLE`."""
    market = next((one.market for one in decided if one.market), None)
    return market.partition("/")[2].partition(":")[0] if market else None


def _worst(decided: Sequence[LastDecision]) -> Decision | None:
    """What stays open is what people look for: NO_GO before any other decision."""
    found = [one.decision for one in decided]
    return Decision.NO_GO if Decision.NO_GO in found else next(iter(found), None)


def notional(lifecycle: Lifecycle, unit: Decimal) -> Decimal | None:
    """Open quantity at the average price of the entries; None where no entry tells a price."""
    parts = [part for row in lifecycle.rows for part in _priced(row)]
    quantity = sum((amount for amount, _ in parts), ZERO)
    if not quantity or not is_amount(lifecycle.open_qty):
        return None
    cost = sum((amount * price for amount, price in parts), ZERO)
    return lifecycle.open_qty * unit * cost / quantity


def _priced(row: LedgerRow) -> Iterator[tuple[Decimal, Decimal]]:
    """Quantity and price of an entry that tells both."""
    amount = rowfacts.usable_quantity(row)
    is_entry = rowfacts.action_of(row) == rowfacts.ENTRY and rowfacts.is_counted(row)
    if is_entry and amount is not None and row.price is not None and is_amount(row.price):
        yield amount, row.price


def exposure(found: Iterable[Ghost]) -> tuple[Decimal, str]:
    """What all of them are counted as, and in which currency; several are only named."""
    found = tuple(found)
    total = sum((one.notional or ZERO for one in found), ZERO)
    currencies = sorted({one.currency for one in found if one.currency})
    return total, "/".join(currencies)


# --- filter and order --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which lifecycles the page shows; empty texts want all of them."""

    q: str = ""
    decision: str = ""
    reason: str = ""

    @property
    def active(self) -> bool:
        """Whether anything is left out."""
        return bool(self.q or self.decision or self.reason)

    def admits(self, ghost: Ghost) -> bool:
        """Whether one lifecycle is wanted."""
        word = self.q.strip().lower()
        named = f"{ghost.key.symbol}\n{ghost.key.trade_id}".lower()
        return (
            word in named
            and self.decision in {"", ghost.decision}
            and (not self.reason or self.reason in ghost.reasons)
        )


SORTS: Final[Mapping[str, Callable[[Ghost], Any]]] = {
    "trade": lambda one: one.key.trade_id,
    "symbol": lambda one: (one.key.symbol, one.key.trade_id),
    "open": lambda one: one.open_qty,
    "notional": lambda one: one.notional if one.notional is not None else Decimal(-1),
    "since": lambda one: one.since or _NEVER,
    "decision": lambda one: (one.decision or "", one.key.symbol, one.key.trade_id),
    "reason": lambda one: (one.reasons, one.key.symbol, one.key.trade_id),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorting:
    """The order of the table, and the addresses that change it."""

    key: str
    down: bool
    path: str
    wanted: Wanted

    def address(self, key: str) -> str:
        """Where a click on a heading leads: its order, or the other way round."""
        turned = key == self.key and not self.down
        query = {"q": self.wanted.q, "decision": self.wanted.decision, "reason": self.wanted.reason}
        chosen = {name: text for name, text in query.items() if text}
        return f"{self.path}?{urlencode({**chosen, 'sort': key, 'down': int(turned)})}"


def arranged(found: Iterable[Ghost], sorting: Sorting) -> tuple[Ghost, ...]:
    """Those that are wanted, in order."""
    wanted = [one for one in found if sorting.wanted.admits(one)]
    return tuple(sorted(wanted, key=SORTS[sorting.key], reverse=sorting.down))
