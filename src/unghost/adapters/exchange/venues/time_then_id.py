"""Binance's way of telling a history: by time until rows are met, and from there by id to the end.

Its futures, spot and margin accounts all tell their fills and orders like this, and differ in the
endpoint, the length of a page and the span of time that one call may ask for. Each page after the
first starts *at* the last row known, not behind it: so a page that is wrongly empty is noticed, and
the second half of a self-trade, which shares its id, is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.strict import FillSet, rows_of, text, to_ms
from unghost.adapters.exchange.venues.reader import spans
from unghost.model import Fill, FillReading, Market, Window

T = TypeVar("T")
Row = Mapping[str, Any]

PAGE: Final = 1000
SLICE: Final = timedelta(days=7)
MAX_PAGES: Final = 500
"""Half a million fills of one market: what is more is not read, and so is incomplete."""
ROUND_PAGE: Final = 100
"""A page of 100, 200 ... rows may be a limit that we were not told of: it is not the last one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """An endpoint that tells a history: the noun for people, the row's id and its cursor.

    `longest` is the span of time that one call may ask for, `page` the rows, and `always` what goes
    with every call.
    """

    endpoint: str
    noun: str
    id_field: str
    cursor: str
    longest: timedelta = SLICE
    page: int = PAGE
    always: Mapping[str, str] = field(default_factory=dict)
    told_as: str = ""
    """What the exchange calls the endpoint."""


async def every_fill(
    client: ReadOnlyClient,
    market: Market,
    window: Window,
    route: Route,
    read_row: Callable[[Row], Fill],
) -> FillReading:
    """Every fill of the window, or ReadFailed."""
    walk = TimeThenIdWalk(client=client, market=market, route=route, read_row=read_row)
    await walk.by_id_from_first_row(window)
    fills = FillSet(client.account)
    fills.add(walk.read)
    return FillReading(
        fills=fills.within(window),
        complete=True,
        window=window,
        as_of=walk.asked_at,
        pages=walk.pages,
        detail=f"{len(fills)} fills read, to the end of {route.told_as}, in {walk.pages} calls",
    )


async def every_client_id(
    client: ReadOnlyClient,
    market: Market,
    window: Window,
    route: Route,
    behind: Collection[str] = (),
) -> Mapping[str, str]:
    """Exchange order id -> client order id, for orders made in the window, or ReadFailed.

    And for the orders `behind` its fills that were made earlier, as far as the exchange still tells
    them: by one more call from the first of those, only where there are any.
    """
    walk = TimeThenIdWalk(client=client, market=market, route=route, read_row=_order_ids)
    await walk.by_time(window)
    found, reach = _agreed(walk.read), -1
    for order_id in sorted(int(each) for each in behind if each.isdecimal()):
        if str(order_id) not in found and order_id > reach:
            reach = await walk.page_from(order_id)
            found = _agreed(walk.read)
    return found


def _agreed(told: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for order_id, client_id in told:
        if found.setdefault(order_id, client_id) != client_id:
            raise malformed(f"order {order_id} was told with two client ids")
    return found


def orders_behind(reading: FillReading) -> frozenset[str]:
    """The exchange's ids of the orders that made the fills."""
    return frozenset(fill.exchange_order_id for fill in reading.fills)


def _order_ids(row: Row) -> tuple[str, str]:
    """The exchange's and the client's id of a row of orders."""
    client_id = text(row.get("clientOrderId"), "the client id of an order")
    return text(row.get("orderId"), "the id of an order"), client_id


@dataclass(kw_only=True)
class TimeThenIdWalk(Generic[T]):
    """A way through the pages of one route, for one market; what was read is in `read`.

    A row is read inside the attempt that fetched it: one damaged on its way is asked for again.
    """

    client: ReadOnlyClient
    market: Market
    route: Route
    read_row: Callable[[Row], T]
    pages: int = 0
    read: list[T] = field(default_factory=list)
    asked_at: datetime = field(init=False)
    """When the first page was asked for."""

    async def by_id_from_first_row(self, window: Window) -> None:
        """By time until rows are met, from there by id to the end. Ids must rise with time."""
        slices = _slices(window, self.route.longest)
        for number, span in enumerate(slices, start=1):
            ids = await self._page(span)
            if ids:
                last = self._last(ids)
                if _may_be_cut(ids) or number < len(slices):
                    await self._by_id(last)
                return

    async def by_time(self, window: Window) -> None:
        """By time; from the first page that may be cut on, by id to the end."""
        for span in _slices(window, self.route.longest):
            ids = await self._page(span)
            if _may_be_cut(ids):
                await self._by_id(self._last(ids))
                return

    async def page_from(self, first: int) -> int:
        """One page of this id and later ones, and how far it reaches.

        The exchange may have forgotten the first: it keeps orders for a time alone.
        """
        ids = await self._page({self.route.cursor: first})
        if any(not isinstance(each, int) or each < first for each in ids):
            raise malformed(f"a page from id {first} on holds an earlier one")
        return self._last(ids) if ids else first

    async def _by_id(self, last: int) -> None:
        while True:
            ids = await self._page({self.route.cursor: last}, starts_with=last)
            newest = self._last(ids)
            if not _may_be_cut(ids):
                return
            if newest == last:
                raise malformed(f"the pages do not move on from id {last}")
            last = newest

    async def _page(
        self, where: Mapping[str, int], *, starts_with: int | None = None
    ) -> Sequence[object]:
        """The ids of one more page, whose rows are added to `read`."""
        if self.pages >= MAX_PAGES:
            raise malformed(f"there are more than {MAX_PAGES} pages")
        asked_at, ids, items = await self.client.read(
            self.route.endpoint,
            {
                "symbol": self.market.native_id,
                "limit": self.route.page,
                **self.route.always,
                **where,
            },
            question=f"{self.route.noun} of {self.market.unified}",
            parse=lambda answer: (answer.asked_at, *self._rows(answer, starts_with)),
        )
        if not self.pages:
            self.asked_at = asked_at
        self.pages += 1
        self.read += items
        return ids

    def _rows(
        self, answer: Answer, starts_with: int | None
    ) -> tuple[Sequence[object], Sequence[T]]:
        rows = rows_of(answer.value, self.route.endpoint)
        if any(row.get("symbol") != self.market.native_id for row in rows):
            raise malformed(f"a row of another symbol came with those of {self.market.native_id}")
        ids = [_number(row.get(self.route.id_field)) for row in rows]
        if starts_with is not None and ids[:1] != [starts_with]:
            raise malformed(f"a page does not go on from id {starts_with}, where one ended")
        return ids, [self.read_row(row) for row in rows]

    def _last(self, ids: Sequence[object]) -> int:
        """The last id of a page in order; only there is it a cursor."""
        numbers = [each for each in ids if isinstance(each, int)]
        if len(numbers) < len(ids) or any(b < a for a, b in pairwise(numbers)):
            raise malformed(f"a page of {self.route.endpoint} is not in the order of its ids")
        return numbers[-1]


def _number(value: object) -> object:
    """An id as a number, also where it came as the text of one."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _may_be_cut(ids: Sequence[object]) -> bool:
    """Whether more rows may follow: the page is full, or so round that it may be."""
    return bool(ids) and (len(ids) >= PAGE or len(ids) % ROUND_PAGE == 0)


def _slices(window: Window, longest: timedelta) -> list[Mapping[str, int]]:
    """Spans that cover the window, as the exchange's parameters."""
    return [
        {"startTime": to_ms(span.start_at), "endTime": to_ms(span.end_at)}
        for span in spans(window, longest)
    ]
