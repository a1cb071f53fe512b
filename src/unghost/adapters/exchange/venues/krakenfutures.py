"""Kraken's linear perpetuals. Facts: the exchange's documentation, recorded answers (VENUES).

Positions: `openpositions` lists only what is held, one row per contract; there are no two sides.
Fills: `fills` for all contracts at once, newest first, 100 a page; `lastFillTime` asks for what was
before a time, so the next page is asked for from one millisecond after the oldest fill known, until
one tells nothing older: the pages overlap, and fills of one millisecond are not torn apart. The
answers tell no fee: CCXT makes one up from the list of prices, and it is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import (
    EPOCH,
    MILLISECOND,
    base_units,
    exact,
    fill_of,
    rows_of,
    text,
)
from unghost.adapters.exchange.venues.reader import Leg, position_reading, unknown_position
from unghost.adapters.exchange.venues.walk import Told, Walk, require_order, told_of
from unghost.model import (
    Fill,
    FillKind,
    FillReading,
    Flatness,
    Market,
    PositionReading,
    Window,
)

Row = Mapping[str, Any]

POSITIONS: Final = "privateGetOpenpositions"
FILLS: Final = "privateGetFills"

ROUND_PAGE: Final = 50
"""A page is 100 rows long, and no parameter sets that: one of 50 or 100 may be cut."""
KINDS: Final[Mapping[str, FillKind]] = {
    "maker": FillKind.TRADE,
    "taker": FillKind.TRADE,
    "takerAfterEdit": FillKind.TRADE,
    "assignee": FillKind.TRADE,
    "liquidation": FillKind.LIQUIDATION,
    "partialLiquidation": FillKind.LIQUIDATION,
    "assignor": FillKind.LIQUIDATION,
    "unwindBankrupt": FillKind.DELEVERAGE,
    "unwindCounterparty": FillKind.DELEVERAGE,
}
"""`fillType`. An assignee receives the position that an assignor lost."""


class KrakenFuturesReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({POSITIONS, FILLS})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType(
        # Limits here are per 10 seconds: 20 pages of fills, of which the first costs less.
        {"rateLimiterAlgorithm": "rollingWindow", "rollingWindowSize": 10_000}
    )

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One call for all markets. Raises ReadFailed where any row of the answer is malformed."""

        def parse(answer: Answer) -> Mapping[str, PositionReading]:
            rows = _rows(answer.value, "openPositions")
            for row in rows:
                _signed_size(row)
            return {market.unified: _reading(client, market, rows, answer) for market in markets}

        return await client.read(POSITIONS, {}, question="Positions", parse=parse)

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        require_order(window)
        walk = Walk(client=client, market=market, endpoint=FILLS)

        def read(row: Row) -> Fill | None:
            return _fill(client, row, market) if _is_of(row, market) else None

        found = await _history(walk, window, read)
        return walk.whole((each.fill for each in found), window)

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """None to add: a fill itself tells the client id where its order has one."""
        del client, market, window
        return {}

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """None: no call that is read here tells it."""
        del client
        return None

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """What holds for every account; the exchange tells neither the account nor key rights."""
        del client
        return (
            Finding(
                name="position mode",
                verdict=Verdict.OK,
                detail="one-way: the exchange knows no other",
            ),
            Finding(
                name="key rights",
                verdict=Verdict.WARN,
                detail="the exchange does not tell what a key may do",
                remedy="make sure by hand that the key may only read",
            ),
        )


def _rows(answer: object, name: str) -> Sequence[Row]:
    if not isinstance(answer, Mapping) or answer.get("result") != "success":
        raise malformed(f"the answer with {name} does not say that it succeeded")
    rows = rows_of(answer.get(name), name)
    for row in rows:
        text(row.get("symbol"), f"the symbol in {name}")
    return rows


def _is_of(row: Row, market: Market) -> bool:
    """Older answers spell contracts in small letters."""
    return str(row["symbol"]).upper() == market.native_id.upper()


# Positions


def _signed_size(row: Row) -> Decimal:
    name = f"a position of {row['symbol']}"
    size = exact(row.get("size"), f"the size of {name}")
    if row.get("side") not in {"long", "short"} or size < 0:
        raise malformed(f"{name} has no side and size that are known")
    return size if row["side"] == "long" else -size


def _reading(
    client: ReadOnlyClient, market: Market, rows: Sequence[Row], answer: Answer
) -> PositionReading:
    mine = [row for row in rows if _is_of(row, market)]
    if not mine:
        return PositionReading(
            flatness=Flatness.FLAT,
            as_of=answer.asked_at,
            size=Decimal(0),
            detail=f"no row of {market.native_id} in a well-formed list of all open positions",
        )
    if len(mine) > 1:
        return unknown_position(answer.asked_at, f"{market.native_id} is listed more than once")
    size = _signed_size(mine[0])
    unified = client.unified_position(mine[0], market.unified)
    if exact(unified.get("contracts"), "contracts") != abs(size):
        why = f"{market.native_id}: size is {abs(size)}, CCXT reads {unified.get('contracts')}"
        return unknown_position(answer.asked_at, why)
    leg = Leg(position_side=None, quantity=base_units(size, market.contract_size))
    return position_reading([leg], answer.asked_at, f"{market.native_id} in openpositions")


# Fills


async def _history(
    walk: Walk, window: Window, read: Callable[[Row], Fill | None]
) -> Sequence[Told]:
    """Every row from the present back to the window's start, each once."""
    known: dict[str, Told] = {}
    before: datetime | None = None
    while True:
        params = {} if before is None else {"lastFillTime": _iso(before)}
        page = await walk.page(params, lambda answer: told_of(_page(answer.value), read))
        _require_overlap(page, known, before)
        known |= {each.key: each for each in page}
        if not page or _time(page[-1].row) < window.start_at:
            return list(known.values())
        oldest = _time(page[-1].row) + MILLISECOND
        if oldest == before and len(page) % ROUND_PAGE == 0:
            raise malformed(f"the pages do not move on from the time {_iso(oldest)}")
        if oldest == before:
            return list(known.values())
        before = oldest


def _page(answer: object) -> Sequence[Row]:
    rows = _rows(answer, "fills")
    if any(_time(b) > _time(a) for a, b in pairwise(rows)):
        raise malformed("a page of fills is not in the order of time, newest first")
    return rows


def _require_overlap(
    page: Sequence[Told], known: Mapping[str, Told], before: datetime | None
) -> None:
    """A page goes on from where the last one ended, and so must hold what ended it."""
    if before is None:
        return
    if any(_time(each.row) >= before for each in page):
        raise malformed(f"a page holds fills that were not before {_iso(before)}")
    edge = before - MILLISECOND
    expected = {key for key, each in known.items() if _time(each.row) == edge}
    if not expected <= {each.key for each in page}:
        raise malformed(f"a page does not go on from the time {_iso(before)}, where one ended")


def _time(row: Row) -> datetime:
    """The time, cut to whole milliseconds: the unit in which CCXT and the cursor count."""
    told = text(row.get("fillTime"), "the time of a fill")
    try:
        at = datetime.fromisoformat(told)
    except ValueError:
        raise malformed("the time of a fill is no ISO 8601 time") from None
    if at.tzinfo is None:
        raise malformed("the time of a fill has no zone")
    return EPOCH + (at - EPOCH) // MILLISECOND * MILLISECOND


def _iso(at: datetime) -> str:
    return (
        at.astimezone(EPOCH.tzinfo).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{at.microsecond // 1000:03d}Z"
    )


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    if row.get("fillType") not in KINDS:
        raise malformed(f"a fill of {market.native_id} is of a kind that is not known")
    # CCXT reads the symbol as it is spelled, and works the fee out by itself.
    spelled = {**row, "symbol": market.native_id}
    trade = {**client.unified_fill(spelled, market.unified), "fee": None, "fees": None}
    at = _time(row)
    client_id = row.get("cliOrdId")
    return fill_of(
        {**trade, "info": row, "timestamp": (at - EPOCH) // timedelta(milliseconds=1)},
        market,
        kind=KINDS[row["fillType"]],
        client_order_id=client_id if isinstance(client_id, str) and client_id else None,
    )
