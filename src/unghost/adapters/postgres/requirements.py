"""What a database must offer, examined for `unghost doctor`: every check is one function.

Nothing here raises for what is missing; it is reported, with what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from psycopg.rows import DictRow

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.grants import SERVICE_RIGHTS
from unghost.adapters.postgres.indexes import WORTH_IT_ROWS, missing_indexes, table_length
from unghost.adapters.postgres.migrations import pending_migrations
from unghost.adapters.postgres.schema import FILLED_BY_US, TIMES, LedgerShape, read_shape
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import DatabaseError

Verdict = Literal["ok", "warn", "fail"]

LARGEST_SKEW: Final = timedelta(seconds=2)
"""Beyond this, ages and windows that are measured with two clocks begin to be wrong."""

UNUSABLE_SKEW: Final = timedelta(seconds=30)
"""As old as a position reading may be: beyond this, its age means nothing."""

_POOLER_PORTS: Final = frozenset({"6432", "6543"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    """One thing examined: what was found (`detail`), and what to do about it (`remedy`)."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def check_database(database: Database) -> tuple[Requirement, ...]:
    """Examine everything, in the order in which it has to be put right. Never raises.

    Where the database cannot be reached, that is all there is to say.
    """
    reached, connection = _connection(database)
    if not reached:
        return (connection,)
    return (connection, *(one for check in _CHECKS for one in _examined(check, database)))


def _connection(database: Database) -> tuple[bool, Requirement]:
    try:
        with database.transaction(read_only=True):
            pass  # to begin one is to be let in, by a server that is new enough
    except DatabaseError as error:
        found = Requirement(
            name="connection",
            verdict="fail",
            detail=str(error),
            remedy="put that right, and run unghost doctor again",
        )
        return False, found
    detail = f"database {database.target.name} at {database.target.place} answers"
    return True, Requirement(name="connection", verdict="ok", detail=detail)


def _examined(
    check: Callable[[Database], Iterator[Requirement]], database: Database
) -> tuple[Requirement, ...]:
    name = check.__name__.strip("_").replace("_", " ")
    try:
        return tuple(check(database))
    except DatabaseError as error:
        remedy = "run unghost init, or give the role the rights it lacks"
        return (Requirement(name=name, verdict="fail", detail=str(error), remedy=remedy),)


def _asked(database: Database, name: str, **values: object) -> list[DictRow]:
    with database.transaction(read_only=True) as connection:
        return connection.execute(block("requirements", name), values or None).fetchall()


def _shape(database: Database) -> LedgerShape:
    with database.transaction(read_only=True) as connection:
        return read_shape(connection)


# --- the checks --------------------------------------------------------------------------------


def _server(database: Database) -> Iterator[Requirement]:
    (row,) = _asked(database, "server")
    detail = f"PostgreSQL {row['version']}, role {row['role_name']}"
    if row["standby"] or row["read_only"]:
        why = "a standby" if row["standby"] else "read-only for this role"
        yield Requirement(
            name="server",
            verdict="fail",
            detail=f"{detail}; it is {why}",
            remedy="point DATABASE_URL at the primary, with a role that may write",
        )
    else:
        yield Requirement(name="server", verdict="ok", detail=detail)
    if row["encoding"] != "UTF8":
        yield Requirement(
            name="encoding",
            verdict="warn",
            detail=f"the database keeps {row['encoding']}, not UTF8",
            remedy="names that it cannot hold are refused; a UTF8 database holds all of them",
        )


def _pooler(database: Database) -> Iterator[Requirement]:
    target = database.target
    if target.port in _POOLER_PORTS or "pooler" in target.host:
        yield Requirement(
            name="pooler",
            verdict="ok",
            detail="this looks like a connection pooler: unghost keeps no session state",
        )


def _clock(database: Database) -> Iterator[Requirement]:
    """Half of the time that the question took is not skew."""
    before = datetime.now(UTC)
    (row,) = _asked(database, "server")
    after = datetime.now(UTC)
    ahead = row["now"] - (before + (after - before) / 2)
    size = max(abs(ahead) - (after - before) / 2, timedelta())
    verdict: Verdict = "ok" if size <= LARGEST_SKEW else "warn" if size <= UNUSABLE_SKEW else "fail"
    word = "ahead of" if ahead > timedelta() else "behind"
    detail = f"the database's clock is {size.total_seconds():.1f} s {word} this machine's"
    remedy = "" if verdict == "ok" else "let both machines keep time by NTP"
    yield Requirement(name="clock", verdict=verdict, detail=detail, remedy=remedy)


def _orders(database: Database) -> Iterator[Requirement]:
    """Each problem by itself; what may not be written must not be found out while writing."""
    shape = _shape(database)
    for problem in shape.problems:
        yield Requirement(
            name=_name_of(problem),
            verdict="fail",
            detail=problem,
            remedy="the bot's owner changes the table; unghost never does",
        )
    if not shape.problems:
        detail = f"{shape.schema_name}.orders has all that a backfill needs"
        yield Requirement(name="orders", verdict="ok", detail=detail)
    if shape.order_id_unique:
        yield Requirement(name="unique index", verdict="ok", detail="order_id is unique")
    if shape.copied_columns:
        yield Requirement(
            name="copied columns",
            verdict="ok",
            detail=f"copied from the last ENTRY row: {', '.join(shape.copied_columns)}",
        )


def _name_of(problem: str) -> str:
    if "Row security" in problem:
        return "row security"
    return "unique index" if "unique index" in problem else "orders"


def _indexes(database: Database) -> Iterator[Requirement]:
    """Only for a table so long that it is felt, or one that has them all already."""
    with database.transaction(read_only=True) as connection:
        missing, rows = missing_indexes(connection), table_length(connection)
    if missing and rows >= WORTH_IT_ROWS:
        statements = " ".join(" ".join(one.statement.split()) for one in missing)
        yield Requirement(
            name="indexes",
            verdict="warn",
            detail=f"orders has about {rows} rows, and detection reads the whole of a profile",
            remedy=f"unghost init --indexes, or as the owner of the table: {statements}",
        )
    elif not missing and rows:
        yield Requirement(
            name="indexes", verdict="ok", detail="orders has the indexes that detection can use"
        )


def _rights_on_orders(database: Database) -> Iterator[Requirement]:
    for row in _asked(database, "rights_on_orders"):
        wanted = {
            "SELECT": row["may_select"],
            "INSERT": row["may_insert"],
            "UPDATE (status, updated_at)": row["may_update"],
        }
        lacking = [right for right, given in wanted.items() if not given]
        yield _rights("orders", lacking, database)
    for row in _asked(database, "sequences_kept_away", given=sorted(FILLED_BY_US)):
        yield _rights(f"sequence {row['name']}", ["USAGE"], database)


def _rights(table: str, lacking: list[str], database: Database) -> Requirement:
    name = f"rights on {table}"
    if not lacking:
        return Requirement(name=name, verdict="ok", detail="the role has all that it needs")
    rights = ", ".join(lacking)
    role = database.target.role or "the role"
    return Requirement(
        name=name,
        verdict="fail",
        detail=f"{role} lacks {rights}",
        remedy=f"GRANT {rights} ON {table} TO {role}",
    )


def _triggers(database: Database) -> Iterator[Requirement]:
    for row in _asked(database, "rights_on_orders"):
        if row["triggers"]:
            yield Requirement(
                name="triggers",
                verdict="warn",
                detail=f"orders has triggers of its own: {', '.join(row['triggers'])}",
                remedy="make sure that they leave rows alone whose order_id starts with BFILL-",
            )


def _row_security(database: Database) -> Iterator[Requirement]:
    """Where rows may be hidden, that is among the problems of orders already."""
    hiding = _shape(database).hiding
    for row in _asked(database, "rights_on_orders"):
        if row["has_policies"] and not hiding:
            told = "show this role every row" if row["policies_apply"] else "do not apply to it"
            detail = f"orders has policies, and they {told}"
            yield Requirement(name="row security", verdict="ok", detail=detail)


def _naive_times(database: Database) -> Iterator[Requirement]:
    naive = sorted(_shape(database).naive_time_columns.intersection(TIMES))
    if not naive:
        return
    (server,) = _asked(database, "server")
    in_utc = server["time_zone"] in {"UTC", "Etc/UTC", "GMT", "Etc/GMT"}
    yield Requirement(
        name="times without a zone",
        verdict="ok" if in_utc else "warn",
        detail=(
            f"{', '.join(naive)} of orders have no time zone and are read as UTC;"
            f" the database's own zone is {server['time_zone']}"
        ),
        remedy="" if in_utc else "make sure that the bot writes UTC into them",
    )


def _migrations(database: Database) -> Iterator[Requirement]:
    pending = pending_migrations(database)
    yield Requirement(
        name="tables of unghost",
        verdict="fail" if pending else "ok",
        detail=f"not applied yet: {', '.join(pending)}" if pending else "all there",
        remedy="run unghost init" if pending else "",
    )


def _rights_on_record(database: Database) -> Iterator[Requirement]:
    rows = _asked(database, "rights_on_record")
    lacking = {row["table_name"]: row["lacking"] for row in rows if row["lacking"]}
    for table, rights in lacking.items():
        yield _rights(table, rights, database)
    if rows and not lacking:
        yield _rights("the tables of unghost", [], database)


def _record_kept_away(database: Database) -> Iterator[Requirement]:
    """Hosted servers may turn it on for each new table: then nothing can be recorded."""
    found = [row["name"] for row in _asked(database, "record_kept_away", tables=[*SERVICE_RIGHTS])]
    if not found:
        return
    yield Requirement(
        name="row security of the record",
        verdict="warn",
        detail=f"row security applies to this role on {', '.join(found)}: without policies that let"
        " it read and write every row, nothing can be recorded",
        remedy="as their owner, ALTER TABLE ... DISABLE ROW LEVEL SECURITY, or use a role with"
        " BYPASSRLS",
    )


def _strangers(database: Database) -> Iterator[Requirement]:
    """What is made in a schema may be everybody's by its default privileges, or after a restore."""
    for row in _asked(database, "strangers", tables=list(SERVICE_RIGHTS)):
        role, names = row["role_name"], row["names"]
        more = f" and {len(names) - 1} more of ours" if len(names) > 1 else ""
        yield Requirement(
            name="rights of others",
            verdict="warn",
            detail=f"{role} has rights on {names[0]}{more} that nobody but the owner needs",
            remedy="run what `unghost grants` prints: it takes back what others were given on the"
            " tables and functions of unghost",
        )


_CHECKS: Final = (
    _server,
    _pooler,
    _clock,
    _orders,
    _indexes,
    _rights_on_orders,
    _triggers,
    _row_security,
    _naive_times,
    _migrations,
    _rights_on_record,
    _record_kept_away,
    _strangers,
)
