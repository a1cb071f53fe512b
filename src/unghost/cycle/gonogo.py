"""Section 6 of the checklist: whether a plan may be applied now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from unghost import criteria
from unghost.ceilings import with_share_allowed
from unghost.criteria import Criterion, Fresh
from unghost.cycle.draft import draft_rulings
from unghost.cycle.plans import plan_problem
from unghost.desk import Desk
from unghost.model import Batch
from unghost.ports import Progress
from unghost.rollback import require_batch


@dataclass(frozen=True, kw_only=True)
class GoNoGo:
    """Section 6 of the checklist. `held_back` counts lifecycles that the plan leaves alone.

    `share_to_allow`: the share of the open lifecycles, as a fraction, that a person would have to
    allow for this plan; None where none is above the ceiling.
    """

    batch: Batch
    go: bool
    held_back: int
    criteria: tuple[Criterion, ...]
    share_to_allow: Decimal | None


def go_no_go(
    desk: Desk, batch_id: str, *, allow_partial: bool = False, progress: Progress | None = None
) -> GoNoGo:
    """Judge a plan against the present: everything is read again, nothing is written."""
    batch = require_batch(desk, batch_id)
    rows = desk.ledger.audit_rows(batch_id=batch_id)
    # The share is a criterion by itself; here it would only hide the others.
    unasked = replace(desk, rules=with_share_allowed(desk.rules))
    draft = draft_rulings(unasked, progress=progress)
    fresh = Fresh(
        batch=batch,
        plan_problem=plan_problem(batch, desk.ledger.now(), desk.plan_ttl_minutes),
        rows=rows,
        rulings=draft.rulings,
        evidences=draft.evidences,
        pause=draft.pause,
        rules=desk.rules,
        audit_writable=desk.ledger.audit_writable(),
        allow_partial=allow_partial,
        now=desk.clock(),
    )
    judged = tuple(judge(fresh) for judge in criteria.CRITERIA)
    return GoNoGo(
        batch=batch,
        go=all(one.verdict is not criteria.Verdict.NO_GO for one in judged),
        held_back=len(criteria.held_back(rows)),
        criteria=judged,
        share_to_allow=criteria.share_to_allow(fresh),
    )
