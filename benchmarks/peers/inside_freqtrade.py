"""Runs in an environment that has freqtrade, and prints seconds by number of ghosts as JSON.

    python inside_freqtrade.py ROUNDS COUNT [COUNT ...]

A ghost is, in its words, an open trade whose exit order is open in its books while the exchange has
filled it. `FreqtradeBot.startup_update_open_orders`, which the bot calls when it starts, asks the
exchange for each open order and books what it is told. Its books are its own SQLite file, its
wallets and pair locks are its own code; the exchange answers from memory, and no message is sent.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from freqtrade.enums import CandleType, MarginMode, TradingMode
from freqtrade.exchange import Exchange
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Order, PairLocks, Trade, init_db
from freqtrade.plugins.protectionmanager import ProtectionManager
from freqtrade.rpc import RPCManager
from freqtrade.strategy import IStrategy
from freqtrade.wallets import Wallets

SYMBOLS = 50
PRICE = 100.0
FEE = 0.001
OPENED = datetime.now(UTC) - timedelta(hours=2)
CONFIG: dict[str, Any] = {
    "dry_run": False,
    "exchange": {"name": "binance"},
    "stake_currency": "USDT",
    "stake_amount": PRICE,
    "max_open_trades": float("inf"),
    "tradable_balance_ratio": 1.0,
    "dry_run_wallet": 1e9,
    "timeframe": "5m",
    "trading_mode": TradingMode.SPOT,
    "candle_type_def": CandleType.SPOT,
}


class InMemory(Exchange):
    """An exchange that knows every order as filled; all that reckons is freqtrade's own."""

    def __init__(self) -> None:
        self._config = CONFIG
        self.trading_mode = TradingMode.SPOT
        self.margin_mode = MarginMode.NONE
        self._markets = {
            pair: {"symbol": pair, "base": pair.partition("/")[0], "quote": "USDT"}
            for pair in map(_pair, range(SYMBOLS))
        }

    def __del__(self) -> None:
        """There is no connection to close."""

    def get_balances(self, *_: object, **__: object) -> dict[str, Any]:
        """Enough of everything; the wallets ask again after each order."""
        return {"USDT": {"free": 1e9, "used": 0.0, "total": 1e9}}

    def fetch_order_or_stoploss_order(self, order_id: str, pair: str, *_: object) -> dict[str, Any]:
        """The exit order, filled."""
        return _order(order_id, pair, "sell", "closed")


class Quiet(IStrategy):
    """A strategy that never trades."""

    timeframe = "5m"
    stoploss = -0.5
    minimal_roi = {"0": 10.0}  # noqa: RUF012 - the name and the sort are freqtrade's

    def populate_indicators(self, dataframe: object, *_: object, **__: object) -> object:
        """What a strategy must have."""
        return dataframe


class Silent(FreqtradeBot):
    """A bot that tells nobody of an exit; the message would ask for a ticker first."""

    def __init__(self) -> None:
        """What a live bot has at that point of its start, without what talks to the outside."""
        self.config = CONFIG
        self.trading_mode = TradingMode.SPOT
        self.margin_mode = MarginMode.NONE
        self.exchange = InMemory()
        self.strategy = Quiet(CONFIG)
        self.wallets = Wallets(CONFIG, self.exchange)
        self.strategy.wallets = self.wallets
        self.rpc = RPCManager(self)
        self.protections = ProtectionManager(CONFIG, [])

    def _notify_exit(self, *_: object, **__: object) -> None:
        """Say nothing."""


def _pair(number: int) -> str:
    return f"S{number % SYMBOLS}/USDT"


def _order(order_id: str, pair: str, side: str, status: str) -> dict[str, Any]:
    filled = 1.0 if status == "closed" else 0.0
    moment = OPENED + timedelta(hours=1 if side == "sell" else 0)
    return {
        "id": order_id,
        "symbol": pair,
        "side": side,
        "type": "limit",
        "status": status,
        "price": PRICE,
        "average": PRICE,
        "amount": 1.0,
        "filled": filled,
        "remaining": 1.0 - filled,
        "cost": PRICE * filled,
        "fee": {"cost": PRICE * FEE, "currency": "USDT", "rate": FEE},
        "timestamp": int(moment.timestamp() * 1000),
        "lastTradeTimestamp": int(moment.timestamp() * 1000),
        "datetime": moment.isoformat(),
    }


def _add_ghost(number: int) -> None:
    """A trade that is open in the books, with an exit order that was never heard of again."""
    pair = _pair(number)
    trade = Trade(
        pair=pair,
        base_currency=pair.partition("/")[0],
        stake_currency="USDT",
        exchange="binance",
        stake_amount=PRICE,
        amount=1.0,
        amount_requested=1.0,
        open_rate=PRICE,
        open_date=OPENED,
        fee_open=FEE,
        fee_close=FEE,
        strategy="Quiet",
        trading_mode=TradingMode.SPOT,
        is_open=True,
    )
    known = (("in", "buy", "closed"), ("out", "sell", "open"))
    for word, side, status in known:
        told = _order(f"{word}-{number}", pair, side, status)
        order = Order.parse_from_ccxt_object(told, pair, side)
        order.ft_is_open = status == "open"
        trade.orders.append(order)
    trade.recalc_open_trade_value()
    Trade.session.add(trade)


def seconds(ghosts: int) -> float:
    """Seconds of the processor that it takes to book the exits of so many ghosts."""
    with tempfile.TemporaryDirectory() as folder:
        init_db(f"sqlite:///{Path(folder) / 'books.sqlite'}")
        PairLocks.timeframe = CONFIG["timeframe"]
        for number in range(ghosts):
            _add_ghost(number)
        Trade.commit()
        Trade.session.expunge_all()
        bot = Silent()
        gc.collect()
        before = Trade.get_open_trade_count()
        begun = time.process_time()
        bot.startup_update_open_orders()
        taken = time.process_time() - begun
        after = Trade.get_open_trade_count()
        Trade.session.remove()
    if (before, after) != (ghosts, 0):
        raise SystemExit(f"of {ghosts} ghosts {before} were open before, {after} after")
    return taken


def main() -> None:
    """Rounds of all sizes take turns."""
    logging.disable(logging.CRITICAL)
    rounds, *counts = map(int, sys.argv[1:])
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            taken[count].append(seconds(count))
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    main()
