"""Behind PgBouncer in transaction mode: what follows a transaction may be on another connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal

import pytest
from tests.cycle.bench import ETH, Bench, batch_id, told
from tests.cycle.pooler import Pooler

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.cycle import CycleReport, Outcome
from unghost.desk import Desk
from unghost.model import Decision, Reason
from unghost.rollback import reinstate, roll_back

APPLIED = (Decision.APPLIED, Reason.FILL_EVIDENCE)
HALF = Decimal("0.5")


@pytest.fixture
def pooled(bench: Bench, pooler: Pooler) -> Iterator[Database]:
    """The service's database by way of the pooler."""
    with closing(Database(pooler.before(bench.service_url))) as database:
        yield database


@pytest.fixture
def desk(bench: Bench, pooled: Database) -> Desk:
    bench.ghost("t-1")
    bench.ghost("t-2", "2", symbol=ETH)
    bench.pause()
    return bench.new_desk(database=pooled)


def assert_whole(bench: Bench) -> None:
    """Each row of ours has one APPLIED audit row and the reverse, and the chain is whole."""
    written = bench.rows("SELECT order_id FROM orders WHERE order_id LIKE 'BFILL-%' ORDER BY 1")
    recorded = bench.rows(
        "SELECT backfill_order_id FROM reconciliation_backfill_audit"
        " WHERE decision = 'APPLIED' ORDER BY 1"
    )
    assert recorded == written
    pending = "SELECT 1 FROM reconciliation_backfill_audit WHERE decision = 'PENDING_APPLY'"
    assert bench.rows(pending) == []
    with closing(Database(bench.database_url)) as database:
        assert verify(database).breaks == ()


def test_the_pooler_shares_connections_by_transaction_and_all_goes_through_it(bench, desk, pooler):
    assert {"transaction"} == {
        one["value"] for one in pooler.told("SHOW CONFIG") if one["key"] == "pool_mode"
    }
    bench.apply(desk=desk)
    (name,) = bench.rows("SELECT current_database()::text")
    (stats,) = [one for one in pooler.told("SHOW STATS") if (one["database"],) == name]
    assert int(str(stats["total_xact_count"])) > 5


def test_a_cycle_an_apply_a_rollback_and_a_reinstate(bench, desk):
    dry = bench.dry_run(desk)
    assert [row[1] for row in told(dry)] == [Decision.DRY_RUN] * 2
    applied = bench.apply(plan=batch_id(dry), desk=desk)
    assert told(applied) == [("t-1", *APPLIED), ("t-2", *APPLIED)]
    assert_whole(bench)
    assert bench.apply(desk=desk).outcome is Outcome.CLEAN

    roll_back(desk, batch_id(applied), actor="tester")
    assert {status for _, _, status in bench.backfills()} == {"canceled"}
    reinstate(bench.applying(desk), batch_id(applied), actor="tester")
    assert {status for _, _, status in bench.backfills()} == {"filled"}
    assert_whole(bench)


def test_settings_of_a_transaction_stay_in_it(bench, desk, pooler):
    """Whoever gets the connection next, such as the bot, finds it as the server gives it."""
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone")
    with closing(Database(bench.service_url)) as fresh, fresh.outside_transactions() as direct:
        usual = [direct.execute(f"SHOW {name}").fetchall() for name in names]
    bench.apply(desk=desk)
    with closing(Database(pooler.before(bench.service_url))) as next_one:
        for _ in range(5):
            with next_one.outside_transactions() as shared:
                assert [shared.execute(f"SHOW {name}").fetchall() for name in names] == usual


def at_once(*jobs: Callable[[], CycleReport]) -> list[CycleReport]:
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], CycleReport]) -> CycleReport:
        start.wait(timeout=20)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_a_direct_apply_and_a_pooled_one_keep_each_other_out(bench, desk):
    reports = at_once(lambda: bench.apply(desk=desk), bench.apply)
    assert sorted(len(one.audit) for one in reports) == [0, 2]
    assert_whole(bench)
