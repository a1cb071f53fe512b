"""The loop: many processes share the profiles, one that is killed is replaced, nothing doubles."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from decimal import Decimal

import pytest
from procrastinate.exceptions import ConnectorException
from psycopg_pool import PoolTimeout
from tests.web.conftest import TOKENS

from unghost.adapters.notifications import Notifier
from unghost.adapters.postgres.events import EventLog
from unghost.assembly import open_house
from unghost.demo.venue.faults import Fault, FaultKind
from unghost.worker import running
from unghost.worker.cycles import run_profile
from unghost.worker.queue import cron_of, open_queue, put_back_stalled, put_cycles


@contextmanager
def opened(settings):
    with open_house(settings) as house:
        notifier = Notifier("", EventLog(house.database), throttle_seconds=0)
        yield house, notifier


def put_all(house, notifier):
    """One job for each profile, as the beat puts them."""

    async def put():
        app = open_queue(house, notifier)
        async with app.open_async():
            return await put_cycles(app, house.names())

    return asyncio.run(put())


def recover(house, notifier, **more):
    async def put_back():
        app = open_queue(house, notifier)
        async with app.open_async():
            return await put_back_stalled(app, **more)

    return asyncio.run(put_back())


@contextmanager
def process(*command):
    """A process of the loop."""
    with subprocess.Popen(
        [sys.executable, "-m", "unghost", *command], stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def until(condition, seconds=40):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)


def test_what_was_found_before_is_not_recorded_again(queue, configured):
    queue.ghost("t-1")
    with opened(configured(UNGHOST_LOOP="dry_run")) as (house, notifier):
        for _ in range(3):
            run_profile(house, "main", worker="w", notifier=notifier)
        assert queue.rows("SELECT reason FROM reconciliation_backfill_audit") == [
            ("profile_not_paused",)
        ]
        queue.pause()
        for _ in range(2):
            run_profile(house, "main", worker="w", notifier=notifier)
    batches = "SELECT mode, counts FROM reconciliation_backfill_batch ORDER BY started_at"
    assert queue.rows(batches) == [("dry_run", {"NO_GO": 1}), ("dry_run", {"DRY_RUN": 1})]
    assert queue.backfills() == []
    (state,) = queue.rows("SELECT cycles, failures, outcome FROM reconciliation_loop")
    assert state == (5, 0, "remaining")


def test_under_the_flags_the_loop_applies(queue, configured):
    queue.ghost("t-1")
    queue.pause()
    with opened(configured(UNGHOST_LOOP="flags")) as (house, notifier):
        for _ in range(2):
            run_profile(house, "main", worker="w", notifier=notifier)
    assert len(queue.backfills()) == 1
    assert queue.rows("SELECT count(*) FROM reconciliation_backfill_audit") == [(1,)]


@pytest.mark.parametrize("command", ("serve", "worker"))
@pytest.mark.parametrize(
    ("variables", "refused"),
    (
        ({}, True),
        ({"UNGHOST_LOOP": "dry_run"}, False),
        ({"RECON_EXIT_BACKFILL_DRY_RUN": "true"}, False),
        ({"ENABLE_RECON_EXIT_BACKFILL": "false"}, False),
        ({"UNGHOST_FOUR_EYES": "false"}, False),
    ),
)
def test_where_two_people_are_wanted_no_loop_applies_on_its_own(
    queue, configured, command, variables, refused
):
    queue.ghost("t-1")
    queue.pause()
    wanted = {"UNGHOST_LOOP": "flags", "UNGHOST_FOUR_EYES": "true", "UNGHOST_BIND": "127.0.0.1:0"}
    configured(**wanted | variables)
    with process(command) as one:
        told = one.stderr.readline() if refused else next(filter(_is_ready, one.stderr), "")
        if refused:
            assert "UNGHOST_FOUR_EYES is true, and UNGHOST_LOOP is flags" in told
            assert (one.wait(timeout=40), queue.backfills()) == (3, [])
        else:
            assert _is_ready(told)


def test_a_job_from_before_two_people_were_wanted_only_plans(queue, configured):
    queue.ghost("t-1")
    queue.pause()
    with opened(configured(UNGHOST_LOOP="flags", UNGHOST_FOUR_EYES="true")) as (house, notifier):
        run_profile(house, "main", worker="w", notifier=notifier)
    assert queue.rows("SELECT mode, counts FROM reconciliation_backfill_batch") == [
        ("dry_run", {"DRY_RUN": 1})
    ]
    assert queue.backfills() == []


def _is_ready(line: str) -> bool:
    return "Ctrl-C" in line or "Serving on" in line


def test_a_failure_is_written_down_and_the_next_cycle_tries_anew(queue, configured, monkeypatch):
    queue.ghost("t-1")
    monkeypatch.setattr("unghost.worker.cycles.FIRST_WAIT_SECONDS", 0)
    with opened(configured(UNGHOST_LOOP="dry_run")) as (house, notifier):
        monkeypatch.delenv("MAIN_SECRET")
        run_profile(house, "main", worker="w", notifier=notifier)
        monkeypatch.setenv("MAIN_SECRET", "main-secret")
        run_profile(house, "main", worker="w", notifier=notifier)
    assert queue.rows("SELECT cycles, failures, outcome FROM reconciliation_loop") == [
        (2, 1, "refused")
    ]


def test_the_throttle_of_events_holds_across_processes(queue, configured):
    queue.ghost("t-1")
    settings = configured(UNGHOST_LOOP="dry_run")
    for _ in range(2):
        with opened(settings) as (house, notifier):
            run_profile(house, "main", worker="w", notifier=notifier)
    kinds = Counter(row[0] for row in queue.rows("SELECT event_type FROM reconciliation_event"))
    assert kinds["EXCHANGE_STATE_MISMATCH"] == 1


def test_a_dry_run_whose_process_died_is_interrupted(queue, configured):
    with opened(configured(UNGHOST_LOOP="dry_run")) as (house, notifier):
        queue.run(
            "INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)"
            " VALUES ('dead', 'main', 'dry_run', 'running', 'unghost loop')"
        )
        run_profile(house, "main", worker="w", notifier=notifier)
    found = dict(queue.rows("SELECT batch_id, status FROM reconciliation_backfill_batch"))
    assert found["dead"] == "interrupted"


def test_the_console_shows_a_run_that_died_as_interrupted_and_the_event(bench, service):
    bench.run(
        "INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)"
        " VALUES ('dead', 'main', 'dry_run', 'running', 'anna')"
    )
    vera = service(None)
    vera.cookies.set("unghost_session", vera.app.state.seats.sign_in(TOKENS["vera"][1]))
    assert "interrupted" not in vera.get("/profiles/main").text
    bench.dry_run()
    assert '<span class="lamp doubt">interrupted</span>' in vera.get("/profiles/main").text
    assert "the process that ran this batch ended before it" in vera.get("/batches/dead").text
    assert "BATCH_INTERRUPTED" in vera.get("/events").text


def test_one_job_at_most_waits_for_a_profile(queue, configured):
    with opened(configured(("main", "second"), UNGHOST_LOOP="dry_run")) as (house, notifier):
        assert [put_all(house, notifier), put_all(house, notifier)] == [2, 0]
        queue.run("DELETE FROM procrastinate_jobs WHERE lock = 'unghost:second'")
        assert put_all(house, notifier) == 1


def test_two_beats_at_once_put_each_profile_once(queue, configured):
    """Both look before either has put its jobs: one statement of the two is refused as a whole."""
    with opened(configured(("main", "second", "third"), UNGHOST_LOOP="dry_run")) as (
        house,
        notifier,
    ):

        async def beats():
            app = open_queue(house, notifier)
            async with app.open_async():
                others = asyncio.gather(*(put_cycles(app, house.names()) for _ in range(4)))
                return sum(await others)

        assert asyncio.run(beats()) == 3
    assert queue.rows("SELECT count(*) FROM procrastinate_jobs") == [(3,)]


def test_two_workers_share_fifty_profiles(queue, configured):
    names = tuple(f"p{number:02}" for number in range(50))
    settings = configured(names, UNGHOST_LOOP="dry_run", UNGHOST_LOOP_SECONDS="3600")
    with opened(settings) as (house, notifier):
        assert put_all(house, notifier) == 50
        done = "SELECT count(*) FROM reconciliation_loop WHERE finished_at IS NOT NULL"
        with process("worker"), process("worker"):
            until(lambda: queue.rows(done) == [(50,)])
    shared = queue.rows("SELECT worker, sum(cycles) FROM reconciliation_loop GROUP BY worker")
    assert len(shared) == 2
    assert sum(count for _, count in shared) == 50


def test_a_worker_that_is_killed_in_mid_cycle_is_replaced(queue, configured):
    queue.ghost("t-1")
    queue.pause()
    settings = configured(UNGHOST_LOOP="flags", UNGHOST_LOOP_SECONDS="3600")
    third_reading = Fault(kind=FaultKind.DELAY, endpoint="positionRisk", delay_ms=30_000).on_call(3)
    with opened(settings) as (house, notifier):
        put_all(house, notifier)
        intents = "SELECT decision FROM reconciliation_backfill_audit"
        queue.venue.fault(third_reading)
        with process("worker") as first:
            until(lambda: queue.rows(intents) == [("PENDING_APPLY",)])
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        queue.venue.clear_faults()
        doing = "SELECT status FROM procrastinate_jobs WHERE task_name = 'unghost.cycle'"
        assert queue.rows(doing) == [("doing",)]
        queue.run("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
        assert recover(house, notifier) >= 1
        with process("worker"):
            until(lambda: len(queue.backfills()) == 1)
    decisions = "SELECT decision, reason FROM reconciliation_backfill_audit ORDER BY audit_id"
    assert queue.rows(decisions) == [
        ("NO_GO", "interrupted_before_apply"),
        ("APPLIED", "fill_evidence"),
    ]
    assert queue.closed_by_us() == Decimal("0.5")


@pytest.mark.parametrize(
    ("seconds", "cron"),
    ((5, "* * * * * */5"), (60, "*/1 * * * *"), (300, "*/5 * * * *"), (3600, "0 * * * *")),
)
def test_the_beat_of_the_queue(seconds, cron):
    from croniter import croniter  # type: ignore[import-untyped]

    assert cron_of(seconds) == cron
    ticks = croniter(cron, start_time=0)
    assert ticks.get_next() - 0 == seconds


# --- a queue that is away ------------------------------------------------------------------------


def test_the_loop_outlives_a_database_that_is_away(queue, configured, monkeypatch):
    """However long: the pool of the queue gives up waiting with an error that is its own."""
    trouble = [PoolTimeout("pool initialization incomplete"), ConnectorException(), OSError()]

    def away_at_first(house, notifier):
        if trouble:
            raise trouble.pop()
        return open_queue(house, notifier)

    monkeypatch.setattr(running, "open_queue", away_at_first)
    monkeypatch.setattr(running, "AGAIN_SECONDS", 0.01)

    async def until_it_works(house, notifier):
        async with running.looping(house, notifier) as task:
            while not queue.rows("SELECT 1 FROM procrastinate_workers"):
                assert not task.done()
                await asyncio.sleep(0.05)

    with opened(configured(UNGHOST_LOOP="dry_run")) as (house, notifier):
        asyncio.run(asyncio.wait_for(until_it_works(house, notifier), 60))
    assert trouble == []


def test_a_loop_that_is_told_to_end_does_so_while_its_database_is_away(
    queue, configured, monkeypatch
):
    """The queue cannot sign itself out then, and its error takes the place of the order to end."""

    async def work_without_sign_out(_app, *, concurrency):
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectorException from None

    async def begin_and_end(house, notifier):
        async with running.looping(house, notifier):
            await begun.wait()

    begun = asyncio.Event()
    monkeypatch.setattr(running, "work", work_without_sign_out)
    with opened(configured(UNGHOST_LOOP="dry_run")) as (house, notifier):
        asyncio.run(asyncio.wait_for(begin_and_end(house, notifier), 30))
