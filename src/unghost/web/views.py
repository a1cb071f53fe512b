"""What the service shows of a profile and its lifecycles. Quantities in units of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Final

from unghost import rowfacts
from unghost.adapters.postgres.service import LastDecision, LoopState
from unghost.desk import Desk
from unghost.model import (
    AuditRow,
    Batch,
    LedgerRow,
    Lifecycle,
    Mode,
    PauseReading,
    PositionSide,
    is_amount,
)

ZERO: Final = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileSeen:
    """A profile at a glance. `notional` counts what has a price, in the quote currency."""

    profile_id: str
    exchange: str
    account: str
    pause: PauseReading
    own_pause: bool
    enabled: bool
    mode: Mode
    open_lifecycles: int
    notional: Decimal
    last_batch: Batch | None
    loop: LoopState | None
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLifecycle:
    """What the ledger says is open. Prices are the average of the ENTRY rows, None if unknown."""

    profile_id: str
    symbol: str
    trade_id: str
    direction: PositionSide | None
    entry_qty: Decimal
    exit_qty: Decimal
    open_qty: Decimal
    entry_price: Decimal | None
    notional: Decimal | None
    first_entry_at: datetime | None
    defects: tuple[str, ...]
    last: LastDecision | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LifecycleDetail:
    """A lifecycle from ledger and record; `open` and `rows` only while it is open."""

    open: OpenLifecycle | None
    rows: tuple[LedgerRow, ...]
    history: tuple[AuditRow, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """Why a lifecycle got its latest decision."""

    trade_id: str
    sentences: tuple[str, ...]
    rows: tuple[AuditRow, ...]


def open_lifecycle(
    lifecycle: Lifecycle, desk: Desk, last: LastDecision | None = None
) -> OpenLifecycle:
    """A lifecycle as it is shown. In contracts, whose size is not known here, no notional."""
    price = entry_price(lifecycle)
    has_notional = price is not None and not desk.ledger_in_contracts
    return OpenLifecycle(
        profile_id=lifecycle.key.profile_id,
        symbol=lifecycle.key.symbol,
        trade_id=lifecycle.key.trade_id,
        direction=lifecycle.direction,
        entry_qty=lifecycle.entry_qty,
        exit_qty=lifecycle.exit_qty,
        open_qty=lifecycle.open_qty,
        entry_price=price,
        notional=lifecycle.open_qty * price if price is not None and has_notional else None,
        first_entry_at=lifecycle.first_entry_at,
        defects=lifecycle.defects,
        last=last,
    )


def last_decision(row: AuditRow) -> LastDecision:
    """An audit row as a list shows it."""
    return LastDecision(**{one.name: getattr(row, one.name) for one in fields(LastDecision)})


def entry_price(lifecycle: Lifecycle) -> Decimal | None:
    """The average price of the filled ENTRY rows, to 18 digits; None where one has no price."""
    entries = [
        row
        for row in lifecycle.rows
        if rowfacts.is_filled(row) and rowfacts.action_of(row) == rowfacts.ENTRY
    ]
    parts = [(row.quantity, row.price) for row in entries]
    if not parts or not all(is_amount(q) and is_amount(p) for q, p in parts):
        return None
    whole = sum((q for q, _ in parts if q is not None), ZERO)
    paid = sum((q * p for q, p in parts if q is not None and p is not None), ZERO)
    return round(paid / whole, 18) if whole else None
