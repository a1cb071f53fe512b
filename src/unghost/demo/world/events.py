"""What is made to happen in a world, as its methods take it and as it travels in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from unghost.demo.world.words import STRICT, FillKind, OrderType, PositionSide, Side


@dataclass(frozen=True, kw_only=True)
class Charge:
    """A funding payment to be made, as `World.charge` takes it and as it travels in JSON.

    At a `rate` above zero longs pay and shorts receive. `quantity` is the signed position, by
    default the one held at `at`; `price` is the market's last one by default.
    """

    __pydantic_config__ = STRICT
    account: str
    symbol: str
    rate: Decimal
    quantity: Decimal | None = None
    price: Decimal | None = None
    at: int | None = None
    position_side: PositionSide | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One fill of an execution; what is None is taken from the execution."""

    __pydantic_config__ = STRICT
    quantity: Decimal
    price: Decimal | None = None
    at: int | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    fill_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Execution:
    """An order that fills, as `World.execute` takes it and as it travels in JSON.

    Without parts it is one fill of `quantity`. `fee` is the fee of the whole (below zero is a
    rebate), split over the parts in proportion; None is the market's usual rate in quote.
    """

    __pydantic_config__ = STRICT
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: int | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    position_side: PositionSide | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    kind: FillKind = FillKind.TRADE
    maker: bool = False
    reduce_only: bool = False
    type: OrderType = OrderType.MARKET
    order_quantity: Decimal | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Override:
    """A position the venue shall report whatever the fills say."""

    __pydantic_config__ = STRICT
    account: str
    symbol: str
    quantity: Decimal
    position_side: PositionSide = PositionSide.BOTH
    entry_price: Decimal | None = None
