"""Bitget's mix v2: an envelope with a code; in hedge mode `side` is the side of the position."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.exchange.bodies import Asked, Row, TableFace, listed_at

from unghost.demo.venue.figures import plain, short, valued
from unghost.demo.venue.protocol import Json
from unghost.demo.world import Fill, FillKind, Listing, Market, PositionSide, Side

PAGE: Final = 100
WEEK_MS: Final = 7 * 24 * 3600 * 1000
KEPT_MS: Final = 90 * 24 * 3600 * 1000
HEDGED: Final = {
    FillKind.LIQUIDATION: "burst_close_{leg}",
    FillKind.ADL: "dte_sys_adl_close_{leg}",
    FillKind.SETTLEMENT: "delivery_close_{leg}",
}
ONE_WAY: Final = {
    FillKind.TRADE: "{side}_single",
    FillKind.LIQUIDATION: "burst_{side}_single",
    FillKind.ADL: "dte_sys_adl_{side}_in_single_side_mode",
    FillKind.SETTLEMENT: "delivery_{side}_single",
}


def _spelled(market: Market) -> Listing:
    return Listing(venue="bitget", native_id=f"{market.base}USDT")


MARKETS = listed_at("bitget", _spelled)


class Bitget(TableFace):
    """A classic account, with futures that settle in USDT."""

    name = "bitget"
    prefix = "/api/v2/"
    key_header = "ACCESS-KEY"

    def table(self) -> Mapping[str, Callable[[Asked], Json]]:
        return {
            "public/time": lambda asked: _told({"serverTime": str(asked.now_ms)}),
            "mix/market/contracts": _contracts,
            "mix/position/all-position": _positions,
            "mix/order/fills": _fills,
            "mix/order/orders-history": _orders,
            "spot/account/info": _account,
        }

    def rows(self, body: Json) -> list[Json] | None:
        data = body.get("data") if isinstance(body, dict) else None
        if isinstance(data, dict):
            data = next((each for each in data.values() if isinstance(each, list)), None)
        return data if isinstance(data, list) else None

    def stranger(self, why: str) -> Json:
        return {"code": "40012", "msg": why, "data": None}


def _told(data: Json) -> Json:
    return {"code": "00000", "msg": "success", "requestTime": 1, "data": data}


def _contracts(asked: Asked) -> Json:
    is_usdt = asked.params["productType"] == "USDT-FUTURES"
    return _told(
        [
            {
                "symbol": market.listings[0].native_id,
                "baseCoin": market.base,
                "quoteCoin": market.quote,
                "supportMarginCoins": [market.quote],
                "symbolType": "perpetual",
                "symbolStatus": "normal",
                "pricePlace": "4",
                "volumePlace": "3",
                "priceEndStep": "1",
                "sizeMultiplier": plain(market.quantity_step),
                "minTradeNum": plain(market.quantity_step),
            }
            for market in (asked.world.listed("bitget") if is_usdt else ())
        ]
    )


def _mode(side: PositionSide) -> str:
    return "one_way_mode" if side is PositionSide.BOTH else "hedge_mode"


def _positions(asked: Asked) -> Json:
    rows: list[Json] = []
    for position in asked.world.positions(asked.account):
        market = asked.world.market(position.symbol)
        leg = valued(asked.world, market, position)
        rows.append(
            {
                "symbol": market.listings[0].native_id,
                "marginCoin": market.quote,
                "holdSide": "long" if position.quantity > 0 else "short",
                "posMode": _mode(position.position_side),
                "total": plain(abs(position.quantity)),
                "available": plain(abs(position.quantity)),
                "locked": "0",
                "leverage": "20",
                "marginMode": "crossed",
                "marginSize": plain(leg.margin),
                "openPriceAvg": plain(leg.entry_price),
                "markPrice": plain(leg.mark_price),
                "unrealizedPL": short(leg.profit),
                "keepMarginRate": "0.004",
                "liquidationPrice": "0",
                "cTime": str(position.updated_at),
            }
        )
    return _told(rows)


def _page(asked: Asked, fills: Sequence[Fill], name: str, id_of: Callable[[Fill], int]) -> Json:
    """One page of what lies in the window, newest id first, with the id that ends it."""
    first, last = asked.number("startTime", 0), asked.number("endTime", asked.now_ms)
    if last - first > WEEK_MS:
        raise KeyError("The time range is more than 7 days")
    below = asked.number("idLessThan", 0)
    found = [
        fill
        for fill in fills
        if max(first, asked.now_ms - KEPT_MS) <= fill.at <= last
        and (not below or id_of(fill) < below)
    ]
    found.sort(key=id_of, reverse=True)
    page = found[: min(asked.number("limit", PAGE), PAGE)]
    if not page:
        return _told({name: None, "endId": None})
    row = _fill if name == "fillList" else _order
    return _told({name: [row(asked, each) for each in page], "endId": str(id_of(page[-1]))})


def _fills(asked: Asked) -> Json:
    fills = asked.world.fills(asked.account, asked.params["symbol"])
    return _page(asked, fills, "fillList", lambda fill: fill.record_id)


def _orders(asked: Asked) -> Json:
    fills = asked.world.fills(asked.account, asked.params["symbol"])
    first_of = {fill.order_id: fill for fill in reversed(fills)}
    return _page(asked, [*first_of.values()], "entrustedList", lambda fill: int(fill.order_id))


def _order(asked: Asked, fill: Fill) -> Row:
    return {
        "symbol": asked.world.market(fill.symbol).listings[0].native_id,
        "orderId": fill.order_id,
        "clientOid": fill.client_order_id,
        "cTime": str(fill.at),
    }


def _fill(asked: Asked, fill: Fill) -> Row:
    return {
        "tradeId": str(fill.record_id),
        "symbol": asked.world.market(fill.symbol).listings[0].native_id,
        "orderId": fill.order_id,
        "price": plain(fill.price),
        "baseVolume": plain(fill.quantity),
        "quoteVolume": plain(fill.quantity * fill.price),
        "feeDetail": [
            {
                "deduction": "no",
                "feeCoin": fill.fee_currency,
                "totalDeductionFee": None,
                "totalFee": plain(-fill.fee),
            }
        ],
        **_deed(asked, fill),
        "posMode": _mode(fill.position_side),
        "tradeScope": "maker" if fill.maker else "taker",
        "profit": "0",
        "enterPointSource": "api",
        "cTime": str(fill.at),
    }


def _deed(asked: Asked, fill: Fill) -> Row:
    if fill.position_side is PositionSide.BOTH:
        return {"side": fill.side.value, "tradeSide": ONE_WAY[fill.kind].format(side=fill.side)}
    closed = asked.world.legs(asked.account, fill.symbol)[fill].closed
    usual = "close" if closed else "open"
    held = Side.BUY if fill.position_side is PositionSide.LONG else Side.SELL
    words = HEDGED.get(fill.kind, usual).format(leg=fill.position_side)
    return {"side": held.value, "tradeSide": words}


def _account(asked: Asked) -> Json:
    rights: list[Json] = ["coor", "stor"] if asked.account.read_only else ["coor", "coow"]
    return _told({"userId": str(asked.account.uid), "authorities": rights})
