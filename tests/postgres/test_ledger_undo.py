"""Rollback and reinstate next to section 9 of the checklist."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.postgres.test_ledger_shapes import (
    NOON,
    STANDARD,
    add,
    apply,
    batch_of,
    entry_of,
    exit_of,
    ledger_over,
    our_row,
    table,
)

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.errors import BatchNotFoundError, DatabaseError, LedgerSchemaError, RefusedError
from unghost.model import Decision, InsertOutcome, LifecycleKey, Reason

ROLLBACK = """
UPDATE orders
SET
status = 'canceled',
updated_at = now()
WHERE order_id IN (
SELECT backfill_order_id
FROM reconciliation_backfill_audit
WHERE batch_id = '<<BATCH_ID>>'
AND decision IN ('APPLIED', 'SKIP_EXISTING')
AND backfill_order_id IS NOT NULL
);
"""
MARK = """
UPDATE reconciliation_backfill_audit
SET reverted_at = now()
WHERE batch_id = '<<BATCH_ID>>';
"""
BOOKS = "SELECT * FROM reconciliation_backfill_audit ORDER BY audit_id"
EVENTS = "SELECT event_type, profile_id, payload FROM reconciliation_event ORDER BY event_id"


def reinstate(ledger: PostgresLedger, batch_id: str, **limits):
    with ledger.writing("desk") as transaction:
        return transaction.reinstate(batch_id, **limits)


def two_trades(database: Database) -> tuple[PostgresLedger, str]:
    """A ledger with two lifecycles that one batch has closed."""
    ledger = ledger_over(database)
    add(database)
    add(database, order_id="e2", trade_id="t2", symbol="ETHUSDT")
    return ledger, apply(ledger, exit_of(), exit_of(trade_id="t2", symbol="ETHUSDT"))


def statuses(database: Database) -> dict[str, Any]:
    return {row["trade_id"]: row["status"] for row in ours(database)}


def ours(database: Database) -> list[dict[str, Any]]:
    return [row for row in table(database) if row["order_id"].startswith("BFILL-")]


def without(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


# --- rollback ----------------------------------------------------------------------------------


def test_a_rollback_changes_status_updated_at_and_the_mark_alone(database):
    ledger, batch_id = two_trades(database)
    rows, books = table(database), table(database, BOOKS)
    changes = ledger.rollback(batch_id, actor="anna")
    assert changes == tuple(sorted(changes, key=lambda one: one.order_id))
    assert {one.key.trade_id for one in changes} == {"t1", "t2"}
    assert {(one.status_before, one.status_after) for one in changes} == {("filled", "canceled")}
    assert {(one.batch_id, one.first_batch_id) for one in changes} == {(batch_id, batch_id)}
    assert {one.quantity for one in changes} == {Decimal(1)}
    assert without(table(database), "status", "updated_at") == without(rows, "status", "updated_at")
    assert without(table(database, BOOKS), "reverted_at") == without(books, "reverted_at")
    assert statuses(database) == {"t1": "canceled", "t2": "canceled"}
    assert all(row["reverted_at"] is not None for row in table(database, BOOKS))
    assert len(ledger.open_lifecycles(["main"])) == 2


def test_a_rollback_thrice_is_a_rollback_once(database):
    ledger, batch_id = two_trades(database)
    preview = ledger.rollback_preview(batch_id)
    assert ledger.rollback(batch_id, actor="anna") == preview
    rows, books = table(database), table(database, BOOKS)
    for _ in range(2):
        assert ledger.rollback_preview(batch_id) == ()
        assert ledger.rollback(batch_id, actor="anna") == ()
    assert (table(database), table(database, BOOKS)) == (rows, books)
    assert len(table(database, EVENTS)) == 1


@given(
    decisions=st.lists(
        st.tuples(
            st.sampled_from(list(Decision)),
            st.sampled_from(["filled", "canceled", "new", None]),
            st.booleans(),
        ),
        max_size=6,
    )
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_rollback_ends_as_the_checklists_statements_end(database, decisions):
    ledger = ledger_over(database)
    entries, others = [], []
    for number, (decision, status, named) in enumerate(decisions):
        one = exit_of(trade_id=f"t{number}")
        add(database, order_id=one.order_id, trade_id=f"t{number}", action="EXIT", status=status)
        changes = {} if named else {"backfill_order_id": None}
        entries.append(entry_of(one, decision, **changes))
        others.append(entry_of(one, Decision.APPLIED))
    batch_id = batch_of(ledger, *entries)
    batch_of(ledger, *others)

    def outcome() -> tuple[Any, ...]:
        marks = [
            (row["audit_id"], row["reverted_at"] is not None) for row in table(database, BOOKS)
        ]
        return [(row["order_id"], row["status"]) for row in table(database)], marks

    class _BackError(Exception):
        pass

    with pytest.raises(_BackError), database.transaction() as conn:  # noqa: PT012  # one look
        for statement in (ROLLBACK, MARK):
            conn.execute(statement.replace("<<BATCH_ID>>", batch_id))
        rows = conn.execute("SELECT * FROM orders ORDER BY order_id").fetchall()
        marks = conn.execute(BOOKS).fetchall()
        raise _BackError
    expected = (
        [(row["order_id"], row["status"]) for row in rows],
        [(row["audit_id"], row["reverted_at"] is not None) for row in marks],
    )
    ledger.rollback(batch_id, actor="anna")
    assert outcome() == expected


def test_a_rollback_of_one_trade_or_one_row(database):
    ledger, batch_id = two_trades(database)
    (change,) = ledger.rollback(batch_id, actor="anna", trade_id="t2")
    assert change.key == LifecycleKey(profile_id="main", symbol="ETHUSDT", trade_id="t2")
    assert statuses(database) == {"t1": "filled", "t2": "canceled"}
    marked = {row.trade_id: row.reverted_at is not None for row in ledger.audit_rows()}
    assert marked == {"t1": False, "t2": True}
    (change,) = ledger.rollback(batch_id, actor="anna", order_id=exit_of().order_id)
    assert change.order_id == exit_of().order_id
    assert statuses(database) == {"t1": "canceled", "t2": "canceled"}


def test_a_row_that_an_earlier_batch_wrote_is_canceled_and_named(database):
    ledger, first = two_trades(database)
    again = entry_of(exit_of(), Decision.SKIP_EXISTING, reason=Reason.BACKFILL_EXISTS)
    second = batch_of(ledger, again, entry_of(exit_of(trade_id="t9"), Decision.NO_GO))
    (preview,) = ledger.rollback_preview(second)
    assert preview.decision is Decision.SKIP_EXISTING
    assert (preview.batch_id, preview.first_batch_id) == (second, first)
    assert ledger.rollback(second, actor="anna") == (preview,)
    assert statuses(database) == {"t1": "canceled", "t2": "filled"}
    marks = {(row.batch_id, row.trade_id): row.reverted_at for row in ledger.audit_rows()}
    assert marks[first, "t1"] is None
    assert marks[second, "t1"] == marks[second, "t9"] is not None


@pytest.mark.parametrize("order_id", ("e1", "bfill-1", ""))
def test_a_row_of_the_bot_is_never_touched(database, order_id):
    ledger, batch_id = two_trades(database)
    with pytest.raises(RefusedError, match="not rows of unghost"):
        ledger.rollback(batch_id, actor="anna", order_id=order_id)
    foreign = batch_of(ledger, entry_of(exit_of(order_id="e1"), Decision.APPLIED))
    before = table(database)
    for undo in (ledger.rollback_preview, ledger.reinstate_preview):
        with pytest.raises(RefusedError, match="e1"):
            undo(foreign)
    with pytest.raises(RefusedError, match="e1"):
        ledger.rollback(foreign, actor="anna")
    assert table(database) == before


def test_a_batch_that_does_not_exist_is_told(database):
    ledger = ledger_over(database)
    for undo in (ledger.rollback_preview, ledger.reinstate_preview):
        with pytest.raises(BatchNotFoundError):
            undo("none")
    with pytest.raises(BatchNotFoundError):
        ledger.rollback("none", actor="anna")
    with pytest.raises(BatchNotFoundError):
        reinstate(ledger, "none")


def test_who_did_it_is_kept(database):
    ledger, batch_id = two_trades(database)
    ledger.rollback(batch_id, actor="anna", trade_id="t1")
    reinstate(ledger, batch_id, actor="ben")
    reinstate(ledger, batch_id, actor="ben")
    payload = {"batch_id": batch_id, "order_ids": [exit_of().order_id]}
    assert [tuple(row.values()) for row in table(database, EVENTS)] == [
        ("BACKFILL_ROLLED_BACK", "main", {**payload, "actor": "anna"}),
        ("BACKFILL_REINSTATED", "main", {**payload, "actor": "ben"}),
    ]


def test_a_ledger_that_has_no_word_for_canceled(database):
    ledger = ledger_over(
        database,
        "DROP TYPE IF EXISTS word; CREATE TYPE word AS ENUM ('new', 'filled');"
        + STANDARD.replace("status text", "status word"),
    )
    one = exit_of()
    add(database, order_id=one.order_id, action="EXIT")
    batch_id = batch_of(ledger, entry_of(one, Decision.APPLIED))
    with pytest.raises(LedgerSchemaError, match="word has no value 'canceled'"):
        ledger.rollback(batch_id, actor="anna")
    assert ledger.audit_rows()[0].reverted_at is None


def test_a_status_that_a_trigger_keeps_is_an_error(database):
    ledger, batch_id = two_trades(database)
    with database.transaction() as conn:
        conn.execute(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " NEW.status := OLD.status; RETURN NEW; END $$;"
            "CREATE TRIGGER keep BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION keep()"
        )
    with pytest.raises(DatabaseError, match="could not be changed"):
        ledger.rollback(batch_id, actor="anna")
    assert {row.reverted_at for row in ledger.audit_rows()} == {None}


def test_two_people_at_once_roll_back_each_row_once(database, database_url):
    ledger, batch_id = two_trades(database)
    ledgers = [PostgresLedger(Database(database_url)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda one: one.rollback(batch_id, actor="anna"), ledgers))
    assert sorted(map(len, found)) == [0, 0, 2]
    assert len(table(database, EVENTS)) == 1
    assert ledger.rollback_preview(batch_id) == ()


# --- reinstate ---------------------------------------------------------------------------------


def test_apply_rollback_reinstate_rollback_differs_in_status_times_and_mark_alone(database):
    ledger, batch_id = two_trades(database)
    rows, books = table(database), table(database, BOOKS)
    undone = ledger.rollback(batch_id, actor="anna")
    preview = ledger.reinstate_preview(batch_id)
    assert [one.order_id for one in preview] == [one.order_id for one in undone]
    assert {(one.status_before, one.status_after) for one in preview} == {("canceled", "filled")}
    assert reinstate(ledger, batch_id) == preview
    assert without(table(database), "updated_at") == without(rows, "updated_at")
    assert table(database, BOOKS) == books
    assert ledger.open_lifecycles(["main"]) == ()
    assert ledger.reinstate_preview(batch_id) == reinstate(ledger, batch_id) == ()
    assert len(ledger.rollback(batch_id, actor="anna")) == 2
    assert without(table(database), "status", "updated_at") == without(rows, "status", "updated_at")
    assert without(table(database, BOOKS), "reverted_at") == without(books, "reverted_at")
    assert statuses(database) == {"t1": "canceled", "t2": "canceled"}
    assert all(row["reverted_at"] is not None for row in table(database, BOOKS))


def test_a_reinstate_of_one_trade(database):
    ledger, batch_id = two_trades(database)
    ledger.rollback(batch_id, actor="anna")
    (change,) = reinstate(ledger, batch_id, trade_id="t1")
    assert change.key.trade_id == "t1"
    assert statuses(database) == {"t1": "filled", "t2": "canceled"}
    marked = {row.trade_id: row.reverted_at is not None for row in ledger.audit_rows()}
    assert marked == {"t1": False, "t2": True}


def test_a_rollback_by_the_checklists_sql_can_be_reinstated(database):
    ledger, batch_id = two_trades(database)
    with database.transaction() as conn:
        for statement in (ROLLBACK, MARK):
            conn.execute(statement.replace("<<BATCH_ID>>", batch_id))
    assert len(reinstate(ledger, batch_id)) == 2
    assert ledger.open_lifecycles(["main"]) == ()


def set_status_of_ours(database: Database, trade_id: str, status: str) -> None:
    with database.transaction() as conn:
        conn.execute(
            "UPDATE orders SET status = %s WHERE trade_id = %s AND order_id LIKE 'BFILL-%%'",
            [status, trade_id],
        )


def test_what_was_never_rolled_back_is_not_reinstated(database):
    ledger, batch_id = two_trades(database)
    set_status_of_ours(database, "t1", "canceled")
    before = table(database)
    assert reinstate(ledger, batch_id) == ()
    assert table(database) == before


def test_a_row_that_is_not_filled_again_keeps_its_mark(database):
    ledger, batch_id = two_trades(database)
    ledger.rollback(batch_id, actor="anna")
    set_status_of_ours(database, "t2", "expired")
    (change,) = reinstate(ledger, batch_id)
    assert change.key.trade_id == "t1"
    marked = {row.trade_id: row.reverted_at is not None for row in ledger.audit_rows()}
    assert marked == {"t1": False, "t2": True}


def test_a_reinstate_that_would_over_close_is_refused_and_named(database):
    ledger, batch_id = two_trades(database)
    ledger.rollback(batch_id, actor="anna")
    late = NOON + timedelta(hours=1)
    add(database, order_id="x", action="EXIT", side="sell", quantity=Decimal("0.5"), filled_at=late)
    rows, books = table(database), table(database, BOOKS)
    with pytest.raises(RefusedError, match=exit_of().order_id) as caught:
        reinstate(ledger, batch_id)
    assert "ETHUSDT" not in str(caught.value)
    assert "entered 1" in str(caught.value)
    assert (table(database), table(database, BOOKS)) == (rows, books)
    assert len(reinstate(ledger, batch_id, trade_id="t2")) == 1


def test_the_way_back_of_an_apply_after_a_rollback_is_the_reinstate(database):
    ledger, batch_id = two_trades(database)
    ledger.rollback(batch_id, actor="anna")
    with ledger.writing("desk") as transaction:
        found = transaction.insert_backfills([exit_of()])
        assert found == {exit_of().order_id: InsertOutcome.ROLLED_BACK}
        assert len(transaction.reinstate(batch_id, trade_id="t1")) == 1
        found = transaction.insert_backfills([exit_of()])
        assert found == {exit_of().order_id: InsertOutcome.IDENTICAL}


def test_floats_that_miss_by_a_hair_are_no_over_closing(database):
    ledger = ledger_over(database, STANDARD.replace("quantity numeric", "quantity float8"))
    for number, quantity in enumerate(("0.1", "0.2")):
        add(database, order_id=f"e{number}", quantity=quantity)
    one = exit_of(quantity=Decimal("0.1"))
    other = exit_of(quantity=Decimal("0.2"), exchange_order_id="78")
    third = exit_of(quantity=Decimal("1E-9"), exchange_order_id="79")
    batch_id = apply(ledger, one, other, third)
    ledger.rollback(batch_id, actor="anna")
    assert len(reinstate(ledger, batch_id)) == 3
    assert ledger.over_closed("main") == ()


def test_one_row_that_two_audit_rows_of_a_batch_name_is_changed_once(database):
    ledger = ledger_over(database)
    add(database)
    with ledger.writing("desk") as transaction:
        transaction.insert_backfills([exit_of()])
    twice = [entry_of(exit_of(), Decision.APPLIED), entry_of(exit_of(), Decision.SKIP_EXISTING)]
    batch_id = batch_of(ledger, *twice)
    assert len(ledger.rollback(batch_id, actor="anna")) == 1
    assert len(reinstate(ledger, batch_id)) == 1
    assert our_row(database)["status"] == "filled"
