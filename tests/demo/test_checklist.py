"""The checklist's own statements, word for word, see what unghost says it has done."""

from __future__ import annotations

from decimal import Decimal

from unghost.demo.cases import CASES
from unghost.demo.sample import PROFILE
from unghost.rollback import reinstate, roll_back

ALL = {case.trade_id for case in CASES}
REFUSED = {case.trade_id for case in CASES if not case.repaired}
WRITTEN = sum(case.rows for case in CASES)
HELD_BACK = len(REFUSED)


def trades(rows):
    return {row["trade_id"] for row in rows}


def decisions(rows):
    return {row["decision"]: row["rows"] for row in rows}


def test_before_the_apply(scene):
    found = scene.ask("1")
    assert trades(found) == ALL
    by_trade = {row["trade_id"]: row["open_qty"] for row in found}
    assert by_trade["t-2015"] == Decimal("0.30696933")
    assert by_trade["t-2006"] == Decimal("0.0007")
    assert [(row["symbol"], row["trade_id"]) for row in found] == sorted(
        (row["symbol"], row["trade_id"]) for row in found
    )

    report = scene.dry_run()
    verified = scene.ask("5")
    assert len(verified) == WRITTEN + HELD_BACK
    assert {row["batch_id"] for row in verified} == {report.batch.batch_id}
    assert {row["decision"] for row in verified} == {"DRY_RUN", "NO_GO"}
    assert scene.ask("5b") == [{"dry_run_backfill_rows": 0}]
    assert scene.ask("7") == []
    assert trades(scene.ask("8")) == ALL
    assert decisions(scene.ask("8b")) == {"DRY_RUN": WRITTEN, "NO_GO": HELD_BACK}


def test_after_the_apply(scene):
    report = scene.apply(scene.dry_run().batch.batch_id)
    assert trades(scene.ask("1")) == REFUSED
    assert scene.ask("5b") == [{"dry_run_backfill_rows": WRITTEN}]
    written = scene.ask("7")
    assert len(written) == WRITTEN
    assert {(row["profile_id"], row["action"], row["status"]) for row in written} == {
        (PROFILE, "EXIT", "filled")
    }
    assert all(row["qty"] > 0 and row["price"] > 0 and row["filled_at"] for row in written)
    assert {row["order_id"] for row in written} == {
        row.backfill_order_id for row in report.audit if row.decision == "APPLIED"
    }
    assert trades(scene.ask("8")) == REFUSED
    assert decisions(scene.ask("8b")) == {
        "APPLIED": WRITTEN,
        "DRY_RUN": WRITTEN,
        "NO_GO": 2 * HELD_BACK,
    }


def everything_but_status(scene):
    return scene.sql(
        "SELECT to_jsonb(o) - 'status' - 'updated_at' FROM orders AS o ORDER BY order_id"
    )


def test_after_a_rollback_by_the_checklists_own_statements(scene):
    batch_id = scene.apply(scene.dry_run().batch.batch_id).batch.batch_id
    before = everything_but_status(scene)
    scene.ask("9", batch_id=batch_id)
    scene.ask("9b", batch_id=batch_id)
    assert everything_but_status(scene) == before
    assert {row["status"] for row in scene.ask("7")} == {"canceled"}
    assert trades(scene.ask("1")) == trades(scene.ask("8")) == ALL
    assert decisions(scene.ask("8b"))["APPLIED"] == WRITTEN
    unmarked = scene.sql(
        "SELECT batch_id FROM reconciliation_backfill_audit WHERE reverted_at IS NULL"
    )
    assert (batch_id,) not in unmarked

    reinstate(scene.desk, batch_id, actor="tester")
    assert everything_but_status(scene) == before
    assert trades(scene.ask("8")) == REFUSED


def test_the_product_rolls_back_what_the_statement_does(scene):
    batch_id = scene.apply(scene.dry_run().batch.batch_id).batch.batch_id
    roll_back(scene.desk, batch_id, actor="tester")
    ours = scene.sql("SELECT order_id, status FROM orders ORDER BY order_id")
    scene.ask("9", batch_id=batch_id)
    assert scene.sql("SELECT order_id, status FROM orders ORDER BY order_id") == ours
