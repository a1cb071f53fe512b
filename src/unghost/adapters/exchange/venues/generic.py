"""Any exchange without a reader of its own: one page, and belief only where nothing is left open.

Swap: FLAT needs at least one row of the symbol, all of them zero, in an answer of which CCXT
dropped no row. A symbol without a row is UNKNOWN, for nobody here knows whether the exchange lists
flat ones. Spot: FLAT needs the base asset in the balance with a total of exactly zero. Margin:
UNKNOWN. Fills: complete only where the one page is shorter than the page size and no row of it was
dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, assert_never

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.connection import MarketType
from unghost.adapters.exchange.failures import FailureKind, ReadFailed, malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import (
    FillSet,
    base_units,
    digest,
    exact,
    fill_of,
    to_ms,
)
from unghost.adapters.exchange.venues.reader import (
    Leg,
    incomplete_fills,
    position_reading,
    unknown_position,
)
from unghost.model import FillReading, Market, PositionReading, PositionSide, Window

Row = Mapping[str, Any]

SMALLEST_PAGE: Final = 20
"""The smallest default page of any exchange that CCXT knows; what is as long may be cut."""
LONGEST_NESTING: Final = 6


class GenericReader:
    """Reads by CCXT's unified methods alone; see the module's docstring."""

    endpoints: frozenset[str] = frozenset()
    verbs = frozenset({"GET", "POST"})  # Some exchanges are asked for everything by POST.
    settings: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, market_type: MarketType) -> None:
        self.market_type = market_type

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """From `fetch_positions` on swap, from `fetch_balance` on spot."""
        match self.market_type:
            case "swap":
                return await client.positions("Positions", lambda a: _by_positions(a, markets))
            case "spot":
                return await client.balance("The balance", lambda a: _by_balance(a, markets))
            case "margin":
                why = (
                    f"nothing here can read margin positions of {client.exchange_id}: of margin"
                    ' only the cross account of Binance is read (exchange = "binance",'
                    ' market = "margin"); repair this one by hand'
                )
                raise ReadFailed(FailureKind.REFUSED, why)
            case _ as unknown:
                assert_never(unknown)

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """One page; incomplete as soon as anything may be missing from it."""
        page = _page_of(client, market)

        def parse(answer: Answer) -> FillReading:
            return _one_page(answer, market, window, page, FillSet(client.account))

        return await client.page_of_fills(
            f"Fills of {market.unified}",
            parse,
            symbol=market.unified,
            since_ms=to_ms(window.start_at),
            limit=page.limit,
        )

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """Never: which call would tell them in full is not known."""
        del client, market, window
        return None

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """None: how an exchange tells it is its own."""
        del client
        return None

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """That this exchange is read with less belief."""
        return (
            Finding(
                name="reader",
                verdict=Verdict.WARN,
                detail=f"{client.exchange_id} has no reader of its own: one page of fills, and "
                "no symbol counts as flat that the exchange does not list",
            ),
        )


# Positions


def _by_positions(answer: Answer, markets: Sequence[Market]) -> Mapping[str, PositionReading]:
    rows = _unified_rows(answer)
    return {market.unified: _reading(rows, market, answer) for market in markets}


def _unified_rows(answer: Answer) -> Sequence[Row]:
    """CCXT's rows, where each row of the raw answer became exactly one of them."""
    rows = answer.value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed("CCXT did not make a list of the answer")
    if not _are_whole([row.get("info") for row in rows], answer.bodies):
        raise malformed("CCXT's rows are not those that the exchange sent: some were dropped")
    return rows


def _are_whole(raw: Sequence[Any], bodies: Sequence[Any]) -> bool:
    """Whether `raw` are, in any order, all rows of one list that came; none only if none came."""
    lists = [found for body in bodies for found in _lists(body, 0)]
    if not raw:
        return bool(lists) and not any(lists)
    wanted = Counter(map(digest, raw))
    return any(len(found) == len(raw) and Counter(map(digest, found)) == wanted for found in lists)


def _lists(body: Any, depth: int) -> Iterator[Sequence[Any]]:
    """Every list of objects in a JSON body, the empty ones too."""
    if depth > LONGEST_NESTING:
        return
    if isinstance(body, list) and all(isinstance(each, dict) for each in body):
        yield body
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    for each in inner:
        yield from _lists(each, depth + 1)


def _reading(rows: Sequence[Row], market: Market, answer: Answer) -> PositionReading:
    mine = [row for row in rows if row.get("symbol") == market.unified]
    if not mine:
        why = f"no row of {market.unified}: not known whether this exchange lists flat symbols"
        return unknown_position(answer.asked_at, why)
    return position_reading(
        [_leg(row, market) for row in mine], answer.asked_at, f"{market.unified} in fetch_positions"
    )


def _leg(row: Row, market: Market) -> Leg:
    size = row.get("contractSize")
    if size is not None and exact(size, "contractSize") != market.contract_size:
        raise malformed(f"the contract size of {market.unified} is told as {size} and otherwise")
    quantity = exact(row.get("contracts"), f"the contracts of {market.unified}")
    side = row.get("side")
    if quantity and side not in {"long", "short"}:
        raise malformed(f"a position of {market.unified} has no side")
    signed = base_units(-quantity if side == "short" else quantity, market.contract_size)
    hedged = row.get("hedged") is True and side in {"long", "short"}
    return Leg(position_side=PositionSide(str(side)) if hedged else None, quantity=signed)


def _by_balance(answer: Answer, markets: Sequence[Market]) -> Mapping[str, PositionReading]:
    totals = answer.value.get("total")
    if not isinstance(totals, Mapping):
        raise malformed("the balance has no totals")
    return {market.unified: _holding(totals, market, answer) for market in markets}


def _holding(totals: Row, market: Market, answer: Answer) -> PositionReading:
    told = totals.get(market.base)
    if told is None:
        why = f"the balance does not list {market.base}: an asset left out is not proven absent"
        return unknown_position(answer.asked_at, why)
    leg = Leg(position_side=None, quantity=exact(told, f"the total of {market.base}"))
    return position_reading([leg], answer.asked_at, f"{market.base} in the balance")


# Fills


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """What CCXT knows about a page: `limit` is sent; a page of `full` rows may be cut."""

    limit: int | None
    full: int
    longest: timedelta | None
    deepest: timedelta | None


def _page_of(client: ReadOnlyClient, market: Market) -> _Page:
    limit = _count(client.feature(market.unified, "limit"))
    return _Page(
        limit=limit,
        full=SMALLEST_PAGE if limit is None else limit,
        longest=_days(client.feature(market.unified, "untilDays")),
        deepest=_days(client.feature(market.unified, "daysBack")),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _days(value: Any) -> timedelta | None:
    count = _count(value)
    return None if count is None else timedelta(days=count)


def _one_page(
    answer: Answer, market: Market, window: Window, page: _Page, fills: FillSet
) -> FillReading:
    rows = _unified_rows(answer)
    doubt = _doubt(len(rows), window, page, answer)
    if doubt:
        return incomplete_fills(window, answer.asked_at, doubt)
    fills.add(fill_of(row, market) for row in rows)
    return FillReading(
        fills=fills.within(window),
        complete=True,
        window=window,
        as_of=answer.asked_at,
        pages=1,
        detail=f"one page of {len(rows)} fills, shorter than the page size of {page.full}",
    )


def _doubt(count: int, window: Window, page: _Page, answer: Answer) -> str:
    """Why the page may not hold all fills of the window; empty where nothing speaks against it."""
    if page.longest is not None and window.end_at - window.start_at > page.longest:
        return f"one request reaches {page.longest.days} days at most, the window is longer"
    if page.deepest is not None and answer.asked_at - window.start_at > page.deepest:
        return f"the exchange keeps fills for {page.deepest.days} days, the window begins earlier"
    if count >= page.full:
        return f"the page is full ({count} fills): more may follow, and they were not read"
    return ""
