"""One reading of a profile for all who ask at once, and none that is older than a question.

Whoever asks gets a reading that began after the question came: never the one that runs already,
which may not know of a pause in between, but the next one, together with everybody else who came
meanwhile. So a crowd costs two readings at a time, and no answer is kept for later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

_Key: TypeAlias = tuple[asyncio.AbstractEventLoop, str]


class SharedReadings(Generic[T]):
    """Readings by `read`, which blocks; it runs in threads of its own, which no page can fill.

    `at_once` is how many profiles are read at the same time.
    """

    def __init__(self, read: Callable[[str], T], *, at_once: int) -> None:
        self._read = read
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="reading")
        self._running: dict[_Key, asyncio.Task[T]] = {}
        self._next: dict[_Key, asyncio.Task[T]] = {}

    async def read(self, profile_id: str) -> T:
        """A reading that begins now or later. Raises what `read` raises, to all who share it."""
        key = (asyncio.get_running_loop(), profile_id)
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._reading(key, self._running.get(key)))
        # One who goes away takes the reading from nobody.
        return await asyncio.shield(self._next[key])

    async def _reading(self, key: _Key, before: asyncio.Task[T] | None) -> T:
        if before is not None:
            await asyncio.wait((before,))
        loop, profile_id = key
        own = self._running[key] = self._next.pop(key)  # who comes from here on gets the next one
        try:
            return await loop.run_in_executor(self._threads, self._read, profile_id)
        finally:
            if self._running.get(key) is own:
                del self._running[key]

    def close(self) -> None:
        """Wait for what is being read."""
        self._threads.shutdown()
