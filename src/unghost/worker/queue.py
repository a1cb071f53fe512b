"""The queue of the loop: a beat puts one job for each profile, and any process takes it.

A profile's job carries a lock, so that one process works on it at a time, and a queueing lock, so
that at most one more waits. A process says every few seconds that it lives; the jobs of one that
died go back into the queue. Nothing listens: a lock that is freed wakes nobody anyway, and polling
works behind a transaction pooler too.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job, Status

from unghost.adapters.notifications import Notifier
from unghost.assembly import House
from unghost.worker.cycles import run_profile

log = structlog.get_logger("unghost")

QUEUE: Final = "unghost"
CYCLE: Final = "unghost.cycle"
BEAT: Final = "unghost.beat"
RECOVER: Final = "unghost.recover"
RECOVER_SECONDS: Final = 10
HEARTBEAT_SECONDS: Final = 5
STALLED_SECONDS: Final = 30
POLL_SECONDS: Final = 1
CONNECTIONS: Final = 4
CONNECTION_SECONDS: Final = 10
"""How long the queue waits for a connection, also for the last word of a process that ends."""

URGENT: Final = 10
"""Beats and recoveries are short, and go before cycles."""

WAITING: Final = Status.TODO.value
MINUTE: Final = 60


def cron_of(seconds: int) -> str:
    """A beat every so many seconds; the sixth field is the second."""
    if seconds < MINUTE:
        return f"* * * * * */{seconds}"
    minutes = seconds // MINUTE
    return "0 * * * *" if minutes == MINUTE else f"*/{minutes} * * * *"


def worker_name() -> str:
    """This process, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def open_queue(house: House, notifier: Notifier) -> App:
    """The queue with its tasks; nothing is connected yet."""
    connector = PsycopgConnector(
        conninfo=house.conninfo,
        min_size=1,
        max_size=CONNECTIONS,
        timeout=CONNECTION_SECONDS,
        kwargs={"prepare_threshold": None, "application_name": "unghost loop"},
    )
    app = App(connector=connector)
    worker = worker_name()

    @app.task(name=CYCLE, queue=QUEUE)
    def cycle(profile_id: str) -> None:
        if profile_id in house.names():
            run_profile(house, profile_id, worker=worker, notifier=notifier)

    @app.periodic(cron=cron_of(house.settings.loop_seconds))
    @app.task(name=BEAT, queue=QUEUE, queueing_lock=BEAT, priority=URGENT)
    async def beat(timestamp: int) -> None:  # noqa: ARG001 - procrastinate hands it over
        await put_cycles(app, house.names())

    @app.periodic(cron=cron_of(RECOVER_SECONDS))
    @app.task(name=RECOVER, queue=QUEUE, queueing_lock=RECOVER, priority=URGENT)
    async def recover(timestamp: int) -> None:  # noqa: ARG001 - procrastinate hands it over
        await put_back_stalled(app)

    return app


async def put_cycles(app: App, profile_ids: Sequence[str]) -> int:
    """Put one job for each profile for which none waits, in one statement; returns how many."""
    waiting = await app.job_manager.list_jobs_async(queue=QUEUE, task=CYCLE, status=WAITING)
    there = {job.queueing_lock for job in waiting}
    jobs = [job for job in map(partial(_cycle_job, app), profile_ids) if job.lock not in there]
    try:
        return len(await app.job_manager.batch_defer_jobs_async(jobs)) if jobs else 0
    except AlreadyEnqueued:
        # Another beat was here at the same moment, and a statement puts all or nothing.
        return sum([await _put(app, job) for job in jobs])


async def _put(app: App, job: Job) -> bool:
    try:
        await app.job_manager.defer_job_async(job)
    except AlreadyEnqueued:
        return False
    return True


def _cycle_job(app: App, profile_id: str) -> Job:
    lock = f"unghost:{profile_id}"
    task = app.configure_task(CYCLE, lock=lock, queueing_lock=lock, queue=QUEUE)
    return task.make_new_job(profile_id=profile_id)


async def put_back_stalled(app: App, *, stalled_seconds: int = STALLED_SECONDS) -> int:
    """Put the jobs of dead processes back into the queue; returns how many there were."""
    manager = app.job_manager
    found = list(
        await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=stalled_seconds)
    )
    for job in found:
        log.warning("a job of a dead process was found", task=job.task_name, job_id=job.id)
        await _put_back(app, job)
    return len(found)


async def _put_back(app: App, job: Job) -> None:
    """Where another job of the kind waits already, that one does it, and this one is taken away."""
    try:
        await app.job_manager.retry_job(job)
    except (AlreadyEnqueued, ConnectorException):
        if job.id is not None:
            await app.job_manager.finish_job_by_id_async(
                job_id=job.id, status=Status.FAILED, delete_job=True
            )


async def work(app: App, *, concurrency: int) -> None:
    """Take jobs until cancelled; then finish what runs. The queue must be open.

    A cycle that was begun is finished: an apply is never cut by a clean shutdown.
    """
    await app.run_worker_async(
        queues=[QUEUE],
        name=worker_name(),
        concurrency=concurrency,
        wait=True,
        fetch_job_polling_interval=POLL_SECONDS,
        listen_notify=False,
        delete_jobs="always",
        install_signal_handlers=False,
        update_heartbeat_interval=HEARTBEAT_SECONDS,
        stalled_worker_timeout=STALLED_SECONDS,
    )
