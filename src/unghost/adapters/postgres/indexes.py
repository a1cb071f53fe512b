"""The indexes on the bot's table that unghost recommends, and makes when it is told to.

Detection reads every filled row of a profile; with the covering index it reads them from the index
alone, grouped already. The loop's fast path needs to find what was written last and the rows of a
lifecycle; what already accounts for fills is found by its time and by the ids of orders. Whoever
does not want them loses time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, sql

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.schema import TIMES, LedgerShape, read_shape
from unghost.adapters.postgres.sql_blocks import block, composed
from unghost.adapters.postgres.statements import printable, require_readable, suits
from unghost.errors import LedgerSchemaError

__all__ = [
    "WORTH_IT_ROWS",
    "Index",
    "can_hint",
    "create_indexes",
    "missing_indexes",
    "table_length",
]

WORTH_IT_ROWS: Final = 100_000
"""Below this length of `orders` nobody notices the difference."""

KINDS: Final = ("detection", "lifecycle", "times", "exchange_order", "client_order")
"""What there is to make, the most useful first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """One that is missing. `block` is its statement's name for `unghost sql`."""

    name: str
    block: str
    statement: str


def missing_indexes(conn: Connection[dict[str, Any]]) -> tuple[Index, ...]:
    """What a usable index of the table does not do yet; nothing where none could be made."""
    shape = read_shape(conn)
    found = _present(conn, shape)
    if found is None or not found["plain"]:
        return ()
    return tuple(_missing(shape, found))


def table_length(conn: Connection[dict[str, Any]]) -> int:
    """Rows of `orders` as the statistics have it; 0 where there is no table."""
    found = _present(conn, read_shape(conn))
    return 0 if found is None else int(found["rows"])


def create_indexes(
    database: Database, *, tell: Callable[[str], None] = lambda _: None
) -> tuple[str, ...]:
    """Make what is missing, CONCURRENTLY, and return the names.

    Raises LedgerSchemaError for a table that is partitioned or cannot carry them, DatabaseError
    where the role does not own the table.
    """
    with database.transaction(read_only=True) as conn:
        shape = read_shape(conn)
        require_readable(shape)
        found = _present(conn, shape)
        wanted = missing_indexes(conn)
    if found is not None and not found["plain"]:
        raise LedgerSchemaError(
            "orders is partitioned, and no index can be made CONCURRENTLY on it as a whole: make"
            " those that `unghost sql detection_index` prints on each partition"
        )
    for index in wanted:
        tell(f"Making the index {index.name}; the bot goes on writing meanwhile.")
        _make(database, index, broken=index.name in (found or {}).get("broken", ()))
    if wanted:
        with database.outside_transactions() as conn:
            conn.execute(block("indexes", "take_stock"))
    return tuple(index.name for index in wanted)


def _present(conn: Connection[dict[str, Any]], shape: LedgerShape) -> dict[str, Any] | None:
    times = [name for name in TIMES if shape.has(name)]
    return conn.execute(block("indexes", "present"), {"times": times}).fetchone()


def _missing(shape: LedgerShape, found: dict[str, Any]) -> Iterator[Index]:
    for kind in KINDS:
        if not found[f"has_{kind}"] and suits(f"{kind}_index", shape):
            yield _index(f"orders_unghost_{kind}", f"{kind}_index", shape)


def can_hint(conn: Connection[dict[str, Any]], shape: LedgerShape) -> bool:
    """Whether what was touched, and the rows of a lifecycle, are found without reading the rest."""
    found = _present(conn, shape)
    has_both = found is not None and found["has_times"] and found["has_lifecycle"]
    return bool(has_both) and suits("touched_trades", shape)


def _index(name: str, block_name: str, shape: LedgerShape) -> Index:
    return Index(name=name, block=block_name, statement=printable(block_name, shape))


def _make(database: Database, index: Index, *, broken: bool) -> None:
    with database.outside_transactions() as conn:
        if broken:
            conn.execute(composed("indexes", "drop_broken", broken=sql.Identifier(index.name)))
        conn.execute(sql.SQL(index.statement))
