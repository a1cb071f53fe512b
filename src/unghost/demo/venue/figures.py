"""Figures as every exchange tells them: decimals spelt out, and positions valued at the mark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from unghost.demo.world import ZERO, Fill, Market, Position, World

LEVERAGE: Final = 20
MAINTENANCE_RATE: Final = Decimal("0.005")


def plain(value: Decimal) -> str:
    """A decimal without exponent, as it is."""
    return format(value, "f")


def stepped(value: Decimal, step: Decimal) -> str:
    """Padded to the step's places where the value fits the step; never rounded."""
    padded = value.quantize(step)
    return plain(padded if padded == value else value)


def short(value: Decimal) -> str:
    """A decimal without exponent and without zeros at its end."""
    return plain(value.normalize()) if value else "0"


def money(value: Decimal) -> str:
    """An amount of an asset, eight places."""
    return plain(value.quantize(Decimal("0.00000001")))


def places(step: Decimal) -> int:
    """The decimal places of a step."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def quantity_of(fills: Iterable[Fill]) -> Decimal:
    """What fills come to, in base units."""
    return sum((fill.quantity for fill in fills), ZERO)


def cost_of(fills: Iterable[Fill]) -> Decimal:
    """What fills come to, in quote."""
    return sum((fill.quantity * fill.price for fill in fills), ZERO)


@dataclass(frozen=True, kw_only=True)
class Valued:
    """A leg at the mark price, in quote; all zero where nothing is held."""

    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    notional: Decimal
    profit: Decimal
    margin: Decimal
    maintenance: Decimal
    updated_at: int


def valued(world: World, market: Market, position: Position | None) -> Valued:
    """What a leg of a market is worth now; None is a leg without a position."""
    mark = world.last_price(market.symbol)
    quantity = position.quantity if position else ZERO
    entry = position.entry_price if position else ZERO
    notional = quantity * mark
    return Valued(
        quantity=quantity,
        entry_price=entry,
        mark_price=mark,
        notional=notional,
        profit=quantity * (mark - entry),
        margin=abs(notional) / LEVERAGE,
        maintenance=abs(notional) * MAINTENANCE_RATE,
        updated_at=position.updated_at if position else 0,
    )
