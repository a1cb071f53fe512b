"""Bybit v5, linear perpetuals. Facts: the exchange's documentation, and what was measured (VENUES).

Positions: `position/list` of a settle coin lists what is held, 200 rows a page: a symbol without a
row in the whole list is flat. Asked by symbol it would take one call for each.

Fills: `execution/list` without `execType`, in spans of at most 7 days. That way liquidations,
deleveraging and settlements come along, which CCXT leaves out; funding comes along too, and is
dropped here. Pages end where the exchange's own cursor ends: a page with rows has one even if it is
the last, so there is one call more than pages with fills.

Executions do not name the leg, in hedge mode neither. `closedSize` says how much of each closed a
position, which is the same in both modes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import (
    FillSet,
    base_units,
    exact,
    fill_of,
    rows_of,
    text,
    to_ms,
)
from unghost.adapters.exchange.venues.reader import (
    Leg,
    finding_from,
    position_reading,
    require_depth,
    spans,
    unknown_position,
)
from unghost.model import (
    Fill,
    FillKind,
    FillReading,
    Flatness,
    Market,
    PositionReading,
    PositionSide,
    Window,
)

T = TypeVar("T")
Row = Mapping[str, Any]

POSITIONS: Final = "privateGetV5PositionList"
FILLS: Final = "privateGetV5ExecutionList"
KEY: Final = "privateGetV5UserQueryApi"

CATEGORY: Final = "linear"
POSITION_PAGE: Final = 200
FILL_PAGE: Final = 100
SPAN: Final = timedelta(days=7)
DEPTH: Final = timedelta(days=730)
MAX_PAGES: Final = 5000
"""Half a million fills of one market: what is more is not read, and so is incomplete."""

LEGS: Final[Mapping[str, PositionSide | None]] = {
    "0": None,
    "1": PositionSide.LONG,
    "2": PositionSide.SHORT,
}
"""`positionIdx`: one-way mode, and the two legs of hedge mode."""
DIRECTIONS: Final[Mapping[str, int]] = {"Buy": 1, "Sell": -1, "": 0, "None": 0}
"""The side of a position; accounts of the older kind say None where it is empty."""
KINDS: Final[Mapping[str, FillKind]] = {
    "Trade": FillKind.TRADE,
    "BlockTrade": FillKind.TRADE,
    "FutureSpread": FillKind.TRADE,
    "BustTrade": FillKind.LIQUIDATION,
    "AdlTrade": FillKind.DELEVERAGE,
    "Settle": FillKind.SETTLEMENT,
    "Delivery": FillKind.SETTLEMENT,
}
"""`execType`. MovePosition, to another account, is none of them: nobody knows whose exit it is."""
FUNDING: Final = "Funding"


class BybitReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({POSITIONS, FILLS, KEY})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType(
        {
            # Limits here are per second, rolling: ten calls of a kind at once are allowed.
            "rateLimiterAlgorithm": "rollingWindow",
            "rollingWindowSize": 1000,
            "options": {"defaultType": "swap", "fetchMarkets": {"types": [CATEGORY]}},
        }
    )

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One list for each settle coin. ReadFailed where any row of it is malformed."""
        readings: dict[str, PositionReading] = {}
        for coin in sorted({_settled_in(market) for market in markets}):
            params = {"category": CATEGORY, "settleCoin": coin, "limit": POSITION_PAGE}
            told = await _pages(client, POSITIONS, params, question="Positions", read_row=_checked)
            by_symbol = defaultdict(list)
            for row in told.items:
                by_symbol[row["symbol"]].append(row)
            for market in markets:
                if _settled_in(market) == coin:
                    rows = by_symbol[market.native_id]
                    readings[market.unified] = _reading(client, market, rows, told.asked_at)
        return readings

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        require_depth(window, DEPTH)
        fills, told = FillSet(client.account), list[_Told[Fill | None]]()
        for span in spans(window, SPAN):
            params = {
                "category": CATEGORY,
                "symbol": market.native_id,
                "startTime": to_ms(span.start_at),
                "endTime": to_ms(span.end_at),
                "limit": FILL_PAGE,
            }
            told.append(
                await _pages(
                    client,
                    FILLS,
                    params,
                    question=f"Fills of {market.unified}",
                    read_row=lambda row: _fill(client, row, market),
                )
            )
            fills.add(fill for fill in told[-1].items if fill is not None)
        pages = sum(each.pages for each in told)
        return FillReading(
            fills=fills.within(window),
            complete=True,
            window=window,
            as_of=told[0].asked_at,
            pages=pages,
            detail=f"{len(fills)} fills read, to the end of execution/list, in {pages} calls",
        )

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """None beside those that the fills tell themselves: no call is needed."""
        del client, market, window
        return {}

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """Which account the key sees."""
        return await client.read(KEY, {}, question="The account", parse=_user)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """The account that the key sees, and what the key may do."""
        return (
            await finding_from(client, KEY, "account", _account_finding),
            await finding_from(client, KEY, "key rights", _rights_finding),
        )


# Pages


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told(Generic[T]):
    """All rows of a list as read, over how many pages; `asked_at` is before the first."""

    items: Sequence[T]
    pages: int
    asked_at: datetime


async def _pages(
    client: ReadOnlyClient,
    endpoint: str,
    params: Mapping[str, Any],
    *,
    question: str,
    read_row: Callable[[Row], T],
) -> _Told[T]:
    """The whole list, page by page, until the exchange gives no cursor any more.

    A row is read inside the attempt that fetched it: one damaged on its way is asked for again.
    """
    cursor, seen, items, asked_at = "", set[str](), list[T](), list[datetime]()
    while not asked_at or cursor:
        if cursor in seen or len(asked_at) >= MAX_PAGES:
            raise malformed(f"the pages of {endpoint} do not end")
        seen.add(cursor)
        where = {**params, "cursor": cursor} if cursor else params
        answer_at, found, cursor = await client.read(
            endpoint, where, question=question, parse=lambda answer: _page(answer, read_row)
        )
        asked_at.append(answer_at)
        items += found
    return _Told(items=items, pages=len(asked_at), asked_at=asked_at[0])


def _page(answer: Answer, read_row: Callable[[Row], T]) -> tuple[datetime, Sequence[T], str]:
    """One page: when it was asked for, its rows as read, and where the list goes on, if it does."""
    result = _result(answer)
    if result.get("category") != CATEGORY:
        raise malformed(f"the answer is not about {CATEGORY} contracts")
    rows, cursor = rows_of(result.get("list"), "the list"), result.get("nextPageCursor")
    if not isinstance(cursor, str):
        raise malformed("the answer does not say whether more follows")
    if cursor and not rows:
        raise malformed("a page without rows says that more follows")
    return answer.asked_at, [read_row(row) for row in rows], cursor


def _result(answer: Answer) -> Row:
    result = answer.value.get("result") if isinstance(answer.value, Mapping) else None
    if not isinstance(result, Mapping):
        raise malformed("the answer has no result")
    return result


# Positions


def _settled_in(market: Market) -> str:
    return market.unified.rpartition(":")[2]


def _checked(row: Row) -> Row:
    """The row, if it is sound. A single bad row casts doubt on all: it may be anyone's."""
    text(row.get("symbol"), "the symbol of a position")
    _leg(row, Decimal(1))
    return row


def _leg(row: Row, contract_size: Decimal) -> Leg:
    name = f"a position of {row.get('symbol')}"
    index, direction = _index(row, name), DIRECTIONS.get(str(row.get("side")))
    size = base_units(exact(row.get("size"), f"the size of {name}"), contract_size)
    if direction is None or size < 0 or (size and not direction):
        raise malformed(f"{name} has no direction that is known")
    side = LEGS[index]
    if size and side is not None and (direction > 0) != (side is PositionSide.LONG):
        raise malformed(f"{name} is on the {side} leg and says {row.get('side')}")
    return Leg(position_side=side, quantity=size * direction)


def _index(row: Row, name: str) -> str:
    index = text(row.get("positionIdx"), f"the leg of {name}")
    if index not in LEGS:
        raise malformed(f"{name} is on no leg that is known")
    return index


def _reading(
    client: ReadOnlyClient, market: Market, rows: Sequence[Row], asked_at: datetime
) -> PositionReading:
    if not rows:
        return PositionReading(
            flatness=Flatness.FLAT,
            as_of=asked_at,
            size=Decimal(0),
            detail=f"no row of {market.native_id} in the whole of position/list, which lists "
            f"whatever is held in {_settled_in(market)}",
        )
    indices = [_index(row, market.native_id) for row in rows]
    if len(indices) != len(set(indices)):
        return unknown_position(asked_at, f"position/list has a leg of {market.native_id} twice")
    for row in rows:
        conflict = _conflict(row, client.unified_position(row, market.unified))
        if conflict:
            return unknown_position(asked_at, f"{market.native_id}: {conflict}")
    legs = [_leg(row, market.contract_size) for row in rows]
    return position_reading(legs, asked_at, f"{market.native_id} in position/list")


def _conflict(row: Row, unified: Row) -> str:
    """Where the raw row contradicts itself or CCXT's reading of it (FAILURES 4)."""
    size, value = exact(row["size"], "size"), exact(row.get("positionValue") or 0, "positionValue")
    if exact(unified.get("contracts"), "contracts") != size:
        return f"size is {size}, CCXT reads {unified.get('contracts')} contracts"
    if not size and value:
        return f"size is 0, but the value is {value}"
    expected = "long" if row["side"] == "Buy" else "short"
    if size and unified.get("side") != expected:
        return f"side is {row['side']}, CCXT reads {unified.get('side')}"
    return ""


# Fills


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill | None:
    """One execution; None for funding, which moves no position."""
    if row.get("symbol") != market.native_id:
        raise malformed(f"a row of another symbol came with those of {market.native_id}")
    told = text(row.get("execType"), "the type of an execution")
    if told == FUNDING:
        return None
    if told not in KINDS:
        raise malformed(f"an execution of type {told}, of which it is not known what it closes")
    unified = client.unified_fill(row, market.unified)
    # Where a quantity or a price is missing, CCXT takes those of the order: so they come raw.
    raw = {"amount": row.get("execQty"), "price": row.get("execPrice"), "fee": _fee(row, market)}
    fill = fill_of(
        {**unified, **raw, "fees": []},
        market,
        kind=KINDS[told],
        client_order_id=row.get("orderLinkId") or None,
    )
    return replace(fill, closed=_closed(row, fill, market))


def _fee(row: Row, market: Market) -> Row | None:
    """What was paid (below zero: received), in the currency told, else in what settles.

    CCXT overlooks `feeCurrency`. Where other charges came on top, the fee is not known.
    """
    if row.get("extraFees"):
        return None
    currency = row.get("feeCurrency") or row.get("feeCoin") or _settled_in(market)
    return {"cost": row.get("execFee"), "currency": currency}


def _closed(row: Row, fill: Fill, market: Market) -> Decimal:
    """How much of a fill closed a position. What the exchange itself closes is closed wholly."""
    closed = base_units(exact(row.get("closedSize"), "closedSize"), market.contract_size)
    if not 0 <= closed <= fill.quantity:
        raise malformed(f"fill {fill.fill_id} closed {closed} of {fill.quantity}")
    if fill.kind is FillKind.TRADE:
        return closed
    if closed not in {0, fill.quantity}:
        raise malformed(f"{fill.kind} {fill.fill_id} closed {closed} of {fill.quantity}")
    return fill.quantity


# Examination


def _user(answer: Answer) -> str:
    return text(_result(answer).get("userID"), "userID")


def _account_finding(answer: Answer) -> Finding:
    detail = f"the key sees account {_user(answer)}; the position mode is each symbol's own"
    return Finding(name="account", verdict=Verdict.OK, detail=detail)


def _rights_finding(answer: Answer) -> Finding:
    result = _result(answer)
    if result.get("readOnly") == 1:
        return Finding(name="key rights", verdict=Verdict.OK, detail="the key may only read")
    return Finding(
        name="key rights",
        verdict=Verdict.WARN,
        detail=f"the key may do more than read: {_granted(result.get('permissions'))}",
        remedy="give unghost a key that may only read",
    )


def _granted(permissions: object) -> str:
    granted: Iterable[str] = permissions if isinstance(permissions, Mapping) else ()
    names = [name for name in granted if isinstance(permissions, Mapping) and permissions[name]]
    return ", ".join(names) or "what, it does not tell"
