"""The public endpoints: the time, the markets and their prices."""

from __future__ import annotations

from typing import Final

from unghost.demo.venue.binanceusdm.asking import VENUE, Asked
from unghost.demo.venue.figures import places, plain
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import Market

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
ONBOARD_MS: Final = 1_569_398_400_000
WEIGHT_PER_MINUTE: Final = 2400


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
