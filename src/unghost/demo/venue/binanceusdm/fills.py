"""Fills, by time and by id."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from unghost.demo.venue.asking import WEEK_MS, RefusalError
from unghost.demo.venue.binanceusdm.asking import VENUE, Asked
from unghost.demo.venue.binanceusdm.spelling import numeral, upper
from unghost.demo.venue.binanceusdm.windows import window_of
from unghost.demo.venue.figures import money, plain, stepped
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import ZERO, Fill, Market


def user_trades(asked: Asked) -> Json:
    """GET userTrades: the fills of one market, oldest first; `fromId` goes without times."""
    market = asked.required_market()
    fills = asked.world.fills(asked.account, market.symbol, order_id=asked.text("orderId"))
    profits = asked.world.realized(asked.account, market.symbol)
    return [_trade_row(market, fill, profits.get(fill, ZERO)) for fill in _page(asked, fills)]


def _page(asked: Asked, fills: Sequence[Fill]) -> Sequence[Fill]:
    window = window_of(asked)
    from_id = asked.number("fromId")
    if from_id is not None:
        if asked.text("startTime") or asked.text("endTime"):
            raise RefusalError(400, -1128, "Combination of optional parameters invalid.")
        later = [fill for fill in fills if fill.fill_id >= from_id]
        return sorted(later, key=lambda fill: fill.fill_id)[: window.limit]
    if window.start is None:
        recent = [fill for fill in fills if window.end - WEEK_MS <= fill.at <= window.end]
        return recent[-window.limit :]
    return [fill for fill in fills if window.start <= fill.at <= window.end][: window.limit]


def _trade_row(market: Market, fill: Fill, realized: Decimal) -> Row:
    return {
        "symbol": market.listing(VENUE).native_id,
        "id": fill.fill_id,
        "orderId": numeral(fill.order_id),
        "side": upper(fill.side),
        "price": stepped(fill.price, market.price_step),
        "qty": stepped(fill.quantity, market.quantity_step),
        "realizedPnl": money(realized) if realized else "0",
        "marginAsset": market.quote,
        "quoteQty": plain(fill.quantity * fill.price),
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_currency,
        "time": fill.at,
        "positionSide": upper(fill.position_side),
        "buyer": fill.side == "buy",
        "maker": fill.maker,
    }
