"""The ledger over PostgreSQL: opens the transactions, and leaves what happens in them to others.

One object for one process; its methods may be called from several threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any, Final

import psycopg
from psycopg import Connection

from unghost.adapters.postgres import books, chain, living, undo, validation
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.known import KnownLifecycles
from unghost.adapters.postgres.reading import Reader, Session
from unghost.adapters.postgres.schema import LedgerShape, read_hiding, read_shape
from unghost.adapters.postgres.statements import printable, require_whole, require_writable
from unghost.adapters.postgres.writing import (
    PostgresWriteTransaction,
    take_write_lock,
    write_within,
)
from unghost.errors import DatabaseError, LedgerSchemaError, RefusedError, UnghostError
from unghost.model import (
    AuditEntry,
    AuditRow,
    Batch,
    BatchStatus,
    ChainHead,
    Decision,
    Interrupted,
    LifecycleKey,
    Mode,
    OverClosed,
    StatusChange,
)

__all__ = ["PostgresLedger"]

_BETWEEN_TRIES_SECONDS: Final = 0.1
"""How soon an apply that waits for another one of its account asks again."""


class _TakenBackError(Exception):
    """What was tried is taken back."""


class PostgresLedger(Reader):
    """`ports.Ledger`. Every method raises DatabaseError where the database fails."""

    def __init__(self, database: Database, *, known: KnownLifecycles | None = None) -> None:
        self._database = database
        self.known = known or KnownLifecycles()
        self._shape: LedgerShape | None = None
        self._guards: dict[str, Connection[dict[str, Any]]] = {}

    # shape -------------------------------------------------------------------------------------

    def shape(self) -> LedgerShape:
        """What the orders table looks like, as last read; problems are told, not raised."""
        if self._shape is None:
            with self._database.transaction(read_only=True) as conn:
                self._shape = read_shape(conn)
        return self._shape

    def has_profile(self, profile_id: str) -> bool:
        """Whether `orders` has a row of the profile: a name with a slip in it has none."""
        with self._session() as session:
            (found,) = session.rows("ledger", "has_profile", profile_id=profile_id)
        return bool(found["has_profile"])

    def statement(self, name: str, values: Mapping[str, object] | None = None) -> str:
        """The text behind `unghost sql NAME`, fitted to this ledger. Raises UsageError."""
        return printable(name, self.shape(), values)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._forgetting(), self._database.transaction(read_only=True) as conn:
            yield self._in(conn)

    @contextmanager
    def _session_to_detect(self) -> Iterator[Session]:
        """What the owner hides in the life of this process must not look like a ghost."""
        with self._session() as session:
            hiding = read_hiding(session.conn)
            if hiding:
                raise LedgerSchemaError(hiding)
            yield session

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        with self._forgetting(), self._database.transaction() as conn:
            yield self._in(conn)

    def _in(self, conn: Connection[dict[str, Any]]) -> Session:
        shape = self._shape or read_shape(conn)
        require_whole(shape)
        self._shape = shape
        return Session(conn=conn, shape=shape)

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """The bot's owner may alter the table at any time: after a failure it is looked at anew."""
        try:
            yield
        except DatabaseError:
            self._shape = None
            raise

    # batches and audit -------------------------------------------------------------------------

    @contextmanager
    def running_batch(
        self,
        *,
        profile_id: str,
        mode: Mode,
        actor: str,
        settings: Mapping[str, Any],
        plan_batch_id: str | None,
        notes: Sequence[str] = (),
    ) -> Iterator[str]:
        """Start a batch, `<UTC of the database>-<8 hex>`, known to live while the block runs.

        A dry run holds a lock of its own for that; an apply has one already, from `applying`.
        Raises BatchNotFoundError where the plan does not exist.
        """
        with ExitStack() as held:
            with self._database.transaction() as conn:
                batch_id = books.start_batch(
                    conn,
                    profile_id=profile_id,
                    mode=mode,
                    actor=actor,
                    settings=settings,
                    plan_batch_id=plan_batch_id,
                    notes=notes,
                )
                if mode is Mode.DRY_RUN:
                    keeper = held.enter_context(self._database.dedicated())
                    living.be_known_to_live(keeper, batch_id)
            yield batch_id

    def finish_batch(
        self,
        batch_id: str,
        *,
        status: BatchStatus,
        calls: Mapping[str, int],
        notes: Sequence[str] = (),
    ) -> Batch:
        """Close a batch; its counts are taken from the audit rows. Raises BatchNotFoundError."""
        with self._database.transaction() as conn:
            return books.finish_batch(conn, batch_id, status=status, calls=calls, notes=notes)

    def batch(self, batch_id: str) -> Batch | None:
        """One batch, or None."""
        with self._database.transaction(read_only=True) as conn:
            return books.batch(conn, batch_id)

    def batches(self, profile_id: str, *, limit: int = 50) -> tuple[Batch, ...]:
        """The latest batches of a profile, newest first."""
        with self._database.transaction(read_only=True) as conn:
            return books.batches(conn, profile_id, limit=limit)

    def write_audit(
        self, batch_id: str, *, actor: str, entries: Sequence[AuditEntry]
    ) -> tuple[int, ...]:
        """Append audit rows in one committed transaction; ids in the order given.

        Raises BatchNotFoundError.
        """
        with self._database.transaction() as conn:
            return books.insert_audit(conn, batch_id, actor=actor, entries=entries)

    def audit_rows(
        self,
        *,
        batch_id: str | None = None,
        profile_id: str | None = None,
        symbol: str | None = None,
        trade_id: str | None = None,
        decision: Decision | None = None,
        limit: int | None = None,
    ) -> tuple[AuditRow, ...]:
        """Audit rows that match every filter given, newest first."""
        with self._database.transaction(read_only=True) as conn:
            return books.find_audit_rows(
                conn,
                batch_id=batch_id,
                profile_id=profile_id,
                symbol=symbol,
                trade_id=trade_id,
                decision=decision.value if decision else None,
                limit=limit,
            )

    def chain_head(self) -> ChainHead:
        """Where the chain over the record ends now."""
        with self._database.transaction(read_only=True) as conn:
            return chain.chain_head(conn)

    def close_interrupted(self, account: str, profile_ids: Sequence[str]) -> Interrupted:
        """Close the batches of runs that died, and settle what they left by what `orders` holds.

        A run that lives is left alone, in whichever process: locks tell (`living.py`).
        """
        guarded = account in self._guards
        with self._changing() as session:
            return living.close_interrupted(session, account, profile_ids, guarded=guarded)

    # writing -----------------------------------------------------------------------------------

    @contextmanager
    def applying(self, account: str, *, wait_seconds: float = 30) -> Iterator[None]:
        """Be the only apply of the account while the block runs.

        Raises RefusedError when another apply does not finish within `wait_seconds`.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            with self._database.dedicated() as conn:
                if living.is_the_only_apply(conn, account):
                    with self._guarded_by(conn, account):
                        yield
                    return
            if time.monotonic() >= deadline:
                raise RefusedError(
                    f"another apply of account {account!r} is running and did not finish"
                    f" within {wait_seconds:g} s"
                )
            time.sleep(_BETWEEN_TRIES_SECONDS)

    @contextmanager
    def _guarded_by(self, conn: Connection[dict[str, Any]], account: str) -> Iterator[None]:
        self._guards[account] = conn
        try:
            yield
        finally:
            del self._guards[account]

    @contextmanager
    def writing(self, account: str) -> Iterator[PostgresWriteTransaction]:
        """One write transaction, committed when the block ends; an exception rolls it back.

        Raises LedgerSchemaError where the table is unfit, DatabaseError where the guard of
        `applying()` was lost, CommitOutcomeUnknownError where the answer to COMMIT was.
        """
        with self._forgetting(), self._database.transaction() as conn:
            take_write_lock(conn, account)
            self._shape = read_shape(conn)
            require_writable(self._shape)
            session = Session(conn=conn, shape=self._shape)
            with write_within(session, self._guards.get(account)) as transaction:
                yield transaction

    # undo --------------------------------------------------------------------------------------

    def batch_holds(
        self, batch_id: str, *, trade_id: str | None = None, order_id: str | None = None
    ) -> bool:
        """Whether the batch has such a row, however odd the others are."""
        with self._session() as session:
            return undo.holds(session, batch_id, trade_id=trade_id, order_id=order_id)

    def rollback_preview(
        self, batch_id: str, *, trade_id: str | None = None, order_id: str | None = None
    ) -> tuple[StatusChange, ...]:
        """Rows that section 9 would cancel now. Raises BatchNotFoundError, RefusedError."""
        with self._session() as session:
            return undo.preview_rollback(session, batch_id, trade_id=trade_id, order_id=order_id)

    def rollback(
        self,
        batch_id: str,
        *,
        actor: str,
        trade_id: str | None = None,
        order_id: str | None = None,
    ) -> tuple[StatusChange, ...]:
        """Cancel them and mark their audit rows, in one transaction; again changes nothing.

        Raises BatchNotFoundError, RefusedError for rows that are not ours.
        """
        with self._changing() as session:
            return undo.rollback(
                session, batch_id, actor=actor, trade_id=trade_id, order_id=order_id
            )

    def reinstate_preview(
        self, batch_id: str, *, trade_id: str | None = None
    ) -> tuple[StatusChange, ...]:
        """Rows of the batch that are canceled now and would be filled again."""
        with self._session() as session:
            return undo.preview_reinstate(session, batch_id, trade_id=trade_id)

    # validation --------------------------------------------------------------------------------

    def ghosts_left(self, profile_id: str) -> tuple[tuple[LifecycleKey, Decimal, Decimal], ...]:
        """Section 8: (key, entry_qty, exit_qty) of lifecycles open by more than 0.000001."""
        with self._session() as session:
            return validation.ghosts_left(session, profile_id)

    def decision_counts(self, profile_id: str) -> Mapping[str, int]:
        """Section 8: audit rows by decision."""
        with self._database.transaction(read_only=True) as conn:
            return validation.decision_counts(conn, profile_id)

    def over_closed(self, profile_id: str) -> tuple[OverClosed, ...]:
        """Lifecycles with more EXIT than ENTRY (a real EXIT that came later: FAILURES 16)."""
        with self._session() as session:
            return validation.over_closed(session, profile_id)

    def superseded(self, profile_id: str) -> tuple[OverClosed, ...]:
        """The over-closed lifecycles with standing rows of ours, found from the audit."""
        with self._session() as session:
            return validation.superseded(session, profile_id)

    def audit_writable(self) -> bool:
        """Whether an audit row can be written and settled now; tried and taken back."""
        try:
            with self._database.transaction() as conn:
                validation.try_the_record(conn)
                raise _TakenBackError
        except _TakenBackError:
            return True
        except (UnghostError, psycopg.Error, OSError):
            return False
