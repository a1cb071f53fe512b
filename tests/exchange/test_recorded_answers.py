"""Answers that exchanges really gave, put through our readers from the wire up.

What must come out is taken from two sides: from CCXT's own recorded reading, turned to base units
by the contract size, and from the raw body by the few lines of `RAW` below. Where our reader tells
nothing, that is in `REFUSED` with the reason. An exchange that is new to the folder needs no code:
it is read by the generic reader, and must come out right or be refused with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.exchange.bodies_recorded import (
    FOLDER,
    METHODS,
    KeptMarkets,
    Recorded,
    RecordedFace,
    at,
    recorded,
)
from tests.exchange.conftest import SIMULATED_MS

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount, RetryPolicy
from unghost.demo.venue import running_venue
from unghost.demo.world import World, to_ms
from unghost.errors import ConfigurationError
from unghost.model import Fill, FillReading, Flatness, Market, PositionReading, Window

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the recorded answers lie beside the project, and are not here"
)

ADDRESS = "0x193bd350ec838b1e22d6f302da5343b920aa1c2b"
HOUR = timedelta(hours=1)
LATER = at(1_800_000_000_000)
"""After everything that was recorded."""
ONCE = RetryPolicy(attempts=1, first_wait_seconds=0.001, question_seconds=20, read_seconds=30)

FAMILIAR = frozenset({"binance", "bybit", "hyperliquid", "kraken", "krakenfutures", "okx"})
"""Exchanges of which it is known what is refused."""
REFUSED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("binance", "fetchPositions"): {
        "Fetch linear positions using account endnpoint": "did not answer with a list",
        "account endpoint delisted market with zero leverage and zero notional does not crash"
        " (issue #29244)": "did not answer with a list",
        "inverse positions": "no linear perpetual",
    },
    ("binance", "fetchBalance"): {
        "fetch papi balance": "account is not an object",
        "fetch linear papi balance": "account is not an object",
    },
    ("hyperliquid", "fetchPositions"): {"fetch hip3 positions": "a market of its own"},
    ("kraken", "fetchPositions"): {"fetchPositions": "margin positions"},
    ("okx", "fetchPositions"): {"fetch history positions": "has no position side that is known"},
}
"""By exchange and method: the recorded case -> words of the reason why nothing is believed."""


@pytest.fixture(scope="module")
def face() -> RecordedFace:
    return RecordedFace()


@pytest.fixture(scope="module")
def street(face):
    with running_venue(World(), faces=[face]) as venue:
        yield venue


# --- asking -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Our reader for one market of a recorded case."""

    account: ExchangeAccount
    market: Market


def reader_of(case: Recorded, market_type: str) -> str:
    """The exchange as our profiles name it: one id of CCXT holds two venues."""
    return "binanceusdm" if (case.exchange, market_type) == ("binance", "swap") else case.exchange


def type_of(case: Recorded, symbol: str) -> str:
    return "spot" if case.listing.get(symbol, {}).get("spot") else "swap"


@pytest.fixture
def opened(street, face) -> Iterator[Callable[..., ExchangeAccount | None]]:
    made: list[ExchangeAccount] = []

    def opened(case: Recorded, market_type: str, now: datetime) -> ExchangeAccount | None:
        """None for an exchange that this CCXT does not know (any more)."""
        face.give(case.body)
        spec = ConnectionSpec(
            exchange=reader_of(case, market_type),
            market_type=market_type,
            api_key=ADDRESS,
            secret="c2VjcmV0",
            password="password-of-desk-1",
            base_url=street.base_url,
            rate_limit_ms=SIMULATED_MS,
        )
        kept = KeptMarkets(case.listing)
        try:
            made.append(ExchangeAccount(spec, policy=ONCE, cache=kept, clock=lambda: now))
        except ConfigurationError:
            return None
        return made[-1]

    yield opened
    for account in made:
        account.close()


def span_of(case: Recorded) -> Window:
    """A window with every fill of the answer in it, also those that CCXT was not asked for."""
    raw = RAW.get(case.exchange)
    times = [row["timestamp"] for row in case.parsed if row["timestamp"]]
    times += [raw.at(row) for row in raw.rows(case.body)] if raw else []
    first, last = (at(min(times)), at(max(times))) if times else (LATER, LATER)
    return Window(start_at=first - HOUR, end_at=last + HOUR)


def fills_of(case: Recorded, symbol: str, opened: Any) -> FillReading | None:
    """Our reading of the case's answer; None where the symbol is no market that is read."""
    window = span_of(case)
    account = opened(case, type_of(case, symbol), window.end_at)
    market = account.resolve([symbol])[symbol] if account else None
    return None if market is None else account.fills({market: window})[symbol]


def position_of(case: Recorded, symbol: str, opened: Any) -> PositionReading | None:
    market_type = type_of(case, symbol).replace("spot", "margin")
    account = opened(case, market_type, LATER)
    market = account.resolve([symbol])[symbol] if account else None
    return None if market is None else account.positions([market])[symbol]


# --- what must come out: fills ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Where one exchange's raw rows keep what a fill must say. Quantities in contracts."""

    rows: Callable[[Any], list[Any]]
    id: str
    order: str
    quantity: str
    price: str
    fee: Callable[[Any], tuple[str | None, Decimal] | None]
    """Currency and amount; a currency of None is not told, and CCXT's is believed."""
    side: Callable[[Any], str]
    at: Callable[[Any], int]


RAW: Mapping[str, Raw] = {
    "binance": Raw(
        rows=lambda body: body,
        id="id",
        order="orderId",
        quantity="qty",
        price="price",
        fee=lambda row: (row["commissionAsset"], Decimal(row["commission"])),
        side=lambda row: "buy" if row.get("buyer", row.get("isBuyer")) else "sell",
        at=lambda row: int(row["time"]),
    ),
    "bybit": Raw(
        rows=lambda body: body["result"]["list"],
        id="execId",
        order="orderId",
        quantity="execQty",
        price="execPrice",
        fee=lambda row: (row.get("feeCurrency") or None, Decimal(row["execFee"])),
        side=lambda row: row["side"].lower(),
        at=lambda row: int(row["execTime"]),
    ),
    "hyperliquid": Raw(
        rows=lambda body: body,
        id="tid",
        order="oid",
        quantity="sz",
        price="px",
        # With the builder's fee inside: 0.0432 % of the value and 0.01 % more, which CCXT adds.
        fee=lambda row: (row["feeToken"], Decimal(row["fee"])),
        side=lambda row: {"A": "sell", "B": "buy"}[row["side"]],
        at=lambda row: int(row["time"]),
    ),
    "krakenfutures": Raw(
        rows=lambda body: body["fills"],
        id="fill_id",
        order="order_id",
        quantity="size",
        price="price",
        # None is told: what CCXT shows is made up from a list of prices.
        fee=lambda _: None,
        side=lambda row: row["side"],
        at=lambda row: to_ms(datetime.fromisoformat(row["fillTime"])),
    ),
    "okx": Raw(
        rows=lambda body: body["data"],
        id="tradeId",
        order="ordId",
        quantity="fillSz",
        price="fillPx",
        fee=lambda row: (row["feeCcy"], -Decimal(row["fee"])),
        side=lambda row: row["side"],
        at=lambda row: int(row["ts"]),
    ),
}


def size_of(case: Recorded, symbol: str) -> Decimal:
    """Base units in one contract; 1 on spot."""
    return Decimal(case.listing[symbol].get("contractSize") or 1)


def told(fill: Fill) -> dict[str, Any]:
    """What our reader says of a fill."""
    return {
        "id": fill.fill_id,
        "order": fill.exchange_order_id,
        "symbol": fill.market,
        "side": str(fill.side),
        "quantity": fill.quantity,
        "price": fill.price,
        "at": to_ms(fill.filled_at),
        "fee": None if fill.fees is None else {fee.currency: fee.amount for fee in fill.fees},
    }


def as_recorded(case: Recorded, row: Mapping[str, Any]) -> dict[str, Any]:
    """What CCXT's recorded reading says of a fill, in base units."""
    fees = [fee for fee in row.get("fees") or [row.get("fee")] if fee]
    return {
        "id": row["id"],
        "order": row["order"],
        "symbol": row["symbol"],
        "side": row["side"],
        "quantity": Decimal(row["amount"]) * size_of(case, row["symbol"]),
        "price": Decimal(row["price"]),
        "at": row["timestamp"],
        "fee": {fee["currency"]: Decimal(fee["cost"]) for fee in fees},
    }


def as_sent(case: Recorded, raw: Raw, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the exchange itself said of a fill, in base units; its market is not looked up."""
    return {
        "id": str(row[raw.id]),
        "order": str(row[raw.order]),
        "side": raw.side(row),
        "quantity": Decimal(row[raw.quantity]) * size_of(case, case.symbols[0]),
        "price": Decimal(row[raw.price]),
        "at": raw.at(row),
    }


def has_other_fee(case: Recorded, row: Mapping[str, Any]) -> bool:
    """Whether CCXT shows a fee that is not the one which the exchange told; see `RAW`."""
    return case.exchange == "krakenfutures" or "builderFee" in row["info"]


def is_funding(row: Mapping[str, Any]) -> bool:
    """Whether a row is a payment, which CCXT takes for a purchase."""
    return row.get("execType") == "Funding"


def has_other_side(case: Recorded, row: Mapping[str, Any]) -> bool:
    """Whether CCXT passes the side of the position on as that of the fill."""
    told = row["info"]
    is_hedged = case.exchange == "bitget" and told.get("posMode") == "hedge_mode"
    return is_hedged and told.get("tradeSide") != "open"


@pytest.mark.parametrize("case", recorded("fetchMyTrades"), ids=str)
def test_fills_come_out_as_recorded_and_as_sent(case: Recorded, opened):
    for symbol in case.symbols:
        reading = fills_of(case, symbol, opened)
        if refused(case, reading):
            continue
        assert reading is not None
        fills = {fill.fill_id: told(fill) for fill in reading.fills}
        check_against_ccxt(case, symbol, fills)
        if case.exchange in RAW:
            check_against_body(case, symbol, fills)


def check_against_ccxt(case: Recorded, symbol: str, fills: Mapping[str, Any]) -> None:
    for row in case.parsed:
        if row["symbol"] != symbol:
            continue
        if is_funding(row["info"]):
            assert row["id"] not in fills
            continue
        wanted, mine = as_recorded(case, row), dict(fills[row["id"]])
        if has_other_fee(case, row):
            assert mine.pop("fee") != wanted.pop("fee")
        if has_other_side(case, row):
            assert mine.pop("side") != wanted.pop("side")
        assert mine == wanted


def check_against_body(case: Recorded, symbol: str, fills: Mapping[str, Any]) -> None:
    raw = RAW[case.exchange]
    rows = {str(row[raw.id]): row for row in raw.rows(case.body)}
    for name, mine in fills.items():
        fee = raw.fee(rows[name])
        assert {**as_sent(case, raw, rows[name]), "symbol": symbol, "fee": mine["fee"]} == mine
        assert is_fee(mine["fee"], fee)
    names = {"".join(filter(str.isalnum, symbol.partition(":")[0])), symbol.partition("/")[0]}
    own = [row for row in rows.values() if any(is_named(row, name) for name in names)]
    assert own
    assert len(fills) == len([row for row in own if not is_funding(row)])


def is_fee(mine: Mapping[str, Decimal] | None, sent: tuple[str | None, Decimal] | None) -> bool:
    if mine is None or sent is None:
        return mine is None and sent is None
    currency, amount = sent
    return list(mine.values()) == [amount] and currency in (None, *mine)


def is_named(row: Mapping[str, Any], name: str) -> bool:
    """Whether a raw row is about a market, as exchanges spell its name."""
    spelled = str(row.get("symbol") or row.get("coin") or row.get("instId"))
    return "".join(filter(str.isalnum, spelled)).removeprefix("PF") == name


# --- what must come out: positions --------------------------------------------------------------


@pytest.mark.parametrize("case", recorded("fetchPositions"), ids=str)
def test_positions_come_out_as_recorded(case: Recorded, opened):
    for symbol in case.symbols:
        reading = position_of(case, symbol, opened)
        if refused(case, reading):
            continue
        assert reading is not None
        rows = [row for row in case.parsed if row["symbol"] == symbol]
        size = size_of(case, symbol)
        held = [(row["side"], Decimal(row["contracts"]) * size) for row in rows]
        assert reading.size == sum((amount for _, amount in held), Decimal(0))
        assert reading.flatness is (Flatness.OPEN if reading.size else Flatness.FLAT)
        assert sorted((side_of(leg), abs(leg.quantity)) for leg in reading.legs) == sorted(
            (side, amount) for side, amount in held if amount
        )


def side_of(leg: Any) -> str:
    if leg.position_side is not None:
        return str(leg.position_side)
    return "long" if leg.quantity > 0 else "short"


# --- what must come out: balances ---------------------------------------------------------------


@pytest.mark.parametrize("case", recorded("fetchBalance"), ids=str)
def test_balances_come_out_as_recorded(case: Recorded, opened):
    totals = {name: Decimal(total) for name, total in case.parsed["total"].items()}
    account = opened(case, "spot", LATER)
    if account is None:
        assert case.exchange not in FAMILIAR
        return
    spot = [symbol for symbol, market in case.listing.items() if market.get("spot")]
    markets = [market for market in account.resolve(spot).values() if market is not None]
    readings = account.positions(markets)
    for market in markets:
        reading = readings[market.unified]
        if market.base not in totals:
            assert reading.flatness is not Flatness.OPEN
            assert reading.detail
        elif not refused(case, reading):
            assert reading.size == totals[market.base], market.unified
            assert reading.flatness is (Flatness.OPEN if reading.size else Flatness.FLAT)


# --- what is refused ----------------------------------------------------------------------------


def refused(case: Recorded, reading: FillReading | PositionReading | None) -> bool:
    """Whether our reader told nothing. It must be expected, or the exchange be a new one."""
    why = doubt_of(reading)
    expected = REFUSED.get((case.exchange, case.method), {}).get(case.description)
    if case.exchange in FAMILIAR:
        assert bool(why) == bool(expected), why or "it was expected to be refused"
        assert expected is None or expected in why
    assert "Traceback" not in why
    return bool(why)


def doubt_of(reading: FillReading | PositionReading | None) -> str:
    match reading:
        case None:
            return "no linear perpetual and no spot market has this name"
        case FillReading(complete=False) | PositionReading(flatness=Flatness.UNKNOWN):
            return reading.detail
        case _:
            return ""


def test_there_are_recorded_answers_of_every_kind():
    counts = {method: len(recorded(method)) for method in METHODS}
    assert all(counts.values()), counts
    told = [case for method in METHODS for case in recorded(method) if case.exchange in FAMILIAR]
    assert all(case.symbols for case in told if case.method != "fetchBalance")


def test_every_refusal_in_the_list_is_of_a_recorded_answer():
    known = {(c.exchange, c.method, c.description) for m in METHODS for c in recorded(m)}
    listed = {(*key, description) for key, reasons in REFUSED.items() for description in reasons}
    assert listed <= known
