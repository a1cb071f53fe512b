"""Others at work at the same time, and ends in the middle: nothing half-written, nothing twice.

What takes `raced` runs directly and once more by way of a transaction pooler.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from tests.cycle.bench import ACCOUNT, ETH, PROFILE, Bench, batch_id, hours_ago, told
from tests.cycle.wire import Wire

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.writing import PostgresWriteTransaction
from unghost.cycle import Outcome
from unghost.desk import Desk
from unghost.errors import CommitOutcomeUnknownError, DatabaseError, RefusedError
from unghost.model import Decision, Reason
from unghost.rollback import roll_back

T = TypeVar("T")
APPLIED = (Decision.APPLIED, Reason.FILL_EVIDENCE)
HALF = Decimal("0.5")
STEP = 1 if os.environ.get("UNGHOST_CRASH_POINTS") == "all" else 3
"""Of the messages of an apply, one in so many is the last that gets through."""


def just_before_writing(bench: Bench, action: Callable[[], object]) -> None:
    """The third reading of positions is the last question before the write."""
    bench.venue.before("positionRisk", lambda _: action() and None, call=3)


def pending(bench: Bench) -> int:
    found = bench.rows(
        "SELECT count(*) FROM reconciliation_backfill_audit WHERE decision = 'PENDING_APPLY'"
    )
    return int(found[0][0])


def applied_rows(bench: Bench) -> list[tuple[str, str]]:
    """(trade_id, order_id) of every APPLIED audit row of all batches."""
    return bench.rows(
        "SELECT trade_id, backfill_order_id FROM reconciliation_backfill_audit"
        " WHERE decision = 'APPLIED' ORDER BY 1, 2"
    )


def assert_audit_is_the_ledger(bench: Bench) -> None:
    """Invariant 8: each row of ours has one APPLIED audit row, and the other way round."""
    written = bench.rows(
        "SELECT trade_id, order_id FROM orders WHERE order_id LIKE 'BFILL-%' ORDER BY 1, 2"
    )
    assert applied_rows(bench) == written
    assert pending(bench) == 0


# --- two at once -------------------------------------------------------------------------------


def at_once(*jobs: Callable[[], T]) -> list[T]:
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        start.wait(timeout=20)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_two_applies_at_once_write_each_row_once(raced):
    for number in range(5):
        raced.ghost(f"t-{number}", f"0.{number + 1}")
    raced.pause()
    with closing(Database(raced.service_url)) as another:
        desks = [raced.new_desk(), raced.new_desk(database=another)]
        reports = at_once(*(lambda desk=desk: raced.apply(desk=desk) for desk in desks))
    assert sorted(len(report.audit) for report in reports) == [0, 5]
    assert [row[1] for row in raced.backfills()] == [Decimal(f"0.{n + 1}") for n in range(5)]
    assert_audit_is_the_ledger(raced)


def rolled_back_meanwhile(bench: Bench) -> None:
    """As a person does who sees an apply go wrong: there is nothing to cancel yet."""
    ((running,),) = bench.rows(RUNNING)
    assert roll_back(bench.desk, running, actor="tester") == ()


def rolled_back_meanwhile_by_hand(bench: Bench) -> None:
    ((running,),) = bench.rows(RUNNING)
    bench.run(MARK, running)


RUNNING = "SELECT batch_id FROM reconciliation_backfill_batch WHERE status = 'running'"
MARK = "UPDATE reconciliation_backfill_audit SET reverted_at = now() WHERE batch_id = %s"


@pytest.mark.parametrize("roll", (rolled_back_meanwhile, rolled_back_meanwhile_by_hand))
def test_an_apply_that_is_rolled_back_before_it_writes_writes_nothing(bench, roll):
    bench.ghost("t-1")
    bench.pause()
    just_before_writing(bench, lambda: roll(bench))
    with pytest.raises(DatabaseError, match="the batch was rolled back meanwhile"):
        bench.apply()
    assert bench.backfills() == []
    assert_audit_is_the_ledger(bench)
    assert told(bench.apply()) == [("t-1", *APPLIED)]


def test_a_rollback_waits_for_the_rows_that_are_just_being_written(bench):
    bench.ghost("t-1")
    bench.pause()
    with ThreadPoolExecutor(2) as pool, psycopg.connect(bench.database_url) as holder:
        hold = "SELECT FROM reconciliation_chain_head FOR UPDATE"
        just_before_writing(bench, lambda: holder.execute(hold))
        writing = pool.submit(bench.apply)
        wait_until(lambda: bench.rows(WAITING) == [(1,)])
        ((running,),) = bench.rows(RUNNING)
        undoing = pool.submit(roll_back, bench.new_desk(), running, actor="tester")
        wait_until(lambda: bench.rows(WAITING) == [(2,)])
        holder.rollback()
        assert told(writing.result()) == [("t-1", *APPLIED)]
        assert [one.key.trade_id for one in undoing.result()] == ["t-1"]
    assert [row[2] for row in bench.backfills()] == ["canceled"]
    assert bench.rows("SELECT reverted_at IS NULL FROM reconciliation_backfill_audit") == [(False,)]


WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_intents_that_another_run_has_settled_are_not_written(bench):
    bench.ghost("t-1")
    bench.pause()
    settle = (
        "UPDATE reconciliation_backfill_audit"
        " SET decision = 'NO_GO', reason = 'interrupted_before_apply'"
        " WHERE decision = 'PENDING_APPLY'"
    )
    just_before_writing(bench, lambda: bench.run(settle))
    with pytest.raises(DatabaseError, match="settled by another run"):
        bench.apply()
    assert bench.backfills() == []
    assert_audit_is_the_ledger(bench)


def test_eight_appliers_of_one_profile_write_each_row_once(raced):
    for number in range(4):
        raced.ghost(f"t-{number}", f"0.{number + 1}")
    raced.pause()
    with ExitStack() as stack:
        databases = [stack.enter_context(closing(Database(raced.service_url))) for _ in range(8)]
        desks = [raced.new_desk(database=database) for database in databases]
        reports = at_once(*(lambda desk=desk: raced.apply(desk=desk) for desk in desks))
    assert sorted(len(report.audit) for report in reports) == [0] * 7 + [4]
    assert [row[1] for row in raced.backfills()] == [Decimal(f"0.{n + 1}") for n in range(4)]
    assert_audit_is_the_ledger(raced)


def test_a_rollback_and_applies_at_once_leave_one_row_of_one_status(raced):
    """Whichever comes first: the row is never doubled, and a rolled back one stays rolled back."""
    raced.ghost("t-1")
    raced.pause()
    batch = batch_id(raced.apply())
    undone = raced.new_desk()

    def undo() -> tuple[object, ...]:
        return tuple(roll_back(undone, batch, actor="tester"))

    def again() -> tuple[object, ...]:
        return raced.apply(desk=raced.new_desk()).lifecycles

    at_once(undo, again, again, undo)
    assert raced.backfills() == [("t-1", HALF, "canceled")]
    assert_audit_is_the_ledger(raced)
    again()
    assert raced.backfills() == [("t-1", HALF, "canceled")]


SCRIPT = """
import json, sys
from unghost.adapters.postgres.connection import Database
from unghost.cycle import run_cycle
from unghost.demo.venue import Venue
from unghost.demo.world import World
from dataclasses import replace
from unghost.model import Mode
from tests.cycle.bench import desk_at, open_account

venue = Venue(World())
venue.base_url = sys.argv[2]
desk = desk_at(Database(sys.argv[1]), open_account(venue))
desk = replace(desk, rules=replace(desk.rules, mode=Mode.APPLY))
print("ready", flush=True)
sys.stdin.readline()
report = run_cycle(desk, actor="process")
print(json.dumps([row.decision for row in report.audit]), flush=True)
desk.exchange.close()
"""


def test_two_processes_at_once_write_each_row_once(bench):
    bench.ghost("t-1")
    bench.ghost("t-2", "2", symbol=ETH)
    bench.pause()
    command = [sys.executable, "-c", SCRIPT, bench.service_url, bench.venue.base_url]
    path = os.pathsep.join(each for each in [str(Path.cwd()), *sys.path] if each)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [
        subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, **pipes) for _ in "ab"
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].splitlines()[-1] for process in running]
    assert sorted(json.loads(answer) for answer in answers) == [[], ["APPLIED", "APPLIED"]]
    assert_audit_is_the_ledger(bench)


class ImpatientLedger(PostgresLedger):
    """The ledger as it is, for tests that do not want to wait for half a minute."""

    def applying(self, account: str, *, wait_seconds: float = 0.2) -> AbstractContextManager[None]:
        return super().applying(account, wait_seconds=wait_seconds)


class LateLedger(PostgresLedger):
    """The ledger as it is, but its write lock is had only after a while."""

    late: Callable[[], None]

    @contextmanager
    def writing(self, account: str) -> Iterator[PostgresWriteTransaction]:
        with super().writing(account) as transaction:
            self.late()
            yield transaction


def test_a_position_that_grew_old_behind_a_lock_is_not_believed(bench):
    bench.ghost("t-1")
    bench.pause()
    waited: list[timedelta] = []
    ledger = LateLedger(bench.database)
    ledger.late = lambda: waited.append(timedelta(seconds=31))

    def clock() -> datetime:
        return datetime.now(UTC) + sum(waited, timedelta(0))

    report = bench.apply(desk=replace(bench.desk, ledger=ledger, clock=clock))
    assert told(report) == [("t-1", Decision.NO_GO, Reason.EXCHANGE_STATE_UNKNOWN)]
    assert bench.backfills() == []
    assert_audit_is_the_ledger(bench)


def test_an_apply_that_would_wait_too_long_is_told_who_is_in_the_way(bench):
    bench.ghost("t-1")
    bench.pause()
    desk = replace(bench.desk, ledger=ImpatientLedger(bench.database))
    with bench.new_desk().ledger.applying(ACCOUNT):
        with pytest.raises(RefusedError, match="another apply of account 'desk' is running"):
            bench.apply(desk=desk)
        assert told(bench.dry_run(desk))[0][1] == Decision.DRY_RUN
    assert told(bench.apply(desk=desk)) == [("t-1", *APPLIED)]


def test_two_profiles_of_one_account_at_once_share_one_closing_order(raced):
    """One order of 1.0 closed both: each gets its half, whoever comes first."""
    both = ("a", "b")
    for name in both:
        raced.opened(f"t-{name}", "0.5", profile_id=name)
        raced.pause(name)
    close = raced.trade("sell", "1.0", at=hours_ago(1), price="41000", fee=Decimal(4))
    with closing(Database(raced.service_url)) as another:
        desks = [raced.new_desk("a", both), raced.new_desk("b", both, database=another)]
        at_once(*(lambda desk=desk: raced.apply(desk=desk) for desk in desks))
    rows = raced.rows(
        "SELECT profile_id, quantity, fee, exchange_order_id FROM orders"
        " WHERE order_id LIKE 'BFILL-%' ORDER BY 1"
    )
    assert rows == [("a", HALF, Decimal(2), close), ("b", HALF, Decimal(2), close)]


def test_two_profiles_of_one_account_at_once_never_use_a_fill_twice(bench):
    """The order of b never filled. A single exit of 0.5 could be either's, and is given to none."""
    both = ("a", "b")
    bench.opened("t-a", "0.5", profile_id="a")
    bench.book("t-b", "ENTRY", "0.5", profile_id="b", exchange_order_id="777", at=hours_ago(5))
    bench.trade("sell", "0.5", at=hours_ago(1))
    for name in both:
        bench.pause(name)
    with closing(Database(bench.service_url)) as another:
        desks = [bench.new_desk("a", both), bench.new_desk("b", both, database=another)]
        at_once(*(lambda desk=desk: bench.apply(desk=desk) for desk in desks))
    assert bench.closed_by_us() <= HALF
    assert bench.closed_by_us() == 0


# --- the bot at work ---------------------------------------------------------------------------


def test_failures_2_a_real_exit_between_decision_and_write_stops_the_write(raced):
    _, close = raced.ghost("t-1")
    raced.pause()
    just_before_writing(raced, lambda: raced.book("t-1", "EXIT", "0.5", exchange_order_id=close))
    report = raced.apply()
    assert told(report) == [("t-1", Decision.NO_GO, Reason.LEDGER_CHANGED)]
    assert report.outcome is Outcome.REMAINING
    assert raced.backfills() == []
    assert raced.apply().lifecycles == ()


@pytest.mark.parametrize("call", (1, 2))
@pytest.mark.parametrize("booked", ("0.0005", "0.0002"))
def test_a_real_exit_of_dust_while_the_evidence_is_gathered_stops_the_write(bench, call, booked):
    """It comes after the lifecycles were read and before the other rows are."""
    _, close = bench.ghost("t-1", "0.5")
    bench.book("t-1", "EXIT", "0.4995", exchange_order_id=close, at=hours_ago(3))
    bench.pause()
    book = lambda _: bench.book("t-1", "EXIT", booked, at=hours_ago(3)) and None  # noqa: E731
    bench.venue.before("positionRisk", book, call=call)
    bench.apply()
    assert bench.backfills() == []
    bench.apply()
    assert bench.closed_by_us() == Decimal("0.0005") - Decimal(booked)


def test_a_row_that_the_bot_commits_while_ours_are_inserted_undoes_ours(own_bench):
    """A trigger stands for the bot: its row is there between our insert and our commit."""
    own_bench.ghost("t-1")
    own_bench.pause()
    own_bench.run(
        """
        CREATE FUNCTION bot() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.order_id LIKE 'BFILL-%' THEN
                INSERT INTO orders (order_id, profile_id, symbol, trade_id, action, status,
                                    quantity, filled_at)
                VALUES ('late', 'main', 'BTCUSDT', 't-1', 'EXIT', 'filled', 0.5, now());
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER bot AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION bot()
        """
    )
    report = own_bench.apply()
    assert told(report) == [("t-1", Decision.NO_GO, Reason.LEDGER_CHANGED)]
    assert own_bench.rows("SELECT count(*) FROM orders") == [(1,)]


@pytest.mark.parametrize("change", ("NEW.quantity := 0.7", "NEW.status := 'new'"))
def test_a_row_that_the_ledger_changes_while_it_is_inserted_does_not_stay(own_bench, change):
    """What would stand in the ledger is not what was proven, and no batch could take it back."""
    own_bench.ghost("t-1")
    own_bench.pause()
    own_bench.run(
        f"""
        CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.order_id LIKE 'BFILL-%' THEN {change}; END IF; RETURN NEW; END $$;
        CREATE TRIGGER meddle BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION meddle()
        """
    )
    with pytest.raises(DatabaseError, match="is not the row that was asked for"):
        own_bench.apply()
    assert own_bench.backfills() == []
    assert_audit_is_the_ledger(own_bench)
    own_bench.run("DROP TRIGGER meddle ON orders")
    assert told(own_bench.apply()) == [("t-1", *APPLIED)]


def test_a_bot_that_goes_on_writing_the_same_lifecycles_is_never_closed_beyond_its_entries(raced):
    """It books the exits that it had lost, in parts, while applies run one after another."""
    closes = [raced.ghost(f"t-{number}")[1] for number in range(4)]
    raced.pause()

    def book_all() -> None:
        for number, close in enumerate(closes):
            for _ in range(5):
                raced.book(f"t-{number}", "EXIT", "0.1", exchange_order_id=close, at=hours_ago(3))

    def apply_thrice() -> None:
        for _ in range(3):
            raced.apply()

    at_once(book_all, apply_thrice)
    superseded = {one.key.trade_id for one in raced.apply().superseded}
    exits = dict(
        raced.rows("SELECT trade_id, sum(quantity) FROM orders WHERE action = 'EXIT' GROUP BY 1")
    )
    assert set(exits) == {f"t-{number}" for number in range(4)}
    assert {one for one, closed in exits.items() if closed != HALF} == superseded
    assert_audit_is_the_ledger(raced)


def test_a_new_entry_of_the_same_market_between_decision_and_write_stops_it(bench):
    bench.ghost("t-1")
    bench.pause()
    just_before_writing(bench, lambda: bench.book("t-2", "ENTRY", "0.5", at=hours_ago(4)))
    assert told(bench.apply()) == [("t-1", Decision.NO_GO, Reason.LEDGER_CHANGED)]


def test_a_row_of_another_market_disturbs_nobody(bench):
    bench.ghost("t-1")
    bench.ghost("t-2", "2", symbol=ETH)
    bench.pause()
    just_before_writing(bench, lambda: bench.book("t-3", "ENTRY", "1", symbol="SOLUSDT"))
    assert told(bench.apply()) == [("t-1", *APPLIED), ("t-2", *APPLIED)]


def test_one_market_that_changed_does_not_hold_up_another(bench):
    bench.ghost("t-1")
    bench.ghost("t-2", "2", symbol=ETH)
    bench.pause()
    just_before_writing(bench, lambda: bench.book("t-1", "EXIT", "0.1"))
    report = bench.apply()
    changed = (Decision.NO_GO, Reason.LEDGER_CHANGED)
    assert told(report) == [("t-1", *changed), ("t-2", *APPLIED)]


def test_a_resume_between_decision_and_write_stops_the_write(bench):
    bench.ghost("t-1")
    bench.pause()
    just_before_writing(bench, bench.resume)
    report = bench.apply()
    assert told(report) == [("t-1", Decision.NO_GO, Reason.PROFILE_NOT_PAUSED)]
    assert report.outcome is Outcome.REFUSED
    assert bench.backfills() == []


def test_a_rollback_of_the_same_market_while_an_apply_runs_stops_the_write(raced):
    """What an earlier batch had claimed is free again: this apply has not reckoned with it."""
    raced.ghost("t-1")
    raced.pause()
    earlier = batch_id(raced.apply())
    raced.ghost("t-2", "0.3", opened=hours_ago(2), closed=hours_ago(1))
    just_before_writing(raced, lambda: roll_back(raced.new_desk(), earlier, actor="tester"))
    report = raced.apply()
    assert told(report) == [("t-2", Decision.NO_GO, Reason.LEDGER_CHANGED)]
    assert raced.backfills() == [("t-1", HALF, "canceled")]
    assert sorted(told(raced.apply())) == [
        ("t-1", Decision.SKIP_EXISTING, Reason.BACKFILL_ROLLED_BACK),
        ("t-2", *APPLIED),
    ]


# --- the database lets go ----------------------------------------------------------------------


def test_the_guard_lost_in_mid_apply_writes_nothing_and_the_next_cycle_does(raced):
    raced.ghost("t-1")
    raced.pause()
    end_it = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database()"
    )
    just_before_writing(raced, lambda: raced.rows(end_it))
    with pytest.raises(DatabaseError, match="keeps other applies out was lost"):
        raced.apply()
    assert raced.backfills() == []

    raced.venue.clear_faults()
    assert told(raced.apply()) == [("t-1", *APPLIED)]
    assert_audit_is_the_ledger(raced)
    statuses = raced.rows("SELECT status FROM reconciliation_backfill_batch ORDER BY started_at")
    assert statuses == [("failed",), ("finished",)]


@pytest.mark.parametrize("endpoint", ("positionRisk", "userTrades"))
def test_the_database_gone_in_mid_cycle(bench, wire, wired, endpoint):
    bench.ghost("t-1")
    bench.pause()
    bench.venue.before(endpoint, lambda _: wire.cut())
    with pytest.raises(DatabaseError):
        bench.apply(desk=wired)
    assert bench.backfills() == []
    wire.mend()
    assert told(bench.apply(desk=wired)) == [("t-1", *APPLIED)]
    assert_audit_is_the_ledger(bench)


def test_a_commit_whose_answer_is_lost_is_read_back(bench, wire, wired):
    bench.ghost("t-1")
    bench.pause()
    just_before_writing(bench, wire.swallow_the_next_commit)
    with pytest.raises(CommitOutcomeUnknownError):
        bench.apply(desk=wired)
    bench.venue.clear_faults()
    assert_audit_is_the_ledger(bench)
    assert bench.backfills() == [("t-1", HALF, "filled")]
    assert bench.apply(desk=wired).audit == ()


def test_failures_20_a_commit_that_failed_with_its_answer_is_not_taken_for_done(own_bench):
    own_bench.ghost("t-1")
    own_bench.pause()
    own_bench.run(
        """
        CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON reconciliation_backfill_audit
            DEFERRABLE FOR EACH ROW WHEN (NEW.decision = 'APPLIED') EXECUTE FUNCTION end_it();
        CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN NEW; END $$;
        CREATE TRIGGER before_it BEFORE UPDATE ON reconciliation_backfill_audit
            FOR EACH ROW EXECUTE FUNCTION later()
        """
    )
    with pytest.raises(CommitOutcomeUnknownError):
        own_bench.apply()
    assert own_bench.backfills() == []
    assert_audit_is_the_ledger(own_bench)
    own_bench.run("DROP TRIGGER at_commit ON reconciliation_backfill_audit")
    assert told(own_bench.apply()) == [("t-1", *APPLIED)]


def test_invariant_9_an_end_at_any_statement_loses_nothing_and_doubles_nothing(bench, wire, wired):
    """The wire is cut after the first message of an apply, after a later one, and so on.

    A run of the tests takes a share of them, `make proof` each.
    """
    bench.pause()
    whole = messages_of_an_apply(bench, wire, wired)
    survived = 0
    for number in range(0, whole, STEP):
        bench.run("TRUNCATE orders")
        trade_id = f"t-{number}"
        bench.ghost(trade_id, opened=hours_ago(5), closed=hours_ago(3))
        wire.cut()
        wire.mend()
        wire.cut_after(number)
        survived += survives(bench, wired)
        wire.mend()
        bench.apply(desk=wired)
        assert bench.backfills() == [(trade_id, HALF, "filled")], number
        mine = [row for row in applied_rows(bench) if row[0] == trade_id]
        assert (len(mine), pending(bench)) == (1, 0), number
        forget_everything(bench)
    assert survived < whole // STEP // 4


def survives(bench: Bench, desk: Desk) -> bool:
    """Kept connections are replaced before anything was done on them, and ends are not waited for:
    where such a message is lost, the cycle goes on.
    """
    try:
        bench.apply(desk=desk)
    except DatabaseError:
        return False
    return True


def forget_everything(bench: Bench) -> None:
    for fill in bench.world.fills(PROFILE):
        bench.world.forget_fill(fill)


def messages_of_an_apply(bench: Bench, wire: Wire, desk: Desk) -> int:
    bench.ghost("t-first")
    wire.mend()
    bench.apply(desk=desk)
    forget_everything(bench)
    return wire.sent


# --- the record cannot be kept -----------------------------------------------------------------

REFUSING = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the disk of the audit is full'; END $$;
    CREATE TRIGGER refuse BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize(
    ("event", "table"),
    (
        ("INSERT", "reconciliation_backfill_batch"),
        ("INSERT", "reconciliation_backfill_audit"),
        ("UPDATE", "reconciliation_backfill_audit"),
    ),
)
def test_where_the_audit_cannot_be_written_nothing_is_applied(own_bench, event, table):
    own_bench.ghost("t-1")
    own_bench.pause()
    own_bench.run(REFUSING.format(event=event, table=table))
    with pytest.raises(DatabaseError, match="the disk of the audit is full"):
        own_bench.apply()
    assert own_bench.backfills() == []

    own_bench.run(f"DROP TRIGGER refuse ON {table}")
    assert told(own_bench.apply()) == [("t-1", *APPLIED)]
    assert_audit_is_the_ledger(own_bench)


def test_failures_19_a_chunk_that_the_ledger_refuses_is_refused_whole(own_bench):
    """The second row cannot be written: the first is not either, and the audit says so."""
    own_bench.ghost("t-1")
    own_bench.ghost("t-2", "2", symbol=ETH)
    own_bench.pause()
    own_bench.run(
        "ALTER TABLE orders ADD CONSTRAINT small CHECK (action = 'ENTRY' OR quantity < 1)"
    )
    with pytest.raises(DatabaseError, match="small"):
        own_bench.apply()
    assert own_bench.backfills() == []
    decisions = own_bench.rows("SELECT decision, reason FROM reconciliation_backfill_audit")
    assert decisions == [("NO_GO", "interrupted_before_apply")] * 2


def test_events_that_cannot_be_stored_leave_the_applied_rows_in_the_record(own_bench):
    own_bench.ghost("t-1")
    own_bench.pause()
    own_bench.run(REFUSING.format(event="INSERT", table="reconciliation_event"))
    with pytest.raises(DatabaseError):
        own_bench.apply()
    assert_audit_is_the_ledger(own_bench)
