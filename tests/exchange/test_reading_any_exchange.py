"""An exchange without a reader of its own is believed only where nothing is left open.

The exchange here is OKX as CCXT's real client knows it, answered by a small server: it counts in
contracts, wraps its rows in an object, and lists flat symbols or leaves them out. Its own reader is
set aside.
"""

import asyncio
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from aiohttp import web

from unghost.adapters.exchange import Verdict
from unghost.adapters.exchange.failures import ReadFailed
from unghost.adapters.exchange.venues.generic import GenericReader
from unghost.demo.world import to_ms
from unghost.model import Flatness, PositionLeg, PositionSide, Side, Window

DOGE = "DOGE/USDT:USDT"


class Okx:
    """Answers by path; a test changes `answers`."""

    def __init__(self):
        self.base_url = ""
        self.asked = []
        self.answers = {
            "/api/v5/public/instruments": self.instruments,
            "/api/v5/public/time": {"code": "0", "data": [{"ts": "1769949296789"}]},
            "/api/v5/account/positions": rows(),
            "/api/v5/account/balance": rows({"details": [], "uTime": "1769949296789"}),
            "/api/v5/trade/fills-history": rows(),
        }

    def instruments(self, query):
        return rows(*(each for each in INSTRUMENTS if each["instType"] == query["instType"]))

    async def answer(self, request):
        self.asked.append(request.path)
        answer = self.answers.get(request.path, {"code": "404", "msg": "no such path"})
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/html")
        return web.json_response(answer(request.query) if callable(answer) else answer)


def rows(*data):
    return {"code": "0", "msg": "", "data": list(data)}


def instrument(kind, inst_id, **changes):
    return {
        "instType": kind,
        "instId": inst_id,
        "uly": "DOGE-USDT",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "1",
        "ctType": "",
        "lotSz": "1",
        "tickSz": "0.00001",
        "minSz": "1",
        "state": "live",
        "listTime": "1611916828000",
        "expTime": "",
        **changes,
    }


LINEAR = {"settleCcy": "USDT", "ctVal": "100", "ctType": "linear", "ctValCcy": "DOGE"}
INVERSE = {"settleCcy": "DOGE", "ctVal": "10", "ctType": "inverse", "uly": "DOGE-USD"}
INSTRUMENTS = (
    instrument("SWAP", "DOGE-USDT-SWAP", **LINEAR),
    instrument("SWAP", "DOGE-USD-SWAP", **INVERSE),
    instrument("SPOT", "DOGE-USDT", baseCcy="DOGE", quoteCcy="USDT"),
)


def position(contracts, side="net", **changes):
    return {
        "instType": "SWAP",
        "instId": "DOGE-USDT-SWAP",
        "posSide": side,
        "pos": contracts,
        "avgPx": "0.03881",
        "markPx": "0.03881",
        "lever": "3",
        "mgnMode": "cross",
        "notionalUsd": "46",
        "upl": "0",
        "uplRatio": "0",
        "imr": "1",
        "mmr": "1",
        "cTime": "1769949296789",
        "uTime": "1769949296789",
        "posId": "1",
        "adl": "1",
        **changes,
    }


def fill(number, at, **changes):
    return {
        "instType": "SWAP",
        "instId": "DOGE-USDT-SWAP",
        "tradeId": str(number),
        "billId": str(number),
        "ordId": "70",
        "side": "sell",
        "posSide": "net",
        "fillSz": "12",
        "fillPx": "0.03881",
        "fee": "-0.02",
        "feeCcy": "USDT",
        "ts": str(to_ms(at)),
        "execType": "T",
        **changes,
    }


@pytest.fixture
def okx():
    server, started, loop = Okx(), threading.Event(), asyncio.new_event_loop()

    async def start():
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.base_url = "http://{}:{}".format(*runner.addresses[0][:2])
        started.set()
        return runner

    def run():
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    yield server
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture(autouse=True)
def no_reader_of_its_own(monkeypatch):
    def generic(_, market_type):
        return GenericReader(market_type)

    monkeypatch.setattr("unghost.adapters.exchange.account.reader_for", generic)


@pytest.fixture
def account(connect, okx):
    return connect(okx.base_url, exchange="okx")


@pytest.fixture
def doge(account):
    return account.resolve(["DOGE-USDT-SWAP"])["DOGE-USDT-SWAP"]


def read(account, market):
    return account.positions([market])[market.unified]


def test_only_linear_swaps_resolve(account, doge):
    assert (doge.unified, doge.contract_size, doge.minimum_quantity) == (
        DOGE,
        Decimal(100),
        Decimal(100),
    )
    assert doge.spellings == ("DOGE-USDT-SWAP", DOGE)
    names = ["DOGE-USD-SWAP", "DOGE/USD:DOGE", "DOGE-USDT", "DOGE/USDT"]
    assert account.resolve(names) == dict.fromkeys(names)


# Positions


def test_a_row_of_zero_is_flat(account, okx, doge):
    okx.answers["/api/v5/account/positions"] = rows(position("0"))
    assert read(account, doge).flatness is Flatness.FLAT


def test_a_row_is_open_and_in_base_units(account, okx, doge):
    okx.answers["/api/v5/account/positions"] = rows(position("-12"))
    reading = read(account, doge)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal(1200))
    assert reading.legs == (PositionLeg(position_side=None, quantity=Decimal(-1200)),)


def test_both_legs_count(account, okx, doge):
    okx.answers["/api/v5/account/positions"] = rows(position("12", "long"), position("12", "short"))
    reading = read(account, doge)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal(2400))
    assert {leg.position_side for leg in reading.legs} == set(PositionSide)


def test_a_symbol_that_the_answer_leaves_out_is_unknown(account, okx, doge):
    reading = read(account, doge)
    assert (reading.flatness, reading.size) == (Flatness.UNKNOWN, None)
    assert f"no row of {DOGE}" in reading.detail


def test_rows_that_ccxt_drops_make_everything_unknown(account, okx, doge):
    # The answer holds a row where CCXT does not look.
    okx.answers["/api/v5/account/positions"] = {**rows(position("0")), "more": [position("5")]}
    assert read(account, doge).flatness is Flatness.FLAT, "one list was read whole"
    okx.answers["/api/v5/account/positions"] = {**rows(), "more": [position("5")]}
    reading = read(account, doge)
    assert reading.flatness is Flatness.UNKNOWN
    assert "some were dropped" in reading.detail


@pytest.mark.parametrize(
    "answer",
    (
        "<html></html>",
        "",
        {},
        [],
        {"code": "0"},
        {"code": "0", "data": None},
        {"code": "0", "data": {}},
        {"code": "50011", "msg": "Too many"},
        {"code": "0", "data": [{"instId": "DOGE-USDT-SWAP"}]},
    ),
    ids=str,
)
def test_an_answer_of_another_shape_is_unknown(account, okx, doge, window, answer):
    for path in ("/api/v5/account/positions", "/api/v5/trade/fills-history"):
        okx.answers[path] = answer
    assert read(account, doge).flatness is Flatness.UNKNOWN
    reading = account.fills({doge: window})[DOGE]
    assert (reading.fills, reading.complete) == ((), False), reading.detail
    assert reading.detail


# Fills


def test_a_page_shorter_than_its_size_is_complete(account, okx, doge, window, now):
    hour = timedelta(hours=1)
    okx.answers["/api/v5/trade/fills-history"] = rows(fill(2, now - hour), fill(1, now - 2 * hour))
    reading = account.fills({doge: window})[DOGE]
    assert (reading.complete, reading.pages) == (True, 1)
    assert [each.fill_id for each in reading.fills] == ["1", "2"]
    assert {(each.quantity, each.side) for each in reading.fills} == {(Decimal(1200), Side.SELL)}
    assert reading.fills[0].fees[0].amount == Decimal("0.02")


def test_a_full_page_is_incomplete(account, okx, doge, window, now):
    page = [fill(i, now - timedelta(minutes=i + 1)) for i in range(100)]
    okx.answers["/api/v5/trade/fills-history"] = rows(*page)
    reading = account.fills({doge: window})[DOGE]
    assert (reading.fills, reading.complete) == ((), False)
    assert "the page is full (100 fills)" in reading.detail


def test_fills_that_ccxt_leaves_out_of_a_page_make_it_incomplete(account, okx, doge, window, now):
    # CCXT drops what is older than `since`: the page may have been full of such.
    old = fill(1, window.start_at - timedelta(hours=1))
    okx.answers["/api/v5/trade/fills-history"] = rows(fill(2, now - timedelta(hours=1)), old)
    reading = account.fills({doge: window})[DOGE]
    assert not reading.complete
    assert "some were dropped" in reading.detail


def test_a_window_deeper_than_the_exchange_keeps_is_incomplete(account, doge, now):
    window = Window(start_at=now - timedelta(days=100), end_at=now)
    reading = account.fills({doge: window})[DOGE]
    assert not reading.complete
    assert "keeps fills for 90 days" in reading.detail


def test_the_same_fill_with_other_contents_is_incomplete(account, okx, doge, window, now):
    at = now - timedelta(hours=1)
    okx.answers["/api/v5/trade/fills-history"] = rows(fill(1, at), fill(1, at, fillPx="0.04"))
    reading = account.fills({doge: window})[DOGE]
    assert not reading.complete
    assert "came twice" in reading.detail


def test_client_order_ids_are_never_told(account, doge, window):
    assert account.client_order_ids({doge: window}) == {}


def test_the_examination_says_that_less_is_believed(account):
    findings = {finding.name: finding for finding in account.check()}
    assert findings["reader"].verdict is Verdict.WARN
    assert findings["clock"].verdict is Verdict.FAIL
    assert findings["fills"].verdict is Verdict.OK
    lacking = {name for name, each in findings.items() if each.verdict is Verdict.WARN}
    assert lacking >= {"positions", "orders", "account", "key rights"}
    assert "by hand" in findings["key rights"].remedy


# Spot and margin


def balance(**totals):
    details = [
        {"ccy": name, "eq": total, "cashBal": total, "availBal": total, "frozenBal": "0"}
        for name, total in totals.items()
    ]
    return rows({"details": details, "uTime": "1769949296789"})


@pytest.mark.parametrize(
    ("answer", "flatness", "size"),
    (
        (balance(DOGE="0", USDT="5"), Flatness.FLAT, Decimal(0)),
        (balance(DOGE="0.5"), Flatness.OPEN, Decimal("0.5")),
        (balance(USDT="5"), Flatness.UNKNOWN, None),
        (balance(), Flatness.UNKNOWN, None),
        ({"code": "0"}, Flatness.UNKNOWN, None),
        ("<html></html>", Flatness.UNKNOWN, None),
    ),
)
def test_spot_is_flat_where_the_asset_is_listed_with_nothing(connect, okx, answer, flatness, size):
    account = connect(okx.base_url, exchange="okx", market_type="spot")
    market = account.resolve(["DOGE/USDT"])["DOGE/USDT"]
    assert (market.spot, market.contract_size) == (True, Decimal(1))
    okx.answers["/api/v5/account/balance"] = answer
    reading = read(account, market)
    assert (reading.flatness, reading.size) == (flatness, size)


def test_margin_positions_are_unknown(connect, okx, doge):
    account = connect(okx.base_url, exchange="okx", market_type="margin")
    reading = read(account, doge)
    assert reading.flatness is Flatness.UNKNOWN
    assert "nothing here can read margin positions of okx" in reading.detail


# What no server says on its own


def leg(**changes):
    from unghost.adapters.exchange.venues.generic import _leg
    from unghost.model import Market

    market = Market(
        unified=DOGE,
        native_id="DOGE-USDT-SWAP",
        base="DOGE",
        quote="USDT",
        contract_size=Decimal(100),
    )
    row = {"symbol": DOGE, "contracts": "12", "contractSize": "100", "side": "short"}
    return _leg({**row, **changes}, market)


def test_a_short_row_is_below_zero_and_in_base_units():
    assert leg().quantity == Decimal(-1200)
    assert leg(contractSize=None).position_side is None
    assert leg(hedged=True).position_side is PositionSide.SHORT


@pytest.mark.parametrize(
    "change",
    (
        {"contractSize": "10"},
        {"contractSize": 100.0},
        {"side": None},
        {"contracts": None},
        {"contracts": 12.0},
    ),
    ids=str,
)
def test_a_row_whose_unit_or_side_is_in_doubt_is_refused(change):
    with pytest.raises(ReadFailed):
        leg(**change)


@pytest.mark.parametrize(
    ("raw", "bodies", "whole"),
    (
        ([], [{"data": []}], True),
        ([], [], False),
        ([], [{"code": "0"}], False),
        ([], [{"data": [{"a": 1}], "more": []}], False),
        ([{"a": 1}, {"a": 2}], [{"data": [{"a": 2}, {"a": 1}]}], True),
        ([{"a": 1}], [{"data": [{"a": 2}, {"a": 1}]}], False),
        ([{"a": 1}, {"a": 1}], [{"data": [{"a": 1}, {"a": 2}]}], False),
        ([{"a": 1}], [[{"a": 1}]], True),
    ),
)
def test_rows_are_whole_only_where_one_list_became_all_of_them(raw, bodies, whole):
    from unghost.adapters.exchange.venues.generic import _are_whole

    assert _are_whole(raw, bodies) is whole


def test_a_list_nested_beyond_reason_is_not_searched():
    from unghost.adapters.exchange.venues.generic import _are_whole

    body: object = [{"a": 1}]
    for _ in range(20):
        body = {"deeper": body}
    assert not _are_whole([{"a": 1}], [body])
