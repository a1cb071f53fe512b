"""Readers by CCXT exchange id and market type; `generic`, which believes less, reads the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from unghost.adapters.exchange.connection import MarketType
from unghost.adapters.exchange.venues.binance_margin import BinanceMarginReader
from unghost.adapters.exchange.venues.binance_spot import BinanceSpotReader
from unghost.adapters.exchange.venues.binanceusdm import BinanceUsdmReader
from unghost.adapters.exchange.venues.bitget import BitgetReader
from unghost.adapters.exchange.venues.bybit import BybitReader
from unghost.adapters.exchange.venues.coinbase_spot import CoinbaseSpotReader
from unghost.adapters.exchange.venues.gate import GateReader
from unghost.adapters.exchange.venues.generic import GenericReader
from unghost.adapters.exchange.venues.hyperliquid import HyperliquidReader
from unghost.adapters.exchange.venues.kraken_spot import KrakenSpotReader
from unghost.adapters.exchange.venues.krakenfutures import KrakenFuturesReader
from unghost.adapters.exchange.venues.okx import OkxReader
from unghost.adapters.exchange.venues.reader import VenueReader

READERS: Final[Mapping[tuple[str, MarketType], Callable[[], VenueReader]]] = {
    ("binance", "margin"): BinanceMarginReader,
    ("binance", "spot"): BinanceSpotReader,
    ("binanceusdm", "swap"): BinanceUsdmReader,
    ("bybit", "swap"): BybitReader,
    ("okx", "swap"): OkxReader,
    ("bitget", "swap"): BitgetReader,
    ("gate", "swap"): GateReader,
    ("hyperliquid", "swap"): HyperliquidReader,
    ("krakenfutures", "swap"): KrakenFuturesReader,
    ("coinbase", "spot"): CoinbaseSpotReader,
    ("kraken", "spot"): KrakenSpotReader,
}


def reader_for(exchange: str, market_type: MarketType) -> VenueReader:
    """The exchange's own reader for that type of market where there is one, else the generic."""
    own = READERS.get((exchange, market_type))
    return own() if own is not None else GenericReader(market_type)
