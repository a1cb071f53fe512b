"""Binance's cross margin account: as its spot, with what is owed beside what is owned.

What is sold beyond what is held is owed, as an automatic loan would have it. The loans themselves
are not told here; `test_binance_margin.py` tells them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from tests.exchange.bodies import Row

from unghost.demo.venue import binance_spot
from unghost.demo.venue.binance_spot import BinanceSpot
from unghost.demo.venue.binanceusdm import Asked, Endpoint
from unghost.demo.venue.figures import money
from unghost.demo.venue.protocol import Json
from unghost.demo.world import ZERO

PUBLIC: Final = ("/api/v3/ping", "/api/v3/time", "/api/v3/exchangeInfo")


def _account(asked: Asked) -> Json:
    held = binance_spot.holdings(asked.world, asked.account)
    listed = asked.world.listed(binance_spot.VENUE)
    assets = {each.base for each in listed} | {each.quote for each in listed} | held.keys()
    return {
        "tradeEnabled": True,
        "userAssets": [
            {
                "asset": each,
                "free": money(max(held[each], ZERO)),
                "locked": money(ZERO),
                "borrowed": money(max(-held[each], ZERO)),
                "interest": money(ZERO),
                "netAsset": money(held[each]),
            }
            for each in sorted(assets)
        ],
    }


def _my_trades(asked: Asked) -> Json:
    rows = binance_spot.my_trades(asked)
    assert isinstance(rows, list)
    return [_crossed(row) for row in rows]


def _crossed(row: Json) -> Row:
    assert isinstance(row, dict)
    return {**row, "isIsolated": False}


def _no_debts(_: Asked) -> Json:
    return {"rows": [], "total": 0}


def _rights(_: Asked) -> Json:
    return {"enableReading": True, "enableMargin": False}


class BinanceMargin(BinanceSpot):
    """The face of a cross margin account."""

    endpoints: ClassVar[Mapping[tuple[str, str], Endpoint]] = {
        **{("GET", path): binance_spot.ENDPOINTS["GET", path] for path in PUBLIC},
        ("GET", "/sapi/v1/margin/account"): Endpoint(answer=_account),
        ("GET", "/sapi/v1/margin/myTrades"): Endpoint(answer=_my_trades),
        ("GET", "/sapi/v1/margin/allOrders"): Endpoint(answer=binance_spot.all_orders),
        ("GET", "/sapi/v1/margin/borrow-repay"): Endpoint(answer=_no_debts),
        ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(answer=_rights),
    }

    def owns(self, path: str) -> bool:
        return path.startswith(("/api/v3/", "/sapi/v1/"))

    def rows(self, body: Json) -> list[Json] | None:
        inner = body.get("userAssets", body.get("rows")) if isinstance(body, dict) else None
        return inner if isinstance(inner, list) else super().rows(body)
