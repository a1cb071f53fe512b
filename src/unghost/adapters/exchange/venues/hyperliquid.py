"""Hyperliquid perpetuals. Facts: the exchange's documentation, recorded answers (VENUES).

An account is its address, and every read is public: a wrong address answers as an empty account.
So the address must be known to the exchange as one that can hold positions, which the address of
an API wallet is not. There is one position per coin, never two sides.

Positions: `clearinghouseState` lists only what is held; the notionals of its rows must add up to
the total that it tells besides. Fills: `userFillsByTime` for all coins at once, oldest first; each
page after the first starts *at* the last fill known, until one tells nothing new. Only the newest
10 000 fills are kept: they are read to the present, so that a history that was cut off is seen by
its length. Each fill tells the position before it: where they do not follow on from one another,
one is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby, pairwise
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
    unknown_position,
)
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

INFO: Final = "publicPostInfo"
"""Every question goes there. Orders go to another address, which is not on the list of reads."""

LONG_PAGE: Final = 500
"""The smallest limit that any page of the documentation names (2000 is told for fills)."""
KEPT: Final = 10_000
NOTIONAL_TOLERANCE: Final = Decimal("0.01")
HOLDERS: Final = frozenset({"user", "vault", "subAccount"})
"""Roles of addresses that can hold positions; the others are `agent` and `missing`."""
KINDS: Final[Mapping[str, FillKind]] = {
    "Auto-Deleveraging": FillKind.DELEVERAGE,
    "Settlement": FillKind.SETTLEMENT,
}
"""The exchange's own words for executions that nobody ordered."""


class HyperliquidReader:
    """Reads one account; see the module's docstring."""

    endpoints = frozenset({INFO})
    verbs = frozenset({"POST"})
    settings: Mapping[str, Any] = MappingProxyType(
        {
            # Limits here are by weight per minute.
            "rateLimiterAlgorithm": "rollingWindow",
            "rollingWindowSize": 60_000,
            # Perpetuals of the exchange itself: the lists of others cost ten calls more.
            "options": {"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}},
        }
    )

    def __init__(self) -> None:
        self._role = ""

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One call for all markets. Raises ReadFailed where any row of the answer is malformed."""
        await self._require_holder(client)
        coins = await _coins(client, markets)

        def parse(answer: Answer) -> Mapping[str, PositionReading]:
            rows = _positions_by_coin(answer.value)
            return {
                market.unified: _reading(client, market, coin, rows, answer)
                for market, coin in zip(markets, coins, strict=True)
            }

        question = {"type": "clearinghouseState", "user": client.wallet_address}
        return await client.read(INFO, question, question="Positions", parse=parse)

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """Every fill of the window, or ReadFailed."""
        require_order(window)
        await self._require_holder(client)
        (coin,) = await _coins(client, [market])
        walk = Walk(client=client, market=market, endpoint=INFO)

        def read(row: Row) -> Fill | None:
            return _fill(client, row, market) if row["coin"] == coin else None

        found = await _history(walk, window, read)
        _require_chain([each.row for each in found if each.fill is not None])
        return walk.whole((each.fill for each in found), window)

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """None to add: a fill itself tells the client id where its order has one."""
        del client, market, window
        return {}

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """The address, which needs no call."""
        return client.wallet_address.lower() or None

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """What the exchange takes the address for. No key is used, so there are no rights."""

        def judge(answer: Answer) -> Finding:
            detail = f"the address belongs to a {_holder(answer)}"
            return Finding(name="account", verdict=Verdict.OK, detail=detail)

        return (
            await finding_from(client, INFO, "account", judge, params=_role_of(client)),
            Finding(
                name="position mode",
                verdict=Verdict.OK,
                detail="one-way: the exchange knows no other",
            ),
            Finding(
                name="key rights",
                verdict=Verdict.OK,
                detail="an address is all that is needed, and it cannot trade",
            ),
        )

    async def _require_holder(self, client: ReadOnlyClient) -> None:
        """Once per connection: ReadFailed for an address that cannot hold positions."""
        if not self._role:
            self._role = await client.read(
                INFO, _role_of(client), question="The account", parse=_holder
            )


def _role_of(client: ReadOnlyClient) -> Row:
    return {"type": "userRole", "user": client.wallet_address}


def _holder(answer: Answer) -> str:
    role = answer.value.get("role") if isinstance(answer.value, Mapping) else None
    if role in HOLDERS:
        return str(role)
    if role == "agent":
        why = "the address is an API wallet's, which holds nothing: give the account's own address"
        raise ReadFailed(FailureKind.REFUSED, why)
    if role == "missing":
        raise ReadFailed(FailureKind.REFUSED, "the exchange knows no account of this address")
    raise malformed("the role of the address is none that is known")


async def _coins(client: ReadOnlyClient, markets: Sequence[Market]) -> list[str]:
    """The exchange's names of the markets (`BTC`); its ids are only numbers."""
    listing = await client.markets()
    told = (listing.get(market.unified, {}).get("baseName") for market in markets)
    return [text(name, "the coin of a market") for name in told]


# Positions


def _positions_by_coin(answer: object) -> Mapping[str, Row]:
    """The rows by coin. A single bad row casts doubt on all: it may be anyone's."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("marginSummary"), Mapping):
        raise malformed("clearinghouseState told no margin summary")
    found: dict[str, Row] = {}
    notional = Decimal(0)
    for row in rows_of(answer.get("assetPositions"), "clearinghouseState"):
        position = row.get("position")
        if row.get("type") != "oneWay" or not isinstance(position, Mapping):
            raise malformed("a position is not of the one-way kind, the only one that is known")
        coin = text(position.get("coin"), "the coin of a position")
        if coin in found:
            raise malformed(f"clearinghouseState lists {coin} twice")
        exact(position.get("szi"), f"the size of {coin}")
        notional += abs(exact(position.get("positionValue"), f"the value of {coin}"))
        found[coin] = row
    _require_total(answer["marginSummary"], notional)
    return found


def _require_total(summary: Row, notional: Decimal) -> None:
    total = exact(summary.get("totalNtlPos"), "the total of all positions")
    if abs(total - notional) > total * NOTIONAL_TOLERANCE:
        raise malformed(f"the rows are worth {notional} together, the total is told as {total}")


def _reading(
    client: ReadOnlyClient, market: Market, coin: str, rows: Mapping[str, Row], answer: Answer
) -> PositionReading:
    if ":" in coin:
        why = f"{coin} is traded in a market of its own, whose positions are not listed here"
        return unknown_position(answer.asked_at, why)
    if coin not in rows:
        return PositionReading(
            flatness=Flatness.FLAT,
            as_of=answer.asked_at,
            size=Decimal(0),
            detail=f"no row of {coin} in a list of positions that adds up to its told total",
        )
    size = exact(rows[coin]["position"]["szi"], "szi")
    unified = client.unified_position(rows[coin], market.unified)
    side = "long" if size > 0 else "short"
    if exact(unified.get("contracts"), "contracts") != abs(size) or unified.get("side") != side:
        why = f"{coin}: szi is {size}, CCXT reads {unified.get('side')} {unified.get('contracts')}"
        return unknown_position(answer.asked_at, why)
    leg = Leg(position_side=None, quantity=base_units(size, market.contract_size))
    return position_reading([leg], answer.asked_at, f"{coin} in clearinghouseState")


# Fills


async def _history(
    walk: Walk, window: Window, read: Callable[[Row], Fill | None]
) -> Sequence[Told]:
    """Every row from the window's start to the present, each once."""
    known: dict[str, Told] = {}
    start = to_ms(window.start_at)
    question = {"type": "userFillsByTime", "user": walk.client.wallet_address}
    while True:
        page = await walk.page(
            {**question, "startTime": start}, lambda answer: told_of(_rows(answer.value), read)
        )
        _require_overlap(page, known, start)
        newest, count = max((_time(each.row) for each in page), default=start), len(known)
        known |= {each.key: each for each in page}
        if len(known) >= KEPT:
            raise malformed(f"{KEPT} fills were read, and the exchange keeps no more than these")
        if newest == start and len(page) >= LONG_PAGE:
            raise malformed(f"the pages do not move on from the time {start}")
        if len(known) == count:
            return list(known.values())
        start = newest


def _rows(answer: object) -> Sequence[Row]:
    rows = rows_of(answer, "userFillsByTime")
    for row in rows:
        text(row.get("coin"), "the coin of a fill")
        _time(row)
    if len(rows) >= LONG_PAGE and any(_time(b) < _time(a) for a, b in pairwise(rows)):
        raise malformed("a long page of userFillsByTime is not in the order of time")
    return rows


def _time(row: Row) -> int:
    return int(exact(row.get("time"), "the time of a fill"))


def _require_overlap(page: Sequence[Told], known: Mapping[str, Told], start: int) -> None:
    """A page goes on from where the last one ended, and so must begin with what ended it."""
    if any(_time(each.row) < start for each in page):
        raise malformed("a page holds fills from before the time that was asked for")
    expected = {key for key, each in known.items() if _time(each.row) == start}
    if not expected <= {each.key for each in page}:
        raise malformed(f"a page does not go on from the time {start}, where one ended")


def _require_chain(rows: Sequence[Row]) -> None:
    """Each fill begins with the position that the one before it left.

    Where it does not, a fill between them is missing. Within a millisecond the order is not told:
    there some order of the fills must do.
    """
    held: Decimal | None = None
    for _, group in groupby(sorted(rows, key=_time), key=_time):
        steps = [(_start(row), _signed_size(row)) for row in group]
        starts = Counter(start for start, _ in steps)
        entries = starts - Counter(start + size for start, size in steps)
        first = next(iter(entries), held)
        if entries.total() > 1 or (held is not None and (first != held or held not in starts)):
            raise malformed("the positions that the fills tell do not follow on: one is missing")
        held = None if first is None else first + sum((size for _, size in steps), Decimal(0))


def _start(row: Row) -> Decimal:
    return exact(row.get("startPosition"), "the position before a fill")


def _signed_size(row: Row) -> Decimal:
    size = exact(row.get("sz"), "the size of a fill")
    if row.get("side") not in {"A", "B"}:
        raise malformed("the side of a fill is neither A nor B")
    return size if row["side"] == "B" else -size


def _fill(client: ReadOnlyClient, row: Row, market: Market) -> Fill:
    # CCXT adds the builder's fee, which the fee that is told includes already.
    fee = {"cost": row.get("fee"), "currency": row.get("feeToken")}
    trade = {**client.unified_fill(row, market.unified), "fee": fee, "fees": [fee]}
    cloid = row.get("cloid")
    fill = fill_of(
        trade,
        market,
        kind=_kind(row, client.wallet_address),
        client_order_id=cloid if isinstance(cloid, str) and cloid else None,
    )
    return replace(fill, closed=base_units(_closed(row), market.contract_size))


def _closed(row: Row) -> Decimal:
    """How much of a fill closed the position that was before it."""
    held, size = _start(row), _signed_size(row)
    return min(abs(held), abs(size)) if held * size < 0 else Decimal(0)


def _kind(row: Row, address: str) -> FillKind:
    """The other side of a liquidation is told of it as well: only the own one counts."""
    liquidation = row.get("liquidation")
    liquidated = liquidation.get("liquidatedUser") if isinstance(liquidation, Mapping) else None
    if isinstance(liquidated, str) and liquidated.lower() == address.lower():
        return FillKind.LIQUIDATION
    return KINDS.get(str(row.get("dir")), FillKind.TRADE)
