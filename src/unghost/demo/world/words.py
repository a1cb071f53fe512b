"""The words of the simulated exchange: sides, legs, kinds and states."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import ConfigDict

ZERO = Decimal(0)
STRICT = ConfigDict(extra="forbid")


class Side(StrEnum):
    """The direction of an order or fill."""

    BUY = "buy"
    SELL = "sell"


class PositionSide(StrEnum):
    """The leg a fill belongs to: BOTH in one-way mode, LONG or SHORT in hedge mode."""

    BOTH = "both"
    LONG = "long"
    SHORT = "short"


class PositionMode(StrEnum):
    """How an account keeps positions of one symbol."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class FillKind(StrEnum):
    """Who caused a fill: the user's order, a liquidation, auto-deleveraging or a delisting."""

    TRADE = "trade"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"


class OrderType(StrEnum):
    """The kind of an order."""

    MARKET = "market"
    LIMIT = "limit"


class OrderState(StrEnum):
    """Where an order stands; `filled` and `partially_filled` follow from its fills."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
