"""The face of Bybit v5: its table of endpoints, its envelope, its rate limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unghost.demo.venue.asking import Endpoint, RefusalError, answered
from unghost.demo.venue.bybit.account import (
    account_info,
    coins_info,
    fee_rate,
    key_info,
    wallet_balance,
)
from unghost.demo.venue.bybit.asking import VENUE, Asked, authenticate
from unghost.demo.venue.bybit.executions import execution_list
from unghost.demo.venue.bybit.markets import instruments, server_time
from unghost.demo.venue.bybit.orders import open_orders, order_history
from unghost.demo.venue.bybit.positions import position_list
from unghost.demo.venue.protocol import Answer, Call, Excess, Json
from unghost.demo.world import World

CALLS_PER_MINUTE: Final = 600
TOO_MANY: Final = 10006
NO_SUCH_PATH: Final = 10404


ENDPOINTS: Final[Mapping[tuple[str, str], Endpoint[Asked]]] = {
    ("GET", "/v5/market/time"): Endpoint(answer=server_time, signed=False),
    ("GET", "/v5/market/instruments-info"): Endpoint(answer=instruments, signed=False),
    ("GET", "/v5/position/list"): Endpoint(answer=position_list),
    ("GET", "/v5/execution/list"): Endpoint(answer=execution_list),
    ("GET", "/v5/order/realtime"): Endpoint(answer=open_orders),
    ("GET", "/v5/order/history"): Endpoint(answer=order_history),
    ("GET", "/v5/account/info"): Endpoint(answer=account_info),
    ("GET", "/v5/account/wallet-balance"): Endpoint(answer=wallet_balance),
    ("GET", "/v5/account/fee-rate"): Endpoint(answer=fee_rate),
    ("GET", "/v5/user/query-api"): Endpoint(answer=key_info),
    ("GET", "/v5/asset/coin/query-info"): Endpoint(answer=coins_info),
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


def _result(world: World, call: Call) -> Json:
    endpoint = ENDPOINTS.get((call.method, call.path))
    if endpoint is None:
        raise RefusalError(404, NO_SUCH_PATH, "Request path not found")
    return answered(endpoint, call, world, asked=Asked, authenticate=authenticate)


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
            return Answer(body=envelope(call.now_ms, _result(world, call)))
        except RefusalError as refusal:
            body = envelope(call.now_ms, {}, refusal.code, refusal.message)
            return Answer(status=refusal.status, body=body)

    def rows(self, body: Json) -> list[Json] | None:
        """The list in the result."""
        result = body.get("result") if isinstance(body, dict) else None
        if not isinstance(result, dict):
            return None
        inner = result.get("list", result.get("rows"))
        return inner if isinstance(inner, list) else None
