"""How long `/internal/trading/status` takes while a cycle runs, by number of clients.

    python -m benchmarks.status_latency [--requests 40] [--seconds 20] [--json]

The service is served on loopback over an embedded PostgreSQL and a simulated venue, and dry runs
follow one another throughout. Each client sends `--requests` requests, one after another, and none
after `--seconds`. Client, service, database and venue share one machine: these are upper bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import structlog

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.migrations import create_sample_orders, migrate
from unghost.adapters.postgres.sample_rows import load_orders
from unghost.demo.house import API_KEY_VARIABLE, PROFILE, SECRET_VARIABLE, profile_file
from unghost.demo.sample import ACCOUNT, build_sample
from unghost.demo.serving import Served, served_console
from unghost.demo.venue import running_venue

STATUS = "/internal/trading/status"
CLIENTS = (1, 16, 64)
PATIENCE_SECONDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Of one number of clients: milliseconds, and answers other than 200 or none at all."""

    clients: int
    requests: int
    p50_ms: str
    p99_ms: str
    errors: int
    dry_runs: int


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
            batch_id = started.raise_for_status().json()["batch_id"]
            begun.set()
            while _runs(client, batch_id):
                time.sleep(0.1)
            done.append(batch_id)


def _runs(client: httpx.Client, batch_id: str) -> bool:
    found = client.get(f"/api/v1/batches/{batch_id}").raise_for_status().json()
    return bool(found["batch"]["status"] == "running")


async def _load(base_url: str, clients: int, requests: int, seconds: int) -> list[tuple[int, int]]:
    """Nanoseconds and status of every request; status 0 where no answer came."""
    end = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(
        base_url=base_url, limits=limits, timeout=PATIENCE_SECONDS
    ) as client:

        async def one() -> list[tuple[int, int]]:
            found: list[tuple[int, int]] = []
            while len(found) < requests and time.monotonic() < end:
                found.append(await _asked(client))
            return found

        parts = await asyncio.gather(*(one() for _ in range(clients)))
    return [answer for part in parts for answer in part]


async def _asked(client: httpx.AsyncClient) -> tuple[int, int]:
    began = time.perf_counter_ns()
    try:
        status = (await client.get(STATUS)).status_code
    except httpx.HTTPError:
        status = 0
    return time.perf_counter_ns() - began, status


def _quantile(sorted_ns: Sequence[int], percent: int) -> str:
    """Milliseconds, by the nearest rank."""
    rank = -(-len(sorted_ns) * percent // 100)
    return f"{sorted_ns[rank - 1] / 1_000_000:.1f}"


def measure(requests: int, seconds: int) -> list[Figures]:
    """The figures for each number of clients."""
    found = []
    with service() as served:
        for clients in CLIENTS:
            with dry_runs(served) as done:
                answers = asyncio.run(_load(served.base_url, clients, requests, seconds))
            times = sorted(took for took, _ in answers)
            found.append(
                Figures(
                    clients=clients,
                    requests=len(answers),
                    p50_ms=_quantile(times, 50),
                    p99_ms=_quantile(times, 99),
                    errors=sum(status != httpx.codes.OK for _, status in answers),
                    dry_runs=len(done),
                )
            )
    return found


def table(found: Sequence[Figures]) -> str:
    """A line for each number of clients."""
    head = (
        f"{'clients':>8}{'requests':>10}{'p50 ms':>10}{'p99 ms':>10}{'errors':>8}{'dry runs':>10}"
    )
    lines = (
        f"{one.clients:>8}{one.requests:>10}{one.p50_ms:>10}{one.p99_ms:>10}{one.errors:>8}"
        f"{one.dry_runs:>10}"
        for one in found
    )
    return "\n".join((head, *lines))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=40, help="of each client, at most 1000")
    parser.add_argument("--seconds", type=int, default=20, help="for each number, at most 120")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    if not 1 <= given.requests <= 1000 or not 1 <= given.seconds <= 120:  # noqa: PLR2004 - as the help says
        parser.error("--requests takes 1 to 1000, --seconds 1 to 120")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = measure(given.requests, given.seconds)
    told = json.dumps([asdict(one) for one in found], indent=2) if given.json else table(found)
    sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()
