"""OKX v5, linear swaps. Facts: the exchange's documentation, and what was measured (VENUES).

Positions: one call of `account/positions` for all swaps; a symbol without a row in a well-formed
list is flat. Cross and isolated margin have a row each, and all of them count.

Fills: `trade/fills-history`, newest bill first, 100 a page, 90 days deep. The cursor is the
smallest bill id seen; the pages end where the exchange has none older, so there is one call more
than pages with fills. Bills rise, so a page cut short loses nothing.

Amounts are contracts of `ctVal` times `ctMult` base units; a market told otherwise is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import FailureKind, ReadFailed, malformed
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
from unghost.adapters.exchange.venues.walk import Walk, require_descent
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

Row = Mapping[str, Any]

POSITIONS: Final = "privateGetAccountPositions"
FILLS: Final = "privateGetTradeFillsHistory"
ACCOUNT: Final = "privateGetAccountConfig"

SWAP: Final = "SWAP"
PAGE: Final = 100
DEPTH: Final = timedelta(days=90)
MAX_PAGES: Final = 5000
"""Half a million fills of one market: what is more is not read, and so is incomplete."""
TELLING_FEE: Final = Decimal("0.000001")
"""A smaller fee is rounded too coarsely to say how much was traded."""

SIDES: Final[Mapping[str, PositionSide | None]] = {
    "net": None,
    "long": PositionSide.LONG,
    "short": PositionSide.SHORT,
}
KINDS: Final[Mapping[str, FillKind]] = {
    **dict.fromkeys(map(str, range(100, 108)), FillKind.LIQUIDATION),
    **dict.fromkeys(("125", "126", "127", "128"), FillKind.DELEVERAGE),
    **dict.fromkeys(("112", "113"), FillKind.SETTLEMENT),
}
"""`subType` of what the exchange did itself; whatever else fills is a trade."""


class OkxReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({POSITIONS, FILLS, ACCOUNT})
    verbs = frozenset({"GET"})
    settings: Mapping[str, Any] = MappingProxyType(
        {
            # Limits here are per two seconds.
            "rateLimiterAlgorithm": "rollingWindow",
            "rollingWindowSize": 2000,
            "options": {"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}},
        }
    )

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One call for all markets. ReadFailed where any row of the answer is malformed."""

        def parse(answer: Answer) -> Mapping[str, PositionReading]:
            by_symbol = _by_symbol(_data(answer))
            return {
                market.unified: _reading(client, market, by_symbol[market.native_id], answer)
                for market in markets
            }

        return await client.read(POSITIONS, {"instType": SWAP}, question="Positions", parse=parse)

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        require_depth(window, DEPTH)
        _require_unit(client, market)
        walk = Walk(client=client, market=market, endpoint=FILLS, most_pages=MAX_PAGES)
        found, page = list[Fill](), await _page(walk, window, None)
        while page:
            found += [each.fill for each in page]
            page = await _page(walk, window, page[-1].bill)
        return walk.whole(found, window)

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """None beside those that the fills tell themselves: no call is needed."""
        del client, market, window
        return {}

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """Which account the key sees."""
        return await client.read(ACCOUNT, {}, question="The account", parse=_uid)

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """Position mode, the account that the key sees, and what the key may do."""
        return (
            await finding_from(client, ACCOUNT, "position mode", _mode_finding),
            await finding_from(client, ACCOUNT, "account", _account_finding),
            await finding_from(client, ACCOUNT, "key rights", _rights_finding),
        )


def _data(answer: Answer) -> list[Row]:
    data = answer.value.get("data") if isinstance(answer.value, Mapping) else None
    return rows_of(data, "data")


# Positions


def _by_symbol(data: Sequence[Row]) -> defaultdict[str, list[Row]]:
    """The rows by native id. A single bad row casts doubt on all: it may be anyone's."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in data:
        if row.get("instType") != SWAP:
            raise malformed("a position came that is no swap's")
        symbol = text(row.get("instId"), "the symbol of a position")
        text(row.get("posId"), f"the id of a position of {symbol}")
        _leg(row, Decimal(1))
        found[symbol].append(row)
    return found


def _leg(row: Row, contract_size: Decimal) -> Leg:
    name = f"a position of {row.get('instId')}"
    if row.get("posSide") not in SIDES:
        raise malformed(f"{name} has no position side that is known")
    side = SIDES[row["posSide"]]
    quantity = base_units(exact(row.get("pos"), f"the amount of {name}"), contract_size)
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
            detail=f"no row of {market.native_id} in a well-formed list of all positions in swaps",
        )
    ids = [row["posId"] for row in rows]
    if len(ids) != len(set(ids)):
        why = f"account/positions lists a position of {market.native_id} twice"
        return unknown_position(answer.asked_at, why)
    for row in rows:
        conflict = _conflict(row, client.unified_position(row, market.unified))
        if conflict:
            return unknown_position(answer.asked_at, f"{market.native_id}: {conflict}")
    legs = [_leg(row, market.contract_size) for row in rows]
    return position_reading(legs, answer.asked_at, f"{market.native_id} in account/positions")


def _conflict(row: Row, unified: Row) -> str:
    """Where the raw row contradicts itself or CCXT's reading of it (FAILURES 4)."""
    amount = exact(row["pos"], "pos")
    notional = exact(row.get("notionalUsd") or 0, "notionalUsd")
    if exact(unified.get("contracts"), "contracts") != abs(amount):
        return f"pos is {amount}, CCXT reads {unified.get('contracts')} contracts"
    if not amount and notional:
        return f"pos is 0, but the notional is {notional}"
    expected = row["posSide"] if SIDES[row["posSide"]] else "long" if amount > 0 else "short"
    if amount and unified.get("side") != expected:
        return f"the position is {expected}, CCXT reads {unified.get('side')}"
    return ""


# Fills


@dataclass(frozen=True, kw_only=True, slots=True)
class _Billed:
    """A fill and the bill that it came with."""

    bill: int
    fill: Fill


async def _page(walk: Walk, window: Window, after: int | None) -> list[_Billed]:
    """The fills before a bill, or the newest; none where there are no more."""

    def parse(answer: Answer) -> list[_Billed]:
        rows = _data(answer)
        require_descent([_bill(row) for row in rows], after)
        return [_Billed(bill=_bill(row), fill=_fill(walk.client, row, walk.market)) for row in rows]

    cursor = {} if after is None else {"after": after}
    question = {
        "instType": SWAP,
        "instId": walk.market.native_id,
        "begin": to_ms(window.start_at),
        "end": to_ms(window.end_at),
        "limit": PAGE,
    }
    return await walk.page({**question, **cursor}, parse)


def _bill(row: Row) -> int:
    told = text(row.get("billId"), "the bill of a fill")
    if not (told.isascii() and told.isdigit()):
        raise malformed("the bill of a fill is not a number")
    return int(told)


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    if row.get("instId") != market.native_id:
        raise malformed(f"a row of another symbol came with those of {market.native_id}")
    if row.get("posSide") not in SIDES:
        raise malformed(f"a fill of {market.native_id} has no position side that is known")
    unified = client.unified_fill(row, market.unified)
    raw = {
        # What the exchange closes itself may lack a trade id; the bill is always there.
        "id": row.get("tradeId") or row["billId"],
        # Where they are missing, CCXT takes other fields.
        "amount": row.get("fillSz"),
        "price": row.get("fillPx"),
        "cost": _notional(row, market),
    }
    return fill_of(
        {**unified, **raw},
        market,
        position_side=SIDES[row["posSide"]],
        kind=KINDS.get(str(row.get("subType")), FillKind.TRADE),
        client_order_id=row.get("clOrdId") or None,
    )


def _notional(row: Row, market: Market) -> Decimal | None:
    """What was traded in quote, by fee and its rate; None where they do not tell.

    The exchange tells no cost beside contracts and price, and a wrong contract size must be seen.
    """
    if not row.get("fee") or not row.get("feeRate") or row.get("feeCcy") != market.quote:
        return None
    fee, rate = exact(row["fee"], "the fee of a fill"), exact(row["feeRate"], "feeRate")
    return abs(fee / rate) if rate and abs(fee) >= TELLING_FEE else None


def _require_unit(client: ReadOnlyClient, market: Market) -> None:
    """Raise ReadFailed unless a contract is so many base units as the market says."""
    info = client.market_info(market.unified)
    size = exact(info.get("ctVal"), "ctVal") * exact(info.get("ctMult") or 1, "ctMult")
    if size != market.contract_size or info.get("ctValCcy") != market.base:
        told = f"{info.get('ctVal')} times {info.get('ctMult')} {info.get('ctValCcy')}"
        why = f"a contract of {market.native_id} is told as {told}: the unit is in doubt"
        raise ReadFailed(FailureKind.REFUSED, why)


# Examination


def _config(answer: Answer) -> Row:
    rows = _data(answer)
    if len(rows) != 1:
        raise malformed("the account's settings are not one row")
    return rows[0]


def _mode_finding(answer: Answer) -> Finding:
    mode = _config(answer).get("posMode")
    if mode not in {"long_short_mode", "net_mode"}:
        raise malformed("the position mode is none that is known")
    hedged = mode == "long_short_mode"
    detail = "hedge mode: both sides of a symbol count" if hedged else "one-way mode"
    return Finding(name="position mode", verdict=Verdict.OK, detail=detail)


def _uid(answer: Answer) -> str:
    return text(_config(answer).get("uid"), "uid")


def _account_finding(answer: Answer) -> Finding:
    label = _config(answer).get("label") or ""
    detail = f"the key sees account {_uid(answer)} {label}".strip()
    return Finding(name="account", verdict=Verdict.OK, detail=detail)


def _rights_finding(answer: Answer) -> Finding:
    granted = text(_config(answer).get("perm"), "perm").split(",")
    more = [name for name in granted if name != "read_only"]
    if not more:
        return Finding(name="key rights", verdict=Verdict.OK, detail="the key may only read")
    return Finding(
        name="key rights",
        verdict=Verdict.WARN,
        detail=f"the key may do more than read: {', '.join(more)}",
        remedy="give unghost a key that may only read",
    )
