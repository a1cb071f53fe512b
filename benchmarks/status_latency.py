"""How long the service takes to answer while cycles run, by number of clients.

    python -m benchmarks.status_latency [--small] [--json]

Asked are `/internal/trading/status`, which a bot asks before each trade, and the list of open
lifecycles of the demo's ledger. The service is served on loopback over an embedded PostgreSQL and a
simulated venue, and dry runs follow one another throughout. Each client sends its requests one
after another, without a pause between them. The clients are a process of their own, which shares
this machine with service, database and venue: these are upper bounds. The percentiles are by the
nearest rank; the rates are answers in all, by the second.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx

from benchmarks.report import Chart, Figure, Report, Series, figure, main
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.migrations import create_sample_orders, migrate
from unghost.adapters.postgres.sample_rows import load_orders
from unghost.demo.house import API_KEY_VARIABLE, PROFILE, SECRET_VARIABLE, profile_file
from unghost.demo.sample import ACCOUNT, build_sample
from unghost.demo.serving import Served, served_console
from unghost.demo.venue import running_venue

STATUS = "/internal/trading/status"
LIFECYCLES = f"/api/v1/profiles/{PROFILE}/lifecycles"
ASKED = {"status": STATUS, "lifecycles": LIFECYCLES}
CLIENTS = (1, 16, 64)
REQUESTS = 40
"""Of each client, at most."""

SECONDS = 20
"""For each number of clients, at most."""

PATIENCE_SECONDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Of one number of clients. `errors` are answers other than 200, or none at all."""

    clients: int
    sorted_ns: tuple[int, ...]
    errors: int
    rate: Decimal
    dry_runs: int

    def ms(self, percent: int) -> Decimal:
        """A percentile in milliseconds, by the nearest rank."""
        rank = -(-len(self.sorted_ns) * percent // 100)
        return figure(Decimal(self.sorted_ns[rank - 1]) / 1_000_000)


@contextmanager
def service() -> Iterator[Served]:
    """The service over the sample; nothing listens beyond loopback."""
    sample = build_sample(datetime.now(UTC))
    keys = sample.world.account(ACCOUNT)
    folder = Path(tempfile.mkdtemp(prefix="unghost-bench-"))
    folder.chmod(0o755)
    with embedded_database(folder) as conninfo, running_venue(sample.world) as venue:
        database = Database(conninfo)
        migrate(database)
        create_sample_orders(database)
        load_orders(database, sample.rows())
        database.close()
        config = folder / "unghost.toml"
        config.write_text(profile_file(venue.base_url), encoding="utf-8")
        variables = {
            "DATABASE_URL": conninfo,
            "UNGHOST_CONFIG": str(config),
            "UNGHOST_HOME": str(folder),
            "ENABLE_RECON_EXIT_BACKFILL": "true",
            "UNGHOST_LOOP": "off",
            API_KEY_VARIABLE: keys.api_key,
            SECRET_VARIABLE: keys.secret,
        }
        with served_console(variables, tell=lambda _: None) as served:
            yield served


@contextmanager
def dry_runs(served: Served) -> Iterator[list[str]]:
    """One dry run after another until the block ends; the list grows by each that was finished."""
    done: list[str] = []
    over, begun = threading.Event(), threading.Event()
    thread = threading.Thread(target=_cycles, args=(served, done, begun, over), name="dry runs")
    thread.start()
    try:
        if not begun.wait(PATIENCE_SECONDS):
            raise SystemExit("no dry run could be started")
        yield done
    finally:
        over.set()
        thread.join()


def _cycles(served: Served, done: list[str], begun: threading.Event, over: threading.Event) -> None:
    headers = {"Authorization": f"Bearer {served.tokens['operator']}"}
    with httpx.Client(base_url=served.base_url, headers=headers, timeout=60) as client:
        while not over.is_set():
            started = client.post(f"/api/v1/profiles/{PROFILE}/cycles", json={})
            if started.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                time.sleep(0.1)  # too busy to start one, which the figures tell: fewer dry runs
                continue
            batch_id = started.raise_for_status().json()["batch_id"]
            begun.set()
            while _runs(client, batch_id):
                time.sleep(0.1)
            done.append(batch_id)


def _runs(client: httpx.Client, batch_id: str) -> bool:
    found = client.get(f"/api/v1/batches/{batch_id}").raise_for_status().json()
    return bool(found["batch"]["status"] == "running")


def load(url: str, token: str, clients: int, requests: int, seconds: int) -> list[tuple[int, int]]:
    """Nanoseconds and status of every request; status 0 where no answer came."""
    return asyncio.run(_load(url, token, clients, requests, seconds))


async def _load(
    url: str, token: str, clients: int, requests: int, seconds: int
) -> list[tuple[int, int]]:
    """Each client has a connection of its own: a pool of many would be measured with them."""
    end = time.monotonic() + seconds
    headers, trusted = {"Authorization": f"Bearer {token}"}, ssl.create_default_context()

    async def one() -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        async with httpx.AsyncClient(
            headers=headers, timeout=PATIENCE_SECONDS, verify=trusted
        ) as client:
            while len(found) < requests and time.monotonic() < end:
                found.append(await _asked(client, url))
        return found

    parts = await asyncio.gather(*(one() for _ in range(clients)))
    return [answer for part in parts for answer in part]


async def _asked(client: httpx.AsyncClient, url: str) -> tuple[int, int]:
    began = time.perf_counter_ns()
    try:
        status = (await client.get(url)).status_code
    except httpx.HTTPError:
        status = 0
    return time.perf_counter_ns() - began, status


def _taken(served: Served, path: str, clients: int, *, small: bool) -> Taken:
    sizes = (2, 2) if small else (REQUESTS, SECONDS)
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as beside, dry_runs(served) as done:
        beside.submit(time.monotonic).result()  # its start is not counted
        began = time.monotonic()
        asked = (f"{served.base_url}{path}", served.tokens["viewer"], clients, *sizes)
        answers = beside.submit(load, *asked).result()
        seconds = time.monotonic() - began
    return Taken(
        clients=clients,
        sorted_ns=tuple(sorted(took for took, _ in answers)),
        errors=sum(status != httpx.codes.OK for _, status in answers),
        rate=figure(len(answers) / seconds),
        dry_runs=len(done),
    )


def _figures(name: str, taken: Taken) -> Iterator[Figure]:
    for percent in (50, 99):
        yield Figure(
            name=f"{name}, {taken.clients} clients, p{percent}",
            target="told",
            value=taken.ms(percent),
            unit="ms",
            detail=(
                f"{len(taken.sorted_ns)} requests, {taken.errors} errors, {taken.rate} answers"
                f" by the second, {taken.dry_runs} dry runs meanwhile"
            ),
        )


def _chart(found: dict[str, list[Taken]]) -> Chart:
    return Chart(
        key="clients",
        title="Until the answer, while cycles run",
        across="clients",
        up="ms",
        series=tuple(
            Series(
                name=f"{name}, p{percent}",
                points=tuple((Decimal(one.clients), one.ms(percent)) for one in taken),
            )
            for name, taken in found.items()
            for percent in (50, 99)
        ),
    )


def measure(*, small: bool) -> Report:
    """Percentiles of both addresses for each number of clients."""
    clients = CLIENTS[:1] if small else CLIENTS
    with service() as served:
        found = {
            name: [_taken(served, path, number, small=small) for number in clients]
            for name, path in ASKED.items()
        }
    return Report(
        name="status_latency",
        title="Answers of the service",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=tuple(
            one for name, every in found.items() for taken in every for one in _figures(name, taken)
        ),
        charts=(_chart(found),),
    )


if __name__ == "__main__":
    main(measure, __doc__)
