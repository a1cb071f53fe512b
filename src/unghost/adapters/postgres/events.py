"""The event log: table `reconciliation_event`, throttled across all processes by its own clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.model import Event


class EventLog:
    """A `ports.EventSink`. Every method raises DatabaseError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def emit_throttled(self, events: Sequence[Event], *, throttle_ms: int) -> tuple[Event, ...]:
        """Store at most one event per (type, profile, symbol) in the span; return those stored.

        One transaction; in the order given. Of several equal ones the first is stored.
        """
        return self._store("emit_throttled", events, throttle_ms=throttle_ms)

    def emit_once(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Store those whose type, profile, symbol and payload["key"] were never stored before."""
        return self._store("emit_once", events)

    def _store(self, name: str, events: Sequence[Event], **more: int) -> tuple[Event, ...]:
        if not events:
            return ()
        offered = {
            "event_types": [event.event_type for event in events],
            "profile_ids": [event.profile_id for event in events],
            "symbols": [event.symbol for event in events],
            "payloads": [_json(event.payload) for event in events],
            **more,
        }
        with self._database.transaction() as connection:
            connection.execute(block("events", "lock_profiles"), offered)
            # A statement of its own: its snapshot is taken after the lock, and sees the others'.
            rows = connection.execute(block("events", name), offered).fetchall()
        return tuple(_event(row) for row in rows)

    def emit(self, event: Event) -> None:
        """Store one event unconditionally."""
        values = {
            "event_type": event.event_type,
            "profile_id": event.profile_id,
            "symbol": event.symbol,
            "payload": _json(event.payload),
        }
        with self._database.transaction() as connection:
            connection.execute(block("events", "emit"), values)

    def recent(
        self,
        profile_id: str,
        limit: int = 50,
        *,
        event_type: str | None = None,
        symbol: str | None = None,
        before_id: int | None = None,
    ) -> tuple[Event, ...]:
        """The latest events of a profile, newest first; `before_id` continues a page."""
        wanted = {
            "profile_id": profile_id,
            "limit": limit,
            "event_type": event_type,
            "symbol": symbol,
            "before_id": before_id,
        }
        with self._database.transaction(read_only=True) as connection:
            rows = connection.execute(block("events", "recent"), wanted).fetchall()
        return tuple(_event(row) for row in rows)

    def counts(self, profile_id: str, *, since: datetime | None = None) -> Mapping[str, int]:
        """Events by type, all or since a time."""
        wanted = {"profile_id": profile_id, "since": since}
        with self._database.transaction(read_only=True) as connection:
            rows = connection.execute(block("events", "counts"), wanted).fetchall()
        return {row["event_type"]: row["events"] for row in rows}


def _json(payload: Mapping[str, Any]) -> str:
    """Decimals and times become strings, never floats."""
    return json.dumps(payload, default=str, ensure_ascii=False)


def _event(row: DictRow) -> Event:
    return Event(**row)
