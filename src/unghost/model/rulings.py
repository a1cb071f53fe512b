"""From evidence to a ruling: gates, close orders, claims, and the row that would be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from unghost.model.ledger import LedgerRow, Lifecycle, LifecycleKey
from unghost.model.venue import FillReading, Market, Money, PositionReading
from unghost.model.words import Attribution, GateVerdict, PauseState, PositionSide, Reason, Side


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """One EXIT row that would be written. `quantity` is in units of the ledger.

    `exchange_order_id` is `DUST` for a dust row. `filled_at` is cut to milliseconds. `fee` is None
    when unknown or in several currencies (then `fees` tells). `fingerprint` is equal exactly when
    nothing that this row rests on has moved; `basis` holds the parts by name, so that a difference
    can be named. What it is called by may be given by place: with all eighteen by name, the
    interpreter makes a dict of them first, which takes as long as half of making the row.
    """

    order_id: str
    key: LifecycleKey
    exchange_order_id: str
    client_order_id: str | None
    side: Side
    position_side: PositionSide
    _: KW_ONLY
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
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready account of readings, fills used and not used; what `explain` shows."""
