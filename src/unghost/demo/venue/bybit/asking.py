"""What a call to Bybit v5 asks for, and the headers by which it says who asks."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from unghost.demo.venue import asking
from unghost.demo.venue.asking import RefusalError, digest, is_whole
from unghost.demo.venue.protocol import Call
from unghost.demo.world import Account, Market, World

VENUE: Final = "bybit"
DEFAULT_RECV_WINDOW_MS: Final = 5000
AHEAD_MS: Final = 1000
CATEGORIES: Final = frozenset({"linear", "spot", "inverse", "option"})
BAD_PARAMETER: Final = 10001
BAD_TIME: Final = 10002
BAD_KEY: Final = 10003
BAD_SIGN: Final = 10004


def refused(code: int, message: str) -> RefusalError:
    """The exchange's own error: nearly every one comes with HTTP status 200."""
    return RefusalError(200, code, message)


def bad_parameter(message: str) -> RefusalError:
    """The error for whatever is wrong with a parameter."""
    return refused(BAD_PARAMETER, f"params error: {message}")


@dataclass(frozen=True, kw_only=True)
class Asked(asking.Asked):
    """A call to one of the v5 endpoints."""

    venue: str = VENUE

    def no_caller(self) -> RefusalError:
        """As at the door."""
        return refused(BAD_KEY, "API key is invalid.")

    def no_number(self, name: str) -> RefusalError:
        """One code serves for all parameters."""
        return bad_parameter(f"{name} invalid")

    def no_market(self) -> RefusalError:
        """As for any other parameter."""
        return bad_parameter("symbol invalid")

    def category(self) -> str:
        """The kind of product, which every call must say."""
        category = self.text("category")
        if category not in CATEGORIES:
            raise bad_parameter("category invalid")
        return category

    def market(self) -> Market | None:
        """The market of `symbol`; 10001 where there is none of that name."""
        name = self.text("symbol")
        return None if name is None else self.named(name)

    def symbols(self) -> frozenset[str]:
        """The unified symbols asked for, by `symbol`, by `settleCoin` or as all."""
        one, coin = self.market(), self.text("settleCoin")
        markets = self.world.listed(VENUE) if one is None else (one,)
        return frozenset(each.symbol for each in markets if one or coin in (None, each.quote))


def authenticate(world: World, call: Call) -> Account:
    """The account whose key signed the call."""
    stamp = call.headers.get("X-BAPI-TIMESTAMP", "")
    key, sign = call.headers.get("X-BAPI-API-KEY", ""), call.headers.get("X-BAPI-SIGN", "")
    if not (stamp and key and sign):
        seen = f"empty value: apiTimestamp[{stamp}] apiKey[{key}] apiSignature[{sign}]"
        raise refused(BAD_PARAMETER, f"{seen}: openapi sign params error!")
    window = call.headers.get("X-BAPI-RECV-WINDOW", str(DEFAULT_RECV_WINDOW_MS))
    _check_time(stamp, window, call.now_ms)
    account = world.account_of_key(key)
    if account is None:
        raise refused(BAD_KEY, "API key is invalid.")
    # A POST is signed by its body, a GET by its query, each as sent.
    origin = f"{stamp}{key}{window}{call.body if call.method == 'POST' else call.query}"
    if not hmac.compare_digest(digest(account.secret, origin).hex(), sign):
        raise refused(BAD_SIGN, f"error sign! origin_string[{origin}]")
    return account


def _check_time(stamp: str, window: str, now_ms: int) -> None:
    known = is_whole(stamp) and is_whole(window)
    if not known or not now_ms - int(window) <= int(stamp) < now_ms + AHEAD_MS:
        told = f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{window}]"
        ask = "invalid request, please check your server timestamp or recv_window param."
        raise refused(BAD_TIME, f"{ask} {told}")
