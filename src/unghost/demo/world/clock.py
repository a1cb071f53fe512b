"""The world's clock, and times as whole milliseconds."""

from __future__ import annotations

import time
from datetime import datetime


class Clock:
    """The world's clock: this machine's, shifted by `offset_ms` (above zero runs ahead)."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC, as the world sees them."""
        return time.time_ns() // 1_000_000 + self.offset_ms


def to_ms(at: int | datetime) -> int:
    """Whole milliseconds of an aware datetime; ints pass. ValueError for a naive datetime."""
    if isinstance(at, int):
        return at
    if at.tzinfo is None:
        raise ValueError("a time without a zone is not a time")
    return int(at.timestamp()) * 1000 + at.microsecond // 1000
