"""The simulated exchange's truth: markets, accounts, orders, fills and what follows from them.

The world speaks no exchange's protocol. A face (see `unghost.demo.venue`) puts one on. It shares
no noun with the product on purpose: what the product concludes can then be checked against it.

Quantities and prices are `Decimal` in base and quote units, times are whole milliseconds since
1970 UTC, and positions are signed (below zero is short) and never stored: they are folded from
the fills, unless a test overrides them to script an exchange that contradicts itself.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from threading import RLock
from zlib import crc32

from pydantic import ConfigDict, TypeAdapter

ZERO = Decimal(0)
FEE_STEP = Decimal("0.00000001")
TAKER_RATE = Decimal("0.0005")
MAKER_RATE = Decimal("0.0002")
ID_EPOCH_MS = 1_500_000_000_000
IDS_PER_MS = 10_000
# The kinds of id live far from each other, so that taking one for another shows.
FIRST_ID = {"fill": 0, "order": 5_000_000_000_000_000, "record": 600_000_000_000_000_000}

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


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One venue's name for a market, and the base units in one of its contracts."""

    __pydantic_config__ = STRICT
    venue: str
    native_id: str
    contract_size: Decimal = Decimal(1)


@dataclass(frozen=True, kw_only=True)
class Market:
    """A linear perpetual. `symbol` is unified (`BTC/USDT:USDT`); steps are in base and quote."""

    __pydantic_config__ = STRICT
    symbol: str
    base: str
    quote: str
    price_step: Decimal
    quantity_step: Decimal
    reference_price: Decimal
    listings: tuple[Listing, ...]
    active: bool = True

    def listing(self, venue: str) -> Listing:
        """The market as listed at `venue`; KeyError where it is not listed."""
        for listing in self.listings:
            if listing.venue == venue:
                return listing
        raise KeyError(f"{self.symbol} is not listed at {venue}")

    def is_listed(self, venue: str) -> bool:
        """Whether `venue` trades it."""
        return any(listing.venue == venue for listing in self.listings)

    def is_named(self, name: str) -> bool:
        """Whether `name` is the unified symbol or the native id at any venue."""
        return name == self.symbol or any(name == each.native_id for each in self.listings)


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


@dataclass(frozen=True, kw_only=True)
class WorldState:
    """Everything a world holds, as written to a file."""

    __pydantic_config__ = STRICT
    markets: tuple[Market, ...]
    accounts: tuple[Account, ...] = ()
    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    fundings: tuple[Funding, ...] = ()
    overrides: tuple[Override, ...] = ()
    clock_offset_ms: int = 0


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


class Clock:
    """The world's clock: this machine's, shifted by `offset_ms` (above zero runs ahead)."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC, as the world sees them."""
        return time.time_ns() // 1_000_000 + self.offset_ms


def to_ms(at: int | datetime) -> int:
    """Whole milliseconds of an aware datetime; ints pass. ValueError for a naive datetime."""
    if isinstance(at, int):
        return at
    if at.tzinfo is None:
        raise ValueError("a time without a zone is not a time")
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def _perpetual(base: str, price: str, price_step: str, quantity_step: str, okx_size: str) -> Market:
    return Market(
        symbol=f"{base}/USDT:USDT",
        base=base,
        quote="USDT",
        price_step=Decimal(price_step),
        quantity_step=Decimal(quantity_step),
        reference_price=Decimal(price),
        listings=(
            Listing(venue="binanceusdm", native_id=f"{base}USDT"),
            Listing(venue="bybit", native_id=f"{base}USDT"),
            Listing(venue="okx", native_id=f"{base}-USDT-SWAP", contract_size=Decimal(okx_size)),
        ),
    )


DEFAULT_MARKETS: tuple[Market, ...] = (
    _perpetual("BTC", "65000", "0.1", "0.001", "0.01"),
    _perpetual("ETH", "3200", "0.01", "0.001", "0.1"),
    _perpetual("SOL", "150", "0.01", "0.01", "1"),
    _perpetual("BNB", "600", "0.01", "0.01", "0.01"),
    _perpetual("XRP", "0.6", "0.0001", "0.1", "100"),
    _perpetual("DOGE", "0.16", "0.00001", "1", "1000"),
    _perpetual("ADA", "0.45", "0.0001", "1", "100"),
    _perpetual("AVAX", "35", "0.001", "1", "1"),
    _perpetual("LINK", "18", "0.001", "0.01", "1"),
    _perpetual("DOT", "7", "0.001", "0.1", "1"),
    _perpetual("LTC", "85", "0.01", "0.001", "1"),
    _perpetual("TRX", "0.12", "0.00001", "1", "1000"),
    _perpetual("BCH", "450", "0.01", "0.001", "0.1"),
    _perpetual("NEAR", "6.5", "0.001", "1", "10"),
)

DEFAULT_BALANCES: Mapping[str, Decimal] = {"USDT": Decimal(100_000)}


class World:
    """A mutable exchange, safe to edit from a test's thread while a server reads it."""

    def __init__(self, *, markets: Sequence[Market] = DEFAULT_MARKETS) -> None:
        self.clock = Clock()
        self._lock = RLock()
        self._markets = {market.symbol: market for market in markets}
        self._accounts: dict[str, Account] = {}
        self._orders: dict[tuple[str, str, str], Order] = {}
        self._fills: dict[tuple[str, str], list[Fill]] = defaultdict(list)
        self._fills_of_order: dict[tuple[str, str, str], list[Fill]] = defaultdict(list)
        self._fundings: list[Funding] = []
        self._legs: dict[tuple[str, str], dict[Fill, Leg]] = {}
        self._overrides: dict[tuple[str, str, PositionSide], Override] = {}
        self._ids_in_ms: Counter[tuple[str, int]] = Counter()

    # Markets and accounts

    @property
    def markets(self) -> tuple[Market, ...]:
        """Every market, in the order given."""
        return tuple(self._markets.values())

    def market(self, name: str) -> Market:
        """The market of a unified symbol or any venue's native id; KeyError when unknown."""
        known = self._markets.get(name)
        if known is not None:
            return known
        for market in self._markets.values():
            if market.is_named(name):
                return market
        raise KeyError(f"no market is called {name!r}")

    def listed(self, venue: str) -> tuple[Market, ...]:
        """The markets that a venue trades."""
        return tuple(market for market in self.markets if market.is_listed(venue))

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Every account, in the order opened."""
        with self._lock:
            return tuple(self._accounts.values())

    def open_account(
        self,
        name: str,
        *,
        mode: PositionMode | str = PositionMode.ONE_WAY,
        api_key: str | None = None,
        secret: str | None = None,
        password: str | None = None,
        balances: Mapping[str, Decimal] = DEFAULT_BALANCES,
        read_only: bool = False,
    ) -> Account:
        """Open an account; keys default to `<name>-key`, `<name>-secret`, `<name>-password`."""
        account = Account(
            name=name,
            api_key=api_key or f"{name}-key",
            secret=secret or f"{name}-secret",
            password=f"{name}-password" if password is None else password,
            mode=PositionMode(mode),
            balances=dict(balances),
            read_only=read_only,
        )
        with self._lock:
            if name in self._accounts:
                raise ValueError(f"account {name!r} is open already")
            self._accounts[name] = account
        return account

    def account(self, account: Account | str) -> Account:
        """The account as it is now; KeyError when unknown."""
        name = account if isinstance(account, str) else account.name
        with self._lock:
            return self._accounts[name]

    def issue_key(self, account: Account | str, api_key: str) -> None:
        """Another key of the account, signed with the same secret."""
        with self._lock:
            opened = self.account(account)
            keys = (*opened.more_keys, api_key)
            self._accounts[opened.name] = replace(opened, more_keys=keys)

    def account_of_key(self, api_key: str) -> Account | None:
        """The account an API key opens, if any."""
        keys = ((each, (each.api_key, *each.more_keys)) for each in self.accounts)
        return next((each for each, known in keys if api_key in known), None)

    def set_mode(self, account: Account | str, mode: PositionMode | str) -> Account:
        """Switch between one-way and hedge; existing fills keep their position side."""
        with self._lock:
            changed = replace(self.account(account), mode=PositionMode(mode))
            self._accounts[changed.name] = changed
            return changed

    def set_balance(self, account: Account | str, currency: str, total: Decimal) -> Account:
        """Set one currency's wallet balance. Fills do not move balances."""
        with self._lock:
            known = self.account(account)
            changed = replace(known, balances={**known.balances, currency: total})
            self._accounts[changed.name] = changed
            return changed

    # Orders and fills

    def execute(
        self,
        *,
        account: Account | str,
        symbol: str,
        side: Side | str,
        quantity: Decimal | None = None,
        price: Decimal,
        at: int | datetime | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        position_side: PositionSide | str | None = None,
        fee: Decimal | None = None,
        fee_currency: str | None = None,
        kind: FillKind | str = FillKind.TRADE,
        maker: bool = False,
        reduce_only: bool = False,
        type: OrderType | str = OrderType.MARKET,  # noqa: A002 - the field's name in trading
        order_quantity: Decimal | None = None,
        parts: Sequence[Part | Decimal] = (),
    ) -> tuple[Fill, ...]:
        """Fill an order, new or known, and return its new fills in time order.

        `parts` are the single fills (a bare Decimal is a quantity); they must sum to `quantity`
        where both are given. `at` defaults to now. `order_quantity` above the filled quantity
        leaves the order partially filled. ValueError for what cannot be (see `apply`).
        """
        pieces = tuple(Part(quantity=part) if isinstance(part, Decimal) else part for part in parts)
        whole = quantity if quantity is not None else sum((p.quantity for p in pieces), ZERO)
        return self.apply(
            Execution(
                account=account if isinstance(account, str) else account.name,
                symbol=symbol,
                side=Side(side),
                quantity=whole,
                price=price,
                at=None if at is None else to_ms(at),
                order_id=order_id,
                client_order_id=client_order_id,
                position_side=None if position_side is None else PositionSide(position_side),
                fee=fee,
                fee_currency=fee_currency,
                kind=FillKind(kind),
                maker=maker,
                reduce_only=reduce_only,
                type=OrderType(type),
                order_quantity=order_quantity,
                parts=pieces,
            )
        )

    def apply(self, execution: Execution) -> tuple[Fill, ...]:
        """Make an execution happen and return its fills in time order.

        ValueError: a quantity not above zero, parts that do not sum to it, or a position side
        that does not fit the account's mode. KeyError: unknown account or symbol.
        """
        with self._lock:
            parts = execution.parts or (Part(quantity=execution.quantity),)
            _check_parts(execution, parts)
            at = self.clock.now_ms() if execution.at is None else execution.at
            order = self._order_for(execution, at)
            fees = _fees(execution, parts)
            made = [
                self._add_fill(execution, order, part, fee, at)
                for part, fee in zip(parts, fees, strict=True)
            ]
            self._touch(order, max(fill.at for fill in made))
            return tuple(sorted(made, key=lambda fill: fill.sort_key))

    def place_order(
        self,
        *,
        account: Account | str,
        symbol: str,
        side: Side | str,
        quantity: Decimal,
        price: Decimal,
        at: int | datetime | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        position_side: PositionSide | str | None = None,
        reduce_only: bool = False,
    ) -> Order:
        """Rest a limit order on the book without filling it."""
        request = Execution(
            account=account if isinstance(account, str) else account.name,
            symbol=symbol,
            side=Side(side),
            quantity=quantity,
            price=price,
            order_id=order_id,
            client_order_id=client_order_id,
            position_side=None if position_side is None else PositionSide(position_side),
            reduce_only=reduce_only,
            type=OrderType.LIMIT,
        )
        with self._lock:
            return self._order_for(request, self.clock.now_ms() if at is None else to_ms(at))

    def close_order(
        self,
        order: Order,
        *,
        state: OrderState | str = OrderState.CANCELED,
        at: int | datetime | None = None,
    ) -> Order:
        """Cancel or expire an order."""
        with self._lock:
            when = self.clock.now_ms() if at is None else to_ms(at)
            changed = replace(order, state=OrderState(state), updated_at=when)
            self._orders[order.account, order.symbol, order.order_id] = changed
            return changed

    def orders(
        self,
        account: Account | str,
        symbol: str | None = None,
        *,
        open_only: bool = False,
    ) -> tuple[Order, ...]:
        """An account's orders, oldest first."""
        name = self.account(account).name
        unified = None if symbol is None else self.market(symbol).symbol
        with self._lock:
            found = [
                order
                for order in self._orders.values()
                if order.account == name
                and (unified is None or order.symbol == unified)
                and (not open_only or order.state in _OPEN_STATES)
            ]
        return tuple(sorted(found, key=lambda order: (order.created_at, order.order_id)))

    def fills(
        self,
        account: Account | str,
        symbol: str | None = None,
        *,
        order_id: str | None = None,
    ) -> tuple[Fill, ...]:
        """An account's fills, oldest first."""
        name = self.account(account).name
        unified = None if symbol is None else self.market(symbol).symbol
        with self._lock:
            found = [
                fill
                for (owner, listed), fills in self._fills.items()
                if owner == name and unified in (None, listed)
                for fill in fills
                if order_id in (None, fill.order_id)
            ]
        return tuple(sorted(found, key=lambda fill: fill.sort_key))

    def fills_of(self, order: Order) -> tuple[Fill, ...]:
        """One order's fills, oldest first."""
        with self._lock:
            return tuple(self._fills_of_order[order.account, order.symbol, order.order_id])

    def forget_fill(self, fill: Fill) -> None:
        """Take a fill out of the venue's memory, as if it had never been told."""
        with self._lock:
            key = (fill.account, fill.symbol)
            self._fills[key].remove(fill)
            self._fills_of_order[*key, fill.order_id].remove(fill)
            self._legs.pop(key, None)

    # Funding

    def charge_funding(
        self,
        *,
        account: Account | str,
        symbol: str,
        rate: Decimal,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        at: int | datetime | None = None,
        position_side: PositionSide | str | None = None,
    ) -> Funding:
        """As `charge`, from plain arguments."""
        return self.charge(
            Charge(
                account=account if isinstance(account, str) else account.name,
                symbol=symbol,
                rate=rate,
                quantity=quantity,
                price=price,
                at=None if at is None else to_ms(at),
                position_side=None if position_side is None else PositionSide(position_side),
            )
        )

    def charge(self, charge: Charge) -> Funding:
        """Make a funding payment happen; ValueError where there is no position to charge."""
        account, market = self.account(charge.account), self.market(charge.symbol)
        side = _position_side(account, charge.position_side)
        with self._lock:
            at = self.clock.now_ms() if charge.at is None else charge.at
            quantity = charge.quantity
            if quantity is None:
                quantity = self._held_at(account.name, market.symbol, side, at)
            if not quantity:
                raise ValueError(f"{account.name} holds no {market.symbol} to charge funding on")
            price = self.last_price(market.symbol) if charge.price is None else charge.price
            made = Funding(
                record_id=self._next_id("record", at),
                account=account.name,
                symbol=market.symbol,
                position_side=side,
                quantity=quantity,
                price=price,
                rate=charge.rate,
                fee=(quantity * price * charge.rate).quantize(FEE_STEP, ROUND_HALF_EVEN),
                fee_currency=market.quote,
                at=at,
            )
            self._fundings.append(made)
        return made

    def fundings(self, account: Account | str, symbol: str | None = None) -> tuple[Funding, ...]:
        """An account's funding payments, oldest first."""
        name = self.account(account).name
        unified = None if symbol is None else self.market(symbol).symbol
        with self._lock:
            found = [
                each
                for each in self._fundings
                if each.account == name and unified in (None, each.symbol)
            ]
        return tuple(sorted(found, key=lambda each: (each.at, each.record_id)))

    # Positions

    def positions(self, account: Account | str) -> tuple[Position, ...]:
        """What the venue reports as held: folded from the fills, overrides put on top.

        Rows of quantity zero are left out, also those of an override to zero.
        """
        name = self.account(account).name
        with self._lock:
            legs = {
                (position.symbol, position.position_side): position
                for (owner, symbol) in self._fills
                if owner == name
                for position in self._folded(name, symbol)
            }
            for override in self._overrides.values():
                if override.account == name:
                    key = (override.symbol, override.position_side)
                    legs[key] = self._overridden(override)
        return tuple(each for each in legs.values() if each.quantity)

    def legs(self, account: Account | str, symbol: str) -> Mapping[Fill, Leg]:
        """The leg of a symbol as each fill left it, fees left out."""
        key = (self.account(account).name, self.market(symbol).symbol)
        with self._lock:
            if key not in self._legs:
                self._legs[key] = _legs(self._fills[key])
            return self._legs[key]

    def realized(self, account: Account | str, symbol: str) -> Mapping[Fill, Decimal]:
        """The profit in quote that each fill of a symbol realised, fees left out."""
        return {fill: leg.realized for fill, leg in self.legs(account, symbol).items()}

    def override(self, override: Override) -> None:
        """Report a position whatever the fills say; KeyError for an unknown account or symbol."""
        account, symbol = self.account(override.account).name, self.market(override.symbol).symbol
        with self._lock:
            known = replace(override, account=account, symbol=symbol)
            self._overrides[account, symbol, override.position_side] = known

    def override_position(
        self,
        *,
        account: Account | str,
        symbol: str,
        quantity: Decimal,
        position_side: PositionSide | str = PositionSide.BOTH,
        entry_price: Decimal | None = None,
    ) -> None:
        """As `override`, from plain arguments."""
        self.override(
            Override(
                account=account if isinstance(account, str) else account.name,
                symbol=symbol,
                quantity=quantity,
                position_side=PositionSide(position_side),
                entry_price=entry_price,
            )
        )

    def clear_overrides(self) -> None:
        """Let positions follow from the fills again."""
        with self._lock:
            self._overrides.clear()

    def last_price(self, symbol: str) -> Decimal:
        """The price of the newest fill in a market, or its reference price."""
        market = self.market(symbol)
        with self._lock:
            newest = [
                fills[-1]
                for (_, listed), fills in self._fills.items()
                if listed == market.symbol and fills
            ]
        if not newest:
            return market.reference_price
        return max(newest, key=lambda fill: fill.sort_key).price

    # Files

    def state(self) -> WorldState:
        """Everything, as a value."""
        with self._lock:
            return WorldState(
                markets=self.markets,
                accounts=self.accounts,
                orders=tuple(self._orders.values()),
                fills=tuple(fill for fills in self._fills.values() for fill in fills),
                fundings=tuple(self._fundings),
                overrides=tuple(self._overrides.values()),
                clock_offset_ms=self.clock.offset_ms,
            )

    def to_json(self) -> str:
        """The world as JSON text; decimals are strings."""
        return _STATE.dump_json(self.state(), indent=1).decode()

    @classmethod
    def from_state(cls, state: WorldState) -> World:
        """The world that `state` describes."""
        world = cls(markets=state.markets)
        world.clock.offset_ms = state.clock_offset_ms
        world._accounts = {account.name: account for account in state.accounts}
        world._orders = {(o.account, o.symbol, o.order_id): o for o in state.orders}
        for fill in state.fills:
            world._keep(fill)
            world._reserve("fill", fill.at, fill.fill_id)
            world._reserve("record", fill.at, fill.record_id)
        world._fundings = list(state.fundings)
        for funding in state.fundings:
            world._reserve("record", funding.at, funding.record_id)
        for order in state.orders:
            if order.order_id.isdigit():
                world._reserve("order", order.created_at, int(order.order_id))
        for override in state.overrides:
            world.override(override)
        return world

    @classmethod
    def from_json(cls, text: str | bytes) -> World:
        """The world that JSON text describes; pydantic's ValidationError when it is none."""
        return cls.from_state(_STATE.validate_json(text))

    # Inside

    def _next_id(self, kind: str, at: int) -> int:
        """An id that rises with time whatever the order in which a test makes things up."""
        bucket = _bucket(at)
        used = self._ids_in_ms[kind, bucket]
        if used >= IDS_PER_MS:
            raise ValueError(f"more than {IDS_PER_MS} {kind} ids in one millisecond")
        self._ids_in_ms[kind, bucket] += 1
        return FIRST_ID[kind] + bucket * IDS_PER_MS + used + 1

    def _reserve(self, kind: str, at: int, number: int) -> None:
        """Never give out an id again that a loaded world holds."""
        used = number - FIRST_ID[kind] - _bucket(at) * IDS_PER_MS
        if 0 < used <= IDS_PER_MS:
            self._ids_in_ms[kind, _bucket(at)] = max(used, self._ids_in_ms[kind, _bucket(at)])

    def _order_for(self, execution: Execution, at: int) -> Order:
        account = self.account(execution.account)
        symbol = self.market(execution.symbol).symbol
        given = execution.order_id
        known = None if given is None else self._orders.get((account.name, symbol, given))
        if known is not None and known.side is not execution.side:
            raise ValueError(f"order {given} is a {known.side} order")
        if known is not None:
            return known
        order_id = given if given is not None else str(self._next_id("order", at))
        order = Order(
            order_id=order_id,
            client_order_id=execution.client_order_id or _client_order_id(execution, order_id),
            account=account.name,
            symbol=symbol,
            side=execution.side,
            position_side=_position_side(account, execution.position_side),
            type=execution.type,
            quantity=execution.order_quantity or execution.quantity,
            price=execution.price,
            state=OrderState.NEW,
            reduce_only=execution.reduce_only,
            kind=execution.kind,
            created_at=at,
            updated_at=at,
        )
        self._orders[account.name, symbol, order_id] = order
        return order

    def _add_fill(
        self, execution: Execution, order: Order, part: Part, fee: Decimal, at: int
    ) -> Fill:
        when = at if part.at is None else part.at
        currency = part.fee_currency or execution.fee_currency
        fill = Fill(
            record_id=self._next_id("record", when),
            fill_id=self._next_id("fill", when) if part.fill_id is None else part.fill_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            account=order.account,
            symbol=order.symbol,
            side=execution.side,
            position_side=order.position_side,
            quantity=part.quantity,
            price=execution.price if part.price is None else part.price,
            fee=fee,
            fee_currency=currency or self.market(order.symbol).quote,
            at=when,
            kind=execution.kind,
            maker=execution.maker,
        )
        self._keep(fill)
        return fill

    def _keep(self, fill: Fill) -> None:
        key = (fill.account, fill.symbol)
        insort(self._fills[key], fill, key=lambda each: each.sort_key)
        insort(self._fills_of_order[*key, fill.order_id], fill, key=lambda each: each.sort_key)
        self._legs.pop(key, None)

    def _touch(self, order: Order, at: int) -> None:
        """Set the state that follows from the fills; an order filled beyond its size grows."""
        filled = sum((fill.quantity for fill in self.fills_of(order)), ZERO)
        full = filled >= order.quantity
        self._orders[order.account, order.symbol, order.order_id] = replace(
            order,
            quantity=max(order.quantity, filled),
            state=OrderState.FILLED if full else OrderState.PARTIALLY_FILLED,
            updated_at=max(order.updated_at, at),
        )

    def _held_at(self, account: str, symbol: str, side: PositionSide, at: int) -> Decimal:
        fills = self._fills[account, symbol]
        past = (fill for fill in fills if fill.at <= at and fill.position_side is side)
        return sum((fill.signed_quantity for fill in past), ZERO)

    def _folded(self, account: str, symbol: str) -> Iterable[Position]:
        legs: dict[PositionSide, Leg] = defaultdict(Leg)
        times: dict[PositionSide, int] = {}
        for fill in self._fills[account, symbol]:
            legs[fill.position_side] = after_fill(legs[fill.position_side], fill)
            times[fill.position_side] = fill.at
        return [
            Position(
                account=account,
                symbol=symbol,
                position_side=side,
                quantity=leg.quantity,
                entry_price=leg.entry_price,
                updated_at=times[side],
            )
            for side, leg in legs.items()
        ]

    def _overridden(self, override: Override) -> Position:
        price = override.entry_price
        return Position(
            account=override.account,
            symbol=override.symbol,
            position_side=override.position_side,
            quantity=override.quantity,
            entry_price=self.last_price(override.symbol) if price is None else price,
            updated_at=self.clock.now_ms(),
        )


_STATE: TypeAdapter[WorldState] = TypeAdapter(WorldState)
_OPEN_STATES = frozenset({OrderState.NEW, OrderState.PARTIALLY_FILLED})


def _legs(fills: Sequence[Fill]) -> dict[Fill, Leg]:
    now: dict[PositionSide, Leg] = defaultdict(Leg)
    after: dict[Fill, Leg] = {}
    for fill in fills:
        now[fill.position_side] = after[fill] = after_fill(now[fill.position_side], fill)
    return after


def _bucket(at: int) -> int:
    return max(at - ID_EPOCH_MS, 0)


def _check_parts(execution: Execution, parts: Sequence[Part]) -> None:
    if any(not part.quantity > 0 for part in parts):
        raise ValueError("a fill's quantity is above zero")
    total = sum((part.quantity for part in parts), ZERO)
    if total != execution.quantity:
        raise ValueError(f"the parts sum to {total}, not to {execution.quantity}")


def _fees(execution: Execution, parts: Sequence[Part]) -> list[Decimal]:
    """A fee per part: its own, its share of the whole, or the usual rate. Shares sum exactly."""
    if execution.fee is None:
        return [_usual_fee(execution, part) if part.fee is None else part.fee for part in parts]
    shares = [
        (execution.fee * part.quantity / execution.quantity).quantize(FEE_STEP, ROUND_HALF_EVEN)
        for part in parts
    ]
    shares[-1] = execution.fee - sum(shares[:-1], ZERO)
    return [
        share if part.fee is None else part.fee for share, part in zip(shares, parts, strict=True)
    ]


def _usual_fee(execution: Execution, part: Part) -> Decimal:
    price = execution.price if part.price is None else part.price
    rate = MAKER_RATE if execution.maker else TAKER_RATE
    return (part.quantity * price * rate).quantize(FEE_STEP, ROUND_HALF_EVEN)


def _position_side(account: Account, asked: PositionSide | None) -> PositionSide:
    hedged = account.mode is PositionMode.HEDGE
    side = asked or PositionSide.BOTH
    if hedged and side is PositionSide.BOTH:
        raise ValueError(f"{account.name} is in hedge mode: say position_side long or short")
    if not hedged and side is not PositionSide.BOTH:
        raise ValueError(f"{account.name} is in one-way mode: its fills have no {side} leg")
    return side


def _client_order_id(execution: Execution, order_id: str) -> str:
    prefix = {
        FillKind.TRADE: "sim",
        FillKind.LIQUIDATION: "autoclose",
        FillKind.ADL: "adl_autoclose",
        FillKind.SETTLEMENT: "settlement_autoclose",
    }[execution.kind]
    return f"{prefix}-{order_id}"
