"""The record: batches and audit rows, and that nothing can rewrite them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.postgres.test_ledger_shapes import (
    NOON,
    add,
    apply,
    batch_of,
    entry_of,
    exit_of,
    ledger_over,
    our_row,
    table,
)

from unghost.errors import BatchNotFoundError, DatabaseError
from unghost.model import (
    AuditEntry,
    BatchStatus,
    Decision,
    Interrupted,
    Mode,
    Reason,
    Settlement,
)

AUDIT = "SELECT * FROM reconciliation_backfill_audit ORDER BY audit_id"


def refusal(**evidence: Any) -> AuditEntry:
    return AuditEntry(
        key=exit_of().key,
        decision=Decision.NO_GO,
        reason=Reason.EXCHANGE_NOT_FLAT,
        filled_qty=None,
        open_qty=Decimal("NaN"),
        remainder_qty=None,
        candidate=None,
        backfill_order_id=None,
        fingerprint=None,
        evidence=evidence,
    )


# --- batches -----------------------------------------------------------------------------------


def test_a_batch_from_start_to_finish(database):
    ledger = ledger_over(database)
    before = ledger.now()
    with ledger.running_batch(
        profile_id="main",
        mode=Mode.DRY_RUN,
        actor="anna",
        settings={"dust": Decimal("0.001"), "hours": 72},
        plan_batch_id=None,
        notes=["a note"],
    ) as batch_id:
        assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", batch_id)
        stamp = datetime.strptime(batch_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert before - timedelta(seconds=1) <= stamp <= ledger.now()
        running = ledger.batch(batch_id)
        assert running is not None
        assert (running.status, running.finished_at) == (BatchStatus.RUNNING, None)
        assert running.settings == {"dust": "0.001", "hours": 72}
        ledger.write_audit(
            batch_id, actor="anna", entries=[refusal(), entry_of(exit_of(), Decision.DRY_RUN)]
        )
        finished = ledger.finish_batch(
            batch_id, status=BatchStatus.FINISHED, calls={"fetch_positions": 2}, notes=["another"]
        )
    assert finished == ledger.batch(batch_id)
    assert finished.counts == {"DRY_RUN": 1, "NO_GO": 1}
    assert finished.calls == {"fetch_positions": 2}
    assert finished.notes == ("a note", "another")
    assert finished.finished_at is not None
    assert finished.finished_at > before


def test_a_batch_ends_once(database):
    ledger = ledger_over(database)
    batch_id = batch_of(ledger)
    finished = ledger.finish_batch(batch_id, status=BatchStatus.FINISHED, calls={})
    with pytest.raises(DatabaseError, match=f"batch {batch_id} is finished already"):
        ledger.finish_batch(batch_id, status=BatchStatus.FAILED, calls={})
    assert ledger.batch(batch_id) == finished


def test_batches_newest_first_of_one_profile(database):
    ledger = ledger_over(database)
    ids = [batch_of(ledger) for _ in range(3)]
    with ledger.running_batch(
        profile_id="other", mode=Mode.APPLY, actor="a", settings={}, plan_batch_id=ids[0]
    ):
        pass
    assert [one.batch_id for one in ledger.batches("main", limit=2)] == ids[:0:-1]


def test_what_does_not_exist_is_told(database):
    ledger = ledger_over(database)
    assert ledger.batch("none") is None
    assert ledger.audit_rows(batch_id="none") == ()
    with pytest.raises(BatchNotFoundError):
        ledger.finish_batch("none", status=BatchStatus.FAILED, calls={})
    with pytest.raises(BatchNotFoundError):
        ledger.write_audit("none", actor="a", entries=[refusal()])
    nothing = ledger.running_batch(
        profile_id="main", mode=Mode.DRY_RUN, actor="a", settings={}, plan_batch_id="none"
    )
    with pytest.raises(BatchNotFoundError), nothing:
        pytest.fail("it was started")


# --- audit -------------------------------------------------------------------------------------


def test_an_audit_row_holds_the_whole_candidate(database):
    ledger = ledger_over(database)
    candidate = exit_of(quantity=Decimal("0.10"))
    batch_id = batch_of(ledger, entry_of(candidate, Decision.PENDING_APPLY))
    (row,) = ledger.audit_rows(batch_id=batch_id)
    assert row.exchange_client_order_id == "x-client"
    assert row.exchange_order_id == "77"
    assert row.backfill_order_id == candidate.order_id
    assert (row.filled_qty, row.open_qty) == (Decimal("0.10"), Decimal(1))
    assert row.remainder_qty == Decimal(0)
    assert (row.price, row.fee, row.fee_currency) == (Decimal("101.5"), Decimal("0.04"), "USDT")
    assert (row.attribution, row.fingerprint, row.actor) == ("id_link", "f", "anna")
    assert row.filled_at == NOON + timedelta(minutes=5)
    assert (row.decision, row.reason) == (Decision.PENDING_APPLY, Reason.FILL_EVIDENCE)
    assert row.reverted_at is None


def test_ids_come_in_the_order_given_also_for_many(database):
    ledger = ledger_over(database)
    batch_id = batch_of(ledger)
    entries = [refusal(number=number) for number in range(2000)]
    ids = ledger.write_audit(batch_id, actor="a", entries=entries)
    rows = {row.audit_id: row.evidence["number"] for row in ledger.audit_rows(batch_id=batch_id)}
    assert [rows[audit_id] for audit_id in ids] == list(range(2000))
    assert ledger.write_audit(batch_id, actor="a", entries=[]) == ()


@dataclass(frozen=True)
class _Reading:
    size: Decimal


def test_evidence_is_exact_json_whatever_an_exchange_sent(database):
    ledger = ledger_over(database)
    evidence = {
        "size": Decimal("0.1000000000000000000001"),
        "odd": Decimal("NaN"),
        "at": NOON,
        "reason": Reason.FILL_EVIDENCE,
        "reading": _Reading(size=Decimal("1.50")),
        "ids": frozenset({"b", "a"}),
        "nested": [{"x": (1, None, True)}],
        "ratio": float("inf"),
        "half": 0.5,
        7: "nul \0 and half a pair \ud800",
        "raw": b"x",
    }
    batch_id = batch_of(ledger, refusal(), refusal(**{str(k): v for k, v in evidence.items()}))
    row, _ = ledger.audit_rows(batch_id=batch_id)
    assert row.evidence == {
        "size": "0.1000000000000000000001",
        "odd": "NaN",
        "at": "2026-02-01T12:00:00+00:00",
        "reason": "fill_evidence",
        "reading": {"size": "1.50"},
        "ids": ["a", "b"],
        "nested": [{"x": [1, None, True]}],
        "ratio": "inf",
        "half": 0.5,
        "7": "nul \ufffd and half a pair ?",
        "raw": "b'x'",
    }
    assert row.open_qty is not None
    assert row.open_qty.is_nan()


def test_audit_rows_by_every_filter_newest_first(database):
    ledger = ledger_over(database)
    batch_id = batch_of(
        ledger,
        entry_of(exit_of(), Decision.DRY_RUN),
        entry_of(exit_of(trade_id="t2", symbol="ETHUSDT"), Decision.DRY_RUN),
        refusal(),
    )
    batch_of(ledger, entry_of(exit_of(profile_id="other"), Decision.DRY_RUN))

    def found(**filters):
        return [
            (row.profile_id, row.trade_id, row.decision.value)
            for row in ledger.audit_rows(**filters)
        ]

    first, second = ("main", "t1", "DRY_RUN"), ("main", "t2", "DRY_RUN")
    stopped, other = ("main", "t1", "NO_GO"), ("other", "t1", "DRY_RUN")
    assert found() == [other, stopped, second, first]
    assert found(batch_id=batch_id) == [stopped, second, first]
    assert found(profile_id="main", trade_id="t1") == [stopped, first]
    assert found(symbol="ETHUSDT") == [second]
    assert found(decision=Decision.NO_GO) == [stopped]
    assert found(limit=1) == [other]


@pytest.mark.parametrize(
    "statement",
    (
        "DELETE FROM reconciliation_backfill_audit",
        "TRUNCATE reconciliation_backfill_audit",
        "TRUNCATE reconciliation_backfill_batch CASCADE",
        "UPDATE reconciliation_backfill_audit SET actor = 'nobody'",
        "UPDATE reconciliation_backfill_audit SET filled_qty = 2",
        "UPDATE reconciliation_backfill_audit SET filled_qty = NULL",
        "UPDATE reconciliation_backfill_audit SET evidence = '{}'",
        "UPDATE reconciliation_backfill_audit SET created_at = now()",
        "UPDATE reconciliation_backfill_audit SET fingerprint = NULL",
        "UPDATE reconciliation_backfill_audit SET decision = 'PENDING_APPLY'",
        "UPDATE reconciliation_backfill_audit SET decision = 'APPLIED' WHERE decision = 'DRY_RUN'",
        "UPDATE reconciliation_backfill_audit SET reason = 'dust_remainder' WHERE attribution > ''",
    ),
)
def test_an_audit_row_cannot_be_rewritten_or_removed(database, statement):
    ledger = ledger_over(database)
    batch_of(
        ledger,
        entry_of(exit_of(), Decision.DRY_RUN, evidence={"a": 1}),
        entry_of(exit_of(), Decision.APPLIED),
    )
    before = table(database, AUDIT)
    with pytest.raises(DatabaseError), database.transaction() as conn:
        conn.execute(statement)
    with pytest.raises(DatabaseError), database.transaction() as conn:
        conn.execute(f"SET LOCAL session_replication_role = replica; {statement}")
    assert table(database, AUDIT) == before


def test_of_a_batch_that_is_being_rolled_back_nothing_more_is_settled_as_written(database):
    """Here one row of an earlier chunk was, by its trade; the intent of the next one came later."""
    ledger = ledger_over(database)
    batch_id = batch_of(ledger, entry_of(exit_of(), Decision.NO_GO))
    ledger.rollback(batch_id, actor="anna", trade_id="t1")
    later = entry_of(exit_of(trade_id="t2"), Decision.PENDING_APPLY)
    (audit_id,) = ledger.write_audit(batch_id, actor="anna", entries=[later])
    written = Settlement(audit_id=audit_id, decision=Decision.APPLIED, reason=Reason.FILL_EVIDENCE)
    given_up = Settlement(audit_id=audit_id, decision=Decision.NO_GO, reason=Reason.INTERRUPTED)
    with ledger.writing("desk") as transaction:
        assert transaction.settle([written]) == 0
        assert transaction.settle([given_up]) == 1


def test_settling_moves_only_what_is_pending(database):
    ledger = ledger_over(database)
    batch_id = batch_of(
        ledger,
        entry_of(exit_of(), Decision.PENDING_APPLY),
        entry_of(exit_of(trade_id="t2"), Decision.PENDING_APPLY),
        refusal(),
    )
    ids = sorted(row.audit_id for row in ledger.audit_rows(batch_id=batch_id))
    changed = Reason.LEDGER_CHANGED
    wanted = [
        Settlement(audit_id=ids[0], decision=Decision.APPLIED, reason=Reason.FILL_EVIDENCE),
        Settlement(audit_id=ids[1], decision=Decision.NO_GO, reason=changed),
        Settlement(audit_id=ids[2], decision=Decision.APPLIED, reason=Reason.FILL_EVIDENCE),
        Settlement(audit_id=ids[2] + 9, decision=Decision.APPLIED, reason=Reason.FILL_EVIDENCE),
    ]
    with ledger.writing("desk") as transaction:
        assert transaction.settle(wanted) == 2
        assert transaction.settle(wanted) == 0
        assert transaction.settle([]) == 0
    decided = {row.audit_id: (row.decision, row.reason) for row in ledger.audit_rows()}
    assert decided == {
        ids[0]: (Decision.APPLIED, Reason.FILL_EVIDENCE),
        ids[1]: (Decision.NO_GO, changed),
        ids[2]: (Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT),
    }


# --- a run that died ---------------------------------------------------------------------------


def test_an_intent_becomes_what_orders_holds(database):
    ledger = ledger_over(database)
    for number in range(1, 6):
        add(database, order_id=f"e{number}", trade_id=f"t{number}")
    written, unwritten, earlier, undone, taken = (
        exit_of(trade_id=f"t{number}") for number in range(1, 6)
    )
    apply(ledger, earlier)
    old = apply(ledger, undone)
    ledger.rollback(old, actor="anna")
    with ledger.writing("desk") as transaction:
        transaction.insert_backfills([written, taken])
    with database.transaction() as conn:
        conn.execute("UPDATE orders SET quantity = 9 WHERE order_id = %s", [taken.order_id])
    pending = [
        entry_of(one, Decision.PENDING_APPLY)
        for one in (written, unwritten, earlier, undone, taken)
    ]
    batch_id = batch_of(ledger, *pending, refusal())
    before = table(database)
    with ledger.applying("desk"):
        assert ledger.close_interrupted("desk", ["other"]) == Interrupted()
        settled = ledger.close_interrupted("desk", ["main", "other"])
        assert ledger.close_interrupted("desk", ["main"]) == Interrupted()
    rows = {row.trade_id: row for row in ledger.audit_rows(batch_id=batch_id) if row.filled_qty}
    assert settled.audit_ids == tuple(sorted(row.audit_id for row in rows.values()))
    assert batch_id in settled.batch_ids
    assert {name: (row.decision.value, row.reason.value) for name, row in rows.items()} == {
        "t1": ("APPLIED", "fill_evidence"),
        "t2": ("NO_GO", "interrupted_before_apply"),
        "t3": ("SKIP_EXISTING", "backfill_exists"),
        "t4": ("SKIP_EXISTING", "backfill_rolled_back"),
        "t5": ("NO_GO", "order_id_conflict"),
    }
    dead = ledger.batch(batch_id)
    assert dead is not None
    assert (dead.status, dead.counts) == (
        BatchStatus.INTERRUPTED,
        {"APPLIED": 1, "NO_GO": 3, "SKIP_EXISTING": 2},
    )
    assert dead.finished_at is not None
    assert table(database) == before


def test_a_finished_batch_that_is_settled_late_stays_finished(database):
    ledger = ledger_over(database)
    add(database)
    batch_id = batch_of(ledger, entry_of(exit_of(), Decision.PENDING_APPLY))
    ledger.finish_batch(batch_id, status=BatchStatus.FAILED, calls={})
    assert ledger.close_interrupted("desk", ["main"]).batch_ids == ()
    batch = ledger.batch(batch_id)
    assert batch is not None
    assert (batch.status, batch.counts) == (BatchStatus.FAILED, {"NO_GO": 1})


def test_nothing_of_ours_leaves_a_mark_in_the_bots_rows(database):
    ledger = ledger_over(database)
    add(database)
    before = table(database)
    batch_id = apply(ledger, exit_of())
    ledger.rollback(batch_id, actor="anna")
    assert [row for row in table(database) if row["order_id"] == "e1"] == before
    assert our_row(database)["status"] == "canceled"


def test_documents_keep_apart_whatever_is_in_them(database):
    """They travel as one text, with a control character between them."""
    ledger = ledger_over(database)
    texts = ["\x1e", '"\x1e"', "\\u001e", "\\u0000", "\0", "\ud800", "\U0001f600", "{}", ""]
    batch_id = batch_of(ledger, *(refusal(said=text) for text in texts))
    rows = sorted(ledger.audit_rows(batch_id=batch_id), key=lambda row: row.audit_id)
    stored = ["\ufffd", "?"]
    assert [row.evidence["said"] for row in rows] == [*texts[:4], *stored, *texts[6:]]
    (row,) = ledger.audit_rows(batch_id=batch_of(ledger, refusal(said="alone")))
    assert row.evidence == {"said": "alone"}
