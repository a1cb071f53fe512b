"""Runs in an environment that has nautilus_trader, and prints seconds by number of ghosts as JSON.

    python inside_nautilus.py ROUNDS COUNT [COUNT ...]

A ghost is, in its words, an open position whose exit order is known as accepted, while the venue
reports that order as filled: the fill was missed. Its live engine asks a client for the venue's
reports and reconciles them with its cache, in memory, as it does when a node starts. The client is
the one of nautilus_trader's own test kit, which answers from memory.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from decimal import Decimal

from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import FillReport, OrderStatusReport
from nautilus_trader.live.config import LiveExecEngineConfig
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import (
    AccountType,
    LiquiditySide,
    OmsType,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    PositionId,
    TradeId,
    Venue,
    VenueOrderId,
)
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.model.orders import LimitOrder
from nautilus_trader.model.position import Position
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.test_kit.mocks.exec_clients import MockLiveExecutionClient
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.component import TestComponentStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

SYMBOLS = 50
VENUE = Venue("XNAS")
ACCOUNT = AccountId("XNAS-001")
PATIENCE_SECONDS = 3600
PRICE = "100.00"


class Bench:
    """An engine with its cache, and a venue that tells what the cache has missed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.clock = LiveClock()
        self.bus = MessageBus(trader_id=TestIdStubs.trader_id(), clock=self.clock)
        self.cache = TestComponentStubs.cache()
        self.portfolio = Portfolio(msgbus=self.bus, cache=self.cache, clock=self.clock)
        self.engine = LiveExecutionEngine(
            loop=loop,
            msgbus=self.bus,
            cache=self.cache,
            clock=self.clock,
            config=LiveExecEngineConfig(),
        )
        self.client = MockLiveExecutionClient(
            loop=loop,
            client_id=ClientId(VENUE.value),
            venue=VENUE,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            instrument_provider=InstrumentProvider(),
            msgbus=self.bus,
            cache=self.cache,
            clock=self.clock,
        )
        self.engine.register_client(self.client)
        self.portfolio.update_account(TestEventStubs.margin_account_state(account_id=ACCOUNT))
        self.instruments = [
            TestInstrumentProvider.equity(symbol=f"S{number}", venue=VENUE.value)
            for number in range(SYMBOLS)
        ]
        for instrument in self.instruments:
            self.cache.add_instrument(instrument)

    def add_ghost(self, number: int) -> None:
        """A position that the cache has open and the venue has closed."""
        instrument = self.instruments[number % SYMBOLS]
        quantity = Quantity.from_int(100 + number // SYMBOLS)
        position_id = PositionId(f"P-{number}")
        entry = self._order(instrument, OrderSide.BUY, quantity, f"in-{number}")
        filled = TestEventStubs.order_filled(
            entry,
            instrument=instrument,
            account_id=ACCOUNT,
            venue_order_id=VenueOrderId(f"vin-{number}"),
            trade_id=TradeId(f"tin-{number}"),
            position_id=position_id,
            last_px=Price.from_str(PRICE),
        )
        entry.apply(filled)
        self.cache.update_order(entry)
        self.cache.add_position(Position(instrument=instrument, fill=filled), OmsType.HEDGING)
        exit_order = self._order(instrument, OrderSide.SELL, quantity, f"out-{number}")
        self.cache.add_position_id(
            position_id, VENUE, exit_order.client_order_id, exit_order.strategy_id
        )
        self._tell(instrument, quantity, number, position_id)

    def _order(
        self, instrument: Instrument, side: OrderSide, quantity: Quantity, name: str
    ) -> LimitOrder:
        order = TestExecStubs.limit_order(
            instrument=instrument,
            order_side=side,
            quantity=quantity,
            price=Price.from_str(PRICE),
            client_order_id=ClientOrderId(name),
        )
        self.cache.add_order(order)
        TestExecStubs.make_accepted_order(
            order, account_id=ACCOUNT, venue_order_id=VenueOrderId(f"v{name}")
        )
        self.cache.update_order(order)
        return order

    def _tell(
        self, instrument: Instrument, quantity: Quantity, number: int, position_id: PositionId
    ) -> None:
        """What the venue reports: the exit order is filled."""
        now = self.clock.timestamp_ns()
        names = {
            "account_id": ACCOUNT,
            "instrument_id": instrument.id,
            "client_order_id": ClientOrderId(f"out-{number}"),
            "venue_order_id": VenueOrderId(f"vout-{number}"),
            "venue_position_id": position_id,
            "order_side": OrderSide.SELL,
            "ts_init": now,
        }
        order = OrderStatusReport(
            **names,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            order_status=OrderStatus.FILLED,
            price=Price.from_str(PRICE),
            quantity=quantity,
            filled_qty=quantity,
            avg_px=Decimal(PRICE),
            report_id=UUID4(),
            ts_accepted=now,
            ts_last=now,
        )
        fill = FillReport(
            **names,
            trade_id=TradeId(f"tout-{number}"),
            last_qty=quantity,
            last_px=Price.from_str(PRICE),
            commission=Money(0, USD),
            liquidity_side=LiquiditySide.MAKER,
            report_id=UUID4(),
            ts_event=now,
        )
        self.client.add_order_status_report(order)
        self.client.add_fill_reports(order.venue_order_id, [fill])


def seconds(ghosts: int) -> float:
    """Seconds of the processor that one reconciliation of so many ghosts takes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    bench = Bench(loop)
    for number in range(ghosts):
        bench.add_ghost(number)
    gc.collect()
    before = bench.cache.positions_open_count()
    begun = time.process_time()
    whole = loop.run_until_complete(bench.engine.reconcile_execution_state(PATIENCE_SECONDS))
    taken = time.process_time() - begun
    after = bench.cache.positions_open_count()
    loop.close()
    if not whole or (before, after) != (ghosts, 0):
        raise SystemExit(f"of {ghosts} ghosts {before} were open before, {after} after: {whole}")
    return taken


def main() -> None:
    """Rounds of all sizes take turns."""
    rounds, *counts = map(int, sys.argv[1:])
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            taken[count].append(seconds(count))
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    main()
