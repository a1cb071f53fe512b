"""How fast this process may ask an exchange, over all the connections that it ever opens.

CCXT keeps a pace for each of its objects, and a cycle opens its own; an exchange counts what comes
from an address, or by a key. So what was asked is remembered here, as long as the process lives.
What other processes of the same address ask is not known: each takes its part, by a setting.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from unghost.adapters.exchange.connection import ConnectionSpec, reveal

BY_KEY: Final = frozenset({"bitget", "bybit", "coinbase", "gate", "kraken", "krakenfutures", "okx"})
"""Exchanges whose private calls are counted by account, as their documentation says. All others are
taken to count by address: that can only be too slow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """So much weight within so many seconds; `spaced`: a call alone, for `seconds` times weight."""

    weight: float
    seconds: float
    spaced: bool = False

    def held(self, cost: float) -> tuple[float, float]:
        """What a call of this cost takes of the weight, and for how many seconds."""
        return (1.0, cost * self.seconds) if self.spaced else (cost, self.seconds)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Turn:
    """When a call may go, on the pace's clock, and until when it counts."""

    at: float
    until: float
    weight: float


class Pace:
    """Gives turns, first come, first served. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._held: deque[Turn] = deque()
        self._weight = 0.0
        self._last_at = 0.0

    def take(self, cost: float, limit: Limit) -> Turn:
        """The next turn for a call of this cost; whoever takes it waits until then."""
        weight, seconds = limit.held(cost)
        with self._lock:
            at = max(self._clock(), self._last_at)
            while self._held and (
                self._held[0].until <= at or self._weight + weight > limit.weight
            ):
                at = max(at, self._held[0].until)
                self._drop(self._held[0])
            turn = Turn(at=at, until=at + seconds, weight=weight)
            self._held.append(turn)
            self._weight += weight
            self._last_at = at
            return turn

    def give_back(self, turn: Turn) -> None:
        """A turn that nobody waits for any more; the time before the last one is not given anew."""
        with self._lock:
            if turn in self._held:
                self._drop(turn)

    def left(self, turn: Turn) -> float:
        """Seconds until then."""
        return max(0.0, turn.at - self._clock())

    def _drop(self, turn: Turn) -> None:
        self._held.remove(turn)
        self._weight = self._weight - turn.weight if self._held else 0.0


class Paces:
    """The paces of a process, one for each exchange, or for each key where those are counted.

    `divided_by` is how many processes ask from this address.
    """

    def __init__(
        self,
        *,
        divided_by: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._divided_by = divided_by
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._paces: dict[tuple[str, ...], Pace] = {}

    def waiting(self, spec: ConnectionSpec, exchange: Any) -> Callable[[float], Awaitable[None]]:
        """What a connection awaits before each call, by the call's weight. `exchange` is CCXT's."""
        pace, limit = self._pace(spec), self._limit(exchange)

        async def wait(cost: float) -> None:
            turn = pace.take(cost, limit)
            try:
                await self._sleep(pace.left(turn))
            except asyncio.CancelledError:
                pace.give_back(turn)
                raise

        return wait

    def _pace(self, spec: ConnectionSpec) -> Pace:
        counted = [spec.exchange, spec.base_url or ""]
        if spec.exchange in BY_KEY:
            counted.append(reveal(spec.api_key))
        with self._lock:
            return self._paces.setdefault(tuple(counted), Pace(self._clock))

    def _limit(self, exchange: Any) -> Limit:
        """CCXT's own pace for the exchange, or the profile's, and of that the part of a process."""
        apart = float(exchange.rateLimit) / 1000 * self._divided_by
        window = float(exchange.rollingWindowSize) / 1000
        if exchange.rateLimiterAlgorithm == "leakyBucket" or not window:
            return Limit(weight=1.0, seconds=apart, spaced=True)
        return Limit(weight=window / apart, seconds=window)
