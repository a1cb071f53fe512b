"""What CCXT's errors, HTTP statuses and headers mean for asking again: the table of VENUES."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Final

from unghost.adapters.exchange.bounds import loaded_ccxt
from unghost.adapters.exchange.failures import FailureKind
from unghost.adapters.exchange.strict import to_ms

GIVE_UP_STATUSES: Final = frozenset({401, 403, 404, 405, 410, 451})
"""CCXT calls most of these ExchangeNotAvailable, but they do not pass by waiting."""
TELLING_STATUSES: Final[Mapping[int | None, FailureKind]] = {
    418: FailureKind.BANNED,
    429: FailureKind.RATE_LIMITED,
}
"""What these mean does not depend on the body, which CCXT asks first."""
BROKEN_STATUS: Final = 500
BAD_STATUS: Final = 400
RESET_HEADER: Final = "x-bapi-limit-reset-timestamp"
LONGEST_WAIT_SECONDS: Final = 366 * 24 * 3600
"""What is told beyond it counts as this: `1e999999999` must not become an integer."""

KINDS: Final = (
    ("InvalidNonce", FailureKind.SKEW),
    ("RateLimitExceeded", FailureKind.RATE_LIMITED),
    ("DDoSProtection", FailureKind.RATE_LIMITED),
    ("RequestTimeout", FailureKind.TIMEOUT),
    ("AuthenticationError", FailureKind.REFUSED),
    ("BadSymbol", FailureKind.REFUSED),
    ("BadRequest", FailureKind.REFUSED),
    ("NotSupported", FailureKind.REFUSED),
    ("BadResponse", FailureKind.BAD_RESPONSE),
    ("NullResponse", FailureKind.BAD_RESPONSE),
    ("OperationFailed", FailureKind.UNAVAILABLE),
)
"""CCXT's classes from special to general. What is in none of them is not asked again."""

UNREADABLE: Final = (TypeError, KeyError, AttributeError, IndexError, ValueError, ArithmeticError)
"""What CCXT's parsers raise when an answer has not the shape they expect."""


def kind_of(error: Exception, status: int | None) -> FailureKind:
    """What an error of CCXT means, by the table of VENUES. `status` is that of HTTP, if any."""
    if status in TELLING_STATUSES:
        return TELLING_STATUSES[status]
    kind = next((kind for name, kind in KINDS if isinstance(error, _error_class(name))), None)
    if kind is FailureKind.UNAVAILABLE and status in GIVE_UP_STATUSES:
        return FailureKind.REFUSED
    if kind is not None:
        return kind
    if isinstance(error, UNREADABLE):
        return FailureKind.BAD_RESPONSE
    return _kind_of_stranger(error, status)


def _kind_of_stranger(error: Exception, status: int | None) -> FailureKind:
    """A bare ExchangeError is the exchange's refusal, save where it or the connection broke."""
    if status is not None and status >= BROKEN_STATUS:
        return FailureKind.UNAVAILABLE
    cause = error.__cause__
    broken = cause is not None and type(cause).__module__.partition(".")[0] == "aiohttp"
    return FailureKind.CONNECTION if broken else FailureKind.REFUSED


def _error_class(name: str) -> type[Exception]:
    found = getattr(loaded_ccxt(), name)
    return found if isinstance(found, type) else Exception


def retry_after(kind: FailureKind, headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the exchange wants no calls for, as its headers tell; None where they do not.

    Retry-After is in seconds or a date; Bybit tells the moment, in milliseconds, instead.
    """
    told = {name.lower(): value for name, value in headers.items()}
    with contextlib.suppress(ValueError, ArithmeticError):
        if "retry-after" in told:
            return _bounded(_seconds(told["retry-after"], now))
        if kind is FailureKind.RATE_LIMITED and RESET_HEADER in told:
            return _bounded(Decimal(int(told[RESET_HEADER]) - to_ms(now)) / 1000)
    return None


def _seconds(text: str, now: datetime) -> Decimal:
    """Seconds from now; ValueError or ArithmeticError for what is no time at all."""
    try:
        return Decimal(text)
    except InvalidOperation:
        moment = parsedate_to_datetime(text)
    return Decimal((moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def _bounded(seconds: Decimal) -> int:
    """Whole seconds, rounded up, none below zero; ValueError for what is not finite."""
    if not seconds.is_finite():
        raise ValueError("the time to wait is not a finite number")
    return math.ceil(max(Decimal(0), min(seconds, Decimal(LONGEST_WAIT_SECONDS))))
