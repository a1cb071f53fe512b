"""Orders: all, the open ones, one by its id, and those that the exchange made."""

from __future__ import annotations

from collections.abc import Sequence

from unghost.demo.venue.asking import WEEK_MS, RefusalError
from unghost.demo.venue.binanceusdm.asking import VENUE, Asked
from unghost.demo.venue.binanceusdm.spelling import numeral, upper
from unghost.demo.venue.binanceusdm.windows import window_of
from unghost.demo.venue.figures import cost_of, plain, quantity_of, stepped
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import FillKind, Order


def all_orders(asked: Asked) -> Json:
    """GET allOrders: oldest first; `orderId` starts at that order and leaves times aside."""
    one = asked.market()
    orders = asked.world.orders(asked.account, one.symbol if one else None)
    window = window_of(asked)
    first = asked.number("orderId")
    if first is not None:
        later = [o for o in orders if o.order_id.isdigit() and int(o.order_id) >= first]
        later.sort(key=lambda order: int(order.order_id))
        return _order_rows(asked, later[: window.limit])
    start = window.end - WEEK_MS if window.start is None else window.start
    found = [order for order in orders if start <= order.created_at <= window.end]
    kept = found[-window.limit :] if window.start is None else found[: window.limit]
    return _order_rows(asked, kept)


def open_orders(asked: Asked) -> Json:
    """GET openOrders: of one market or of all."""
    one = asked.market()
    symbol = one.symbol if one else None
    return _order_rows(asked, asked.world.orders(asked.account, symbol, open_only=True))


def one_order(asked: Asked) -> Json:
    """GET order: by `orderId` or `origClientOrderId`; -2013 where there is none."""
    return _order_row(asked, _found_order(asked, "Order does not exist."))


def one_open_order(asked: Asked) -> Json:
    """GET openOrder: as `one_order`, for an order still open."""
    order = _found_order(asked, "Order does not exist.")
    if not order.is_open:
        raise RefusalError(400, -2013, "Order does not exist.")
    return _order_row(asked, order)


def force_orders(asked: Asked) -> Json:
    """GET forceOrders: the account's liquidation and auto-deleveraging orders."""
    one = asked.market()
    forced = {"LIQUIDATION": FillKind.LIQUIDATION, "ADL": FillKind.ADL}
    kinds = set(forced.values())
    wanted = asked.text("autoCloseType")
    if wanted is not None:
        kinds &= {forced[wanted]} if wanted in forced else set()
    orders = asked.world.orders(asked.account, one.symbol if one else None)
    return _order_rows(asked, [order for order in orders if order.kind in kinds])


def _found_order(asked: Asked, otherwise: str) -> Order:
    market = asked.required_market()
    wanted, client = asked.text("orderId"), asked.text("origClientOrderId")
    if wanted is None and client is None:
        raise RefusalError(
            400,
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, both were empty.",
        )
    for order in asked.world.orders(asked.account, market.symbol):
        if wanted in (None, order.order_id) and client in (None, order.client_order_id):
            return order
    raise RefusalError(400, -2013, otherwise)


def _order_rows(asked: Asked, orders: Sequence[Order]) -> list[Json]:
    return [_order_row(asked, order) for order in orders]


def _order_row(asked: Asked, order: Order) -> Row:
    market = asked.world.market(order.symbol)
    fills = asked.world.fills_of(order)
    filled = quantity_of(fills)
    cost = cost_of(fills)
    is_limit = order.type == "limit" or order.kind is not FillKind.TRADE
    return {
        "orderId": numeral(order.order_id),
        "symbol": market.listing(VENUE).native_id,
        "status": upper(order.state),
        "clientOrderId": order.client_order_id,
        "price": stepped(order.price, market.price_step) if is_limit else "0",
        "avgPrice": plain(cost / filled) if filled else "0.00000",
        "origQty": stepped(order.quantity, market.quantity_step),
        "executedQty": stepped(filled, market.quantity_step),
        "cumQuote": plain(cost) if cost else "0",
        "timeInForce": "GTC" if order.kind is FillKind.TRADE else "IOC",
        "type": "LIMIT" if is_limit else "MARKET",
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": upper(order.side),
        "positionSide": upper(order.position_side),
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": "LIMIT" if is_limit else "MARKET",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": order.created_at,
        "updateTime": order.updated_at,
    }
