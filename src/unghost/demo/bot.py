"""A bot of the sample: it trades on the simulated exchange and keeps a ledger, not always well.

What it did and what it wrote down are two calls, so that one can be made without the other: that
is how ghosts come about.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Any

from unghost.demo.prices import PricePaths, on_step
from unghost.demo.world import (
    MAKER_RATE,
    TAKER_RATE,
    Account,
    Fill,
    FillKind,
    Market,
    OrderState,
    OrderType,
    Part,
    PositionSide,
    Side,
    World,
)

VENUE = "binanceusdm"
EIGHT_PLACES = Decimal("0.00000001")
BNB = "BNB"
BNB_PRICE = Decimal(600)
ENTRY = "ENTRY"
EXIT = "EXIT"
FILLED = "filled"


class Link(StrEnum):
    """By which ids a ledger row names its exchange order."""

    BOTH = "both"
    EXCHANGE = "exchange"
    CLIENT = "client"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """One side of one market, which the bot trades by itself."""

    market: Market
    side: PositionSide

    def order_side(self, action: str) -> Side:
        """Buy or sell."""
        opens_by = Side.BUY if self.side is PositionSide.LONG else Side.SELL
        closes_by = Side.SELL if self.side is PositionSide.LONG else Side.BUY
        return opens_by if action == ENTRY else closes_by


@dataclass(frozen=True, kw_only=True, slots=True)
class Executed:
    """An exchange order with its fills."""

    order_id: str
    client_order_id: str
    placed_at: datetime
    fills: tuple[Fill, ...]

    @property
    def quantity(self) -> Decimal:
        """What was filled."""
        return sum((fill.quantity for fill in self.fills), Decimal(0))

    @property
    def price(self) -> Decimal:
        """The average price, to eight places, as bots keep it."""
        cost = sum((fill.quantity * fill.price for fill in self.fills), Decimal(0))
        return (cost / self.quantity).quantize(EIGHT_PLACES, ROUND_HALF_EVEN)

    @property
    def filled_at(self) -> datetime:
        """The time of the last fill."""
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self.fills[-1].at)

    def fees(self) -> Mapping[str, Decimal]:
        """Fees by currency."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for fill in self.fills:
            totals[fill.fee_currency] += fill.fee
        return totals

    def first(self, count: int) -> Executed:
        """As it looked after its first fills."""
        return replace(self, fills=self.fills[:count])


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One row of the bot's `orders`, without the profile and the id that it gets at the end."""

    symbol: str
    trade_id: str | None
    action: str
    side: str
    status: str
    quantity: Decimal | None
    qty: Decimal | None
    price: Decimal | None
    exchange_order_id: str | None
    client_order_id: str | None
    position_side: str
    fee: Decimal | None
    fee_currency: str | None
    filled_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How an order is to come about. `parts` are weights of its fills; `fee_in` a currency each."""

    quantity: Decimal
    ago: timedelta
    parts: Sequence[int] = (1,)
    seconds_between: int = 2
    maker: bool = False
    fee_in: Sequence[str] = ()
    fee: Decimal | None = None
    kind: FillKind = FillKind.TRADE
    client_order_id: str | None = None
    price_factor: Decimal = Decimal(1)
    order_quantity: Decimal | None = None


class Bot:
    """Trades one account of the world and keeps `lines`."""

    def __init__(
        self, world: World, account: Account, prices: PricePaths, *, now: datetime, seed: str
    ) -> None:
        self.world = world
        self.account = account
        self.now = now
        self.lines: list[Line] = []
        self.rng = random.Random(seed)  # noqa: S311 - a sample that is the same each time
        self._prices = prices
        self._client_ids = 0

    def leg(self, base: str, side: PositionSide) -> Leg:
        """A leg by the base currency of its market."""
        return Leg(market=self.world.market(f"{base}/USDT:USDT"), side=side)

    # what it does ------------------------------------------------------------------------------

    def trade(self, leg: Leg, action: str, plan: Plan) -> Executed:
        """Have an order filled on the exchange; nothing is written down."""
        price = self._price(leg.market, plan)
        placed_at = self.now - plan.ago
        fills = self.world.execute(
            account=self.account,
            symbol=leg.market.symbol,
            side=leg.order_side(action),
            position_side=leg.side,
            price=price,
            at=placed_at,
            client_order_id=plan.client_order_id or self._client_order_id(plan),
            kind=plan.kind,
            maker=plan.maker,
            reduce_only=action == EXIT,
            type=OrderType.LIMIT if plan.maker else OrderType.MARKET,
            order_quantity=plan.order_quantity,
            parts=self._parts(leg.market, plan, price, placed_at),
        )
        if plan.order_quantity is not None:
            self._cancel_rest(fills[0], placed_at + timedelta(minutes=3))
        return Executed(
            order_id=fills[0].order_id,
            client_order_id=fills[0].client_order_id,
            placed_at=placed_at,
            fills=fills,
        )

    def _cancel_rest(self, fill: Fill, at: datetime) -> None:
        for order in self.world.orders(self.account, fill.symbol, open_only=True):
            if order.order_id == fill.order_id:
                self.world.close_order(order, at=at)

    def attempt(self, leg: Leg, action: str, plan: Plan) -> Executed:
        """Place an order that is never filled and expires."""
        placed_at = self.now - plan.ago
        order = self.world.place_order(
            account=self.account,
            symbol=leg.market.symbol,
            side=leg.order_side(action),
            position_side=leg.side,
            quantity=plan.quantity,
            price=self._price(leg.market, plan),
            at=placed_at,
            client_order_id=plan.client_order_id or self._client_order_id(plan),
        )
        self.world.close_order(order, state=OrderState.EXPIRED, at=placed_at + timedelta(minutes=5))
        return Executed(
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            placed_at=placed_at,
            fills=(),
        )

    def price(self, market: Market, ago: timedelta) -> Decimal:
        """What the market stood at."""
        return self._prices.at(market, ago)

    def _price(self, market: Market, plan: Plan) -> Decimal:
        return on_step(self._prices.at(market, plan.ago) * plan.price_factor, market.price_step)

    def _client_order_id(self, plan: Plan) -> str | None:
        """The bot's own, or the exchange's where it liquidates."""
        if plan.kind is not FillKind.TRADE:
            return None
        self._client_ids += 1
        return f"x-sample-{self._client_ids:05}"

    def _parts(
        self, market: Market, plan: Plan, price: Decimal, placed_at: datetime
    ) -> tuple[Part, ...]:
        quantities = shares(plan.quantity, plan.parts, market.quantity_step)
        return tuple(
            Part(
                quantity=quantity,
                price=price + market.price_step * self.rng.randint(-2, 2),
                at=self._milliseconds(placed_at, number * plan.seconds_between),
                fee=self._fee(plan, number, quantity * price),
                fee_currency=_fee_currency(plan, number),
            )
            for number, quantity in enumerate(quantities)
        )

    def _milliseconds(self, placed_at: datetime, seconds: int) -> int:
        since = placed_at - datetime.fromtimestamp(0, UTC)
        return since // timedelta(milliseconds=1) + seconds * 1000 + self.rng.randint(40, 900)

    def _fee(self, plan: Plan, number: int, notional: Decimal) -> Decimal | None:
        if plan.fee is not None:
            return (plan.fee * notional).quantize(EIGHT_PLACES, ROUND_HALF_EVEN)
        if _fee_currency(plan, number) != BNB:
            return None
        rate = MAKER_RATE if plan.maker else TAKER_RATE
        return (notional * rate / BNB_PRICE).quantize(EIGHT_PLACES, ROUND_HALF_EVEN)

    # what it writes down -----------------------------------------------------------------------

    def write(
        self,
        trade_id: str | None,
        leg: Leg,
        action: str,
        executed: Executed,
        *,
        quantity: Decimal | None = None,
        status: str = FILLED,
        link: Link = Link.BOTH,
    ) -> Line:
        """Write a row about an order as far as it is filled; `quantity` overrules the truth."""
        amount = executed.quantity if quantity is None else quantity
        is_filled = bool(executed.fills)
        fees = dict(executed.fees())
        fee_currency, fee = fees.popitem() if len(fees) == 1 else (None, None)
        filled_at = executed.filled_at if is_filled else None
        line = Line(
            symbol=leg.market.listing(VENUE).native_id,
            trade_id=trade_id,
            action=action,
            side=leg.order_side(action).value,
            status=status,
            **self._quantity_columns(amount),
            price=executed.price if is_filled else None,
            exchange_order_id=executed.order_id if link in {Link.BOTH, Link.EXCHANGE} else None,
            client_order_id=executed.client_order_id if link in {Link.BOTH, Link.CLIENT} else None,
            position_side=leg.side.upper(),
            fee=fee,
            fee_currency=fee_currency,
            filled_at=filled_at,
            created_at=executed.placed_at,
            updated_at=(filled_at or executed.placed_at) + timedelta(milliseconds=350),
        )
        self.lines.append(line)
        return line

    def rewrite(self, line: Line, **changes: Any) -> Line:
        """Change a row that stands already, as careless hands do."""
        changed = replace(line, **changes)
        self.lines[self.lines.index(line)] = changed
        return changed

    def _quantity_columns(self, amount: Decimal) -> dict[str, Decimal | None]:
        """Old rows keep `qty`, new ones `quantity`, and those between keep both."""
        columns = self.rng.choices((("quantity",), ("qty",), ("quantity", "qty")), (5, 2, 3))[0]
        return {name: amount if name in columns else None for name in ("quantity", "qty")}


def shares(quantity: Decimal, weights: Sequence[int], step: Decimal) -> tuple[Decimal, ...]:
    """A quantity split by weights on a step, the last share taking the rest."""
    total = sum(weights)
    found = [on_step(quantity * weight / total, step) for weight in weights[:-1]]
    return (*found, quantity - sum(found, Decimal(0)))


def _fee_currency(plan: Plan, number: int) -> str | None:
    return plan.fee_in[number % len(plan.fee_in)] if plan.fee_in else None
