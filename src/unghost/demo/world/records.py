"""What a world holds: accounts, orders, fills, funding, positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from zlib import crc32

from unghost.demo.world.words import (
    STRICT,
    FillKind,
    OrderState,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account and the keys that open it; `read_only` is what its key may do."""

    __pydantic_config__ = STRICT
    name: str
    api_key: str
    secret: str
    password: str = ""
    mode: PositionMode = PositionMode.ONE_WAY
    balances: Mapping[str, Decimal] = field(default_factory=dict)
    read_only: bool = False
    more_keys: tuple[str, ...] = ()

    @property
    def uid(self) -> int:
        """The number by which exchanges call the account; it follows from the name."""
        return 1_000_000_000 + crc32(self.name.encode())

    def leg(self, asked: PositionSide | None) -> PositionSide:
        """The leg that a fill or a charge concerns; ValueError where the mode has no such leg."""
        hedged = self.mode is PositionMode.HEDGE
        side = asked or PositionSide.BOTH
        if hedged and side is PositionSide.BOTH:
            raise ValueError(f"{self.name} is in hedge mode: say position_side long or short")
        if not hedged and side is not PositionSide.BOTH:
            raise ValueError(f"{self.name} is in one-way mode: its fills have no {side} leg")
        return side

    @property
    def legs(self) -> tuple[PositionSide, ...]:
        """The legs that a market has in the account's mode."""
        if self.mode is PositionMode.HEDGE:
            return (PositionSide.LONG, PositionSide.SHORT)
        return (PositionSide.BOTH,)


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order. What it has filled is not here: ask `World.fills_of`."""

    __pydantic_config__ = STRICT
    order_id: str
    client_order_id: str
    account: str
    symbol: str
    side: Side
    position_side: PositionSide
    type: OrderType
    quantity: Decimal
    price: Decimal
    state: OrderState
    reduce_only: bool
    kind: FillKind
    created_at: int
    updated_at: int

    @property
    def is_open(self) -> bool:
        """Whether it may fill yet."""
        return self.state in {OrderState.NEW, OrderState.PARTIALLY_FILLED}


@dataclass(frozen=True, kw_only=True)
class Fill:
    """One execution. `fill_id` rises with time within a symbol, as exchanges promise.

    A test may give one `fill_id` to two fills (a self-trade, say); `record_id` is never shared.
    """

    __pydantic_config__ = STRICT
    record_id: int
    fill_id: int
    order_id: str
    client_order_id: str
    account: str
    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    at: int
    kind: FillKind
    maker: bool

    @property
    def sort_key(self) -> tuple[int, int]:
        """Time, then id: the order in which an exchange tells fills."""
        return (self.at, self.fill_id)

    @property
    def signed_quantity(self) -> Decimal:
        """What the fill does to a signed position."""
        return self.quantity if self.side is Side.BUY else -self.quantity


@dataclass(frozen=True, kw_only=True)
class Funding:
    """A funding payment: no trade, though some exchanges list it among them.

    `quantity` is the signed position it was charged on; `fee` below zero was received.
    """

    __pydantic_config__ = STRICT
    record_id: int
    account: str
    symbol: str
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    rate: Decimal
    fee: Decimal
    fee_currency: str
    at: int


@dataclass(frozen=True, kw_only=True)
class Position:
    """A signed position. `entry_price` is the average price of what is still open."""

    __pydantic_config__ = STRICT
    account: str
    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    updated_at: int
