"""The numbered invariants on a database: 5, 7 and 8; 6 is in test_undo.py, 9 in test_races.py.

One ledger of all sorts stands for many; the properties over generated worlds are in tests/core.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.cycle.bench import Bench, batch_id, hours_ago, told

from unghost.cycle import CycleReport
from unghost.demo.venue import Fault, FaultKind
from unghost.detect import detect
from unghost.model import Decision, Reason
from unghost.rollback import reinstate, roll_back

ETH, SOL = "ETH/USDT:USDT", "SOL/USDT:USDT"
TESTS = Path(__file__).parents[1]


@pytest.fixture
def stage(bench: Bench) -> Bench:
    """A ghost of each sort: whole, in parts, by hand over two, with dust, and one that stays."""
    bench.ghost("t-whole", opened=hours_ago(50), closed=hours_ago(49))
    bench.opened("t-parts", "0.4", at=hours_ago(40))
    for hours in (39.0, 38.0):
        bench.trade("sell", "0.2", at=hours_ago(hours))
    for trade_id, hours in (("t-first", 30.0), ("t-second", 29.5)):
        bench.opened(trade_id, "1", symbol=ETH, at=hours_ago(hours))
    bench.trade("sell", "2", symbol=ETH, at=hours_ago(28))
    entry = bench.trade("buy", "50", symbol=SOL, at=hours_ago(20))
    bench.book(
        "t-dust", "ENTRY", "50.05", symbol="SOLUSDT", at=hours_ago(20), exchange_order_id=entry
    )
    bench.trade("sell", "50", symbol=SOL, at=hours_ago(19))
    bench.book("t-never", "ENTRY", "5", symbol="XRPUSDT", at=hours_ago(10))
    bench.pause()
    return bench


def assert_audit_is_the_ledger(bench: Bench) -> None:
    """What is written is in the record as applied, by the same numbers, and the other way round."""
    written = bench.rows(
        "SELECT order_id, profile_id, symbol, trade_id, quantity, price, fee, filled_at"
        " FROM orders WHERE order_id LIKE 'BFILL-%' ORDER BY order_id"
    )
    recorded = bench.rows(
        "SELECT backfill_order_id, profile_id, symbol, trade_id, filled_qty, price, fee, filled_at"
        " FROM reconciliation_backfill_audit WHERE decision = 'APPLIED' ORDER BY backfill_order_id"
    )
    pending = bench.rows(
        "SELECT audit_id FROM reconciliation_backfill_audit WHERE decision = 'PENDING_APPLY'"
    )
    assert written == recorded
    assert pending == []


def test_each_invariant_has_a_test_of_its_number():
    texts = [path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")]
    named = {
        int(one) for text in texts for one in re.findall(r"def test_(?:invariant_)?(\d)_", text)
    }
    assert named == set(range(1, 10))


# 5 ---------------------------------------------------------------------------------------------


def test_invariant_5_apply_then_apply_again_finds_nothing_new(stage):
    first = stage.apply()
    assert sum(row.decision is Decision.APPLIED for row in first.audit) == 7
    after = stage.digest()
    for _ in range(2):
        again = stage.apply()
        assert told(again) == [("t-never", Decision.NO_GO, Reason.MISSING_FILL_EVIDENCE)]
        assert stage.digest() == after
    assert_audit_is_the_ledger(stage)


def test_invariant_5_apply_then_detect_finds_what_was_refused_and_no_more(stage):
    before = {one.key.trade_id for one in detect(stage.desk.ledger, ["main"])}
    report = stage.apply()
    after = {one.key.trade_id for one in detect(stage.desk.ledger, ["main"])}
    refused = {row.trade_id for row in report.audit if row.decision is Decision.NO_GO}
    assert before == {"t-whole", "t-parts", "t-first", "t-second", "t-dust", "t-never"}
    assert after == refused == {"t-never"}


# 7 ---------------------------------------------------------------------------------------------


def test_invariant_7_dry_runs_leave_orders_untouched_and_say_the_same_each_time(stage):
    before = stage.orders()
    first, second = stage.dry_run(), stage.dry_run()
    assert stage.orders() == before
    assert told(first) == told(second)
    applied = stage.apply(plan=batch_id(second))
    assert prints(first) == prints(second) == prints(applied)
    assert prints(first).keys() == {name for name in stage.orders() if name.startswith("BFILL-")}


def prints(report: CycleReport) -> dict[str, str | None]:
    """The fingerprint of each row that is written, or would be."""
    return {row.backfill_order_id: row.fingerprint for row in report.audit if row.backfill_order_id}


# 8 ---------------------------------------------------------------------------------------------


def resume(bench: Bench) -> None:
    bench.resume()


def forget_the_pause(bench: Bench) -> None:
    bench.run("DELETE FROM trading_profile")


def open_everything(bench: Bench) -> None:
    for symbol in ("BTC/USDT:USDT", ETH, SOL):
        bench.trade("buy", "1", symbol=symbol, at=hours_ago(1))


def answer_nothing(bench: Bench) -> None:
    bench.venue.fault(Fault(kind=FaultKind.HTML, endpoint="positionRisk"))


def cut_the_fills(bench: Bench) -> None:
    bench.venue.fault(Fault(kind=FaultKind.CUT_JSON, endpoint="userTrades"))


def for_each_trade(statement: str) -> Callable[[Bench], None]:
    def work(bench: Bench) -> None:
        bench.run(statement)

    return work


COPY = (
    "INSERT INTO orders (order_id, profile_id, symbol, trade_id, action, side, status, quantity,"
    " filled_at, created_at, updated_at) SELECT 'more-' || order_id, profile_id, symbol, trade_id,"
    " 'EXIT', 'sell', {status}, {quantity}, {at}, {at}, {at} FROM orders"
)
LONG_AGO = "filled_at"
CLOSED: dict[str, tuple[Callable[[Bench], None], Reason]] = {
    "running": (resume, Reason.PROFILE_NOT_PAUSED),
    "never paused": (forget_the_pause, Reason.PROFILE_NOT_PAUSED),
    "open": (open_everything, Reason.EXCHANGE_NOT_FLAT),
    "unread": (answer_nothing, Reason.EXCHANGE_STATE_UNKNOWN),
    "pending": (
        for_each_trade(COPY.format(status="'new'", quantity="0", at=LONG_AGO)),
        Reason.PENDING_LIFECYCLE_BLOCKER,
    ),
    "touched": (
        for_each_trade(COPY.format(status="'canceled'", quantity="0", at="now()")),
        Reason.RECENT_ACTIVITY,
    ),
    "odd": (
        for_each_trade(COPY.format(status="'filled'", quantity="NULL", at=LONG_AGO)),
        Reason.INVALID_LEDGER_ROW,
    ),
    "cut": (cut_the_fills, Reason.FILL_EVIDENCE_INCOMPLETE),
}


@pytest.mark.parametrize("name", CLOSED)
def test_invariant_8_no_write_while_a_gate_is_closed_or_unknown(stage, name):
    """Neither by an apply of its own, nor by one that is pinned to a plan from better times."""
    plan = batch_id(stage.dry_run())
    close, reason = CLOSED[name]
    close(stage)
    for report, drift in ((stage.apply(), set()), (stage.apply(plan=plan), {Reason.PLAN_DRIFT})):
        mine = [row for row in report.audit if row.trade_id != "t-never"]
        assert {row.decision for row in mine} == {Decision.NO_GO}
        assert {row.reason for row in mine} == {reason} | drift
        assert {row.trade_id for row in mine} == {
            "t-whole",
            "t-parts",
            "t-first",
            "t-second",
            "t-dust",
        }
    assert stage.backfills() == []
    assert_audit_is_the_ledger(stage)


def test_invariant_8_the_record_and_the_rows_agree_through_undo_and_redo(stage):
    applied = batch_id(stage.apply())
    for _ in range(2):
        roll_back(stage.desk, applied, actor="tester")
        assert stage.closed_by_us() == 0
        stage.apply()
        assert_audit_is_the_ledger(stage)
        reinstate(stage.desk, applied, actor="tester")
        assert stage.closed_by_us() == Decimal("0.5") + Decimal("0.4") + 2 + Decimal("50.05")
        assert_audit_is_the_ledger(stage)
