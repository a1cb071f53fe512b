"""Binance spot. Facts: the exchange's documentation, and what was measured (VENUES).

Balances: `account`, which lists every asset, held or not. What is free and what orders keep counts,
and what was lent to flexible savings (`LDBTC`) is a holding of the asset too.

Fills: `myTrades` by time in slices of 24 hours until the first fills are met, then by `fromId`, as
on the futures. A fee may be taken in the asset itself: buying 1 BTC may bring in 0.999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding
from unghost.adapters.exchange.markets import Listing
from unghost.adapters.exchange.strict import exact, fill_of, rows_of, text
from unghost.adapters.exchange.venues.reader import finding_from
from unghost.adapters.exchange.venues.spot import (
    Row,
    account_finding,
    holding_reading,
    object_of,
    rights_finding,
)
from unghost.adapters.exchange.venues.time_then_id import (
    Route,
    every_client_id,
    every_fill,
    orders_behind,
)
from unghost.model import Fill, FillReading, Market, PositionReading, Window

ACCOUNT: Final = "privateGetAccount"
FILLS: Final = "privateGetMyTrades"
ORDERS: Final = "privateGetAllOrders"
KEY_RIGHTS: Final = "sapiGetAccountApiRestrictions"

DAY: Final = timedelta(hours=24)
FILL_ROUTE: Final = Route(
    endpoint=FILLS, noun="Fills", id_field="id", cursor="fromId", longest=DAY, told_as="myTrades"
)
ORDER_ROUTE: Final = Route(
    endpoint=ORDERS, noun="Orders", id_field="orderId", cursor="orderId", longest=DAY
)
SAVINGS: Final = "LD"
"""Before the name of an asset that was lent to flexible savings."""
RIGHTS: Final = (
    "enableSpotAndMarginTrading",
    "enableMargin",
    "enableFutures",
    "enableWithdrawals",
    "enableInternalTransfer",
    "permitsUniversalTransfer",
)


class BinanceSpotReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({ACCOUNT, FILLS, ORDERS, KEY_RIGHTS})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType(
        {
            # Limits here are per minute: a rolling window lets a short burst through at once.
            "rateLimiterAlgorithm": "rollingWindow",
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchMargins": False,
            },
        }
    )

    def __init__(self) -> None:
        # By market, the orders behind the fills read last: some are older than the window.
        self._behind: dict[str, frozenset[str]] = {}

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One call for all markets."""
        listing = await client.markets()

        def parse(answer: Answer) -> Mapping[str, PositionReading]:
            held = _balances(answer)
            return {
                market.unified: holding_reading(
                    market, _held(held, _asset(listing, market)), answer.asked_at, "account"
                )
                for market in markets
            }

        return await client.read(ACCOUNT, {}, question="The balance", parse=parse)

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        told = await every_fill(
            client, market, window, FILL_ROUTE, lambda row: _fill(client, row, market)
        )
        self._behind[market.unified] = orders_behind(told)
        return told

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """From `allOrders`, for orders made in the window or behind its fills, or ReadFailed."""
        return await every_client_id(
            client, market, window, ORDER_ROUTE, self._behind.get(market.unified, ())
        )

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """Which account the key sees."""
        return await client.read(ACCOUNT, {}, question="The account", parse=_uid)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """The account that the key sees, and what the key may do."""
        return (
            await finding_from(client, ACCOUNT, "account", _account),
            await finding_from(client, KEY_RIGHTS, "key rights", _rights),
        )


# Balances


def _balances(answer: Answer) -> Mapping[str, Decimal]:
    """What is free and what orders keep, by asset."""
    held: dict[str, Decimal] = {}
    told = object_of(answer.value, "account")
    for row in rows_of(told.get("balances"), "the balances of account"):
        asset = text(row.get("asset"), "the asset of a balance")
        if asset in held:
            raise malformed(f"{asset} is listed twice")
        parts = (exact(row.get(name), f"{name} of {asset}") for name in ("free", "locked"))
        held[asset] = sum(parts, Decimal(0))
    return held


def _held(held: Mapping[str, Decimal], asset: str) -> Decimal | None:
    if asset not in held:
        return None
    return held[asset] + held.get(f"{SAVINGS}{asset}", Decimal(0))


def _asset(listing: Listing, market: Market) -> str:
    return text(listing[market.unified].get("baseId"), f"the base asset of {market.unified}")


# Fills


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    if not isinstance(row.get("isBuyer"), bool):
        raise malformed(f"a fill of {market.native_id} does not tell whether it bought")
    return fill_of(client.unified_fill(row, market.unified), market)


# Examination


def _uid(answer: Answer) -> str | None:
    told = object_of(answer.value, "account").get("uid")
    return str(told) if isinstance(told, str | int) and told else None


def _account(answer: Answer) -> Finding:
    return account_finding(_uid(answer))


def _rights(answer: Answer) -> Finding:
    told = object_of(answer.value, "apiRestrictions")
    return rights_finding(name for name in RIGHTS if told.get(name) is True)
