"""Fills become what each exchange order opened and closed on each leg. Pure.

Source of the rule: DESIGN section 4, "Only fills that bring the position nearer to zero". What of
these flows the ledger already accounts for is said in `netting`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from unghost.model import (
    Fill,
    Flatness,
    LedgerRow,
    Money,
    PositionReading,
    PositionSide,
    Side,
)

_ID_DIGITS = re.compile(r"[0-9]{1,40}")
"""A fill id that counts upwards."""

ZERO = Decimal(0)

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


def fill_order(fill: Fill) -> tuple[datetime, int, str, str, Side]:
    """Sort key: time, then the exchange's own sequence (ids of one market count upwards).

    A self-trade shares its fill id (FAILURES 9), so order and side come last: no two are equal.
    """
    digits = fill.fill_id if _ID_DIGITS.fullmatch(fill.fill_id) else "0"
    return (fill.filled_at, int(digits), fill.fill_id, fill.exchange_order_id, fill.side)


def split(fills: Sequence[Fill], position: PositionReading, *, spot: bool) -> tuple[FillPart, ...]:
    """Say of each fill what it closed and what it opened, oldest first.

    Hedge mode and spot tell by themselves, and so does an exchange that says how much of a fill
    closed. In one-way mode the signed position is replayed backwards from the reading (zero where
    it is flat), because only the position before a fill says whether the fill reduced it. A fill
    that is no execution (quantity 0, NaN) moved nothing.
    """
    fills = [fill for fill in fills if fill.is_execution]
    hedged = [fill for fill in fills if fill.position_side is not None or spot]
    untold = [fill for fill in fills if fill.position_side is None and not spot]
    told = [(fill, fill.closed) for fill in untold if fill.closed is not None]
    one_way = [fill for fill in untold if fill.closed is None]
    parts = [_sided(fill) for fill in hedged]
    parts += [part for fill, closed in told for part in _parts(fill, closed)]
    parts += _replayed(sorted(one_way, key=fill_order), _signed(position))
    return tuple(sorted(parts, key=lambda part: (fill_order(part.fill), not part.closing)))


def _sided(fill: Fill) -> FillPart:
    leg = fill.position_side or PositionSide.LONG
    return FillPart(
        fill=fill, leg=leg, closing=fill.side is leg.closing_side, quantity=fill.quantity
    )


def _signed(position: PositionReading) -> Decimal:
    if position.flatness is not Flatness.OPEN:
        return ZERO
    return sum((leg.quantity for leg in position.legs if leg.position_side is None), ZERO)


def _replayed(fills: Sequence[Fill], after: Decimal) -> list[FillPart]:
    parts: list[FillPart] = []
    for fill in reversed(fills):
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        before = after - signed
        parts += _crossing(fill, signed, before)
        after = before
    return parts


def _crossing(fill: Fill, signed: Decimal, before: Decimal) -> Iterator[FillPart]:
    closed = min(abs(signed), abs(before)) if signed * before < 0 else ZERO
    return _parts(fill, closed)


def _parts(fill: Fill, closed: Decimal) -> Iterator[FillPart]:
    """What a fill closed, and what it opened: the two are of opposite legs."""
    opened_leg = PositionSide.LONG if fill.side is Side.BUY else PositionSide.SHORT
    if closed:
        yield FillPart(fill=fill, leg=opened_leg.opposite, closing=True, quantity=closed)
    if closed != fill.quantity:
        yield FillPart(fill=fill, leg=opened_leg, closing=False, quantity=fill.quantity - closed)


# --- flows of one order ------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class OrderFlow:
    """One exchange order on one leg, closing or opening, while ledger rows are set against it."""

    leg: PositionSide
    closing: bool
    side: Side
    exchange_order_id: str
    client_order_id: str | None
    parts: tuple[FillPart, ...]
    filled: Decimal
    accounted: Decimal = ZERO
    accounted_by: list[LedgerRow] = field(default_factory=list)
    base: str | None = None
    """On spot the asset itself: a fee taken in it shortens what was held."""
    linked: dict[str, Decimal] = field(default_factory=dict)
    """What each ledger row (by order_id) that names the order has of it."""

    @property
    def rest(self) -> Decimal:
        """What no ledger row accounts for yet."""
        return max(ZERO, self.filled - self.accounted)

    @property
    def is_hedged(self) -> bool:
        """Whether the exchange itself told the leg."""
        fill = self.parts[0].fill
        return fill.position_side is not None or fill.closed is not None

    @property
    def first_at(self) -> datetime:
        """Time of the first fill."""
        return self.parts[0].fill.filled_at

    @property
    def last_at(self) -> datetime:
        """Time of the last fill."""
        return self.parts[-1].fill.filled_at

    def take(self, row: LedgerRow, quantity: Decimal) -> Decimal:
        """Account up to `quantity` of the row to this order; return what was taken."""
        taken = min(quantity, self.rest)
        self.accounted += taken
        self.accounted_by.append(row)
        return taken

    def price(self) -> Decimal:
        """Volume-weighted average of the parts."""
        cost = sum((part.quantity * part.fill.price for part in self.parts), ZERO)
        return cost / self.filled

    def fees(self) -> tuple[Money, ...] | None:
        """Fees of the parts per currency; None when the exchange left one of them out."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for part in self.parts:
            if part.fill.fees is None:
                return None
            for fee in part.fill.fees:
                totals[fee.currency] += part.share_of(fee.amount)
        return tuple(Money(currency=name, amount=totals[name]) for name in sorted(totals))

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
        if self.closing:
            return fee * self.accounted / self.filled
        return max(ZERO, min(fee, self.accounted - (self.filled - fee)))

    def digest(self) -> str:
        """Changes when a fill of the order, or a row that accounts for it, changes."""
        lines = [f"{part.fill.fill_id}|{part.fill.digest}|{part.quantity}" for part in self.parts]
        lines += sorted(f"{row.order_id}|{row.version}" for row in self.accounted_by)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def flows(parts: Sequence[FillPart], *, base: str | None = None) -> tuple[OrderFlow, ...]:
    """Sum the parts of each order on each leg, in the order of their first fill.

    `base` is the asset that a spot market holds, None elsewhere.
    """
    groups: dict[tuple[str, Side, PositionSide, bool], list[FillPart]] = defaultdict(list)
    for part in parts:
        key = (part.fill.exchange_order_id, part.fill.side, part.leg, part.closing)
        groups[key].append(part)
    found = [_flow(group, base) for group in groups.values()]
    return tuple(sorted(found, key=lambda flow: (fill_order(flow.parts[0].fill), not flow.closing)))


def _flow(parts: Sequence[FillPart], base: str | None) -> OrderFlow:
    first = parts[0]
    clients = (part.fill.client_order_id for part in parts)
    return OrderFlow(
        leg=first.leg,
        closing=first.closing,
        side=first.fill.side,
        exchange_order_id=first.fill.exchange_order_id,
        client_order_id=next((client for client in clients if client), None),
        parts=tuple(parts),
        filled=sum((part.quantity for part in parts), ZERO),
        base=base,
    )
