"""How the length of the ledger tells: full detection, the loop's fast path, and memory.

    python -m benchmarks.history [--small] [--json]

One ledger grows to 1, 4 and 16 million rows: 4 profiles, 50 symbols, one lifecycle in 2 000 a
ghost. The yardstick is section 1 of the checklist as written for one profile, fetched by psycopg,
on a table that has its key and an index on (profile_id, trade_id). Full detection is `detect` as a
person runs it: the sums, and every row of each open lifecycle; on that same table, and with the
covering index of `unghost init --indexes`. The fast path has those indexes, and rows of all four
profiles that were touched within the last minute; it reads exactly the lifecycles of its profile
that were touched or are known to be open. Memory is the highest resident size of a process that
runs one dry run over the whole ledger, the exchange in memory, the modules of Python included.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from benchmarks.ledger_rows import empty_ledger, fill, ghosts, in_turns, run
from benchmarks.report import Chart, Figure, Report, Series, figure, main
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.indexes import create_indexes
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.detect import detect
from unghost.hints import look
from unghost.model import Hint

SIZES = (1_000_000, 4_000_000, 16_000_000)
NEW_ROWS = 1_000
PROFILE = "p1"
ROUNDS, QUICK_ROUNDS = 3, 9
PATIENCE_MS = 600_000
LIFECYCLE = "CREATE INDEX orders_lifecycle ON orders (profile_id, trade_id)"
OURS = (
    "orders_unghost_detection",
    "orders_unghost_times",
    "orders_unghost_exchange_order",
    "orders_unghost_client_order",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """At one length: median seconds, and MiB."""

    rows: int
    yardstick: float
    plain: float
    covered: float
    few: float
    share: float
    memory: float


class Ledger:
    """It grows by rows older than all before, and by new ones that were touched just now."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo, self.rows = conninfo, 0
        self.oldest = datetime.now(UTC) - timedelta(hours=1)

    def old(self, rows: int) -> None:
        """Up to this length. History gets longer, and what lies in a window of it stays."""
        more = rows - self.rows
        fill(self.conninfo, more, first=self.rows // 2, newest=self.oldest)
        self.oldest -= timedelta(seconds=more // 2)
        self.rows = rows

    def new(self, rows: int) -> None:
        """So many more, all of the last minute."""
        first, now = self.rows // 2, datetime.now(UTC)
        fill(self.conninfo, rows, first=first, newest=now, vacuum=False)
        self.rows += rows
        self._touch(now - timedelta(seconds=rows), "now()")

    def forget(self) -> None:
        """What was new is old."""
        self._touch(datetime.now(UTC) - timedelta(hours=12), "now() - interval '1 day'")

    def _touch(self, since: datetime, when: str) -> None:
        """By the index on updated_at; `when` is one of the two above."""
        statement = f"UPDATE orders SET updated_at = {when} WHERE updated_at >= %s"  # noqa: S608
        with psycopg.connect(self.conninfo) as connection:
            connection.execute(statement, [since])


def _times(ledger: Ledger) -> Times:
    conninfo, rows = ledger.conninfo, ledger.rows
    with closing(Database(conninfo, statement_timeout_ms=PATIENCE_MS)) as database:
        reader = PostgresLedger(database)
        yardstick, plain = in_turns(ROUNDS, _asked(conninfo, reader), _detected(reader, rows))
        create_indexes(database)
        run(conninfo, "VACUUM (ANALYZE) orders")
        (covered,) = in_turns(ROUNDS, _detected(reader, rows))
        few, share = _hinted(ledger, reader)
    memory = _memory(conninfo)
    ledger.forget()
    run(conninfo, *(f"DROP INDEX {name}" for name in OURS))
    return Times(
        rows=rows,
        yardstick=yardstick,
        plain=plain,
        covered=covered,
        few=few,
        share=share,
        memory=memory,
    )


def _asked(conninfo: str, reader: PostgresLedger) -> Callable[[], None]:
    statement = reader.statement("detect", {"profile_id": PROFILE})

    def yardstick() -> None:
        with psycopg.connect(conninfo) as connection:
            connection.execute(statement).fetchall()

    return yardstick


def _detected(reader: PostgresLedger, rows: int) -> Callable[[], None]:
    def ours() -> None:
        found = len(detect(reader, [PROFILE]))
        if abs(found * 4 - ghosts(rows)) > max(8, ghosts(rows) // 20):
            raise SystemExit(f"{found} ghosts were found in a quarter of {rows} rows")

    return ours


def _hinted(ledger: Ledger, reader: PostgresLedger) -> tuple[float, float]:
    """With 1 000 rows touched, and with 0.1 % of all."""
    now, rows = datetime.now(UTC), ledger.rows
    hint = look(reader, [PROFILE], hint=None, every=timedelta(), now=now).hint
    ledger.new(min(NEW_ROWS, rows // 10))
    few = _looking(reader, hint)
    more = rows // 1000 - NEW_ROWS
    if more <= 0:
        return few, few
    ledger.new(more)
    return few, _looking(reader, hint)


def _looking(reader: PostgresLedger, hint: Hint) -> float:
    def by_hint() -> None:
        every = timedelta(days=1)
        if look(reader, [PROFILE], hint=hint, every=every, now=datetime.now(UTC)).full:
            raise SystemExit("the fast path was not taken")

    (took,) = in_turns(QUICK_ROUNDS, by_hint)
    return took


def _memory(conninfo: str) -> float:
    """MiB of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.one_cycle", PROFILE]
    ran = subprocess.run(
        command,
        env=os.environ | {"DATABASE_URL": conninfo},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ran.stdout.split()[-1]) / 1024


def _all(sizes: tuple[int, ...]) -> Iterator[Times]:
    with empty_ledger() as conninfo:
        ledger = Ledger(conninfo)
        for size in sizes:
            ledger.old(size)
            yield _times(ledger)


# --- what is told --------------------------------------------------------------------------------


def _millions(one: Times) -> str:
    return f"{one.rows / 1_000_000:.3g} million rows"


def _figures(one: Times) -> Iterator[Figure]:
    yield Figure(
        name=f"full detection, {_millions(one)}",
        target="at most 1.1 times the checklist's SQL",
        value=figure(one.plain / one.yardstick),
        limit=Decimal("1.1"),
        detail=f"{one.plain:.2f} s beside {one.yardstick:.2f} s",
    )
    yield Figure(
        name=f"full detection with the covering index, {_millions(one)}",
        target="at most 0.45 times the checklist's SQL",
        value=figure(one.covered / one.yardstick),
        limit=Decimal("0.45"),
        detail=f"{one.covered:.2f} s",
    )
    yield Figure(
        name=f"fast path, 0.1 % new, {_millions(one)}",
        target="at 4 million at least 50 times as fast as the checklist's SQL",
        value=figure(one.yardstick / one.share),
        limit=Decimal(50) if one.rows >= SIZES[1] else None,
        at_least=True,
        detail=f"{one.share * 1000:.1f} ms",
    )
    yield Figure(
        name=f"memory of a dry run, {_millions(one)}",
        target="under 300 MiB",
        value=figure(one.memory),
        unit="MiB",
        limit=Decimal(300),
    )


def _flat(found: Sequence[Times]) -> Figure:
    first, last = found[0], found[-1]
    return Figure(
        name=f"fast path, 1 000 new rows: {_millions(last)} beside {_millions(first)}",
        target="at most 1.5 times as long",
        value=figure(last.few / first.few),
        limit=Decimal("1.5"),
        detail=f"{last.few * 1000:.1f} ms beside {first.few * 1000:.1f} ms",
    )


def _chart(found: Sequence[Times]) -> Chart:
    lines: dict[str, Callable[[Times], float]] = {
        "checklist's SQL": lambda one: one.yardstick,
        "detect": lambda one: one.plain,
        "detect, covering index": lambda one: one.covered,
        "fast path, 0.1 % new": lambda one: one.share,
        "fast path, 1 000 new": lambda one: one.few,
    }
    return Chart(
        key="seconds",
        title="One profile of four, by length of the ledger",
        across="rows of orders",
        up="seconds",
        series=tuple(
            Series(
                name=name, points=tuple((Decimal(one.rows), figure(value(one))) for one in found)
            )
            for name, value in lines.items()
        ),
    )


def measure(*, small: bool) -> Report:
    """At each length."""
    return told(list(_all((4_000, 20_000) if small else SIZES)))


def told(found: Sequence[Times]) -> Report:
    """The report of what was measured."""
    return Report(
        name="history",
        title="The length of the ledger",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=(*(one for times in found for one in _figures(times)), _flat(found)),
        charts=(_chart(found),),
    )


if __name__ == "__main__":
    main(measure, __doc__)
