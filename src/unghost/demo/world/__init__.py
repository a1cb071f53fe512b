"""The simulated exchange's truth: markets, accounts, orders, fills and what follows from them.

The world speaks no exchange's protocol. A face (see `unghost.demo.venue`) puts one on. It shares
no noun with the product on purpose: what the product concludes can then be checked against it.

Quantities and prices are `Decimal` in base and quote units, times are whole milliseconds since
1970 UTC, and positions are signed (below zero is short) and never stored: they are folded from
the fills, unless a test overrides them to script an exchange that contradicts itself.
"""

from unghost.demo.world.clock import Clock, to_ms
from unghost.demo.world.events import Charge, Execution, Override, Part
from unghost.demo.world.fees import MAKER_RATE, TAKER_RATE
from unghost.demo.world.legs import Leg
from unghost.demo.world.markets import DEFAULT_MARKETS, Listing, Market
from unghost.demo.world.records import Account, Fill, Funding, Order, Position
from unghost.demo.world.register import DEFAULT_BALANCES
from unghost.demo.world.state import WorldState
from unghost.demo.world.words import (
    STRICT,
    ZERO,
    FillKind,
    OrderState,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
)
from unghost.demo.world.world import World

__all__ = [
    "DEFAULT_BALANCES",
    "DEFAULT_MARKETS",
    "MAKER_RATE",
    "STRICT",
    "TAKER_RATE",
    "ZERO",
    "Account",
    "Charge",
    "Clock",
    "Execution",
    "Fill",
    "FillKind",
    "Funding",
    "Leg",
    "Listing",
    "Market",
    "Order",
    "OrderState",
    "OrderType",
    "Override",
    "Part",
    "Position",
    "PositionMode",
    "PositionSide",
    "Side",
    "World",
    "WorldState",
    "to_ms",
]
