"""The nouns. Frozen, keyword-only, free of I/O; one for every arrow of the cycle.

Quantities and prices are `Decimal`. Times are aware UTC and end in `_at`. Inside a cycle every
quantity is in base units of the market; `Evidence.ledger_unit` says how many base units one unit
of the ledger is worth (1 unless the ledger keeps contracts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

# --- words -------------------------------------------------------------------------------------


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
        return Side.BUY if self is PositionSide.LONG else Side.SELL

    @property
    def opposite(self) -> PositionSide:
        """The other direction."""
        return PositionSide.SHORT if self is PositionSide.LONG else PositionSide.LONG

    @property
    def closing_side(self) -> Side:
        """The side whose fills bring this position nearer to zero."""
        return Side.SELL if self is PositionSide.LONG else Side.BUY


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
    return number is not None and number.is_finite() and abs(number) < MAX_AMOUNT


# --- ledger ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerRow:
    """One row of `orders` as the bot wrote it; text as found, only `quantity` already coalesced.

    `quantity` is COALESCE(quantity, qty) (None when both are NULL). `version` is a digest of the
    whole row: equal versions mean that nothing in the row changed. `exchange_order_id` of a
    backfill row falls back to what the audit recorded, for ledgers without that column.
    """

    order_id: str
    profile_id: str
    symbol: str
    trade_id: str | None
    action: str | None
    status: str | None
    quantity: Decimal | None
    price: Decimal | None = None
    side: str | None = None
    position_side: str | None = None
    exchange_order_id: str | None = None
    client_order_id: str | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    filled_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: str = ""

    @property
    def at(self) -> datetime | None:
        """When it happened: filled_at, else created_at, else unknown (FAILURES 11)."""
        return self.filled_at or self.created_at


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class LifecycleKey:
    """What the checklist groups by."""

    profile_id: str
    symbol: str
    trade_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifecycle:
    """A lifecycle that the ledger says is open, with every row of its trade_id in the profile.

    `entry_qty`, `exit_qty`, `open_qty` come from the checklist's own SQL. `rows` holds rows of
    every status, ours included, oldest first. `defects` are sentences: why it cannot be judged.
    """

    key: LifecycleKey
    entry_qty: Decimal
    exit_qty: Decimal
    open_qty: Decimal
    rows: tuple[LedgerRow, ...]
    direction: PositionSide | None = None
    first_entry_at: datetime | None = None
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """What lets the loop look at a few lifecycles instead of all: never a source of a decision.

    `as_of` is the database's clock when it last looked, `full_at` ours when it last looked at all.
    `trades` are the (profile_id, trade_id) that were open then, in the profiles of `profile_ids`.
    """

    as_of: datetime
    full_at: datetime
    profile_ids: tuple[str, ...]
    trades: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Open lifecycles out of one snapshot, by the hint and by a full scan; None: not asked so."""

    as_of: datetime
    by_hint: tuple[Lifecycle, ...] | None
    full: tuple[Lifecycle, ...] | None


# --- exchange ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Market:
    """One market as the exchange knows it. `unified` is the key everywhere inside a cycle.

    `spellings` are all the names under which a ledger may hold it. `contract_size` is base units
    per contract (1 on spot). `minimum_quantity` is the smallest tradable amount in base units.
    `margin` is spot on borrowed money, where a lifecycle is not long merely because nobody says so.
    """

    unified: str
    native_id: str
    base: str
    quote: str
    spot: bool = False
    margin: bool = False
    contract_size: Decimal = Decimal(1)
    minimum_quantity: Decimal | None = None
    spellings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Resolution(Mapping[str, Market | None]):
    """The market behind each spelling that was asked for, None where there is none.

    `reasons` holds one sentence for each None: a symbol that the exchange does not know is not the
    same as an exchange that does not answer.
    """

    markets: Mapping[str, Market | None]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, symbol: str) -> Market | None:
        return self.markets[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self.markets)

    def __len__(self) -> int:
        return len(self.markets)

    def why_not(self, symbol: str) -> str:
        """One sentence, fit for people: why the symbol has no market."""
        return self.reasons.get(symbol, f"The symbol {symbol} was not looked up.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionLeg:
    """One position row that is not zero. `position_side` is None in one-way mode.

    `quantity` is signed in one-way mode (short below zero) and absolute in hedge mode.
    """

    position_side: PositionSide | None
    quantity: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionReading:
    """What the exchange said about one market at one time. An absence is never FLAT.

    `size` is the sum of the absolute sizes of all rows of both sides, None when UNKNOWN.
    `detail` says in one sentence where the verdict comes from, or why there is none.
    """

    flatness: Flatness
    as_of: datetime
    size: Decimal | None
    legs: tuple[PositionLeg, ...] = ()
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """An amount in one currency; negative is a rebate."""

    currency: str
    amount: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """One execution. `quantity` is positive, in base units; `position_side` None in one-way mode.

    `closed` is how much of the quantity closed a position, where the exchange tells (in either
    mode); None where it does not, and then the position side or a replay says so.
    `fees` is None when the exchange did not tell (never booked as 0). `digest` identifies the raw
    answer, so that the same fill id with another payload is noticed.
    """

    fill_id: str
    exchange_order_id: str
    market: str
    side: Side
    quantity: Decimal
    price: Decimal
    filled_at: datetime
    client_order_id: str | None = None
    position_side: PositionSide | None = None
    closed: Decimal | None = None
    fees: tuple[Money, ...] | None = ()
    kind: FillKind = FillKind.TRADE
    digest: str = ""

    @property
    def is_execution(self) -> bool:
        """Whether something was executed, at a price: numbers that can be reckoned with."""
        return is_amount(self.quantity) and self.quantity > 0 and is_amount(self.price)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The span of time, both ends included, over which fills count."""

    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FillReading:
    """The fills of one market over a window.

    `complete` only when the exchange's own cursor said that there is no more. Where it is False,
    `detail` says why and `fills` must not be believed.
    """

    fills: tuple[Fill, ...]
    complete: bool
    window: Window
    as_of: datetime
    pages: int = 0
    source: str = "exchange"
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallLog:
    """Calls made to the exchange, by endpoint or method name; shown in the batch."""

    by_method: tuple[tuple[str, int], ...] = ()

    @property
    def total(self) -> int:
        """All calls."""
        return sum(count for _, count in self.by_method)

    def since(self, before: CallLog) -> dict[str, int]:
        """The calls made after `before` was taken, by endpoint or method name."""
        known = dict(before.by_method)
        more = {name: count - known.get(name, 0) for name, count in self.by_method}
        return {name: count for name, count in more.items() if count}


# --- gates -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class PauseReading:
    """The answer of the pause source. `source` names it (`trading_profile` or a URL)."""

    state: PauseState
    source: str
    as_of: datetime
    since: datetime | None = None
    actor: str | None = None
    note: str | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """One allow criterion with its value, source, age and verdict; never overridable."""

    name: str
    verdict: GateVerdict
    value: str
    source: str
    rule: str
    as_of: datetime | None = None
    reason: Reason | None = None
    detail: str = ""


# --- evidence ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that is known about one market of one exchange account, as of a time. Base units.

    `market` is None where the ledger's symbol resolves to nothing; `symbol` then is the ledger's
    spelling, else the unified one. `lifecycles` are all open lifecycles of the market in every
    profile of the account; only those of `profile_id` are decided on, the others keep their share.
    `ledger_rows` are the filled rows of every profile of the account that lie in the window, have
    no time, or are linked by id to one of the fills.
    """

    profile_id: str
    symbol: str
    market: Market | None
    as_of: datetime
    lifecycles: tuple[Lifecycle, ...]
    ledger_rows: tuple[LedgerRow, ...]
    position_before: PositionReading
    position_after: PositionReading
    fills: FillReading
    ledger_unit: Decimal = Decimal(1)


# --- claims and rulings ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseOrder:
    """The fills of one exchange order on the closing side of one leg, summed.

    `filled` is the closing quantity on the exchange, `accounted` what ledger rows already hold of
    it, `claimable` the rest. `price` is the VWAP of the whole order; `last_fill_at` in full
    precision.
    """

    market: str
    leg: PositionSide
    exchange_order_id: str
    client_order_id: str | None
    filled: Decimal
    accounted: Decimal
    price: Decimal
    fees: tuple[Money, ...] | None
    first_fill_at: datetime
    last_fill_at: datetime
    fill_ids: tuple[str, ...]
    digest: str
    accounted_by: tuple[str, ...] = ()

    @property
    def claimable(self) -> Decimal:
        """What no ledger row accounts for yet."""
        return max(Decimal(0), self.filled - self.accounted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The part of a close order given to one lifecycle."""

    lifecycle: LifecycleKey
    order: CloseOrder
    quantity: Decimal
    fees: tuple[Money, ...] | None
    attribution: Attribution


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One EXIT row that would be written. `quantity` is in units of the ledger.

    `exchange_order_id` is `DUST` for a dust row. `filled_at` is cut to milliseconds. `fee` is None
    when unknown or in several currencies (then `fees` tells). `fingerprint` is equal exactly when
    nothing that this row rests on has moved; `basis` holds the parts by name, so that a difference
    can be named.
    """

    order_id: str
    key: LifecycleKey
    exchange_order_id: str
    client_order_id: str | None
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    fee: Decimal | None
    fee_currency: str | None
    fees: tuple[Money, ...] | None
    filled_at: datetime
    open_qty: Decimal
    remainder_qty: Decimal
    reason: Reason
    attribution: Attribution
    basis: tuple[tuple[str, str], ...]
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why (a part of) a lifecycle is not closed: the reason, the quantity, a sentence."""

    reason: Reason
    quantity: Decimal
    sentence: str
    order_id: str | None = None
    """The backfill order id concerned, where one candidate alone is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """A candidate that exists already: nothing to write."""

    candidate: Candidate
    reason: Reason
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruling:
    """What was decided for one lifecycle: rows to write, rows that exist, and what is refused.

    Quantities are in units of the ledger. `orders` are the close orders of the leg with what was
    used and not used of them, for people who ask why.
    """

    lifecycle: Lifecycle
    gates: tuple[GateResult, ...]
    candidates: tuple[Candidate, ...] = ()
    skips: tuple[Skip, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    """JSON-ready account of readings, fills used and not used; what `explain` shows."""


# --- rules -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The settings that deciding needs, as plain values. Quantities in base units.

    `*_scale` are the decimal places that the ledger's columns hold; None means unlimited (prices
    then keep 18 places). `blocker_statuses` are lower case.
    """

    mode: Mode = Mode.DRY_RUN
    require_pause: bool = True
    dust_abs_qty: Decimal = Decimal("0.001")
    dust_rel_pct: Decimal = Decimal("0.002")
    lookback_hours: int = 72
    quiet_seconds: int = 60
    max_rows: int = 10_000
    max_notional: Decimal | None = None
    max_share: Decimal = Decimal(1)
    attribution: AttributionPolicy = AttributionPolicy.FIFO
    reading_max_age_seconds: int = 30
    blocker_statuses: frozenset[str] = BLOCKER_STATUSES
    quantity_scale: int | None = None
    price_scale: int | None = None
    fee_scale: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileRef:
    """Which books are meant: the profile, its exchange account, and all profiles sharing it.

    `neighbours` are the profiles of other accounts at the same exchange and sort of market,
    `elsewhere` those of another exchange or sort of market: their rows name no order of this one.
    """

    profile_id: str
    account: str
    account_profiles: tuple[str, ...]
    neighbours: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def no_strangers(self) -> tuple[str, ...]:
        """Profiles whose rows may name an order of this account, or cannot mean it if they do."""
        return (*self.account_profiles, *self.elsewhere)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyMark:
    """Which key is used where, without telling it: exchange and sort of market, and a hash."""

    venue: str
    mark: str


# --- the record --------------------------------------------------------------------------------


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
