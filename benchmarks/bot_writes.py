"""What our indexes cost the bot: one row at a time, each in a transaction of its own.

    python -m benchmarks.bot_writes [--small] [--json]

Two tables of the same length on one server, `orders` as the sample has it, with its key and an
index on the lifecycle; one carries the other four indexes of `unghost init --indexes` as well, and
both ids of each row are set, so that each gets an entry in all of them. Writes alternate between
them, the first of each pair by turns; the figure is the ratio of the medians. An UPDATE takes a row
from new to filled with its quantity, as a bot does when a fill comes in. unghost has no trigger on
the bot's table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from statistics import median

import psycopg

from benchmarks.ledger_rows import empty_ledger, fill
from benchmarks.report import Figure, Report, figure, main
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.indexes import create_indexes

ROWS = 1_000_000
WRITES = 3_000
INSERT = (
    "INSERT INTO {} (order_id, profile_id, symbol, trade_id, action, side, status, quantity, qty,"
    " price, exchange_order_id, client_order_id)"
    " VALUES (%s, 'p1', 'C7USDT', %s, 'ENTRY', 'buy', 'new', 1, 1, 100, %s, %s)"
)
UPDATE = (
    "UPDATE {} SET status = 'filled', quantity = 2, filled_at = now(), updated_at = now()"
    " WHERE order_id = %s"
)
PLAIN, INDEXED = "orders_plain", "orders"


def _timed(connection: psycopg.Connection, statement: str, values: list[str]) -> float:
    began = time.perf_counter()
    connection.execute(statement, values)
    return time.perf_counter() - began


def _pairs(
    connection: psycopg.Connection, statement: str, values: Callable[[int], list[str]], writes: int
) -> tuple[float, float]:
    """Median seconds without and with the indexes."""
    took: dict[str, list[float]] = {PLAIN: [], INDEXED: []}
    for number in range(writes):
        pair = (PLAIN, INDEXED) if number % 2 else (INDEXED, PLAIN)
        for table in pair:
            took[table].append(_timed(connection, statement.format(table), values(number)))
    return median(took[PLAIN]), median(took[INDEXED])


def _figure(name: str, limit: str, times: tuple[float, float]) -> Figure:
    without, with_them = times
    return Figure(
        name=f"the bot's {name} with our indexes",
        target=f"at most {limit} times without",
        value=figure(with_them / without),
        limit=Decimal(limit),
        detail=f"{with_them * 1e6:.0f} microseconds beside {without * 1e6:.0f}, medians",
    )


def measure(*, small: bool) -> Report:
    """INSERT and UPDATE."""
    rows, writes = (20_000, 50) if small else (ROWS, WRITES)
    with empty_ledger() as conninfo:
        fill(conninfo, rows)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("CREATE TABLE orders_plain (LIKE orders INCLUDING ALL)")
            connection.execute("INSERT INTO orders_plain SELECT * FROM orders")
            with closing(Database(conninfo)) as database:
                create_indexes(database)
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
            inserts = _pairs(connection, INSERT, lambda n: [f"n-{n}"] * 4, writes)
            updates = _pairs(connection, UPDATE, lambda n: [f"n-{n}"], writes)
    return Report(
        name="bot_writes",
        title="The bot's writes",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=(_figure("INSERT", "1.05", inserts), _figure("UPDATE", "1.15", updates)),
    )


if __name__ == "__main__":
    main(measure, __doc__)
