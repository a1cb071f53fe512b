"""What a run left behind when it died: the next cycle closes it, and only that of a dead run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing

import pytest
from tests.cycle.bench import ACCOUNT, PROFILE, Bench, told

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.living import INTERRUPTED_EVENT
from unghost.cycle import watch
from unghost.desk import Desk
from unghost.errors import DatabaseError
from unghost.model import BatchStatus, Decision, Mode, Reason

APPLIED = (Decision.APPLIED, Reason.FILL_EVIDENCE)


def run_of(desk: Desk, mode: Mode = Mode.DRY_RUN) -> AbstractContextManager[str]:
    """A run's batch. One that is left without being closed is that of a run that died."""
    return desk.ledger.running_batch(
        profile_id=PROFILE, mode=mode, actor="anna", settings={}, plan_batch_id=None
    )


def dead_run(bench: Bench, mode: Mode = Mode.DRY_RUN) -> str:
    with run_of(bench.new_desk(), mode) as batch:
        return batch


def status(bench: Bench, batch: str) -> str:
    ((found,),) = bench.rows(
        "SELECT status FROM reconciliation_backfill_batch WHERE batch_id = %s", batch
    )
    return str(found)


def swept(desk: Desk) -> tuple[str, ...]:
    """What a cycle does first, without the rest of it; the batches closed."""
    return desk.ledger.close_interrupted(ACCOUNT, [PROFILE]).batch_ids


def told_of(bench: Bench) -> list[str]:
    """The batch of each event that tells of an end, in order."""
    found = bench.rows(
        "SELECT payload ->> 'batch_id' FROM reconciliation_event"
        " WHERE event_type = %s ORDER BY event_id",
        INTERRUPTED_EVENT,
    )
    return [batch for (batch,) in found]


def lose_all(bench: Bench) -> None:
    """End every connection but our own."""
    bench.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def a_dry_run(bench: Bench) -> object:
    return bench.dry_run()


def an_apply(bench: Bench) -> object:
    return bench.apply()


def a_cycle_of_the_loop(bench: Bench) -> object:
    return watch(bench.at(mode=Mode.DRY_RUN), actor="loop", known="")


CYCLES: tuple[Callable[[Bench], object], ...] = (a_dry_run, an_apply, a_cycle_of_the_loop)
by_any_cycle = pytest.mark.parametrize("cycle", CYCLES, ids=lambda one: one.__name__)


@by_any_cycle
def test_a_dry_run_that_died_is_closed_by_the_next_cycle_and_told_once(bench, cycle):
    bench.ghost("t-1")
    bench.pause()
    dead = dead_run(bench)
    cycle(bench)
    cycle(bench)
    closed = bench.desk.ledger.batch(dead)
    assert closed is not None
    assert (closed.status, closed.counts) == (BatchStatus.INTERRUPTED, {})
    assert closed.finished_at is not None
    assert closed.notes == ("the process that ran this batch ended before it",)
    assert told_of(bench) == [dead]


@by_any_cycle
def test_a_dry_run_that_lives_elsewhere_is_left_alone_beside_one_that_died(bench, cycle):
    bench.ghost("t-1")
    bench.pause()
    with (
        closing(Database(bench.service_url)) as elsewhere,
        run_of(bench.new_desk(database=elsewhere)) as alive,
    ):
        dead = dead_run(bench)
        cycle(bench)
        assert (status(bench, alive), status(bench, dead)) == ("running", "interrupted")
        bench.desk.ledger.finish_batch(alive, status=BatchStatus.FINISHED, calls={})
    assert told_of(bench) == [dead]


def test_a_dry_run_settles_what_an_apply_that_died_had_pending(bench):
    bench.ghost("t-1")
    bench.pause()
    bench.venue.before("positionRisk", lambda _: lose_all(bench), call=3)
    with pytest.raises(DatabaseError):
        bench.apply()
    bench.venue.clear_faults()
    bench.run("UPDATE reconciliation_backfill_batch SET status = 'running'")
    bench.dry_run()
    found = bench.rows("SELECT decision, reason FROM reconciliation_backfill_audit ORDER BY 1")
    assert found == [("DRY_RUN", "fill_evidence"), ("NO_GO", "interrupted_before_apply")]
    statuses = bench.rows("SELECT mode, status FROM reconciliation_backfill_batch ORDER BY 1")
    assert statuses == [("apply", "interrupted"), ("dry_run", "finished")]
    assert len(told_of(bench)) == 1
    assert told(bench.apply()) == [("t-1", *APPLIED)]


def test_an_apply_that_lives_elsewhere_is_left_alone(bench):
    bench.ghost("t-1")
    bench.pause()
    seen: list[object] = []

    def look(_: object) -> None:
        seen.append(swept(bench.new_desk()))
        seen.extend(bench.rows("SELECT decision FROM reconciliation_backfill_audit"))

    bench.venue.before("positionRisk", look, call=3)
    assert told(bench.apply()) == [("t-1", *APPLIED)]
    assert seen == [(), ("PENDING_APPLY",)]
    assert told_of(bench) == []


def test_many_cycles_at_once_tell_of_a_dead_run_once(bench):
    dead = [dead_run(bench) for _ in range(3)]
    desks = [bench.new_desk() for _ in range(6)]
    with ThreadPoolExecutor(len(desks)) as pool:
        list(pool.map(bench.dry_run, desks))
    assert sorted(told_of(bench)) == sorted(dead)


def test_a_run_that_was_taken_for_dead_while_its_connections_were_lost_says_so(bench):
    bench.ghost("t-1")
    other = bench.new_desk()

    def lose_all_and_be_closed(_: object) -> None:
        lose_all(bench)
        swept(other)

    bench.venue.before("positionRisk", lose_all_and_be_closed, call=2)
    with pytest.raises(DatabaseError, match="is interrupted already: run another cycle"):
        bench.dry_run()
    assert len(told_of(bench)) == 1
    assert swept(bench.desk) == ()


def test_another_profiles_dead_run_is_not_this_ones_to_close(bench):
    dead = dead_run(bench)
    bench.dry_run(bench.new_desk("other"))
    assert status(bench, dead) == "running"
