"""Kraken's futures v3: an envelope that says `success`, ISO times, numbers as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from tests.exchange.bodies import Asked, Row, TableFace, listed_at

from unghost.demo.venue.protocol import Json
from unghost.demo.world import Fill, FillKind, Listing, Market, to_ms

PAGE: Final = 100
KINDS: Final = {
    FillKind.TRADE: "taker",
    FillKind.LIQUIDATION: "liquidation",
    FillKind.ADL: "unwindCounterparty",
    FillKind.SETTLEMENT: "assignor",
}


def _spelled(market: Market) -> Listing:
    return Listing(venue="krakenfutures", native_id=f"PF_{market.base}USD")


MARKETS = tuple(
    market
    for market in listed_at("krakenfutures", _spelled, quote="USD")
    if market.base != "BTC"  # Called XBT there, which is the spelling's own business.
)


class KrakenFutures(TableFace):
    """No two sides, no fees."""

    name = "krakenfutures"
    prefix = "/derivatives/api/v3/"
    key_header = "APIKey"

    def table(self) -> Mapping[str, Callable[[Asked], Json]]:
        return {"instruments": _instruments, "openpositions": _positions, "fills": _fills}

    def rows(self, body: Json) -> list[Json] | None:
        if not isinstance(body, dict):
            return None
        return next((each for each in body.values() if isinstance(each, list)), None)


def _told(**lists: Json) -> Json:
    return {"result": "success", "serverTime": "2026-01-01T00:00:00.000Z", **lists}


def _instruments(asked: Asked) -> Json:
    return _told(
        instruments=[
            {
                "symbol": market.listings[0].native_id,
                "type": "flexible_futures",
                "tickSize": market.price_step,
                "contractSize": 1,
                "tradeable": True,
                "contractValueTradePrecision": 3,
            }
            for market in asked.world.listed("krakenfutures")
        ]
    )


def _positions(asked: Asked) -> Json:
    return _told(
        openPositions=[
            {
                "side": "long" if position.quantity > 0 else "short",
                "symbol": asked.world.market(position.symbol).listings[0].native_id,
                "price": position.entry_price,
                "fillTime": _iso(position.updated_at),
                "size": abs(position.quantity),
                "unrealizedFunding": 0,
            }
            for position in asked.world.positions(asked.account)
        ]
    )


def _fills(asked: Asked) -> Json:
    """The newest hundred of all contracts, or those before `lastFillTime`."""
    told = asked.params.get("lastFillTime")
    before = None if told is None else to_ms(datetime.fromisoformat(told))
    found = [
        fill
        for fill in reversed(asked.world.fills(asked.account))
        if before is None or fill.at < before
    ]
    return _told(fills=[_row(asked, fill) for fill in found[:PAGE]])


def _row(asked: Asked, fill: Fill) -> Row:
    row: Row = {
        "fill_id": str(fill.fill_id),
        "symbol": asked.world.market(fill.symbol).listings[0].native_id,
        "side": fill.side.value,
        "order_id": fill.order_id,
        "size": fill.quantity,
        "price": fill.price,
        "fillTime": _iso(fill.at),
        "fillType": KINDS[fill.kind],
    }
    is_own = fill.kind is FillKind.TRADE
    return {**row, "cliOrdId": fill.client_order_id} if is_own else row


def _iso(at: int) -> str:
    moment = datetime.fromtimestamp(at // 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
