"""Answers of a venue that are well-formed and wrong, and a world that moves while it is looked at.

Questions that fail altogether are in `test_fault_matrix.py`.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from tests.cycle.bench import (
    MARKETS,
    Bench,
    batch_id,
    hours_ago,
    open_account,
    told,
)
from tests.cycle.fault_calls import (
    CALLS,
    INCOMPLETE,
    PARTS,
    UNKNOWN,
    assert_refused,
    lose_an_exit,
    pieces,
    set_the_scene,
)

from unghost.cycle import Outcome
from unghost.demo.venue import Fault, FaultKind
from unghost.desk import Desk
from unghost.model import Decision, Reason

EMPTY_LIST = Fault(kind=FaultKind.EMPTY_LIST)


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.pause()
    return bench


def desk_for(bench: Bench, fault: Fault, call: str) -> Desk:
    """A new connection each time: a ban is for life, and the list of markets is read once."""
    account = open_account(
        bench.venue,
        cache=None if call == "exchangeInfo" else MARKETS,
        timeout_seconds=0.2 if fault.kind is FaultKind.DELAY else 5,
    )
    bench.accounts.append(account)
    return bench.new_desk(account=account)


def strike(bench: Bench, fault: Fault, call: str) -> None:
    struck = CALLS["binanceusdm"][call]
    bench.venue.clear_faults()
    bench.venue.fault(replace(fault, endpoint=struck.endpoint).since_call(struck.number))


# --- answers that are well-formed and wrong ----------------------------------------------------


@pytest.mark.parametrize("endpoint", ("positionRisk", "userTrades", "allOrders", "exchangeInfo"))
def test_json_under_another_content_type_is_an_answer(stage: Bench, endpoint):
    call = "orders" if endpoint == "allOrders" else endpoint
    lose_an_exit(stage, linked_by="client_order_id" if call == "orders" else "exchange_order_id")
    stage.venue.fault(Fault(kind=FaultKind.WRONG_CONTENT_TYPE, endpoint=endpoint))
    report = stage.apply(desk=desk_for(stage, Fault(kind=FaultKind.HTML), call))
    assert report.outcome is Outcome.CLEAN
    assert stage.closed_by_us() == Decimal("0.99")


@pytest.mark.parametrize("call", ("first-positions", "second-positions", "third-positions"))
@pytest.mark.parametrize("field", ("positionAmt", "positionSide", "symbol"))
def test_one_bad_position_row_of_another_market_casts_doubt_on_all(stage: Bench, call, field):
    trade_id = set_the_scene(stage, call)
    strike(stage, Fault(kind=FaultKind.DROP_FIELD, field_name=field), call)
    assert_refused(stage, stage.apply(), trade_id, UNKNOWN)


@pytest.mark.parametrize("field", ("qty", "price", "time", "orderId", "id", "side", "positionSide"))
def test_a_fill_that_lacks_a_field_makes_all_of_them_incomplete(stage: Bench, field):
    trade_id = set_the_scene(stage, "first-fills")
    strike(stage, Fault(kind=FaultKind.DROP_FIELD, field_name=field), "first-fills")
    assert_refused(stage, stage.apply(), trade_id, INCOMPLETE)


def test_an_order_that_lacks_its_client_id_makes_all_of_them_incomplete(stage: Bench):
    trade_id = set_the_scene(stage, "orders")
    strike(stage, Fault(kind=FaultKind.DROP_FIELD, field_name="clientOrderId"), "orders")
    assert_refused(stage, stage.apply(), trade_id, INCOMPLETE)


def test_a_fill_told_twice_is_counted_once(stage: Bench):
    trade_id = set_the_scene(stage, "first-fills")
    strike(stage, Fault(kind=FaultKind.DUPLICATE_ROW, row=1), "first-fills")
    assert told(stage.apply()) == [(trade_id, Decision.APPLIED, Reason.FILL_EVIDENCE)]
    assert stage.closed_by_us() == Decimal("0.99")


def test_a_fill_told_twice_with_two_quantities_is_believed_neither_time(stage: Bench):
    trade_id = set_the_scene(stage, "first-fills")
    fault = Fault(kind=FaultKind.CONTRADICT_ROW, row=1, field_name="commission", value="0.5")
    strike(stage, fault, "first-fills")
    assert_refused(stage, stage.apply(), trade_id, INCOMPLETE)


def test_an_empty_list_of_fills_is_a_proven_empty_window_and_closes_nothing(stage: Bench):
    trade_id = set_the_scene(stage, "first-fills")
    strike(stage, EMPTY_LIST, "first-fills")
    report = stage.apply()
    assert told(report) == [(trade_id, Decision.NO_GO, Reason.MISSING_FILL_EVIDENCE)]
    assert report.outcome is Outcome.REMAINING
    assert stage.backfills() == []


def test_an_empty_list_of_orders_links_nothing_and_closes_no_more(stage: Bench):
    """Client ids that are not told leave the ENTRY to be found by its time and quantity."""
    set_the_scene(stage, "orders")
    strike(stage, EMPTY_LIST, "orders")
    stage.apply()
    assert stage.closed_by_us() <= Decimal("0.99")


@pytest.mark.parametrize("kept", (1, 37, 50, 99))
def test_a_page_cut_short_never_closes_more_and_the_next_cycle_closes_the_rest(stage: Bench, kept):
    lose_an_exit(stage, parts=PARTS)
    stage.venue.fault(Fault(kind=FaultKind.KEEP_ROWS, endpoint="userTrades", rows_kept=kept))
    stage.apply()
    assert stage.closed_by_us() <= (kept - 1) * Decimal("0.01")

    stage.venue.clear_faults()
    stage.apply()
    assert stage.closed_by_us() == Decimal("0.99")
    assert stage.apply().audit == ()


def test_a_page_cut_within_a_millisecond_leaves_a_conflict_and_no_second_row(stage: Bench):
    """The rest of the order would have the same id: told, never skipped in silence."""
    trade_id = f"t-{uuid4().hex[:8]}"
    stage.opened(trade_id, "0.99")
    stage.trade("sell", "0.99", parts=pieces(PARTS, step_ms=0))
    stage.venue.fault(Fault(kind=FaultKind.KEEP_ROWS, endpoint="userTrades", rows_kept=51))
    stage.apply()
    stage.venue.clear_faults()
    report = stage.apply()
    assert told(report) == [(trade_id, Decision.NO_GO, Reason.ORDER_ID_CONFLICT)]
    assert stage.closed_by_us() == Decimal("0.5")


def test_the_first_page_of_many_cut_short_at_a_round_number_is_read_on(stage: Bench):
    lose_an_exit(stage, parts=250)
    fault = Fault(kind=FaultKind.KEEP_ROWS, endpoint="userTrades", rows_kept=200)
    stage.venue.fault(fault.on_call(1))
    assert stage.apply().outcome is Outcome.CLEAN
    assert stage.closed_by_us() == Decimal("0.99")


# --- a world that moves while it is looked at --------------------------------------------------


def test_a_trade_opened_and_closed_between_the_readings_is_no_evidence(stage: Bench):
    """The fills show a sale whose purchase came after them: nobody's exit, though all is flat.

    The ENTRY is of an order that never filled; replayed backwards from zero, the stranger's sale
    looks like the close of a long.
    """
    stage.book("t-never", "ENTRY", "0.4", at=hours_ago(2), exchange_order_id="777")
    stage.venue.before("userTrades", lambda _: stage.trade("sell", "0.4") and None)
    stage.venue.before("positionRisk", lambda _: stage.trade("buy", "0.4") and None, call=2)
    report = stage.apply()
    assert stage.backfills() == []
    assert told(report) == [("t-never", Decision.NO_GO, INCOMPLETE)]


def test_an_apply_that_finds_the_venue_gone_before_the_write_says_so(stage: Bench):
    trade_id = set_the_scene(stage, "third-positions")
    strike(stage, Fault(kind=FaultKind.RESET), "third-positions")
    report = stage.apply()
    assert report.batch is not None
    assert report.batch.counts == {"NO_GO": 1}
    rows = stage.rows(
        "SELECT trade_id, decision FROM reconciliation_backfill_audit WHERE batch_id = %s",
        batch_id(report),
    )
    assert rows == [(trade_id, "NO_GO")]
