"""The face of OKX v5: its table of endpoints, its envelope, its rate limit."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import UNAUTHORIZED
from typing import Final

from unghost.demo.venue.asking import Endpoint, RefusalError, answered
from unghost.demo.venue.okx.account import account_config, balance, currencies, trade_fee
from unghost.demo.venue.okx.asking import VENUE, Asked, authenticate
from unghost.demo.venue.okx.fills import fills_history, recent_fills
from unghost.demo.venue.okx.markets import instruments, server_time
from unghost.demo.venue.okx.orders import archived_orders, one_order, pending_orders, recent_orders
from unghost.demo.venue.okx.positions import positions
from unghost.demo.venue.protocol import Answer, Call, Excess, Json, Row
from unghost.demo.world import World

ENDPOINTS: Final[Mapping[tuple[str, str], Endpoint[Asked]]] = {
    ("GET", "/api/v5/public/time"): Endpoint(answer=server_time, signed=False),
    ("GET", "/api/v5/public/instruments"): Endpoint(answer=instruments, signed=False),
    ("GET", "/api/v5/account/positions"): Endpoint(answer=positions),
    ("GET", "/api/v5/account/config"): Endpoint(answer=account_config),
    ("GET", "/api/v5/account/balance"): Endpoint(answer=balance),
    ("GET", "/api/v5/account/trade-fee"): Endpoint(answer=trade_fee),
    ("GET", "/api/v5/asset/currencies"): Endpoint(answer=currencies),
    ("GET", "/api/v5/trade/fills"): Endpoint(answer=recent_fills),
    ("GET", "/api/v5/trade/fills-history"): Endpoint(answer=fills_history),
    ("GET", "/api/v5/trade/order"): Endpoint(answer=one_order),
    ("GET", "/api/v5/trade/orders-pending"): Endpoint(answer=pending_orders),
    ("GET", "/api/v5/trade/orders-history"): Endpoint(answer=recent_orders),
    ("GET", "/api/v5/trade/orders-history-archive"): Endpoint(answer=archived_orders),
}


def _data(world: World, call: Call) -> Json:
    endpoint = ENDPOINTS.get((call.method, call.path))
    if endpoint is None:
        raise RefusalError(404, 404, f"{call.method} {call.path} Not Found")
    return answered(endpoint, call, world, asked=Asked, authenticate=authenticate)


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
            return Answer(body={"code": "0", "data": _data(world, call), "msg": ""})
        except RefusalError as refusal:
            # Those of the door come without data.
            data: Row = {} if refusal.status == UNAUTHORIZED else {"data": []}
            body: Row = {"msg": refusal.message, "code": str(refusal.code), **data}
            return Answer(status=refusal.status, body=body)

    def rows(self, body: Json) -> list[Json] | None:
        """The list of data."""
        data = body.get("data") if isinstance(body, dict) else None
        return data if isinstance(data, list) else None
