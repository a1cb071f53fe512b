"""The record looked back upon: last decisions, the gates they met, and the lives of ghosts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import of_whole_audit
from unghost.model import Decision, LifecycleKey, Reason

__all__ = ["Closing", "GatesSeen", "History", "LastDecision", "Lived"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LastDecision:
    """One row of the latest batch that judged a lifecycle. `ledger_unit` in base units."""

    symbol: str
    trade_id: str
    batch_id: str
    decision: Decision
    reason: Reason
    decided_at: datetime
    direction: str | None
    market: str | None
    ledger_unit: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class GatesSeen:
    """The gates of one lifecycle as a cycle wrote them down, JSON-ready."""

    written_at: datetime
    gates: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """One batch that closed a lifecycle; `reverted_at` where it stands rolled back."""

    applied_at: datetime
    reverted_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lived:
    """A lifecycle that was provably a ghost: since when, what closed it, when it was seen last."""

    key: LifecycleKey
    began_at: datetime
    closings: tuple[Closing, ...]
    seen_at: datetime


class History:
    """Reads of the record. Every method raises DatabaseError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_decisions(self, profile_id: str) -> tuple[LastDecision, ...]:
        """For each lifecycle that was ever judged, the rows of the latest batch that did."""
        rows = self._rows("last_decisions", profile_id=profile_id)
        return tuple(_last_decision(row) for row in rows)

    def gates(self, batch_id: str) -> tuple[GatesSeen, ...]:
        """What each lifecycle of a batch met at the gates."""
        rows = self._rows("gates", batch_id=batch_id)
        return tuple(
            GatesSeen(written_at=row["created_at"], gates=tuple(row["gates"] or ())) for row in rows
        )

    def lives(self, profile_ids: Sequence[str]) -> tuple[Lived, ...]:
        """Every ghost that fills or dust ever proved, standing or closed."""
        closings = self._closings(profile_ids)
        return tuple(
            Lived(
                key=_key(row),
                began_at=row["began_at"],
                closings=tuple(closings[_key(row)]),
                seen_at=row["seen_at"],
            )
            for row in self._rows("lives", profile_ids=list(profile_ids))
        )

    def _closings(self, profile_ids: Sequence[str]) -> Mapping[LifecycleKey, list[Closing]]:
        found: dict[LifecycleKey, list[Closing]] = defaultdict(list)
        for row in self._rows("closings", profile_ids=list(profile_ids)):
            closing = Closing(applied_at=row["applied_at"], reverted_at=row["reverted_at"])
            found[_key(row)].append(closing)
        return found

    def _rows(self, name: str, **values: object) -> list[dict[str, Any]]:
        with self._database.transaction(read_only=True) as connection:
            return connection.execute(of_whole_audit("history", name), values).fetchall()


def _key(row: Mapping[str, Any]) -> LifecycleKey:
    return LifecycleKey(
        profile_id=row["profile_id"], symbol=row["symbol"], trade_id=row["trade_id"]
    )


def _last_decision(row: Mapping[str, Any]) -> LastDecision:
    return LastDecision(
        symbol=row["symbol"],
        trade_id=row["trade_id"],
        batch_id=row["batch_id"],
        decision=Decision(row["decision"]),
        reason=Reason(row["reason"]),
        decided_at=row["created_at"],
        direction=row["direction"],
        market=row["market"],
        ledger_unit=Decimal(row["ledger_unit"] or 1),
    )
