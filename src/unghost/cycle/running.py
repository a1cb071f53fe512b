"""One reconciliation cycle, as a person or the loop starts it."""

from __future__ import annotations

from collections.abc import Callable

from unghost.cycle.batches import alone, close_interrupted, only_detect, run_batch
from unghost.cycle.draft import draft_rulings
from unghost.cycle.outcome import CycleReport
from unghost.cycle.plans import load_plan
from unghost.desk import Desk
from unghost.ports import Progress


def run_cycle(
    desk: Desk,
    *,
    actor: str,
    plan: str | None = None,
    progress: Progress | None = None,
    started: Callable[[str], None] | None = None,
) -> CycleReport:
    """Run one reconciliation cycle under the flags; with `plan`, write only what that batch held.

    `started` hears the batch's id as soon as the batch is in the database.
    Raises PlanError for a plan that cannot be used, DatabaseError when the record cannot be kept.
    """
    planned = load_plan(desk, plan) if plan is not None else None
    if not desk.enabled:
        return only_detect(desk, progress)
    with alone(desk):
        close_interrupted(desk)
        return run_batch(
            desk,
            lambda: draft_rulings(desk, planned=planned, progress=progress),
            actor=actor,
            plan=plan,
            progress=progress,
            started=started,
        )
