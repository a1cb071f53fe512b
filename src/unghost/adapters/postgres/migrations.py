"""Makes and updates the tables of the record; it touches nothing of the bot's.

Migrations are the numbered files of `unghost/sql/migrations`. Each is applied in one transaction
and written down with its checksum, so that a half-migrated database cannot exist, and one that
another release has changed is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from psycopg import Connection
from psycopg.rows import DictRow

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import DatabaseError


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One numbered file. `checksum` does not depend on how lines end."""

    version: int
    name: str
    statements: str

    @property
    def checksum(self) -> str:
        """What is written down when it is applied."""
        text = "\n".join(line.rstrip() for line in self.statements.strip().splitlines())
        return hashlib.sha256(text.encode()).hexdigest()


@cache
def known_migrations() -> tuple[Migration, ...]:
    """The migrations of this release, in order."""
    found = (one for one in files("unghost.sql").joinpath("migrations").iterdir())
    names = sorted(one.name for one in found if one.name.endswith(".sql"))
    return tuple(_read(name) for name in names)


def _read(name: str) -> Migration:
    statements = files("unghost.sql").joinpath("migrations", name).read_text(encoding="utf-8")
    number, _, words = name.removesuffix(".sql").partition("_")
    return Migration(version=int(number), name=words, statements=statements)


def migrate(database: Database) -> tuple[str, ...]:
    """Apply what is missing and return the names; nothing is missing: an empty tuple.

    Safe to call twice, and by many processes at once. Raises DatabaseError where the role may not
    create tables, where an applied migration has changed, and where a newer unghost was here.
    """
    _make_room(database)
    return tuple(one.name for one in known_migrations() if _applied_now(database, one))


def pending_migrations(database: Database) -> tuple[str, ...]:
    """Names of migrations that this database lacks. Raises DatabaseError like `migrate`."""
    with database.transaction(read_only=True) as connection:
        if not _situation(connection)["present"]:
            return tuple(one.name for one in known_migrations())
        applied = _applied(connection)
    return tuple(one.name for one in known_migrations() if one.version not in applied)


def _situation(connection: Connection[DictRow]) -> DictRow:
    (row,) = connection.execute(block("migrations", "situation")).fetchall()
    return row


def _make_room(database: Database) -> None:
    """The table in which migrations are written down."""
    with database.transaction() as connection:
        connection.execute(block("migrations", "lock"))
        situation = _situation(connection)
        if situation["present"]:
            _require_creation_rights(situation, pending=_pending_among(_applied(connection)))
            return
        _require_creation_rights(situation, pending=True)
        connection.execute(block("migrations", "create"))


def _pending_among(applied: Mapping[int, str]) -> bool:
    return any(one.version not in applied for one in known_migrations())


def _require_creation_rights(situation: DictRow, *, pending: bool) -> None:
    if not pending or situation["may_create"]:
        return
    if situation["schema_name"] is None:
        raise DatabaseError(
            f"No schema in the search_path of role {situation['role_name']} exists:"
            " unghost does not know where to make its tables."
        )
    raise DatabaseError(
        f"The role {situation['role_name']} may not make tables: run unghost init as one that may,"
        f" or GRANT CREATE ON SCHEMA {situation['schema_name']} TO {situation['role_name']}."
    )


def _applied_now(database: Database, migration: Migration) -> bool:
    """Apply one migration, unless it has been. Another process may have done so just now."""
    with database.transaction(statement_timeout_ms=0) as connection:
        connection.execute(block("migrations", "lock"))
        if migration.version in _applied(connection):
            return False
        connection.execute(migration.statements)
        connection.execute(
            block("migrations", "record"),
            {
                "version": migration.version,
                "name": migration.name,
                "checksum": migration.checksum,
            },
        )
    return True


def _applied(connection: Connection[DictRow]) -> Mapping[int, str]:
    """Version -> name of what this database has had, after checking that it is ours."""
    rows = connection.execute(block("migrations", "applied")).fetchall()
    known = {one.version: one for one in known_migrations()}
    for row in rows:
        one = known.get(row["version"])
        if one is None:
            raise DatabaseError(
                f"The database was migrated by a newer unghost (migration {row['version']}"
                f" {row['name']} is not known here): install that release."
            )
        if one.checksum != row["checksum"]:
            raise DatabaseError(
                f"Migration {one.version} {one.name} is not the one that this database was"
                " migrated with: install the release of unghost that made these tables."
            )
    return {row["version"]: row["name"] for row in rows}


def create_sample_orders(database: Database) -> bool:
    """Make an empty `orders` where there is none, and tell whether it was made.

    Only for the embedded database: a bot makes its own ledger.
    """
    with database.transaction() as connection:
        connection.execute(block("migrations", "lock"))
        (found,) = connection.execute(block("sample", "orders_present")).fetchall()
        if found["present"]:
            return False
        connection.execute(block("sample", "create_orders"))
        connection.execute(block("sample", "index_orders"))
    return True
