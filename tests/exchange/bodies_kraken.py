"""Kraken's spot: objects by name in an envelope, old names of assets, times in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, ItemsView, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from tests.exchange.bodies import Asked, Row, TableFace

from unghost.demo.venue.binance_spot import SPOT_MARKETS, holdings
from unghost.demo.venue.figures import money, plain
from unghost.demo.venue.protocol import Json
from unghost.demo.world import Fill, Listing, Market

VENUE: Final = "kraken"
PAGE: Final = 50
OLD: Final = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD"}
LATER: Final = Decimal("0.0002")
"""Seconds: times are told finer than a millisecond."""


def _spelled(market: Market) -> Listing:
    old = market.base in OLD
    native_id = f"{OLD[market.base]}ZUSD" if old else f"{market.base}USD"
    return Listing(venue=VENUE, native_id=native_id)


MARKETS: Final = tuple(
    replace(market, symbol=f"{market.base}/USD", quote="USD", listings=(_spelled(market),))
    for market in SPOT_MARKETS
)


class ByName(dict[str, Json]):
    """An object of rows, kept as a list that faults may change, and sent by name.

    A row that is there twice is sent as a variant of itself: an object has no name twice.
    """

    def __init__(self, rows: Sequence[tuple[str, Row]]) -> None:
        super().__init__()
        self.names = {id(row): name for name, row in rows}
        self.first = rows[0][0] if rows else ""
        self.rows: list[Json] = [row for _, row in rows]

    def items(self) -> ItemsView[str, Json]:
        seen, sent = Counter[str](), dict[str, Json]()
        for row in self.rows:
            name = self.names.get(id(row), self.first)
            sent[f"{name}.F" if seen[name] else name] = row
            seen[name] += 1
        return sent.items()


class Kraken(TableFace):
    """Spot alone."""

    name = VENUE
    prefix = "/0/"
    key_header = "API-Key"

    def table(self) -> Mapping[str, Callable[[Asked], Json]]:
        return {
            "public/AssetPairs": _pairs,
            "public/Time": lambda asked: _result({"unixtime": asked.now_ms // 1000, "rfc1123": ""}),
            "private/BalanceEx": _balances,
            "private/TradesHistory": _trades,
            "private/QueryOrders": _orders,
            "private/GetApiKeyInfo": _key,
        }

    def rows(self, body: Json) -> list[Json] | None:
        result = body.get("result") if isinstance(body, dict) else None
        named = result.get("trades", result) if isinstance(result, dict) else None
        return named.rows if isinstance(named, ByName) else None


def _result(told: Json) -> Json:
    return {"error": [], "result": told}


def _pairs(asked: Asked) -> Json:
    return _result({_native(market): _pair(market) for market in asked.world.listed(VENUE)})


def _native(market: Market) -> str:
    return market.listing(VENUE).native_id


def _pair(market: Market) -> Row:
    short = "XBT" if market.base == "BTC" else market.base
    return {
        "altname": f"{short}USD",
        "wsname": f"{short}/USD",
        "aclass_base": "currency",
        "base": OLD.get(market.base, market.base),
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "pair_decimals": 2,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [],
        "fees_maker": [],
        "fee_volume_currency": "ZUSD",
        "ordermin": plain(market.quantity_step),
        "status": "online",
    }


def _balances(asked: Asked) -> Json:
    held = holdings(asked.world, asked.account, VENUE)
    assets = {market.base for market in asked.world.listed(VENUE)} | held.keys()
    return _result(
        ByName(
            [
                (OLD.get(asset, asset), {"balance": money(held[asset]), "hold_trade": "0"})
                for asset in sorted(assets)
            ]
        )
    )


def _trades(asked: Asked) -> Json:
    """The account's, newest first, by offset; `start` is left out, `end` is not."""
    start, end = (Decimal(asked.params[name]) for name in ("start", "end"))
    offset = asked.number("ofs", 0)
    fills = reversed(asked.world.fills(asked.account))
    inside = [fill for fill in fills if start < _seconds(fill) <= end]
    page = [(f"T{fill.fill_id}", _trade(asked, fill)) for fill in inside[offset : offset + PAGE]]
    return _result({"trades": ByName(page), "count": len(inside)})


def _seconds(fill: Fill) -> Decimal:
    return Decimal(fill.at) / 1000 + LATER


def _trade(asked: Asked, fill: Fill) -> Row:
    return {
        "ordertxid": fill.order_id,
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": _native(asked.world.market(fill.symbol)),
        "time": _seconds(fill),
        "type": fill.side.value,
        "ordertype": "limit",
        "price": plain(fill.price),
        "cost": plain(fill.price * fill.quantity),
        "fee": plain(fill.fee),
        "vol": plain(fill.quantity),
        "margin": "0.00000",
        "misc": "",
        "maker": fill.maker,
    }


def _orders(asked: Asked) -> Json:
    wanted = asked.params["txid"].split(",")
    return _result(
        {
            order.order_id: {"status": "closed", "cl_ord_id": order.client_order_id}
            for order in asked.world.orders(asked.account)
            if order.order_id in wanted
        }
    )


def _key(asked: Asked) -> Json:
    return _result({"permissions": ["query-funds"], "iban": str(asked.account.uid)})
