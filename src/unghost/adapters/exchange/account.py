"""One exchange account as the stages see it: synchronous, in base units, and never raising."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from threading import Lock
from typing import Any, Final, TypeVar

from unghost.adapters.exchange.client import ReadOnlyClient
from unghost.adapters.exchange.connection import ConnectionSpec, redact, reveal
from unghost.adapters.exchange.doctor import examine, unprotected
from unghost.adapters.exchange.failures import ReadFailed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.markets import MarketsCache, names_of, resolution
from unghost.adapters.exchange.pace import Paces
from unghost.adapters.exchange.retrying import RetryPolicy, require_still_asked, silence
from unghost.adapters.exchange.venues import reader_for
from unghost.adapters.exchange.venues.reader import incomplete_fills, unknown_position
from unghost.model import (
    CallLog,
    FillReading,
    KeyMark,
    Market,
    PositionReading,
    Resolution,
    Window,
)
from unghost.ports import Clock

T = TypeVar("T")

SIDE_BY_SIDE: Final = 4
"""Calls under way at once: enough to hide the network, few enough for every exchange."""


class ExchangeAccount:
    """Reads of one exchange account (`ports.Exchange`). Nothing here can place an order.

    CCXT runs on an event loop of its own inside. Any thread may call, one at a time, save one that
    is running an event loop itself. ConfigurationError where CCXT knows no such exchange.
    """

    def __init__(
        self,
        spec: ConnectionSpec,
        *,
        policy: RetryPolicy | None = None,
        cache: MarketsCache | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        side_by_side: int = SIDE_BY_SIDE,
        paces: Paces | None = None,
    ) -> None:
        silence()
        self._spec = spec
        self._policy = policy or RetryPolicy()
        self._clock = clock
        self._side_by_side = side_by_side
        self._reader = reader_for(spec.exchange, spec.market_type)
        self._client = ReadOnlyClient(
            spec,
            endpoints=self._reader.endpoints,
            settings=dict(self._reader.settings),
            verbs=self._reader.verbs,
            policy=self._policy,
            cache=cache,
            clock=clock,
            paces=paces,
        )
        self._reloaded_for: set[str] = set()
        self._lock = Lock()
        self._closed = False
        # A loop of its own factory: the thread's current loop, if it has one, stays as it is.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    # ports.Exchange

    def resolve(self, symbols: Collection[str]) -> Resolution:
        """The market behind each spelling: native id or unified symbol, of the profile's type.

        Linear perpetuals only where the type is swap: inverse, dated and option markets do not
        resolve. None, with the reason, for what is unknown, ambiguous, or could not be read. An
        unknown name makes the list of markets be read anew, once per name.
        """
        if not symbols:
            return Resolution(markets={})
        return self._run(lambda: self._resolve(tuple(symbols)))

    def positions(self, markets: Collection[Market]) -> Mapping[str, PositionReading]:
        """One reading per market, by unified symbol; UNKNOWN with a sentence where it failed."""
        wanted = tuple(markets)
        return self._run(lambda: self._positions(wanted)) if wanted else {}

    def fills(self, windows: Mapping[Market, Window]) -> Mapping[str, FillReading]:
        """One reading per market, by unified symbol; incomplete with a sentence where it failed."""
        return self._run(lambda: self._each(windows, self._fills_of))

    def client_order_ids(self, windows: Mapping[Market, Window]) -> Mapping[str, Mapping[str, str]]:
        """By unified symbol: exchange order id -> client order id; left out where not in full."""
        found = self._run(lambda: self._each(windows, self._client_order_ids_of))
        return {unified: ids for unified, ids in found.items() if ids is not None}

    @property
    def key(self) -> KeyMark:
        """Which key is used, without telling it."""
        key = reveal(self._spec.api_key).encode()
        venue = f"{self._spec.exchange} {self._spec.market_type}"
        return KeyMark(venue=venue, mark=sha256(key).hexdigest()[:32])

    def account_id(self) -> str | None:
        """Which account the key sees; None where the exchange does not tell, or not now."""

        async def work() -> str | None:
            return await self._reader.account_id(self._client)

        return self._run(lambda: self._answered(work, lambda _: None, "The account"))

    def calls(self) -> CallLog:
        """HTTP calls so far by path, repeats included, and their failures by kind."""
        return self._client.calls()

    def close(self) -> None:
        """Close connections; safe to call twice. Later questions are answered with UNKNOWN."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._runner.run(self._client.close())
                self._runner.close()

    # for `unghost doctor`

    def check(self) -> tuple[Finding, ...]:
        """What works and what does not, in the order a person would look; never raises."""

        async def work() -> tuple[Finding, ...]:
            found = await examine(self._client, self._reader, self._names, self._clock)
            return (*found, *unprotected(self._spec))

        def failed(why: str) -> tuple[Finding, ...]:
            return (Finding(name="exchange", verdict=Verdict.FAIL, detail=why),)

        return self._run(lambda: self._answered(work, failed, "The connection"))

    # Inside

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self._lock:
            if self._closed:
                # The client refuses every question by now; a passing loop hears it say so.
                return asyncio.run(work())
            return self._runner.run(work())

    async def _resolve(self, symbols: tuple[str, ...]) -> Resolution:
        async def work() -> Resolution:
            names = await self._names()
            unknown = {name for name in symbols if name not in names} - self._reloaded_for
            if unknown:
                names = await self._names(reload=True)
                self._reloaded_for |= unknown
            return resolution(symbols, names, self._spec)

        def failed(why: str) -> Resolution:
            return Resolution(markets=dict.fromkeys(symbols), reasons=dict.fromkeys(symbols, why))

        return await self._answered(work, failed, "The list of markets")

    async def _names(self, *, reload: bool = False) -> Mapping[str, Market | None]:
        return names_of(await self._client.markets(reload=reload), self._spec.market_type)

    async def _positions(self, markets: tuple[Market, ...]) -> Mapping[str, PositionReading]:
        asked_at = self._clock()

        async def work() -> Mapping[str, PositionReading]:
            await self._client.markets()
            return await self._reader.positions(self._client, markets)

        def failed(why: str) -> Mapping[str, PositionReading]:
            return {market.unified: unknown_position(asked_at, why) for market in markets}

        return await self._answered(work, failed, "Positions")

    async def _each(
        self,
        windows: Mapping[Market, Window],
        of_one: Callable[[Market, Window], Awaitable[T]],
    ) -> dict[str, T]:
        """The answers for all markets, side by side but never more than a few at once."""
        room = asyncio.Semaphore(self._side_by_side)

        async def one(market: Market, window: Window) -> T:
            async with room:
                return await of_one(market, window)

        answers = await asyncio.gather(*(one(*each) for each in windows.items()))
        return {market.unified: answer for market, answer in zip(windows, answers, strict=True)}

    async def _fills_of(self, market: Market, window: Window) -> FillReading:
        asked_at = self._clock()

        async def work() -> FillReading:
            await self._client.markets()
            return await self._reader.fills(self._client, market, window)

        def failed(why: str) -> FillReading:
            return incomplete_fills(window, asked_at, why)

        return await self._answered(work, failed, f"Fills of {market.unified}")

    async def _client_order_ids_of(
        self, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        async def work() -> Mapping[str, str] | None:
            await self._client.markets()
            return await self._reader.client_order_ids(self._client, market, window)

        return await self._answered(work, lambda _: None, f"Orders of {market.unified}")

    async def _answered(
        self, work: Callable[[], Awaitable[T]], failed: Callable[[str], T], question: str
    ) -> T:
        """The answer, or what `failed` makes of one clear sentence; never an exception."""
        try:
            async with asyncio.timeout(self._policy.read_seconds):
                return await work()
        except ReadFailed as failure:
            why = failure.about(question).sentence
        except TimeoutError:
            why = f"{question} could not be read within {self._policy.read_seconds:g} s."
        except Exception as error:  # noqa: BLE001 - whatever fails here, the reading is unknown
            what = f"{type(error).__name__}: {error}"
            why = f"{question} could not be read: {redact(what, self._spec.secrets)}."
        require_still_asked()
        return failed(why)
