"""Orders, open and closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from unghost.demo.venue.asking import DAY_MS, RefusalError, own_client_id
from unghost.demo.venue.figures import LEVERAGE, cost_of, plain, quantity_of, short
from unghost.demo.venue.okx.asking import VENUE, Asked, bad_parameter
from unghost.demo.venue.okx.spelling import (
    CATEGORIES,
    LEG_NAMES,
    STATES,
    contracts,
)
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import ZERO, Fill, Market, Order, OrderType

RECENT_ORDERS_MS: Final = 7 * DAY_MS
ALL_ORDERS_MS: Final = 90 * DAY_MS


def pending_orders(asked: Asked) -> list[Json]:
    """GET trade/orders-pending: what is open, newest first."""
    return _orders(asked, lambda order: order.is_open)


def recent_orders(asked: Asked) -> list[Json]:
    """GET trade/orders-history: what closed in the last seven days."""
    return _closed_orders(asked, RECENT_ORDERS_MS)


def archived_orders(asked: Asked) -> list[Json]:
    """GET trade/orders-history-archive: what closed in the last three months."""
    return _closed_orders(asked, ALL_ORDERS_MS)


def _closed_orders(asked: Asked, depth_ms: int) -> list[Json]:
    asked.required("instType")
    within = asked.within(depth_ms)
    return _orders(asked, lambda order: not order.is_open and within(order.created_at))


def one_order(asked: Asked) -> list[Json]:
    """GET trade/order: by `ordId`, which goes first, or by `clOrdId`."""
    market = asked.named(asked.required("instId"))
    order_id, client = asked.text("ordId"), asked.text("clOrdId")
    if order_id is None and client is None:
        raise RefusalError(400, 51000, "Either parameter ordId or clOrdId is required")
    for order in asked.world.orders(asked.account, market.symbol):
        if order_id == order.order_id or (order_id is None and client == own_client_id(order)):
            return [_order_row(asked, order)]
    raise RefusalError(200, 51603, "Order does not exist")


def _orders(asked: Asked, is_told: Callable[[Order], bool]) -> list[Json]:
    """Newest first. `after` an order come the older ones, `before` one the newer."""
    wanted, state = asked.symbols(), asked.text("state")
    found = [
        order
        for order in reversed(asked.world.orders(asked.account))
        if order.symbol in wanted and is_told(order) and state in (None, STATES[order.state])
    ]
    first = _place(found, asked.text("after"), 0, 1)
    last = _place(found, asked.text("before"), len(found), 0)
    return [_order_row(asked, order) for order in found[first:last][: asked.limit()]]


def _place(orders: Sequence[Order], order_id: str | None, otherwise: int, shift: int) -> int:
    """Where in a list an order stands; 51000 where it is not in it."""
    if order_id is None:
        return otherwise
    for place, order in enumerate(orders):
        if order.order_id == order_id:
            return place + shift
    raise bad_parameter("ordId")


def _order_row(asked: Asked, order: Order) -> Row:
    market = asked.world.market(order.symbol)
    fills = asked.world.fills_of(order)
    filled = quantity_of(fills)
    cost = cost_of(fills)
    is_limit = order.type is OrderType.LIMIT
    return {
        "instType": "SWAP",
        "instId": market.listing(VENUE).native_id,
        "ordId": order.order_id,
        "clOrdId": own_client_id(order),
        "category": CATEGORIES[order.kind],
        "ordType": order.type.value,
        "state": STATES[order.state],
        "side": order.side.value,
        "posSide": LEG_NAMES[order.position_side],
        "tdMode": "cross",
        "lever": str(LEVERAGE),
        "px": plain(order.price) if is_limit else "",
        "sz": contracts(market, order.quantity),
        "accFillSz": contracts(market, filled),
        "avgPx": plain(cost / filled) if filled else "",
        **_last_fill(market, fills),
        "fee": short(-sum((fill.fee for fill in fills), ZERO)),
        "feeCcy": fills[-1].fee_currency if fills else market.quote,
        "pnl": "0",
        "rebate": "0",
        "rebateCcy": market.quote,
        "reduceOnly": "true" if order.reduce_only else "false",
        "ccy": "",
        "tag": "",
        "tgtCcy": "",
        "source": "",
        "cancelSource": "",
        "algoId": "",
        "algoClOrdId": "",
        "attachAlgoOrds": [],
        "slTriggerPx": "",
        "slOrdPx": "",
        "tpTriggerPx": "",
        "tpOrdPx": "",
        "cTime": str(order.created_at),
        "uTime": str(order.updated_at),
    }


def _last_fill(market: Market, fills: Sequence[Fill]) -> Row:
    if not fills:
        return {"fillPx": "", "fillSz": "0", "fillTime": "", "tradeId": ""}
    last = fills[-1]
    return {
        "fillPx": plain(last.price),
        "fillSz": contracts(market, last.quantity),
        "fillTime": str(last.at),
        "tradeId": str(last.fill_id),
    }
