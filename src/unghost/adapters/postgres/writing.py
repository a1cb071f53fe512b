"""The write path: who may write, one transaction of it, and the insert that is read back.

Two advisory locks per account. The guard is held by an open transaction of its own for as long as
an apply runs (`living.py`). The write lock is taken by each write transaction, so that a reinstate
and an apply cannot interleave.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import psycopg
from psycopg import Connection, errors
from psycopg.pq import TransactionStatus

from unghost.adapters.postgres import arrays, books, rereading, undo
from unghost.adapters.postgres.known import KnownLifecycles
from unghost.adapters.postgres.reading import Reader, Session, filled_words
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import DatabaseError
from unghost.model import (
    Candidate,
    HeldRows,
    InsertOutcome,
    PauseReading,
    Settlement,
    Sought,
    StatusChange,
    TradeVersion,
)

__all__ = ["PostgresWriteTransaction", "take_write_lock", "write_within"]

_WRITE_KEY: Final = "unghost write:"

# --- locks -------------------------------------------------------------------------------------


def take_write_lock(conn: Connection[dict[str, Any]], account: str) -> None:
    """Wait until no other write transaction of the account is open; held until this one ends.

    To be called first: what the former holder committed is then seen by every later statement.
    """
    conn.execute(block("ledger", "write_lock"), {"key": _WRITE_KEY + account})


def _require_alive(guard: Connection[dict[str, Any]] | None) -> None:
    """A guard that was lost lets another apply in: then nothing may be written (FAILURES 19)."""
    if guard is None:
        return
    try:
        guard.execute("SELECT 1")
    except psycopg.Error as lost:
        message = "the connection that keeps other applies out was lost; nothing was written"
        raise DatabaseError(message) from lost


@contextmanager
def write_within(
    session: Session, guard: Connection[dict[str, Any]] | None
) -> Iterator[PostgresWriteTransaction]:
    """Yield the write transaction; its end checks that it may be committed.

    Raises DatabaseError where the guard was lost, or where something failed inside and the caller
    went on as if it had not: whoever opened the transaction then rolls it back.
    """
    _require_alive(guard)
    transaction = PostgresWriteTransaction(session)
    yield transaction
    transaction.require_unharmed()
    _require_alive(guard)


# --- the transaction ---------------------------------------------------------------------------


class PostgresWriteTransaction(Reader):
    """`ports.WriteTransaction`: reads and writes of one open transaction."""

    def __init__(self, session: Session) -> None:
        self._open = session
        self.known = KnownLifecycles()
        self._harm: str | None = None

    def _session(self) -> AbstractContextManager[Session]:
        return nullcontext(self._open)

    def pause_state(self, profile_id: str) -> PauseReading:
        """The profile's own status, locked so that a `resume` waits for this commit."""
        return books.pause_state(self._open, profile_id)

    def open_versions(
        self, profile_ids: Sequence[str], *, symbols: Collection[str]
    ) -> list[TradeVersion]:
        """Each row of the open lifecycles of these symbols, by id and version; one statement."""
        return rereading.open_versions(self._open, profile_ids, symbols) if symbols else []

    def held_rows(
        self, profile_ids: Sequence[str], *, sought: Sought, ignoring: Collection[str]
    ) -> HeldRows:
        """The rows that concern some markets, those in `ignoring` left out; one statement."""
        return rereading.held_rows(self._open, profile_ids, sought, ignoring)

    def insert_backfills(self, candidates: Sequence[Candidate]) -> dict[str, InsertOutcome]:
        """Insert, read back and compare; the outcome by order_id, in as many statements for many.

        Raises DatabaseError naming the constraint when another unique index is hit, and when a row
        is missing afterwards, is not what was inserted, or could not be rolled back; the
        transaction cannot be committed then.
        """
        with self._harming("rows could not be inserted"):
            return _insert(self._open, candidates) if candidates else {}

    def settle(self, settlements: Sequence[Settlement]) -> int:
        """Move audit rows from PENDING_APPLY to their decision; returns how many were moved."""
        with self._harming("the audit could not be settled"):
            return books.settle(self._open.conn, settlements)

    def reinstate(
        self, batch_id: str, *, trade_id: str | None = None, actor: str | None = None
    ) -> tuple[StatusChange, ...]:
        """Fill the batch's canceled rows again, status only.

        Raises RefusedError where a lifecycle would be closed by more than it was opened.
        """
        with self._harming("rows could not be filled again"):
            return undo.reinstate(self._open, batch_id, trade_id=trade_id, actor=actor)

    def require_unharmed(self) -> None:
        """Raise DatabaseError where a statement failed, even if the caller did not notice."""
        if self._harm is not None:
            raise DatabaseError(self._harm)
        if self._open.conn.info.transaction_status is not TransactionStatus.INTRANS:
            raise DatabaseError("a statement failed, so nothing of this transaction can be kept")

    @contextmanager
    def _harming(self, sentence: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._harm = f"{sentence}, so nothing of this transaction can be kept"
            raise


# --- the insert --------------------------------------------------------------------------------


def _insert(session: Session, candidates: Sequence[Candidate]) -> dict[str, InsertOutcome]:
    values = _arrays(candidates)
    try:
        inserted = {row["order_id"] for row in session.rows("ledger", "insert", **values)}
    except errors.UniqueViolation as violation:
        name = violation.diag.constraint_name
        message = (
            f"orders refuses the rows by its unique index {name}: {violation.diag.message_detail}"
        )
        raise DatabaseError(message) from violation
    session.run("ledger", "fire_deferred")
    as_asked = {
        one.order_id: InsertOutcome.INSERTED
        if one.order_id in inserted
        else InsertOutcome.IDENTICAL
        for one in candidates
    }
    other = session.rows("ledger", "read_back", filled=filled_words(), **values)
    _require_present(other)
    _require_kept(other, inserted)
    undo.require_way_back(session, inserted)
    return as_asked | _outcomes(other)


def _arrays(candidates: Sequence[Candidate]) -> dict[str, str]:
    """One array per field, for a single statement whatever the number of rows."""
    keys = [one.key for one in candidates]
    return {
        "order_ids": arrays.texts(one.order_id for one in candidates),
        "profile_ids": arrays.texts(one.profile_id for one in keys),
        "symbols": arrays.texts(one.symbol for one in keys),
        "trade_ids": arrays.texts(one.trade_id for one in keys),
        "exchange_order_ids": arrays.texts(one.exchange_order_id for one in candidates),
        "sides": arrays.texts(one.side.value for one in candidates),
        "position_sides": arrays.texts(one.position_side.value for one in candidates),
        "quantities": arrays.numbers([one.quantity for one in candidates]),
        "prices": arrays.numbers([one.price for one in candidates]),
        "fees": arrays.numbers([one.fee for one in candidates]),
        "fee_currencies": arrays.texts(one.fee_currency for one in candidates),
        "filled_ats": arrays.times(one.filled_at for one in candidates),
    }


def _require_present(found: Sequence[dict[str, Any]]) -> None:
    """A trigger of the ledger may swallow a row without an error (FAILURES 14)."""
    missing = [row["order_id"] for row in found if not row["present"]]
    if missing:
        message = (
            "these rows are not in orders although no error came; a trigger swallowed them,"
            f" or their lifecycle has no filled ENTRY row: {', '.join(missing)}"
        )
        raise DatabaseError(message)


def _require_kept(found: Sequence[dict[str, Any]], inserted: set[str]) -> None:
    """What was just inserted and is not what was proven must not stay: no batch would own it."""
    changed = sorted({row["order_id"] for row in found} & inserted)
    if changed:
        message = (
            f"what stands under {', '.join(changed)} is not the row that was asked for; a trigger"
            " or a column of the ledger changed it, or two rows were asked for under one id"
        )
        raise DatabaseError(message)


def _outcomes(found: Sequence[dict[str, Any]]) -> dict[str, InsertOutcome]:
    """Of rows that stood already and are not what was asked for."""
    outcomes: dict[str, InsertOutcome] = {}
    for row in found:
        outcome = _outcome(row)
        known = outcomes.setdefault(row["order_id"], outcome)
        if known is not outcome:  # two candidates share the id, and cannot both be this row
            outcomes[row["order_id"]] = InsertOutcome.DIFFERENT
    return outcomes


def _outcome(row: dict[str, Any]) -> InsertOutcome:
    if not row["same"]:
        return InsertOutcome.DIFFERENT
    return InsertOutcome.IDENTICAL if row["standing"] else InsertOutcome.ROLLED_BACK
