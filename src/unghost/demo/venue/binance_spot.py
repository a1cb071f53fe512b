"""Binance spot as its REST clients know it: balances that fills move, fills by time and by id.

A world trades on it where its markets are listed at `binance` (`SPOT_MARKETS`). What an account
holds of an asset is its balance in the world, moved by every fill and by every fee; an override of
a market's position says what is held of its base asset instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, Final, TypeVar

from unghost.demo.venue.asking import DAY_MS, Endpoint, RefusalError
from unghost.demo.venue.binanceusdm.asking import Asked
from unghost.demo.venue.binanceusdm.face import BinanceUsdm, Table
from unghost.demo.venue.binanceusdm.markets import WEIGHT_PER_MINUTE, ping, server_time
from unghost.demo.venue.binanceusdm.spelling import numeral, upper
from unghost.demo.venue.figures import cost_of, money, plain, quantity_of, stepped
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import (
    Account,
    Fill,
    Listing,
    Market,
    Order,
    OrderType,
    Side,
    World,
)

VENUE: Final = "binance"
DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1000

T = TypeVar("T")


def _pair(base: str, price: str, price_step: str, quantity_step: str) -> Market:
    return Market(
        symbol=f"{base}/USDT",
        base=base,
        quote="USDT",
        price_step=Decimal(price_step),
        quantity_step=Decimal(quantity_step),
        reference_price=Decimal(price),
        listings=(Listing(venue=VENUE, native_id=f"{base}USDT"),),
    )


SPOT_MARKETS: Final[tuple[Market, ...]] = (
    _pair("BTC", "65000", "0.01", "0.00001"),
    _pair("ETH", "3200", "0.01", "0.0001"),
    _pair("SOL", "150", "0.01", "0.001"),
    _pair("BNB", "600", "0.01", "0.001"),
)


# Public endpoints


def exchange_info(asked: Asked) -> Json:
    """GET exchangeInfo: every market."""
    return {
        "timezone": "UTC",
        "serverTime": asked.now_ms,
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": WEIGHT_PER_MINUTE,
            },
        ],
        "exchangeFilters": [],
        "symbols": [_symbol_row(market) for market in asked.world.listed(VENUE)],
    }


def _symbol_row(market: Market) -> Row:
    tick, step = plain(market.price_step), plain(market.quantity_step)
    return {
        "symbol": market.listing(VENUE).native_id,
        "status": "TRADING" if market.active else "BREAK",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "tickSize": tick,
                "minPrice": tick,
                "maxPrice": "1000000",
            },
            {"filterType": "LOT_SIZE", "stepSize": step, "minQty": step, "maxQty": "9000"},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5",
                "applyMinToMarket": True,
                "maxNotional": "9000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


# Balances


def account(asked: Asked) -> Json:
    """GET account: every asset that the exchange trades, those of which nothing is held too."""
    held, locked = holdings(asked.world, asked.account), _locked(asked.world, asked.account)
    assets = {*asked.assets(), *held}
    if asked.text("omitZeroBalances") == "true":
        assets = {each for each in assets if held[each]}
    may_trade = not asked.account.read_only
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "canTrade": may_trade,
        "canWithdraw": may_trade,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "updateTime": asked.now_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": each, "free": money(held[each] - locked[each]), "locked": money(locked[each])}
            for each in sorted(assets)
        ],
        "permissions": ["SPOT"],
        "uid": asked.account.uid,
    }


def holdings(world: World, owner: Account, venue: str = VENUE) -> Mapping[str, Decimal]:
    """What the account holds by asset: its balances, moved by a venue's fills and fees."""
    held: defaultdict[str, Decimal] = defaultdict(Decimal, owner.balances)
    for market in world.listed(venue):
        for fill in world.fills(owner, market.symbol):
            held[market.base] += fill.signed_quantity
            held[market.quote] -= fill.signed_quantity * fill.price
            held[fill.fee_currency] -= fill.fee
    for override in world.state().overrides:
        if override.account == owner.name:
            held[world.market(override.symbol).base] = override.quantity
    return held


def _locked(world: World, owner: Account) -> Mapping[str, Decimal]:
    """What resting orders keep."""
    locked: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in world.orders(owner, open_only=True):
        market = world.market(order.symbol)
        rest = order.quantity - quantity_of(world.fills_of(order))
        if order.side is Side.SELL:
            locked[market.base] += rest
        else:
            locked[market.quote] += rest * order.price
    return locked


# Fills and orders


def my_trades(asked: Asked) -> Json:
    """GET myTrades: the fills of one market, oldest first; `fromId` goes without times."""
    market = asked.required_market()
    fills = asked.world.fills(asked.account, market.symbol, order_id=asked.text("orderId"))
    page = _page(asked, fills, asked.number("fromId"), lambda fill: (fill.fill_id, fill.at))
    return [_trade_row(market, fill) for fill in page]


def _trade_row(market: Market, fill: Fill) -> Row:
    return {
        "symbol": market.listing(VENUE).native_id,
        "id": fill.fill_id,
        "orderId": numeral(fill.order_id),
        "orderListId": -1,
        "price": stepped(fill.price, market.price_step),
        "qty": stepped(fill.quantity, market.quantity_step),
        "quoteQty": plain(fill.quantity * fill.price),
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_currency,
        "time": fill.at,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def all_orders(asked: Asked) -> Json:
    """GET allOrders: of one market, oldest first; `orderId` starts there and goes without times."""
    market = asked.required_market()
    orders = asked.world.orders(asked.account, market.symbol)
    first = asked.number("orderId")
    page = _page(asked, orders, first, lambda each: (_number(each.order_id), each.created_at))
    return [_order_row(asked.world, market, order) for order in page]


def _number(order_id: str) -> int:
    return int(order_id) if order_id.isdigit() else -1


def _order_row(world: World, market: Market, order: Order) -> Row:
    fills = world.fills_of(order)
    is_limit = order.type is OrderType.LIMIT
    return {
        "symbol": market.listing(VENUE).native_id,
        "orderId": numeral(order.order_id),
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "price": stepped(order.price, market.price_step) if is_limit else "0.00000000",
        "origQty": stepped(order.quantity, market.quantity_step),
        "executedQty": stepped(quantity_of(fills), market.quantity_step),
        "cummulativeQuoteQty": plain(cost_of(fills)),
        "status": upper(order.state),
        "timeInForce": "GTC",
        "type": upper(order.type),
        "side": upper(order.side),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_at,
        "updateTime": order.updated_at,
        "isWorking": True,
        "workingTime": order.created_at,
        "origQuoteOrderQty": "0.00000000",
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def _page(
    asked: Asked,
    rows: Sequence[T],
    first: int | None,
    key: Callable[[T], tuple[int, int]],
) -> Sequence[T]:
    """One page: from an id on, or of at most 24 hours, or the newest rows."""
    start, end = asked.number("startTime"), asked.number("endTime")
    limit = min(asked.number("limit") or DEFAULT_LIMIT, MAX_LIMIT)
    if first is not None:
        if start is not None or end is not None:
            raise RefusalError(400, -1128, "Combination of optional parameters invalid.")
        return sorted((row for row in rows if key(row)[0] >= first), key=key)[:limit]
    if start is None:
        return [row for row in rows if end is None or key(row)[1] <= end][-limit:]
    end = start + DAY_MS if end is None else end
    if end - start > DAY_MS:
        raise RefusalError(400, -1127, "More than 24 hours between startTime and endTime.")
    return [row for row in rows if start <= key(row)[1] <= end][:limit]


# The table


ENDPOINTS: Final[Table] = {
    ("GET", "/api/v3/ping"): Endpoint(answer=ping, signed=False),
    ("GET", "/api/v3/time"): Endpoint(answer=server_time, signed=False),
    ("GET", "/api/v3/exchangeInfo"): Endpoint(answer=exchange_info, signed=False, weight=20),
    ("GET", "/api/v3/account"): Endpoint(answer=account, weight=20),
    ("GET", "/api/v3/myTrades"): Endpoint(answer=my_trades, weight=20),
    ("GET", "/api/v3/allOrders"): Endpoint(answer=all_orders, weight=20),
}


class BinanceSpot(BinanceUsdm):
    """The face of Binance spot; holds nothing."""

    name: ClassVar[str] = VENUE
    endpoints: ClassVar[Table] = ENDPOINTS

    def owns(self, path: str) -> bool:
        """The spot API."""
        return path.startswith("/api/v3/")

    def rows(self, body: Json) -> list[Json] | None:
        """The answer itself where it is a list, else the balances or symbols in it."""
        if isinstance(body, dict):
            inner = body.get("balances", body.get("symbols"))
            return inner if isinstance(inner, list) else None
        return body if isinstance(body, list) else None
