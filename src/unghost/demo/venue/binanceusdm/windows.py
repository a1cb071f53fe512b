"""What part of a history is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from unghost.demo.venue.asking import WEEK_MS, RefusalError
from unghost.demo.venue.binanceusdm.asking import Asked

DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Window:
    """What part of a history is asked for; None at `start` means the newest page before `end`."""

    start: int | None
    end: int
    limit: int


def window_of(asked: Asked) -> Window:
    """The time window of a history call.

    With a start alone it is the first seven days from there; with neither, the seven days up to
    now, of which the newest page counts. A span above seven days is -4165, one that ends before
    it starts -1023, a limit above 1000 -1130.
    """
    start, end = asked.number("startTime"), asked.number("endTime")
    limit = asked.number("limit")
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 0 < limit <= MAX_LIMIT:
        raise RefusalError(400, -1130, "Data sent for parameter 'limit' is not valid.")
    if start is not None and end is not None:
        if start > end:
            raise RefusalError(400, -1023, "Start time is greater than end time.")
        if end - start > WEEK_MS:
            raise RefusalError(
                400, -4165, "Invalid time interval, maximum time interval is 7 days."
            )
    if end is None:
        end = asked.now_ms if start is None else start + WEEK_MS
    return Window(start=start, end=end, limit=limit)
