"""Full detection beside the checklist's SQL as written, by length of the ledger.

    python -m benchmarks.detection [--small] [--json]

The yardstick is section 1 of the checklist for one of four profiles, fetched by psycopg. Beside it
`detect` as a person runs it: the sums, and every row of each open lifecycle. First on a table that
has its key and an index on (profile_id, trade_id), then with the covering partial index of
`unghost init --indexes` as well, and last without any index but the key. The yardstick always runs
on the first of these tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal

import psycopg

from benchmarks.ledger_rows import empty_ledger, fill, ghosts, in_turns, run
from benchmarks.report import Chart, Figure, Report, Series, figure, main
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.indexes import create_indexes
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.detect import detect

SIZES = (1_000_000, 4_000_000, 16_000_000)
ROUNDS = 3
PROFILE = "p1"
LIFECYCLE = "CREATE INDEX orders_lifecycle ON orders (profile_id, trade_id)"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Times:
    """Median seconds at one length: the yardstick, ours, ours by index, ours without any."""

    rows: int
    yardstick: float
    plain: float
    covered: float
    bare: float


def _measured(conninfo: str, rows: int) -> _Times:
    with closing(Database(conninfo, statement_timeout_ms=600_000)) as database:
        ledger = PostgresLedger(database)
        statement = ledger.statement("detect", {"profile_id": PROFILE})

        def yardstick() -> None:
            with psycopg.connect(conninfo) as connection:
                connection.execute(statement).fetchall()

        def ours() -> None:
            found = detect(ledger, [PROFILE])
            if len(found) * 4 < ghosts(rows) - 4:
                raise SystemExit(f"{len(found)} ghosts were found at {rows} rows")

        (first, plain) = in_turns(ROUNDS, yardstick, ours)
        run(conninfo, "DROP INDEX orders_lifecycle")
        (bare,) = in_turns(1, ours)
        run(conninfo, LIFECYCLE)
        create_indexes(database)
        run(conninfo, "VACUUM (ANALYZE) orders")
        (covered,) = in_turns(ROUNDS, ours)
        run(conninfo, "DROP INDEX orders_unghost_detection")
    return _Times(rows=rows, yardstick=first, plain=plain, covered=covered, bare=bare)


def _all(sizes: tuple[int, ...]) -> Iterator[_Times]:
    """One ledger that grows."""
    with empty_ledger() as conninfo:
        rows = 0
        for size in sizes:
            fill(conninfo, size - rows, first=rows // 2)
            rows = size
            yield _measured(conninfo, rows)


def _figures(one: _Times) -> Iterator[Figure]:
    million = f"{one.rows / 1_000_000:g} million rows"
    yield Figure(
        name=f"full detection, {million}",
        target="at most 1.1 times the checklist's SQL",
        value=figure(one.plain / one.yardstick),
        limit=Decimal("1.1"),
        detail=f"{one.plain:.2f} s beside {one.yardstick:.2f} s",
    )
    yield Figure(
        name=f"full detection with the covering index, {million}",
        target="at most 0.45 times the checklist's SQL",
        value=figure(one.covered / one.yardstick),
        limit=Decimal("0.45"),
        detail=f"{one.covered:.2f} s",
    )
    yield Figure(
        name=f"full detection with no index but the key, {million}",
        target="none: the rows of the open lifecycles are a second scan there",
        value=figure(one.bare / one.yardstick),
        detail=f"{one.bare:.2f} s",
    )


def measure(*, small: bool) -> Report:
    """The ratios at each length."""
    found = list(_all((20_000,) if small else SIZES))
    lines = {
        "checklist's SQL": [one.yardstick for one in found],
        "detect": [one.plain for one in found],
        "detect, covering index": [one.covered for one in found],
    }
    chart = Chart(
        key="rows",
        title="Full detection of one profile of four",
        across="rows of orders",
        up="seconds",
        series=tuple(
            Series(
                name=name,
                points=tuple(
                    (Decimal(one.rows), figure(value))
                    for one, value in zip(found, values, strict=True)
                ),
            )
            for name, values in lines.items()
        ),
    )
    return Report(
        name="detection",
        title="Full detection",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=tuple(told for one in found for told in _figures(one)),
        charts=(chart,),
    )


if __name__ == "__main__":
    main(measure, __doc__)
