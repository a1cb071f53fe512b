"""Kraken spot. Facts: the exchange's documentation, and what was measured (VENUES).

Balances: `BalanceEx`, where an asset may have several rows (`XXBT`, `XBT.F` in earn, `XBT.S`
staked): all of them are holdings of it.

Fills: `TradesHistory` of the whole account, newest first, 50 a page by offset. `end` is fixed, so
that pages do not shift; the exchange tells with each page how many trades there are in all, and a
reading is complete only where as many different ones came. The history of one end is read once for
all markets. Fees are told in the quote currency, whatever they were paid in: a fee that was taken
in the asset is not seen here, and explains nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding
from unghost.adapters.exchange.markets import Listing
from unghost.adapters.exchange.strict import FillSet, digest, exact, fill_of, text, to_ms
from unghost.adapters.exchange.venues.reader import finding_from
from unghost.adapters.exchange.venues.spot import (
    Row,
    account_finding,
    added,
    holding_reading,
    object_of,
    rights_finding,
)
from unghost.adapters.exchange.venues.walk import require_order
from unghost.model import Fill, FillReading, Market, PositionReading, Window

BALANCE: Final = "privatePostBalanceEx"
TRADES: Final = "privatePostTradesHistory"
ORDERS: Final = "privatePostQueryOrders"
KEY_INFO: Final = "privatePostGetApiKeyInfo"

PAGE: Final = 50
MAX_PAGES: Final = 400
"""Twenty thousand trades of one account: what is more is not read, and so is incomplete."""
ORDERS_AT_ONCE: Final = 50
SECOND: Final = timedelta(seconds=1)
READING: Final = ("query", "export", "access")
"""How the names of rights begin that do not change anything."""


class KrakenSpotReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({BALANCE, TRADES, ORDERS, KEY_INFO})
    verbs = frozenset({"GET", "POST"})  # Every private call is a POST here.
    settings: Mapping[str, Any] = MappingProxyType({})

    def __init__(self) -> None:
        # One at a time: a call that overtakes another is refused for its nonce.
        self._lock = asyncio.Lock()
        self._last: _History | None = None

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One call for all markets."""
        listing = await client.markets()

        def parse(answer: Answer) -> Mapping[str, PositionReading]:
            held = _balances(answer)
            return {
                market.unified: holding_reading(
                    market, held.get(_asset(listing, market)), answer.asked_at, "BalanceEx"
                )
                for market in markets
            }

        return await client.read(BALANCE, {}, question="The balance", parse=parse)

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        require_order(window)
        async with self._lock:
            history = await self._history(client, window)
        fills = FillSet(client.account)
        fills.add(_fills_of(client, await client.markets(), market, history.trades))
        return FillReading(
            fills=fills.within(window),
            complete=True,
            window=window,
            as_of=history.asked_at,
            pages=history.pages,
            detail=f"{len(fills)} of the account's {len(history.trades)} trades are of"
            f" {market.unified}; read to their count in {history.pages} calls",
        )

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """From `QueryOrders`, for the orders behind the fills; those without one are left out."""
        async with self._lock:
            history = await self._history(client, window)
            found = _fills_of(client, await client.markets(), market, history.trades)
            names = sorted({fill.exchange_order_id for fill in found})
            told: dict[str, str] = {}
            for start in range(0, len(names), ORDERS_AT_ONCE):
                told |= await _client_ids(client, names[start : start + ORDERS_AT_ONCE])
        return told

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """The account number of the key, where the exchange tells one."""
        return await client.read(KEY_INFO, {}, question="The account", parse=_iban)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """The account that the key sees, and what the key may do."""
        return (
            await finding_from(client, KEY_INFO, "account", _account),
            await finding_from(client, KEY_INFO, "key rights", _rights),
        )

    async def _history(self, client: ReadOnlyClient, window: Window) -> _History:
        if self._last is None or not self._last.covers(window):
            self._last = await _read_history(client, window)
        return self._last


def _result(answer: Answer, name: str) -> Row:
    """What is inside of the envelope. CCXT has raised already where it holds an error."""
    return object_of(object_of(answer.value, name).get("result"), f"the result of {name}")


# Balances


def _balances(answer: Answer) -> Mapping[str, Decimal]:
    """What is held by asset; the variants of an asset (`XBT.F`) are added to it."""
    rows = _result(answer, "BalanceEx")
    return added(
        (_plain_asset(name), exact(object_of(row, name).get("balance"), f"the balance of {name}"))
        for name, row in rows.items()
    )


def _plain_asset(name: str) -> str:
    """`XXBT`, `XBT` and `XBT.F` are one asset; `XTZ` and `ZRX` are not `TZ` and `RX`."""
    stem = name.partition(".")[0]
    return stem[1:] if len(stem) == OLD_NAME and stem[0] in "XZ" else stem


OLD_NAME: Final = 4
"""Length of the names with a class before them: `XXBT`, `ZUSD`."""


def _asset(listing: Listing, market: Market) -> str:
    info = object_of(listing[market.unified].get("info"), f"the description of {market.unified}")
    return _plain_asset(text(info.get("base"), f"the base asset of {market.unified}"))


# Fills


@dataclass(kw_only=True, slots=True)
class _History:
    """The account's trades between two times, by their id, each with the id inside."""

    window: Window
    count: int
    asked_at: datetime
    pages: int = 0
    trades: dict[str, Row] = field(default_factory=dict)

    def covers(self, window: Window) -> bool:
        """Whether the same question was asked for at least as long ago."""
        return self.window.end_at == window.end_at and self.window.start_at <= window.start_at

    def add(self, page: Mapping[str, Row]) -> None:
        self.pages += 1
        for name, row in page.items():
            if digest(self.trades.setdefault(name, row)) != digest(row):
                raise malformed(f"trade {name} came twice, with different contents")


async def _read_history(client: ReadOnlyClient, window: Window) -> _History:
    history, page = await _page(client, window, 0)
    history.add(page)
    while len(history.trades) < history.count:
        if history.pages >= MAX_PAGES:
            raise malformed(f"there are more than {MAX_PAGES} pages")
        told, page = await _page(client, window, history.pages * PAGE)
        if told.count != history.count:
            raise malformed("the number of trades changed while they were read")
        if not page.keys() - history.trades.keys():
            raise malformed(f"{len(history.trades)} of {history.count} trades came, and no more")
        history.add(page)
    if len(history.trades) > history.count:
        raise malformed(f"more trades came than the {history.count} that were told")
    return history


async def _page(
    client: ReadOnlyClient, window: Window, offset: int
) -> tuple[_History, Mapping[str, Row]]:
    """One page; in seconds, a little more on both sides, for `start` itself is left out."""

    def parse(answer: Answer) -> tuple[_History, Mapping[str, Row]]:
        result = _result(answer, "TradesHistory")
        trades = object_of(result.get("trades"), "the trades of TradesHistory")
        count = result.get("count")
        if isinstance(count, bool) or not isinstance(count, int):
            raise malformed("TradesHistory does not tell how many trades there are")
        rows = {
            name: {**object_of(row, f"trade {name}"), "id": name} for name, row in trades.items()
        }
        return _History(window=window, count=count, asked_at=answer.asked_at), rows

    return await client.read(
        TRADES,
        {
            "type": "all",
            "start": str(to_ms(window.start_at - SECOND) // 1000),
            "end": str(to_ms(window.end_at + SECOND) // 1000),
            "ofs": offset,
        },
        question="The trades of the account",
        parse=parse,
    )


def _fills_of(
    client: ReadOnlyClient, listing: Listing, market: Market, trades: Mapping[str, Row]
) -> list[Fill]:
    """Those of the market. A trade of a pair that nobody knows may be of any."""
    names = {name: symbol for symbol, raw in listing.items() for name in _names(raw)}
    found = []
    for identity, row in trades.items():
        pair = text(row.get("pair"), f"the pair of trade {identity}")
        if pair not in names:
            raise malformed(f"trade {identity} is of {pair}, which the exchange does not list")
        if names[pair] == market.unified:
            found.append(_fill(client, market, row))
    return found


def _names(raw: Row) -> set[str]:
    """`XXBTZUSD`, `XBTUSD` and `XBT/USD` are one pair."""
    info = raw.get("info") or {}
    told = (raw.get("id"), info.get("altname"), info.get("wsname"))
    return {name for name in told if isinstance(name, str)}


def _fill(client: ReadOnlyClient, market: Market, row: Row) -> Fill:
    if exact(row.get("margin"), "the margin of a trade"):
        raise malformed(
            f"trade {row['id']} was made on margin: it moved a position and not the balance"
        )
    return fill_of(client.unified_fill(row, market.unified), market)


async def _client_ids(client: ReadOnlyClient, names: Sequence[str]) -> Mapping[str, str]:
    def parse(answer: Answer) -> Mapping[str, str]:
        orders = _result(answer, "QueryOrders")
        if set(orders) != set(names):
            raise malformed("QueryOrders told other orders than it was asked for")
        ids = {name: _client_id(object_of(row, f"order {name}")) for name, row in orders.items()}
        return {name: told for name, told in ids.items() if told}

    return await client.read(
        ORDERS, {"txid": ",".join(names)}, question="The orders behind the fills", parse=parse
    )


def _client_id(row: Row) -> str:
    """The client's own id, else the number it put on the order (0 and absent are none)."""
    told = row.get("cl_ord_id") or row.get("userref") or ""
    return str(told)


# Examination


def _iban(answer: Answer) -> str | None:
    """The name of a key is no account: two keys may be called alike, and one account has many."""
    told = _result(answer, "GetApiKeyInfo").get("iban")
    return told if isinstance(told, str) and told else None


def _account(answer: Answer) -> Finding:
    info = _result(answer, "GetApiKeyInfo")
    return account_finding(info.get("iban") or info.get("apiKeyName"))


def _rights(answer: Answer) -> Finding:
    rights = _result(answer, "GetApiKeyInfo").get("permissions")
    if not isinstance(rights, list):
        raise malformed("GetApiKeyInfo tells no permissions")
    return rights_finding(str(each) for each in rights if not str(each).startswith(READING))
