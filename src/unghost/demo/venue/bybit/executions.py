"""Executions: fills of every kind, and the funding that is told among them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from zlib import crc32

from unghost.demo.venue.asking import own_client_id
from unghost.demo.venue.bybit.asking import VENUE, Asked, bad_parameter
from unghost.demo.venue.bybit.pages import Key, Line, listed, page_of, window_of
from unghost.demo.venue.bybit.spelling import (
    CREATE_TYPES,
    EXEC_TYPES,
    FUNDING,
    SIDE_NAMES,
    direction,
    execution_id,
    order_type,
)
from unghost.demo.venue.figures import plain, quantity_of, short, stepped
from unghost.demo.venue.protocol import Row
from unghost.demo.world import Fill, Funding, Market


def execution_list(asked: Asked) -> Row:
    """GET execution/list: newest first, in no order within a millisecond, funding among it."""
    page, window = page_of(asked, default=50, most=100), window_of(asked)
    if asked.category() != "linear":
        return listed(asked, page, [])
    wanted, exec_type = asked.symbols(), asked.text("execType")
    if exec_type not in {None, FUNDING, *EXEC_TYPES.values()}:
        raise bad_parameter("execType invalid")
    found = [
        each
        for each in _executions(asked)
        if window.holds(each.at) and each.symbol in wanted and exec_type in (None, _exec_type(each))
    ]
    book = _Book(asked)
    return listed(
        asked,
        page,
        (Line(key=_execution_key(each), make=partial(book.row, each)) for each in found),
    )


def _executions(asked: Asked) -> Sequence[Fill | Funding]:
    """Fills and funding; by an order's id only its fills."""
    order_id, link = asked.text("orderId"), asked.text("orderLinkId")
    fills = asked.world.fills(asked.account, order_id=order_id)
    if order_id is not None:
        return fills
    if link is not None:
        return [fill for fill in fills if link == own_client_id(fill)]
    return [*fills, *asked.world.fundings(asked.account)]


def _exec_type(each: Fill | Funding) -> str:
    return FUNDING if isinstance(each, Funding) else EXEC_TYPES[each.kind]


def _execution_key(each: Fill | Funding) -> Key:
    return (-each.at, crc32(str(each.record_id).encode()), each.record_id)


class _Book:
    """The rows of executions, with what their orders and legs tell about them."""

    def __init__(self, asked: Asked) -> None:
        self._world = asked.world
        self._account = asked.account
        self._orders = {
            (order.symbol, order.order_id): order for order in asked.world.orders(asked.account)
        }

    def row(self, each: Fill | Funding) -> Row:
        """One row of the list."""
        market = self._world.market(each.symbol)
        return (
            self._funding(market, each) if isinstance(each, Funding) else self._fill(market, each)
        )

    def _fill(self, market: Market, fill: Fill) -> Row:
        order = self._orders[fill.symbol, fill.order_id]
        filled = quantity_of(self._world.fills_of(order))
        closed = self._world.legs(self._account, fill.symbol)[fill].closed
        return {
            **_execution_row(market, fill),
            "orderId": fill.order_id,
            "orderLinkId": own_client_id(fill),
            "side": SIDE_NAMES[fill.side],
            "orderPrice": stepped(order.price, market.price_step),
            "orderQty": stepped(order.quantity, market.quantity_step),
            "leavesQty": stepped(order.quantity - filled, market.quantity_step),
            "createType": CREATE_TYPES[fill.kind],
            "orderType": order_type(order),
            "execFee": plain(fill.fee),
            "execId": execution_id(fill.fill_id),
            "execPrice": stepped(fill.price, market.price_step),
            "execQty": stepped(fill.quantity, market.quantity_step),
            "execValue": plain(fill.quantity * fill.price),
            "feeRate": short((fill.fee / (fill.quantity * fill.price)).quantize(Decimal("1e-8"))),
            "feeCurrency": "" if fill.fee_currency == market.quote else fill.fee_currency,
            "isMaker": fill.maker,
            "closedSize": short(closed),
        }

    def _funding(self, market: Market, funding: Funding) -> Row:
        size = abs(funding.quantity)
        return {
            **_execution_row(market, funding),
            "orderId": execution_id(funding.record_id),
            "orderLinkId": "",
            "side": direction(funding.quantity),
            "orderPrice": "0",
            "orderQty": "0",
            "leavesQty": "0",
            "createType": "",
            "orderType": "UNKNOWN",
            "execFee": plain(funding.fee),
            "execId": execution_id(funding.record_id),
            "execPrice": plain(funding.price),
            "execQty": stepped(size, market.quantity_step),
            "execValue": plain(size * funding.price),
            "feeRate": plain(funding.rate),
            "feeCurrency": "",
            "isMaker": False,
            "closedSize": "0",
        }


def _execution_row(market: Market, each: Fill | Funding) -> Row:
    """What fills and funding have in common."""
    return {
        "symbol": market.listing(VENUE).native_id,
        "stopOrderType": "UNKNOWN",
        "execTime": str(each.at),
        "execType": _exec_type(each),
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(each.price),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "marketUnit": "",
        "extraFees": "",
        "seq": each.at,
    }
