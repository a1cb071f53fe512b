"""The face of Binance USD-M futures: its table of endpoints and its rate limit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final, TypeAlias

from unghost.demo.venue.asking import Endpoint, RefusalError, answered
from unghost.demo.venue.binanceusdm.account import account_v2, account_v3, balance
from unghost.demo.venue.binanceusdm.asking import VENUE, Asked, authenticate
from unghost.demo.venue.binanceusdm.fills import user_trades
from unghost.demo.venue.binanceusdm.markets import exchange_info, ping, server_time, ticker_price
from unghost.demo.venue.binanceusdm.orders import (
    all_orders,
    force_orders,
    one_open_order,
    one_order,
    open_orders,
)
from unghost.demo.venue.binanceusdm.positions import position_risk_v2, position_risk_v3
from unghost.demo.venue.binanceusdm.settings import (
    account_config,
    change_position_mode,
    coins,
    commission_rate,
    key_rights,
    leverage_brackets,
    multi_assets_mode,
    nothing,
    position_mode,
    symbol_config,
)
from unghost.demo.venue.protocol import Answer, Call, Excess, Json
from unghost.demo.world import World

Table: TypeAlias = Mapping[tuple[str, str], Endpoint[Asked]]
"""Which endpoint answers a method and a path."""

ENDPOINTS: Final[Table] = {
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
    """The face of Binance USD-M futures; holds nothing.

    Binance's other faces are this one with another name and another table.
    """

    name: ClassVar[str] = VENUE
    endpoints: ClassVar[Table] = ENDPOINTS

    def owns(self, path: str) -> bool:
        """Its futures paths, and the one spot path that its clients ask."""
        return path.startswith(("/fapi/", "/sapi/"))

    def weight(self, call: Call) -> int:
        """The endpoint's weight, often larger without a symbol."""
        endpoint = self.endpoints.get((call.method, call.path))
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
        endpoint = self.endpoints.get((call.method, call.path))
        try:
            if endpoint is None:
                raise RefusalError(404, -5000, f"Path {call.path}, Method {call.method} is invalid")
            asked = partial(Asked, venue=self.name)
            body = answered(endpoint, call, world, asked=asked, authenticate=authenticate)
        except RefusalError as refusal:
            body = {"code": refusal.code, "msg": refusal.message}
            return Answer(status=refusal.status, body=body)
        return Answer(body=body)

    def rows(self, body: Json) -> list[Json] | None:
        """The answer itself where it is a list, else the positions or symbols in it."""
        if isinstance(body, dict):
            inner = body.get("positions", body.get("symbols"))
            return inner if isinstance(inner, list) else None
        return body if isinstance(body, list) else None
