"""The ledger of a correct bot, and what may happen to it: losses and faults, each with a target.

A fault is a value, so that a world can be told without one of them. Applying a fault whose target
is gone does nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from tests.core.builders import row
from tests.worlds.truth import ZERO, Deed, History, Trade

from unghost.model import LedgerRow

DUST = Decimal("0.0004")
HALF_AN_HOUR = timedelta(minutes=30)


class Fault(StrEnum):
    """What befalls a row, a trade or a market. The words are those of the figures."""

    LOST = "EXIT row lost"
    SHORT = "EXIT row short"
    PARTIAL = "EXIT row of the first part of an order"
    INTENDED = "EXIT row stayed an intention that names its order"
    ORPHAN = "EXIT row without trade_id"
    LATE = "EXIT row stamped late"
    UNLINKED = "EXIT row without ids"
    LATE_UNLINKED = "EXIT row stamped late, without ids"
    SIDELESS = "EXIT row without a side"
    DUST_EXIT = "EXIT row short by dust"
    BAD = "EXIT row without a quantity"
    ENTRY_UNLINKED = "ENTRY row without ids"
    OVERSTATED = "ENTRY row of twice what was filled"
    DUST_ENTRY = "ENTRY row too large by dust"
    PENDING = "a row still pending"
    NEVER_FILLED = "ENTRY row of an order that never filled"
    INCOMPLETE = "fills cut short"
    OPEN_BEFORE = "position open at the first reading"
    UNKNOWN_AFTER = "second position reading failed"


EXIT_FAULTS = (
    *[Fault.LOST] * 6,
    Fault.SHORT,
    Fault.PARTIAL,
    *[Fault.INTENDED] * 2,
    Fault.ORPHAN,
    Fault.LATE,
    Fault.UNLINKED,
    Fault.LATE_UNLINKED,
    Fault.SIDELESS,
    Fault.DUST_EXIT,
    Fault.BAD,
)
MILD_EXIT_FAULTS = (*[Fault.LOST] * 6, Fault.SHORT, Fault.PARTIAL, Fault.INTENDED, Fault.SIDELESS)
ENTRY_FAULTS = (*[Fault.ENTRY_UNLINKED] * 3, Fault.OVERSTATED, *[Fault.DUST_ENTRY] * 2)
TRADE_FAULTS = (Fault.PENDING, Fault.NEVER_FILLED, Fault.NEVER_FILLED)
MARKET_FAULTS = (Fault.INCOMPLETE, Fault.OPEN_BEFORE, Fault.UNKNOWN_AFTER)


@dataclass(frozen=True, kw_only=True, order=True)
class Mishap:
    """A fault and what it hits: (order, trade) for rows, (trade) for trades, a symbol else."""

    fault: Fault
    target: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Booking:
    """One row, and the deed that it stands for; None for a row that nothing was done for."""

    row: LedgerRow
    deed: Deed | None


def correct(history: History, *, link: str) -> list[Booking]:
    """What a correct bot writes: one row for each order and trade, by the ids that `link` names."""
    found = []
    for deed in history.deeds:
        trade = history.trade_of[deed.trade]
        if trade.profile is not None:
            found.append(Booking(row=_row(history, deed, trade, link), deed=deed))
    return found


def _row(history: History, deed: Deed, trade: Trade, link: str) -> LedgerRow:
    order = history.order_of[deed.order]
    alone = len(history.deeds_of[order.name]) == 1
    by_name = link == "order_id" and alone
    by_client = link == "cid" and order.client is not None
    ids = {"cid": order.client} if by_client else {"xid": order.name}
    return row(
        order.name if by_name else f"{deed.order}.{deed.trade}.{'in' if deed.opens else 'out'}",
        "ENTRY" if deed.opens else "EXIT",
        deed.quantity,
        order.times[-1] / 1000,
        trade=trade.trade_id,
        profile=trade.profile or "",
        symbol=trade.symbol,
        side=trade.leg.opening_side if deed.opens else trade.leg.closing_side,
        price=str(order.prices[0]),
        created=order.times[0] / 1000,
        **({} if by_name else ids),
    )


# --- mishaps -----------------------------------------------------------------------------------


def happen(
    bookings: Iterable[Booking], mishaps: Iterable[Mishap], history: History
) -> tuple[Booking, ...]:
    """The ledger that is left. A row suffers one fault at most: the first that is told of it."""
    by_row: dict[tuple[str, ...], Fault] = {}
    by_trade: dict[str, list[Fault]] = defaultdict(list)
    for mishap in mishaps:
        if len(mishap.target) == 2:
            by_row.setdefault(mishap.target, mishap.fault)
        else:
            by_trade[mishap.target[0]].append(mishap.fault)
    found: list[Booking] = []
    for one in bookings:
        if one.deed is None:
            continue
        fault = by_row.get((one.deed.order, one.deed.trade))
        found += [one] if fault is None else _ROW_FAULTS[fault](one)
        if one.deed.opens:
            found += _beside(one, by_trade.pop(one.deed.trade, []))
    return tuple(found)


def _with(one: Booking, **changes) -> list[Booking]:
    return [replace(one, row=_stamped(replace(one.row, **changes)))]


def _stamped(found: LedgerRow) -> LedgerRow:
    """Another content is another version."""
    return replace(found, version=hashlib.sha256(repr(found).encode()).hexdigest())


def _quantity(one: Booking) -> Decimal:
    return one.row.quantity or ZERO


def _late(one: Booking, **changes) -> list[Booking]:
    stamp = one.row.at
    return _with(
        one,
        filled_at=None,
        created_at=None if stamp is None else stamp + HALF_AN_HOUR,
        **changes,
    )


def _anonymous(one: Booking) -> dict[str, str | None]:
    """A row without any id of the exchange; its own id must not be one either."""
    deed = one.deed
    name = f"own-{deed.order}-{deed.trade}" if deed else one.row.order_id
    return {"order_id": name, "exchange_order_id": None, "client_order_id": None}


_ROW_FAULTS: dict[Fault, Callable[[Booking], list[Booking]]] = {
    Fault.LOST: lambda one: [],
    Fault.SHORT: lambda one: _with(one, quantity=_quantity(one) / 2),
    Fault.PARTIAL: lambda one: _with(one, quantity=_quantity(one) / 4, status="partially_filled"),
    Fault.INTENDED: lambda one: _with(one, quantity=ZERO, status="canceled"),
    Fault.ORPHAN: lambda one: _with(one, trade_id=None),
    Fault.LATE: _late,
    Fault.UNLINKED: lambda one: _with(one, **_anonymous(one)),
    Fault.LATE_UNLINKED: lambda one: _late(one, **_anonymous(one)),
    Fault.SIDELESS: lambda one: _with(one, side=None),
    Fault.DUST_EXIT: lambda one: _with(one, quantity=max(_quantity(one) - DUST, DUST)),
    Fault.BAD: lambda one: _with(one, quantity=None),
    Fault.ENTRY_UNLINKED: lambda one: _with(one, **_anonymous(one)),
    Fault.OVERSTATED: lambda one: _with(one, quantity=_quantity(one) * 2),
    Fault.DUST_ENTRY: lambda one: _with(one, quantity=_quantity(one) + DUST),
}


def _beside(one: Booking, faults: list[Fault]) -> list[Booking]:
    """Rows that stand beside the first ENTRY of a trade."""
    found = []
    for fault in faults:
        changes = _BESIDE.get(fault)
        if changes is not None:
            name = f"{one.row.order_id}-{fault.name.lower()}"
            ids = {"exchange_order_id": None, "client_order_id": None}
            changed = replace(one.row, order_id=name, **(ids | changes(one.row)))
            found.append(Booking(row=_stamped(changed), deed=None))
    return found


_BESIDE: dict[Fault, Callable[[LedgerRow], dict]] = {
    Fault.PENDING: lambda found: {"status": "new", "action": "EXIT"},
    Fault.NEVER_FILLED: lambda found: {
        "trade_id": f"{found.trade_id}-never",
        "exchange_order_id": f"never-{found.trade_id}",
    },
}


# --- which mishaps -----------------------------------------------------------------------------


def mishaps(rng: random.Random, history: History, *, mild: bool) -> tuple[Mishap, ...]:
    """Draw them. Mild ones only make ghosts; the others also make doubt."""
    exit_faults = MILD_EXIT_FAULTS if mild else EXIT_FAULTS
    often = rng.choice([15, 40, 70])
    found = []
    for deed in history.deeds:
        target = (deed.order, deed.trade)
        if not deed.opens and rng.randrange(100) < often:
            found.append(Mishap(fault=rng.choice(exit_faults), target=target))
        elif deed.opens and not mild and rng.randrange(100) < 8:
            found.append(Mishap(fault=rng.choice(ENTRY_FAULTS), target=target))
    found += [
        Mishap(fault=rng.choice(TRADE_FAULTS), target=(trade.trade_id,))
        for trade in history.trades
        if not mild and rng.randrange(100) < 6
    ]
    found += [
        Mishap(fault=rng.choice(MARKET_FAULTS), target=(symbol,))
        for symbol in sorted({one.symbol for one in history.trades})
        if rng.randrange(100) < 6
    ]
    return tuple(found)
