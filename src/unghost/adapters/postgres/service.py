"""What the service keeps beside the record: where its loop stands, and requests it answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from unghost.adapters.postgres.books import audit_row
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block, of_whole_audit
from unghost.model import AuditRow, Decision, Event, Hint, Reason

__all__ = ["Answered", "Begun", "LastDecision", "LoopState", "ServiceBooks"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopState:
    """Where the loop stands with a profile. `gates` are JSON-ready, as the last cycle met them."""

    profile_id: str
    worker: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    detail: str
    digest: str
    batch_id: str | None
    gates: list[dict[str, Any]]
    cycles: int
    failures: int
    total_seconds: Decimal
    last_seconds: Decimal | None
    as_of: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class LastDecision:
    """The latest audit row of a lifecycle, without its evidence and ids."""

    audit_id: int
    batch_id: str
    decision: Decision
    reason: Reason
    filled_qty: Decimal | None
    remainder_qty: Decimal | None
    price: Decimal | None
    attribution: str | None
    actor: str
    created_at: datetime
    reverted_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What became of a request; `status` and `answer` are None while it runs."""

    digest: str
    state: str
    status: int | None
    answer: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What the cycle before left: the digest of what it found, and where to look on."""

    digest: str
    hint: Hint | None


def _hint_text(hint: Hint) -> str:
    return json.dumps(asdict(hint), default=datetime.isoformat)


def _hint(told: Mapping[str, Any] | None) -> Hint | None:
    if told is None:
        return None
    return Hint(
        as_of=datetime.fromisoformat(told["as_of"]),
        full_at=datetime.fromisoformat(told["full_at"]),
        profile_ids=tuple(told["profile_ids"]),
        trades=tuple((profile_id, trade_id) for profile_id, trade_id in told["trades"]),
    )


def _last_decision(row: dict[str, Any]) -> tuple[tuple[str, str], LastDecision]:
    key = (row.pop("symbol"), row.pop("trade_id"))
    decision, reason = Decision(row.pop("decision")), Reason(row.pop("reason"))
    return key, LastDecision(decision=decision, reason=reason, **row)


class ServiceBooks:
    """Every method raises DatabaseError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # the loop ----------------------------------------------------------------------------------

    def begin_cycle(self, profile_id: str, *, worker: str) -> Begun:
        """Say who works on the profile; returns what was found last, and the hint."""
        (row,) = self._change("begin_cycle", profile_id=profile_id, worker=worker)
        return Begun(digest=str(row["digest"]), hint=_hint(row["hint"]))

    def end_cycle(
        self,
        profile_id: str,
        *,
        outcome: str,
        digest: str,
        detail: str = "",
        batch_id: str | None = None,
        gates: Sequence[Mapping[str, Any]] = (),
        hint: Hint | None = None,
        failed: bool = False,
    ) -> None:
        """Say how it ended. Without a hint the one that there is stays."""
        self._change(
            "end_cycle",
            profile_id=profile_id,
            outcome=outcome,
            digest=digest,
            detail=detail,
            batch_id=batch_id,
            gates=json.dumps(list(gates)),
            hint=None if hint is None else _hint_text(hint),
            failures=int(failed),
        )

    def loop_states(self, profile_ids: Sequence[str]) -> tuple[LoopState, ...]:
        """Where the loop stands, for those profiles that it ever looked at."""
        return tuple(
            LoopState(**row) for row in self._read("loop_states", profile_ids=list(profile_ids))
        )

    # requests ----------------------------------------------------------------------------------

    def take_request(self, actor: str, key: str, digest: str) -> bool:
        """Whether this request is the first with its key, or the one before it failed."""
        return bool(self._change("take_request", actor=actor, request_key=key, digest=digest))

    def find_request(self, actor: str, key: str) -> Answered | None:
        """What became of a request."""
        rows = self._read("find_request", actor=actor, request_key=key)
        return Answered(**rows[0]) if rows else None

    def end_request(
        self, actor: str, key: str, *, state: str, status: int | None = None, answer: object = None
    ) -> None:
        """Keep the answer, or say that there was none (`failed`)."""
        values = {"state": state, "status": status, "answer": json.dumps(answer)}
        self._change("end_request", actor=actor, request_key=key, **values)

    # looking back ------------------------------------------------------------------------------

    def audit_page(
        self,
        profile_ids: Sequence[str],
        wanted: Mapping[str, str],
        *,
        before_id: int | None,
        limit: int,
    ) -> tuple[AuditRow, ...]:
        """Audit rows newest first, by profile, batch, symbol (case aside), trade and decision."""
        filters = {
            name: wanted.get(name, "")
            for name in ("profile", "batch", "symbol", "trade", "decision")
        }
        paging = {"profile_ids": list(profile_ids), "before_id": before_id, "limit": limit}
        return tuple(audit_row(row) for row in self._read_audit("audit_page", **filters, **paging))

    def event_page(
        self,
        profile_ids: Sequence[str],
        wanted: Mapping[str, str],
        *,
        before_id: int | None,
        limit: int,
    ) -> tuple[Event, ...]:
        """Events newest first, by profile, type and symbol (case aside for these two)."""
        filters = {name: wanted.get(name, "") for name in ("profile", "type", "symbol")}
        paging = {"profile_ids": list(profile_ids), "before_id": before_id, "limit": limit}
        return tuple(Event(**row) for row in self._read("event_page", **filters, **paging))

    def newest_apply(self, profile_id: str) -> str:
        """The id of the latest apply of a profile, empty where there was none."""
        rows = self._read("newest_apply", profile_id=profile_id)
        return str(rows[0]["batch_id"]) if rows else ""

    def undone(self, batch_id: str) -> int:
        """How many rows of a batch are rolled back."""
        (row,) = self._read("undone", batch_id=batch_id)
        return int(row["undone"])

    def last_decisions(
        self, profile_id: str, trade_ids: Sequence[str]
    ) -> Mapping[tuple[str, str], LastDecision]:
        """The latest about each lifecycle, by symbol and trade_id."""
        rows = self._read("last_decisions", profile_id=profile_id, trade_ids=list(trade_ids))
        return dict(map(_last_decision, rows))

    # figures -----------------------------------------------------------------------------------

    def decisions(self, profile_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Audit rows by profile, decision and reason."""
        return self._read("decisions", profile_ids=list(profile_ids))

    def batch_figures(self, profile_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Batches by profile, mode and status."""
        return self._read("batch_figures", profile_ids=list(profile_ids))

    def _read(self, name: str, **values: object) -> list[dict[str, Any]]:
        with self._database.transaction(read_only=True) as connection:
            return connection.execute(block("service", name), values).fetchall()

    def _read_audit(self, name: str, **values: object) -> list[dict[str, Any]]:
        with self._database.transaction(read_only=True) as connection:
            return connection.execute(of_whole_audit("service", name), values).fetchall()

    def _change(self, name: str, **values: object) -> list[dict[str, Any]]:
        with self._database.transaction() as connection:
            found = connection.execute(block("service", name), values)
            return found.fetchall() if found.description else []
