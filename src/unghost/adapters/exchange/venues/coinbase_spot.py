"""Coinbase spot (Advanced Trade). Facts: the exchange's documentation, and VENUES.

Balances: `accounts`, page by page to the end of the cursor; what is free and what is on hold, of
all wallets of an asset.

Fills: newest first, by cursor; an empty cursor is the end. A row that is no plain fill (a reversal,
a correction) takes something back, and nothing here can say what: the reading fails. Sizes may be
told in the quote currency. Commissions are in the quote currency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding
from unghost.adapters.exchange.markets import Listing
from unghost.adapters.exchange.strict import FillSet, exact, fill_of, rows_of, text
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

T = TypeVar("T")

ACCOUNTS: Final = "v3PrivateGetBrokerageAccounts"
FILLS: Final = "v3PrivateGetBrokerageOrdersHistoricalFills"
ORDERS: Final = "v3PrivateGetBrokerageOrdersHistoricalBatch"
KEY_RIGHTS: Final = "v3PrivateGetBrokerageKeyPermissions"

ACCOUNTS_PAGE: Final = 250
FILLS_PAGE: Final = 1000
ORDERS_AT_ONCE: Final = 50
MAX_PAGES: Final = 500
MARGIN: Final = timedelta(minutes=1)
"""Fills are asked for by the time of their booking, which follows that of their execution."""


class CoinbaseSpotReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({ACCOUNTS, FILLS, ORDERS, KEY_RIGHTS})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType({})

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """All wallets of the account, and what they hold of each market's asset."""
        listing = await client.markets()
        pages = await _all_pages(
            client,
            ACCOUNTS,
            {"limit": ACCOUNTS_PAGE},
            question="The balance",
            rows="accounts",
            read=_wallet,
            ends=_has_no_next,
        )
        held = added(pages.rows)
        return {
            market.unified: holding_reading(
                market, held.get(_asset(listing, market)), pages.asked_at, "accounts"
            )
            for market in markets
        }

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        require_order(window)
        pages = await _all_pages(
            client,
            FILLS,
            {
                "product_ids": [market.native_id],
                "limit": FILLS_PAGE,
                "start_sequence_timestamp": _stamp(window.start_at - MARGIN),
                "end_sequence_timestamp": _stamp(window.end_at + MARGIN),
            },
            question=f"Fills of {market.unified}",
            rows="fills",
            read=lambda row: _fill(client, market, row),
            ends=lambda answer: not answer.get("cursor"),
        )
        fills = FillSet(client.account)
        fills.add(pages.rows)
        return FillReading(
            fills=fills.within(window),
            complete=True,
            window=window,
            as_of=pages.asked_at,
            pages=pages.count,
            detail=f"{len(fills)} fills read, to the end of the cursor, in {pages.count} calls",
        )

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """From the orders behind the fills, all of which must be told."""
        reading = await self.fills(client, market, window)
        names = sorted({fill.exchange_order_id for fill in reading.fills})
        told: dict[str, str] = {}
        for start in range(0, len(names), ORDERS_AT_ONCE):
            some = names[start : start + ORDERS_AT_ONCE]
            pages = await _all_pages(
                client,
                ORDERS,
                {"order_ids": some, "limit": ORDERS_AT_ONCE},
                question="The orders behind the fills",
                rows="orders",
                read=_order_ids,
                ends=_has_no_next,
            )
            told |= dict(pages.rows)
            if not set(some) <= told.keys():
                raise malformed("the exchange did not tell every order behind the fills")
        return {name: told[name] for name in names if told[name]}

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """The portfolio that the key sees."""
        return await client.read(KEY_RIGHTS, {}, question="The account", parse=_portfolio)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """The portfolio that the key sees, and what the key may do."""
        return (
            await finding_from(client, KEY_RIGHTS, "account", _account),
            await finding_from(client, KEY_RIGHTS, "key rights", _rights),
        )


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Pages


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pages(Generic[T]):
    """The rows of all pages, as read; `asked_at` is when the first was asked for."""

    rows: Sequence[T]
    count: int
    asked_at: datetime


async def _all_pages(
    client: ReadOnlyClient,
    endpoint: str,
    params: Mapping[str, Any],
    *,
    question: str,
    rows: str,
    read: Callable[[Row], T],
    ends: Callable[[Row], bool],
) -> _Pages[T]:
    """Every page of an endpoint, by its own cursor; `ends` says whether an answer is the last."""

    def parse(answer: Answer) -> tuple[datetime, list[T], str | None]:
        told = object_of(answer.value, endpoint)
        found = [read(row) for row in rows_of(told.get(rows), f"{rows} of {endpoint}")]
        cursor = None if ends(told) else text(told.get("cursor"), f"the cursor of {endpoint}")
        return answer.asked_at, found, cursor

    started, found, cursor = await client.read(endpoint, params, question=question, parse=parse)
    pages, seen = 1, {cursor}
    while cursor is not None:
        if pages >= MAX_PAGES:
            raise malformed(f"there are more than {MAX_PAGES} pages")
        where = {**params, "cursor": cursor}
        _, more, cursor = await client.read(endpoint, where, question=question, parse=parse)
        if cursor in seen and cursor is not None:
            raise malformed("the pages do not move on: a cursor came twice")
        seen.add(cursor)
        found += more
        pages += 1
    return _Pages(rows=found, count=pages, asked_at=started)


def _has_no_next(answer: Row) -> bool:
    """Where the exchange says so itself; a page that does not tell is not the last one."""
    told = answer.get("has_next")
    if not isinstance(told, bool):
        raise malformed("the page does not tell whether another one follows")
    return not told


# Rows


def _wallet(row: Row) -> tuple[str, Decimal]:
    """The asset of a wallet, and what it holds: free and on hold."""
    asset = text(row.get("currency"), "the currency of a wallet")
    parts = (object_of(row.get(name), f"{name} of {asset}") for name in WALLET_PARTS)
    return asset, sum((exact(part.get("value"), f"a value of {asset}") for part in parts), ZERO)


WALLET_PARTS: Final = ("available_balance", "hold")
ZERO: Final = Decimal(0)


def _asset(listing: Listing, market: Market) -> str:
    return text(listing[market.unified].get("baseId"), f"the base asset of {market.unified}")


def _fill(client: ReadOnlyClient, market: Market, row: Row) -> Fill:
    if row.get("trade_type") != "FILL":
        raise malformed(f"a row of fills is a {row.get('trade_type')}, which takes something back")
    if row.get("product_id") != market.native_id:
        raise malformed(f"a fill of {row.get('product_id')} came with those of {market.native_id}")
    if not isinstance(row.get("size_in_quote"), bool):
        raise malformed("a fill does not tell in which currency its size is")
    return fill_of(client.unified_fill(row, market.unified), market)


def _order_ids(row: Row) -> tuple[str, str]:
    told = row.get("client_order_id")
    return text(row.get("order_id"), "the id of an order"), told if isinstance(told, str) else ""


# Examination


def _portfolio(answer: Answer) -> str | None:
    told = object_of(answer.value, "key_permissions").get("portfolio_uuid")
    return told if isinstance(told, str) and told else None


def _account(answer: Answer) -> Finding:
    return account_finding(_portfolio(answer))


def _rights(answer: Answer) -> Finding:
    told = object_of(answer.value, "key_permissions")
    if told.get("can_view") is not True:
        raise malformed("the key may not even read")
    return rights_finding(name for name in ("can_trade", "can_transfer") if told.get(name) is True)
