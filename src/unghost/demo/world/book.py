"""The book of a world: orders, and the fills that they have."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from unghost.demo.world.clock import to_ms
from unghost.demo.world.events import Execution, Part
from unghost.demo.world.fees import check_parts, fees_of
from unghost.demo.world.ids import Ids
from unghost.demo.world.legs import Leg, legs_after
from unghost.demo.world.markets import DEFAULT_MARKETS, Market
from unghost.demo.world.records import Account, Fill, Order
from unghost.demo.world.register import Register
from unghost.demo.world.words import ZERO, FillKind, OrderState, OrderType, PositionSide, Side


class Book(Register):
    """Orders and fills of the register's accounts."""

    def __init__(self, *, markets: Sequence[Market] = DEFAULT_MARKETS) -> None:
        super().__init__(markets=markets)
        self._orders: dict[tuple[str, str, str], Order] = {}
        self._fills: dict[tuple[str, str], list[Fill]] = defaultdict(list)
        self._fills_of_order: dict[tuple[str, str, str], list[Fill]] = defaultdict(list)
        self._legs: dict[tuple[str, str], Mapping[Fill, Leg]] = {}
        self._ids = Ids()

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
            check_parts(execution, parts)
            at = self.clock.now_ms() if execution.at is None else execution.at
            order = self._order_for(execution, at)
            fees = fees_of(execution, parts)
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
                and (not open_only or order.is_open)
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

    def legs(self, account: Account | str, symbol: str) -> Mapping[Fill, Leg]:
        """The leg of a symbol as each fill left it, fees left out."""
        key = (self.account(account).name, self.market(symbol).symbol)
        with self._lock:
            if key not in self._legs:
                self._legs[key] = legs_after(self._fills[key])
            return self._legs[key]

    def realized(self, account: Account | str, symbol: str) -> Mapping[Fill, Decimal]:
        """The profit in quote that each fill of a symbol realised, fees left out."""
        return {fill: leg.realized for fill, leg in self.legs(account, symbol).items()}

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

    def _order_for(self, execution: Execution, at: int) -> Order:
        account = self.account(execution.account)
        symbol = self.market(execution.symbol).symbol
        given = execution.order_id
        known = None if given is None else self._orders.get((account.name, symbol, given))
        if known is not None and known.side is not execution.side:
            raise ValueError(f"order {given} is a {known.side} order")
        if known is not None:
            return known
        order_id = given if given is not None else str(self._ids.next("order", at))
        order = Order(
            order_id=order_id,
            client_order_id=execution.client_order_id or _client_order_id(execution, order_id),
            account=account.name,
            symbol=symbol,
            side=execution.side,
            position_side=account.leg(execution.position_side),
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
            record_id=self._ids.next("record", when),
            fill_id=self._ids.next("fill", when) if part.fill_id is None else part.fill_id,
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


def _client_order_id(execution: Execution, order_id: str) -> str:
    prefix = {
        FillKind.TRADE: "sim",
        FillKind.LIQUIDATION: "autoclose",
        FillKind.ADL: "adl_autoclose",
        FillKind.SETTLEMENT: "settlement_autoclose",
    }[execution.kind]
    return f"{prefix}-{order_id}"
