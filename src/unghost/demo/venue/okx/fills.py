"""Fills, by the bill that each of them is."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from unghost.demo.venue.asking import DAY_MS, own_client_id
from unghost.demo.venue.figures import plain, short
from unghost.demo.venue.okx.asking import VENUE, Asked
from unghost.demo.venue.okx.spelling import LEG_NAMES, contracts, subtype
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import Fill

RECENT_FILLS_MS: Final = 3 * DAY_MS
ALL_FILLS_MS: Final = 90 * DAY_MS


def recent_fills(asked: Asked) -> list[Json]:
    """GET trade/fills: of the last three days."""
    return _fills(asked, RECENT_FILLS_MS)


def fills_history(asked: Asked) -> list[Json]:
    """GET trade/fills-history: of the last ninety days, of one type of instrument."""
    asked.required("instType")
    return _fills(asked, ALL_FILLS_MS)


def _fills(asked: Asked, depth_ms: int) -> list[Json]:
    """Newest bill first. `after` a bill come the older ones; `before` one the newest of all."""
    within, wanted = asked.within(depth_ms), asked.symbols()
    older, newer = asked.number("after"), asked.number("before")
    found = [
        fill
        for fill in asked.world.fills(asked.account, order_id=asked.text("ordId"))
        if fill.symbol in wanted
        and within(fill.at)
        and (older is None or fill.record_id < older)
        and (newer is None or fill.record_id > newer)
        and asked.text("subType") in (None, subtype(fill))
    ]
    found.sort(key=lambda fill: fill.record_id, reverse=True)
    return [_fill_row(asked, fill) for fill in found[: asked.limit()]]


def _fill_row(asked: Asked, fill: Fill) -> Row:
    market = asked.world.market(fill.symbol)
    profit = asked.world.legs(asked.account, fill.symbol)[fill].realized
    return {
        "instType": "SWAP",
        "instId": market.listing(VENUE).native_id,
        "tradeId": str(fill.fill_id),
        "ordId": fill.order_id,
        "clOrdId": own_client_id(fill),
        "billId": str(fill.record_id),
        "subType": subtype(fill),
        "tag": "",
        "side": fill.side.value,
        "posSide": LEG_NAMES[fill.position_side],
        "fillSz": contracts(market, fill.quantity),
        "fillPx": plain(fill.price),
        "fillPnl": short(profit),
        "fillIdxPx": plain(fill.price),
        "fillMarkPx": plain(fill.price),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "execType": "M" if fill.maker else "T",
        # Here a fee that was paid is below zero.
        "fee": short(-fill.fee),
        "feeCcy": fill.fee_currency,
        "feeRate": short((-fill.fee / (fill.quantity * fill.price)).quantize(Decimal("1e-8"))),
        "fillTime": str(fill.at),
        "ts": str(fill.at),
    }
