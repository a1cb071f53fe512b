"""Lists in pages with a cursor, and the windows of time that they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias
from urllib.parse import quote

from unghost.demo.venue.asking import DAY_MS, WEEK_MS
from unghost.demo.venue.bybit.asking import BAD_PARAMETER, Asked, bad_parameter, refused
from unghost.demo.venue.protocol import Row

DEPTH_MS: Final = 730 * DAY_MS
Key: TypeAlias = "tuple[int | str, ...]"


@dataclass(frozen=True, kw_only=True)
class Page:
    """How much of a list is asked for; `after` is the key of the last row told before."""

    limit: int
    after: Key | None


def page_of(asked: Asked, *, default: int, most: int) -> Page:
    """The page of a call. A limit above `most` is cut to it without a word."""
    limit = asked.number("limit")
    limit = default if limit is None else limit
    if limit < 1:
        raise bad_parameter("limit invalid")
    return Page(limit=min(limit, most), after=_key(asked.text("cursor")))


def _key(cursor: str | None) -> Key | None:
    if cursor is None:
        return None
    try:
        return tuple(json.loads(cursor))
    except (ValueError, TypeError):
        raise bad_parameter("cursor invalid") from None


def cursor_of(key: Key) -> str:
    """A cursor comes percent-encoded and is to be sent back as it came."""
    return quote(json.dumps(key, separators=(",", ":")), safe="")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row to be, and where it stands in its list."""

    key: Key
    make: Callable[[], Row]


def listed(asked: Asked, page: Page, lines: Iterable[Line]) -> Row:
    """The result of a listing call: the page's rows in the order of their keys, and a cursor.

    A page with rows always carries a cursor, also the last one: only a page without rows is
    the end.
    """
    ordered = sorted(lines, key=lambda line: line.key)
    try:
        left = (each for each in ordered if page.after is None or each.key > page.after)
        told = list(islice(left, page.limit))
    except TypeError:
        raise bad_parameter("cursor invalid") from None
    return {
        "nextPageCursor": cursor_of(told[-1].key) if told else "",
        "category": asked.category(),
        "list": [each.make() for each in told],
    }


@dataclass(frozen=True, kw_only=True)
class Window:
    """From `start` to `end`, both within."""

    start: int
    end: int

    def holds(self, at: int) -> bool:
        """Whether a time is within."""
        return self.start <= at <= self.end


def window_of(asked: Asked) -> Window:
    """The time window of a history call: seven days from the start, or up to the end or now.

    What is older than two years is never told.
    """
    start, end = asked.number("startTime"), asked.number("endTime")
    if start is None:
        end = asked.now_ms if end is None else end
        start = end - WEEK_MS
    end = start + WEEK_MS if end is None else end
    if start > end:
        raise refused(BAD_PARAMETER, "The start time cannot be later than the end time.")
    if end - start > WEEK_MS:
        raise refused(
            BAD_PARAMETER, "The time range between startTime and endTime cannot exceed 7 days."
        )
    return Window(start=max(start, asked.now_ms - DEPTH_MS), end=end)
