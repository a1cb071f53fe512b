"""The record: batches and audit rows.

Every function works in the transaction it is given; who opens and commits it is `ledger.py`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from psycopg import Connection, DataError, errors

from unghost.adapters.postgres import arrays
from unghost.adapters.postgres.json_values import clean, json_text
from unghost.adapters.postgres.reading import Session, utc_or_none
from unghost.adapters.postgres.shared import shortened
from unghost.adapters.postgres.sql_blocks import block, composed, of_whole_audit
from unghost.errors import BatchNotFoundError, DatabaseError
from unghost.model import (
    AuditEntry,
    AuditRow,
    Batch,
    BatchStatus,
    Candidate,
    Decision,
    Mode,
    PauseReading,
    PauseState,
    Reason,
    Settlement,
)

__all__ = [
    "audit_row",
    "batch",
    "batches",
    "find_audit_rows",
    "finish_batch",
    "insert_audit",
    "pause_state",
    "require_batch",
    "settle",
    "start_batch",
]

_PAUSE_SOURCE = "trading_profile"

# --- batches -----------------------------------------------------------------------------------


def start_batch(
    conn: Connection[dict[str, Any]],
    *,
    profile_id: str,
    mode: Mode,
    actor: str,
    settings: Mapping[str, Any],
    plan_batch_id: str | None,
    notes: Sequence[str],
) -> str:
    """Insert a running batch and return its id, `20260201T123456Z-<8 hex>`.

    Raises BatchNotFoundError where the plan does not exist.
    """
    parameters = {
        "suffix": f"-{secrets.token_hex(4)}",
        "profile_id": profile_id,
        "mode": mode.value,
        "actor": clean(actor),
        "plan_batch_id": plan_batch_id,
        "settings": json_text(settings),
        "notes": [clean(note) for note in notes],
    }
    try:
        row = conn.execute(block("books", "start_batch"), parameters).fetchone()
    except errors.ForeignKeyViolation as missing:
        raise BatchNotFoundError(f"no such plan: {plan_batch_id}") from missing
    return str(_one(row, "the batch was not stored")["batch_id"])


def finish_batch(
    conn: Connection[dict[str, Any]],
    batch_id: str,
    *,
    status: BatchStatus,
    calls: Mapping[str, int],
    notes: Sequence[str],
) -> Batch:
    """Close a running batch with counts taken from its audit rows.

    Raises BatchNotFoundError, DatabaseError where it was closed already: a run whose connections
    were lost for a while may have been taken for dead.
    """
    statement = composed("books", "finish_batch", counts=composed("books", "counts"))
    parameters = {
        "batch_id": batch_id,
        "status": status.value,
        "calls": json_text(calls),
        "notes": [clean(note) for note in notes],
    }
    row = conn.execute(statement, parameters).fetchone()
    if row is None:
        closed = require_batch(conn, batch_id)
        raise DatabaseError(f"batch {batch_id} is {closed.status} already: run another cycle")
    return _batch(row)


def batch(conn: Connection[dict[str, Any]], batch_id: str) -> Batch | None:
    """One batch, or None."""
    row = conn.execute(block("books", "batch"), {"batch_id": batch_id}).fetchone()
    return None if row is None else _batch(row)


def require_batch(conn: Connection[dict[str, Any]], batch_id: str) -> Batch:
    """One batch. Raises BatchNotFoundError, because undoing nothing must not look like success."""
    found = batch(conn, batch_id)
    if found is None:
        raise BatchNotFoundError(f"no such batch: {batch_id}")
    return found


def batches(conn: Connection[dict[str, Any]], profile_id: str, *, limit: int) -> tuple[Batch, ...]:
    """The latest batches of a profile, newest first."""
    parameters = {"profile_id": profile_id, "limit": limit}
    return tuple(map(_batch, conn.execute(block("books", "batches"), parameters).fetchall()))


def _batch(row: Mapping[str, Any]) -> Batch:
    return Batch(
        **{
            **row,
            "mode": Mode(row["mode"]),
            "status": BatchStatus(row["status"]),
            "started_at": row["started_at"].astimezone(UTC),
            "finished_at": utc_or_none(row["finished_at"]),
            "notes": tuple(row["notes"]),
        }
    )


# --- audit -------------------------------------------------------------------------------------


def insert_audit(
    conn: Connection[dict[str, Any]], batch_id: str, *, actor: str, entries: Sequence[AuditEntry]
) -> tuple[int, ...]:
    """Append audit rows with one COPY; ids in the order of `entries`.

    `evidence` becomes JSON with decimals as strings and times as ISO 8601.
    Raises BatchNotFoundError where the batch does not exist.
    """
    if not entries:
        return ()
    told = shortened(conn, [entry.evidence for entry in entries])
    newest = _one(conn.execute(block("books", "newest_audit")).fetchone(), "no audit")["audit_id"]
    written_by = (batch_id, clean(actor))
    try:
        with conn.cursor() as cursor, cursor.copy(block("books", "write_audit")) as copy:
            for entry, evidence in zip(entries, told, strict=True):
                copy.write_row((*written_by, *_audit_fields(entry), json_text(evidence)))
    except errors.ForeignKeyViolation as missing:
        raise BatchNotFoundError(f"no such batch: {batch_id}") from missing
    parameters = {"newest": newest, "batch_id": batch_id}
    found = conn.execute(block("books", "written_audit"), parameters).fetchall()
    if len(found) != len(entries):
        raise DatabaseError(f"{len(found)} of {len(entries)} audit rows were stored")
    return tuple(sorted(row["audit_id"] for row in found))


def _audit_fields(entry: AuditEntry) -> tuple[object, ...]:
    """One row without its evidence, in the order of the columns in `write_audit`."""
    key = entry.key
    return (
        key.profile_id,
        key.symbol,
        key.trade_id,
        entry.decision.value,
        entry.reason.value,
        entry.filled_qty,
        entry.open_qty,
        entry.remainder_qty,
        *_money(entry.candidate),
        entry.backfill_order_id,
        *_origin(entry.candidate),
        entry.fingerprint,
    )


def _money(candidate: Candidate | None) -> tuple[object, ...]:
    """Price, fee and its currency; a row without a candidate has none."""
    if candidate is None:
        return (None,) * 3
    return candidate.price, candidate.fee, candidate.fee_currency


def _origin(candidate: Candidate | None) -> tuple[object, ...]:
    """The exchange's ids, the time and the tier; a row without a candidate has none."""
    if candidate is None:
        return (None,) * 4
    tier = candidate.attribution.value
    return candidate.exchange_order_id, candidate.client_order_id, candidate.filled_at, tier


def find_audit_rows(
    conn: Connection[dict[str, Any]], *, limit: int | None, **filters: str | None
) -> tuple[AuditRow, ...]:
    """Audit rows that match every filter that is not None, newest first.

    Raises DatabaseError where one of them is none of ours: a word or a time that nobody can read.
    """
    parameters = {**filters, "limit": limit}
    try:
        found = conn.execute(of_whole_audit("books", "audit_rows"), parameters).fetchall()
    except DataError as odd:
        raise DatabaseError(f"a row of the audit cannot be read ({odd}): {_LOOK}") from odd
    return tuple(map(audit_row, found))


_UNIT: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{1,60})?")
_LOOK: Final = "`unghost audit verify` tells whether the record was changed"


def audit_row(row: Mapping[str, Any]) -> AuditRow:
    """One row as the database gives it. Raises DatabaseError for what is none of ours."""
    times = {name: utc_or_none(row[name]) for name in ("filled_at", "created_at", "reverted_at")}
    try:
        words = {"decision": Decision(row["decision"]), "reason": Reason(row["reason"])}
    except ValueError as odd:
        raise _unreadable(row, str(odd)) from odd
    why = _oddity(row)
    if why:
        raise _unreadable(row, why)
    return AuditRow(**{**row, **times, **words})


def _unreadable(row: Mapping[str, Any], why: str) -> DatabaseError:
    named = f"audit row {row['audit_id']} of batch {row['batch_id']}"
    return DatabaseError(f"{named} cannot be read ({why}): {_LOOK}")


def _oddity(row: Mapping[str, Any]) -> str:
    """What we never write, and what whoever reckons with the row would stumble upon."""
    evidence = row["evidence"]
    if not isinstance(evidence, dict):
        return "its evidence is no object"
    unit = evidence.get("ledger_unit", "1")
    if unit != "1" and not _UNIT.fullmatch(str(unit)):
        return f"its ledger_unit is {str(unit)[:40]!r}"
    for name in ("filled_qty", "price"):
        number = row[name]
        if number is not None and not number.is_finite():
            return f"its {name} is {number}"
    return ""


def settle(conn: Connection[dict[str, Any]], settlements: Sequence[Settlement]) -> int:
    """Move audit rows away from PENDING_APPLY; returns how many were still pending.

    Of a batch that was rolled back meanwhile, wholly or in part, only NO_GOs are taken.
    """
    if not settlements:
        return 0
    parameters = {
        "audit_ids": arrays.numbers([one.audit_id for one in settlements]),
        "decisions": arrays.texts(one.decision.value for one in settlements),
        "reasons": arrays.texts(one.reason.value for one in settlements),
    }
    conn.execute(block("books", "hold_batches"), {"audit_ids": parameters["audit_ids"]})
    return conn.execute(block("books", "settle"), parameters).rowcount


# --- pause -------------------------------------------------------------------------------------


def pause_state(session: Session, profile_id: str) -> PauseReading:
    """The profile's own status, share-locked until this transaction ends.

    A profile whose status was never set is RUNNING: it is not paused, and that is certain.
    """
    row = session.conn.execute(block("books", "pause_state"), {"profile_id": profile_id}).fetchone()
    if row is None:
        now = _one(session.conn.execute(block("books", "now")).fetchone(), "no clock")["now"]
        detail = "no status was ever set for this profile"
        return PauseReading(
            state=PauseState.RUNNING, source=_PAUSE_SOURCE, as_of=now, detail=detail
        )
    return PauseReading(
        state=PauseState(row["status"]),
        source=_PAUSE_SOURCE,
        as_of=row["as_of"].astimezone(UTC),
        since=row["since"].astimezone(UTC),
        actor=row["actor"],
        note=row["reason"],
    )


# --- values ------------------------------------------------------------------------------------


def _one(row: dict[str, Any] | None, sentence: str) -> dict[str, Any]:
    if row is None:
        raise DatabaseError(sentence)
    return row
