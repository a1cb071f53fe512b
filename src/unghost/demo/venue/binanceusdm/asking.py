"""What a call to Binance asks for, and the signature by which it says who asks."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unghost.demo.venue import asking
from unghost.demo.venue.asking import RefusalError, digest, is_whole
from unghost.demo.venue.protocol import Call
from unghost.demo.world import Account, Market, World

VENUE: Final = "binanceusdm"
DEFAULT_RECV_WINDOW_MS: Final = 5000
MAX_RECV_WINDOW_MS: Final = 60_000
AHEAD_MS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Asked(asking.Asked):
    """A call to one of the endpoints; `venue` is another where Binance's other faces use them."""

    venue: str = VENUE

    def no_caller(self) -> RefusalError:
        """As at the door."""
        return RefusalError(401, -2014, "API-key format invalid.")

    def no_number(self, name: str) -> RefusalError:
        """Code -1100."""
        text = f"Illegal characters found in parameter '{name}'; legal range is digits."
        return RefusalError(400, -1100, text)

    def no_market(self) -> RefusalError:
        """Code -1121."""
        return RefusalError(400, -1121, "Invalid symbol.")

    def market(self) -> Market | None:
        """The market of `symbol`; -1121 where there is none of that name."""
        name = self.text("symbol")
        return None if name is None else self.named(name)

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
    return int(text) if text is not None and is_whole(text) else None


def _check_signature(call: Call, secret: str) -> None:
    """The signature covers the text exactly as sent, and must come last."""
    signed, found, given = call.signed_text.rpartition("&signature=")
    if not found:
        raise missing("signature")
    if not hmac.compare_digest(digest(secret, signed).hex(), given):
        raise RefusalError(400, -1022, "Signature for this request is not valid.")
