"""A finished dry run as the plan of an apply: whether it can serve, and what it holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from unghost.desk import Desk
from unghost.errors import PlanError, RefusedError
from unghost.model import AuditRow, Batch, BatchStatus, Decision, Mode
from unghost.rollback import require_batch


def load_plan(desk: Desk, plan: str) -> tuple[AuditRow, ...]:
    """The rows that the plan would write.

    Raises BatchNotFoundError, RefusedError where the flags say no apply, PlanError where the
    batch cannot serve.
    """
    batch = require_batch(desk, plan)
    if desk.rules.mode is Mode.DRY_RUN:
        message = (
            "RECON_EXIT_BACKFILL_DRY_RUN is true: set it to false to apply a plan, or leave --plan"
            " out for another dry run"
        )
        raise RefusedError(message)
    if not desk.enabled:
        message = "ENABLE_RECON_EXIT_BACKFILL is false: set it to true to apply a plan"
        raise RefusedError(message)
    stale = plan_problem(batch, desk.ledger.now(), desk.plan_ttl_minutes)
    if stale is not None:
        raise PlanError(stale)
    return _planned_rows(desk, plan)


def plan_problem(batch: Batch, now: datetime, ttl_minutes: int) -> str | None:
    """Why a batch cannot serve as a plan: not a finished dry run, or too old. None if it can."""
    if batch.mode is not Mode.DRY_RUN:
        return f"Batch {batch.batch_id} is an apply, not a dry run: only a dry run is a plan"
    if batch.status is not BatchStatus.FINISHED or batch.finished_at is None:
        return f"Batch {batch.batch_id} is {batch.status}, not finished: make another dry run"
    age = now - batch.finished_at
    if age > timedelta(minutes=ttl_minutes):
        minutes = int(age.total_seconds() // 60)
        return (
            f"Plan {batch.batch_id} is {minutes} minutes old and expired after {ttl_minutes}:"
            " make another dry run"
        )
    return None


def _planned_rows(desk: Desk, plan: str) -> tuple[AuditRow, ...]:
    return desk.ledger.audit_rows(batch_id=plan, decision=Decision.DRY_RUN)
