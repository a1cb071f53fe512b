"""The one door to CCXT: a strict client of which only reads can be reached.

CCXT turns a web page, an empty body or `null` into an empty list, and an empty list reads as
"flat". The subclass made here refuses every body that is no JSON object or array. It also refuses
every request that does not come through a method of `ReadOnlyClient`, so that a call which places
an order fails before anything is sent, even for someone who gets hold of the CCXT object.

CCXT has no types: its `Any` ends here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

from unghost.adapters.exchange.bounds import loaded_ccxt, require_few_decimals
from unghost.adapters.exchange.connection import (
    ConnectionSpec,
    moved,
    redact,
    reveal,
    true_origins,
)
from unghost.adapters.exchange.failures import FailureKind, ReadFailed, malformed
from unghost.adapters.exchange.markets import (
    MAX_AGE,
    InProcessMarkets,
    Listing,
    MarketsCache,
)
from unghost.adapters.exchange.meaning import BAD_STATUS, kind_of, retry_after
from unghost.adapters.exchange.pace import Paces
from unghost.adapters.exchange.retrying import Patience, RetryPolicy
from unghost.errors import ConfigurationError
from unghost.model import CallLog
from unghost.ports import Clock

T = TypeVar("T")


@dataclass(kw_only=True, slots=True)
class _Asking:
    """What happens on the wire while one question is answered."""

    asked_at: datetime
    bodies: list[Any] = field(default_factory=list)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


_asking: ContextVar[_Asking | None] = ContextVar("unghost_asking", default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What CCXT made of an answer, beside the JSON bodies as they came, in order.

    `asked_at` is the moment before the question was sent: the answer is at least that fresh.
    """

    value: Any
    bodies: tuple[Any, ...]
    asked_at: datetime


class _Strict:
    """Mixed into an exchange's CCXT class; see the module's docstring."""

    unghost_calls: Counter[str]
    unghost_verbs: frozenset[str]
    options: dict[str, Any]
    unghost_origins: Mapping[str, str]
    unghost_wait: Callable[[float], Awaitable[None]] | None

    def calculate_rate_limiter_cost(
        self, api: Any, method: Any, path: str, *rest: Any, **more: Any
    ) -> float:
        """CCXT's weight of a call, or the one that the venue's reader knows to be true."""
        told: float = super().calculate_rate_limiter_cost(api, method, path, *rest, **more)  # type: ignore[misc]  # ccxt carries no types
        true: float = self.options.get("trueWeights", {}).get(path, 0)
        return max(told, true)

    async def throttle(self, cost: Any = None) -> None:
        """Wait for the pace of the process, then for CCXT's own of this connection."""
        if self.unghost_wait is not None:
            await self.unghost_wait(1.0 if cost is None else float(cost))
        await super().throttle(cost)  # type: ignore[misc]  # ccxt carries no types

    async def fetch(
        self, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        asking = _asking.get()
        if asking is None or method not in self.unghost_verbs:
            raise ReadFailed(FailureKind.REFUSED, "only reads are allowed")
        self.unghost_calls[urlsplit(url).path] += 1
        answer = await super().fetch(url, method, headers, body)  # type: ignore[misc]  # ccxt carries no types
        if not isinstance(answer, dict | list):
            raise malformed(f"the answer of {urlsplit(url).path} was not a JSON object or list")
        if asking.status is not None and asking.status >= BAD_STATUS:
            # CCXT lets statuses pass that it has never heard of.
            raise malformed(f"the answer of {urlsplit(url).path} had HTTP status {asking.status}")
        asking.bodies.append(answer)
        return answer

    @staticmethod
    def on_json_response(text: str) -> Any:
        # Numbers with a fraction stay text: 0.1 must not become a binary float on its way.
        return json.loads(
            text, parse_float=str, parse_constant=_no_constant, object_pairs_hook=_told_once
        )

    def parse_precision(self, precision: Any) -> Any:
        require_few_decimals(precision)
        return super().parse_precision(precision)  # type: ignore[misc]  # ccxt carries no types

    def integer_precision_to_amount(self, precision: Any) -> Any:
        require_few_decimals(precision)
        return super().integer_precision_to_amount(precision)  # type: ignore[misc]  # the same

    def handle_errors(
        self, code: int, reason: str, url: str, method: str, headers: Any, *rest: Any
    ) -> Any:
        asking = _asking.get()
        if asking is not None:
            asking.status, asking.headers = code, headers or {}
        # Binance chooses its table of error codes by the address that it thinks it called.
        true_url = self._true_url(url)
        return super().handle_errors(code, reason, true_url, method, headers, *rest)  # type: ignore[misc]  # ccxt carries no types

    def _true_url(self, url: str) -> str:
        moved_here = (prefix for prefix in self.unghost_origins if url.startswith(prefix))
        prefix = max(moved_here, key=len, default="")
        return self.unghost_origins[prefix] + url.removeprefix(prefix) if prefix else url


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _told_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that tells one name twice says two things, and which is meant nobody knows."""
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name is told twice")
    return found


def _silent_logger() -> logging.Logger:
    """A logger outside of every hierarchy: CCXT would log headers that hold the key."""
    logger = logging.Logger("unghost.ccxt")  # noqa: LOG001 - outside is the point
    logger.addHandler(logging.NullHandler())
    return logger


@cache
def _trust(certificates: str) -> ssl.SSLContext:
    """What every account verifies the other side by; to read the file again takes longer than a
    call.
    """
    return ssl.create_default_context(cafile=certificates)


def _build(
    spec: ConnectionSpec, settings: Mapping[str, Any], verbs: frozenset[str], paces: Paces | None
) -> Any:
    """The strict CCXT object. ConfigurationError where CCXT knows no such exchange."""
    ccxt = loaded_ccxt()
    if spec.exchange not in ccxt.exchanges:
        raise ConfigurationError(f"CCXT knows no exchange called {spec.exchange!r}")
    strict = type(f"Strict{spec.exchange}", (_Strict, getattr(ccxt, spec.exchange)), {})
    exchange: Any = strict(_constructor_settings(spec, settings))
    exchange.number = str
    exchange.has["fetchCurrencies"] = False
    exchange.unghost_calls = Counter()
    exchange.unghost_verbs = verbs
    exchange.unghost_origins = {}
    if spec.base_url is not None:
        exchange.unghost_origins = true_origins(exchange.urls["api"], spec.base_url)
        exchange.urls["api"] = moved(exchange.urls["api"], spec.base_url)
    _set_pace(exchange, spec)
    exchange.unghost_wait = None if paces is None else paces.waiting(spec, exchange)
    exchange.ssl_context = _trust(exchange.cafile)
    if spec.is_loopback:
        # CCXT waits a quarter of a second for TLS to close, of which there is none.
        exchange.timeout_on_exit = 0
    return exchange


def _set_pace(exchange: Any, spec: ConnectionSpec) -> None:
    """Slower than CCXT goes wherever it is wanted; faster only where no true exchange listens.

    An exchange bans an address that asks too fast, and the bot with it.
    """
    if spec.rate_limit_ms is None:
        return
    if spec.rate_limit_ms < exchange.rateLimit and not spec.is_loopback:
        raise ConfigurationError(
            f"rate_limit_ms is {spec.rate_limit_ms}, and {spec.exchange} allows no less than"
            f" {exchange.rateLimit:g}: give that or more, or leave it out."
        )
    exchange.rateLimit, exchange.tokenBucket = spec.rate_limit_ms, None
    exchange.init_rest_rate_limiter()


def _constructor_settings(spec: ConnectionSpec, settings: Mapping[str, Any]) -> dict[str, Any]:
    options = {"maxRetriesOnFailure": 0, "fetchCurrencies": False, "defaultType": spec.market_type}
    return {
        **settings,
        "apiKey": reveal(spec.api_key),
        "secret": reveal(spec.secret),
        "password": reveal(spec.password),
        # Where accounts are known by their address, the profile's key is that address.
        "walletAddress": reveal(spec.api_key),
        "enableRateLimit": True,
        "timeout": int(spec.timeout_seconds * 1000),
        "aiohttp_trust_env": not spec.is_loopback,
        "logger": _silent_logger(),
        "options": {**options, **settings.get("options", {})},
    }


class ReadOnlyClient:
    """Reads of one exchange account, each retried as `retrying` says, and nothing else.

    Every coroutine raises ReadFailed whose sentence begins with the `question` it was given. Own
    endpoints of an exchange (`read`) must be in `endpoints`, named as CCXT names them
    (`fapiPrivateGetUserTrades`). To be used on one event loop.
    """

    def __init__(
        self,
        spec: ConnectionSpec,
        *,
        endpoints: frozenset[str] = frozenset(),
        settings: Mapping[str, Any] | None = None,
        verbs: frozenset[str] = frozenset({"GET"}),
        policy: RetryPolicy | None = None,
        cache: MarketsCache | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        paces: Paces | None = None,
    ) -> None:
        self.account = spec.account
        self.exchange_id = spec.exchange
        self._spec = spec
        self._endpoints = endpoints
        self._cache = cache or InProcessMarkets()
        self._clock = clock
        self._patience = Patience(policy or RetryPolicy())
        self._markets_lock = asyncio.Lock()
        self._markets_until = clock()
        self._closed = False
        self._failed: Counter[str] = Counter()
        self.__exchange = _build(spec, settings or {}, verbs, paces)

    def calls(self) -> CallLog:
        """HTTP calls so far by path, repeats included, and their failures by kind."""
        made, failed = self.__exchange.unghost_calls, self._failed
        return CallLog(
            by_method=tuple(sorted(made.items())), failed_by_kind=tuple(sorted(failed.items()))
        )

    @property
    def wallet_address(self) -> str:
        """The profile's key, for exchanges that know an account by its address."""
        return str(self.__exchange.walletAddress)

    async def close(self) -> None:
        """Close the connections; every later question fails. Safe to call twice."""
        if not self._closed:
            self._closed = True
            await self.__exchange.close()

    # Questions that every exchange understands

    async def markets(self, *, reload: bool = False) -> Listing:
        """Unified symbol -> market, read once and kept for an hour; `reload` reads it anew."""
        async with self._markets_lock:
            is_old = self._clock() >= self._markets_until
            if reload or (is_old and self.__exchange.markets):
                await self._load_markets()
            elif not self.__exchange.markets:
                await self._find_markets()
            return dict(self.__exchange.markets)

    async def _find_markets(self) -> None:
        kept = self._cache.load(self._cache_key())
        if not kept:
            return await self._load_markets()
        self.__exchange.set_markets(dict(kept))
        self._markets_until = self._clock() + MAX_AGE
        return None

    async def _load_markets(self) -> None:
        load = self.__exchange.load_markets
        await self._ask("Markets", lambda: load(reload=True), _some_markets)
        self._markets_until = self._clock() + MAX_AGE
        self._cache.store(self._cache_key(), dict(self.__exchange.markets))

    def _cache_key(self) -> str:
        spec = self._spec
        return " ".join((spec.exchange, spec.market_type, spec.base_url or ""))

    @property
    def tells_time(self) -> bool:
        """Whether the exchange has a clock that can be asked, as far as CCXT knows."""
        return bool(self.__exchange.has.get("fetchTime"))

    async def server_time_ms(self) -> int:
        """The exchange's clock, in milliseconds since 1970."""
        return await self._ask("The clock", self.__exchange.fetch_time, _whole_number)

    async def positions(self, question: str, parse: Callable[[Answer], T]) -> T:
        """All positions of the account as CCXT unifies them; never by symbol (VENUES 4)."""
        return await self._ask(question, self.__exchange.fetch_positions, parse)

    async def balance(self, question: str, parse: Callable[[Answer], T]) -> T:
        """The balances of the account as CCXT unifies them."""
        return await self._ask(question, self.__exchange.fetch_balance, parse)

    async def page_of_fills(
        self,
        question: str,
        parse: Callable[[Answer], T],
        *,
        symbol: str,
        since_ms: int,
        limit: int | None,
    ) -> T:
        """One page of the account's fills as CCXT unifies them."""
        return await self._ask(
            question, lambda: self.__exchange.fetch_my_trades(symbol, since_ms, limit), parse
        )

    # Questions of one exchange

    async def read(
        self,
        endpoint: str,
        params: Mapping[str, Any],
        *,
        question: str,
        parse: Callable[[Answer], T],
    ) -> T:
        """What an endpoint of the allow-list answers, as `parse` reads it.

        What `parse` raises counts as a failed attempt. ReadFailed for any other endpoint.
        """
        if endpoint not in self._endpoints:
            raise ReadFailed(FailureKind.REFUSED, f"{endpoint} is not a read of this adapter")
        method = getattr(self.__exchange, endpoint)
        return await self._ask(question, lambda: method(dict(params)), parse)

    # Facts and parsers of CCXT; no call is made

    def feature(self, symbol: str, name: str) -> Any:
        """What CCXT knows of reading fills (`limit`, `untilDays`, `daysBack`), None if nothing."""
        return self.__exchange.feature_value(symbol, "fetchMyTrades", name)

    def market_info(self, symbol: str) -> Mapping[str, Any]:
        """The exchange's own description of a market, as it came; empty where CCXT kept none."""
        info = self.__exchange.market(symbol).get("info")
        return dict(info) if isinstance(info, Mapping) else {}

    def unified_fill(self, raw: Mapping[str, Any], symbol: str) -> Mapping[str, Any]:
        """CCXT's reading of one raw fill; the markets must have been read."""
        return dict(self.__exchange.parse_trade(raw, self.__exchange.market(symbol)))

    def unified_position(
        self, raw: Mapping[str, Any], symbol: str, *, parser: str = "parse_position"
    ) -> Mapping[str, Any]:
        """CCXT's reading of one raw position; the markets must have been read.

        `parser` is the name of CCXT's method, which differs between exchanges.
        """
        if not parser.startswith("parse_"):
            raise ReadFailed(FailureKind.REFUSED, f"{parser} is no parser")
        return dict(getattr(self.__exchange, parser)(raw, self.__exchange.market(symbol)))

    # Inside

    async def _ask(
        self, question: str, work: Callable[[], Awaitable[Any]], parse: Callable[[Answer], T]
    ) -> T:
        async def once() -> T:
            return await self._once(work, parse)

        return await self._patience.ask(
            f"{question} at {self.exchange_id}", once, self._measure_skew
        )

    async def _once(self, work: Callable[[], Awaitable[Any]], parse: Callable[[Answer], T]) -> T:
        if self._closed:
            raise ReadFailed(FailureKind.REFUSED, "the connection was closed")
        asking = _Asking(asked_at=self._clock())
        token = _asking.set(asking)
        try:
            value = await work()
            return parse(Answer(value=value, bodies=tuple(asking.bodies), asked_at=asking.asked_at))
        except ReadFailed as failure:
            self._failed[failure.kind.value] += 1
            raise
        except Exception as error:  # noqa: BLE001 - CCXT raises anything; all of it is doubt
            raise self._failure(error, asking) from None
        finally:
            _asking.reset(token)

    async def _measure_skew(self) -> int:
        """Let CCXT correct its clock; milliseconds by which this machine's is ahead."""
        return await self._once(self.__exchange.load_time_difference, _whole_number)

    def _failure(self, error: Exception, asking: _Asking) -> ReadFailed:
        """CCXT's error in our words, by the table of VENUES; it counts as one."""
        kind = kind_of(error, asking.status)
        self._failed[kind.value] += 1
        return ReadFailed(
            kind,
            self._reason(kind, error, asking.status),
            status=asking.status,
            retry_after_seconds=retry_after(kind, asking.headers, self._clock()),
        )

    def _reason(self, kind: FailureKind, error: Exception, status: int | None) -> str:
        if kind is FailureKind.TIMEOUT and status is None:
            return f"no answer within {self._spec.timeout_seconds:g} s"
        if kind is FailureKind.BANNED:
            return "HTTP 418, the exchange has banned this address for asking too often"
        prefix = f"HTTP {status}, " if status is not None and status >= BAD_STATUS else ""
        return f"{prefix}{type(error).__name__}: {redact(str(error), self._spec.secrets)}"


def _some_markets(answer: Answer) -> None:
    if not answer.value:
        raise malformed("the exchange listed no market")


def _whole_number(answer: Answer) -> int:
    if isinstance(answer.value, bool) or not isinstance(answer.value, int):
        raise malformed("the answer was not a whole number")
    return answer.value
