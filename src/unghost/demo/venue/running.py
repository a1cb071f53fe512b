"""Running a venue: in a thread of this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Final

from aiohttp import web

from unghost.demo.venue.control import VenueControl, add_control
from unghost.demo.venue.protocol import Face
from unghost.demo.venue.server import FACES, VENUE_KEY, Venue, add_faces
from unghost.demo.world import World

HOST: Final = "127.0.0.1"
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
START_SECONDS: Final = 20
STOP_SECONDS: Final = 10
GRACE_SECONDS: Final = 0.1
POLL_SECONDS: Final = 0.05


async def serve(venue: Venue, *, port: int, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Serve on loopback until `stop` is set; `ready` is called once `venue.base_url` is known.

    Port 0 is any free one; OSError where the port is taken.
    """
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app[VENUE_KEY] = venue
    add_control(app, stop)
    add_faces(app)
    # Hardly any grace (0 would mean for ever): an answer that a fault delays for a minute must
    # not hold up the end of a test.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        address = runner.addresses[0]
        venue.base_url = f"http://{address[0]}:{address[1]}"
        ready()
        await stop.wait()
    finally:
        await runner.cleanup()


@contextmanager
def running_venue(world: World, *, port: int = 0, faces: Sequence[Face] = FACES) -> Iterator[Venue]:
    """Serve `world` from a thread until the block ends; the world may be edited meanwhile."""
    venue = Venue(world, faces=faces)
    started: Future[Callable[[], None]] = Future()
    thread = Thread(target=_serve_thread, args=(venue, port, started), name="venue", daemon=True)
    thread.start()
    stop = started.result(timeout=START_SECONDS)
    try:
        yield venue
    finally:
        stop()
        thread.join(timeout=STOP_SECONDS)


def _serve_thread(venue: Venue, port: int, started: Future[Callable[[], None]]) -> None:
    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def set_stop() -> None:
            # The loop is closed where the venue was shut down by its control endpoint.
            if not loop.is_closed():
                loop.call_soon_threadsafe(stop.set)

        await serve(venue, port=port, stop=stop, ready=lambda: started.set_result(set_stop))

    try:
        asyncio.run(main())
    except OSError as error:
        started.set_exception(error)


@contextmanager
def spawned_venue(world: World) -> Iterator[VenueControl]:
    """Serve a copy of `world` from another process until the block ends.

    TimeoutError where it does not announce itself, ChildProcessError where it ends at once.
    """
    with tempfile.TemporaryDirectory(prefix="unghost-venue-") as folder:
        source, announced = Path(folder, "world.json"), Path(folder, "announced.json")
        source.write_text(world.to_json(), encoding="utf-8")
        source.chmod(0o600)
        command = [sys.executable, "-m", "unghost.demo.venue", "--port", "0"]
        command += ["--world", str(source), "--announce", str(announced)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=_environment())
        try:
            yield VenueControl(_awaited(process, announced))
        finally:
            _stopped(process)


def _environment() -> dict[str, str]:
    """The import path of the parent, so that the child finds the same package."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


def _awaited(process: subprocess.Popen[bytes], announced: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if announced.exists():
            return str(json.loads(announced.read_text(encoding="utf-8"))["base_url"])
        if process.poll() is not None:
            raise ChildProcessError(f"the venue ended with code {process.returncode}")
        time.sleep(POLL_SECONDS)
    raise TimeoutError("the venue did not start in time")


def _stopped(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
