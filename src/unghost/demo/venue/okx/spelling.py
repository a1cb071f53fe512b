"""How OKX spells quantities, legs, states and who caused a fill."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from unghost.demo.venue.figures import short
from unghost.demo.venue.okx.asking import VENUE
from unghost.demo.world import Fill, FillKind, Market, OrderState, PositionSide, Side


def contracts(market: Market, quantity: Decimal) -> str:
    """A base quantity in contracts."""
    return short(quantity / market.listing(VENUE).contract_size)


LEG_NAMES: Final[Mapping[PositionSide, str]] = {
    PositionSide.BOTH: "net",
    PositionSide.LONG: "long",
    PositionSide.SHORT: "short",
}
_SUBTYPES: Final[Mapping[FillKind, Mapping[str, str]]] = {
    FillKind.TRADE: {"long": "5", "short": "6", "buy": "1", "sell": "2"},
    FillKind.LIQUIDATION: {"long": "104", "short": "105", "buy": "106", "sell": "107"},
    FillKind.ADL: {"long": "125", "short": "126", "buy": "127", "sell": "128"},
    FillKind.SETTLEMENT: {"long": "112", "short": "113", "buy": "113", "sell": "112"},
}
_OPENINGS: Final[Mapping[tuple[PositionSide, Side], str]] = {
    (PositionSide.LONG, Side.BUY): "3",
    (PositionSide.SHORT, Side.SELL): "4",
}


def subtype(fill: Fill) -> str:
    """The exchange's number for what a fill was: who caused it, and what it did to which leg."""
    opening = _OPENINGS.get((fill.position_side, fill.side))
    if opening is not None:
        return opening
    leg = fill.side if fill.position_side is PositionSide.BOTH else fill.position_side
    return _SUBTYPES[fill.kind][leg]


STATES: Final[Mapping[OrderState, str]] = {
    OrderState.NEW: "live",
    OrderState.PARTIALLY_FILLED: "partially_filled",
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "canceled",
}
CATEGORIES: Final[Mapping[FillKind, str]] = {
    FillKind.TRADE: "normal",
    FillKind.LIQUIDATION: "full_liquidation",
    FillKind.ADL: "adl",
    FillKind.SETTLEMENT: "delivery",
}
