"""Turns at something scarce, first come first served.

A semaphore of the standard library lets whoever runs take a turn that was just given back, before
the thread that waited for it has woken up; that one then waits behind all others again. Where many
threads take one turn after another, one of them may never get any.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """At most so many turns at a time. A turn that is given back goes to who waits longest."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def take(self, *, timeout: float) -> bool:
        """Wait for a turn, in seconds; False where none came."""
        with self._lock:
            if self._free:  # then nobody waits: what is given back is handed over
                self._free -= 1
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        return mine.wait(timeout) or not self._left(mine)

    def _left(self, mine: threading.Event) -> bool:
        """Stop waiting; False where the turn came in the last moment."""
        with self._lock:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True

    def give_back(self) -> None:
        """End a turn."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
