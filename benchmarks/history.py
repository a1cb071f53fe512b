"""How the length of the ledger tells: full detection, the loop's fast path, and memory.

    python -m benchmarks.history [--small] [--json]

One ledger grows to 1, 4 and 16 million rows: 4 profiles, 50 symbols, one lifecycle in 2 000 a
ghost. The yardstick is section 1 of the checklist as written for one profile, fetched by psycopg,
on a table that has its key and an index on (profile_id, trade_id). Full detection is `detect` as a
person runs it: the sums, and every row of each open lifecycle; on that same table, and with the
covering index of `unghost init --indexes`. The fast path has those indexes, and rows of all four
profiles that were touched within the last minute; it reads exactly the lifecycles of its profile
that were touched or are known to be open. These four take turns on one table, for which our indexes
are hidden from the planner and shown to it. With 1 000 new rows the lengths are minutes apart, so
there each time is first divided by that of some fixed work of the server, in turns with it. Memory
is the highest resident size of a process that runs one dry run over the whole ledger, the exchange
in memory, the modules of Python included.
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
from statistics import median

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
ROUNDS, QUICK_ROUNDS, FEW_ROUNDS = 5, 9, 31
PATIENCE_MS = 600_000
FIXED = "SELECT sum(hashtext(n::text)) FROM generate_series(1, 20000) AS n"
OURS = (
    "orders_unghost_detection",
    "orders_unghost_times",
    "orders_unghost_exchange_order",
    "orders_unghost_client_order",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """At one length: median seconds, and MiB. `known` lifecycles of the profile are open."""

    rows: int
    known: int
    yardstick: float
    plain: float
    covered: float
    few: float
    fixed: float
    share: float
    memory: float
    load: float


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
        create_indexes(database)
        run(conninfo, "VACUUM (ANALYZE) orders")
        reader = PostgresLedger(database)
        hint = look(reader, [PROFILE], hint=None, every=timedelta(), now=datetime.now(UTC)).hint
        by_hint = _looking(reader, hint)
        first = min(NEW_ROWS, rows // 10)
        ledger.new(first)
        few, fixed = in_turns(FEW_ROUNDS, by_hint, _fixed(conninfo))
        ledger.new(max(0, rows // 1000 - first))
        yardstick, plain, covered, share = _by_turns(ledger, reader, by_hint)
    memory = _memory(conninfo)
    ledger.forget()
    run(conninfo, *(f"DROP INDEX {name}" for name in OURS))
    return Times(
        rows=rows,
        known=len(hint.trades),
        yardstick=yardstick,
        plain=plain,
        covered=covered,
        few=few,
        fixed=fixed,
        share=share,
        memory=memory,
        load=os.getloadavg()[1],
    )


def _by_turns(
    ledger: Ledger, reader: PostgresLedger, by_hint: Callable[[], None]
) -> tuple[float, ...]:
    """The checklist's SQL, ours without and with our indexes, and the fast path: median seconds.

    A slow minute hits all four. The fast path runs several times each turn, as it is that short.
    """
    asked, ours = _asked(ledger.conninfo, reader), _detected(reader, ledger.rows)

    def turn() -> list[float]:
        _show(ledger.conninfo, shown=False)
        plain = in_turns(1, asked, ours)
        _show(ledger.conninfo, shown=True)
        return [*plain, *in_turns(1, ours), *in_turns(QUICK_ROUNDS, by_hint)]

    return tuple(map(median, zip(*(turn() for _ in range(ROUNDS)), strict=True)))


def _show(conninfo: str, *, shown: bool) -> None:
    """Whether the planner sees our indexes: the catalog tells, and none is made anew."""
    statement = "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = ANY(%s::regclass[])"
    with psycopg.connect(conninfo) as connection:
        connection.execute(statement, [shown, list(OURS)])


def _fixed(conninfo: str) -> Callable[[], None]:
    """The same work whatever the length: how quick the machine is just now."""

    def fixed() -> None:
        with psycopg.connect(conninfo) as connection:
            connection.execute(FIXED).fetchall()

    return fixed


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


def _looking(reader: PostgresLedger, hint: Hint) -> Callable[[], None]:
    def by_hint() -> None:
        every = timedelta(days=1)
        if look(reader, [PROFILE], hint=hint, every=every, now=datetime.now(UTC)).full:
            raise SystemExit("the fast path was not taken")

    return by_hint


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
            measured = _times(ledger)
            sys.stderr.write(f"{measured}\n")  # the last length takes long, and may not end
            yield measured


# --- what is told --------------------------------------------------------------------------------


def _millions(one: Times) -> str:
    return f"{one.rows / 1_000_000:.3g} million rows"


def _figures(one: Times) -> Iterator[Figure]:
    yield Figure(
        name=f"full detection, {_millions(one)}",
        target="at most 1.1 times the checklist's SQL",
        value=figure(one.plain / one.yardstick),
        limit=Decimal("1.1"),
        detail=f"{one.plain:.2f} s beside {one.yardstick:.2f} s; load average {one.load:.1f}",
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


def _few(one: Times) -> str:
    return (
        f"{one.few * 1000:.1f} ms beside {one.fixed * 1000:.1f} of the fixed work"
        f" with {one.known} known to be open"
    )


def _flat(found: Sequence[Times]) -> Figure:
    first, last = found[0], found[-1]
    return Figure(
        name=f"fast path, 1 000 new rows: {_millions(last)} beside {_millions(first)}",
        target="at most 1.5 times as long",
        value=figure(last.few / last.fixed / (first.few / first.fixed)),
        limit=Decimal("1.5"),
        detail=f"{_few(last)}; {_few(first)}",
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
