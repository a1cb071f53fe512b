"""What every reader of a venue must do, asked of each of them in the same words.

A venue is entered in `venue_case.CASES`, or by a case of its own in `more_cases.py`. The truth is
the simulated world's; what a reader says must be that truth or a doubt, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.exchange.conftest import KEY, PASSWORD, SECRET
from tests.exchange.more_cases import MORE_CASES
from tests.exchange.venue_case import CASES, Question, VenueCase

from unghost.adapters.exchange import InProcessMarkets, Verdict
from unghost.demo.venue import Fault, FaultKind, Venue, running_venue
from unghost.demo.world import Fill as TrueFill
from unghost.demo.world import FillKind as TrueKind
from unghost.demo.world import Part, World, to_ms
from unghost.model import Fill, FillKind, FillReading, Flatness, Market, PositionReading, Window
from unghost.netting import split

ALL = (*CASES, *MORE_CASES)


def only(kept: Callable[[VenueCase], Any]) -> pytest.MarkDecorator:
    """Ask this of venues of one sort alone."""
    cases = [case for case in ALL if kept(case)]
    ids = [case.name for case in cases]
    return pytest.mark.parametrize("case", cases, ids=ids, indirect=True, scope="module")


HEDGING = only(lambda case: case.hedges)
PRICE = Decimal("0.5")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MARKETS = {case.name: InProcessMarkets() for case in ALL}

KINDS = {
    TrueKind.TRADE: FillKind.TRADE,
    TrueKind.LIQUIDATION: FillKind.LIQUIDATION,
    TrueKind.ADL: FillKind.DELEVERAGE,
    TrueKind.SETTLEMENT: FillKind.SETTLEMENT,
}


@dataclass
class Stage:
    """A venue with one account, and the adapter that reads it."""

    case: VenueCase
    venue: Venue
    account: Any
    market: Market
    now: datetime

    @property
    def world(self) -> World:
        return self.venue.world

    def trade(self, side: str, count: str | int = 1, **more: Any) -> tuple[TrueFill, ...]:
        """Execute `count` steps of the case's market."""
        return self.world.execute(
            account="main",
            symbol=more.pop("symbol", self.case.symbol),
            side=side,
            quantity=Decimal(count) * self.case.step,
            price=more.pop("price", PRICE),
            at=more.pop("at", self.now - HOUR),
            **more,
        )

    def hold(self, count: str | int, **more: Any) -> None:
        self.world.override_position(
            account="main",
            symbol=more.pop("symbol", self.case.symbol),
            quantity=Decimal(count) * self.case.step,
            **more,
        )

    def truth(self) -> tuple[TrueFill, ...]:
        return self.world.fills("main", self.case.symbol)

    def window(self, back: timedelta = 72 * HOUR) -> Window:
        return Window(start_at=self.now - back, end_at=self.now)

    def fills(self, window: Window | None = None) -> FillReading:
        return self.account.fills({self.market: window or self.window()})[self.market.unified]

    def position(self) -> PositionReading:
        return self.account.positions([self.market])[self.market.unified]

    def spoil(self, question: Question, fault: Fault, *, since: int = 1) -> None:
        call = self.case.calls[question]
        spoiled = replace(fault, endpoint=call.endpoint, where=call.where)
        self.venue.fault(spoiled.since_call(since))

    def asked(self, question: Question) -> int:
        call = self.case.calls.get(question)
        if call is None:
            return 0
        wanted = call.where.items()
        found = self.venue.requests(call.endpoint)
        return sum(all(one.params.get(k) == v for k, v in wanted) for one in found)


@pytest.fixture(params=ALL, ids=lambda case: case.name, scope="module")
def case(request) -> VenueCase:
    return request.param


@pytest.fixture(scope="module")
def street(case) -> Iterator[Venue]:
    with running_venue(World(markets=case.markets), faces=[case.face]) as venue:
        yield venue


@pytest.fixture
def stage(case, street, connect, now) -> Stage:
    street.clear_faults()
    street.world = World(markets=case.markets)
    street.world.open_account("main", api_key=KEY, secret=case.secret, password=PASSWORD)
    account = connect(
        street.base_url,
        exchange=case.exchange,
        cache=MARKETS[case.name],
        secret=case.secret,
        market_type=case.market_type,
    )
    market = account.resolve([case.symbol])[case.symbol]
    assert market is not None
    street.clear_requests()
    return Stage(case=case, venue=street, account=account, market=market, now=now)


def told(fill: Fill) -> tuple[Any, ...]:
    """What a reader says of a fill, as far as every venue tells it."""
    return (
        fill.fill_id,
        fill.exchange_order_id,
        fill.market,
        str(fill.side),
        fill.quantity,
        fill.price,
        to_ms(fill.filled_at),
        None if fill.fees is None else tuple((fee.currency, fee.amount) for fee in fill.fees),
    )


def true(case: VenueCase, fill: TrueFill) -> tuple[Any, ...]:
    return (
        case.fill_id(fill),
        fill.order_id,
        fill.symbol,
        str(fill.side),
        fill.quantity,
        fill.price,
        fill.at,
        ((fill.fee_currency, fill.fee),) if case.tells_fees else None,
    )


def is_clear(text: str) -> bool:
    """A sentence that a person may read and anybody may see."""
    secrets = (KEY, SECRET, PASSWORD, "signature", "Traceback")
    return bool(text) and "\n" not in text and not any(one in text for one in secrets)


def assert_doubted(reading: FillReading) -> None:
    assert (reading.complete, reading.fills) == (False, ())
    assert is_clear(reading.detail)


def assert_unknown(reading: PositionReading) -> None:
    assert (reading.flatness, reading.size, reading.legs) == (Flatness.UNKNOWN, None, ())
    assert is_clear(reading.detail)


def most_calls(case: VenueCase, count: int) -> int:
    return -(-count // case.page) + case.spare_calls


# --- fills: what is told ------------------------------------------------------------------------


def test_a_fill_is_told_in_base_units_and_whole(stage: Stage):
    stage.trade("buy", 3)
    stage.trade("sell", 2, at=stage.now - HOUR / 2, price=Decimal("0.52"))
    reading = stage.fills()
    assert reading.complete
    assert [told(fill) for fill in reading.fills] == [true(stage.case, f) for f in stage.truth()]
    assert all(fill.kind is FillKind.TRADE for fill in reading.fills)
    assert all(len(fill.digest) == 64 for fill in reading.fills)


def test_contracts_become_base_units(stage: Stage):
    assert (
        stage.market.contract_size
        == stage.world.market(stage.case.symbol).listing(stage.case.exchange).contract_size
    )
    assert stage.market.spellings[0] == stage.market.native_id


def test_a_rebate_stays_below_zero_and_currencies_stay_apart(stage: Stage):
    quote, other = stage.market.quote, stage.case.other_fee or stage.market.quote
    stage.trade("buy", fee=Decimal("-0.25"))
    stage.trade("sell", fee=Decimal("0.0004"), fee_currency=other)
    told_fees = [fill.fees for fill in stage.fills().fills]
    assert len(told_fees) == 2
    if not stage.case.tells_fees:
        assert told_fees == [None, None]
        return
    fees = {fee for each in told_fees for fee in each or ()}
    assert {(fee.currency, fee.amount) for fee in fees} == {
        (quote, Decimal("-0.25")),
        (other, Decimal("0.0004")),
    }


def test_the_client_order_id_is_told_where_fills_carry_it(stage: Stage):
    stage.trade("buy", client_order_id="t-bot-17")
    (fill,) = stage.fills().fills
    assert fill.client_order_id == ("t-bot-17" if stage.case.tells_client_ids else None)


@only(lambda case: case.tells_client_ids)
def test_where_fills_carry_client_ids_no_call_is_made_for_more(stage: Stage):
    assert stage.account.client_order_ids({stage.market: stage.window()}) == {
        stage.market.unified: {}
    }
    assert stage.venue.requests() == ()


@pytest.mark.parametrize("kind", (TrueKind.LIQUIDATION, TrueKind.ADL, TrueKind.SETTLEMENT))
def test_what_the_exchange_closes_itself_is_a_fill_too(stage: Stage, kind):
    stage.trade("buy", 2)
    stage.trade("sell", 2, at=stage.now - HOUR / 2, kind=kind)
    reading = stage.fills()
    assert [told(fill) for fill in reading.fills] == [true(stage.case, f) for f in stage.truth()]
    if kind in stage.case.kinds:
        assert reading.fills[1].kind is KINDS[kind]
    assert closings(stage, reading) == [(reading.fills[1].fill_id, "long", 2 * stage.case.step)]


def test_funding_is_no_fill(stage: Stage):
    stage.trade("buy", 2)
    stage.world.charge_funding(
        account="main", symbol=stage.case.symbol, rate=Decimal("0.0001"), at=stage.now - HOUR / 2
    )
    assert len(stage.fills().fills) == 1


def test_another_market_s_fills_are_not_told(stage: Stage):
    other = next(each.symbol for each in stage.case.markets if each.symbol != stage.case.symbol)
    stage.trade("buy", symbol=other)
    reading = stage.fills()
    assert (reading.complete, reading.fills) == (True, ())


# --- fills: what they closed --------------------------------------------------------------------


def closings(stage: Stage, reading: FillReading) -> list[tuple[str, str, Decimal]]:
    """(fill id, leg, quantity) of what the fills closed, as the stages conclude it."""
    parts = split(reading.fills, stage.position(), spot=False)
    return [(one.fill.fill_id, str(one.leg), one.quantity) for one in parts if one.closing]


def test_in_one_way_mode_a_fill_that_crosses_zero_closed_a_part(stage: Stage):
    stage.trade("buy", 2, at=stage.now - 3 * HOUR)
    (crossing,) = stage.trade("sell", 5, at=stage.now - 2 * HOUR)
    (last,) = stage.trade("buy", 3, at=stage.now - HOUR)
    assert closings(stage, stage.fills()) == [
        (stage.case.fill_id(crossing), "long", 2 * stage.case.step),
        (stage.case.fill_id(last), "short", 3 * stage.case.step),
    ]


@HEDGING
def test_in_hedge_mode_the_leg_is_the_exchange_s(stage: Stage):
    """Long and short are open at once: replayed as one position, the short's opening would look
    like the close of the long."""
    stage.world.set_mode("main", "hedge")
    stage.trade("buy", 2, at=stage.now - 4 * HOUR, position_side="long")
    stage.trade("sell", 2, at=stage.now - 3 * HOUR, position_side="short")
    (of_long,) = stage.trade("sell", 2, at=stage.now - 2 * HOUR, position_side="long")
    (of_short,) = stage.trade("buy", 2, at=stage.now - HOUR, position_side="short")
    assert closings(stage, stage.fills()) == [
        (stage.case.fill_id(of_long), "long", 2 * stage.case.step),
        (stage.case.fill_id(of_short), "short", 2 * stage.case.step),
    ]


# --- fills: pages -------------------------------------------------------------------------------


def many(stage: Stage, count: int, *, per_ms: int = 7) -> None:
    """Fills of one order, several in each millisecond, so that pages end inside of one."""
    first = to_ms(stage.now - HOUR)
    size = stage.case.step
    parts = [Part(quantity=size, at=first + number // per_ms) for number in range(count)]
    stage.trade("buy", count, parts=parts, at=first)


def test_many_fills_with_shared_milliseconds_at_the_edges_of_pages_are_all_read(stage: Stage):
    count = stage.case.many
    many(stage, count)
    times = [fill.at for fill in stage.truth()]
    assert any(times[n - 1] == times[n] for n in range(stage.case.page, count, stage.case.page))
    reading = stage.fills()
    assert reading.complete, reading.detail
    wanted = sorted(stage.case.fill_id(fill) for fill in stage.truth())
    assert sorted(fill.fill_id for fill in reading.fills) == wanted
    assert all(a.filled_at <= b.filled_at for a, b in pairwise(reading.fills))
    assert stage.asked(Question.FILLS) <= most_calls(stage.case, count)
    assert reading.pages == stage.asked(Question.FILLS) + stage.asked(Question.DEBTS)


@pytest.mark.parametrize("more", (-1, 0, 1))
def test_no_call_is_made_in_vain_around_a_full_page(stage: Stage, more: int):
    count = stage.case.page + more
    many(stage, count)
    reading = stage.fills()
    assert (reading.complete, len(reading.fills)) == (True, count)
    assert stage.asked(Question.FILLS) <= most_calls(stage.case, count)


def test_an_empty_window_is_proven_by_one_call(stage: Stage):
    reading = stage.fills()
    assert (reading.complete, reading.fills) == (True, ())
    assert stage.asked(Question.FILLS) == stage.case.calls_when_empty


def test_both_ends_of_the_window_are_inside(stage: Stage):
    span = Window(start_at=stage.now - 2 * HOUR, end_at=stage.now - HOUR)
    edge = timedelta(milliseconds=1)
    for at in (span.start_at - edge, span.start_at, span.end_at, span.end_at + edge):
        stage.trade("buy", at=at)
    inside = [stage.case.fill_id(fill) for fill in stage.truth()[1:3]]
    assert [fill.fill_id for fill in stage.fills(span).fills] == inside


def test_a_window_of_twenty_days_is_read_from_end_to_end(stage: Stage):
    """No exchange that limits the span of a request does so by more than a week."""
    for days in (20, 14, 13.5, 7, 6.9, 0.1):
        stage.trade("buy", at=stage.now - timedelta(days=days))
    reading = stage.fills(stage.window(20 * DAY))
    if not reading.complete:
        assert is_clear(reading.detail)
        assert stage.case.depth is not None
        assert stage.case.depth < 20 * DAY
        return
    assert len(reading.fills) == 6


@only(lambda case: case.depth)
def test_a_window_deeper_than_the_venue_keeps_is_incomplete(stage: Stage):
    assert stage.case.depth is not None
    assert_doubted(stage.fills(stage.window(stage.case.depth + DAY)))


def test_a_window_that_ends_before_it_begins_is_incomplete(stage: Stage):
    upside_down = Window(start_at=stage.now, end_at=stage.now - HOUR)
    assert_doubted(stage.fills(upside_down))


# --- positions ----------------------------------------------------------------------------------


def test_a_market_that_was_never_traded_is_flat_by_one_call(stage: Stage):
    reading = stage.position()
    assert (reading.flatness, reading.size, reading.legs) == (Flatness.FLAT, Decimal(0), ())
    assert is_clear(reading.detail)
    assert stage.asked(Question.POSITIONS) == 1


def test_a_market_that_was_closed_is_flat(stage: Stage):
    stage.trade("buy", 2)
    stage.trade("sell", 2)
    assert stage.position().flatness is Flatness.FLAT


@pytest.mark.parametrize(("side", "sign"), (("buy", 1), ("sell", -1)))
def test_a_position_is_open_and_in_base_units(stage: Stage, side: str, sign: int):
    stage.trade(side, 3)
    reading = stage.position()
    assert (reading.flatness, reading.size) == (Flatness.OPEN, 3 * stage.case.step)
    assert [leg.quantity for leg in reading.legs] == [sign * 3 * stage.case.step]


def test_the_moment_of_a_reading_is_before_the_question(stage: Stage):
    before = datetime.now(UTC)
    reading = stage.position()
    assert before <= reading.as_of <= datetime.now(UTC)


def test_many_markets_take_as_few_calls_as_one(stage: Stage):
    names = [each.symbol for each in stage.case.markets[:6]]
    markets = [market for market in stage.account.resolve(names).values() if market]
    stage.trade("buy", symbol=names[0], price=Decimal(1))
    stage.venue.clear_requests()
    readings = stage.account.positions(markets)
    held = {name for name, one in readings.items() if one.flatness is Flatness.OPEN}
    assert held == {names[0]}
    assert {one.flatness for name, one in readings.items() if name != names[0]} == {Flatness.FLAT}
    assert stage.asked(Question.POSITIONS) == 1 + stage.case.lists_pages_of_positions


@HEDGING
def test_two_legs_whose_net_is_zero_are_open(stage: Stage):
    stage.world.set_mode("main", "hedge")
    stage.trade("buy", 2, position_side="long")
    stage.trade("sell", 2, position_side="short")
    reading = stage.position()
    assert (reading.flatness, reading.size) == (Flatness.OPEN, 4 * stage.case.step)
    assert {(str(leg.position_side), leg.quantity) for leg in reading.legs} == {
        ("long", 2 * stage.case.step),
        ("short", 2 * stage.case.step),
    }


@HEDGING
def test_an_open_short_leg_is_seen_beside_an_empty_long_one(stage: Stage):
    stage.world.set_mode("main", "hedge")
    stage.trade("buy", 2, position_side="long")
    stage.trade("sell", 2, position_side="long")
    stage.trade("sell", 1, position_side="short")
    reading = stage.position()
    assert (reading.flatness, reading.size) == (Flatness.OPEN, stage.case.step)


# --- faults -------------------------------------------------------------------------------------

WRECKS = {
    "a web page": Fault(kind=FaultKind.HTML),
    "nothing": Fault(kind=FaultKind.EMPTY_BODY),
    "null": Fault(kind=FaultKind.NULL),
    "an empty object": Fault(kind=FaultKind.EMPTY_OBJECT),
    "half the JSON": Fault(kind=FaultKind.CUT_JSON),
    "no content": Fault(kind=FaultKind.NO_CONTENT),
    "500": Fault(kind=FaultKind.STATUS, status=500, body="oops"),
    "503 and a list": Fault(kind=FaultKind.STATUS, status=503, body="[]"),
    "418": Fault(kind=FaultKind.STATUS, status=418),
    "429": Fault(kind=FaultKind.STATUS, status=429, retry_after_seconds=60, body="{}"),
    "a torn connection": Fault(kind=FaultKind.RESET),
}


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_question_about_positions_that_fails_is_unknown(stage: Stage, wreck: str):
    stage.spoil(Question.POSITIONS, WRECKS[wreck])
    assert_unknown(stage.position())


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_question_about_fills_that_fails_is_incomplete(stage: Stage, wreck: str):
    stage.trade("buy")
    stage.spoil(Question.FILLS, WRECKS[wreck])
    assert_doubted(stage.fills())


@only(lambda case: Question.DEBTS in case.calls)
@pytest.mark.parametrize("wreck", WRECKS)
def test_a_question_about_debts_that_fails_leaves_no_fill_to_believe(stage: Stage, wreck: str):
    stage.trade("buy")
    stage.spoil(Question.DEBTS, WRECKS[wreck])
    assert_doubted(stage.fills())


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_later_page_that_fails_leaves_nothing_of_the_first(stage: Stage, wreck: str):
    many(stage, stage.case.page + 1)
    stage.spoil(Question.FILLS, WRECKS[wreck], since=2)
    assert_doubted(stage.fills())


def test_a_list_in_place_of_an_answer_is_never_an_empty_one_that_hides_a_position(stage: Stage):
    """Where the true answer is a bare list, `[]` is well-formed: nobody can tell."""
    stage.trade("buy")
    stage.venue.clear_requests()
    stage.spoil(Question.POSITIONS, Fault(kind=FaultKind.EMPTY_LIST))
    bare = isinstance(stage.case.face.rows([]), list)
    assert bare or stage.position().flatness is Flatness.UNKNOWN


def test_a_fault_that_passes_is_asked_again(stage: Stage):
    call = stage.case.calls[Question.POSITIONS]
    stage.venue.fault(
        Fault(kind=FaultKind.HTML, endpoint=call.endpoint, where=call.where).on_call(1)
    )
    assert stage.position().flatness is Flatness.FLAT


def test_what_the_exchange_s_own_limit_refuses_is_a_doubt_until_it_is_lifted(stage: Stage, connect):
    stage.venue.limit_weight(0)
    assert_unknown(stage.position())
    assert_doubted(stage.fills())
    stage.venue.limit_weight(None)
    fresh = connect(
        stage.venue.base_url,
        exchange=stage.case.exchange,
        cache=MARKETS[stage.case.name],
        secret=stage.case.secret,
        market_type=stage.case.market_type,
    )
    readings = fresh.positions([stage.market])
    assert readings[stage.market.unified].flatness is Flatness.FLAT


def test_a_clock_that_differs_is_measured_and_allowed_for(stage: Stage):
    stage.venue.skew(120_000)
    assert stage.position().flatness is Flatness.FLAT
    stage.venue.skew(0)


# --- rows that are wrong ------------------------------------------------------------------------


def test_one_position_that_lacks_anything_casts_doubt_on_all(stage: Stage):
    other = next(each for each in stage.case.markets if each.symbol != stage.case.symbol)
    stage.trade("buy", symbol=other.symbol)
    for name in stage.case.needed_of_a_position:
        stage.venue.clear_faults()
        stage.spoil(Question.POSITIONS, Fault(kind=FaultKind.DROP_FIELD, field_name=name))
        assert_unknown(stage.position())


@pytest.mark.parametrize("value", ("", "abc", "NaN", "Infinity", None))
def test_a_size_that_cannot_be_read_is_unknown(stage: Stage, value):
    stage.trade("buy")
    stage.spoil(
        Question.POSITIONS,
        Fault(kind=FaultKind.SET_FIELD, field_name=stage.case.size_field, value=value),
    )
    assert_unknown(stage.position())


@pytest.mark.parametrize("kind", (FaultKind.DUPLICATE_ROW, FaultKind.CONTRADICT_ROW))
def test_a_position_told_twice_is_never_flat(stage: Stage, kind):
    stage.trade("buy")
    stage.spoil(Question.POSITIONS, Fault(kind=kind, field_name=stage.case.size_field, value="0"))
    reading = stage.position()
    if stage.case.adds_up and reading.flatness is Flatness.OPEN:
        return
    assert_unknown(reading)


def test_a_fill_that_lacks_anything_makes_all_of_them_incomplete(stage: Stage):
    stage.trade("buy")
    stage.trade("sell")
    for number, name in enumerate(stage.case.needed_of_a_fill):
        stage.venue.clear_faults()
        stage.spoil(Question.FILLS, Fault(kind=FaultKind.DROP_FIELD, field_name=name))
        # Of another end each time: what was read of one end may be kept.
        another = replace(stage.window(), end_at=stage.now - number * timedelta(milliseconds=1))
        assert_doubted(stage.fills(another))


@pytest.mark.parametrize("value", ("", "abc", "NaN", "-1", "0", None))
def test_a_quantity_that_cannot_be_makes_all_of_them_incomplete(stage: Stage, value):
    stage.trade("buy")
    stage.spoil(
        Question.FILLS,
        Fault(kind=FaultKind.SET_FIELD, field_name=stage.case.amount_field, value=value),
    )
    if value == "-1" and stage.case.signs_amounts:
        assert [fill.side for fill in stage.fills().fills] == ["sell"]
        return
    assert_doubted(stage.fills())


@only(lambda case: case.cost_field)
def test_a_cost_in_another_unit_makes_all_of_them_incomplete(stage: Stage):
    stage.trade("buy")
    stage.spoil(
        Question.FILLS,
        Fault(
            kind=FaultKind.SET_FIELD,
            field_name=stage.case.cost_field,
            value=stage.case.wrong_cost,
        ),
    )
    reading = stage.fills()
    assert_doubted(reading)
    assert "the unit is in doubt" in reading.detail


def test_a_fill_with_other_contents_the_second_time_is_believed_neither_time(stage: Stage):
    stage.trade("buy", 2)
    fault = Fault(kind=FaultKind.CONTRADICT_ROW, field_name=stage.case.amount_field, value="1")
    stage.spoil(Question.FILLS, fault)
    assert_doubted(stage.fills())


def test_a_page_cut_short_tells_nothing_that_is_not_true(stage: Stage):
    many(stage, stage.case.page + 20)
    true_ids = {stage.case.fill_id(fill) for fill in stage.truth()}
    for kept in (stage.case.page // 2, stage.case.page - 1):
        stage.venue.clear_faults()
        stage.spoil(Question.FILLS, Fault(kind=FaultKind.KEEP_ROWS, rows_kept=kept))
        assert {fill.fill_id for fill in stage.fills().fills} <= true_ids


# --- manners ------------------------------------------------------------------------------------


def test_symbols_without_a_window_are_not_asked_about(stage: Stage):
    stage.fills()
    stage.position()
    asked = [each.path for each in stage.venue.requests()]
    questions = sum(stage.asked(question) for question in Question)
    assert len(asked) == questions + stage.case.calls_besides


def test_native_and_unified_names_mean_the_same_market(stage: Stage):
    found = stage.account.resolve([stage.market.native_id, stage.case.symbol])
    assert set(found.values()) == {stage.market}


def test_which_account_a_key_sees_takes_one_call_at_most(stage: Stage):
    told = stage.account.account_id()
    assert (told is not None) == stage.case.tells_account
    assert told == stage.account.account_id()
    assert len(stage.venue.requests()) <= 2 * stage.case.tells_account
    assert stage.account.key == stage.account.key
    assert KEY not in repr(stage.account.key)


@only(lambda case: case.tells_account and case.exchange != "hyperliquid")
def test_an_account_that_is_not_told_today_is_none(stage: Stage):
    stage.venue.fault(Fault(kind=FaultKind.HTML))
    assert stage.account.account_id() is None


# --- the examination ----------------------------------------------------------------------------


def test_the_examination_tells_all_that_a_person_asks_and_reads_each_kind_once(stage: Stage):
    found = {finding.name: finding for finding in stage.account.check()}
    asked = {"clock", "markets", "positions", "fills", "orders", "account", "key rights"}
    assert set(found) >= asked | (set() if stage.market.spot else {"position mode"})
    assert [one.detail for one in found.values() if one.verdict is Verdict.FAIL] == []
    assert all(is_clear(one.detail) for one in found.values())
    assert stage.asked(Question.POSITIONS) >= 1
    assert stage.asked(Question.FILLS) >= 1
