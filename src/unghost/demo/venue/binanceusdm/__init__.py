"""Binance USD-M futures as its REST clients know it: signatures, endpoints, windows, errors.

What the exchange leaves undocumented is decided so that a client may rely on less, never on more.
"""

from unghost.demo.venue.asking import Endpoint
from unghost.demo.venue.binanceusdm.asking import Asked
from unghost.demo.venue.binanceusdm.face import ENDPOINTS, BinanceUsdm

__all__ = ["ENDPOINTS", "Asked", "BinanceUsdm", "Endpoint"]
