"""Section 8 of the checklist: what is left, and what came later than our rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from unghost.desk import Desk
from unghost.model import LifecycleKey, OverClosed
from unghost.ports import MISMATCH_EVENT


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Section 8 of the checklist, and what came later than our rows."""

    ghosts: tuple[tuple[LifecycleKey, Decimal, Decimal], ...]
    decisions: Mapping[str, int]
    mismatch_events: int
    over_closed: tuple[OverClosed, ...]


def validate(desk: Desk) -> Validation:
    """Ghosts left, decisions by count, mismatch events, over-closed lifecycles."""
    profile_id = desk.profile.profile_id
    return Validation(
        ghosts=desk.ledger.ghosts_left(profile_id),
        decisions=desk.ledger.decision_counts(profile_id),
        mismatch_events=desk.events.counts(profile_id).get(MISMATCH_EVENT, 0),
        over_closed=desk.ledger.over_closed(profile_id),
    )
