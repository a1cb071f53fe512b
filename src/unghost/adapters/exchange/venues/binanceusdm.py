"""Binance USD-M futures. Facts: the exchange's documentation, and what was measured (VENUES).

Positions: one call of v3 `positionRisk`, which lists only symbols with a position or an open order:
a symbol without a row in a well-formed list is flat. CCXT drops rows whose entry price is 0 though
their amount is not, so the raw `positionAmt` decides.

Fills: `userTrades` by time in slices of at most 7 days until the first fills are met, then by
`fromId`. Each page after the first starts *at* the last fill known, not behind it: so a page that
is wrongly empty is noticed, and the second half of a self-trade, which shares its id, is not lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeVar

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import (
    base_units,
    exact,
    fill_of,
    rows_of,
    text,
)
from unghost.adapters.exchange.venues.reader import (
    Leg,
    finding_from,
    position_reading,
    unknown_position,
)
from unghost.adapters.exchange.venues.time_then_id import (
    Route,
    every_client_id,
    every_fill,
    orders_behind,
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

POSITIONS: Final = "fapiPrivateV3GetPositionRisk"
FILLS: Final = "fapiPrivateGetUserTrades"
ORDERS: Final = "fapiPrivateGetAllOrders"
ACCOUNT: Final = "fapiPrivateGetAccountConfig"
BALANCE: Final = "fapiPrivateV3GetBalance"
KEY_RIGHTS: Final = "sapiGetAccountApiRestrictions"

PARSER: Final = "parse_position_risk"
"""CCXT's method that reads a row of positions; unlike its `fetch_positions` it drops none."""


SIDES: Final[Mapping[str, PositionSide | None]] = {
    "BOTH": None,
    "LONG": PositionSide.LONG,
    "SHORT": PositionSide.SHORT,
}
KINDS: Final = (
    ("autoclose-", FillKind.LIQUIDATION),
    ("adl_autoclose", FillKind.DELEVERAGE),
    ("settlement_autoclose-", FillKind.SETTLEMENT),
)
"""How the exchange begins the client order ids of orders that it places itself."""


FILL_ROUTE: Final = Route(
    endpoint=FILLS, noun="Fills", id_field="id", cursor="fromId", told_as="userTrades"
)
ORDER_ROUTE: Final = Route(endpoint=ORDERS, noun="Orders", id_field="orderId", cursor="orderId")


class BinanceUsdmReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({POSITIONS, FILLS, ORDERS, ACCOUNT, BALANCE, KEY_RIGHTS})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType(
        {
            # Limits here are per minute: a rolling window lets a short burst through at once.
            "rateLimiterAlgorithm": "rollingWindow",
            # An empty table of brackets keeps CCXT from reading the true one: nobody needs it. The
            # weights are the exchange's own; CCXT takes these calls for 1, five times too little.
            "options": {
                "defaultType": "swap",
                "leverageBrackets": {},
                "trueWeights": {"positionRisk": 5, "balance": 5},
            },
        }
    )

    def __init__(self) -> None:
        # By market, the orders behind the fills read last: some are older than the window.
        self._behind: dict[str, frozenset[str]] = {}

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One call for all markets. Raises ReadFailed where any row of the answer is malformed."""

        def parse(answer: Answer) -> Mapping[str, PositionReading]:
            by_symbol = _by_symbol(answer.value)
            return {
                market.unified: _reading(client, market, by_symbol[market.native_id], answer)
                for market in markets
            }

        return await client.read(POSITIONS, {}, question="Positions", parse=parse)

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
        """The alias, which Binance calls the unique code of an account; None without a balance."""
        return await client.read(BALANCE, {}, question="The account", parse=_alias)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """Position mode, the account that the key sees, and what the key may do."""
        return (
            await finding_from(client, ACCOUNT, "position mode", _mode_finding),
            await finding_from(client, BALANCE, "account", _account_finding),
            await finding_from(client, KEY_RIGHTS, "key rights", _rights_finding),
        )


# Positions


def _by_symbol(answer: object) -> defaultdict[str, list[Row]]:
    """The rows by native id. A single bad row casts doubt on all: it may be anyone's."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows_of(answer, "positionRisk"):
        symbol = text(row.get("symbol"), "the symbol of a position")
        _leg(row, Decimal(1))
        found[symbol].append(row)
    return found


def _leg(row: Row, contract_size: Decimal) -> Leg:
    name = f"a position of {row.get('symbol')}"
    if row.get("positionSide") not in SIDES:
        raise malformed(f"{name} has no position side that is known")
    side = SIDES[row["positionSide"]]
    quantity = base_units(exact(row.get("positionAmt"), f"the amount of {name}"), contract_size)
    if side is PositionSide.LONG and quantity < 0:
        raise malformed(f"{name} is long and below zero")
    return Leg(position_side=side, quantity=quantity)


def _reading(
    client: ReadOnlyClient, market: Market, rows: Sequence[Row], answer: Answer
) -> PositionReading:
    if not rows:
        return PositionReading(
            flatness=Flatness.FLAT,
            as_of=answer.asked_at,
            size=Decimal(0),
            detail=f"no row of {market.native_id} in a well-formed list of all positions; "
            "v3 positionRisk lists only symbols with a position or an open order",
        )
    sides = [row["positionSide"] for row in rows]
    if len(sides) != len(set(sides)):
        why = f"positionRisk lists a side of {market.native_id} twice"
        return unknown_position(answer.asked_at, why)
    for row in rows:
        conflict = _conflict(row, client.unified_position(row, market.unified, parser=PARSER))
        if conflict:
            return unknown_position(answer.asked_at, f"{market.native_id}: {conflict}")
    legs = [_leg(row, market.contract_size) for row in rows]
    return position_reading(legs, answer.asked_at, f"{market.native_id} in positionRisk")


def _conflict(row: Row, unified: Row) -> str:
    """Where raw row and CCXT's reading disagree (FAILURES 4): contracts, or side by notional."""
    amount = exact(row["positionAmt"], "positionAmt")
    if exact(unified.get("contracts"), "contracts") != abs(amount):
        return f"positionAmt is {amount}, CCXT reads {unified.get('contracts')} contracts"
    expected = None if not amount else "long" if amount > 0 else "short"
    if row["positionSide"] == "SHORT" and amount:
        expected = "short"
    if unified.get("side") != expected and not _lacks_notional(row, amount):
        return f"positionAmt is {amount}, but the notional is {row.get('notional')}"
    return ""


def _lacks_notional(row: Row, amount: Decimal) -> bool:
    """A held row whose notional is 0 or untold is no conflict: it is open all the same."""
    return bool(amount) and exact(row.get("notional") or 0, "notional") == 0


# Fills


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    if row.get("positionSide") not in SIDES:
        raise malformed(f"a fill of {market.native_id} has no position side that is known")
    told = row.get("clientOrderId")
    client_order_id = told if isinstance(told, str) and told else None
    return fill_of(
        client.unified_fill(row, market.unified),
        market,
        position_side=SIDES[row["positionSide"]],
        kind=_kind(client_order_id),
        client_order_id=client_order_id,
    )


def _kind(client_order_id: str | None) -> FillKind:
    begins = client_order_id or ""
    return next((kind for start, kind in KINDS if begins.startswith(start)), FillKind.TRADE)


# Examination


def _mode_finding(answer: Answer) -> Finding:
    hedged = answer.value["dualSidePosition"]
    if not isinstance(hedged, bool):
        raise malformed("the position mode is neither true nor false")
    detail = "hedge mode: both sides of a symbol count" if hedged else "one-way mode"
    return Finding(name="position mode", verdict=Verdict.OK, detail=detail)


def _alias(answer: Answer) -> str | None:
    rows = rows_of(answer.value, "balance")
    aliases = {text(row.get("accountAlias"), "the account's alias") for row in rows}
    if len(aliases) > 1:
        raise malformed("the balances are of several accounts")
    return next(iter(aliases), None)


def _account_finding(answer: Answer) -> Finding:
    alias = _alias(answer)
    detail = f"the key sees account {alias}" if alias else "no balance told"
    return Finding(name="account", verdict=Verdict.OK, detail=detail)


def _rights_finding(answer: Answer) -> Finding:
    rights = ("enableFutures", "enableSpotAndMarginTrading", "enableWithdrawals")
    granted = [name for name in rights if answer.value.get(name) is True]
    if not granted:
        return Finding(name="key rights", verdict=Verdict.OK, detail="the key may only read")
    return Finding(
        name="key rights",
        verdict=Verdict.WARN,
        detail=f"the key may do more than read: {', '.join(granted)}",
        remedy="give unghost a key that may only read",
    )
