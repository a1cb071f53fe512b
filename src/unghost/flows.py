"""Fills become what each exchange order opened and closed on each leg. Pure.

Source of the rule: DESIGN section 4, "Only fills that bring the position nearer to zero". What of
these flows the ledger already accounts for is said in `netting`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from operator import attrgetter, eq

from unghost.makers import maker
from unghost.model import (
    Fill,
    Flatness,
    LedgerRow,
    Money,
    PositionReading,
    PositionSide,
    Side,
)

_MOST_DIGITS = 40
"""Of a fill id that counts upwards."""

ZERO = Decimal(0)

# Looked up once: each fill is asked, and a member costs more through its class.
_BUY, _LONG, _SHORT = Side.BUY, PositionSide.LONG, PositionSide.SHORT

FEE_STEP = Decimal("1e-18")
"""Into which the fee of a fill is cut where the fill crosses zero."""

# --- fills to flows ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class FillPart:
    """The part of a fill that opens or closes one leg; a fill that crosses zero has two."""

    fill: Fill
    leg: PositionSide
    closing: bool
    quantity: Decimal

    def share_of(self, amount: Decimal) -> Decimal:
        """What falls to this part of a fee of the whole fill; both parts sum exactly to it.

        The closing part is rounded, since it may be booked: a share without an end would be told
        in as many digits as the arithmetic happens to have.
        """
        if self.quantity == self.fill.quantity:
            return amount
        closed = self.quantity if self.closing else self.fill.quantity - self.quantity
        of_closed = (amount * closed / self.fill.quantity).quantize(FEE_STEP, ROUND_HALF_EVEN)
        return of_closed if self.closing else amount - of_closed


_new_part = maker(FillPart)


def fill_order(fill: Fill) -> tuple[datetime, int, str, str, Side]:
    """Sort key: time, then the exchange's own sequence (ids of one market count upwards).

    A self-trade shares its fill id (FAILURES 9), so order and side come last: no two are equal.
    """
    name = fill.fill_id
    counts = name.isdigit() and name.isascii() and len(name) <= _MOST_DIGITS
    number = int(name) if counts else 0
    return (fill.filled_at, number, name, fill.exchange_order_id, fill.side)


def split(fills: Sequence[Fill], position: PositionReading, *, spot: bool) -> tuple[FillPart, ...]:
    """Say of each fill what it closed and what it opened, oldest first.

    Hedge mode and spot tell by themselves, and so does an exchange that says how much of a fill
    closed. In one-way mode the signed position is replayed backwards from the reading (zero where
    it is flat), because only the position before a fill says whether the fill reduced it. A fill
    that is no execution (quantity 0, NaN) moved nothing.
    """
    ordered = _oldest_first([fill for fill in fills if fill.is_execution])
    replayed = iter([] if spot else _replayed(_untold(ordered), _signed(position)))
    parts: list[FillPart] = []
    for fill in ordered:
        if spot or fill.position_side is not None:
            parts.append(_sided(fill))
        else:
            closed = next(replayed) if fill.closed is None else fill.closed
            _part(parts, fill, closed)
    return tuple(parts)


def _oldest_first(fills: Iterable[Fill]) -> list[Fill]:
    """By `fill_order`, whose dear part is asked for only where times are equal."""
    ordered = sorted(fills, key=attrgetter("filled_at"))
    times = [fill.filled_at for fill in ordered]
    return sorted(ordered, key=fill_order) if any(map(eq, times, times[1:])) else ordered


def _untold(fills: Iterable[Fill]) -> list[Fill]:
    """Those of which only a replay can tell what they closed."""
    return [fill for fill in fills if fill.position_side is None and fill.closed is None]


def _sided(fill: Fill) -> FillPart:
    leg = fill.position_side or _LONG
    return _new_part(
        fill=fill, leg=leg, closing=fill.side is leg.closing_side, quantity=fill.quantity
    )


def _signed(position: PositionReading) -> Decimal:
    if position.flatness is not Flatness.OPEN:
        return ZERO
    return sum((leg.quantity for leg in position.legs if leg.position_side is None), ZERO)


def _replayed(fills: Sequence[Fill], after: Decimal) -> list[Decimal]:
    """What each of the fills, oldest first, closed of the position before it."""
    found: list[Decimal] = []
    for fill in reversed(fills):
        quantity = fill.quantity
        if fill.side is _BUY:
            after -= quantity
            reduced = -after
        else:
            after += quantity
            reduced = after
        most = reduced if reduced < quantity else quantity
        found.append(most if most > ZERO else ZERO)
    found.reverse()
    return found


def _part(parts: list[FillPart], fill: Fill, closed: Decimal) -> None:
    """Add what a fill closed, and then what it opened: the two are of opposite legs."""
    opened_leg, closed_leg = (_LONG, _SHORT) if fill.side is _BUY else (_SHORT, _LONG)
    if closed:
        parts.append(_new_part(fill=fill, leg=closed_leg, closing=True, quantity=closed))
        if closed == fill.quantity:
            return
    rest = fill.quantity - closed
    parts.append(_new_part(fill=fill, leg=opened_leg, closing=False, quantity=rest))


# --- flows of one order ------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class OrderFlow:
    """One exchange order on one leg, closing or opening, while ledger rows are set against it."""

    leg: PositionSide
    closing: bool
    side: Side
    exchange_order_id: str
    client_order_id: str | None
    names: tuple[str, ...]
    """The ids that it has, without blanks."""
    parts: tuple[FillPart, ...]
    first_at: datetime
    """Time of the first fill."""
    last_at: datetime
    """Time of the last fill."""
    filled: Decimal
    rest: Decimal
    """What no ledger row accounts for yet; `take` keeps it."""
    accounted: Decimal = ZERO
    accounted_by: list[LedgerRow] = field(default_factory=list)
    base: str | None = None
    """On spot the asset itself: a fee taken in it shortens what was held."""
    linked: dict[str, Decimal] = field(default_factory=dict)
    """What each ledger row (by order_id) that names the order has of it."""

    @property
    def is_hedged(self) -> bool:
        """Whether the exchange itself told the leg."""
        fill = self.parts[0].fill
        return fill.position_side is not None or fill.closed is not None

    def take(self, row: LedgerRow, quantity: Decimal) -> Decimal:
        """Account up to `quantity` of the row to this order; return what was taken."""
        taken = self.rest if self.rest < quantity else quantity
        self.accounted += taken
        rest = self.filled - self.accounted
        self.rest = rest if rest > ZERO else ZERO
        self.accounted_by.append(row)
        return taken

    def price(self) -> Decimal:
        """Volume-weighted average of the parts."""
        cost = ZERO
        for part in self.parts:
            cost += part.quantity * part.fill.price
        return cost / self.filled

    def fees(self) -> tuple[Money, ...] | None:
        """Fees of the parts per currency; None when the exchange left one of them out."""
        totals: dict[str, Decimal] = {}
        for part in self.parts:
            told = part.fill.fees
            if told is None:
                return None
            for fee in told:
                paid = totals.get(fee.currency, ZERO)
                totals[fee.currency] = paid + part.share_of(fee.amount)
        names = sorted(totals) if len(totals) > 1 else totals
        return tuple([new_money(currency=name, amount=totals[name]) for name in names])

    def base_fee(self) -> Decimal:
        """The fee taken in the asset itself; zero where none is told, or a rebate."""
        if self.base is None:
            return ZERO
        told = (fee.amount for fee in self.fees() or () if fee.currency == self.base)
        return max(ZERO, sum(told, ZERO))

    def kept(self) -> Decimal:
        """How much of what ledger rows have of the order the exchange kept as a fee in the asset.

        A ledger that books a buy less its fee has none of the fee, and none is taken off twice.
        """
        fee = self.base_fee()
        if not fee:
            return ZERO
        if self.closing:
            return fee * self.accounted / self.filled
        return max(ZERO, min(fee, self.accounted - (self.filled - fee)))

    def digest(self) -> str:
        """Changes when a fill of the order, or a row that accounts for it, changes."""
        parts = [(part.fill, part.quantity) for part in self.parts]
        lines = [f"{fill.fill_id}|{fill.digest}|{quantity!s}" for fill, quantity in parts]
        if self.accounted_by:
            lines += sorted([f"{row.order_id}|{row.version}" for row in self.accounted_by])
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


new_money = maker(Money)
_new_flow = maker(OrderFlow)


def flows(parts: Sequence[FillPart], *, base: str | None = None) -> tuple[OrderFlow, ...]:
    """Sum the parts (as `split` orders them) of each order on each leg, by their first fill.

    `base` is the asset that a spot market holds, None elsewhere.
    """
    groups: dict[tuple[str, PositionSide, bool], list[FillPart]] = defaultdict(list)
    for part in parts:
        groups[part.fill.exchange_order_id, part.leg, part.closing].append(part)
    return tuple([_flow(group, base) for group in groups.values()])


def _flow(parts: Sequence[FillPart], base: str | None) -> OrderFlow:
    first, fill, filled = parts[0], parts[0].fill, ZERO
    client: str | None = None
    for part in parts:
        filled += part.quantity
        client = client or part.fill.client_order_id or None  # Not every fill of an order tells it.
    return _new_flow(
        leg=first.leg,
        closing=first.closing,
        side=fill.side,
        exchange_order_id=fill.exchange_order_id,
        client_order_id=client,
        names=_names(fill.exchange_order_id, client),
        parts=tuple(parts),
        first_at=fill.filled_at,
        last_at=parts[-1].fill.filled_at,
        filled=filled,
        rest=filled if filled > ZERO else ZERO,
        base=base,
    )


def _names(order_id: str, client: str | None) -> tuple[str, ...]:
    if client is None or client == order_id:
        return (order_id,) if order_id else ()
    return (order_id, client) if order_id else (client,)
