"""How decisions look on a terminal; what they mean is said in `report`."""

from __future__ import annotations

from typing import Final

from unghost.model import Decision

DECISION_STYLES: Final[dict[Decision, str]] = {
    Decision.DRY_RUN: "cyan",
    Decision.PENDING_APPLY: "yellow",
    Decision.APPLIED: "green",
    Decision.SKIP_EXISTING: "blue",
    Decision.NO_GO: "red",
}
