"""Fills become what each exchange order opened and closed on each leg. Pure.

Source of the rule: DESIGN section 4, "Only fills that bring the position nearer to zero". What of
these flows the ledger already accounts for is said in `netting`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
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

_MOST_DIGITS = 40
"""Of a fill id that counts upwards."""

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
    ordered = sorted([fill for fill in fills if fill.is_execution], key=fill_order)
    untold = [] if spot else [fill for fill in ordered if _leaves_untold(fill)]
    replayed = iter(_replayed(untold, _signed(position)))
    parts: list[FillPart] = []
    for fill in ordered:
        if spot or fill.position_side is not None:
            parts.append(_sided(fill))
        else:
            closed = next(replayed) if fill.closed is None else fill.closed
            parts += _parts(fill, closed)
    return tuple(parts)


def _leaves_untold(fill: Fill) -> bool:
    """Whether only a replay can tell what it closed."""
    return fill.position_side is None and fill.closed is None


def _sided(fill: Fill) -> FillPart:
    leg = fill.position_side or PositionSide.LONG
    return FillPart(
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
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        before = after - signed
        closed = min(abs(signed), abs(before)) if signed * before < 0 else ZERO
        found.append(closed)
        after = before
    found.reverse()
    return found


def _parts(fill: Fill, closed: Decimal) -> list[FillPart]:
    """What a fill closed, and then what it opened: the two are of opposite legs."""
    opened_leg = PositionSide.LONG if fill.side is Side.BUY else PositionSide.SHORT
    if not closed:
        return [FillPart(fill=fill, leg=opened_leg, closing=False, quantity=fill.quantity - closed)]
    parts = [FillPart(fill=fill, leg=opened_leg.opposite, closing=True, quantity=closed)]
    if closed != fill.quantity:
        rest = fill.quantity - closed
        parts.append(FillPart(fill=fill, leg=opened_leg, closing=False, quantity=rest))
    return parts


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
        taken = min(quantity, self.rest)
        self.accounted += taken
        self.rest = max(ZERO, self.filled - self.accounted)
        self.accounted_by.append(row)
        return taken

    def price(self) -> Decimal:
        """Volume-weighted average of the parts."""
        cost = sum([part.quantity * part.fill.price for part in self.parts], ZERO)
        return cost / self.filled

    def fees(self) -> tuple[Money, ...] | None:
        """Fees of the parts per currency; None when the exchange left one of them out."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for part in self.parts:
            if part.fill.fees is None:
                return None
            for fee in part.fill.fees:
                totals[fee.currency] += part.share_of(fee.amount)
        return tuple([Money(currency=name, amount=totals[name]) for name in sorted(totals)])

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
        lines = [f"{part.fill.fill_id}|{part.fill.digest}|{part.quantity}" for part in self.parts]
        lines += sorted(f"{row.order_id}|{row.version}" for row in self.accounted_by)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def flows(parts: Sequence[FillPart], *, base: str | None = None) -> tuple[OrderFlow, ...]:
    """Sum the parts (as `split` orders them) of each order on each leg, by their first fill.

    `base` is the asset that a spot market holds, None elsewhere.
    """
    groups: dict[tuple[str, Side, PositionSide, bool], list[FillPart]] = defaultdict(list)
    for part in parts:
        key = (part.fill.exchange_order_id, part.fill.side, part.leg, part.closing)
        groups[key].append(part)
    return tuple([_flow(group, base) for group in groups.values()])


def _flow(parts: Sequence[FillPart], base: str | None) -> OrderFlow:
    part, fill = parts[0], parts[0].fill
    filled = sum([part.quantity for part in parts], ZERO)
    client = next(filter(None, [part.fill.client_order_id for part in parts]), None)
    ids = dict.fromkeys((fill.exchange_order_id, client))
    return OrderFlow(
        leg=part.leg,
        closing=part.closing,
        side=fill.side,
        exchange_order_id=fill.exchange_order_id,
        client_order_id=client,
        names=tuple([name for name in ids if name]),
        parts=tuple(parts),
        first_at=fill.filled_at,
        last_at=parts[-1].fill.filled_at,
        filled=filled,
        rest=max(ZERO, filled),
        base=base,
    )
