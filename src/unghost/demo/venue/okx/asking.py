"""What a call to OKX v5 asks for, and the headers by which it says who asks."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from unghost.demo.venue import asking
from unghost.demo.venue.asking import RefusalError, digest
from unghost.demo.venue.protocol import Call
from unghost.demo.world import Account, Market, World, to_ms

VENUE: Final = "okx"
LATE_MS: Final = 30_000
MAX_LIMIT: Final = 100
TYPES: Final = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"})


def bad_parameter(name: str) -> RefusalError:
    """The error for a parameter that says nothing known."""
    return RefusalError(400, 51000, f"Parameter {name} error")


@dataclass(frozen=True, kw_only=True)
class Asked(asking.Asked):
    """A call to one of the v5 endpoints."""

    venue: str = VENUE

    def no_caller(self) -> RefusalError:
        """As at the door."""
        return RefusalError(401, 50111, "Invalid OK-ACCESS-KEY")

    def no_number(self, name: str) -> RefusalError:
        """As for any other parameter."""
        return bad_parameter(name)

    def no_market(self) -> RefusalError:
        """An answer like others, whose code tells."""
        return RefusalError(200, 51001, "Instrument ID does not exist.")

    def names(self, name: str) -> list[str] | None:
        """A parameter that holds several values with commas between."""
        text = self.text(name)
        return None if text is None else text.split(",")

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
    return base64.b64encode(digest(secret, text)).decode()


def _check_time(call: Call) -> None:
    try:
        sent = to_ms(datetime.fromisoformat(call.headers["OK-ACCESS-TIMESTAMP"]))
    except ValueError:
        raise RefusalError(401, 50112, "Invalid OK-ACCESS-TIMESTAMP") from None
    if abs(call.now_ms - sent) > LATE_MS:
        raise RefusalError(401, 50102, "Timestamp request expired")
