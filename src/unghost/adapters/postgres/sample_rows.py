"""The sample ledger of the demo: loading it, and proving that a step changed nothing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block, composed

__all__ = ["OrdersState", "empty_database", "load_orders", "orders_state"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OrdersState:
    """What `orders` holds. Equal digests: no row was added, changed or removed."""

    rows: int
    backfill_rows: int
    digest: str
    digest_of_the_bots: str
    digest_without_status: str


def empty_database(database: Database) -> None:
    """Drop everything. Only for a database that the demo itself has made."""
    with database.transaction() as connection:
        connection.execute(block("sample_rows", "empty"))


def load_orders(database: Database, rows: Sequence[Mapping[str, object]]) -> int:
    """Stream rows into `orders`; all have the columns of the first. Returns how many."""
    columns = list(rows[0]) if rows else []
    if not columns:
        return 0
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = composed("sample_rows", "load", columns=names)
    with (
        database.transaction() as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for row in rows:
            copy.write_row([row[name] for name in columns])
    return len(rows)


def orders_state(database: Database) -> OrdersState:
    """Count the rows and take their digests."""
    with database.transaction(read_only=True) as connection:
        (row,) = connection.execute(block("sample_rows", "state")).fetchall()
    return OrdersState(**row)
