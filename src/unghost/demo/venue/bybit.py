"""Bybit v5 as its REST clients know it: headers that sign, cursor pages, windows, return codes.

Linear contracts are traded; the spot markets are only named, because a native id there is the
same as a linear one's. What the exchange leaves undocumented is decided so that a client may
rely on less, never on more.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Final, TypeAlias
from urllib.parse import quote
from uuid import UUID
from zlib import crc32

from unghost.demo.venue.figures import (
    LEVERAGE,
    Valued,
    money,
    places,
    plain,
    short,
    stepped,
    valued,
)
from unghost.demo.venue.protocol import Answer, Call, Excess, Json
from unghost.demo.world import (
    MAKER_RATE,
    TAKER_RATE,
    ZERO,
    Account,
    Fill,
    FillKind,
    Funding,
    Market,
    Order,
    OrderState,
    OrderType,
    Position,
    PositionMode,
    PositionSide,
    Side,
    World,
)

VENUE: Final = "bybit"
DAY_MS: Final = 24 * 3600 * 1000
WEEK_MS: Final = 7 * DAY_MS
DEPTH_MS: Final = 730 * DAY_MS
DEFAULT_RECV_WINDOW_MS: Final = 5000
AHEAD_MS: Final = 1000
LAUNCHED_MS: Final = 1_585_526_400_000
CALLS_PER_MINUTE: Final = 600
RECENT_ORDERS: Final = 500
CATEGORIES: Final = frozenset({"linear", "spot", "inverse", "option"})

BAD_PARAMETER: Final = 10001
BAD_TIME: Final = 10002
BAD_KEY: Final = 10003
BAD_SIGN: Final = 10004
TOO_MANY: Final = 10006
NO_SUCH_PATH: Final = 10404

Row = dict[str, Json]
Key: TypeAlias = "tuple[int | str, ...]"


class RefusalError(Exception):
    """The exchange's own error: return code and message. Most come with HTTP status 200."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def bad_parameter(message: str) -> RefusalError:
    """The error for whatever is wrong with a parameter."""
    return RefusalError(BAD_PARAMETER, f"params error: {message}")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call that passed the door: the world it asks, and who asks (None: public)."""

    world: World
    params: Mapping[str, str]
    now_ms: int
    caller: Account | None

    @property
    def account(self) -> Account:
        """The caller of a signed endpoint."""
        if self.caller is None:
            raise RefusalError(BAD_KEY, "API key is invalid.")
        return self.caller

    def text(self, name: str) -> str | None:
        """A parameter as sent; an empty one counts as absent."""
        return self.params.get(name) or None

    def number(self, name: str) -> int | None:
        """A whole number; 10001 where it is none."""
        text = self.text(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit():
            raise bad_parameter(f"{name} invalid")
        return int(text)

    def category(self) -> str:
        """The kind of product, which every call must say."""
        category = self.text("category")
        if category not in CATEGORIES:
            raise bad_parameter("category invalid")
        return category

    def market(self) -> Market | None:
        """The market of `symbol`; 10001 where there is none of that name."""
        name = self.text("symbol")
        if name is None:
            return None
        for market in self.world.listed(VENUE):
            if market.listing(VENUE).native_id == name:
                return market
        raise bad_parameter("symbol invalid")

    def symbols(self) -> frozenset[str]:
        """The unified symbols asked for, by `symbol`, by `settleCoin` or as all."""
        one, coin = self.market(), self.text("settleCoin")
        markets = self.world.listed(VENUE) if one is None else (one,)
        return frozenset(each.symbol for each in markets if one or coin in (None, each.quote))


# The door


def authenticate(world: World, call: Call) -> Account:
    """The account whose key signed the call."""
    stamp = call.headers.get("X-BAPI-TIMESTAMP", "")
    key, sign = call.headers.get("X-BAPI-API-KEY", ""), call.headers.get("X-BAPI-SIGN", "")
    if not (stamp and key and sign):
        seen = f"empty value: apiTimestamp[{stamp}] apiKey[{key}] apiSignature[{sign}]"
        raise RefusalError(BAD_PARAMETER, f"{seen}: openapi sign params error!")
    window = call.headers.get("X-BAPI-RECV-WINDOW", str(DEFAULT_RECV_WINDOW_MS))
    _check_time(stamp, window, call.now_ms)
    account = world.account_of_key(key)
    if account is None:
        raise RefusalError(BAD_KEY, "API key is invalid.")
    # A POST is signed by its body, a GET by its query, each as sent.
    origin = f"{stamp}{key}{window}{call.body if call.method == 'POST' else call.query}"
    expected = hmac.new(account.secret.encode(), origin.encode(), sha256).hexdigest()
    if not hmac.compare_digest(expected, sign):
        raise RefusalError(BAD_SIGN, f"error sign! origin_string[{origin}]")
    return account


def _check_time(stamp: str, window: str, now_ms: int) -> None:
    known = stamp.isascii() and stamp.isdigit() and window.isascii() and window.isdigit()
    if not known or not now_ms - int(window) <= int(stamp) < now_ms + AHEAD_MS:
        told = f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{window}]"
        ask = "invalid request, please check your server timestamp or recv_window param."
        raise RefusalError(BAD_TIME, f"{ask} {told}")


# Pages


@dataclass(frozen=True, kw_only=True)
class Page:
    """How much of a list is asked for; `after` is the key of the last row told before."""

    limit: int
    after: Key | None


def page_of(asked: Asked, *, default: int, most: int) -> Page:
    """The page of a call. A limit above `most` is cut to it without a word."""
    limit = asked.number("limit")
    limit = default if limit is None else limit
    if limit < 1:
        raise bad_parameter("limit invalid")
    return Page(limit=min(limit, most), after=_key(asked.text("cursor")))


def _key(cursor: str | None) -> Key | None:
    if cursor is None:
        return None
    try:
        return tuple(json.loads(cursor))
    except (ValueError, TypeError):
        raise bad_parameter("cursor invalid") from None


def _cursor(key: Key) -> str:
    """A cursor comes percent-encoded and is to be sent back as it came."""
    return quote(json.dumps(key, separators=(",", ":")), safe="")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row to be, and where it stands in its list."""

    key: Key
    make: Callable[[], Row]


def listed(asked: Asked, page: Page, lines: Iterable[Line]) -> Row:
    """The result of a listing call: the page's rows in the order of their keys, and a cursor.

    A page with rows always carries a cursor, also the last one: only a page without rows is
    the end.
    """
    ordered = sorted(lines, key=lambda line: line.key)
    try:
        left = (each for each in ordered if page.after is None or each.key > page.after)
        told = list(islice(left, page.limit))
    except TypeError:
        raise bad_parameter("cursor invalid") from None
    return {
        "nextPageCursor": _cursor(told[-1].key) if told else "",
        "category": asked.category(),
        "list": [each.make() for each in told],
    }


@dataclass(frozen=True, kw_only=True)
class Window:
    """From `start` to `end`, both within."""

    start: int
    end: int

    def holds(self, at: int) -> bool:
        """Whether a time is within."""
        return self.start <= at <= self.end


def window_of(asked: Asked) -> Window:
    """The time window of a history call: seven days from the start, or up to the end or now.

    What is older than two years is never told.
    """
    start, end = asked.number("startTime"), asked.number("endTime")
    if start is None:
        end = asked.now_ms if end is None else end
        start = end - WEEK_MS
    end = start + WEEK_MS if end is None else end
    if start > end:
        raise RefusalError(BAD_PARAMETER, "The start time cannot be later than the end time.")
    if end - start > WEEK_MS:
        raise RefusalError(
            BAD_PARAMETER, "The time range between startTime and endTime cannot exceed 7 days."
        )
    return Window(start=max(start, asked.now_ms - DEPTH_MS), end=end)


# Public endpoints


def server_time(asked: Asked) -> Row:
    """GET market/time."""
    return {"timeSecond": str(asked.now_ms // 1000), "timeNano": str(asked.now_ms * 1_000_000)}


def instruments(asked: Asked) -> Row:
    """GET market/instruments-info: those that trade, unless another status is asked for."""
    make = {"linear": _linear_row, "spot": _spot_row}.get(asked.category())
    page = page_of(asked, default=500, most=1000)
    if make is None:
        return {"category": asked.category(), "list": [], "nextPageCursor": ""}
    one, wanted = asked.market(), asked.text("status") or "Trading"
    found = [
        Line(key=(market.listing(VENUE).native_id,), make=partial(make, market))
        for market in asked.world.listed(VENUE)
        if one in (None, market) and wanted == _status(market)
    ]
    result = listed(asked, page, found)
    # Of this list alone the documentation says that an empty cursor marks the last page.
    if found and result["nextPageCursor"] == _cursor(max(each.key for each in found)):
        result["nextPageCursor"] = ""
    return result


def _status(market: Market) -> str:
    return "Trading" if market.active else "Closed"


def _linear_row(market: Market) -> Row:
    tick, step = plain(market.price_step), plain(market.quantity_step)
    return {
        "symbol": market.listing(VENUE).native_id,
        "contractType": "LinearPerpetual",
        "status": _status(market),
        "baseCoin": market.base,
        "quoteCoin": market.quote,
        "launchTime": str(LAUNCHED_MS),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(places(market.price_step)),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1190000",
            "minOrderQty": step,
            "qtyStep": step,
            "postOnlyMaxOrderQty": "1190000",
            "maxMktOrderQty": "500000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": market.quote,
        "copyTrading": "none",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
    }


def _spot_row(market: Market) -> Row:
    step = plain(market.quantity_step)
    return {
        "symbol": f"{market.base}{market.quote}",
        "baseCoin": market.base,
        "quoteCoin": market.quote,
        "innovation": "0",
        "status": _status(market),
        "marginTrading": "utaOnly",
        "lotSizeFilter": {
            "basePrecision": step,
            "quotePrecision": "0.0000001",
            "minOrderQty": step,
            "maxOrderQty": "1000000",
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
        },
        "priceFilter": {"tickSize": plain(market.price_step)},
    }


# Positions

INDEX_OF_LEG: Final[Mapping[PositionSide, int]] = {
    PositionSide.BOTH: 0,
    PositionSide.LONG: 1,
    PositionSide.SHORT: 2,
}
SIDE_NAMES: Final[Mapping[Side, str]] = {Side.BUY: "Buy", Side.SELL: "Sell"}


def position_list(asked: Asked) -> Row:
    """GET position/list: of a symbol every leg of the mode, empty ones too; of a settle coin
    only what is held.
    """
    page = page_of(asked, default=20, most=200)
    if asked.category() != "linear":
        return listed(asked, page, [])
    one = asked.market()
    if one is None and asked.text("settleCoin") is None:
        raise bad_parameter("Missing some parameters that must be filled in, symbol or settleCoin")
    wanted = asked.symbols()
    held = {(p.symbol, p.position_side): p for p in asked.world.positions(asked.account)}
    named = [] if one is None else [(one.symbol, leg) for leg in _legs(asked.account)]
    legs = {*named, *held}
    lines = [
        _position_line(asked.world, asked.world.market(symbol), leg, held.get((symbol, leg)))
        for symbol, leg in legs
        if symbol in wanted
    ]
    return listed(asked, page, lines)


def _legs(account: Account) -> tuple[PositionSide, ...]:
    if account.mode is PositionMode.HEDGE:
        return (PositionSide.LONG, PositionSide.SHORT)
    return (PositionSide.BOTH,)


def _direction(quantity: Decimal) -> str:
    """The side of a signed position; an empty one has none, in either mode."""
    return "Buy" if quantity > 0 else ("Sell" if quantity < 0 else "")


def _position_line(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Line:
    key = (market.listing(VENUE).native_id, INDEX_OF_LEG[side])
    return Line(key=key, make=lambda: _position_row(market, side, valued(world, market, position)))


def _position_row(market: Market, side: PositionSide, leg: Valued) -> Row:
    return {
        "positionIdx": INDEX_OF_LEG[side],
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": market.listing(VENUE).native_id,
        "side": _direction(leg.quantity),
        "size": stepped(abs(leg.quantity), market.quantity_step) if leg.quantity else "0",
        "avgPrice": short(leg.entry_price),
        "positionValue": short(abs(leg.quantity) * leg.entry_price) if leg.quantity else "",
        "tradeMode": 0,
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": str(LEVERAGE),
        "markPrice": plain(leg.mark_price),
        "liqPrice": "",
        "bustPrice": "",
        "positionIM": money(leg.margin) if leg.quantity else "",
        "positionMM": money(leg.maintenance) if leg.quantity else "",
        "positionBalance": "0",
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": money(leg.profit) if leg.quantity else "",
        "curRealisedPnl": "0",
        "cumRealisedPnl": "0",
        "adlRankIndicator": 2 if leg.quantity else 0,
        "isReduceOnly": False,
        "createdTime": str(leg.updated_at or LAUNCHED_MS),
        "updatedTime": str(leg.updated_at or LAUNCHED_MS),
        "seq": leg.updated_at or -1,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
    }


# Executions

EXEC_TYPES: Final[Mapping[FillKind, str]] = {
    FillKind.TRADE: "Trade",
    FillKind.LIQUIDATION: "BustTrade",
    FillKind.ADL: "AdlTrade",
    FillKind.SETTLEMENT: "Settle",
}
CREATE_TYPES: Final[Mapping[FillKind, str]] = {
    FillKind.TRADE: "CreateByUser",
    FillKind.LIQUIDATION: "CreateByLiq",
    FillKind.ADL: "CreateByAdl_PassThrough",
    FillKind.SETTLEMENT: "CreateBySettle",
}
FUNDING: Final = "Funding"


def execution_id(number: int) -> str:
    """The id of an execution: the world's number of it, in the form of a UUID."""
    return str(UUID(int=number))


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
        return [fill for fill in fills if link == _link(fill)]
    return [*fills, *asked.world.fundings(asked.account)]


def _exec_type(each: Fill | Funding) -> str:
    return FUNDING if isinstance(each, Funding) else EXEC_TYPES[each.kind]


def _execution_key(each: Fill | Funding) -> Key:
    return (-each.at, crc32(str(each.record_id).encode()), each.record_id)


def _link(each: Fill | Order) -> str:
    """The client's own id; an order that the exchange made has none."""
    return each.client_order_id if each.kind is FillKind.TRADE else ""


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
        filled = sum((each.quantity for each in self._world.fills_of(order)), ZERO)
        closed = self._world.legs(self._account, fill.symbol)[fill].closed
        return {
            **_execution_row(market, fill),
            "orderId": fill.order_id,
            "orderLinkId": _link(fill),
            "side": SIDE_NAMES[fill.side],
            "orderPrice": stepped(order.price, market.price_step),
            "orderQty": stepped(order.quantity, market.quantity_step),
            "leavesQty": stepped(order.quantity - filled, market.quantity_step),
            "createType": CREATE_TYPES[fill.kind],
            "orderType": _order_type(order),
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
            "side": _direction(funding.quantity),
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


# Orders

STATES: Final[Mapping[OrderState, str]] = {
    OrderState.NEW: "New",
    OrderState.PARTIALLY_FILLED: "PartiallyFilled",
    OrderState.FILLED: "Filled",
    OrderState.CANCELED: "Cancelled",
    OrderState.EXPIRED: "Cancelled",
}
OPEN: Final = frozenset({OrderState.NEW, OrderState.PARTIALLY_FILLED})


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
        closed = [order for order in found if order.state not in OPEN]
        return _order_page(asked, closed[:RECENT_ORDERS])
    return _order_page(asked, [order for order in found if order.state in OPEN])


def order_history(asked: Asked) -> Row:
    """GET order/history: what is closed, newest first."""
    window, status = window_of(asked), asked.text("orderStatus")
    closed = [
        order
        for order in _found_orders(asked)
        if order.state not in OPEN
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
        and (order_id is not None or link in (None, _link(order)))
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


def _order_type(order: Order) -> str:
    is_limit = order.type is OrderType.LIMIT or order.kind is not FillKind.TRADE
    return "Limit" if is_limit else "Market"


def _order_row(asked: Asked, order: Order) -> Row:
    market = asked.world.market(order.symbol)
    fills = asked.world.fills_of(order)
    filled = sum((fill.quantity for fill in fills), ZERO)
    cost = sum((fill.quantity * fill.price for fill in fills), ZERO)
    fees: Row = {}
    for fill in fills:
        same = (each.fee for each in fills if each.fee_currency == fill.fee_currency)
        fees[fill.fee_currency] = plain(sum(same, ZERO))
    is_open = order.state in OPEN
    return {
        "symbol": market.listing(VENUE).native_id,
        "orderId": order.order_id,
        "orderLinkId": _link(order),
        "orderType": _order_type(order),
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
        "timeInForce": "GTC" if _order_type(order) == "Limit" else "IOC",
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


# Account


def account_info(asked: Asked) -> Row:
    """GET account/info: a unified account of the second kind."""
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": str(asked.now_ms),
        "unifiedMarginStatus": 5,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def key_info(asked: Asked) -> Row:
    """GET user/query-api: whose key it is and what it may do.

    A key that may only read still names what it may read: `readOnly` tells.
    """
    account = asked.account
    return {
        "id": str(account.uid % 100_000_000),
        "note": account.name,
        "apiKey": account.api_key,
        "readOnly": int(account.read_only),
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": [],
            "Wallet": [],
            "Options": [],
            "Derivatives": ["DerivativesTrade"],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 83,
        "expiredAt": "2099-05-15T03:21:05Z",
        "createdAt": "2022-10-16T02:24:40Z",
        "unified": 0,
        "uta": 1,
        "userID": account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
    }


def wallet_balance(asked: Asked) -> Row:
    """GET account/wallet-balance: one account with a row for each coin."""
    if asked.text("accountType") != "UNIFIED":
        raise bad_parameter("accountType only support UNIFIED.")
    coins = asked.text("coin")
    wanted = None if coins is None else coins.split(",")
    total = money(sum(asked.account.balances.values(), ZERO))
    return {
        "list": [
            {
                "accountType": "UNIFIED",
                "accountLTV": "",
                "accountIMRate": "0",
                "accountMMRate": "0",
                "totalEquity": total,
                "totalWalletBalance": total,
                "totalMarginBalance": total,
                "totalAvailableBalance": total,
                "totalPerpUPL": "0",
                "totalInitialMargin": "0",
                "totalMaintenanceMargin": "0",
                "coin": [
                    _coin_row(coin, held)
                    for coin, held in asked.account.balances.items()
                    if wanted is None or coin in wanted
                ],
            }
        ]
    }


def _coin_row(coin: str, total: Decimal) -> Row:
    return {
        "coin": coin,
        "equity": money(total),
        "usdValue": money(total),
        "walletBalance": money(total),
        "free": "",
        "locked": "0",
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "availableToWithdraw": "",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
    }


def fee_rate(asked: Asked) -> Row:
    """GET account/fee-rate: the usual rates."""
    one = asked.market()
    return {
        "category": asked.category(),
        "list": [
            {
                "symbol": market.listing(VENUE).native_id,
                "baseCoin": "",
                "takerFeeRate": plain(TAKER_RATE),
                "makerFeeRate": plain(MAKER_RATE),
            }
            for market in asked.world.listed(VENUE)
            if one in (None, market)
        ],
    }


def coins_info(asked: Asked) -> Row:
    """GET asset/coin/query-info, which a client asks along when it loads currencies."""
    markets = asked.world.listed(VENUE)
    names = sorted({market.base for market in markets} | {market.quote for market in markets})
    return {"rows": [{"name": name, "coin": name, "chains": []} for name in names]}


# The table


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One path: who answers it, and whether it is signed."""

    answer: Callable[[Asked], Row]
    signed: bool = True


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "/v5/market/time": Endpoint(answer=server_time, signed=False),
    "/v5/market/instruments-info": Endpoint(answer=instruments, signed=False),
    "/v5/position/list": Endpoint(answer=position_list),
    "/v5/execution/list": Endpoint(answer=execution_list),
    "/v5/order/realtime": Endpoint(answer=open_orders),
    "/v5/order/history": Endpoint(answer=order_history),
    "/v5/account/info": Endpoint(answer=account_info),
    "/v5/account/wallet-balance": Endpoint(answer=wallet_balance),
    "/v5/account/fee-rate": Endpoint(answer=fee_rate),
    "/v5/user/query-api": Endpoint(answer=key_info),
    "/v5/asset/coin/query-info": Endpoint(answer=coins_info),
}


def envelope(now_ms: int, result: Json, code: int = 0, message: str = "OK") -> Json:
    """What every answer is wrapped in."""
    return {
        "retCode": code,
        "retMsg": message,
        "result": result,
        "retExtInfo": {},
        "time": now_ms,
    }


class Bybit:
    """The face of Bybit's v5 protocol; holds nothing."""

    name = VENUE

    def owns(self, path: str) -> bool:
        """The paths of the v5 protocol."""
        return path.startswith("/v5/")

    def weight(self, _: Call) -> int:
        """Calls are counted, not weighed."""
        return 1

    def meter_headers(self, used: int) -> Mapping[str, str]:
        """How many calls are left."""
        left = max(0, CALLS_PER_MINUTE - used)
        return {"X-Bapi-Limit": str(CALLS_PER_MINUTE), "X-Bapi-Limit-Status": str(left)}

    def too_many(self, call: Call, excess: Excess) -> Answer:
        """Code 10006 with status 200 first; 403 for a client that keeps on to twice the limit.

        There is no Retry-After: a header of its own tells when the limit is lifted.
        """
        if excess.is_stubborn:
            return Answer(status=403, raw=b"access too frequent", content_type="text/plain")
        message = "Too many visits. Exceeded the API Rate Limit."
        lifted_at = call.now_ms + 1000 * excess.seconds_left
        return Answer(
            body=envelope(call.now_ms, {}, TOO_MANY, message),
            headers={"X-Bapi-Limit-Reset-Timestamp": str(lifted_at)},
        )

    def answer(self, world: World, call: Call) -> Answer:
        """The answer to a call, refusals included."""
        try:
            return Answer(body=envelope(call.now_ms, self._result(world, call)))
        except RefusalError as refusal:
            body = envelope(call.now_ms, {}, refusal.code, refusal.message)
            return Answer(status=refusal.status, body=body)

    def _result(self, world: World, call: Call) -> Row:
        endpoint = ENDPOINTS.get(call.path) if call.method == "GET" else None
        if endpoint is None:
            raise RefusalError(NO_SUCH_PATH, "Request path not found", status=404)
        asked = Asked(
            world=world,
            params=call.params,
            now_ms=call.now_ms,
            caller=authenticate(world, call) if endpoint.signed else None,
        )
        return endpoint.answer(asked)

    def rows(self, body: Json) -> list[Json] | None:
        """The list in the result."""
        result = body.get("result") if isinstance(body, dict) else None
        if not isinstance(result, dict):
            return None
        inner = result.get("list", result.get("rows"))
        return inner if isinstance(inner, list) else None
