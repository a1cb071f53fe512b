"""Transactions on the bot's database, and nothing that outlives one.

No session state is ever kept: settings are local to the transaction and statements are not
prepared, so that it all works the same behind a transaction pooler.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from unghost.adapters.postgres.faults import (
    OLDEST_SERVER,
    Target,
    commit_failed,
    connection_failed,
    read_target,
    statement_failed,
    too_old,
)
from unghost.adapters.postgres.sql_blocks import block
from unghost.adapters.postgres.turns import Turns
from unghost.errors import DatabaseError

MOST_CONNECTIONS: Final = 10
"""How many transactions one process holds open at once; more wait for their turn."""

_WAIT_FOR_TURN_SECONDS: Final = 30.0
_IDLE_SECONDS: Final = 30.0
"""After this long unused, a connection may have been dropped on the way without a word."""

_IDLE_IN_TRANSACTION_MS: Final = 120_000
_DEDICATED_IDLE_MS: Final = 3_600_000
"""A held lock waits for exchanges; after an hour without a word its process is dead."""

_DEFAULTS: Final = {
    "client_encoding": "utf8",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "45000",
}


class Database:
    """One database, by its conninfo (URL or key=value).

    Safe to share between threads. Nothing is connected before the first transaction. Milliseconds
    of 0 mean no limit. Raises ConfigurationError for a conninfo that cannot be understood.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        application_name: str = "unghost",
        statement_timeout_ms: int = 60_000,
        lock_timeout_ms: int = 15_000,
        connect_timeout_seconds: int = 5,
    ) -> None:
        self.target: Final[Target] = read_target(conninfo)
        wanted = {
            **_DEFAULTS,
            "application_name": application_name,
            "connect_timeout": str(connect_timeout_seconds),
            **conninfo_to_dict(conninfo),
        }
        self._conninfo = make_conninfo("", **wanted)
        self._statement_timeout_ms = statement_timeout_ms
        self._lock_timeout_ms = lock_timeout_ms
        self._turns = Turns(MOST_CONNECTIONS)
        self._idle: list[tuple[float, Connection[DictRow]]] = []

    def __repr__(self) -> str:
        """Show where it is, never the conninfo."""
        return f"Database({self.target.name!r} at {self.target.place})"

    @contextmanager
    def transaction(
        self, *, read_only: bool = False, statement_timeout_ms: int | None = None
    ) -> Iterator[Connection[DictRow]]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Times are aware UTC, rows are dictionaries. A read-only one sees one snapshot throughout.
        Raises DatabaseError for whatever psycopg raises, CommitOutcomeUnknownError where the
        answer to COMMIT was lost.
        """
        timeout_ms = self._statement_timeout_ms
        if statement_timeout_ms is not None:
            timeout_ms = statement_timeout_ms
        with self._turn():
            connection = self._begin(read_only=read_only, statement_timeout_ms=timeout_ms)
            try:
                with self._concluded(connection, keep=not read_only):
                    yield connection
            finally:
                self._put_back(connection)

    @contextmanager
    def dedicated(self) -> Iterator[Connection[DictRow]]:
        """A connection of its own in an open transaction, for a lock that is held long.

        It counts towards no limit; it may have been used before, and may be used again afterwards.
        There is nothing to commit, so that losing it at the end harms nothing. Raises DatabaseError
        for what psycopg raises.
        """
        connection = self._begin(
            read_only=False,
            statement_timeout_ms=self._statement_timeout_ms,
            idle_ms=_DEDICATED_IDLE_MS,
        )
        try:
            with self._concluded(connection, keep=False):
                yield connection
        finally:
            self._put_back(connection)

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection[DictRow]]:
        """A connection of its own on which each statement commits by itself and takes its time.

        For the few statements that PostgreSQL refuses inside a transaction. Raises DatabaseError.
        """
        connection = self._connect()
        try:
            connection.autocommit = True
            yield connection
        except psycopg.Error as error:
            raise statement_failed(error, self.target, lost=connection.closed) from error
        finally:
            _close(connection)

    def close(self) -> None:
        """Close the connections that nobody uses; safe to call twice."""
        while self._idle:
            with suppress(IndexError):  # another thread may take the last one
                _close(self._idle.pop()[1])

    # --- connections ---------------------------------------------------------------------------

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.take(timeout=_WAIT_FOR_TURN_SECONDS):
            raise DatabaseError(
                f"{MOST_CONNECTIONS} transactions of this process are busy: try again later."
            )
        try:
            yield
        finally:
            self._turns.give_back()

    def _begin(
        self,
        *,
        read_only: bool,
        statement_timeout_ms: int,
        idle_ms: int = _IDLE_IN_TRANSACTION_MS,
    ) -> Connection[DictRow]:
        """A connection in a fresh transaction.

        A kept one may have been cut off meanwhile. As nothing has been done on it yet, it is safe
        to take another; a new one that fails is an error.
        """
        set_up = partial(
            self._set_up,
            read_only=read_only,
            statement_timeout_ms=statement_timeout_ms,
            idle_ms=idle_ms,
        )
        while (kept := self._kept()) is not None:
            try:
                set_up(kept)
                return kept
            except psycopg.Error:
                _close(kept)
        connection = self._connect()
        try:
            set_up(connection)
        except psycopg.Error as error:
            _close(connection)
            raise statement_failed(error, self.target, lost=connection.closed) from error
        return connection

    def _kept(self) -> Connection[DictRow] | None:
        """The connection used last, if it is not too old to be trusted."""
        while self._idle:
            with suppress(IndexError):  # another thread may take the last one
                kept_at, connection = self._idle.pop()
                if time.monotonic() - kept_at < _IDLE_SECONDS and not connection.closed:
                    return connection
                _close(connection)
        return None

    def _connect(self) -> Connection[DictRow]:
        try:
            connection = psycopg.connect(
                self._conninfo, row_factory=dict_row, prepare_threshold=None
            )
        except psycopg.Error as error:
            # Not chained: the library may quote the conninfo, password and all.
            raise connection_failed(error, self.target) from None
        if connection.info.server_version < OLDEST_SERVER * 10_000:
            _close(connection)
            raise too_old(connection.info.server_version, self.target)
        return connection

    def _set_up(
        self,
        connection: Connection[DictRow],
        *,
        read_only: bool,
        statement_timeout_ms: int,
        idle_ms: int,
    ) -> None:
        """BEGIN, with settings that end with the transaction.

        The isolation level is always named, because a role may have another default.
        """
        connection.isolation_level = (
            IsolationLevel.REPEATABLE_READ if read_only else IsolationLevel.READ_COMMITTED
        )
        connection.read_only = True if read_only else None
        connection.execute(
            block("connection", "settings"),
            {
                "statement_timeout": str(statement_timeout_ms),
                "lock_timeout": str(self._lock_timeout_ms),
                "idle_timeout": str(idle_ms),
            },
        )

    def _put_back(self, connection: Connection[DictRow]) -> None:
        in_order = connection.info.transaction_status is TransactionStatus.IDLE
        if not connection.closed and in_order:
            self._idle.append((time.monotonic(), connection))
        else:
            _close(connection)

    # --- the end of a transaction --------------------------------------------------------------

    @contextmanager
    def _concluded(self, connection: Connection[DictRow], *, keep: bool) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, UnicodeError) as error:
            lost = connection.closed
            _roll_back(connection)
            raise statement_failed(error, self.target, lost=lost) from error
        except BaseException:
            _roll_back(connection)
            raise
        if keep:
            self._commit(connection)
        else:
            _roll_back(connection)  # nothing to keep, and so no COMMIT that could be lost

    def _commit(self, connection: Connection[DictRow]) -> None:
        if connection.info.transaction_status is TransactionStatus.INERROR:
            # PostgreSQL would answer this COMMIT with a ROLLBACK, and without an error.
            _roll_back(connection)
            raise DatabaseError("A statement failed unnoticed: nothing of it was written.")
        try:
            connection.commit()
        except psycopg.Error as error:
            lost = connection.closed
            _roll_back(connection)
            raise commit_failed(error, self.target, lost=lost) from error


def _roll_back(connection: Connection[DictRow]) -> None:
    """A connection that cannot even do this is rolled back by the server when it is closed."""
    try:
        connection.rollback()
    except psycopg.Error:
        _close(connection)


def _close(connection: Connection[DictRow]) -> None:
    with suppress(psycopg.Error):
        connection.close()
