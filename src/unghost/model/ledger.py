"""What the ledger says: rows, lifecycles, and what the loop remembers of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from unghost.model.words import PositionSide


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """Which rows to read again for some markets, so that little has to be said of most of them.

    `sure` are the names that mean one market alone, each with the start of its window: a row of
    that name in that window concerns the market, and its id and version are all that is needed.
    Any other row of `doubtful` names or with one of `ids` has to be looked at as a whole.
    """

    sure: Mapping[str, datetime]
    doubtful: frozenset[str]
    ids: frozenset[str]
    start_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldRows:
    """What `Sought` found: (symbol, order_id, version) of what is sure, other rows as a whole."""

    sure: tuple[tuple[str, str, str], ...]
    others: tuple[LedgerRow, ...]


TradeVersion = tuple[str, str, str, str, str]
"""A row of an open lifecycle: profile_id, symbol and trade_id of it, order_id, version."""
