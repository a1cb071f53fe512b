"""Gate's linear perpetuals. Facts: the exchange's documentation and clients of it (VENUES).

Everything is in contracts. Positions: all pages of `positions`, which lists every contract that the
account has held, also flat ones, in two rows where the account is in dual mode. A contract without
a row is therefore unknown: the key may see another account.

Fills: `my_trades_timerange`, newest first, by offset. Each page after the first starts at the last
row known; fills that come in meanwhile push known ones further back, and none is skipped. How much
of a fill closed a position `close_size` tells, in dual mode as in one-way mode; answers of older
times lack it, and then one-way mode must be proven. Times come in seconds with a fraction, and are
read exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import (
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
    unknown_position,
)
from unghost.adapters.exchange.venues.walk import Told, Walk, told_of
from unghost.model import (
    Fill,
    FillKind,
    FillReading,
    Market,
    PositionReading,
    PositionSide,
    Window,
)

Row = Mapping[str, Any]

POSITIONS: Final = "privateFuturesGetSettlePositions"
FILLS: Final = "privateFuturesGetSettleMyTradesTimerange"
ACCOUNT: Final = "privateFuturesGetSettleAccounts"

POSITION_PAGE: Final = 100
FILL_PAGE: Final = 1000
DEPTH: Final = timedelta(days=180)
"""The documentation promises half a year, and leaves open what is beyond."""
ROUND_PAGE: Final = 100
"""A page of 100, 200 ... rows may be a limit that we were not told of: it is not the last one."""

MODES: Final[Mapping[str, PositionSide | None]] = {
    "single": None,
    "dual_long": PositionSide.LONG,
    "dual_short": PositionSide.SHORT,
}
KINDS: Final = (
    ("auto_deleverag", FillKind.DELEVERAGE),
    ("liq-", FillKind.LIQUIDATION),
    ("hedge-liq-", FillKind.LIQUIDATION),
    ("liquidation", FillKind.LIQUIDATION),
    ("pm_liquidate", FillKind.LIQUIDATION),
    ("comb_margin_liquidate", FillKind.LIQUIDATION),
    ("scm_liquidate", FillKind.LIQUIDATION),
    ("settlement", FillKind.SETTLEMENT),
)
"""How the exchange begins the text of orders that it places itself."""
CUSTOM_TEXT: Final = "t-"
"""How a text begins that the account gave its order, which is the client order id."""


class GateReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({POSITIONS, FILLS, ACCOUNT})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType(
        {
            # Limits here are per 10 seconds: 200 calls.
            "rateLimiterAlgorithm": "rollingWindow",
            "rollingWindowSize": 10_000,
            "options": {
                "defaultType": "swap",
                "fetchMarkets": {"types": ["swap"]},
                # What settles in coins is inverse, and does not resolve.
                "swap": {"fetchMarkets": {"settlementCurrencies": ["usdt"]}},
                # CCXT would ask, and take a failed answer for a no. Nothing here depends on it.
                "unifiedAccount": False,
            },
        }
    )

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """All pages, once per currency of settlement. ReadFailed where any row is malformed."""
        readings: dict[str, PositionReading] = {}
        by_settle = defaultdict(list)
        for market, settle in zip(markets, await _settles(client, markets), strict=True):
            by_settle[settle].append(market)
        for settle, own in by_settle.items():
            walk = Walk(client=client, market=own[0], endpoint=POSITIONS, noun="Positions")
            rows = await _all_positions(walk, settle)
            for market in own:
                readings[market.unified] = _reading(walk, market, rows)
        return readings

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        require_depth(window, DEPTH)
        (settle,) = await _settles(client, [market])
        walk = Walk(client=client, market=market, endpoint=FILLS)
        found = await _history(walk, settle, window)
        if any(fill is not None and fill.closed is None for fill in found):
            await client.read(
                ACCOUNT, {"settle": settle}, question="The position mode", parse=_require_one_way
            )
        return walk.whole(found, window)

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """None to add: a fill itself tells the text that its order was given."""
        del client, market, window
        return {}

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """Which account the key sees."""
        return await client.read(ACCOUNT, {"settle": "usdt"}, question="The account", parse=_user)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """Position mode and the account that the key sees."""

        def mode(answer: Answer) -> Finding:
            detail = "dual: both sides of a symbol count" if _is_dual(answer) else "one-way mode"
            return Finding(name="position mode", verdict=Verdict.OK, detail=detail)

        def user(answer: Answer) -> Finding:
            detail = f"the key sees user {_user(answer)}"
            return Finding(name="account", verdict=Verdict.OK, detail=detail)

        settle = {"settle": "usdt"}
        return (
            await finding_from(client, ACCOUNT, "position mode", mode, params=settle),
            await finding_from(client, ACCOUNT, "account", user, params=settle),
        )


async def _settles(client: ReadOnlyClient, markets: Sequence[Market]) -> list[str]:
    """The exchange's names of the currencies in which the markets settle (`usdt`)."""
    listing = await client.markets()
    named = (listing.get(market.unified, {}).get("settleId") for market in markets)
    return [text(name, "the currency of settlement").lower() for name in named]


def _user(answer: Answer) -> str:
    return text(answer.value.get("user"), "the user")


def _is_dual(answer: Answer) -> bool:
    told = answer.value.get("in_dual_mode")
    if not isinstance(told, bool):
        raise malformed("the account does not tell whether it is in dual mode")
    return told


def _require_one_way(answer: Answer) -> None:
    if _is_dual(answer):
        raise malformed("fills of a dual account do not tell what they closed")


# Positions


async def _all_positions(walk: Walk, settle: str) -> Sequence[Row]:
    """Every row, page by page; each page after the first begins with the last row known."""
    rows: list[Row] = []
    while True:
        offset = max(0, len(rows) - 1)
        params = {"settle": settle, "limit": POSITION_PAGE, "offset": offset}
        page = await walk.page(params, lambda answer: _position_rows(answer.value))
        if rows and (not page or _place(page[0]) != _place(rows[-1])):
            raise malformed(f"a page of positions does not go on from row {offset}")
        rows += page[1:] if rows else page
        if len(set(map(_place, rows))) < len(rows):
            raise malformed("a side of a contract is listed twice")
        if len(page) < POSITION_PAGE:
            return rows


def _place(row: Row) -> tuple[object, object]:
    return row["contract"], row["mode"]


def _position_rows(answer: object) -> Sequence[Row]:
    """A single bad row casts doubt on all: it may be anyone's."""
    rows = rows_of(answer, "positions")
    for row in rows:
        text(row.get("contract"), "the contract of a position")
        _leg(row, Decimal(1))
    return rows


def _leg(row: Row, contract_size: Decimal) -> Leg:
    name = f"a position of {row.get('contract')}"
    if row.get("mode") not in MODES:
        raise malformed(f"{name} is of a mode that is not known")
    side = MODES[row["mode"]]
    size = exact(row.get("size"), f"the size of {name}")
    if (side is PositionSide.LONG and size < 0) or (side is PositionSide.SHORT and size > 0):
        raise malformed(f"{name} is {side} and its size is {size}")
    return Leg(position_side=side, quantity=base_units(size, contract_size))


def _reading(walk: Walk, market: Market, rows: Sequence[Row]) -> PositionReading:
    mine = [row for row in rows if row["contract"] == market.native_id]
    if not mine:
        why = (
            f"no row of {market.native_id}, though flat contracts are listed too:"
            " the key may see another account"
        )
        return unknown_position(walk.asked_at, why)
    for row in mine:
        conflict = _conflict(row, walk.client.unified_position(row, market.unified))
        if conflict:
            return unknown_position(walk.asked_at, f"{market.native_id}: {conflict}")
    legs = [_leg(row, market.contract_size) for row in mine]
    return position_reading(legs, walk.asked_at, f"{market.native_id} in positions")


def _conflict(row: Row, unified: Row) -> str:
    """Where the row disagrees with itself or with CCXT's reading (FAILURES 4)."""
    size = exact(row["size"], "size")
    if exact(unified.get("contracts"), "contracts") != abs(size):
        return f"size is {size}, CCXT reads {unified.get('contracts')} contracts"
    if not size and exact(row.get("value") or 0, "value"):
        return f"size is 0, but the value is {row['value']}"
    return ""


# Fills


async def _history(walk: Walk, settle: str, window: Window) -> Sequence[Fill | None]:
    """Every fill of the window, each once; whole seconds around it are read."""
    known: dict[str, Told] = {}
    question = {
        "settle": settle,
        "contract": walk.market.native_id,
        "limit": FILL_PAGE,
        "from": to_ms(window.start_at) // 1000,
        "to": to_ms(window.end_at) // 1000 + 1,
    }
    while True:
        offset = max(0, len(known) - 1)
        page = await walk.page(
            {**question, "offset": offset},
            lambda answer: told_of(
                _fill_rows(answer, walk.market), lambda row: _fill(walk.client, row, walk.market)
            ),
        )
        if known and not any(each.key in known for each in page):
            raise malformed(f"a page of fills does not go on from row {offset}, where one ended")
        count = len(known)
        known |= {each.key: each for each in page}
        if len(page) % ROUND_PAGE or not page:
            return [each.fill for each in known.values()]
        if len(known) == count:
            raise malformed(f"the pages do not move on from row {offset}")


def _fill_rows(answer: Answer, market: Market) -> Sequence[Row]:
    rows = rows_of(answer.value, "my_trades_timerange")
    if any(row.get("contract") != market.native_id for row in rows):
        raise malformed(f"a row of another contract came with those of {market.native_id}")
    return rows


def _time_ms(row: Row) -> int:
    """CCXT multiplies a binary float, and may be off by a millisecond."""
    return int(exact(row.get("create_time"), "the time of a fill") * 1000)


def _fill_id(row: Row) -> str:
    return text(row.get("trade_id", row.get("id")), "the id of a fill")


def _closed(row: Row) -> Decimal | None:
    """Contracts of a fill that closed a position, None where that is not told.

    Size and closed size are both below zero where the fill sold.
    """
    if "close_size" not in row:
        return None
    size = exact(row.get("size"), "the size of a fill")
    closed = exact(row["close_size"], "the closed size of a fill")
    if size * closed < 0:
        raise malformed(f"a fill of size {size} is told to close {closed}")
    return min(abs(closed), abs(size))


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    closed = _closed(row)
    words = row.get("text")
    order_text = words if isinstance(words, str) else ""
    trade = client.unified_fill(row, market.unified)
    fill = fill_of(
        {**trade, "id": _fill_id(row), "timestamp": _time_ms(row)},
        market,
        kind=_kind(order_text),
        client_order_id=order_text if order_text.startswith(CUSTOM_TEXT) else None,
    )
    return replace(
        fill, closed=None if closed is None else base_units(closed, market.contract_size)
    )


def _kind(order_text: str) -> FillKind:
    return next((kind for start, kind in KINDS if order_text.startswith(start)), FillKind.TRADE)
