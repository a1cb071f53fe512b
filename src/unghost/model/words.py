"""Closed sets of words, and which numbers can be reckoned with."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """The side of an order."""

    BUY = "buy"
    SELL = "sell"


class PositionSide(StrEnum):
    """The direction of a position, of a lifecycle, and of a leg of a market."""

    LONG = "long"
    SHORT = "short"

    @property
    def opening_side(self) -> Side:
        """The side whose fills make this position larger."""
        return _OPENING_SIDES[self]

    @property
    def opposite(self) -> PositionSide:
        """The other direction."""
        return _OPPOSITES[self]

    @property
    def closing_side(self) -> Side:
        """The side whose fills bring this position nearer to zero."""
        return _CLOSING_SIDES[self]


_OPENING_SIDES = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
_CLOSING_SIDES = {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}
_OPPOSITES = {
    PositionSide.LONG: PositionSide.SHORT,
    PositionSide.SHORT: PositionSide.LONG,
}


class Flatness(StrEnum):
    """What a position reading proves. Only FLAT is a positive answer that permits a write."""

    FLAT = "flat"
    OPEN = "open"
    UNKNOWN = "unknown"


class FillKind(StrEnum):
    """Why the exchange executed: liquidations and deleveraging close positions too."""

    TRADE = "trade"
    LIQUIDATION = "liquidation"
    DELEVERAGE = "deleverage"
    SETTLEMENT = "settlement"


class Mode(StrEnum):
    """What a batch may do."""

    DRY_RUN = "dry_run"
    APPLY = "apply"


class Attribution(StrEnum):
    """How certain it is that a close order belongs to a lifecycle, most certain first."""

    ID_LINK = "id_link"
    EXACT_QUANTITY = "exact_quantity"
    FIFO = "fifo"
    BASE_FEE = "base_fee"
    DUST = "dust"


class AttributionPolicy(StrEnum):
    """`UNGHOST_ATTRIBUTION`: strict refuses first-in-first-out among several lifecycles."""

    FIFO = "fifo"
    STRICT = "strict"


class Decision(StrEnum):
    """Column `decision` of the audit."""

    DRY_RUN = "DRY_RUN"
    PENDING_APPLY = "PENDING_APPLY"
    APPLIED = "APPLIED"
    SKIP_EXISTING = "SKIP_EXISTING"
    NO_GO = "NO_GO"


class Reason(StrEnum):
    """Column `reason` of the audit."""

    FILL_EVIDENCE = "fill_evidence"
    DUST_REMAINDER = "dust_remainder"
    BASE_FEE_REMAINDER = "base_fee_remainder"
    BACKFILL_EXISTS = "backfill_exists"
    BACKFILL_ROLLED_BACK = "backfill_rolled_back"
    PROFILE_NOT_PAUSED = "profile_not_paused"
    PAUSE_STATUS_UNKNOWN = "pause_status_unknown"
    EXCHANGE_NOT_FLAT = "exchange_not_flat"
    EXCHANGE_STATE_UNKNOWN = "exchange_state_unknown"
    PENDING_LIFECYCLE_BLOCKER = "pending_lifecycle_blocker"
    RECENT_ACTIVITY = "recent_activity"
    FILL_EVIDENCE_INCOMPLETE = "fill_evidence_incomplete"
    MISSING_FILL_EVIDENCE = "missing_fill_evidence_for_large_remainder"
    AMBIGUOUS_ATTRIBUTION = "ambiguous_fill_attribution"
    ORDER_ID_CONFLICT = "order_id_conflict"
    INVALID_LEDGER_ROW = "invalid_ledger_row"
    LEDGER_CHANGED = "ledger_changed"
    PLAN_DRIFT = "plan_drift"
    LIMIT_EXCEEDED = "limit_exceeded"
    INTERRUPTED = "interrupted_before_apply"


class GateVerdict(StrEnum):
    """A gate is open only on proof; UNKNOWN is closed."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class PauseState(StrEnum):
    """The trading status of a profile."""

    PAUSED = "PAUSED"
    RUNNING = "RUNNING"
    UNKNOWN = "UNKNOWN"


FILLED_STATUSES = ("filled", "partially_filled", "partially-filled")
"""The spellings that the checklist's SQL counts."""

FINAL_STATUSES = frozenset({"canceled", "cancelled", "rejected", "expired", "failed"})
BLOCKER_STATUSES = frozenset(
    {
        "new",
        "pending",
        "pending_new",
        "submitted",
        "accepted",
        "open",
        "working",
        "pending_cancel",
    }
)

MAX_AMOUNT = Decimal("1E+30")
"""No market holds more; a number beyond it is a mistake, and would break the arithmetic."""


def is_amount(number: Decimal | None) -> bool:
    """Whether a quantity or a price is there, finite and of a size that can be reckoned with."""
    # copy_abs, for abs() rounds, and raises for an exponent of millions.
    return number is not None and number.is_finite() and number.copy_abs() < MAX_AMOUNT
