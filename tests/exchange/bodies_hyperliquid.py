"""Hyperliquid's `info`: one path, and the type of the question in the body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.exchange.bodies import Asked, Row, TableFace, listed_at

from unghost.demo.venue.figures import LEVERAGE, plain, short, valued
from unghost.demo.venue.protocol import Json
from unghost.demo.world import ZERO, Fill, FillKind, Listing, Market, Side

PAGE: Final = 2000
KEPT: Final = 10_000
WORDS: Final = {FillKind.ADL: "Auto-Deleveraging", FillKind.SETTLEMENT: "Settlement"}


def _spelled(market: Market) -> Listing:
    return Listing(venue="hyperliquid", native_id=market.base)


MARKETS = listed_at("hyperliquid", _spelled, quote="USDC")


class Hyperliquid(TableFace):
    """Nothing is signed: the body names the account by its address."""

    name = "hyperliquid"
    prefix = "/info"
    key_header = "none"

    def table(self) -> Mapping[str, Callable[[Asked], Json]]:
        return {"": _info}

    def rows(self, body: Json) -> list[Json] | None:
        if isinstance(body, dict):
            found = body.get("assetPositions")
            return found if isinstance(found, list) else None
        return body if isinstance(body, list) else None


def _info(asked: Asked) -> Json:
    address = asked.params.get("user", "")
    known = Asked(
        world=asked.world,
        params=asked.params,
        now_ms=asked.now_ms,
        caller=asked.world.account_of_key(address),
    )
    return QUESTIONS[asked.params["type"]](known)


def _meta(asked: Asked) -> Json:
    markets = asked.world.listed("hyperliquid")
    universe: list[Json] = [
        {"name": market.base, "szDecimals": 3, "maxLeverage": 50} for market in markets
    ]
    figures: list[Json] = [{"markPx": plain(market.reference_price)} for market in markets]
    return [{"universe": universe}, figures]


def _role(asked: Asked) -> Json:
    return {"role": "missing" if asked.caller is None else "user"}


def _state(asked: Asked) -> Json:
    rows: list[Json] = []
    total = ZERO
    for position in () if asked.caller is None else asked.world.positions(asked.account):
        market = asked.world.market(position.symbol)
        leg = valued(asked.world, market, position)
        total += abs(leg.notional)
        rows.append(
            {
                "type": "oneWay",
                "position": {
                    "coin": market.base,
                    "szi": plain(position.quantity),
                    "entryPx": plain(leg.entry_price),
                    "positionValue": plain(abs(leg.notional)),
                    "unrealizedPnl": short(leg.profit),
                    "leverage": {"type": "cross", "value": LEVERAGE},
                    "marginUsed": plain(leg.margin),
                    "liquidationPx": None,
                },
            }
        )
    summary: Row = {"accountValue": "1000.0", "totalNtlPos": plain(total)}
    return {"marginSummary": summary, "assetPositions": rows, "time": asked.now_ms}


def _fills(asked: Asked) -> Json:
    if asked.caller is None:
        return []
    start = asked.number("startTime", 0)
    kept = [fill for fill in asked.world.fills(asked.account)[-KEPT:] if fill.at >= start]
    return [_row(asked, fill) for fill in kept[:PAGE]]


def _row(asked: Asked, fill: Fill) -> Row:
    leg = asked.world.legs(asked.account, fill.symbol)[fill]
    row: Row = {
        "coin": asked.world.market(fill.symbol).base,
        "px": plain(fill.price),
        "sz": plain(fill.quantity),
        "side": "B" if fill.side is Side.BUY else "A",
        "time": fill.at,
        "startPosition": plain(leg.quantity - fill.signed_quantity),
        "dir": WORDS.get(fill.kind, _direction(fill)),
        "closedPnl": short(leg.realized),
        "hash": "0x0",
        "oid": int(fill.order_id),
        "crossed": not fill.maker,
        "fee": plain(fill.fee),
        "feeToken": fill.fee_currency,
        "tid": fill.fill_id,
        "twapId": None,
    }
    if fill.kind is FillKind.TRADE:
        return {**row, "cloid": fill.client_order_id}
    if fill.kind is FillKind.LIQUIDATION:
        marks: Row = {"liquidatedUser": asked.account.api_key, "markPx": plain(fill.price)}
        return {**row, "liquidation": {**marks, "method": "market"}}
    return row


def _direction(fill: Fill) -> str:
    return "Open Long" if fill.side is Side.BUY else "Close Long"


QUESTIONS: Final[Mapping[str, Callable[[Asked], Json]]] = {
    "metaAndAssetCtxs": _meta,
    "userRole": _role,
    "clearinghouseState": _state,
    "userFillsByTime": _fills,
    "exchangeStatus": lambda asked: {"specialStatuses": None, "time": asked.now_ms},
}
