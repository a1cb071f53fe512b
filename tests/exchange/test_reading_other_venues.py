"""What is peculiar to Bitget, Gate, Hyperliquid and Kraken Futures, beyond what all must do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.exchange.bodies_gate import MARKETS as OF_GATE
from tests.exchange.bodies_gate import Gate
from tests.exchange.conftest import KEY, PASSWORD
from tests.exchange.more_cases import MORE_CASES
from tests.exchange.venue_case import Question

from unghost.adapters.exchange import InProcessMarkets, Verdict
from unghost.demo.venue import Fault, FaultKind, Venue, running_venue
from unghost.demo.world import FillKind as TrueKind
from unghost.demo.world import Listing, World
from unghost.model import FillKind, FillReading, Flatness, Market, PositionSide, Side, Window

HOUR = timedelta(hours=1)
CASES = {case.exchange: case for case in MORE_CASES}
KEPT = {name: InProcessMarkets() for name in CASES}


@dataclass
class Stage:
    """A venue with one account, and our reader of it."""

    exchange: str
    venue: Venue
    account: Any
    market: Market
    now: Any

    @property
    def world(self) -> World:
        return self.venue.world

    def trade(self, side: str, count: int = 1, **more: Any) -> Any:
        return self.world.execute(
            account="main",
            symbol=self.market.unified,
            side=side,
            quantity=count * CASES[self.exchange].step,
            price=Decimal("0.5"),
            at=more.pop("at", self.now - HOUR),
            **more,
        )

    def fills(self, back: timedelta = 72 * HOUR) -> FillReading:
        window = Window(start_at=self.now - back, end_at=self.now)
        return self.account.fills({self.market: window})[self.market.unified]

    def position(self) -> Any:
        return self.account.positions([self.market])[self.market.unified]

    def spoil(self, question: Question, kind: FaultKind, **what: Any) -> None:
        call = CASES[self.exchange].calls[question]
        fault = Fault(kind=kind, endpoint=call.endpoint, where=call.where, **what)
        self.venue.fault(fault)

    def findings(self) -> dict[str, Verdict]:
        return {each.name: each.verdict for each in self.account.check()}


@pytest.fixture
def opened(connect, now):
    """Opens an exchange; the streets are closed after the test."""
    streets = []

    def opened(exchange: str, *, face: Any = None, markets: Any = None, **changes: Any) -> Stage:
        case = CASES[exchange]
        world = World(markets=markets or case.markets)
        world.open_account("main", api_key=KEY, secret=case.secret, password=PASSWORD)
        street = running_venue(world, faces=[face or case.face])
        streets.append(street)
        venue = street.__enter__()
        cache = KEPT[exchange] if markets is None else None
        account = connect(
            venue.base_url, exchange=exchange, cache=cache, **{"secret": case.secret, **changes}
        )
        market = account.resolve([case.symbol])[case.symbol]
        assert market is not None
        venue.clear_requests()
        return Stage(exchange=exchange, venue=venue, account=account, market=market, now=now)

    yield opened
    for street in streets:
        street.__exit__(None, None, None)


def doubt(reading: FillReading) -> str:
    assert (reading.complete, reading.fills) == (False, ())
    return reading.detail


# --- Bitget -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leg", "opening"), (("long", "buy"), ("short", "sell")))
def test_bitget_closes_are_turned_from_the_side_of_the_position_to_their_own(opened, leg, opening):
    stage = opened("bitget")
    stage.world.set_mode("main", "hedge")
    closing = {"buy": "sell", "sell": "buy"}[opening]
    stage.trade(opening, 2, position_side=leg)
    stage.trade(closing, 2, position_side=leg, at=stage.now - HOUR / 2)
    fills = stage.fills().fills
    assert [(fill.side, fill.position_side) for fill in fills] == [
        (Side(opening), PositionSide(leg)),
        (Side(closing), PositionSide(leg)),
    ]


@pytest.mark.parametrize("kind", (TrueKind.LIQUIDATION, TrueKind.ADL, TrueKind.SETTLEMENT))
def test_bitget_forced_closes_name_the_position_themselves(opened, kind):
    stage = opened("bitget")
    stage.world.set_mode("main", "hedge")
    stage.trade("sell", 2, position_side="short")
    stage.trade("buy", 2, position_side="short", at=stage.now - HOUR / 2, kind=kind)
    fill = stage.fills().fills[1]
    assert (fill.side, fill.position_side) == (Side.BUY, PositionSide.SHORT)
    assert fill.kind is not FillKind.TRADE


@pytest.mark.parametrize(
    ("name", "value"),
    (
        ("tradeSide", "something_new"),
        ("tradeSide", "sell_single"),
        ("posMode", "both_at_once"),
        ("side", "long"),
    ),
)
def test_bitget_words_that_are_not_known_are_doubt(opened, name, value):
    stage = opened("bitget")
    stage.trade("buy")
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name=name, value=value)
    assert doubt(stage.fills())


def test_bitget_unknown_words_in_hedge_mode_are_doubt(opened):
    stage = opened("bitget")
    stage.world.set_mode("main", "hedge")
    stage.trade("buy", position_side="long")
    stage.spoil(
        Question.FILLS, FaultKind.SET_FIELD, field_name="tradeSide", value="burst_open_long"
    )
    assert "is not known" in doubt(stage.fills())


FEE = {"deduction": "no", "feeCoin": "USDT", "totalFee": "-0.25"}


@pytest.mark.parametrize(
    ("told", "fees"),
    (
        ([FEE], {"USDT": "0.25"}),
        ([FEE, {**FEE, "feeCoin": "BGB", "totalFee": "0.1"}], {"USDT": "0.25", "BGB": "-0.1"}),
        ([{**FEE, "deduction": "yes"}], None),
        ([{**FEE, "deduction": "yes", "totalDeductionFee": "-0.2"}], None),
        ([{**FEE, "deduction": "yes", "totalDeductionFee": "-0.25"}], {"USDT": "0.25"}),
        ([FEE, {**FEE, "deduction": "yes"}], None),
        ([], None),
        (None, None),
    ),
    ids=str,
)
def test_bitget_fees_are_all_told_or_unknown(told, fees):
    from unghost.adapters.exchange.venues.bitget import _fees

    found = _fees({"feeDetail": told})
    mine = None if found is None else {row["currency"]: str(row["cost"]) for row in found}
    assert mine == fees


def test_bitget_client_order_ids_come_from_the_orders(opened):
    stage = opened("bitget")
    (fill,) = stage.trade("buy", client_order_id="bot-17")
    window = Window(start_at=stage.now - 20 * 24 * HOUR, end_at=stage.now)
    ids = stage.account.client_order_ids({stage.market: window})
    assert ids == {stage.market.unified: {fill.order_id: "bot-17"}}


def test_bitget_orders_that_cannot_be_read_leave_no_ids(opened):
    stage = opened("bitget")
    stage.venue.fault(Fault(kind=FaultKind.HTML, endpoint="orders-history"))
    window = Window(start_at=stage.now - HOUR, end_at=stage.now)
    assert stage.account.client_order_ids({stage.market: window}) == {}


def test_pages_newest_first_that_do_not_descend_are_doubt():
    from unghost.adapters.exchange.failures import ReadFailed
    from unghost.adapters.exchange.venues.walk import require_descent

    require_descent([9, 8, 5], 10)
    require_descent([], 10)
    for ids in ([9, 9], [8, 9]):
        with pytest.raises(ReadFailed, match="not in the order of its ids"):
            require_descent(ids, None)
    with pytest.raises(ReadFailed, match="does not go on from id 10"):
        require_descent([10], 10)


@pytest.mark.parametrize(
    "answer",
    (
        {"code": "40084", "msg": "You are in Unified Account mode", "data": None},
        {"code": "00000", "data": None},
        {"code": "00000", "data": {}},
        {"code": "00000", "data": {"fillList": None, "endId": "17"}},
        {"data": {"fillList": []}},
    ),
    ids=str,
)
def test_bitget_envelopes_without_a_list_are_no_empty_ones(opened, answer):
    import json

    stage = opened("bitget")
    body = json.dumps(answer)
    for question in (Question.FILLS, Question.POSITIONS):
        stage.spoil(question, FaultKind.STATUS, status=200, body=body)
    assert doubt(stage.fills())
    assert stage.position().flatness is Flatness.UNKNOWN


def test_bitget_a_total_of_zero_beside_something_available_is_unknown(opened):
    stage = opened("bitget")
    stage.trade("buy")
    stage.spoil(Question.POSITIONS, FaultKind.SET_FIELD, field_name="total", value="0")
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert "are available" in reading.detail


@pytest.mark.parametrize(("read_only", "verdict"), ((False, Verdict.WARN), (True, Verdict.OK)))
def test_bitget_tells_who_the_key_is_and_what_it_may_do(opened, read_only, verdict):
    stage = opened("bitget")
    stage.world._accounts["main"] = replace(stage.world.account("main"), read_only=read_only)
    found = stage.findings()
    assert (found["account"], found["key rights"]) == (Verdict.OK, verdict)


def test_bitget_a_page_that_does_not_end_as_it_says_is_doubt(opened):
    from unghost.demo.world import Part

    stage = opened("bitget")
    size = CASES["bitget"].step
    stage.trade("buy", 130, parts=[Part(quantity=size) for _ in range(130)])
    for kept in (0, 29):
        stage.venue.clear_faults()
        call = CASES["bitget"].calls[Question.FILLS]
        fault = Fault(kind=FaultKind.KEEP_ROWS, endpoint=call.endpoint, rows_kept=kept)
        stage.venue.fault(fault.since_call(2))
        assert "does not end with the id" in doubt(stage.fills())


@pytest.mark.parametrize(
    ("name", "value"), (("total", "-1"), ("holdSide", "net"), ("symbol", ""), ("posMode", None))
)
def test_bitget_a_position_that_is_odd_is_unknown(opened, name, value):
    stage = opened("bitget")
    stage.trade("buy")
    stage.spoil(Question.POSITIONS, FaultKind.SET_FIELD, field_name=name, value=value)
    assert stage.position().flatness is Flatness.UNKNOWN


def test_bitget_orders_that_contradict_themselves_leave_no_ids(opened):
    stage = opened("bitget")
    stage.trade("buy")
    other = Fault(
        kind=FaultKind.CONTRADICT_ROW,
        endpoint="orders-history",
        field_name="clientOid",
        value="another",
    )
    stage.venue.fault(other)
    window = Window(start_at=stage.now - 2 * HOUR, end_at=stage.now)
    assert stage.account.client_order_ids({stage.market: window}) == {}


def test_bitget_markets_of_another_kind_are_not_read(opened):
    stage = opened("bitget")
    for odd in (
        replace(stage.market, unified="XRP/EURC:EURC"),
        replace(stage.market, contract_size=Decimal(10)),
    ):
        assert stage.account.positions([odd])[odd.unified].flatness is Flatness.UNKNOWN
        window = Window(start_at=stage.now - HOUR, end_at=stage.now)
        assert not stage.account.fills({odd: window})[odd.unified].complete


@pytest.mark.parametrize("data", ('"text"', "{}", "null", '{"userId": "7"}'))
def test_bitget_an_account_that_is_not_told_is_a_finding(opened, data):
    stage = opened("bitget")
    body = f'{{"code": "00000", "data": {data}}}'
    stage.venue.fault(
        Fault(kind=FaultKind.STATUS, endpoint="spot/account/info", status=200, body=body)
    )
    assert stage.findings()["account"] is Verdict.WARN


# --- Gate ---------------------------------------------------------------------------------------


def test_gate_a_contract_without_a_row_is_unknown_for_flat_ones_have_rows(opened):
    stage = opened("gate", face=Gate("DOGE"))
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert "the key may see another account" in reading.detail


def many_markets() -> Any:
    """More contracts than fit a page of positions, the case's own among the last."""
    own = next(each for each in OF_GATE if each.base == "DOGE")
    others = tuple(
        replace(
            own,
            symbol=f"X{n}/USDT:USDT",
            base=f"X{n}",
            listings=(Listing(venue="gate", native_id=f"X{n}_USDT"),),
        )
        for n in range(230)
    )
    return (*others, own)


def test_gate_positions_are_read_over_all_pages(opened):
    stage = opened("gate", markets=many_markets())
    stage.trade("sell", 3)
    assert stage.position().size == 3 * CASES["gate"].step
    offsets = [each.params["offset"] for each in stage.venue.requests("positions")]
    assert offsets == ["0", "99", "198"]


def test_gate_a_later_page_of_positions_that_is_empty_hides_nothing(opened):
    stage = opened("gate", markets=many_markets())
    stage.trade("sell", 3)
    fault = Fault(kind=FaultKind.EMPTY_LIST, endpoint="positions", where={"offset": "99"})
    stage.venue.fault(fault)
    assert stage.position().flatness is Flatness.UNKNOWN


def test_gate_times_are_exact_to_the_millisecond(opened):
    stage = opened("gate")
    base = stage.now.replace(microsecond=0) - HOUR
    moments = [base + timedelta(milliseconds=n) for n in range(0, 1000, 37)]
    for at in moments:
        stage.trade("buy", at=at)
    assert [fill.filled_at for fill in stage.fills().fills] == moments


def test_gate_answers_without_closed_sizes_do_for_one_way_accounts_only(opened):
    stage = opened("gate")
    stage.trade("buy", 2)
    stage.spoil(Question.FILLS, FaultKind.DROP_FIELD, field_name="close_size")
    reading = stage.fills()
    assert [(fill.closed, fill.position_side) for fill in reading.fills] == [(None, None)]
    assert reading.complete
    stage.venue.fault(Fault(kind=FaultKind.HTML, endpoint="accounts"))
    assert doubt(stage.fills())


def test_gate_answers_without_closed_sizes_are_doubt_in_dual_mode(opened):
    stage = opened("gate")
    stage.world.set_mode("main", "hedge")
    stage.trade("buy", 2, position_side="long")
    stage.spoil(Question.FILLS, FaultKind.DROP_FIELD, field_name="close_size")
    assert "dual account" in doubt(stage.fills())


@pytest.mark.parametrize("value", ("1", "abc", None))
def test_gate_a_closed_size_that_contradicts_the_size_is_doubt(opened, value):
    stage = opened("gate")
    stage.trade("sell")
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name="close_size", value=value)
    assert doubt(stage.fills())


def test_gate_a_later_page_that_is_empty_is_no_end(opened):
    stage = opened("gate")
    from unghost.demo.world import Part

    size = CASES["gate"].step
    stage.trade("buy", 1001, parts=[Part(quantity=size) for _ in range(1001)])
    stage.venue.fault(
        Fault(kind=FaultKind.EMPTY_LIST, endpoint="my_trades_timerange", where={"offset": "999"})
    )
    assert "does not go on" in doubt(stage.fills())


@pytest.mark.parametrize(("name", "value"), (("mode", "split"), ("size", "0")))
def test_gate_a_row_that_is_odd_is_unknown(opened, name, value):
    stage = opened("gate", face=Gate(*(each.base for each in OF_GATE if each.base != "DOGE")))
    stage.trade("buy", 2)
    stage.spoil(Question.POSITIONS, FaultKind.SET_FIELD, field_name=name, value=value)
    assert stage.position().flatness is Flatness.UNKNOWN


def test_gate_tells_mode_and_user(opened):
    stage = opened("gate")
    found = stage.findings()
    assert (found["position mode"], found["account"]) == (Verdict.OK, Verdict.OK)
    stage.venue.fault(Fault(kind=FaultKind.EMPTY_OBJECT, endpoint="accounts"))
    assert stage.findings()["position mode"] is Verdict.WARN


def test_gate_a_row_of_another_contract_is_doubt(opened):
    stage = opened("gate")
    stage.trade("buy")
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name="contract", value="BTC_USDT")
    assert "of another contract" in doubt(stage.fills())


def test_gate_pages_that_do_not_move_on_are_doubt(opened, monkeypatch):
    from unghost.adapters.exchange.venues import gate

    monkeypatch.setattr(gate, "ROUND_PAGE", 1)
    stage = opened("gate")
    stage.trade("buy")
    assert "do not move on" in doubt(stage.fills())


# --- Hyperliquid --------------------------------------------------------------------------------


def test_hyperliquid_an_address_that_nobody_knows_is_never_flat(opened):
    stage = opened("hyperliquid", api_key="0xsomebody")
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert "no account of this address" in reading.detail
    assert "no account of this address" in doubt(stage.fills())
    assert stage.findings()["account"] is Verdict.WARN


@pytest.mark.parametrize(
    ("role", "words"), (("agent", "an API wallet's"), ("something", "none that is known"))
)
def test_hyperliquid_an_address_that_holds_nothing_is_never_flat(opened, role, words):
    stage = opened("hyperliquid")
    stage.venue.fault(
        Fault(
            kind=FaultKind.STATUS,
            endpoint="info",
            where={"type": "userRole"},
            status=200,
            body=f'{{"role": "{role}"}}',
        )
    )
    assert words in stage.position().detail


def test_hyperliquid_the_address_is_asked_about_once(opened):
    stage = opened("hyperliquid")
    for _ in range(3):
        stage.position()
        stage.fills()
    asked = [each.params["type"] for each in stage.venue.requests("info")]
    assert (asked.count("userRole"), len(asked)) == (1, 7)


def test_hyperliquid_rows_that_do_not_add_up_to_the_total_are_unknown(opened):
    stage = opened("hyperliquid")
    stage.trade("buy", 2)
    stage.spoil(Question.POSITIONS, FaultKind.KEEP_ROWS, rows_kept=0)
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert "the total is told as" in reading.detail


def test_hyperliquid_a_fill_that_is_missing_between_others_is_noticed(opened):
    stage = opened("hyperliquid")
    for side, hours in (("buy", 5), ("buy", 4), ("sell", 3), ("sell", 2)):
        stage.trade(side, at=stage.now - hours * HOUR)
    fills = stage.world.fills("main")
    legs = stage.world.legs("main", stage.market.unified)
    assert stage.fills().complete
    kept = [fill for fill in fills if fill != fills[1]]
    stage.world.fills = lambda *_, **__: tuple(kept)
    stage.world.legs = lambda *_: legs
    assert "one is missing" in doubt(stage.fills())


@pytest.mark.parametrize(
    ("steps", "whole"),
    (
        ([(1, 0, 1), (2, 1, 1), (3, 2, -2)], True),
        ([(1, 0, 1), (3, 2, -2)], False),
        ([(1, 0, 1), (3, 2, -1), (4, 1, -1)], False),
        ([(5, 1, 1), (5, 0, 1), (5, 2, -2)], True),
        ([(5, 1, 1), (5, 0, 1), (6, 0, 1)], False),
        ([(5, 0, 1), (5, 1, -1), (6, 0, 1)], True),
        ([(4, 0, 3), (5, 0, 1), (5, 1, -1)], False),
        ([(5, 0, 1), (5, 7, 1)], False),
        ([], True),
    ),
    ids=str,
)
def test_hyperliquid_positions_follow_on_from_fill_to_fill(steps, whole):
    from unghost.adapters.exchange.failures import ReadFailed
    from unghost.adapters.exchange.venues.hyperliquid import _require_chain

    rows = [
        {"time": at, "startPosition": str(start), "sz": str(abs(size)), "side": "AB"[size > 0]}
        for at, start, size in steps
    ]
    if whole:
        _require_chain(rows)
        return
    with pytest.raises(ReadFailed, match="one is missing"):
        _require_chain(rows)


def test_hyperliquid_a_history_as_long_as_what_is_kept_is_doubt(opened, monkeypatch):
    from unghost.adapters.exchange.venues import hyperliquid

    monkeypatch.setattr(hyperliquid, "KEPT", 3)
    stage = opened("hyperliquid")
    stage.trade("buy")
    stage.trade("buy", at=stage.now - HOUR / 2)
    assert stage.fills().complete
    stage.trade("sell", at=stage.now - HOUR / 4)
    assert "keeps no more" in doubt(stage.fills())


def test_hyperliquid_pages_go_on_from_where_they_ended(opened, monkeypatch):
    from unghost.adapters.exchange.venues import hyperliquid

    monkeypatch.setattr(hyperliquid, "LONG_PAGE", 2)
    stage = opened("hyperliquid")
    for hours in (4, 3, 2):
        stage.trade("buy", at=stage.now - hours * HOUR)
    assert len(stage.fills().fills) == 3
    endpoint, where = "info", {"type": "userFillsByTime"}
    lost = Fault(kind=FaultKind.EMPTY_LIST, endpoint=endpoint, where=where).since_call(2)
    stage.venue.fault(lost)
    assert "does not go on from" in doubt(stage.fills())


def test_hyperliquid_pages_that_do_not_move_on_are_doubt(opened, monkeypatch):
    from unghost.adapters.exchange.venues import hyperliquid

    monkeypatch.setattr(hyperliquid, "LONG_PAGE", 1)
    stage = opened("hyperliquid")
    stage.trade("buy")
    assert "do not move on" in doubt(stage.fills())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    (
        ("time", 1, "from before the time"),
        ("side", "buy", "neither A nor B"),
        ("coin", "", "the coin of a fill"),
    ),
)
def test_hyperliquid_a_fill_that_is_odd_is_doubt(opened, name, value, words):
    stage = opened("hyperliquid")
    stage.trade("buy")
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name=name, value=value)
    assert words in doubt(stage.fills())


def test_hyperliquid_a_long_page_must_be_in_order():
    from unghost.adapters.exchange.failures import ReadFailed
    from unghost.adapters.exchange.venues.hyperliquid import _rows

    newest_first = [{"coin": "XRP", "time": 1000 - n} for n in range(500)]
    assert len(_rows(newest_first[:499])) == 499
    assert len(_rows(newest_first[::-1])) == 500
    with pytest.raises(ReadFailed, match="not in the order of time"):
        _rows(newest_first)


def test_hyperliquid_a_size_that_ccxt_reads_otherwise_is_unknown(opened, monkeypatch):
    stage = opened("hyperliquid")
    stage.trade("buy")
    other = {"contracts": "7", "side": "long"}
    monkeypatch.setattr(stage.account._client, "unified_position", lambda *_, **__: other)
    assert "CCXT reads long 7" in stage.position().detail


def test_hyperliquid_coins_resolve_by_their_names(opened):
    stage = opened("hyperliquid")
    assert stage.account.resolve(["XRP"])["XRP"] == stage.market


def test_hyperliquid_only_the_own_liquidation_is_one(opened):
    stage = opened("hyperliquid")
    stage.trade("buy", 2)
    stage.trade("sell", 2, at=stage.now - HOUR / 2, kind=TrueKind.LIQUIDATION)
    assert stage.fills().fills[1].kind is FillKind.LIQUIDATION
    other = {"liquidatedUser": "0xsomebody", "method": "market", "markPx": "1"}
    call = CASES["hyperliquid"].calls[Question.FILLS]
    named = Fault(kind=FaultKind.SET_FIELD, field_name="liquidation", value=other)
    stage.venue.fault(replace(named, endpoint=call.endpoint, where=call.where).on_call(1))
    assert stage.fills().fills[0].kind is FillKind.TRADE


def test_hyperliquid_is_examined_without_a_key(opened):
    found = opened("hyperliquid").findings()
    names = ("account", "position mode", "key rights", "positions", "fills", "clock")
    assert {found[name] for name in names} == {Verdict.OK}


# --- Kraken Futures -----------------------------------------------------------------------------


def test_kraken_futures_contracts_in_small_letters_count(opened):
    stage = opened("krakenfutures")
    stage.trade("buy", 2)
    for question in (Question.POSITIONS, Question.FILLS):
        stage.spoil(question, FaultKind.SET_FIELD, field_name="symbol", value="pf_xrpusd")
    assert stage.position().size == 2 * CASES["krakenfutures"].step
    assert len(stage.fills().fills) == 1


@pytest.mark.parametrize("value", ("newKind", None, 5))
def test_kraken_futures_a_kind_of_fill_that_is_not_known_is_doubt(opened, value):
    stage = opened("krakenfutures")
    stage.trade("buy")
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name="fillType", value=value)
    assert "of a kind that is not known" in doubt(stage.fills())


@pytest.mark.parametrize("value", ("yesterday", "2026-01-01T00:00:00", 17, None))
def test_kraken_futures_a_time_that_cannot_be_read_is_doubt(opened, value):
    stage = opened("krakenfutures")
    stage.trade("buy")
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name="fillTime", value=value)
    assert doubt(stage.fills())


def test_kraken_futures_a_size_that_ccxt_reads_otherwise_is_unknown(opened, monkeypatch):
    stage = opened("krakenfutures")
    stage.trade("buy")
    monkeypatch.setattr(
        stage.account._client, "unified_position", lambda *_, **__: {"contracts": "7"}
    )
    assert "CCXT reads 7" in stage.position().detail


def test_kraken_futures_pages_go_on_until_nothing_older_is_told(opened):
    stage = opened("krakenfutures")
    for minutes in range(1, 131):
        stage.trade("buy", at=stage.now - timedelta(minutes=minutes))
    for kept, count in ((29, 130), (100, 130)):
        stage.venue.clear_faults()
        cut = Fault(kind=FaultKind.KEEP_ROWS, endpoint="fills", rows_kept=kept)
        stage.venue.fault(cut.since_call(2))
        assert len(stage.fills().fills) == count
    stage.venue.clear_faults()
    lost = Fault(kind=FaultKind.KEEP_ROWS, endpoint="fills", rows_kept=0)
    stage.venue.fault(lost.since_call(2))
    assert "does not go on from" in doubt(stage.fills())


def test_kraken_futures_more_fills_in_a_millisecond_than_a_page_holds_are_doubt(opened):
    from unghost.demo.world import Part

    stage = opened("krakenfutures")
    size = CASES["krakenfutures"].step
    stage.trade("buy", 120, parts=[Part(quantity=size) for _ in range(120)])
    assert "do not move on" in doubt(stage.fills())


def test_kraken_futures_a_page_in_another_order_is_doubt(opened):
    stage = opened("krakenfutures")
    stage.trade("buy", at=stage.now - 3 * HOUR)
    stage.trade("buy", at=stage.now - 2 * HOUR)
    long_ago = "2020-01-01T00:00:00.000Z"
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name="fillTime", value=long_ago)
    assert "newest first" in doubt(stage.fills())


def test_a_walk_without_an_end_is_doubt(opened, monkeypatch):
    from unghost.adapters.exchange.venues import walk

    monkeypatch.setattr(walk, "MAX_PAGES", 1)
    stage = opened("krakenfutures")
    for hours in range(1, 131):
        stage.trade("buy", at=stage.now - timedelta(minutes=hours))
    assert "more than 1 pages" in doubt(stage.fills())


def test_kraken_futures_reads_back_to_the_window_and_no_further(opened):
    stage = opened("krakenfutures")
    for hours in range(1, 250):
        stage.trade("buy", at=stage.now - hours * HOUR)
    assert len(stage.fills(back=150 * HOUR).fills) == 150
    assert len(stage.venue.requests("fills")) == 2


def test_kraken_futures_an_answer_that_does_not_say_success_is_doubt(opened):
    stage = opened("krakenfutures")
    body = '{"result": "error", "openPositions": [], "fills": []}'
    for question in (Question.POSITIONS, Question.FILLS):
        stage.spoil(question, FaultKind.STATUS, status=200, body=body)
    assert stage.position().flatness is Flatness.UNKNOWN
    assert "does not say that it succeeded" in doubt(stage.fills())


def test_kraken_futures_says_that_it_cannot_tell_the_rights_of_a_key(opened):
    found = opened("krakenfutures").findings()
    assert (found["position mode"], found["key rights"]) == (Verdict.OK, Verdict.WARN)
