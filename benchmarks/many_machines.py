"""Many profiles and several processes: how many cycles a second, how fair, and what a kill costs.

    python -m benchmarks.many_machines [--small] [--json]

1 000 profiles, each with its own key at one simulated Binance USD-M that answers 50 ms late; one
in ten has a ghost, all others a position that is truly open. Processes of `unghost worker` take
their cycles from the queue in one PostgreSQL: 1, 2 and 4 of them. All of it, the exchange and the
database included, shares the cores of one machine, and they bound it; how busy they were is told.
No pace is kept in these rounds, which only an exchange on loopback allows.

A round is one cycle of each profile. A profile's wait is the time from the start of one of its
cycles to the start of the next, the rounds following each other. Then one of two processes is
killed (SIGKILL) in the middle of a round, which the other ends; the profile whose cycle was cut
waits until the dead one is noticed. At last two processes keep CCXT's pace, each half of it, and
the most weight of any minute in the exchange's own log is held against that pace.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from statistics import median

import psycopg
from procrastinate import App, PsycopgConnector

from benchmarks.ledger_rows import empty_ledger, run
from benchmarks.report import Chart, Figure, Report, Series, figure, main
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.queue import install_queue
from unghost.demo.venue import Fault, FaultKind, VenueControl, spawned_venue
from unghost.demo.venue.binanceusdm import ENDPOINTS
from unghost.demo.world import Part, World
from unghost.worker.queue import put_cycles

PROFILES, WORKERS, ROUNDS = 1_000, (1, 2, 4), 1
PACED_PROFILES = 300
LATENCY_MS = 50
GHOST_EVERY = 10
FREE_MS, PACE_MS = 1, 50
PACE_OF_A_MINUTE = 1_200
PATIENCE_SECONDS = 1_800
STOP_SECONDS = 30
LOOK_SECONDS = 0.2
SYMBOL, NATIVE = "BTC/USDT:USDT", "BTCUSDT"
OPENED = timedelta(hours=20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """So many processes: cycles a second, and each wait in seconds.

    `busy` is the part of all cores' time, `of_workers` the seconds of a processor that the
    processes themselves used for a cycle.
    """

    workers: int
    pace: float
    waits: tuple[float, ...]
    busy: float
    of_workers: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Killed:
    """A round in which a process was killed; `undone` are profiles that no other took over."""

    seconds: float
    longest_wait: float
    undone: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where it all runs. `names` are the profiles."""

    conninfo: str
    folder: Path
    venue: VenueControl
    names: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)


# --- the place -----------------------------------------------------------------------------------


def _world(names: Sequence[str], now: datetime) -> World:
    world = World()
    for number, name in enumerate(names):
        world.open_account(name, api_key=f"key-{name}", secret=f"secret-{name}", read_only=True)
        sides = ("buy", "sell") if number % GHOST_EVERY == 0 else ("buy",)
        for hours, side in enumerate(sides):
            world.execute(
                account=name,
                symbol=SYMBOL,
                side=side,
                price=Decimal(100),
                at=now - OPENED + timedelta(hours=hours),
                parts=(Part(quantity=Decimal(1)),),
            )
    return world


def _book(conninfo: str, names: Sequence[str], now: datetime) -> None:
    """An ENTRY for each profile, and no EXIT."""
    at = (now - OPENED).isoformat()
    columns = (
        "order_id, profile_id, symbol, trade_id, action, side, status, quantity, qty, price,"
        " filled_at, created_at, updated_at"
    )
    with (
        psycopg.connect(conninfo) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY orders ({columns}) FROM STDIN") as copy,
    ):
        for name in names:
            ids = (f"e-{name}", name, NATIVE, f"t-{name}")
            copy.write_row((*ids, "ENTRY", "buy", "filled", 1, 1, 100, at, at, at))


def _configuration(names: Sequence[str], base_url: str, pace_ms: int) -> str:
    return "\n".join(
        f'[profiles.{name}]\nexchange = "binanceusdm"\nmarket = "swap"\nbase_url = "{base_url}"\n'
        f'api_key_env = "KEY_{name}"\nsecret_env = "SECRET_{name}"\nrate_limit_ms = {pace_ms}\n'
        for name in names
    )


@contextmanager
def _place(profiles: int) -> Iterator[Place]:
    names = tuple(f"m{number:04}" for number in range(profiles))
    now = datetime.now(UTC)
    with ExitStack() as stack:
        conninfo = stack.enter_context(empty_ledger())
        with closing(Database(conninfo)) as database:
            install_queue(database)
        _book(conninfo, names, now)
        venue = stack.enter_context(spawned_venue(_world(names, now)))
        venue.fault(Fault(kind=FaultKind.DELAY, delay_ms=LATENCY_MS))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unghost-many-")))
        keys = {f"KEY_{name}": f"key-{name}" for name in names}
        secrets = {f"SECRET_{name}": f"secret-{name}" for name in names}
        environment = {
            **os.environ,
            **keys,
            **secrets,
            "DATABASE_URL": conninfo,
            "UNGHOST_HOME": str(folder),
            "UNGHOST_CONFIG": str(folder / "unghost.toml"),
            "UNGHOST_LOOP": "dry_run",
            "UNGHOST_LOOP_SECONDS": "3600",
            "ENABLE_RECON_EXIT_BACKFILL": "true",
        }
        place = Place(
            conninfo=conninfo, folder=folder, venue=venue, names=names, environment=environment
        )
        _configure(place, FREE_MS)
        yield place


def _configure(place: Place, pace_ms: int) -> None:
    text = _configuration(place.names, place.venue.base_url, pace_ms)
    (place.folder / "unghost.toml").write_text(text, encoding="utf-8")


# --- work ----------------------------------------------------------------------------------------


@contextmanager
def _workers(place: Place, count: int, **more: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that have each done something already: CCXT is loaded, the markets are known."""
    command = [sys.executable, "-m", "unghost", "worker"]
    environment = place.environment | more
    running = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(count)
    ]
    try:
        yield running
    finally:
        for one in running:
            one.terminate()
        for one in running:
            _ended(one)


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _put(place: Place, names: Sequence[str]) -> None:
    """As the beat does."""
    logging.getLogger("procrastinate").setLevel(logging.ERROR)

    async def put() -> None:
        app = App(connector=PsycopgConnector(conninfo=place.conninfo, min_size=1, max_size=1))
        async with app.open_async():
            await put_cycles(app, names)

    asyncio.run(put())


def _states(place: Place) -> dict[str, tuple[int, float]]:
    """By profile: cycles that ended, and when the last one began."""
    with psycopg.connect(place.conninfo) as connection:
        rows = connection.execute(
            "SELECT profile_id, cycles, extract(epoch FROM started_at) FROM reconciliation_loop"
        ).fetchall()
    return {name: (int(cycles), float(began)) for name, cycles, began in rows}


def _until(place: Place, names: Sequence[str], before: dict[str, tuple[int, float]]) -> None:
    """Wait until each has ended a cycle more."""
    end = time.monotonic() + PATIENCE_SECONDS
    while _undone(place, names, before):
        if time.monotonic() > end:
            raise SystemExit("the profiles were not done in time")
        time.sleep(LOOK_SECONDS)


def _undone(place: Place, names: Sequence[str], before: dict[str, tuple[int, float]]) -> int:
    now = _states(place)
    return sum(now.get(name, (0, 0))[0] <= before.get(name, (0, 0))[0] for name in names)


def _one_round(place: Place, names: Sequence[str]) -> float:
    """Seconds."""
    before, began = _states(place), time.monotonic()
    _put(place, names)
    _until(place, names, before)
    return time.monotonic() - began


def _busy_ticks() -> tuple[int, int]:
    """Of all cores: busy, and all."""
    words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    ticks = [int(word) for word in words[:8]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _own_seconds(running: Sequence[subprocess.Popen[bytes]]) -> float:
    ticks = 0
    for one in running:
        text = Path(f"/proc/{one.pid}/stat").read_text(encoding="ascii")
        ticks += sum(int(word) for word in text.rpartition(")")[2].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _measured(place: Place, count: int) -> Round:
    with _workers(place, count) as running:
        _one_round(place, place.names[: max(count * 10, len(place.names) // 20)])
        _one_round(place, place.names)
        first, (busy, ticks), own = _states(place), _busy_ticks(), _own_seconds(running)
        seconds, waits = 0.0, list[float]()
        for _ in range(ROUNDS):
            seconds += _one_round(place, place.names)
            then = _states(place)
            waits += [then[name][1] - first[name][1] for name in place.names]
            first = then
        busy_now, ticks_now = _busy_ticks()
        own = _own_seconds(running) - own
    cycles = len(place.names) * ROUNDS
    return Round(
        workers=count,
        pace=cycles / seconds,
        waits=tuple(waits),
        busy=(busy_now - busy) / (ticks_now - ticks),
        of_workers=own / cycles,
    )


def _kill(place: Place, *, small: bool) -> Killed:
    """One of two, when a quarter of the round is done; where it is small it is noticed at once."""
    with _workers(place, 2) as running:
        _one_round(place, place.names[:20])
        before, began, put_at = _states(place), time.monotonic(), time.time()
        _put(place, place.names)
        while _undone(place, place.names, before) > len(place.names) * 3 // 4:
            time.sleep(LOOK_SECONDS)
        running[0].send_signal(signal.SIGKILL)
        if small:
            running[0].wait()
            aged = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"
            run(place.conninfo, aged)
        _until(place, place.names, before)
        seconds = time.monotonic() - began
        after = _states(place)
        undone = _undone(place, place.names, before)
    longest = max(after[name][1] for name in place.names) - put_at
    return Killed(seconds=seconds, longest_wait=longest, undone=undone)


def _paced(place: Place, profiles: int) -> tuple[float, int]:
    """Two processes at half of CCXT's pace each: the most weight of a minute, and the refused."""
    _configure(place, PACE_MS)
    names = place.names[:profiles]
    with _workers(place, 2, UNGHOST_PACE_DIVIDED_BY="2"):
        place.venue.clear_requests()
        _one_round(place, names)
        log = place.venue.requests()
    weights = [(one.at / 1000, ENDPOINTS[one.method, one.path].weight) for one in log]
    most, begun, held = 0, 0, 0
    for at, weight in weights:
        held += weight
        while weights[begun][0] <= at - 60:
            held -= weights[begun][1]
            begun += 1
        most = max(most, held)
    return most, sum(one.status != HTTPStatus.OK for one in log)


def _left(place: Place) -> tuple[int, float]:
    """Rows of the queue's tables when all is done, and MiB on disk."""
    with psycopg.connect(place.conninfo) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM procrastinate_jobs)"
            " + (SELECT count(*) FROM procrastinate_events),"
            " pg_total_relation_size('procrastinate_jobs')"
            " + pg_total_relation_size('procrastinate_events')"
        ).fetchone()
    rows, size = row or (0, 0)
    return int(rows), size / 2**20


# --- what is told --------------------------------------------------------------------------------


def _of_round(one: Round, first: Round) -> Iterator[Figure]:
    processes = f"{one.workers} process{'es' if one.workers > 1 else ''}"
    yield Figure(
        name=f"cycles a second, {processes}",
        target="beside one process",
        value=figure(one.pace / first.pace),
        detail=f"{one.pace:.1f} a second; the cores were busy to {one.busy:.0%}, and a cycle took"
        f" {one.of_workers * 1000:.0f} ms of a processor in our process",
    )
    middle, longest = median(one.waits), max(one.waits)
    yield Figure(
        name=f"the longest wait, {processes}",
        target="at most twice the median",
        value=figure(longest / middle),
        limit=Decimal(2),
        detail=f"{longest:.1f} s beside {middle:.1f} s",
    )


def _others(place: Place, killed: Killed, paced: tuple[float, int]) -> Iterator[Figure]:
    yield Figure(
        name="profiles left undone after a kill",
        target="none",
        value=Decimal(killed.undone),
        unit="profiles",
        limit=Decimal(0),
        detail=f"the round took {killed.seconds:.0f} s, and the last of its cycles began after"
        f" {killed.longest_wait:.0f} s",
    )
    most, refused = paced
    yield Figure(
        name="the most weight of a minute, two processes at the pace",
        target="at most CCXT's pace for one address",
        value=figure(most / PACE_OF_A_MINUTE),
        limit=Decimal(1),
        detail=f"{most:.0f} of {PACE_OF_A_MINUTE}, {refused} refused",
    )
    rows, size = _left(place)
    yield Figure(
        name="rows left in the queue's tables",
        target="those of the loop itself",
        value=Decimal(rows),
        unit="rows",
        limit=Decimal(10),
        detail=f"{size:.1f} MiB on disk",
    )


def measure(*, small: bool) -> Report:
    """By number of processes; then a kill, and the pace."""
    profiles, counts = (10, (1, 2)) if small else (PROFILES, WORKERS)
    with _place(profiles) as place:
        rounds = [_measured(place, count) for count in counts]
        killed = _kill(place, small=small)
        paced = _paced(place, 5 if small else PACED_PROFILES)
        figures = (
            *(one for each in rounds for one in _of_round(each, rounds[0])),
            *_others(place, killed, paced),
        )
    line = Series(
        name="cycles a second",
        points=tuple((Decimal(one.workers), figure(one.pace)) for one in rounds),
    )
    return Report(
        name="many_machines",
        title="Many profiles, several processes",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=figures,
        charts=(
            Chart(
                key="pace",
                title="Cycles a second by processes",
                across="processes of unghost worker",
                up="cycles a second",
                series=(line,),
            ),
        ),
    )


if __name__ == "__main__":
    main(measure, __doc__)
