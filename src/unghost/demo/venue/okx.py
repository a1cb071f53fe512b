"""OKX v5 as its REST clients know it: passphrases, contracts, bill ids, one envelope.

Swaps are traded, in contracts of the listing's size; the spot markets are only named. What the
exchange leaves undocumented is decided so that a client may rely on less, never on more.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final
from zlib import crc32

from unghost.demo.venue.figures import LEVERAGE, money, plain, short, valued
from unghost.demo.venue.protocol import Answer, Call, Excess, Json
from unghost.demo.world import (
    MAKER_RATE,
    TAKER_RATE,
    ZERO,
    Account,
    Fill,
    FillKind,
    Market,
    Order,
    OrderState,
    OrderType,
    Position,
    PositionMode,
    PositionSide,
    Side,
    World,
    to_ms,
)

VENUE: Final = "okx"
DAY_MS: Final = 24 * 3600 * 1000
RECENT_FILLS_MS: Final = 3 * DAY_MS
ALL_FILLS_MS: Final = 90 * DAY_MS
RECENT_ORDERS_MS: Final = 7 * DAY_MS
ALL_ORDERS_MS: Final = 90 * DAY_MS
FLAT_ROWS_MS: Final = 30 * DAY_MS
LATE_MS: Final = 30_000
LISTED_MS: Final = 1_585_000_000_000
MAX_LIMIT: Final = 100
MAX_NAMES: Final = 10
TYPES: Final = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"})

Row = dict[str, Json]


class RefusalError(Exception):
    """The exchange's own error: HTTP status, code and message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @property
    def answer(self) -> Answer:
        """The error as it goes over the wire; those of the door come without data."""
        data: Row = {} if self.status == 401 else {"data": []}  # noqa: PLR2004 - Unauthorized
        body: Row = {"msg": self.message, "code": str(self.code), **data}
        return Answer(status=self.status, body=body)


def bad_parameter(name: str) -> RefusalError:
    """The error for a parameter that says nothing known."""
    return RefusalError(400, 51000, f"Parameter {name} error")


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
            raise RefusalError(401, 50111, "Invalid OK-ACCESS-KEY")
        return self.caller

    def text(self, name: str) -> str | None:
        """A parameter as sent; an empty one counts as absent."""
        return self.params.get(name) or None

    def names(self, name: str) -> list[str] | None:
        """A parameter that holds several values with commas between."""
        text = self.text(name)
        return None if text is None else text.split(",")

    def number(self, name: str) -> int | None:
        """A whole number; 51000 where it is none."""
        text = self.text(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit():
            raise bad_parameter(name)
        return int(text)

    def required(self, name: str) -> str:
        """A parameter that must be there; 50014 where it is not."""
        text = self.text(name)
        if text is None:
            raise RefusalError(400, 50014, f"Parameter {name} can not be empty.")
        return text

    def is_about_swaps(self) -> bool:
        """Whether `instType`, where it is sent, lets swaps through."""
        kind = self.text("instType")
        if kind is not None and kind not in TYPES:
            raise bad_parameter("instType")
        return kind in (None, "SWAP")

    def limit(self) -> int:
        """The page size. One above 100 is cut to it without a word."""
        limit = self.number("limit")
        if limit == 0:
            raise bad_parameter("limit")
        return MAX_LIMIT if limit is None else min(limit, MAX_LIMIT)

    def named(self, name: str) -> Market:
        """The market of an instrument id; 51001 where there is none."""
        for market in self.world.listed(VENUE):
            if market.listing(VENUE).native_id == name:
                return market
        raise RefusalError(200, 51001, "Instrument ID does not exist.")

    def market(self) -> Market | None:
        """The market of `instId`, where one is sent."""
        name = self.text("instId")
        return None if name is None else self.named(name)

    def symbols(self) -> Collection[str]:
        """The unified symbols asked for, by `instType` and `instId`."""
        one = self.market()
        if not self.is_about_swaps():
            return ()
        return {market.symbol for market in self.world.listed(VENUE) if one in (None, market)}

    def within(self, depth_ms: int) -> Callable[[int], bool]:
        """Whether a time lies from `begin` to `end` and no further back than `depth_ms`."""
        begin, end = self.number("begin"), self.number("end")
        first = max(begin or 0, self.now_ms - depth_ms)
        last = self.now_ms if end is None else end
        return lambda at: first <= at <= last


# The door

HEADERS: Final[Mapping[str, int]] = {
    "OK-ACCESS-KEY": 50103,
    "OK-ACCESS-PASSPHRASE": 50104,
    "OK-ACCESS-SIGN": 50106,
    "OK-ACCESS-TIMESTAMP": 50107,
}


def authenticate(world: World, call: Call) -> Account:
    """The account whose key and passphrase signed the call."""
    for name, code in HEADERS.items():
        if not call.headers.get(name):
            raise RefusalError(401, code, f"Request header {name} can not be empty.")
    _check_time(call)
    account = world.account_of_key(call.headers["OK-ACCESS-KEY"])
    if account is None:
        raise RefusalError(401, 50111, "Invalid OK-ACCESS-KEY")
    if call.headers["OK-ACCESS-PASSPHRASE"] != account.password:
        raise RefusalError(401, 50105, "Request header OK-ACCESS-PASSPHRASE incorrect.")
    if not hmac.compare_digest(signature(call, account.secret), call.headers["OK-ACCESS-SIGN"]):
        raise RefusalError(401, 50113, "Invalid Sign")
    return account


def signature(call: Call, secret: str) -> str:
    """What signs a call: its time, method, path with the query, and body."""
    query = f"?{call.query}" if call.query else ""
    text = f"{call.headers['OK-ACCESS-TIMESTAMP']}{call.method}{call.path}{query}{call.body}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), sha256).digest()).decode()


def _check_time(call: Call) -> None:
    try:
        sent = to_ms(datetime.fromisoformat(call.headers["OK-ACCESS-TIMESTAMP"]))
    except ValueError:
        raise RefusalError(401, 50112, "Invalid OK-ACCESS-TIMESTAMP") from None
    if abs(call.now_ms - sent) > LATE_MS:
        raise RefusalError(401, 50102, "Timestamp request expired")


# Public endpoints


def server_time(asked: Asked) -> list[Json]:
    """GET public/time."""
    return [{"ts": str(asked.now_ms)}]


def instruments(asked: Asked) -> list[Json]:
    """GET public/instruments: swaps and spot; of the other types there are none."""
    kind = asked.required("instType")
    if kind not in TYPES:
        raise bad_parameter("instType")
    name = asked.text("instId")
    make = {"SWAP": _swap_row, "SPOT": _spot_row}.get(kind)
    rows = [] if make is None else [make(market) for market in asked.world.listed(VENUE)]
    return [row for row in rows if name in (None, row["instId"])]


def contracts(market: Market, quantity: Decimal) -> str:
    """A base quantity in contracts."""
    return short(quantity / market.listing(VENUE).contract_size)


def _swap_row(market: Market) -> Row:
    lot = contracts(market, market.quantity_step)
    pair = f"{market.base}-{market.quote}"
    return {
        **_instrument_row(market),
        "instType": "SWAP",
        "instId": market.listing(VENUE).native_id,
        "uly": pair,
        "instFamily": pair,
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": market.quote,
        "ctVal": short(market.listing(VENUE).contract_size),
        "ctMult": "1",
        "ctValCcy": market.base,
        "ctType": "linear",
        "lever": "100",
        "lotSz": lot,
        "minSz": lot,
    }


def _spot_row(market: Market) -> Row:
    step = plain(market.quantity_step)
    return {
        **_instrument_row(market),
        "instType": "SPOT",
        "instId": f"{market.base}-{market.quote}",
        "uly": "",
        "instFamily": "",
        "baseCcy": market.base,
        "quoteCcy": market.quote,
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "ctType": "",
        "lever": "10",
        "lotSz": step,
        "minSz": step,
    }


def _instrument_row(market: Market) -> Row:
    return {
        "tickSz": plain(market.price_step),
        "state": "live" if market.active else "suspend",
        "listTime": str(LISTED_MS),
        "expTime": "",
        "alias": "",
        "category": "1",
        "optType": "",
        "stk": "",
        "ruleType": "normal",
        "maxLmtSz": "100000000",
        "maxMktSz": "100000",
        "maxStopSz": "100000",
        "maxTriggerSz": "100000000",
    }


# Positions

LEG_NAMES: Final[Mapping[PositionSide, str]] = {
    PositionSide.BOTH: "net",
    PositionSide.LONG: "long",
    PositionSide.SHORT: "short",
}


def positions(asked: Asked) -> list[Json]:
    """GET account/positions: what is held; of instruments named, also what was closed lately."""
    wanted = asked.names("instId")
    if wanted is not None and len(wanted) > MAX_NAMES:
        raise bad_parameter("instId")
    if not asked.is_about_swaps():
        return []
    held = {(p.symbol, p.position_side): p for p in asked.world.positions(asked.account)}
    if wanted is None:
        listed = {market.symbol for market in asked.world.listed(VENUE)}
        legs = {leg for leg in held if leg[0] in listed}
    else:
        named = {asked.named(name).symbol for name in wanted}
        legs = {leg for leg in {*held, *_lately(asked)} if leg[0] in named}
    rows = [_position_row(asked, *leg, held.get(leg)) for leg in sorted(legs)]
    return [row for row in rows if asked.text("posId") in (None, row["posId"])]


def _lately(asked: Asked) -> set[tuple[str, PositionSide]]:
    """The legs with fills in the last thirty days, flat now or not."""
    since = asked.now_ms - FLAT_ROWS_MS
    fills = asked.world.fills(asked.account)
    return {(fill.symbol, fill.position_side) for fill in fills if fill.at >= since}


def _position_row(asked: Asked, symbol: str, side: PositionSide, position: Position | None) -> Row:
    market = asked.world.market(symbol)
    leg = valued(asked.world, market, position)
    size = leg.quantity if side is PositionSide.BOTH else abs(leg.quantity)
    at = str(leg.updated_at or asked.now_ms)
    is_held = bool(leg.quantity)
    return {
        "instType": "SWAP",
        "instId": market.listing(VENUE).native_id,
        "mgnMode": "cross",
        "posId": str(crc32(f"{asked.account.name}/{symbol}/{side}".encode())),
        "posSide": LEG_NAMES[side],
        "pos": contracts(market, size),
        "availPos": contracts(market, abs(size)) if is_held else "",
        "posCcy": "",
        "avgPx": plain(leg.entry_price) if is_held else "",
        "markPx": plain(leg.mark_price),
        "last": plain(leg.mark_price),
        "lever": str(LEVERAGE),
        "liqPx": "",
        "margin": "",
        "imr": money(leg.margin) if is_held else "",
        "mmr": money(leg.maintenance) if is_held else "",
        "mgnRatio": "",
        "notionalUsd": money(abs(leg.notional)) if is_held else "",
        "upl": money(leg.profit) if is_held else "",
        "uplRatio": "0" if is_held else "",
        "realizedPnl": "0",
        "pnl": "0",
        "fee": "0",
        "fundingFee": "0",
        "liqPenalty": "0",
        "interest": "",
        "ccy": market.quote,
        "adl": "1" if is_held else "",
        "optVal": "",
        "tradeId": "",
        "closeOrderAlgo": [],
        "cTime": at,
        "uTime": at,
    }


# Fills

_SUBTYPES: Final[Mapping[FillKind, Mapping[str, str]]] = {
    FillKind.TRADE: {"long": "5", "short": "6", "buy": "1", "sell": "2"},
    FillKind.LIQUIDATION: {"long": "104", "short": "105", "buy": "106", "sell": "107"},
    FillKind.ADL: {"long": "125", "short": "126", "buy": "127", "sell": "128"},
    FillKind.SETTLEMENT: {"long": "112", "short": "113", "buy": "113", "sell": "112"},
}
_OPENINGS: Final[Mapping[tuple[PositionSide, Side], str]] = {
    (PositionSide.LONG, Side.BUY): "3",
    (PositionSide.SHORT, Side.SELL): "4",
}


def subtype(fill: Fill) -> str:
    """The exchange's number for what a fill was: who caused it, and what it did to which leg."""
    opening = _OPENINGS.get((fill.position_side, fill.side))
    if opening is not None:
        return opening
    leg = fill.side if fill.position_side is PositionSide.BOTH else fill.position_side
    return _SUBTYPES[fill.kind][leg]


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
        "clOrdId": _client_id(fill),
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


def _client_id(each: Fill | Order) -> str:
    """The client's own id; an order that the exchange made has none."""
    return each.client_order_id if each.kind is FillKind.TRADE else ""


# Orders

STATES: Final[Mapping[OrderState, str]] = {
    OrderState.NEW: "live",
    OrderState.PARTIALLY_FILLED: "partially_filled",
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "canceled",
}
OPEN: Final = frozenset({OrderState.NEW, OrderState.PARTIALLY_FILLED})
CATEGORIES: Final[Mapping[FillKind, str]] = {
    FillKind.TRADE: "normal",
    FillKind.LIQUIDATION: "full_liquidation",
    FillKind.ADL: "adl",
    FillKind.SETTLEMENT: "delivery",
}


def pending_orders(asked: Asked) -> list[Json]:
    """GET trade/orders-pending: what is open, newest first."""
    return _orders(asked, lambda order: order.state in OPEN)


def recent_orders(asked: Asked) -> list[Json]:
    """GET trade/orders-history: what closed in the last seven days."""
    return _closed_orders(asked, RECENT_ORDERS_MS)


def archived_orders(asked: Asked) -> list[Json]:
    """GET trade/orders-history-archive: what closed in the last three months."""
    return _closed_orders(asked, ALL_ORDERS_MS)


def _closed_orders(asked: Asked, depth_ms: int) -> list[Json]:
    asked.required("instType")
    within = asked.within(depth_ms)
    return _orders(asked, lambda order: order.state not in OPEN and within(order.created_at))


def one_order(asked: Asked) -> list[Json]:
    """GET trade/order: by `ordId`, which goes first, or by `clOrdId`."""
    market = asked.named(asked.required("instId"))
    order_id, client = asked.text("ordId"), asked.text("clOrdId")
    if order_id is None and client is None:
        raise RefusalError(400, 51000, "Either parameter ordId or clOrdId is required")
    for order in asked.world.orders(asked.account, market.symbol):
        if order_id == order.order_id or (order_id is None and client == _client_id(order)):
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
    filled = sum((fill.quantity for fill in fills), ZERO)
    cost = sum((fill.quantity * fill.price for fill in fills), ZERO)
    is_limit = order.type is OrderType.LIMIT
    return {
        "instType": "SWAP",
        "instId": market.listing(VENUE).native_id,
        "ordId": order.order_id,
        "clOrdId": _client_id(order),
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


# Account


def account_config(asked: Asked) -> list[Json]:
    """GET account/config: who it is, its position mode, and what its key may do."""
    account = asked.account
    is_hedged = account.mode is PositionMode.HEDGE
    return [
        {
            "uid": str(account.uid),
            "mainUid": str(account.uid),
            "acctLv": "2",
            "posMode": "long_short_mode" if is_hedged else "net_mode",
            "perm": "read_only" if account.read_only else "read_only,trade",
            "label": account.name,
            "level": "Lv1",
            "levelTmp": "",
            "autoLoan": False,
            "ctIsoMode": "automatic",
            "mgnIsoMode": "automatic",
            "greeksType": "PA",
            "ip": "",
            "kycLv": "3",
            "opAuth": "0",
            "roleType": "0",
            "type": "0",
            "settleCcy": "USDT",
        }
    ]


def balance(asked: Asked) -> list[Json]:
    """GET account/balance: one account with a row for each currency."""
    wanted = asked.names("ccy")
    total = money(sum(asked.account.balances.values(), ZERO))
    return [
        {
            "totalEq": total,
            "adjEq": total,
            "availEq": total,
            "isoEq": "0",
            "ordFroz": "0",
            "imr": "0",
            "mmr": "0",
            "mgnRatio": "",
            "notionalUsd": "0",
            "upl": "0",
            "uTime": str(asked.now_ms),
            "details": [
                _currency_row(asked, currency, held)
                for currency, held in asked.account.balances.items()
                if wanted is None or currency in wanted
            ],
        }
    ]


def _currency_row(asked: Asked, currency: str, total: Decimal) -> Row:
    return {
        "ccy": currency,
        "eq": money(total),
        "eqUsd": money(total),
        "cashBal": money(total),
        "availBal": money(total),
        "availEq": money(total),
        "disEq": money(total),
        "frozenBal": "0",
        "ordFrozen": "0",
        "isoEq": "0",
        "liab": "0",
        "crossLiab": "0",
        "isoLiab": "0",
        "interest": "0",
        "upl": "0",
        "uTime": str(asked.now_ms),
    }


def trade_fee(asked: Asked) -> list[Json]:
    """GET account/trade-fee: the usual rates, below zero because they are paid."""
    kind = asked.required("instType")
    maker, taker = plain(-MAKER_RATE), plain(-TAKER_RATE)
    return [
        {
            "instType": kind,
            "level": "Lv1",
            "category": "1",
            "maker": maker,
            "taker": taker,
            "makerU": maker,
            "takerU": taker,
            "delivery": "",
            "exercise": "",
            "ts": str(asked.now_ms),
        }
    ]


def currencies(asked: Asked) -> list[Json]:
    """GET asset/currencies, which a client asks along when it loads currencies."""
    markets = asked.world.listed(VENUE)
    names = sorted({market.base for market in markets} | {market.quote for market in markets})
    return [
        {
            "ccy": name,
            "name": name,
            "chain": f"{name}-Own",
            "canDep": True,
            "canWd": True,
            "canInternal": True,
            "mainNet": True,
            "fee": "0",
            "minWd": "1",
            "maxWd": "1000000",
            "wdTickSz": "8",
        }
        for name in names
    ]


# The table


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One path: who answers it, and whether it is signed."""

    answer: Callable[[Asked], list[Json]]
    signed: bool = True


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "/api/v5/public/time": Endpoint(answer=server_time, signed=False),
    "/api/v5/public/instruments": Endpoint(answer=instruments, signed=False),
    "/api/v5/account/positions": Endpoint(answer=positions),
    "/api/v5/account/config": Endpoint(answer=account_config),
    "/api/v5/account/balance": Endpoint(answer=balance),
    "/api/v5/account/trade-fee": Endpoint(answer=trade_fee),
    "/api/v5/asset/currencies": Endpoint(answer=currencies),
    "/api/v5/trade/fills": Endpoint(answer=recent_fills),
    "/api/v5/trade/fills-history": Endpoint(answer=fills_history),
    "/api/v5/trade/order": Endpoint(answer=one_order),
    "/api/v5/trade/orders-pending": Endpoint(answer=pending_orders),
    "/api/v5/trade/orders-history": Endpoint(answer=recent_orders),
    "/api/v5/trade/orders-history-archive": Endpoint(answer=archived_orders),
}


class Okx:
    """The face of OKX's v5 protocol; holds nothing."""

    name = VENUE

    def owns(self, path: str) -> bool:
        """The paths of the v5 protocol."""
        return path.startswith("/api/v5/")

    def weight(self, _: Call) -> int:
        """Calls are counted, not weighed."""
        return 1

    def meter_headers(self, _: int) -> Mapping[str, str]:
        """The exchange does not tell."""
        return {}

    def too_many(self, _: Call, excess: Excess) -> Answer:
        """Status 429 with code 50011 first; the proxy's own refusal for a client that keeps on.

        Only the proxy says when to come back.
        """
        if excess.is_stubborn:
            return Answer(
                status=429,
                raw=b"error code: 1015",
                content_type="text/plain",
                headers={"Retry-After": str(excess.seconds_left)},
            )
        text = "Rate limit reached. Please refer to API documentation and throttle accordingly"
        return Answer(status=429, body={"msg": text, "code": "50011"})

    def answer(self, world: World, call: Call) -> Answer:
        """The answer to a call, refusals included."""
        try:
            return Answer(body={"code": "0", "data": self._data(world, call), "msg": ""})
        except RefusalError as refusal:
            return refusal.answer

    def _data(self, world: World, call: Call) -> list[Json]:
        endpoint = ENDPOINTS.get(call.path) if call.method == "GET" else None
        if endpoint is None:
            raise RefusalError(404, 404, f"{call.method} {call.path} Not Found")
        asked = Asked(
            world=world,
            params=call.params,
            now_ms=call.now_ms,
            caller=authenticate(world, call) if endpoint.signed else None,
        )
        return endpoint.answer(asked)

    def rows(self, body: Json) -> list[Json] | None:
        """The list of data."""
        data = body.get("data") if isinstance(body, dict) else None
        return data if isinstance(data, list) else None
