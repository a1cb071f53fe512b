"""The loop's queue: procrastinate's own tables, beside ours in the same database."""

from __future__ import annotations

from decimal import Decimal

from procrastinate.schema import SchemaManager

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block


def install_queue(database: Database) -> bool:
    """Make procrastinate's tables where they are missing, and tell whether they were made.

    Safe to call twice, and by many processes at once: it waits at the lock of the migrations.
    """
    with database.transaction(statement_timeout_ms=0) as connection:
        connection.execute(block("migrations", "lock"))
        (found,) = connection.execute(block("service", "queue_present")).fetchall()
        if found["present"]:
            return False
        connection.execute(SchemaManager.get_schema())
    return True


def queue_is_there(database: Database) -> bool:
    """Whether `unghost init` has made the queue's tables."""
    with database.transaction(read_only=True) as connection:
        (found,) = connection.execute(block("service", "queue_present")).fetchall()
    return bool(found["present"])


def queue_beat(database: Database) -> Decimal | None:
    """Seconds since a process of the loop was last heard of; None where there is none."""
    if not queue_is_there(database):
        return None
    with database.transaction(read_only=True) as connection:
        (found,) = connection.execute(block("service", "queue_beat")).fetchall()
    seconds = found["seconds"]
    return None if seconds is None else Decimal(seconds)
