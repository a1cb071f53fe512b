"""Runs the loop until it is told to stop: alone in a process, or beside the web."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Final

import structlog

from unghost.adapters.notifications import Notice, Notifier
from unghost.adapters.postgres.queue import queue_is_there
from unghost.assembly import House
from unghost.errors import DatabaseError
from unghost.worker.queue import open_queue, work

log = structlog.get_logger("unghost")

AGAIN_SECONDS: Final = 5


def require_queue(house: House) -> None:
    """Raise DatabaseError where the queue's tables are missing."""
    if not queue_is_there(house.database):
        raise DatabaseError("The tables of the loop's queue are missing: run `unghost init`.")


@contextlib.asynccontextmanager
async def looping(house: House, notifier: Notifier) -> AsyncIterator[asyncio.Task[None]]:
    """The loop beside something else; when the block ends, what runs is finished."""
    task = asyncio.create_task(_kept_working(house, notifier))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _kept_working(house: House, notifier: Notifier) -> None:
    """A database that is away, however long, ends the work of the queue, and not the process.

    Where it is away when the process is told to end, the queue answers with an error of its own.
    """
    while True:
        try:
            app = open_queue(house, notifier)
            async with app.open_async():
                await work(app, concurrency=house.settings.loop_concurrency)
        except Exception as error:  # noqa: BLE001 - queue, pool and driver each raise their own
            if _is_told_to_end():
                log.warning("the loop ended without its queue", error=type(error).__name__)
                return
            log.warning("the loop lost its queue", error=type(error).__name__)
            notifier.tell(
                Notice(
                    kind="LOOP_STALLED",
                    profile_id=house.names()[0],
                    text="A process of the loop lost its queue, and tries again.",
                )
            )
        await asyncio.sleep(AGAIN_SECONDS)


def _is_told_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def run_worker(house: House, notifier: Notifier) -> None:
    """Run the loop until SIGTERM or SIGINT."""
    asyncio.run(_until_told(house, notifier))


async def _until_told(house: House, notifier: Notifier) -> None:
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)
    async with looping(house, notifier) as task:
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if task.done():
            await task
