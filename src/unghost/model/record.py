"""What is written down: audit, batches, events, the chain, and changes of status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from unghost.model.ledger import LifecycleKey
from unghost.model.rulings import Candidate
from unghost.model.words import Decision, Mode, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One audit row about to be written; `candidate` is None for a refusal of a lifecycle."""

    key: LifecycleKey
    decision: Decision
    reason: Reason
    filled_qty: Decimal | None
    open_qty: Decimal | None
    remainder_qty: Decimal | None
    candidate: Candidate | None
    backfill_order_id: str | None
    fingerprint: str | None
    evidence: dict[str, Any]


class InsertOutcome(StrEnum):
    """What the read-back after `ON CONFLICT (order_id) DO NOTHING` found (FAILURES 14)."""

    INSERTED = "inserted"
    IDENTICAL = "identical"
    """The same backfill row stands already."""
    ROLLED_BACK = "rolled_back"
    """The same backfill row exists with a status that is not filled."""
    DIFFERENT = "different"
    """The id is taken by a row with other content."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """The final decision of one PENDING_APPLY audit row."""

    audit_id: int
    decision: Decision
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusChange:
    """One of our rows whose status a rollback or reinstate changes."""

    audit_id: int
    order_id: str
    key: LifecycleKey
    quantity: Decimal
    decision: Decision
    status_before: str
    status_after: str
    batch_id: str
    first_batch_id: str
    """The batch that inserted the row: differs from `batch_id` for a SKIP_EXISTING row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OverClosed:
    """A lifecycle with more EXIT than ENTRY. `superseded` are our standing rows in it."""

    key: LifecycleKey
    entry_qty: Decimal
    exit_qty: Decimal
    superseded: tuple[tuple[str, Decimal, str | None], ...]
    """(order_id, quantity, batch_id) of our rows, latest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One row of `reconciliation_event`."""

    event_type: str
    profile_id: str
    symbol: str | None
    payload: dict[str, Any]
    created_at: datetime | None = None
    event_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRow:
    """One row of `reconciliation_backfill_audit`."""

    audit_id: int
    batch_id: str
    profile_id: str
    symbol: str
    trade_id: str
    decision: Decision
    reason: Reason
    filled_qty: Decimal | None
    open_qty: Decimal | None
    remainder_qty: Decimal | None
    price: Decimal | None
    fee: Decimal | None
    fee_currency: str | None
    backfill_order_id: str | None
    exchange_order_id: str | None
    exchange_client_order_id: str | None
    filled_at: datetime | None
    attribution: str | None
    fingerprint: str | None
    evidence: dict[str, Any]
    actor: str
    created_at: datetime
    reverted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainHead:
    """Where the chain of the record ends. Kept elsewhere, it shows whether the end was cut off."""

    seq: int
    hash: str

    def __str__(self) -> str:
        """`12:3f0a...`, as `unghost audit verify --head` takes it."""
        return f"{self.seq}:{self.hash}"


class BatchStatus(StrEnum):
    """Where a batch stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Interrupted:
    """What dead runs had left: batches that were closed for them, and audit rows settled."""

    batch_ids: tuple[str, ...] = ()
    audit_ids: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One run of the backfill for one profile. `counts` is decision -> rows."""

    batch_id: str
    profile_id: str
    mode: Mode
    status: BatchStatus
    actor: str
    started_at: datetime
    finished_at: datetime | None
    plan_batch_id: str | None
    settings: dict[str, Any]
    counts: dict[str, int]
    calls: dict[str, int]
    notes: tuple[str, ...] = ()
