"""What a reason means, and what to do about it: one sentence each, for people."""

from __future__ import annotations

from typing import Final

from unghost.model import Decision, Reason

DECISION_STYLES: Final[dict[Decision, str]] = {
    Decision.DRY_RUN: "cyan",
    Decision.PENDING_APPLY: "yellow",
    Decision.APPLIED: "green",
    Decision.SKIP_EXISTING: "blue",
    Decision.NO_GO: "red",
}

WHAT_TO_DO: Final[dict[Reason, str]] = {
    Reason.FILL_EVIDENCE: "Nothing: fills of the exchange cover it.",
    Reason.DUST_REMAINDER: "Nothing: it is too small to be a position.",
    Reason.BASE_FEE_REMAINDER: "Nothing: the exchange kept it as a fee.",
    Reason.BACKFILL_EXISTS: "Nothing: an earlier batch has written this row.",
    Reason.BACKFILL_ROLLED_BACK: (
        "If it shall stand again, run `unghost reinstate` for the batch that wrote it."
    ),
    Reason.PROFILE_NOT_PAUSED: "Pause the profile (`unghost pause`, or in the bot) and run again.",
    Reason.PAUSE_STATUS_UNKNOWN: (
        "See that the pause source answers (`unghost doctor`), then run again."
    ),
    Reason.EXCHANGE_NOT_FLAT: (
        "The position is real: leave it, or close it on the exchange and run again."
    ),
    Reason.EXCHANGE_STATE_UNKNOWN: (
        "See that the exchange answers (`unghost doctor`) and knows the symbol, then run again."
    ),
    Reason.PENDING_LIFECYCLE_BLOCKER: (
        "An order of the lifecycle is still pending in the ledger: settle that row first."
    ),
    Reason.RECENT_ACTIVITY: "Wait until the bot has left the lifecycle alone, then run again.",
    Reason.FILL_EVIDENCE_INCOMPLETE: (
        "The fills could not be read to their end: run again, or check the connection."
    ),
    Reason.MISSING_FILL_EVIDENCE: (
        "No fill covers it: look further back (RECON_EXIT_BACKFILL_LOOKBACK_HOURS), or find out"
        " how the position was closed."
    ),
    Reason.AMBIGUOUS_ATTRIBUTION: (
        "The fills could belong to several lifecycles: `unghost explain` shows which; decide by"
        " hand."
    ),
    Reason.ORDER_ID_CONFLICT: "The id is taken by a row with other content: look at that row.",
    Reason.INVALID_LEDGER_ROW: "Correct the rows that `unghost explain` names, then run again.",
    Reason.LEDGER_CHANGED: "The ledger moved while the batch ran: run again.",
    Reason.PLAN_DRIFT: "The world moved since the plan: make a new dry run and look at it.",
    Reason.LIMIT_EXCEEDED: (
        "The batch is too large: raise RECON_EXIT_BACKFILL_MAX_ROWS if that many are right."
    ),
    Reason.INTERRUPTED: "An earlier run died before this row was written: run again.",
}
