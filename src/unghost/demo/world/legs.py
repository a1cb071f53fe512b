"""Positions folded from fills, one leg at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from unghost.demo.world.records import Fill, Position
from unghost.demo.world.words import ZERO, PositionSide


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A position being folded: signed size and average entry, and what the last fill did to it:
    the profit it realised and the size it closed.
    """

    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    realized: Decimal = ZERO
    closed: Decimal = ZERO


def after_fill(leg: Leg, fill: Fill) -> Leg:
    """The leg once `fill` has happened; `realized` is that fill's own profit in quote."""
    delta = fill.signed_quantity
    total = leg.quantity + delta
    if leg.quantity * delta >= 0:
        return Leg(quantity=total, entry_price=_average(leg, fill, total))
    closed = min(abs(leg.quantity), abs(delta))
    direction = 1 if leg.quantity > 0 else -1
    crossed = total * leg.quantity < 0
    return Leg(
        quantity=total,
        entry_price=fill.price if crossed else (leg.entry_price if total else ZERO),
        realized=direction * closed * (fill.price - leg.entry_price),
        closed=closed,
    )


def _average(leg: Leg, fill: Fill, total: Decimal) -> Decimal:
    if not total:
        return ZERO
    cost = abs(leg.quantity) * leg.entry_price + fill.quantity * fill.price
    return cost / abs(total)


def legs_after(fills: Sequence[Fill]) -> Mapping[Fill, Leg]:
    """The leg as each fill of one market left it."""
    now: dict[PositionSide, Leg] = defaultdict(Leg)
    after: dict[Fill, Leg] = {}
    for fill in fills:
        now[fill.position_side] = after[fill] = after_fill(now[fill.position_side], fill)
    return after


def folded(fills: Sequence[Fill]) -> Sequence[Position]:
    """What the fills of one account in one market leave of each leg, also where that is nothing."""
    legs: dict[PositionSide, Leg] = defaultdict(Leg)
    last: dict[PositionSide, Fill] = {}
    for fill in fills:
        legs[fill.position_side] = after_fill(legs[fill.position_side], fill)
        last[fill.position_side] = fill
    return [
        Position(
            account=last[side].account,
            symbol=last[side].symbol,
            position_side=side,
            quantity=leg.quantity,
            entry_price=leg.entry_price,
            updated_at=last[side].at,
        )
        for side, leg in legs.items()
    ]
