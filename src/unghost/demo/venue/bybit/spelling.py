"""How Bybit spells sides, legs, states and who caused a fill."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from unghost.demo.world import FillKind, Order, OrderState, OrderType, PositionSide, Side

LAUNCHED_MS: Final = 1_585_526_400_000
INDEX_OF_LEG: Final[Mapping[PositionSide, int]] = {
    PositionSide.BOTH: 0,
    PositionSide.LONG: 1,
    PositionSide.SHORT: 2,
}
SIDE_NAMES: Final[Mapping[Side, str]] = {Side.BUY: "Buy", Side.SELL: "Sell"}


def direction(quantity: Decimal) -> str:
    """The side of a signed position; an empty one has none, in either mode."""
    return "Buy" if quantity > 0 else ("Sell" if quantity < 0 else "")


EXEC_TYPES: Final[Mapping[FillKind, str]] = {
    FillKind.TRADE: "Trade",
    FillKind.LIQUIDATION: "BustTrade",
    FillKind.ADL: "AdlTrade",
    FillKind.SETTLEMENT: "Settle",
}
CREATE_TYPES: Final[Mapping[FillKind, str]] = {
    FillKind.TRADE: "CreateByUser",
    FillKind.LIQUIDATION: "CreateByLiq",
    FillKind.ADL: "CreateByAdl_PassThrough",
    FillKind.SETTLEMENT: "CreateBySettle",
}
FUNDING: Final = "Funding"


def execution_id(number: int) -> str:
    """The id of an execution: the world's number of it, in the form of a UUID."""
    return str(UUID(int=number))


STATES: Final[Mapping[OrderState, str]] = {
    OrderState.NEW: "New",
    OrderState.PARTIALLY_FILLED: "PartiallyFilled",
    OrderState.FILLED: "Filled",
    OrderState.CANCELED: "Cancelled",
    OrderState.EXPIRED: "Cancelled",
}


def order_type(order: Order) -> str:
    """A forced order is a limit order here."""
    is_limit = order.type is OrderType.LIMIT or order.kind is not FillKind.TRADE
    return "Limit" if is_limit else "Market"
