"""Which runs live: locks tell, and what a dead run left behind is settled.

A run holds an advisory lock in an open transaction for as long as it lasts: an apply that of its
account, which keeps other applies out as well; a dry run that of its batch. The server frees the
lock of a process that was killed, also behind a transaction pooler. So whoever can take such a lock
knows that the run is dead; nothing is concluded from a time that has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import Connection

from unghost.adapters.postgres.reading import Session, filled_words
from unghost.adapters.postgres.sql_blocks import block
from unghost.adapters.postgres.writing import take_write_lock
from unghost.model import Interrupted

__all__ = ["be_known_to_live", "close_interrupted", "is_the_only_apply"]

INTERRUPTED_EVENT: Final = "BATCH_INTERRUPTED"
_NOTE: Final = "the process that ran this batch ended before it"
_APPLY_KEY: Final = "unghost apply:"
_BATCH_KEY: Final = "unghost batch:"


def is_the_only_apply(conn: Connection[dict[str, Any]], account: str) -> bool:
    """Take the account's guard in the open transaction of `conn`, if nobody else has it.

    Never waits inside the transaction: those who wait would keep the connections of a pooler, and
    the one that they wait for could not go on.
    """
    return _is_taken(conn, _APPLY_KEY + account)


def be_known_to_live(conn: Connection[dict[str, Any]], batch_id: str) -> None:
    """Hold the lock of a dry run's batch in the open transaction of `conn`.

    To be called before the batch can be seen by others, who would take it for dead.
    """
    conn.execute(block("ledger", "lock"), {"key": _BATCH_KEY + batch_id})


def close_interrupted(
    session: Session, account: str, profile_ids: Sequence[str], *, guarded: bool
) -> Interrupted:
    """Close the batches of dead runs with an event each, and settle what they had pending.

    `guarded`: the caller holds the account's guard on another connection, so no other apply lives.
    Where it does not, the guard is tried for as long as this transaction lasts.
    """
    names = list(profile_ids)
    (left,) = session.rows("books", "left_behind", profile_ids=names)
    if not left["anything"]:
        return Interrupted()
    no_apply_lives = guarded or is_the_only_apply(session.conn, account)
    settled = _settle(session, account, names) if no_apply_lives else ()
    dead = session.rows(
        "books",
        "dead_batches",
        profile_ids=names,
        no_apply_lives=no_apply_lives,
        key=_BATCH_KEY,
    )
    closed = session.rows(
        "books",
        "interrupt_batches",
        batch_ids=[row["batch_id"] for row in dead],
        note=_NOTE,
        event_type=INTERRUPTED_EVENT,
    )
    return Interrupted(batch_ids=tuple(row["batch_id"] for row in closed), audit_ids=settled)


def _is_taken(conn: Connection[dict[str, Any]], key: str) -> bool:
    row = conn.execute(block("ledger", "try_lock"), {"key": key}).fetchone()
    return row is not None and bool(row["taken"])


def _settle(session: Session, account: str, names: list[str]) -> tuple[int, ...]:
    """Settle every PENDING_APPLY row by what `orders` holds; audit ids in rising order.

    Written: APPLIED (SKIP_EXISTING where an earlier batch wrote it). Not written: NO_GO
    interrupted_before_apply. The id taken by other content: NO_GO order_id_conflict.

    The write lock comes first: a COMMIT of the dead run may still be under way in the server.
    """
    take_write_lock(session.conn, account)
    settled = session.rows("books", "settle_interrupted", profile_ids=names, filled=filled_words())
    batch_ids = sorted({row["batch_id"] for row in settled})
    session.run("books", "recount_batches", batch_ids=batch_ids, profile_ids=names)
    return tuple(sorted(row["audit_id"] for row in settled))
