"""The public endpoints: the time, and the instruments."""

from __future__ import annotations

from functools import partial

from unghost.demo.venue.bybit.asking import VENUE, Asked
from unghost.demo.venue.bybit.pages import Line, cursor_of, listed, page_of
from unghost.demo.venue.bybit.spelling import LAUNCHED_MS
from unghost.demo.venue.figures import places, plain
from unghost.demo.venue.protocol import Row
from unghost.demo.world import Market


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
    if found and result["nextPageCursor"] == cursor_of(max(each.key for each in found)):
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
