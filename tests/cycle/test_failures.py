"""Defects of real systems, each shown here to be none of ours; the numbers are those of the list.

What is not here stands where it would appear: reading in tests/exchange, arithmetic and attribution
in tests/core, the statement in tests/postgres, races and ends in test_races.py.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.cycle.bench import Bench, batch_id, hours_ago, sentence, told

from unghost.cycle import CycleReport
from unghost.demo.venue import Fault, FaultKind
from unghost.errors import DatabaseError
from unghost.model import Decision, Reason

TESTS = Path(__file__).parents[1]
HALF = Decimal("0.5")


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.pause()
    return bench


def no_go(trade_id: str, reason: Reason) -> tuple[str, Decision, Reason]:
    return (trade_id, Decision.NO_GO, reason)


def applied(trade_id: str, reason: Reason = Reason.FILL_EVIDENCE) -> tuple[str, Decision, Reason]:
    return (trade_id, Decision.APPLIED, reason)


def test_each_of_the_first_twenty_five_has_a_test_of_its_name():
    texts = [path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")]
    named = {int(one) for text in texts for one in re.findall(r"def test_failures_(\d+)_", text)}
    assert set(range(1, 26)) - named == set()


# --- believing too much ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    (
        Fault(kind=FaultKind.HTML),
        Fault(kind=FaultKind.EMPTY_OBJECT),
        Fault(kind=FaultKind.NULL),
        Fault(kind=FaultKind.STATUS, status=500, body="[]"),
    ),
    ids=lambda fault: fault.kind,
)
@pytest.mark.parametrize("held", (False, True))
def test_failures_1_a_position_query_without_an_answer_is_not_flat(stage, fault, held):
    """Whatever is truly there: what was not answered is not known."""
    stage.opened("t-held") if held else stage.ghost("t-held")
    stage.venue.fault(Fault(**{**vars_of(fault), "endpoint": "positionRisk"}))
    assert told(stage.apply()) == [no_go("t-held", Reason.EXCHANGE_STATE_UNKNOWN)]
    assert stage.backfills() == []


def vars_of(fault: Fault) -> dict[str, Any]:
    return {"kind": fault.kind, "status": fault.status, "body": fault.body}


def test_failures_3_two_legs_of_a_hedge_that_net_to_zero_are_not_flat(stage):
    """Each leg has a ghost, too: the one that is open blocks the other."""
    stage.world.set_mode("main", "hedge")
    stage.ghost("t-ghost", position_side="long")
    stage.opened("t-long", "2", position_side="long", at=hours_ago(2))
    stage.opened("t-short", "2", side="sell", position_side="short", at=hours_ago(2))
    assert stage.held() == 4
    report = stage.apply()
    assert told(report) == [
        no_go(name, Reason.EXCHANGE_NOT_FLAT) for name in ("t-ghost", "t-long", "t-short")
    ]
    assert stage.backfills() == []


def test_failures_5_a_close_by_hand_is_taken_only_where_nobody_else_can_have_made_it(stage):
    """The audit shows how certain it is; what the ledger accounts for is nobody else's."""
    stage.ghost("t-sure", "0.5")
    report = stage.apply()
    assert [row.attribution for row in report.audit] == ["exact_quantity"]

    _, close = stage.ghost("t-mine", "0.5", opened=hours_ago(2), closed=hours_ago(1))
    stage.book(None, "EXIT", "0.5", at=hours_ago(1), exchange_order_id=close)
    report = stage.apply()
    assert told(report) == [no_go("t-mine", Reason.MISSING_FILL_EVIDENCE)]
    assert len(stage.backfills()) == 1


def test_failures_5_a_strangers_round_trip_leaves_the_bots_lifecycle_alone(stage):
    """Somebody bought and sold by hand on the same market; the bot's own entry never filled."""
    stage.book("t-bot", "ENTRY", "0.5", at=hours_ago(5), exchange_order_id="never")
    stage.trade("buy", "0.5", at=hours_ago(4))
    stage.trade("sell", "0.5", at=hours_ago(3))
    assert told(stage.apply()) == [no_go("t-bot", Reason.AMBIGUOUS_ATTRIBUTION)]
    assert stage.backfills() == []


def test_failures_6_the_largest_of_two_does_not_get_the_only_close(stage):
    stage.opened("t-large", "0.8", at=hours_ago(5))
    stage.opened("t-small", "0.3", at=hours_ago(4))
    for _ in range(2):
        stage.trade("sell", "0.55", at=hours_ago(3))
    assert told(stage.dry_run(attribution="strict")) == [
        no_go(name, Reason.AMBIGUOUS_ATTRIBUTION) for name in ("t-large", "t-small")
    ]


def test_failures_10_an_entry_whose_order_never_filled_gets_no_exit(stage):
    stage.book("t-never", "ENTRY", "0.5", at=hours_ago(5), exchange_order_id="never")
    report = stage.apply()
    assert told(report) == [no_go("t-never", Reason.MISSING_FILL_EVIDENCE)]
    assert "no fill covers 0.5 of 0.5" in sentence(report)
    assert stage.backfills() == []


def test_failures_11_a_row_without_any_time_attributes_nothing(stage):
    """Twenty-six orders of long ago are not its exits."""
    for number in range(26):
        stage.trade("buy", "0.5", at=hours_ago(60 - number))
        stage.trade("sell", "0.5", at=hours_ago(59.5 - number))
    timeless = {"filled_at": None, "created_at": None, "updated_at": None}
    stage.book("t-1", "ENTRY", "0.5", **timeless)
    report = stage.apply()
    assert told(report) == [no_go("t-1", Reason.INVALID_LEDGER_ROW)]
    assert "has neither filled_at nor created_at" in sentence(report)
    assert stage.backfills() == []


def test_failures_11_a_row_without_filled_at_begins_where_it_was_created(stage):
    entry = stage.trade("buy", "0.5", at=hours_ago(5))
    stage.trade("sell", "0.5", at=hours_ago(3))
    created = hours_ago(5)
    stage.book("t-1", "ENTRY", "0.5", filled_at=None, created_at=created, exchange_order_id=entry)
    stage.venue.clear_requests()
    assert told(stage.apply()) == [applied("t-1")]
    (asked, *_) = stage.venue.requests("userTrades")
    since = created - timedelta(seconds=10)
    assert int(asked.params["startTime"]) == int(since.timestamp() * 1000)


# --- writing wrongly ---------------------------------------------------------------------------


def test_failures_17_the_price_is_that_of_the_fill_and_so_is_the_profit(stage):
    stage.ghost("t-1", "0.5", price="40000", exit_price="41000")
    stage.apply()
    ((profit,),) = stage.rows(
        "SELECT sum(CASE action WHEN 'EXIT' THEN 1 ELSE -1 END * quantity * price) FROM orders"
    )
    assert profit == 500


def test_failures_21_a_crash_between_intent_and_write_changes_no_id(stage, wire, wired):
    """The ids are in the record before anything is written, and the next run finds the same."""
    stage.ghost("t-1", "0.4995", symbol="ETH/USDT:USDT")
    booked_too_much(stage, "t-2")
    stage.venue.before("positionRisk", lambda _: wire.cut(), call=3)
    with pytest.raises(DatabaseError):
        stage.apply(desk=wired)
    intended = ids_of(stage, "PENDING_APPLY")
    assert len(intended) == 3
    assert stage.backfills() == []

    stage.venue.clear_faults()
    wire.mend()
    report = stage.apply(desk=wired)
    assert {decision for _, decision, _ in told(report)} == {Decision.APPLIED}
    assert ids_of(stage, "APPLIED") == intended
    assert {name for name in stage.orders() if name.startswith("BFILL-")} == intended
    assert ids_of(stage, "NO_GO") == intended
    assert ids_of(stage, "PENDING_APPLY") == set()


def booked_too_much(bench: Bench, trade_id: str) -> None:
    """2 bought and sold at 41000 for a fee of 1.25, of which the bot booked 2.0005 as bought."""
    entry = bench.trade("buy", "2", at=hours_ago(5))
    bench.book(trade_id, "ENTRY", "2.0005", at=hours_ago(5), exchange_order_id=entry)
    bench.trade("sell", "2", at=hours_ago(3), price="41000", fee=Decimal("1.25"))


def ids_of(bench: Bench, decision: str) -> set[str]:
    found = bench.rows(
        "SELECT backfill_order_id FROM reconciliation_backfill_audit WHERE decision = %s", decision
    )
    return {str(name) for (name,) in found}


def test_failures_23_a_dry_run_shows_the_numbers_that_an_apply_writes(stage):
    """No placeholder: each number that a person reviews is the one that is written."""
    booked_too_much(stage, "t-1")
    shown = numbers(stage.dry_run())
    done = numbers(stage.apply())
    assert shown == done
    assert {name[:2] for name in shown} == {("t-1", Decimal(2)), ("t-1", Decimal("0.0005"))}
    written = stage.rows(
        "SELECT trade_id, quantity, price, fee, filled_at FROM orders WHERE order_id LIKE 'BFILL-%'"
    )
    assert set(written) == shown
    assert all(price == 41000 for _, _, price, _, _ in shown)
    assert {fee for _, _, _, fee, _ in shown} == {Decimal("1.25"), None}


def numbers(report: CycleReport) -> set[tuple[Any, ...]]:
    return {
        (row.trade_id, row.filled_qty, row.price, row.fee, row.filled_at) for row in report.audit
    }


def test_failures_24_what_arrives_after_the_review_is_not_acted_on(stage):
    stage.ghost("t-1")
    plan = batch_id(stage.dry_run())
    stage.ghost("t-2", symbol="ETH/USDT:USDT")
    report = stage.apply(plan=plan)
    assert told(report) == [applied("t-1"), no_go("t-2", Reason.PLAN_DRIFT)]
    assert [row[0] for row in stage.backfills()] == ["t-1"]


def test_failures_25_what_stays_refused_is_asked_again_in_bounds(stage):
    """A hundred cycles later there is one refusal a cycle, one event, and no more calls each."""
    stage.book("t-never", "ENTRY", "0.5", at=hours_ago(5), exchange_order_id="never")
    costs = []
    for _ in range(4):
        stage.venue.clear_requests()
        assert told(stage.apply()) == [no_go("t-never", Reason.MISSING_FILL_EVIDENCE)]
        costs.append(len(stage.venue.requests()))
    assert len(set(costs[1:])) == 1
    told_of = stage.rows(
        "SELECT event_type, count(*) FROM reconciliation_event GROUP BY 1 ORDER BY 1"
    )
    assert told_of == [("BATCH_FINISHED", 4), ("EXCHANGE_STATE_MISMATCH", 1)]
