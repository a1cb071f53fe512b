"""Coinbase's Advanced Trade: wallets, and fills newest first, both by cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from tests.exchange.bodies import Asked, Row, TableFace

from unghost.demo.venue.binance_spot import SPOT_MARKETS, holdings
from unghost.demo.venue.figures import money, plain
from unghost.demo.venue.protocol import Json
from unghost.demo.world import Fill, Listing, Market, to_ms

VENUE: Final = "coinbase"
MARKETS: Final = tuple(
    replace(
        market,
        symbol=f"{market.base}/USD",
        quote="USD",
        listings=(Listing(venue=VENUE, native_id=f"{market.base}-USD"),),
    )
    for market in SPOT_MARKETS
)
API: Final = "api/v3/brokerage/"


class Coinbase(TableFace):
    """Spot alone."""

    name = VENUE
    prefix = "/"
    key_header = "CB-ACCESS-KEY"

    def owns(self, path: str) -> bool:
        return path.startswith((f"/{API}", "/v2/"))

    def table(self) -> Mapping[str, Callable[[Asked], Json]]:
        return {
            f"{API}market/products": _products,
            f"{API}transaction_summary": lambda _: {"fee_tier": {}},
            f"{API}time": lambda asked: {"iso": "", "epochSeconds": str(asked.now_ms // 1000)},
            "v2/time": lambda asked: {"data": {"epoch": asked.now_ms // 1000, "iso": ""}},
            f"{API}accounts": _accounts,
            f"{API}orders/historical/fills": _fills,
            f"{API}orders/historical/batch": _orders,
            f"{API}key_permissions": _key,
        }

    def rows(self, body: Json) -> list[Json] | None:
        if not isinstance(body, dict):
            return None
        return next((each for each in body.values() if isinstance(each, list)), None)


def _products(asked: Asked) -> Json:
    if "product_type" in asked.params:
        return {"products": []}
    return {"products": [_product(market) for market in asked.world.listed(VENUE)]}


def _product(market: Market) -> Row:
    return {
        "product_id": market.listing(VENUE).native_id,
        "price": plain(market.reference_price),
        "base_increment": plain(market.quantity_step),
        "quote_increment": plain(market.price_step),
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": plain(market.quantity_step),
        "base_max_size": "3400",
        "status": "online",
        "trading_disabled": False,
        "product_type": "SPOT",
        "quote_currency_id": market.quote,
        "base_currency_id": market.base,
        "price_increment": plain(market.price_step),
    }


def _accounts(asked: Asked) -> Json:
    held = holdings(asked.world, asked.account, VENUE)
    assets = {market.base for market in asked.world.listed(VENUE)} | held.keys()
    return {
        "accounts": [
            {
                "uuid": asset,
                "currency": asset,
                "available_balance": {"value": money(held[asset]), "currency": asset},
                "hold": {"value": "0", "currency": asset},
                "type": "ACCOUNT_TYPE_CRYPTO",
                "active": True,
                "ready": True,
            }
            for asset in sorted(assets)
        ],
        "has_next": False,
        "cursor": "",
    }


def _fills(asked: Asked) -> Json:
    """Those of one product between two times; the cursor is where the next page begins."""
    start, end = (
        to_ms(datetime.fromisoformat(asked.params[f"{name}_sequence_timestamp"]))
        for name in ("start", "end")
    )
    fills = asked.world.fills(asked.account, asked.params["product_ids"])
    found = [fill for fill in reversed(fills) if start <= fill.at <= end]
    first = int(asked.params.get("cursor") or 0)
    last = first + asked.number("limit", 100)
    rows: list[Json] = [_fill(asked, fill) for fill in found[first:last]]
    return {"fills": rows, "cursor": str(last) if last < len(found) else ""}


def _fill(asked: Asked, fill: Fill) -> Row:
    at = datetime.fromtimestamp(fill.at // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.")
    return {
        "entry_id": f"entry-{fill.record_id}",
        "trade_id": str(fill.fill_id),
        "order_id": fill.order_id,
        "trade_time": f"{at}{fill.at % 1000:03d}456Z",
        "trade_type": "FILL",
        "price": plain(fill.price),
        "size": plain(fill.quantity),
        "commission": plain(fill.fee),
        "product_id": asked.world.market(fill.symbol).listing(VENUE).native_id,
        "sequence_timestamp": f"{at}{fill.at % 1000:03d}456Z",
        "liquidity_indicator": "TAKER",
        "size_in_quote": False,
        "user_id": "user",
        "side": fill.side.value.upper(),
    }


def _orders(asked: Asked) -> Json:
    """One order is asked for at a time here: of a name that comes twice, the last counts."""
    wanted = asked.params["order_ids"]
    return {
        "orders": [
            {"order_id": order.order_id, "client_order_id": order.client_order_id}
            for order in asked.world.orders(asked.account)
            if order.order_id == wanted
        ],
        "has_next": False,
        "cursor": "",
    }


def _key(asked: Asked) -> Json:
    return {"can_view": True, "can_trade": False, "portfolio_uuid": str(asked.account.uid)}
