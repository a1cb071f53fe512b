"""What the stages need of the world, as Protocols. Adapters implement these; stages see only them.

Every method may raise `DatabaseError` (ledger) where the database fails. The exchange never raises
for a failed question: its readings carry UNKNOWN or `complete=False` with a sentence instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from unghost.filefills import FillFile
from unghost.model import (
    AuditEntry,
    AuditRow,
    Batch,
    BatchStatus,
    CallLog,
    Candidate,
    ChainHead,
    Decision,
    Event,
    FillReading,
    HeldRows,
    Hint,
    InsertOutcome,
    Interrupted,
    KeyMark,
    LedgerRow,
    Lifecycle,
    LifecycleKey,
    Market,
    Mode,
    OverClosed,
    PauseReading,
    PositionReading,
    ProfileRef,
    Resolution,
    Seen,
    Settlement,
    Sought,
    StatusChange,
    TradeVersion,
    Window,
)

MISMATCH_EVENT = "EXCHANGE_STATE_MISMATCH"


class LedgerReader(Protocol):
    """Reads of `orders`; the same inside and outside of the write transaction.

    Constant numbers of statements whatever the number of lifecycles.
    """

    def now(self) -> datetime:
        """The clock of the database, aware UTC."""
        ...

    def open_lifecycles(
        self, profile_ids: Sequence[str], *, symbols: Collection[str] | None = None
    ) -> tuple[Lifecycle, ...]:
        """Lifecycles open by the checklist's section 1 SQL, with all rows of their trade_id.

        `direction`, `first_entry_at` and `defects` are left for the detect stage to judge.
        """
        ...

    def look(
        self,
        profile_ids: Sequence[str],
        *,
        hint: Hint | None,
        full: bool,
        judge: Callable[[Lifecycle], Lifecycle],
    ) -> Seen:
        """Open lifecycles by a hint, by a full scan, or by both out of one snapshot.

        Each is as `judge` makes it.

        Where the hint is None, or the ledger has not what it takes, there is a full scan alone.
        """
        ...

    def account_rows(
        self,
        profile_ids: Sequence[str],
        *,
        symbols: Collection[str],
        start_at: datetime,
        exchange_ids: Collection[str],
    ) -> tuple[LedgerRow, ...]:
        """Filled rows (status compared without case) of the profiles, NULL trade_id too.

        Rows of `symbols` whose time (filled_at, else created_at) is not before `start_at` or is
        absent; and rows of any symbol whose order_id, exchange_order_id or client_order_id is in
        `exchange_ids`. Ordered by order_id.
        """
        ...

    def rows_of_strangers(
        self, no_strangers: Sequence[str], *, symbols: Collection[str], order_ids: Collection[str]
    ) -> tuple[LedgerRow, ...]:
        """Rows, of any status, of all other profiles that name one of the exchange's orders.

        Rows of `symbols` whose order_id or exchange_order_id, in the ledger or in the record, is
        in `order_ids`. Ordered by order_id.
        """
        ...

    def rows_of_trades(
        self, keys: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], tuple[LedgerRow, ...]]:
        """Every row of the given (profile_id, trade_id), open or not, oldest first."""
        ...

    def entry_sides(
        self, keys: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], tuple[LedgerRow, ...]]:
        """ENTRY rows of the given (profile_id, trade_id), for the direction of their EXIT rows."""
        ...

    def rows_by_order_id(self, order_ids: Collection[str]) -> Mapping[str, LedgerRow]:
        """The rows that hold these order ids, whatever their profile or status."""
        ...


class WriteTransaction(LedgerReader, Protocol):
    """One open transaction that holds the account's write lock; commits when its block ends."""

    def pause_state(self, profile_id: str) -> PauseReading:
        """The profile's own status, locked so that a `resume` waits for this commit."""
        ...

    def open_versions(
        self, profile_ids: Sequence[str], *, symbols: Collection[str]
    ) -> Sequence[TradeVersion]:
        """Each row of the lifecycles that `open_lifecycles` tells, by id and version alone."""
        ...

    def held_rows(
        self, profile_ids: Sequence[str], *, sought: Sought, ignoring: Collection[str]
    ) -> HeldRows:
        """The rows that `account_rows` tells, save those whose order_id is in `ignoring`.

        Of those that surely concern a market, symbol, id and version alone.
        """
        ...

    def insert_backfills(self, candidates: Sequence[Candidate]) -> Mapping[str, InsertOutcome]:
        """`INSERT ... ON CONFLICT (order_id) DO NOTHING`, read back and compared: by order_id.

        Raises DatabaseError naming the constraint when another unique index is hit.
        """
        ...

    def settle(self, settlements: Sequence[Settlement]) -> int:
        """Move audit rows from PENDING_APPLY to their decision; returns how many were moved."""
        ...

    def reinstate(
        self, batch_id: str, *, trade_id: str | None = None, actor: str | None = None
    ) -> tuple[StatusChange, ...]:
        """Fill the canceled rows of a batch again: status, `updated_at`, `reverted_at`, no more.

        Check pause and flatness first: it is a write like any other. Raises BatchNotFoundError,
        and RefusedError naming the lifecycles that would be closed by more than was opened.
        """
        ...


class Ledger(LedgerReader, Protocol):
    """The books: `orders` (the bot's) and the tables of the record (ours)."""

    # batches and audit -------------------------------------------------------------------------

    def running_batch(
        self,
        *,
        profile_id: str,
        mode: Mode,
        actor: str,
        settings: Mapping[str, Any],
        plan_batch_id: str | None,
        notes: Sequence[str] = (),
    ) -> AbstractContextManager[str]:
        """Insert a running batch that is known to live while the block runs; its id.

        An apply is started inside `applying()`, whose lock speaks for it.
        """
        ...

    def finish_batch(
        self,
        batch_id: str,
        *,
        status: BatchStatus,
        calls: Mapping[str, int],
        notes: Sequence[str] = (),
    ) -> Batch:
        """Close a running batch; its counts are taken from the audit rows.

        Raises DatabaseError where it was closed already.
        """
        ...

    def batch(self, batch_id: str) -> Batch | None:
        """One batch, or None."""
        ...

    def batches(self, profile_id: str, *, limit: int = 50) -> tuple[Batch, ...]:
        """The latest batches of a profile, newest first."""
        ...

    def write_audit(
        self, batch_id: str, *, actor: str, entries: Sequence[AuditEntry]
    ) -> tuple[int, ...]:
        """Append audit rows in one committed transaction; ids in the order given."""
        ...

    def audit_rows(
        self,
        *,
        batch_id: str | None = None,
        profile_id: str | None = None,
        symbol: str | None = None,
        trade_id: str | None = None,
        decision: Decision | None = None,
        limit: int | None = None,
    ) -> tuple[AuditRow, ...]:
        """Audit rows, newest first. Raises DatabaseError that names a row nobody can read."""
        ...

    def has_profile(self, profile_id: str) -> bool:
        """Whether the ledger has a row of the profile: a name with a slip in it has none."""
        ...

    def batch_holds(
        self, batch_id: str, *, trade_id: str | None = None, order_id: str | None = None
    ) -> bool:
        """Whether the batch has such a row, however odd the others are."""
        ...

    def chain_head(self) -> ChainHead:
        """Where the chain over the record ends now."""
        ...

    def close_interrupted(self, account: str, profile_ids: Sequence[str]) -> Interrupted:
        """Close what dead runs left `running`, and settle every PENDING_APPLY row of theirs.

        A row that was written becomes APPLIED, one that was not NO_GO interrupted_before_apply;
        batches become `interrupted`, with an event each. Runs that live are left alone.
        """
        ...

    # writing -----------------------------------------------------------------------------------

    def applying(self, account: str, *, wait_seconds: float = 30) -> AbstractContextManager[None]:
        """Be the only apply of the account while the block runs.

        Held by an open transaction (it works behind a transaction pooler, and a killed process
        frees it). Raises RefusedError when another apply does not finish within `wait_seconds`.
        """
        ...

    def writing(self, account: str) -> AbstractContextManager[WriteTransaction]:
        """One write transaction. An exception in the block rolls all of it back.

        Where the answer to COMMIT is lost, raises DatabaseError: the caller reads back by batch.
        """
        ...

    # undo --------------------------------------------------------------------------------------

    def rollback_preview(
        self, batch_id: str, *, trade_id: str | None = None, order_id: str | None = None
    ) -> tuple[StatusChange, ...]:
        """Rows that the checklist's section 9 would cancel now (already canceled ones left out)."""
        ...

    def rollback(
        self,
        batch_id: str,
        *,
        actor: str,
        trade_id: str | None = None,
        order_id: str | None = None,
    ) -> tuple[StatusChange, ...]:
        """Do it: `status`, `updated_at`, `reverted_at` and nothing else, in one transaction."""
        ...

    def reinstate_preview(
        self, batch_id: str, *, trade_id: str | None = None
    ) -> tuple[StatusChange, ...]:
        """Rows of the batch that are canceled now and would be filled again."""
        ...

    # validation --------------------------------------------------------------------------------

    def ghosts_left(self, profile_id: str) -> tuple[tuple[LifecycleKey, Decimal, Decimal], ...]:
        """Section 8: (key, entry_qty, exit_qty) of lifecycles open by more than 0.000001."""
        ...

    def decision_counts(self, profile_id: str) -> Mapping[str, int]:
        """Section 8: audit rows by decision."""
        ...

    def over_closed(self, profile_id: str) -> tuple[OverClosed, ...]:
        """Lifecycles with more EXIT than ENTRY (a real EXIT that came later: FAILURES 16)."""
        ...

    def superseded(self, profile_id: str) -> tuple[OverClosed, ...]:
        """Over-closed lifecycles with standing rows of ours; cheap enough for every cycle."""
        ...

    def audit_writable(self) -> bool:
        """Whether an audit row can be written now (tried and taken back)."""
        ...


class Exchange(Protocol):
    """Reads of one exchange account. There is no method that could place an order."""

    def resolve(self, symbols: Collection[str]) -> Resolution:
        """The market behind each spelling, or one sentence why there is none."""
        ...

    def positions(self, markets: Collection[Market]) -> Mapping[str, PositionReading]:
        """One reading per market, by unified symbol; the least possible number of calls."""
        ...

    def fills(self, windows: Mapping[Market, Window]) -> Mapping[str, FillReading]:
        """The account's fills of each market over its window, by unified symbol."""
        ...

    def client_order_ids(self, windows: Mapping[Market, Window]) -> Mapping[str, Mapping[str, str]]:
        """By unified symbol: exchange order id -> client order id, where an own call tells it.

        A market that could not be read to the end is left out.
        """
        ...

    @property
    def key(self) -> KeyMark:
        """Which key is used, without telling it; no call is made."""
        ...

    def account_id(self) -> str | None:
        """Which account the key sees; None where the exchange does not tell, or not now."""
        ...

    def calls(self) -> CallLog:
        """Calls made so far."""
        ...

    def close(self) -> None:
        """Close connections; safe to call twice."""
        ...


class FillFiles(Protocol):
    """Files of fills that were imported."""

    def covering(
        self, profile_ids: Sequence[str], *, symbols: Collection[str]
    ) -> tuple[FillFile, ...]:
        """The files of the profiles, each with its rows of `symbols`, oldest import first.

        Raises DatabaseError.
        """
        ...


class SeenAccounts(Protocol):
    """What is known of the exchange accounts that the profiles' keys see."""

    def doubt(self, profile: ProfileRef, exchange: Exchange) -> str:
        """Why the profile's account may be another profile's as well; empty where nothing says so.

        At most one call to the exchange, and not each time. Raises DatabaseError.
        """
        ...


class PauseGate(Protocol):
    """Where a profile's trading status comes from."""

    def read(self, profile_id: str) -> PauseReading:
        """The status now; UNKNOWN instead of an exception where the source does not answer."""
        ...


class EventSink(Protocol):
    """Where events go."""

    def emit_throttled(self, events: Sequence[Event], *, throttle_ms: int) -> tuple[Event, ...]:
        """Store at most one event per (type, profile, symbol) in the span; return those stored.

        The throttle is shared by all processes.
        """
        ...

    def emit_once(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Store those whose type, profile, symbol and payload["key"] were never stored before."""
        ...

    def emit(self, event: Event) -> None:
        """Store one event unconditionally."""
        ...

    def counts(self, profile_id: str) -> Mapping[str, int]:
        """Events stored for the profile, by type."""
        ...


class Progress(Protocol):
    """Tells a person how far a long stage is."""

    def step(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Called often; must be cheap and never raise."""
        ...


class Clock(Protocol):
    """The time."""

    def __call__(self) -> datetime:
        """Now, aware UTC."""
        ...
