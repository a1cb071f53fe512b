"""What `unghost grants` prints: the least that each of three roles needs, kept by the database.

The bot's table stays as it is: no policy, no trigger. So the service gets no UPDATE on it at all;
what it may change there, the status of its own rows, goes through one function that runs as the
owner and looks at the ids itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any, Final

from psycopg import Connection, sql

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.schema import FILLED_BY_US, LedgerShape, read_shape
from unghost.adapters.postgres.sql_blocks import block
from unghost.adapters.postgres.statements import compose, require_readable
from unghost.errors import DatabaseError, UsageError

__all__ = ["SERVICE_RIGHTS", "Roles", "grants_text"]

SERVICE_RIGHTS: Final[Mapping[str, str]] = {
    "reconciliation_migration": "SELECT",
    "reconciliation_backfill_batch": (
        "SELECT, INSERT, UPDATE (status, finished_at, counts, calls, notes)"
    ),
    "reconciliation_backfill_audit": "SELECT, INSERT, UPDATE (decision, reason, reverted_at)",
    "reconciliation_evidence": "SELECT, INSERT",
    "reconciliation_chain": "SELECT",
    "reconciliation_chain_head": "SELECT",
    "reconciliation_event": "SELECT, INSERT",
    "reconciliation_fill_file": ("SELECT, INSERT, UPDATE (window_from, window_to, one_way, actor)"),
    "reconciliation_file_fill": "SELECT, INSERT",
    "trading_profile": "SELECT, INSERT, UPDATE (status, actor, reason, since)",
    "reconciliation_account": "SELECT, INSERT, UPDATE",
    "reconciliation_figure": "SELECT, INSERT, UPDATE (number)",
    "reconciliation_loop": "SELECT, INSERT, UPDATE",
    "reconciliation_request": "SELECT, INSERT, UPDATE (state, status, answer, created_at)",
}
"""Every table of ours with what the service may do to it; a test holds it against the migrations.

The chain is written by triggers that run as the owner.
"""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,63}")
"""PostgreSQL cuts longer ones silently; and nobody needs more letters in a role."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """The names of the three."""

    owner: str = "unghost_owner"
    service: str = "unghost_service"
    reader: str = "unghost_reader"

    def named(self) -> tuple[str, str, str]:
        """All three, the owner first. Raises UsageError where they cannot be roles."""
        names = (self.owner, self.service, self.reader)
        for name in names:
            if not _NAME.fullmatch(name):
                raise UsageError(
                    f"{name!r} cannot be the name of a role: give 1 to 63 letters, digits, _ - or ."
                )
        if len(set(names)) != len(names):
            raise UsageError(f"Three roles need three names, not {', '.join(names)}.")
        return names


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """What the statements name: the database, our schema, the bot's table, and our own objects."""

    shape: LedgerShape
    schema_name: str
    database_name: str
    tables: tuple[str, ...]
    functions: tuple[str, ...]


def grants_text(database: Database, roles: Roles) -> str:
    """The script for psql, fitted to the ledger that is there.

    Raises UsageError for names that cannot be roles, LedgerSchemaError without a usable `orders`,
    DatabaseError where our tables are missing.
    """
    names = roles.named()
    with database.transaction(read_only=True) as conn:
        place = _place(conn)
    parts = _parts(place, roles, names)
    return "\n\n".join(part.as_string(None) for part in parts) + "\n"


def _place(conn: Connection[dict[str, Any]]) -> _Place:
    shape = read_shape(conn)
    require_readable(shape)
    found = conn.execute(block("grants", "place")).fetchone()
    if found is None:
        raise DatabaseError("The tables of unghost are not there yet: run `unghost init` first.")
    wanted = {"schema_name": found["schema_name"], "known": list(SERVICE_RIGHTS)}
    return _Place(
        shape=shape,
        schema_name=found["schema_name"],
        database_name=found["database_name"],
        tables=_names(conn.execute(block("grants", "tables"), wanted).fetchall()),
        functions=_names(conn.execute(block("grants", "functions"), wanted).fetchall()),
    )


def _names(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(row["name"] for row in rows)


def _parts(place: _Place, roles: Roles, names: Sequence[str]) -> Iterator[sql.Composable]:
    holes = _holes(place, roles)
    yield sql.SQL(_printed("beginning"))
    for name in names:
        role = {"name": sql.Literal(name), "role": sql.Identifier(name)}
        yield sql.SQL(_printed("role")).format(**holes, **role)
    yield sql.SQL(_printed("owner")).format(**holes)
    for table in place.tables:
        rights = {
            "table": sql.Identifier(place.schema_name, table),
            "rights": sql.SQL(SERVICE_RIGHTS[table]),
        }
        yield sql.SQL(_printed("table")).format(**holes, **rights)
    for function in place.functions:
        named = sql.SQL(function)
        yield sql.SQL(_printed("function")).format(**holes, function=named)
    told = {
        "schema_name": sql.Literal(place.schema_name),
        **{name: sql.Literal(getattr(roles, name)) for name in ("service", "reader")},
    }
    yield sql.SQL(_printed("queue")).format(**told)
    yield sql.SQL(_printed("orders")).format(**holes)
    drawing = {
        "orders_name": sql.Literal(holes["orders"].as_string(None)),
        "given": sql.Literal(sorted(FILLED_BY_US)),
        "service_name": sql.Literal(roles.service),
    }
    yield sql.SQL(_printed("sequences")).format(**drawing)
    yield compose("grants", "set_status", place.shape, **holes) + sql.SQL(";")
    yield sql.SQL(_printed("strangers")).format(tables=sql.Literal(list(place.tables)), **told)
    yield sql.SQL(_printed("end"))


def _printed(name: str) -> str:
    """A block without the line that says why it exists: that line is for people who read the file.

    What follows it is printed, comments too.
    """
    _, *lines = block("grants", name).splitlines(keepends=True)
    return "".join(dropwhile(str.isspace, lines))


def _holes(place: _Place, roles: Roles) -> dict[str, sql.Composable]:
    orders_schema = place.shape.schema_name or place.schema_name
    touchable = [name for name in ("status", "updated_at") if place.shape.has(name)]
    return {
        "owner": sql.Identifier(roles.owner),
        "service": sql.Identifier(roles.service),
        "reader": sql.Identifier(roles.reader),
        "database": sql.Identifier(place.database_name),
        "schema": sql.Identifier(place.schema_name),
        "orders_schema": sql.Identifier(orders_schema),
        "orders": sql.Identifier(orders_schema, "orders"),
        "touchable": sql.SQL(", ").join(map(sql.Identifier, touchable)),
    }
