"""Bitget's linear perpetuals ("mix") of a classic account. Facts: the exchange's documentation.

Positions: one `all-position` per kind of product, which lists only what is held. Fills: `fills`,
newest first, in slices of less than 7 days, each by `idLessThan`; 90 days are kept. A page tells
the id that it ends with, which must be that of its last row.

In hedge mode the `side` that a fill tells is the side of its *position*: a fill that closes a
long one is told as buy. CCXT passes that on as if it had bought; here `tradeSide` tells what was
done. A unified account answers these calls with an error, and so is never read as empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeVar

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import FailureKind, ReadFailed, malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import (
    MILLISECOND,
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
from unghost.adapters.exchange.venues.walk import Walk, require_descent
from unghost.model import (
    Fill,
    FillKind,
    FillReading,
    Flatness,
    Market,
    PositionReading,
    PositionSide,
    Side,
    Window,
)

T = TypeVar("T")
Row = Mapping[str, Any]

POSITIONS: Final = "privateMixGetV2MixPositionAllPosition"
FILLS: Final = "privateMixGetV2MixOrderFills"
ORDERS: Final = "privateMixGetV2MixOrderOrdersHistory"
ACCOUNT: Final = "privateSpotGetV2SpotAccountInfo"

DONE: Final = "00000"
PAGE: Final = 100
ROUND_PAGE: Final = 50
"""A page of 50 or 100 rows may be cut: it is not the last one."""
SPAN: Final = timedelta(days=6, hours=23)
"""At most 7 days are told at once; with a margin on both ends it stays below that."""
DEPTH: Final = timedelta(days=90)

PRODUCTS: Final[Mapping[str, str]] = {"USDT": "USDT-FUTURES", "USDC": "USDC-FUTURES"}
"""The kind of product by the currency in which its markets settle."""
HEDGED: Final[Mapping[str, bool]] = {"hedge_mode": True, "one_way_mode": False}
FORCED: Final = (
    ("burst_", FillKind.LIQUIDATION),
    ("reduce_", FillKind.LIQUIDATION),
    ("dte_sys_adl_", FillKind.DELEVERAGE),
    ("offset_", FillKind.SETTLEMENT),
    ("delivery_", FillKind.SETTLEMENT),
)
"""How `tradeSide` begins where the exchange itself closed; how it goes on tells what."""


class BitgetReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({POSITIONS, FILLS, ORDERS, ACCOUNT})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType(
        {
            # Limits here are per second: 10 calls of a kind.
            "rateLimiterAlgorithm": "rollingWindow",
            "rollingWindowSize": 1000,
            "options": {
                "defaultType": "swap",
                "fetchMarkets": {"types": ["swap"]},
                # CCXT would ask, and take a failed answer for a no.
                "uta": False,
            },
        }
    )

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One call per kind of product. ReadFailed where any row of an answer is malformed."""
        readings: dict[str, PositionReading] = {}
        by_product = defaultdict(list)
        for market, settle in zip(markets, await _settles(client, markets), strict=True):
            by_product[settle].append(market)
        for settle, own in by_product.items():
            params = {"productType": PRODUCTS[settle], "marginCoin": settle}
            readings |= await client.read(
                POSITIONS, params, question="Positions", parse=_position_parser(client, own)
            )
        return readings

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        _require_base_units(market)
        walk = Walk(client=client, market=market, endpoint=FILLS)
        found = await _history(
            walk, window, "fillList", "tradeId", lambda row: _fill(client, row, market)
        )
        return walk.whole(found, window)

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """From `orders-history`, for orders made in the window, or ReadFailed."""
        walk = Walk(client=client, market=market, endpoint=ORDERS, noun="Orders")
        found: dict[str, str] = {}
        for order, name in await _history(
            walk, window, "entrustedList", "orderId", lambda row: (_order_id(row), _client_id(row))
        ):
            if found.setdefault(order, name) != name:
                raise malformed(f"order {order} was told with two client ids")
        return found

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """Which account the key sees."""
        return await client.read(ACCOUNT, {}, question="The account", parse=_user)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """The account that the key sees, and what the key may do."""
        rights: list[Finding] = []

        def judge(answer: Answer) -> Finding:
            # One answer tells both, and the call is a dear one.
            rights[:] = [_rights_finding(answer)]
            return _account_finding(answer)

        return (await finding_from(client, ACCOUNT, "account", judge), *rights)


async def _settles(client: ReadOnlyClient, markets: Sequence[Market]) -> list[str]:
    """The currencies in which the markets settle; ReadFailed for one that is not read here."""
    listing = await client.markets()
    found = [str(listing.get(market.unified, {}).get("settle")) for market in markets]
    for market, settle in zip(markets, found, strict=True):
        if settle not in PRODUCTS:
            why = f"{market.unified} settles in {settle}, and only USDT and USDC are read"
            raise ReadFailed(FailureKind.REFUSED, why)
    return found


def _data(answer: object) -> object:
    if not isinstance(answer, Mapping) or answer.get("code") != DONE:
        raise malformed("the answer does not say that it succeeded")
    return answer.get("data")


def _require_base_units(market: Market) -> None:
    """Sizes are told in base units: a contract of another size would count them twice."""
    if market.contract_size != 1:
        raise malformed(f"{market.unified} has contracts of {market.contract_size}, not of 1")


def _is_hedged(row: Row, name: str) -> bool:
    if row.get("posMode") not in HEDGED:
        raise malformed(f"{name} is of a position mode that is not known")
    return HEDGED[row["posMode"]]


# Positions


def _position_parser(
    client: ReadOnlyClient, markets: Sequence[Market]
) -> Callable[[Answer], Mapping[str, PositionReading]]:
    def parse(answer: Answer) -> Mapping[str, PositionReading]:
        rows = rows_of(_data(answer.value), "all-position")
        for row in rows:
            text(row.get("symbol"), "the symbol of a position")
            _leg(row)
        return {market.unified: _reading(client, market, rows, answer) for market in markets}

    return parse


def _leg(row: Row) -> Leg:
    name = f"a position of {row.get('symbol')}"
    if row.get("holdSide") not in {"long", "short"}:
        raise malformed(f"{name} has no side")
    side = PositionSide(row["holdSide"])
    size = exact(row.get("total"), f"the size of {name}")
    if size < 0:
        raise malformed(f"{name} is below zero")
    signed = size if side is PositionSide.LONG else -size
    return Leg(position_side=side if _is_hedged(row, name) else None, quantity=signed)


def _reading(
    client: ReadOnlyClient, market: Market, rows: Sequence[Row], answer: Answer
) -> PositionReading:
    _require_base_units(market)
    mine = [row for row in rows if row["symbol"] == market.native_id]
    if not mine:
        return PositionReading(
            flatness=Flatness.FLAT,
            as_of=answer.asked_at,
            size=Decimal(0),
            detail=f"no row of {market.native_id} in a well-formed list of all positions held",
        )
    if len({row["holdSide"] for row in mine}) < len(mine):
        return unknown_position(answer.asked_at, f"a side of {market.native_id} is listed twice")
    for row in mine:
        conflict = _conflict(row, client.unified_position(row, market.unified))
        if conflict:
            return unknown_position(answer.asked_at, f"{market.native_id}: {conflict}")
    legs = [_leg(row) for row in mine]
    return position_reading(legs, answer.asked_at, f"{market.native_id} in all-position")


def _conflict(row: Row, unified: Row) -> str:
    """Where the row disagrees with itself or with CCXT's reading (FAILURES 4)."""
    size = exact(row["total"], "total")
    if exact(unified.get("contracts"), "contracts") != size:
        return f"total is {size}, CCXT reads {unified.get('contracts')} contracts"
    parts = [exact(row.get(name) or 0, name) for name in ("available", "locked")]
    if not size and any(parts):
        return f"total is 0, but {parts[0]} are available and {parts[1]} locked"
    return ""


# Fills and orders


async def _history(
    walk: Walk, window: Window, list_name: str, id_name: str, read: Callable[[Row], T]
) -> list[T]:
    """Every row of the window, slice by slice, each newest first by its ids."""
    require_depth(window, DEPTH)
    (settle,) = await _settles(walk.client, [walk.market])
    found: list[T] = []
    for each in spans(window, SPAN):
        question = {
            "productType": PRODUCTS[settle],
            "symbol": walk.market.native_id,
            # Whether the ends belong to it is not documented, so the spans overlap.
            "startTime": to_ms(each.start_at - MILLISECOND),
            "endTime": to_ms(each.end_at + MILLISECOND),
            "limit": PAGE,
        }
        below: int | None = None
        while True:
            cursor = {} if below is None else {"idLessThan": str(below)}
            ids, items = await walk.page(
                {**question, **cursor}, lambda answer: _rows(answer, walk, list_name, id_name, read)
            )
            require_descent(ids, below)
            found += items
            if len(ids) % ROUND_PAGE or not ids:
                break
            below = ids[-1]
    return found


def _rows(
    answer: Answer, walk: Walk, list_name: str, id_name: str, read: Callable[[Row], T]
) -> tuple[list[int], list[T]]:
    data = _data(answer.value)
    if not isinstance(data, Mapping) or list_name not in data:
        raise malformed(f"the answer holds no {list_name}")
    listed = data[list_name]
    if listed is None and not data.get("endId"):
        # An empty page is told as null in both places.
        listed = []
    rows = rows_of(listed, list_name)
    if any(row.get("symbol") != walk.market.native_id for row in rows):
        raise malformed(f"a row of another symbol came with those of {walk.market.native_id}")
    ids = [int(exact(row.get(id_name), f"the id in {list_name}")) for row in rows]
    if str(data.get("endId") or "") != str(ids[-1] if ids else ""):
        raise malformed(f"a page of {list_name} does not end with the id that it says it does")
    return ids, [read(row) for row in rows]


def _order_id(row: Row) -> str:
    return text(row.get("orderId"), "the id of an order")


def _client_id(row: Row) -> str:
    return text(row.get("clientOid"), "the client id of an order")


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    position_side, side, kind = _done(row)
    fees = _fees(row)
    trade = client.unified_fill({**row, "feeDetail": [{}]}, market.unified)
    return fill_of(
        {**trade, "info": row, "side": str(side), "fee": None, "fees": fees},
        market,
        position_side=position_side,
        kind=kind,
    )


def _done(row: Row) -> tuple[PositionSide | None, Side, FillKind]:
    """What a fill did: the position's side (None in one-way mode), its own side, and why."""
    told_side, action = row.get("side"), text(row.get("tradeSide"), "the trade side of a fill")
    if told_side not in {"buy", "sell"}:
        raise malformed("the side of a fill is neither buy nor sell")
    kind = next((kind for start, kind in FORCED if action.startswith(start)), FillKind.TRADE)
    if not _is_hedged(row, "a fill"):
        return None, _one_way_side(str(told_side), action, kind), kind
    held = PositionSide.LONG if told_side == "buy" else PositionSide.SHORT
    if action == "open":
        return held, held.opening_side, kind
    if action == "close":
        return held, held.closing_side, kind
    for position in PositionSide:
        if kind is not FillKind.TRADE and action.endswith(f"_close_{position}"):
            # Here the word itself names the position, and `side` is not needed.
            return position, position.closing_side, kind
    raise malformed(f"a fill in hedge mode was told as {action}, which is not known")


def _one_way_side(told_side: str, action: str, kind: FillKind) -> Side:
    known = f"{told_side}_single" in action or f"{told_side}_in_single_side_mode" in action
    plain = kind is not FillKind.TRADE or action == f"{told_side}_single"
    if action in {"open", "close"} or (known and plain):
        return Side(told_side)
    raise malformed(f"a fill in one-way mode was told as {told_side} and {action}")


def _fees(row: Row) -> list[Row] | None:
    """Each fee told, turned to paid above zero; None where a deduction leaves it open."""
    details = row.get("feeDetail")
    if not isinstance(details, list) or not details:
        return None
    if not all(isinstance(each, dict) and _is_clear(each) for each in details):
        return None
    return [
        {"cost": -exact(each.get("totalFee"), "the fee of a fill"), "currency": each.get("feeCoin")}
        for each in details
    ]


def _is_clear(fee: Row) -> bool:
    """Not deducted from anything else, or all of it."""
    return fee.get("deduction") == "no" or (
        fee.get("deduction") == "yes" and fee.get("totalDeductionFee") == fee.get("totalFee")
    )


# Examination


def _account(answer: Answer) -> Row:
    data = _data(answer.value)
    if not isinstance(data, Mapping):
        raise malformed("the account was not told")
    return data


def _user(answer: Answer) -> str:
    return text(_account(answer).get("userId"), "the user")


def _account_finding(answer: Answer) -> Finding:
    detail = f"the key sees user {_user(answer)}"
    return Finding(name="account", verdict=Verdict.OK, detail=detail)


def _rights_finding(answer: Answer) -> Finding:
    rights = _account(answer).get("authorities")
    if not isinstance(rights, list):
        raise malformed("the rights of the key were not told")
    granted = sorted(str(each) for each in rights if str(each).endswith("w") or each == "trade")
    if not granted:
        return Finding(name="key rights", verdict=Verdict.OK, detail="the key may only read")
    return Finding(
        name="key rights",
        verdict=Verdict.WARN,
        detail=f"the key may do more than read: {', '.join(granted)}",
        remedy="give unghost a key that may only read",
    )
