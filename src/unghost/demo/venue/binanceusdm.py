"""Binance USD-M futures as its REST clients know it: signatures, endpoints, windows, errors.

What the exchange leaves undocumented is decided so that a client may rely on less, never on more.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Final

from unghost.demo.venue.figures import (
    LEVERAGE,
    MAINTENANCE_RATE,
    Valued,
    money,
    places,
    plain,
    stepped,
    valued,
)
from unghost.demo.venue.protocol import Answer, Call, Excess, Json
from unghost.demo.world import (
    ZERO,
    Account,
    Fill,
    FillKind,
    Market,
    Order,
    OrderState,
    Position,
    PositionMode,
    PositionSide,
    World,
)

VENUE: Final = "binanceusdm"
WEEK_MS: Final = 7 * 24 * 3600 * 1000
DEFAULT_RECV_WINDOW_MS: Final = 5000
MAX_RECV_WINDOW_MS: Final = 60_000
AHEAD_MS: Final = 1000
DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1000
PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
ONBOARD_MS: Final = 1_569_398_400_000
WEIGHT_PER_MINUTE: Final = 2400

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
        """The error as it goes over the wire."""
        return Answer(status=self.status, body={"code": self.code, "msg": self.message})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call that passed the door: the world it asks, and who asks (None: public)."""

    venue: str = VENUE
    world: World
    params: Mapping[str, str]
    now_ms: int
    caller: Account | None

    @property
    def account(self) -> Account:
        """The caller of a signed endpoint."""
        if self.caller is None:
            raise RefusalError(401, -2014, "API-key format invalid.")
        return self.caller

    def text(self, name: str) -> str | None:
        """A parameter as sent."""
        return self.params.get(name)

    def number(self, name: str) -> int | None:
        """A whole number; -1100 where it is none."""
        text = self.params.get(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit():
            raise RefusalError(
                400,
                -1100,
                f"Illegal characters found in parameter '{name}'; legal range is digits.",
            )
        return int(text)

    def market(self) -> Market | None:
        """The market of `symbol`; -1121 where there is none of that name."""
        name = self.params.get("symbol")
        if name is None:
            return None
        for market in self.world.listed(self.venue):
            if market.listing(self.venue).native_id == name:
                return market
        raise RefusalError(400, -1121, "Invalid symbol.")

    def required_market(self) -> Market:
        """As `market`; -1102 where the parameter is missing."""
        market = self.market()
        if market is None:
            raise missing("symbol")
        return market


def missing(name: str) -> RefusalError:
    """The error for an absent mandatory parameter."""
    return RefusalError(
        400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


# The door


def authenticate(world: World, call: Call) -> Account:
    """The account whose key signed the call, in the exchange's order of checks."""
    key = call.headers.get("X-MBX-APIKEY")
    if not key:
        raise RefusalError(401, -2014, "API-key format invalid.")
    account = world.account_of_key(key)
    if account is None:
        raise RefusalError(401, -2015, "Invalid API-key, IP, or permissions for action.")
    _check_time(call)
    _check_signature(call, account.secret)
    return account


def _check_time(call: Call) -> None:
    timestamp = _digits(call.params, "timestamp")
    if timestamp is None:
        raise missing("timestamp")
    window = _digits(call.params, "recvWindow")
    window = DEFAULT_RECV_WINDOW_MS if window is None else window
    if window > MAX_RECV_WINDOW_MS:
        raise RefusalError(400, -1131, "recvWindow must be less than 60000.")
    if timestamp > call.now_ms + AHEAD_MS:
        ahead = "1000ms ahead of the server's time."
        raise RefusalError(400, -1021, f"Timestamp for this request was {ahead}")
    if call.now_ms - timestamp > window:
        raise RefusalError(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def _digits(params: Mapping[str, str], name: str) -> int | None:
    text = params.get(name)
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def _check_signature(call: Call, secret: str) -> None:
    """The signature covers the text exactly as sent, and must come last."""
    signed, found, given = call.signed_text.rpartition("&signature=")
    if not found:
        raise missing("signature")
    expected = hmac.new(secret.encode(), signed.encode(), sha256).hexdigest()
    if not hmac.compare_digest(expected, given):
        raise RefusalError(400, -1022, "Signature for this request is not valid.")


# Spelling


def upper(value: str) -> str:
    """An enumeration's value as this exchange spells it."""
    return value.upper()


def numeral(order_id: str) -> Json:
    """Order ids are numbers here; one that a test made of letters is sent as it is."""
    return int(order_id) if order_id.isdigit() else order_id


# Public endpoints


def ping(_: Asked) -> Json:
    """GET ping."""
    return {}


def server_time(asked: Asked) -> Json:
    """GET time."""
    return {"serverTime": asked.now_ms}


def exchange_info(asked: Asked) -> Json:
    """GET exchangeInfo: every market, and the assets that serve as margin."""
    return {
        "timezone": "UTC",
        "serverTime": asked.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": WEIGHT_PER_MINUTE,
            },
        ],
        "exchangeFilters": [],
        "assets": [
            {"asset": quote, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for quote in sorted({market.quote for market in asked.world.listed(VENUE)})
        ],
        "symbols": [_symbol_row(market) for market in asked.world.listed(VENUE)],
    }


def _symbol_row(market: Market) -> Row:
    listing = market.listing(VENUE)
    return {
        "symbol": listing.native_id,
        "pair": listing.native_id,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING" if market.active else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "marginAsset": market.quote,
        "pricePrecision": places(market.price_step),
        "quantityPrecision": places(market.quantity_step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(market),
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _filters(market: Market) -> list[Json]:
    tick, step = plain(market.price_step), plain(market.quantity_step)
    lot: Row = {"stepSize": step, "minQty": step, "maxQty": "10000000"}
    return [
        {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": tick, "maxPrice": "4529764"},
        {"filterType": "LOT_SIZE", **lot},
        {"filterType": "MARKET_LOT_SIZE", **lot},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.0500",
            "multiplierDown": "0.9500",
            "multiplierDecimal": "4",
        },
    ]


def ticker_price(asked: Asked) -> Json:
    """GET ticker/price: the last price of one market or of all."""
    one = asked.market()
    rows: list[Json] = [
        {
            "symbol": market.listing(VENUE).native_id,
            "price": plain(asked.world.last_price(market.symbol)),
            "time": asked.now_ms,
        }
        for market in ((one,) if one else asked.world.listed(VENUE))
    ]
    return rows[0] if one else rows


# Positions


def position_risk_v3(asked: Asked) -> Json:
    """GET v3 positionRisk: rows only for legs with a position or an open order."""
    held = {(p.symbol, p.position_side): p for p in asked.world.positions(asked.account)}
    wanted = set(held) | {
        (order.symbol, order.position_side)
        for order in asked.world.orders(asked.account, open_only=True)
    }
    one = asked.market()
    return [
        _risk_row_v3(asked.world, asked.world.market(symbol), side, held.get((symbol, side)))
        for symbol, side in sorted(wanted)
        if one is None or one.symbol == symbol
    ]


def position_risk_v2(asked: Asked) -> Json:
    """GET v2 positionRisk: rows for every market, flat ones too, one per leg of the mode."""
    held = {(p.symbol, p.position_side): p for p in asked.world.positions(asked.account)}
    one = asked.market()
    return [
        _risk_row_v2(asked.world, market, side, held.get((market.symbol, side)))
        for market in asked.world.listed(VENUE)
        if one in (None, market)
        for side in _legs(asked.account, market, held)
    ]


def _legs(
    account: Account, market: Market, held: Mapping[tuple[str, PositionSide], Position]
) -> list[PositionSide]:
    """The mode's legs, and any leg that a scripted world holds against the mode."""
    hedged = account.mode is PositionMode.HEDGE
    legs = [PositionSide.LONG, PositionSide.SHORT] if hedged else [PositionSide.BOTH]
    stray = [side for symbol, side in held if symbol == market.symbol and side not in legs]
    return legs + stray


def _risk_row(market: Market, side: PositionSide, leg: Valued) -> Row:
    entry = plain(leg.entry_price) if leg.entry_price else "0.0"
    return {
        "symbol": market.listing(VENUE).native_id,
        "positionSide": upper(side),
        "positionAmt": stepped(leg.quantity, market.quantity_step),
        "entryPrice": entry,
        "breakEvenPrice": entry,
        "markPrice": money(leg.mark_price),
        "unRealizedProfit": money(leg.profit),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": money(leg.notional) if leg.notional else "0",
        "isolatedWallet": "0",
        "updateTime": leg.updated_at,
    }


def _risk_row_v3(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Row:
    leg = valued(world, market, position)
    return {
        **_risk_row(market, side, leg),
        "marginAsset": market.quote,
        "initialMargin": money(leg.margin),
        "maintMargin": money(leg.maintenance),
        "positionInitialMargin": money(leg.margin),
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
    }


def _risk_row_v2(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Row:
    return {
        **_risk_row(market, side, valued(world, market, position)),
        "leverage": str(LEVERAGE),
        "maxNotionalValue": "80000000",
        "marginType": "cross",
        "isAutoAddMargin": "false",
        "isolated": False,
        "adlQuantile": 1,
    }


# Fills


@dataclass(frozen=True, kw_only=True)
class Window:
    """What part of a history is asked for; None at `start` means the newest page before `end`."""

    start: int | None
    end: int
    limit: int


def window_of(asked: Asked) -> Window:
    """The time window of a history call.

    With a start alone it is the first seven days from there; with neither, the seven days up to
    now, of which the newest page counts. A span above seven days is -4165, one that ends before
    it starts -1023, a limit above 1000 -1130.
    """
    start, end = asked.number("startTime"), asked.number("endTime")
    limit = asked.number("limit")
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 0 < limit <= MAX_LIMIT:
        raise RefusalError(400, -1130, "Data sent for parameter 'limit' is not valid.")
    if start is not None and end is not None:
        if start > end:
            raise RefusalError(400, -1023, "Start time is greater than end time.")
        if end - start > WEEK_MS:
            raise RefusalError(
                400, -4165, "Invalid time interval, maximum time interval is 7 days."
            )
    if end is None:
        end = asked.now_ms if start is None else start + WEEK_MS
    return Window(start=start, end=end, limit=limit)


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


# Orders


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
    if order.state not in (OrderState.NEW, OrderState.PARTIALLY_FILLED):
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
    filled = sum((fill.quantity for fill in fills), ZERO)
    cost = sum((fill.quantity * fill.price for fill in fills), ZERO)
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


def nothing(_: Asked) -> Json:
    """The lists this world has nothing for: algo orders, margin pairs."""
    return []


# Account


def account_v3(asked: Asked) -> Json:
    """GET v3 account: balances, and positions only where something is held."""
    held = asked.world.positions(asked.account)
    legs = [(asked.world.market(p.symbol), p.position_side, p) for p in held]
    return _account(asked, [_account_row(asked.world, *leg) for leg in legs])


def account_v2(asked: Asked) -> Json:
    """GET v2 account: positions of every market, with the account's settings."""
    held = {(p.symbol, p.position_side): p for p in asked.world.positions(asked.account)}
    rows: list[Json] = []
    for market in asked.world.listed(VENUE):
        for side in _legs(asked.account, market, held):
            position = held.get((market.symbol, side))
            rows.append(
                {
                    **_account_row(asked.world, market, side, position),
                    "leverage": str(LEVERAGE),
                    "entryPrice": plain(position.entry_price) if position else "0.0",
                    "isolated": False,
                    "maxNotional": "80000000",
                }
            )
    return {**_account(asked, rows), **_settings()}


def _account_row(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Row:
    leg = valued(world, market, position)
    return {
        "symbol": market.listing(VENUE).native_id,
        "positionSide": upper(side),
        "positionAmt": stepped(leg.quantity, market.quantity_step),
        "unrealizedProfit": money(leg.profit),
        "isolatedMargin": "0",
        "notional": money(leg.notional) if leg.notional else "0",
        "isolatedWallet": "0",
        "initialMargin": money(leg.margin) if leg.margin else "0",
        "maintMargin": money(leg.maintenance) if leg.maintenance else "0",
        "updateTime": leg.updated_at,
    }


def _account(asked: Asked, positions: Sequence[Json]) -> Row:
    total = sum(asked.account.balances.values(), ZERO)
    zero = money(ZERO)
    return {
        "totalInitialMargin": zero,
        "totalMaintMargin": zero,
        "totalWalletBalance": money(total),
        "totalUnrealizedProfit": zero,
        "totalMarginBalance": money(total),
        "totalPositionInitialMargin": zero,
        "totalOpenOrderInitialMargin": zero,
        "totalCrossWalletBalance": money(total),
        "totalCrossUnPnl": zero,
        "availableBalance": money(total),
        "maxWithdrawAmount": money(total),
        "assets": [_asset_row(asked, *each) for each in asked.account.balances.items()],
        "positions": list(positions),
    }


def _asset_row(asked: Asked, asset: str, total: Decimal) -> Row:
    zero = money(ZERO)
    return {
        "asset": asset,
        "walletBalance": money(total),
        "unrealizedProfit": zero,
        "marginBalance": money(total),
        "maintMargin": zero,
        "initialMargin": zero,
        "positionInitialMargin": zero,
        "openOrderInitialMargin": zero,
        "crossWalletBalance": money(total),
        "crossUnPnl": zero,
        "availableBalance": money(total),
        "maxWithdrawAmount": money(total),
        "updateTime": asked.now_ms,
    }


def _settings() -> Row:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "feeBurn": False,
        "tradeGroupId": -1,
        "updateTime": 0,
        "multiAssetsMargin": False,
    }


def account_config(asked: Asked) -> Json:
    """GET accountConfig: the settings, with the position mode."""
    return {**_settings(), "dualSidePosition": asked.account.mode is PositionMode.HEDGE}


def symbol_config(asked: Asked) -> Json:
    """GET symbolConfig: margin type and leverage by market."""
    one = asked.market()
    return [
        {
            "symbol": market.listing(VENUE).native_id,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": LEVERAGE,
            "maxNotionalValue": "80000000",
        }
        for market in ((one,) if one else asked.world.listed(VENUE))
    ]


def balance(asked: Asked) -> Json:
    """GET balance: one row per asset held."""
    return [
        {
            "accountAlias": asked.account.name,
            "asset": asset,
            "balance": money(total),
            "crossWalletBalance": money(total),
            "crossUnPnl": money(ZERO),
            "availableBalance": money(total),
            "maxWithdrawAmount": money(total),
            "marginAvailable": True,
            "updateTime": asked.now_ms,
        }
        for asset, total in asked.account.balances.items()
    ]


def position_mode(asked: Asked) -> Json:
    """GET positionSide/dual: whether the account is in hedge mode."""
    return {"dualSidePosition": asked.account.mode is PositionMode.HEDGE}


def change_position_mode(asked: Asked) -> Json:
    """POST positionSide/dual: -4059 where nothing would change, -4068 while a position is open."""
    wanted = {"true": PositionMode.HEDGE, "false": PositionMode.ONE_WAY}.get(
        (asked.text("dualSidePosition") or "").lower()
    )
    if wanted is None:
        raise missing("dualSidePosition")
    if wanted is asked.account.mode:
        raise RefusalError(400, -4059, "No need to change position side.")
    if asked.world.positions(asked.account):
        raise RefusalError(400, -4068, "Position side cannot be changed if there exists position.")
    asked.world.set_mode(asked.account, wanted)
    return {"code": 200, "msg": "success"}


def multi_assets_mode(_: Asked) -> Json:
    """GET multiAssetsMargin: never."""
    return {"multiAssetsMargin": False}


def commission_rate(asked: Asked) -> Json:
    """GET commissionRate: the usual rates."""
    return {
        "symbol": asked.required_market().listing(VENUE).native_id,
        "makerCommissionRate": "0.000200",
        "takerCommissionRate": "0.000500",
        "rpiCommissionRate": "0.000050",
    }


def leverage_brackets(asked: Asked) -> Json:
    """GET leverageBracket: one bracket per market; its ratio is a JSON number."""
    one = asked.market()
    return [
        {
            "symbol": market.listing(VENUE).native_id,
            "notionalCoef": Decimal("1.50"),
            "brackets": [
                {
                    "bracket": 1,
                    "initialLeverage": LEVERAGE,
                    "notionalCap": 80_000_000,
                    "notionalFloor": 0,
                    "maintMarginRatio": MAINTENANCE_RATE,
                    "cum": 0,
                }
            ],
        }
        for market in ((one,) if one else asked.world.listed(VENUE))
    ]


def key_rights(asked: Asked) -> Json:
    """GET sapi account/apiRestrictions: what the key may do."""
    may_trade = not asked.account.read_only
    return {
        "ipRestrict": False,
        "createTime": ONBOARD_MS,
        "enableReading": True,
        "enableFutures": may_trade,
        "enableSpotAndMarginTrading": may_trade,
        "enableWithdrawals": False,
        "enableMargin": False,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
    }


def coins(asked: Asked) -> Json:
    """GET sapi capital/config/getall, which a client asks along when it loads currencies."""
    markets = asked.world.listed(VENUE)
    names = sorted({market.base for market in markets} | {market.quote for market in markets})
    return [
        {"coin": name, "name": name, "free": "0", "locked": "0", "trading": True, "networkList": []}
        for name in names
    ]


# The table


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One path: who answers it, whether it is signed, and its request weight."""

    answer: Callable[[Asked], Json]
    signed: bool = True
    weight: int = 1
    weight_of_all: int | None = None


ENDPOINTS: Final[Mapping[tuple[str, str], Endpoint]] = {
    ("GET", "/fapi/v1/ping"): Endpoint(answer=ping, signed=False),
    ("GET", "/fapi/v1/time"): Endpoint(answer=server_time, signed=False),
    ("GET", "/fapi/v1/exchangeInfo"): Endpoint(answer=exchange_info, signed=False),
    ("GET", "/fapi/v1/ticker/price"): Endpoint(answer=ticker_price, signed=False, weight_of_all=2),
    ("GET", "/fapi/v2/ticker/price"): Endpoint(answer=ticker_price, signed=False, weight_of_all=2),
    ("GET", "/fapi/v2/positionRisk"): Endpoint(answer=position_risk_v2, weight=5),
    ("GET", "/fapi/v3/positionRisk"): Endpoint(answer=position_risk_v3, weight=5),
    ("GET", "/fapi/v1/userTrades"): Endpoint(answer=user_trades, weight=5),
    ("GET", "/fapi/v1/allOrders"): Endpoint(answer=all_orders, weight=5),
    ("GET", "/fapi/v1/openOrders"): Endpoint(answer=open_orders, weight_of_all=40),
    ("GET", "/fapi/v1/openOrder"): Endpoint(answer=one_open_order),
    ("GET", "/fapi/v1/order"): Endpoint(answer=one_order),
    ("GET", "/fapi/v1/forceOrders"): Endpoint(answer=force_orders, weight=20, weight_of_all=50),
    ("GET", "/fapi/v1/openAlgoOrders"): Endpoint(answer=nothing, weight_of_all=40),
    ("GET", "/fapi/v1/allAlgoOrders"): Endpoint(answer=nothing, weight=5),
    ("GET", "/fapi/v2/account"): Endpoint(answer=account_v2, weight=5),
    ("GET", "/fapi/v3/account"): Endpoint(answer=account_v3, weight=5),
    ("GET", "/fapi/v1/accountConfig"): Endpoint(answer=account_config, weight=5),
    ("GET", "/fapi/v1/symbolConfig"): Endpoint(answer=symbol_config, weight=5),
    ("GET", "/fapi/v2/balance"): Endpoint(answer=balance, weight=5),
    ("GET", "/fapi/v3/balance"): Endpoint(answer=balance, weight=5),
    ("GET", "/fapi/v1/positionSide/dual"): Endpoint(answer=position_mode, weight=30),
    ("POST", "/fapi/v1/positionSide/dual"): Endpoint(answer=change_position_mode),
    ("GET", "/fapi/v1/multiAssetsMargin"): Endpoint(answer=multi_assets_mode, weight=30),
    ("GET", "/fapi/v1/commissionRate"): Endpoint(answer=commission_rate, weight=20),
    ("GET", "/fapi/v1/leverageBracket"): Endpoint(answer=leverage_brackets),
    ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(answer=key_rights),
    ("GET", "/sapi/v1/capital/config/getall"): Endpoint(answer=coins, weight=10),
    ("GET", "/sapi/v1/margin/allPairs"): Endpoint(answer=nothing),
}


class BinanceUsdm:
    """The face of Binance USD-M futures; holds nothing."""

    name = VENUE

    def owns(self, path: str) -> bool:
        """Its futures paths, and the one spot path that its clients ask."""
        return path.startswith(("/fapi/", "/sapi/"))

    def weight(self, call: Call) -> int:
        """The endpoint's weight, often larger without a symbol."""
        endpoint = ENDPOINTS.get((call.method, call.path))
        if endpoint is None:
            return 1
        if endpoint.weight_of_all is not None and "symbol" not in call.params:
            return endpoint.weight_of_all
        return endpoint.weight

    def meter_headers(self, used: int) -> Mapping[str, str]:
        """The weight used in this minute."""
        return {"X-MBX-USED-WEIGHT-1M": str(used)}

    def too_many(self, _: Call, excess: Excess) -> Answer:
        """429 first; 418 for a client that keeps on to twice the limit."""
        text = (
            f"Too many requests; current limit of IP is {excess.limit} requests per minute. "
            "Please use the websocket for live updates to avoid polling the API."
        )
        return Answer(
            status=418 if excess.is_stubborn else 429,
            body={"code": -1003, "msg": text},
            headers={"Retry-After": str(excess.seconds_left)},
        )

    def answer(self, world: World, call: Call) -> Answer:
        """The answer to a call, refusals included."""
        endpoint = ENDPOINTS.get((call.method, call.path))
        try:
            if endpoint is None:
                raise RefusalError(404, -5000, f"Path {call.path}, Method {call.method} is invalid")
            asked = Asked(
                world=world,
                params=call.params,
                now_ms=call.now_ms,
                caller=authenticate(world, call) if endpoint.signed else None,
            )
            return Answer(body=endpoint.answer(asked))
        except RefusalError as refusal:
            return refusal.answer

    def rows(self, body: Json) -> list[Json] | None:
        """The answer itself where it is a list, else the positions or symbols in it."""
        if isinstance(body, dict):
            inner = body.get("positions", body.get("symbols"))
            return inner if isinstance(inner, list) else None
        return body if isinstance(body, list) else None
