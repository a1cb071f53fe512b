"""Binance cross margin. Facts: the exchange's documentation; not measured on a real account.

Balances: `margin/account`. A market is flat where what is owned of the base asset (free and
locked), what is owed of it (borrowed and interest) and the net of both, in absolute size and
together, are below what the market can trade: a debt in the base asset is an open short. A debt in
the quote alone is no position.

Fills: `margin/myTrades` of the cross account, read as on spot. They are long fills only where the
base asset was never owed: `margin/borrow-repay` must tell no borrowing and no repayment of it, from
a day before the window until now; else the reading fails, for which way a fill went is in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import FailureKind, ReadFailed, malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import exact, fill_of, rows_of, text, to_ms
from unghost.adapters.exchange.venues.binance_spot import RIGHTS
from unghost.adapters.exchange.venues.reader import finding_from, spans
from unghost.adapters.exchange.venues.spot import (
    Row,
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
from unghost.model import (
    Fill,
    FillReading,
    Flatness,
    Market,
    PositionLeg,
    PositionReading,
    Window,
)

ACCOUNT: Final = "sapiGetMarginAccount"
FILLS: Final = "sapiGetMarginMyTrades"
ORDERS: Final = "sapiGetMarginAllOrders"
DEBTS: Final = "sapiGetMarginBorrowRepay"
KEY_RIGHTS: Final = "sapiGetAccountApiRestrictions"

DAY: Final = timedelta(hours=24)
CROSS: Final = MappingProxyType({"isIsolated": "FALSE"})
FILL_ROUTE: Final = Route(
    endpoint=FILLS,
    noun="Fills",
    id_field="id",
    cursor="fromId",
    longest=DAY,
    told_as="margin/myTrades",
    always=CROSS,
)
ORDER_ROUTE: Final = Route(
    endpoint=ORDERS,
    noun="Orders",
    id_field="orderId",
    cursor="orderId",
    longest=DAY,
    page=500,
    always=CROSS,
)

DEBT_SPAN: Final = timedelta(days=7)
DEBT_DEPTH: Final = timedelta(days=30)
"""Of one asset, `borrow-repay` tells no more than this before the end that is asked for."""
DEBT_PAGE: Final = 100
PARTS: Final = ("free", "locked", "borrowed", "interest", "netAsset")


class BinanceMarginReader:
    """Reads one cross margin account; see the module's docstring."""

    endpoints = frozenset({ACCOUNT, FILLS, ORDERS, DEBTS, KEY_RIGHTS})
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
        assets = {market.unified: _asset(listing[market.unified], market) for market in markets}

        def parse(answer: Answer) -> Mapping[str, PositionReading]:
            told = _assets(answer)
            return {
                market.unified: _reading(market, told.get(assets[market.unified]), answer)
                for market in markets
            }

        return await client.read(ACCOUNT, {}, question="The margin account", parse=parse)

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed; also where the base asset was owed in it."""
        told = await every_fill(
            client, market, window, FILL_ROUTE, lambda row: _fill(client, row, market)
        )
        self._behind[market.unified] = orders_behind(told)
        asked = await _require_no_debt(client, market, window)
        return replace(
            told,
            pages=told.pages + asked,
            detail=f"{told.detail}, and no borrowing of {market.base}, in {asked} more",
        )

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """From `margin/allOrders`, of the window or behind its fills, or ReadFailed."""
        return await every_client_id(
            client, market, window, ORDER_ROUTE, self._behind.get(market.unified, ())
        )

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """None: the margin account's answer names no account."""
        del client
        return None

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """That there is a cross margin account, and what the key may do."""
        return (
            await finding_from(client, ACCOUNT, "account", _account),
            await finding_from(client, KEY_RIGHTS, "key rights", _rights),
        )


# Balances


def _asset(raw: Row, market: Market) -> str:
    return text(raw.get("baseId"), f"the base asset of {market.unified}")


def _assets(answer: Answer) -> Mapping[str, Mapping[str, Decimal]]:
    """The parts of every asset; a single row in doubt casts doubt on all."""
    found: dict[str, Mapping[str, Decimal]] = {}
    told = object_of(answer.value, "margin/account")
    for row in rows_of(told.get("userAssets"), "the assets of margin/account"):
        asset = text(row.get("asset"), "the asset of a row")
        if asset in found:
            raise malformed(f"{asset} is listed twice")
        parts = {name: exact(row.get(name), f"{name} of {asset}") for name in PARTS}
        if any(parts[name] < 0 for name in PARTS if name != "netAsset"):
            raise malformed(f"an amount of {asset} is below zero")
        found[asset] = parts
    return found


def _reading(
    market: Market, parts: Mapping[str, Decimal] | None, answer: Answer
) -> PositionReading:
    """Owned and owed are added up, so that neither hides the other."""
    if parts is None:
        return holding_reading(market, None, answer.asked_at, "margin/account")
    owned, owed = parts["free"] + parts["locked"], parts["borrowed"] + parts["interest"]
    size = max(owned + owed, abs(parts["netAsset"]))
    if not owed:
        return holding_reading(market, size, answer.asked_at, "margin/account")
    if size < (market.minimum_quantity or Decimal(0)):
        return holding_reading(market, size, answer.asked_at, "margin/account")
    return PositionReading(
        flatness=Flatness.OPEN,
        as_of=answer.asked_at,
        size=size,
        legs=(PositionLeg(position_side=None, quantity=owned - owed),),
        detail=f"the account owes {owed:f} {market.base} and owns {owned:f}:"
        " a debt in the base asset is an open short",
    )


# Debts


async def _require_no_debt(client: ReadOnlyClient, market: Market, window: Window) -> int:
    """The calls made; ReadFailed where the base asset was borrowed or repaid."""
    listing = await client.markets()
    asset = _asset(listing[market.unified], market)
    found = spans(Window(start_at=window.start_at - DAY, end_at=window.end_at), DEBT_SPAN)
    for kind in ("BORROW", "REPAY"):
        for number, span in enumerate(found, start=1):
            await _require_none(client, asset, kind, span, is_last=number == len(found))
    return 2 * len(found)


async def _require_none(
    client: ReadOnlyClient, asset: str, kind: str, span: Window, *, is_last: bool
) -> None:
    where = {"asset": asset, "type": kind, "size": DEBT_PAGE, "startTime": to_ms(span.start_at)}
    # The last span ends now, as the exchange sees it: what was repaid a moment ago counts too.
    where |= {} if is_last else {"endTime": to_ms(span.end_at)}

    def parse(answer: Answer) -> int:
        if is_last and answer.asked_at - span.start_at > DEBT_DEPTH:
            raise malformed("the window ends too long ago to tell what was borrowed since")
        told = object_of(answer.value, "borrow-repay")
        rows, total = rows_of(told.get("rows"), "the rows of borrow-repay"), told.get("total")
        if exact(total, "the total of borrow-repay") < len(rows):
            raise malformed("borrow-repay tells more rows than its total")
        return max(len(rows), int(exact(total, "the total of borrow-repay")))

    count = await client.read(DEBTS, where, question=f"Debts in {asset}", parse=parse)
    if count:
        done = "borrowed" if kind == "BORROW" else "repaid"
        why = (
            f"{asset} was {done} {count} times in the window, so its fills may be those of a short:"
            " only longs without a debt in the base asset are read; close this one by hand"
        )
        raise ReadFailed(FailureKind.REFUSED, why)


# Fills


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    if not isinstance(row.get("isBuyer"), bool):
        raise malformed(f"a fill of {market.native_id} does not tell whether it bought")
    if row.get("isIsolated") is not False:
        raise malformed(f"a fill of {market.native_id} is not told to be of the cross account")
    return fill_of(client.unified_fill(row, market.unified), market)


# Examination


def _account(answer: Answer) -> Finding:
    count = len(_assets(answer))
    return Finding(
        name="account",
        verdict=Verdict.OK if count else Verdict.WARN,
        detail=f"the key sees a cross margin account of {count} assets",
    )


def _rights(answer: Answer) -> Finding:
    told = object_of(answer.value, "apiRestrictions")
    return rights_finding(name for name in RIGHTS if told.get(name) is True)
