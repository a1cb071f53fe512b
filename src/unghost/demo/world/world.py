"""The simulated exchange's truth: markets, accounts, orders, fills and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from unghost.demo.world.book import Book
from unghost.demo.world.clock import to_ms
from unghost.demo.world.events import Charge, Override
from unghost.demo.world.fees import FEE_STEP
from unghost.demo.world.legs import folded
from unghost.demo.world.markets import DEFAULT_MARKETS, Market
from unghost.demo.world.records import Account, Funding, Position
from unghost.demo.world.state import STATE, WorldState
from unghost.demo.world.words import ZERO, PositionSide


class World(Book):
    """A mutable exchange, safe to edit from a test's thread while a server reads it."""

    def __init__(self, *, markets: Sequence[Market] = DEFAULT_MARKETS) -> None:
        super().__init__(markets=markets)
        self._fundings: list[Funding] = []
        self._overrides: dict[tuple[str, str, PositionSide], Override] = {}

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
        side = account.leg(charge.position_side)
        with self._lock:
            at = self.clock.now_ms() if charge.at is None else charge.at
            quantity = charge.quantity
            if quantity is None:
                quantity = self._held_at(account.name, market.symbol, side, at)
            if not quantity:
                raise ValueError(f"{account.name} holds no {market.symbol} to charge funding on")
            price = self.last_price(market.symbol) if charge.price is None else charge.price
            made = Funding(
                record_id=self._ids.next("record", at),
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
                for position in folded(self._fills[owner, symbol])
            }
            for override in self._overrides.values():
                if override.account == name:
                    key = (override.symbol, override.position_side)
                    legs[key] = self._overridden(override)
        return tuple(each for each in legs.values() if each.quantity)

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
        return STATE.dump_json(self.state(), indent=1).decode()

    @classmethod
    def from_state(cls, state: WorldState) -> World:
        """The world that `state` describes."""
        world = cls(markets=state.markets)
        world.clock.offset_ms = state.clock_offset_ms
        world._accounts = {account.name: account for account in state.accounts}
        world._orders = {(o.account, o.symbol, o.order_id): o for o in state.orders}
        for fill in state.fills:
            world._keep(fill)
            world._ids.reserve("fill", fill.at, fill.fill_id)
            world._ids.reserve("record", fill.at, fill.record_id)
        world._fundings = list(state.fundings)
        for funding in state.fundings:
            world._ids.reserve("record", funding.at, funding.record_id)
        for order in state.orders:
            if order.order_id.isdigit():
                world._ids.reserve("order", order.created_at, int(order.order_id))
        for override in state.overrides:
            world.override(override)
        return world

    @classmethod
    def from_json(cls, text: str | bytes) -> World:
        """The world that JSON text describes; pydantic's ValidationError when it is none."""
        return cls.from_state(STATE.validate_json(text))

    def _held_at(self, account: str, symbol: str, side: PositionSide, at: int) -> Decimal:
        fills = self._fills[account, symbol]
        past = (fill for fill in fills if fill.at <= at and fill.position_side is side)
        return sum((fill.signed_quantity for fill in past), ZERO)

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
