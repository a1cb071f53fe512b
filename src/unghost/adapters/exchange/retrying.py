"""When a failed read is asked again, and when it is given up.

The table follows what CCXT's error classes mean for reads. Three limits hold always: attempts per
kind, seconds per question, and one ban that stops every question of the account.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import stamina
import stamina.instrumentation

from unghost.adapters.exchange.failures import FailureKind, ReadFailed

T = TypeVar("T")

A_FEW: Final = frozenset(
    {
        FailureKind.UNAVAILABLE,
        FailureKind.TIMEOUT,
        FailureKind.BAD_RESPONSE,
        FailureKind.RATE_LIMITED,
    }
)
ONCE_MORE: Final = frozenset({FailureKind.CONNECTION, FailureKind.SKEW})


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How patient to be; all in seconds but `attempts`, which counts the first one too.

    A Retry-After above `longest_retry_after_seconds` is not waited for: the read is given up, for
    asking earlier than told makes a ban out of a limit. `question_seconds` bounds one call with its
    repeats, the wait for CCXT's own rate limit (up to a minute) included; `read_seconds` bounds
    one whole method of the adapter.
    """

    attempts: int = 4
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 8.0
    longest_retry_after_seconds: float = 30.0
    question_seconds: float = 120.0
    read_seconds: float = 600.0

    def allowed(self, kind: FailureKind) -> int:
        """Attempts for a kind of failure; whatever is not listed is never asked again."""
        if kind in A_FEW:
            return self.attempts
        return min(2, self.attempts) if kind in ONCE_MORE else 1


def silence() -> None:
    """Stop stamina from logging each repeat: its default goes to stdout, where data belongs."""
    stamina.instrumentation.set_on_retry_hooks(())


def require_still_asked() -> None:
    """Raise CancelledError where the task was told to end, and a library took it for a failure.

    Whoever presses Ctrl-C must not get a doubt for an answer.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Patience:
    """What all questions of one account share: the policy, a ban, and a pause that was asked for.

    A ban (HTTP 418) is kept for the life of the account object: to go on asking prolongs it.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self._ban: ReadFailed | None = None
        self._resume_at = 0.0
        """On the event loop's clock."""

    async def ask(
        self,
        question: str,
        once: Callable[[], Awaitable[T]],
        measure_skew: Callable[[], Awaitable[int]],
    ) -> T:
        """The answer of `once`, tried as often as the policy allows.

        Raises ReadFailed whose sentence names `question`. `measure_skew` is awaited after a
        refused timestamp; it returns milliseconds and may raise ReadFailed.
        """
        tries = _Tries(self.policy)
        try:
            async with asyncio.timeout(self.policy.question_seconds):
                return await self._repeat(once, tries, measure_skew)
        except TimeoutError:
            limit = f"no usable answer within {self.policy.question_seconds:g} s"
            reason = f"{limit}; last: {tries.last.reason}" if tries.last else limit
            raise ReadFailed(FailureKind.TIMEOUT, reason).about(question, tries.count) from None
        except ReadFailed as failure:
            raise failure.about(question, tries.count) from None

    async def _repeat(
        self,
        once: Callable[[], Awaitable[T]],
        tries: _Tries,
        measure_skew: Callable[[], Awaitable[int]],
    ) -> T:
        policy = self.policy
        async for attempt in stamina.retry_context(
            on=tries.wait_before_next,
            attempts=None,
            timeout=policy.question_seconds,
            wait_initial=policy.first_wait_seconds,
            wait_max=policy.longest_wait_seconds,
            wait_jitter=policy.first_wait_seconds,
        ):
            with attempt:
                try:
                    return await self._attempt(once)
                except ReadFailed as failure:
                    raise await self._learn(failure, tries, measure_skew) from None
        raise ReadFailed(FailureKind.UNAVAILABLE, "no attempt was made")

    async def _attempt(self, once: Callable[[], Awaitable[T]]) -> T:
        require_still_asked()
        if self._ban is not None:
            raise self._ban
        await self._pause()
        return await once()

    async def _pause(self) -> None:
        """Wait as long as the exchange told any question of this account to wait, or give up."""
        left = self._resume_at - asyncio.get_running_loop().time()
        if left > self.policy.longest_retry_after_seconds:
            reason = f"the exchange wants no calls for another {left:.0f} s"
            raise ReadFailed(FailureKind.RATE_LIMITED, reason, retry_after_seconds=left)
        if left > 0:
            await asyncio.sleep(left)

    async def _learn(
        self,
        failure: ReadFailed,
        tries: _Tries,
        measure_skew: Callable[[], Awaitable[int]],
    ) -> ReadFailed:
        """What a failure means for the other questions, and what the clock says about it."""
        tries.add(failure)
        if failure.kind is FailureKind.BANNED:
            self._ban = failure
        if failure.kind is FailureKind.RATE_LIMITED and failure.retry_after_seconds is not None:
            now = asyncio.get_running_loop().time()
            self._resume_at = max(self._resume_at, now + failure.retry_after_seconds)
        if failure.kind is FailureKind.SKEW:
            return await self._with_skew(failure, tries, measure_skew)
        return failure

    @staticmethod
    async def _with_skew(
        failure: ReadFailed, tries: _Tries, measure_skew: Callable[[], Awaitable[int]]
    ) -> ReadFailed:
        if tries.skew_ms is None:
            try:
                tries.skew_ms = await measure_skew()
            except ReadFailed:
                return failure
        clocks = f"{failure.reason}; the clocks differ by {abs(tries.skew_ms)} ms"
        return ReadFailed(failure.kind, clocks, status=failure.status)


class _Tries:
    """The attempts of one question."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._kinds: Counter[FailureKind] = Counter()
        self.last: ReadFailed | None = None
        self.skew_ms: int | None = None

    @property
    def count(self) -> int:
        return sum(self._kinds.values())

    def add(self, failure: ReadFailed) -> None:
        self._kinds[failure.kind] += 1
        self.last = failure

    def wait_before_next(self, error: Exception) -> bool | float:
        """Stamina's question: True is its own backoff, a number the seconds to wait, False no."""
        if not isinstance(error, ReadFailed):
            return False
        if self.count >= self._policy.attempts:
            return False
        if self._kinds[error.kind] >= self._policy.allowed(error.kind):
            return False
        told = error.retry_after_seconds
        if told is None:
            return True
        return told if told <= self._policy.longest_retry_after_seconds else False
