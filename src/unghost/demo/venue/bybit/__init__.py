"""Bybit v5 as its REST clients know it: headers that sign, cursor pages, windows, return codes.

Linear contracts are traded; the spot markets are only named, because a native id there is the
same as a linear one's. What the exchange leaves undocumented is decided so that a client may
rely on less, never on more.
"""

from unghost.demo.venue.bybit.face import Bybit
from unghost.demo.venue.bybit.spelling import execution_id

__all__ = ["Bybit", "execution_id"]
