"""The way through the pages of one history: counted, bounded, and dated by its first page.

What a page is, and when the last one has come, each venue says for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, TypeVar

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import FailureKind, ReadFailed, malformed
from unghost.adapters.exchange.strict import FillSet, digest
from unghost.model import Fill, FillReading, Market, Window

T = TypeVar("T")
Row = Mapping[str, Any]

MAX_PAGES: Final = 500
"""What needs more pages is not read, and so is incomplete."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One raw row, its digest, and the fill that was read from it; None for another market's."""

    row: Row
    key: str
    fill: Fill | None


def told_of(rows: Iterable[Row], read: Callable[[Row], Fill | None]) -> list[Told]:
    """Rows with their fills, in the order told; ReadFailed where one cannot be read."""
    return [Told(row=row, key=digest(row), fill=read(row)) for row in rows]


@dataclass(kw_only=True)
class Walk:
    """Pages of one endpoint about one market. A page is read inside the attempt that fetched it.

    So a page damaged on its way is asked for again, and nothing of it is kept.
    """

    client: ReadOnlyClient
    market: Market
    endpoint: str
    noun: str = "Fills"
    most_pages: int = field(default_factory=lambda: MAX_PAGES)
    pages: int = 0
    asked_at: datetime = field(init=False)
    """When the first page was asked for."""

    async def page(self, params: Mapping[str, Any], parse: Callable[[Answer], T]) -> T:
        """One more page as `parse` reads it; ReadFailed."""
        if self.pages >= self.most_pages:
            raise malformed(f"there are more than {self.most_pages} pages")
        asked_at, found = await self.client.read(
            self.endpoint,
            params,
            question=f"{self.noun} of {self.market.unified}",
            parse=lambda answer: (answer.asked_at, parse(answer)),
        )
        if not self.pages:
            self.asked_at = asked_at
        self.pages += 1
        return found

    def whole(self, found: Iterable[Fill | None], window: Window) -> FillReading:
        """The reading of a walk that came to its end."""
        fills = FillSet(self.client.account)
        fills.add(fill for fill in found if fill is not None)
        told = f"{len(fills)} fills read, to the end of {self.endpoint}, in {self.pages} calls"
        return FillReading(
            fills=fills.within(window),
            complete=True,
            window=window,
            as_of=self.asked_at,
            pages=self.pages,
            detail=told,
        )


def require_descent(ids: Sequence[int], below: int | None) -> None:
    """ReadFailed unless ids fall, from below the cursor on: the last is where the next page begins.

    For pages newest first; `below` is the cursor, None for the first page.
    """
    if below is not None and ids and ids[0] >= below:
        raise malformed(f"a page does not go on from id {below}, where one ended")
    if any(older >= newer for newer, older in pairwise(ids)):
        raise malformed("a page is not in the order of its ids, newest first")


def require_order(window: Window) -> None:
    """ReadFailed for a window that ends before it begins: it would be read as empty."""
    if window.start_at > window.end_at:
        raise ReadFailed(FailureKind.REFUSED, "the window ends before it begins")
