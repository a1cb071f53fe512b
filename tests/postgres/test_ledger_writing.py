"""The write path: what an insert finds, who may write, and what a lost connection leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal

import psycopg
import pytest
from tests.postgres.test_ledger_shapes import (
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
from unghost.adapters.postgres.writing import PostgresWriteTransaction, _outcomes
from unghost.errors import CommitOutcomeUnknownError, DatabaseError, RefusedError
from unghost.model import Decision, InsertOutcome, PauseState, Reason, Settlement


def insert(ledger: PostgresLedger, *candidates):
    with ledger.writing("desk") as transaction:
        return transaction.insert_backfills(candidates)


def execute(database: Database, statement: str, *parameters: str | None) -> None:
    with database.transaction() as conn:
        conn.execute(statement, parameters or None)


def write(ledger: PostgresLedger, then: Callable[[PostgresWriteTransaction], object]) -> None:
    """Insert the EXIT, and let something happen before the commit."""
    with ledger.writing("desk") as transaction:
        transaction.insert_backfills([exit_of()])
        then(transaction)


CHANGE_ID = "UPDATE orders SET {} WHERE order_id = %s"


# --- outcomes ----------------------------------------------------------------------------------


def test_inserted_once_then_identical_for_ever(database):
    ledger = ledger_over(database)
    add(database)
    one = exit_of()
    assert insert(ledger, one) == {one.order_id: InsertOutcome.INSERTED}
    before = table(database)
    assert insert(ledger, one) == {one.order_id: InsertOutcome.IDENTICAL}
    assert table(database) == before


@pytest.mark.parametrize("status", ("canceled", "CANCELED", "expired", None))
def test_a_row_that_does_not_stand_is_rolled_back(database, status):
    ledger = ledger_over(database)
    add(database)
    one = exit_of()
    insert(ledger, one)
    execute(database, "UPDATE orders SET status = %s WHERE order_id = %s", status, one.order_id)
    assert insert(ledger, one) == {one.order_id: InsertOutcome.ROLLED_BACK}
    assert our_row(database)["status"] == status


@pytest.mark.parametrize(
    "change",
    (
        "profile_id = 'other'",
        "symbol = 'ETHUSDT'",
        "symbol = NULL",
        "trade_id = 't2'",
        "trade_id = NULL",
        "action = 'ENTRY'",
        "quantity = 1.001",
        "quantity = NULL",
        "qty = 2",
        "qty = NULL",
        "price = 101.4",
        "side = 'buy'",
        "side = NULL",
        "exchange_order_id = '78'",
        "exchange_order_id = NULL",
    ),
)
def test_failures_14_an_id_with_other_content_is_different(database, change):
    ledger = ledger_over(database)
    add(database)
    one = exit_of()
    insert(ledger, one)
    execute(database, CHANGE_ID.format(change), one.order_id)
    before = table(database)
    assert insert(ledger, one) == {one.order_id: InsertOutcome.DIFFERENT}
    assert table(database) == before


def test_two_candidates_of_one_id_are_both_in_doubt(database):
    ledger = ledger_over(database)
    add(database)
    add(database, order_id="e2", symbol="ETHUSDT")
    one, other = exit_of(), exit_of(symbol="ETHUSDT")
    assert one.order_id == other.order_id  # the formula has no symbol
    before = table(database)
    with pytest.raises(DatabaseError, match=one.order_id):
        insert(ledger, one, other)
    assert table(database) == before
    insert(ledger, one)
    assert insert(ledger, one, other) == {one.order_id: InsertOutcome.DIFFERENT}


def test_an_id_with_two_contents_is_in_doubt_in_whatever_order_it_is_read():
    found = [
        {"order_id": "BFILL-1", "same": same, "standing": True, "present": True}
        for same in (True, False)
    ]
    for rows in (found, found[::-1]):
        assert _outcomes(rows) == {"BFILL-1": InsertOutcome.DIFFERENT}


def test_many_at_once_each_with_its_own_outcome(database):
    ledger = ledger_over(database)
    for number in range(4):
        add(database, order_id=f"e{number}", trade_id=f"t{number}")
    gone, there, changed, new = (exit_of(trade_id=f"t{number}") for number in range(4))
    insert(ledger, gone, there, changed)
    execute(database, CHANGE_ID.format("status = 'canceled'"), gone.order_id)
    execute(database, CHANGE_ID.format("price = 1"), changed.order_id)
    assert insert(ledger, gone, there, changed, new) == {
        gone.order_id: InsertOutcome.ROLLED_BACK,
        there.order_id: InsertOutcome.IDENTICAL,
        changed.order_id: InsertOutcome.DIFFERENT,
        new.order_id: InsertOutcome.INSERTED,
    }
    assert insert(ledger) == {}


def test_a_quantity_that_the_column_cannot_hold_is_refused_never_rounded(database):
    ledger = ledger_over(database, STANDARD.replace("qty numeric", "qty numeric(10, 2)"))
    add(database)
    one = exit_of(quantity=Decimal("0.125"))
    with pytest.raises(DatabaseError, match=one.order_id):
        insert(ledger, one)
    assert len(table(database)) == 1


# --- what the ledger's owner has put in the way ------------------------------------------------


def test_failures_14_another_unique_index_is_an_error_that_names_it(database):
    ledger = ledger_over(database)
    add(database)
    execute(database, "CREATE UNIQUE INDEX one_fill ON orders (exchange_order_id)")
    add(database, order_id="x", action="EXIT", trade_id="t9", exchange_order_id="77")
    add(database, order_id="e2", trade_id="t2")
    before = table(database)
    fine = exit_of(trade_id="t2", exchange_order_id="78")
    with pytest.raises(DatabaseError, match="one_fill"):
        insert(ledger, fine, exit_of())
    assert table(database) == before


def _trigger(
    database: Database, body: str, when: str = "BEFORE", *, of: str = "INSERT", constraint: str = ""
) -> None:
    kind = "CONSTRAINT TRIGGER" if constraint else "TRIGGER"
    execute(
        database,
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE {kind} meddle {when} {of} ON orders {constraint}"
        " FOR EACH ROW EXECUTE FUNCTION meddle()",
    )


def test_a_row_that_a_trigger_swallows_is_an_error(database):
    ledger = ledger_over(database)
    add(database)
    add(database, order_id="e2", trade_id="t2")
    _trigger(database, "IF NEW.trade_id = 't1' THEN RETURN NULL; END IF; RETURN NEW;")
    before = table(database)
    with pytest.raises(DatabaseError, match=exit_of().order_id):
        insert(ledger, exit_of(), exit_of(trade_id="t2"))
    assert table(database) == before


@pytest.mark.parametrize("change", ("NEW.quantity := 0.5;", "NEW.status := 'new';"))
def test_a_row_that_a_trigger_changes_does_not_stay(database, change):
    ledger = ledger_over(database)
    add(database)
    _trigger(database, f"{change} RETURN NEW;")
    before = table(database)
    with pytest.raises(DatabaseError, match=exit_of().order_id):
        insert(ledger, exit_of())
    assert table(database) == before


@pytest.mark.parametrize(
    "change", ("UPDATE orders SET quantity = 2 WHERE order_id = NEW.order_id;", "RAISE 'no';")
)
def test_what_a_trigger_would_do_at_commit_is_seen_before(database, change):
    ledger = ledger_over(database)
    add(database)
    body = f"IF NEW.action = 'EXIT' THEN {change} END IF; RETURN NULL;"
    _trigger(database, body, "AFTER", constraint="INITIALLY DEFERRED")
    before = table(database)
    with pytest.raises(DatabaseError):
        insert(ledger, exit_of())
    assert table(database) == before


@pytest.mark.parametrize(
    ("body", "told"),
    (
        ("RAISE 'filled is final';", "refused .filled is final."),
        ("INSERT INTO nowhere VALUES (1); RETURN NEW;", 'refused .relation "nowhere" does not'),
        ("NEW.status := OLD.status; RETURN NEW;", "refused .the status of .* does not change"),
        ("RETURN NULL;", "refused .the status of .* does not change"),
    ),
)
def test_what_could_not_be_rolled_back_is_not_written(database, body, told):
    """On the day of a rollback it would be too late to find out."""
    ledger = ledger_over(database)
    add(database)
    _trigger(database, body, of="UPDATE")
    before = table(database)
    with pytest.raises(DatabaseError, match=f"could not be rolled back again.*{told}"):
        insert(ledger, exit_of())
    assert table(database) == before


def test_a_check_over_two_columns_that_stands_in_the_way_of_a_rollback(database):
    ledger = ledger_over(database)
    execute(database, "ALTER TABLE orders ADD CHECK (action = 'ENTRY' OR status <> 'canceled')")
    add(database)
    with pytest.raises(DatabaseError, match="could not be rolled back again"):
        insert(ledger, exit_of())
    assert len(table(database)) == 1


def test_a_lifecycle_without_a_filled_entry_gets_no_row(database):
    ledger = ledger_over(database)
    add(database, status="new")
    with pytest.raises(DatabaseError, match="no filled ENTRY"):
        insert(ledger, exit_of())
    assert len(table(database)) == 1


def test_a_text_that_does_not_fit_is_refused_never_cut(database):
    ledger = ledger_over(
        database, STANDARD.replace("exchange_order_id text", "exchange_order_id varchar(4)")
    )
    add(database)
    with pytest.raises(DatabaseError, match="too long"):
        insert(ledger, exit_of(exchange_order_id="8389765591"))
    assert len(table(database)) == 1


# --- the transaction ---------------------------------------------------------------------------


def test_an_exception_rolls_everything_back(database):
    ledger = ledger_over(database)
    add(database)
    batch_id = batch_of(ledger, entry_of(exit_of(), Decision.PENDING_APPLY))
    (row,) = ledger.audit_rows(batch_id=batch_id)
    applied = Settlement(
        audit_id=row.audit_id, decision=Decision.APPLIED, reason=Reason.FILL_EVIDENCE
    )

    def fail_late(transaction: PostgresWriteTransaction) -> None:
        assert transaction.settle([applied]) == 1
        assert transaction.open_lifecycles(["main"]) == ()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(ledger, fail_late)
    assert len(ledger.open_lifecycles(["main"])) == 1
    assert ledger.audit_rows(batch_id=batch_id) == (row,)


def test_a_failure_that_the_caller_passes_over_keeps_nothing(database):
    ledger = ledger_over(database)
    add(database)
    _trigger(database, "RETURN NULL;")
    execute(database, "INSERT INTO trading_profile VALUES ('main', 'PAUSED', 'anna')")

    def swallowed() -> None:
        with ledger.writing("desk") as transaction:
            transaction._open.conn.execute("UPDATE trading_profile SET status = 'RUNNING'")
            with pytest.raises(DatabaseError):
                transaction.insert_backfills([exit_of()])
            transaction.settle([])

    def broken() -> None:
        with ledger.writing("desk") as transaction:
            transaction._open.conn.execute("UPDATE trading_profile SET status = 'RUNNING'")
            with pytest.raises(psycopg.Error):
                transaction._open.conn.execute("SELECT 1 / 0")

    for pass_over in (swallowed, broken):
        with pytest.raises(DatabaseError):
            pass_over()
    assert table(database, "SELECT status FROM trading_profile") == [{"status": "PAUSED"}]


def test_reads_inside_see_what_was_written_inside(database):
    ledger = ledger_over(database)
    add(database)
    with ledger.writing("desk") as transaction:
        assert len(transaction.open_lifecycles(["main"])) == 1
        transaction.insert_backfills([exit_of()])
        assert transaction.open_lifecycles(["main"]) == ()
        assert set(transaction.rows_by_order_id([exit_of().order_id])) == {exit_of().order_id}


def test_the_pause_is_held_until_the_commit(database):
    ledger = ledger_over(database)
    with ledger.writing("desk") as transaction:
        assert transaction.pause_state("main").state is PauseState.RUNNING
    execute(
        database,
        "INSERT INTO trading_profile (profile_id, status, actor, reason)"
        " VALUES ('main', 'PAUSED', 'anna', 'ghosts')",
    )
    resume = "SET LOCAL lock_timeout = '100ms'; UPDATE trading_profile SET status = 'RUNNING'"
    with ledger.writing("desk") as transaction:
        reading = transaction.pause_state("main")
        assert (reading.state, reading.actor) == (PauseState.PAUSED, "anna")
        assert (reading.note, reading.source) == ("ghosts", "trading_profile")
        with pytest.raises(DatabaseError):
            execute(database, resume)
    execute(database, resume)


# --- one writer at a time ----------------------------------------------------------------------


def test_a_second_apply_of_the_account_is_refused_and_others_are_not(database, database_url):
    first, second = ledger_over(database), PostgresLedger(Database(database_url))
    with first.applying("desk"):
        began = time.monotonic()
        with (
            pytest.raises(RefusedError, match="another apply"),
            second.applying("desk", wait_seconds=0.2),
        ):
            pytest.fail("two applies at once")
        assert 0.2 <= time.monotonic() - began < 5
        with second.applying("desk-2", wait_seconds=0.2):
            pass
    with second.applying("desk", wait_seconds=0):
        pass


def test_an_apply_waits_for_the_one_before(database, database_url):
    first, second = ledger_over(database), PostgresLedger(Database(database_url))
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        stack.enter_context(first.applying("desk"))

        def wait() -> float:
            with second.applying("desk", wait_seconds=20):
                return time.monotonic()

        waiting = pool.submit(wait)
        time.sleep(0.2)
        released_at = time.monotonic()
        stack.close()
        assert waiting.result(20) >= released_at


def test_two_writers_write_each_row_once(database, database_url):
    ledger = ledger_over(database)
    for number in range(30):
        add(database, order_id=f"e{number}", trade_id=f"t{number}")
    candidates = [exit_of(trade_id=f"t{number}") for number in range(30)]
    barrier = threading.Barrier(4)

    def write(order: int) -> list[InsertOutcome]:
        own = PostgresLedger(Database(database_url))
        barrier.wait(10)
        with own.writing("desk" if order < 2 else "elsewhere") as transaction:
            return list(
                transaction.insert_backfills(candidates[:: 1 if order % 2 else -1]).values()
            )

    with ThreadPoolExecutor(4) as pool:
        outcomes = [outcome for found in pool.map(write, range(4)) for outcome in found]
    assert outcomes.count(InsertOutcome.INSERTED) == 30
    assert outcomes.count(InsertOutcome.IDENTICAL) == 90
    assert len(table(database)) == 60
    assert ledger.open_lifecycles(["main"]) == ()


def test_what_the_writer_before_committed_is_seen_by_the_next(database, database_url):
    first, second = ledger_over(database), PostgresLedger(Database(database_url))
    add(database)
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        transaction = stack.enter_context(first.writing("desk"))

        def look() -> int:
            with second.writing("desk") as later:
                return len(later.open_lifecycles(["main"]))

        waiting = pool.submit(look)
        time.sleep(0.3)
        assert not waiting.done()
        transaction.insert_backfills([exit_of()])
        stack.close()
        assert waiting.result(20) == 0


# --- lost connections --------------------------------------------------------------------------


def _kill(database: Database, pid: int) -> None:
    with database.transaction() as conn:
        conn.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def _pid(transaction: PostgresWriteTransaction) -> int:
    return transaction._open.conn.info.backend_pid


def test_nothing_is_written_without_the_guard(database):
    ledger = ledger_over(database)
    add(database)
    with ledger.applying("desk"):
        _kill(database, ledger._guards["desk"].info.backend_pid)
        with pytest.raises(DatabaseError, match="keeps other applies out"), ledger.writing("desk"):
            pytest.fail("the transaction was given out")
    assert ledger._guards == {}


def test_a_guard_lost_in_the_middle_undoes_the_write(database):
    ledger = ledger_over(database)
    add(database)
    with ledger.applying("desk"):
        guard = ledger._guards["desk"].info.backend_pid
        with pytest.raises(DatabaseError, match="keeps other applies out") as caught:
            write(ledger, lambda _: _kill(database, guard))
        assert not isinstance(caught.value, CommitOutcomeUnknownError)
    assert len(table(database)) == 1


def test_a_writer_that_is_killed_leaves_nothing(database):
    ledger = ledger_over(database)
    add(database)

    def die(transaction: PostgresWriteTransaction) -> None:
        _kill(database, _pid(transaction))
        transaction.now()

    with pytest.raises(DatabaseError) as caught:
        write(ledger, die)
    assert not isinstance(caught.value, CommitOutcomeUnknownError)
    assert len(table(database)) == 1


def test_a_connection_lost_at_the_commit_is_told_apart(database):
    ledger = ledger_over(database)
    add(database)
    with pytest.raises(CommitOutcomeUnknownError):
        write(ledger, lambda transaction: _kill(database, _pid(transaction)))
    assert len(table(database)) == 1
    assert apply(ledger, exit_of())


def test_an_unknown_commit_passes_through_the_guard(database):
    ledger = ledger_over(database)
    add(database)
    with pytest.raises(CommitOutcomeUnknownError), ledger.applying("desk"):
        write(ledger, lambda transaction: _kill(database, _pid(transaction)))


def test_a_guard_lost_after_the_last_write_harms_nothing(database):
    ledger = ledger_over(database)
    add(database)
    with ledger.applying("desk"):
        write(ledger, lambda transaction: transaction.now())
        _kill(database, ledger._guards["desk"].info.backend_pid)
    assert len(table(database)) == 2
