"""Readers by CCXT exchange id; whatever has none is read by `generic`, which believes less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from unghost.adapters.exchange.connection import MarketType
from unghost.adapters.exchange.venues.binanceusdm import BinanceUsdmReader
from unghost.adapters.exchange.venues.generic import GenericReader
from unghost.adapters.exchange.venues.reader import VenueReader

READERS: Final[Mapping[str, Callable[[], VenueReader]]] = {"binanceusdm": BinanceUsdmReader}


def reader_for(exchange: str, market_type: MarketType) -> VenueReader:
    """The exchange's own reader where there is one, else the generic one."""
    own = READERS.get(exchange)
    return own() if own is not None else GenericReader(market_type)
