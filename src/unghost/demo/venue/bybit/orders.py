"""Orders, open and closed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from unghost.demo.venue.asking import own_client_id
from unghost.demo.venue.bybit.asking import VENUE, Asked, bad_parameter
from unghost.demo.venue.bybit.pages import Key, Line, listed, page_of, window_of
from unghost.demo.venue.bybit.spelling import (
    CREATE_TYPES,
    INDEX_OF_LEG,
    SIDE_NAMES,
    STATES,
    order_type,
)
from unghost.demo.venue.figures import cost_of, plain, quantity_of, short, stepped
from unghost.demo.venue.protocol import Row
from unghost.demo.world import ZERO, Order, OrderState

RECENT_ORDERS: Final = 500


def open_orders(asked: Asked) -> Row:
    """GET order/realtime: what is open; by an order's id, or with openOnly=1, what recently
    closed as well.
    """
    if not any(asked.text(name) for name in ("symbol", "settleCoin", "baseCoin")):
        raise bad_parameter("symbol, settleCoin or baseCoin is needed")
    found = _found_orders(asked)
    if asked.text("orderId") or asked.text("orderLinkId"):
        return _order_page(asked, found[:RECENT_ORDERS])
    if asked.text("openOnly") == "1":
        closed = [order for order in found if not order.is_open]
        return _order_page(asked, closed[:RECENT_ORDERS])
    return _order_page(asked, [order for order in found if order.is_open])


def order_history(asked: Asked) -> Row:
    """GET order/history: what is closed, newest first."""
    window, status = window_of(asked), asked.text("orderStatus")
    closed = [
        order
        for order in _found_orders(asked)
        if not order.is_open
        and window.holds(order.created_at)
        and status in (None, STATES[order.state])
    ]
    return _order_page(asked, closed)


def _found_orders(asked: Asked) -> list[Order]:
    """The orders that the parameters name, newest first."""
    if asked.category() != "linear":
        return []
    wanted, order_id, link = asked.symbols(), asked.text("orderId"), asked.text("orderLinkId")
    found = [
        order
        for order in asked.world.orders(asked.account)
        if order.symbol in wanted
        and order_id in (None, order.order_id)
        and (order_id is not None or link in (None, own_client_id(order)))
    ]
    return sorted(found, key=_order_key)


def _order_page(asked: Asked, orders: Sequence[Order]) -> Row:
    page = page_of(asked, default=20, most=50)
    return listed(
        asked,
        page,
        (Line(key=_order_key(each), make=partial(_order_row, asked, each)) for each in orders),
    )


def _order_key(order: Order) -> Key:
    return (-order.created_at, order.symbol, order.order_id)


def _order_row(asked: Asked, order: Order) -> Row:
    market = asked.world.market(order.symbol)
    fills = asked.world.fills_of(order)
    filled = quantity_of(fills)
    cost = cost_of(fills)
    fees: Row = {}
    for fill in fills:
        same = (each.fee for each in fills if each.fee_currency == fill.fee_currency)
        fees[fill.fee_currency] = plain(sum(same, ZERO))
    is_open = order.is_open
    return {
        "symbol": market.listing(VENUE).native_id,
        "orderId": order.order_id,
        "orderLinkId": own_client_id(order),
        "orderType": order_type(order),
        "orderStatus": STATES[order.state],
        "side": SIDE_NAMES[order.side],
        "positionIdx": INDEX_OF_LEG[order.position_side],
        "price": stepped(order.price, market.price_step),
        "qty": stepped(order.quantity, market.quantity_step),
        "leavesQty": short(order.quantity - filled) if is_open else "0",
        "leavesValue": short((order.quantity - filled) * order.price) if is_open else "0",
        "cumExecQty": stepped(filled, market.quantity_step) if filled else "0",
        "cumExecValue": short(cost),
        "cumExecFee": plain(sum((fill.fee for fill in fills), ZERO)),
        "cumFeeDetail": fees,
        "avgPrice": plain(cost / filled) if filled else "",
        "createType": CREATE_TYPES[order.kind],
        "cancelType": "UNKNOWN" if order.state is OrderState.FILLED or is_open else "CancelByUser",
        "rejectReason": "EC_NoError",
        "timeInForce": "GTC" if order_type(order) == "Limit" else "IOC",
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": False,
        "stopOrderType": "",
        "triggerPrice": "",
        "triggerDirection": 0,
        "triggerBy": "",
        "takeProfit": "",
        "stopLoss": "",
        "tpslMode": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "isLeverage": "",
        "orderIv": "",
        "placeType": "",
        "blockTradeId": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "lastPriceOnCreated": plain(order.price),
        "createdTime": str(order.created_at),
        "updatedTime": str(order.updated_at),
    }
