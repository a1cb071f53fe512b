"""The trading status that unghost itself keeps, for bots that do not tell theirs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from psycopg import Connection
from psycopg.rows import DictRow

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import DatabaseError
from unghost.model import PauseReading, PauseState

SOURCE: Final = "trading_profile"


class TradingProfiles:
    """Table `trading_profile`; a `ports.PauseGate`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, profile_id: str) -> PauseReading:
        """The status now. UNKNOWN, with the sentence, where the database does not answer."""
        try:
            with self._database.transaction(read_only=True) as connection:
                return _read(connection, profile_id)
        except DatabaseError as error:
            return PauseReading(
                state=PauseState.UNKNOWN,
                source=SOURCE,
                as_of=datetime.now(UTC),
                detail=str(error),
            )

    def pause(self, profile_id: str, *, actor: str, reason: str | None = None) -> PauseReading:
        """Set PAUSED. Who does so twice changes nothing. Raises DatabaseError."""
        return self._set(profile_id, PauseState.PAUSED, actor=actor, reason=reason)

    def resume(self, profile_id: str, *, actor: str, reason: str | None = None) -> PauseReading:
        """Set RUNNING; waits for a backfill that is being written. Raises DatabaseError."""
        return self._set(profile_id, PauseState.RUNNING, actor=actor, reason=reason)

    def all(self) -> Mapping[str, PauseReading]:
        """Every profile whose status was ever set, by profile_id. Raises DatabaseError."""
        with self._database.transaction(read_only=True) as connection:
            rows = connection.execute(block("profiles", "all")).fetchall()
        return {row["profile_id"]: pause_reading(row) for row in rows}

    def _set(
        self, profile_id: str, state: PauseState, *, actor: str, reason: str | None
    ) -> PauseReading:
        with self._database.transaction() as connection:
            connection.execute(
                block("profiles", "set"),
                {
                    "profile_id": profile_id,
                    "status": state.value,
                    "actor": actor,
                    "reason": reason,
                },
            )
            return _read(connection, profile_id)


def _read(connection: Connection[DictRow], profile_id: str) -> PauseReading:
    (row,) = connection.execute(block("profiles", "read"), {"profile_id": profile_id}).fetchall()
    return pause_reading(row)


def pause_reading(row: DictRow) -> PauseReading:
    """A row of `trading_profile` with `as_of`; without a status it was never paused: RUNNING."""
    if row["status"] is None:
        return PauseReading(
            state=PauseState.RUNNING,
            source=SOURCE,
            as_of=row["as_of"],
            detail="The profile was never paused.",
        )
    state = PauseState(row["status"])
    word = "Paused" if state is PauseState.PAUSED else "Running"
    return PauseReading(
        state=state,
        source=SOURCE,
        as_of=row["as_of"],
        since=row["since"],
        actor=row["actor"],
        note=row["reason"],
        detail=f"{word} since {row['since']:%Y-%m-%d %H:%M:%S} UTC by {row['actor']}.",
    )
