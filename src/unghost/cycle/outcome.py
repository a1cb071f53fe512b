"""What a cycle found and did, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from unghost.ceilings import Ceiling
from unghost.model import (
    AuditRow,
    Batch,
    ChainHead,
    Decision,
    Event,
    GateVerdict,
    Lifecycle,
    Mode,
    OverClosed,
    Reason,
    Ruling,
)


class Outcome(StrEnum):
    """How a cycle ended, for the exit code."""

    CLEAN = "clean"
    REMAINING = "remaining"
    REFUSED = "refused"
    ENVIRONMENT = "environment"


_UNREADABLE = {
    Reason.EXCHANGE_STATE_UNKNOWN,
    Reason.FILL_EVIDENCE_INCOMPLETE,
    Reason.PAUSE_STATUS_UNKNOWN,
}
_UNREAD_GATES = {Reason.EXCHANGE_STATE_UNKNOWN, Reason.PAUSE_STATUS_UNKNOWN}
_CLOSED_BY_PAUSE = {Reason.PROFILE_NOT_PAUSED}


@dataclass(frozen=True, kw_only=True)
class CycleReport:
    """What a cycle found and did. `batch` is None when the backfill is not enabled.

    `head` is where the chain of the record ended then; `ceilings` are what the batch would reach,
    also where it was refused for that. `superseded` are lifecycles in which a real EXIT came after
    rows of ours that still stand.
    """

    batch: Batch | None
    lifecycles: tuple[Lifecycle, ...]
    rulings: tuple[Ruling, ...] = ()
    audit: tuple[AuditRow, ...] = ()
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    head: ChainHead | None = None
    ceilings: tuple[Ceiling, ...] = ()
    superseded: tuple[OverClosed, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Environment before refusal before remains: the one that a person must see to first."""
        reasons = {row.reason for row in self.audit if row.decision is Decision.NO_GO}
        if reasons & _UNREADABLE or any(_is_unread(ruling) for ruling in self.rulings):
            return Outcome.ENVIRONMENT
        if reasons & _CLOSED_BY_PAUSE or Reason.LIMIT_EXCEEDED in reasons:
            return Outcome.REFUSED
        if self.batch is not None and self.batch.plan_batch_id and Reason.PLAN_DRIFT in reasons:
            return Outcome.REFUSED
        applied = self.batch is not None and self.batch.mode is Mode.APPLY
        rolled_back = any(row.reason is Reason.BACKFILL_ROLLED_BACK for row in self.audit)
        done = applied and not reasons and not rolled_back
        return Outcome.CLEAN if done or not self.lifecycles else Outcome.REMAINING


def _is_unread(ruling: Ruling) -> bool:
    """Pause or position could not be read, even where an earlier gate names the reason."""
    return any(
        gate.verdict is GateVerdict.UNKNOWN and gate.reason in _UNREAD_GATES
        for gate in ruling.gates
    )
