"""EXCHANGE_STATE_MISMATCH: told once per profile and symbol in a span, by whoever comes first."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from decimal import Decimal

from tests.cycle.bench import ETH, PROFILE, Bench, batch_id, hours_ago

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.events import EventLog
from unghost.cycle import BATCH_FINISHED_EVENT, run_cycle
from unghost.demo.venue import Fault, FaultKind
from unghost.ports import MISMATCH_EVENT

BTC_EVENT, ETH_EVENT = (PROFILE, "BTC/USDT:USDT"), (PROFILE, ETH)


def events(bench: Bench) -> list[tuple[str, str]]:
    """(profile, symbol) of every mismatch stored, oldest first."""
    return bench.rows(
        "SELECT profile_id, symbol FROM reconciliation_event WHERE event_type = %s"
        " ORDER BY event_id",
        MISMATCH_EVENT,
    )


def test_a_ghost_is_told_once_however_many_it_has_and_however_often_one_looks(bench):
    bench.ghost("t-1")
    bench.ghost("t-2", "0.3", opened=hours_ago(2), closed=hours_ago(1))
    reports = [bench.dry_run(), bench.dry_run(), bench.apply()]
    assert [len(report.events) for report in reports] == [1, 0, 0]
    assert events(bench) == [BTC_EVENT]
    (event,) = reports[0].events
    assert event.payload["lifecycles"] == ["t-1", "t-2"]
    assert (event.payload["count"], Decimal(event.payload["open_qty"])) == (2, Decimal("0.8"))


def test_each_symbol_and_each_profile_for_itself(bench):
    both = (PROFILE, "other")
    bench.ghost("t-1")
    bench.ghost("t-2", "2", symbol=ETH)
    bench.ghost("t-3", "0.3", profile_id="other")
    bench.dry_run(bench.new_desk(PROFILE, both))
    bench.dry_run(bench.new_desk("other", both))
    assert events(bench) == [BTC_EVENT, ETH_EVENT, ("other", "BTC/USDT:USDT")]


def test_two_desks_with_databases_of_their_own_share_the_throttle(bench):
    bench.ghost("t-1")
    with closing(Database(bench.service_url)) as another:
        first = bench.dry_run()
        second = bench.dry_run(bench.new_desk(database=another))
        enabled = replace(bench.new_desk(database=another), enabled=False)
        third = run_cycle(enabled, actor="tester")
    assert [len(one.events) for one in (first, second, third)] == [1, 0, 0]
    assert events(bench) == [BTC_EVENT]


def test_after_the_span_it_is_told_again(bench):
    bench.ghost("t-1")
    bench.dry_run()
    bench.run("UPDATE reconciliation_event SET created_at = created_at - interval '301 seconds'")
    assert len(bench.dry_run().events) == 1


def test_the_span_is_the_setting(bench):
    bench.ghost("t-1")
    desk = replace(bench.desk, throttle_ms=0)
    assert [len(bench.dry_run(desk).events) for _ in range(2)] == [1, 1]


def test_a_market_that_is_open_or_unknown_is_no_mismatch(bench):
    bench.opened("t-1")
    assert bench.dry_run().events == ()
    bench.trade("sell", "0.5", at=hours_ago(1))
    bench.venue.fault(Fault(kind=FaultKind.NULL, endpoint="positionRisk"))
    assert bench.dry_run().events == ()
    bench.venue.clear_faults()
    bench.venue.fault(Fault(kind=FaultKind.NULL, endpoint="positionRisk").since_call(2))
    assert bench.dry_run().events == ()
    assert events(bench) == []


def test_a_ghost_that_was_repaired_is_no_mismatch(bench):
    bench.ghost("t-1")
    bench.pause()
    bench.apply()
    bench.run("TRUNCATE reconciliation_event")
    assert bench.apply().events == ()
    assert events(bench) == []


def test_failures_25_a_market_that_stays_a_ghost_fills_no_log(bench):
    """Bounded: one event in the span, however often the same refusal is found again."""
    bench.book("t-1", "ENTRY", "0.5", exchange_order_id="777")
    bench.pause()
    for _ in range(5):
        bench.apply()
    assert events(bench) == [BTC_EVENT]
    told = EventLog(bench.database).counts(PROFILE)
    assert told == {MISMATCH_EVENT: 1, BATCH_FINISHED_EVENT: 5}


def test_a_batchs_event_and_report_tell_where_the_chain_of_the_record_ends(bench):
    bench.ghost("t-1")
    bench.pause()
    report = bench.apply()
    ((payload,),) = bench.rows(
        "SELECT payload FROM reconciliation_event WHERE event_type = %s", BATCH_FINISHED_EVENT
    )
    assert payload["head"] == str(report.head) == str(bench.desk.ledger.chain_head())
    assert (payload["batch_id"], payload["counts"]) == (batch_id(report), {"APPLIED": 1})
    assert verify(bench.database, kept=report.head).whole
