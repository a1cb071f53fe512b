"""A database in trouble, each time by its real cause: one sentence, nothing half-written, and the
next cycle repairs. Connections that are cut are in `test_races.py`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import LiteralString

import psycopg
import pytest
from tests.cycle.bench import Bench, told

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.desk import Desk
from unghost.errors import DatabaseError
from unghost.model import Decision, Reason

APPLIED = (Decision.APPLIED, Reason.FILL_EVIDENCE)


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.ghost("t-1")
    bench.pause()
    return bench


@contextmanager
def hurried(bench: Bench, **limits: int) -> Iterator[Desk]:
    """A desk whose statements and locks may not take long."""
    with closing(Database(bench.service_url, **limits)) as database:
        yield bench.new_desk(database=database)


@contextmanager
def held(bench: Bench, table: str) -> Iterator[None]:
    """Somebody else has locked a table and does not let go."""
    with psycopg.connect(bench.database_url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


def refused(bench: Bench, desk: Desk, sentence: str) -> None:
    """The apply says so in one sentence and leaves no row."""
    with pytest.raises(DatabaseError, match=sentence) as caught:
        bench.apply(desk=desk)
    assert "\n" not in str(caught.value)


def assert_repaired(bench: Bench, *trade_ids: str) -> None:
    """Nothing was written so far; the next cycle writes it, and all agrees."""
    assert bench.backfills() == []
    bench.venue.clear_faults()
    assert told(bench.apply()) == [(name, *APPLIED) for name in trade_ids or ("t-1",)]
    written = bench.rows("SELECT order_id FROM orders WHERE order_id LIKE 'BFILL-%' ORDER BY 1")
    recorded = """
        SELECT backfill_order_id FROM reconciliation_backfill_audit WHERE decision = %s ORDER BY 1
    """
    assert bench.rows(recorded, "APPLIED") == written
    assert bench.rows(recorded, "PENDING_APPLY") == []
    with closing(Database(bench.database_url)) as database:
        assert verify(database).breaks == ()


TABLES = ("orders", "reconciliation_backfill_audit", "reconciliation_chain_head")


@pytest.mark.parametrize("table", TABLES)
def test_a_lock_that_somebody_holds_for_too_long(stage, table):
    with hurried(stage, lock_timeout_ms=200) as desk, held(stage, table):
        refused(stage, desk, "A lock is held by another process for too long")
    assert_repaired(stage)


@pytest.mark.parametrize("table", TABLES)
def test_a_statement_that_takes_too_long(stage, table):
    with hurried(stage, statement_timeout_ms=300) as desk, held(stage, table):
        refused(stage, desk, "ran longer than its time limit")
    assert_repaired(stage)


def run_on(connection: psycopg.Connection, statement: LiteralString) -> None:
    connection.execute(statement)


def test_a_lock_that_is_taken_just_before_the_write(stage):
    """The intents are recorded by then."""
    with hurried(stage, lock_timeout_ms=200) as desk, psycopg.connect(stage.database_url) as other:
        lock = "LOCK TABLE orders IN SHARE MODE"
        stage.venue.before("positionRisk", lambda _: run_on(other, lock), call=3)
        refused(stage, desk, "A lock is held by another process for too long")
        other.rollback()
    assert_repaired(stage)


WAITS_FOR_THE_HEAD = """
    SELECT 1 FROM pg_locks WHERE NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation = 'reconciliation_chain_head'::regclass
"""


def test_a_deadlock_with_somebody_who_locks_the_other_way_round(own_bench):
    """They have the head of the chain and then want `orders`; ours wants them in that order."""
    own_bench.ghost("t-1")
    own_bench.pause()
    with psycopg.connect(own_bench.database_url) as other, ThreadPoolExecutor(1) as pool:
        waiting: list[Future[None]] = []

        def lock_the_head() -> None:
            other.execute("SET deadlock_timeout = '60s'")  # ours is to be the one that is stopped
            other.execute("LOCK TABLE reconciliation_chain_head IN ACCESS EXCLUSIVE MODE")
            waiting.append(pool.submit(want_orders))

        def want_orders() -> None:
            while not own_bench.rows(WAITS_FOR_THE_HEAD):
                time.sleep(0.02)
            other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")

        own_bench.venue.before("positionRisk", lambda _: lock_the_head(), call=3)
        refused(own_bench, own_bench.desk, "Two processes waited for each other")
        waiting[0].result(timeout=60)
        other.rollback()
    assert_repaired(own_bench)


@pytest.mark.parametrize("how", (signal.SIGINT, signal.SIGQUIT), ids=("restart", "crash"))
@pytest.mark.parametrize("call", (1, 3), ids=("before the intents", "after them"))
def test_a_server_that_ends_and_comes_back_in_mid_apply(fragile_bench, fragile_server, how, call):
    """The guard ended with it, so that another apply might run by now."""
    fragile_bench.ghost("t-1")
    fragile_bench.pause()
    fragile_bench.venue.before("positionRisk", lambda _: fragile_server.restart(how), call=call)
    refused(fragile_bench, fragile_bench.desk, "keeps other applies out was lost")
    assert_repaired(fragile_bench)


FILLER = """
    WITH filler AS (
        INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)
        VALUES ('filler', 'filler', 'dry_run', 'finished', 'nobody') RETURNING batch_id
    )
    INSERT INTO reconciliation_backfill_audit
        (batch_id, profile_id, symbol, trade_id, decision, reason, actor, fingerprint)
    SELECT batch_id, 'filler', 'BTCUSDT', n::text, 'NO_GO', 'exchange_not_flat', 'nobody',
        repeat('x', 1000)
    FROM filler, generate_series(1, 1500) AS n
"""
"""More than the server needs room for besides the audit."""

GHOSTS = 40
"""More audit rows than find room in the last page."""

SIZE = "SELECT pg_relation_size('reconciliation_backfill_audit')"
DECISIONS = """
    SELECT decision, count(*) FROM reconciliation_backfill_audit
    WHERE profile_id = 'main' GROUP BY 1
"""


def test_the_disk_of_the_audit_is_full(fragile_bench, fragile_server):
    """The server cannot make the table's file larger, and the intents find no room."""
    names = [f"t-{number:02}" for number in range(GHOSTS)]
    for number, name in enumerate(names):
        fragile_bench.ghost(name, f"0.{number + 101}")
    fragile_bench.pause()
    fragile_bench.run(FILLER)
    with ExitStack() as full:

        def fill_up(_: object) -> None:
            ((size,),) = fragile_bench.rows(SIZE)
            full.enter_context(fragile_server.full_at(size))

        fragile_bench.venue.before("positionRisk", fill_up, call=1)
        refused(fragile_bench, fragile_bench.desk, "The database's disk is full: make room on it")
        assert fragile_bench.rows(DECISIONS) == []
    assert_repaired(fragile_bench, *names)


ORDERS_FILLER = """
    INSERT INTO orders (order_id, profile_id, symbol, action, status)
    SELECT n, 'x', 'x', 'ENTRY', 'canceled' FROM generate_series(1, 20000) AS n
"""
"""More than the server needs room for besides the orders, in rows so small that no page has room
left for one of ours."""

ORDERS_SIZE = "SELECT pg_relation_size('orders')"


def test_the_disk_of_the_orders_is_full(fragile_bench, fragile_server):
    """The intents are recorded by then, and the rows find no room: none of them is kept, and the
    record says of each that it was not written."""
    names = [f"t-{number:02}" for number in range(GHOSTS)]
    fragile_bench.run(ORDERS_FILLER)
    for number, name in enumerate(names):
        fragile_bench.ghost(name, f"0.{number + 101}")
    fragile_bench.pause()
    with ExitStack() as full:

        def fill_up(_: object) -> None:
            ((size,),) = fragile_bench.rows(ORDERS_SIZE)
            full.enter_context(fragile_server.full_at(size))

        fragile_bench.venue.before("positionRisk", fill_up, call=3)
        refused(fragile_bench, fragile_bench.desk, "The database's disk is full: make room on it")
        assert fragile_bench.rows(DECISIONS) == [("NO_GO", GHOSTS)]
    assert_repaired(fragile_bench, *names)
