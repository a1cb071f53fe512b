"""Reads one leg of one market, for the page of a lifecycle: a few calls, whatever else is open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from unghost import selection
from unghost.desk import Desk
from unghost.model import (
    FillReading,
    Flatness,
    LedgerRow,
    LifecycleKey,
    Market,
    PositionReading,
    Window,
)

LONGEST_LOOK = timedelta(days=30)
"""Fills further back than this are not read for a page."""

AHEAD = timedelta(seconds=10)
"""The exchange's clock may run ahead of ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LegReading:
    """One market now. `rows` are the ledger's filled rows in the window, in base units.

    `trouble` says why there is no reading; position and fills are None then.
    """

    market: Market | None
    unit: Decimal
    start_at: datetime
    end_at: datetime
    rows: tuple[LedgerRow, ...] = ()
    position: PositionReading | None = None
    fills: FillReading | None = None
    trouble: str = ""


def read_leg(desk: Desk, key: LifecycleKey, since: datetime | None) -> LegReading:
    """Ask the exchange for position and fills since shortly before `since`, and the ledger too.

    The exchange never raises for a failed question; raises DatabaseError where the ledger fails.
    """
    now = desk.clock()
    start_at = _start(desk, since, now)
    market = desk.exchange.resolve((key.symbol,)).get(key.symbol)
    if market is None:
        return LegReading(
            market=None,
            unit=Decimal(1),
            start_at=start_at,
            end_at=now,
            trouble=f"{key.symbol} could not be resolved to a market of the exchange",
        )
    window = Window(start_at=start_at, end_at=now + AHEAD)
    position = desk.exchange.positions((market,)).get(market.unified)
    fills = desk.exchange.fills({market: window}).get(market.unified)
    unit = market.contract_size if desk.ledger_in_contracts else Decimal(1)
    return LegReading(
        market=market,
        unit=unit,
        start_at=start_at,
        end_at=now,
        rows=_rows(desk, market, start_at, fills, unit),
        position=position,
        fills=fills,
        trouble=_trouble(position, fills),
    )


def _start(desk: Desk, since: datetime | None, now: datetime) -> datetime:
    """A little before the lifecycle began, so that its beginning is seen."""
    began = since or now - timedelta(hours=desk.rules.lookback_hours)
    began = min(max(began, now - LONGEST_LOOK), now - timedelta(minutes=1))
    return began - max((now - began) / 20, timedelta(seconds=30))


def _rows(
    desk: Desk, market: Market, start_at: datetime, fills: FillReading | None, unit: Decimal
) -> tuple[LedgerRow, ...]:
    rows = desk.ledger.account_rows(
        desk.profile.account_profiles,
        symbols=selection.spellings((market,)),
        start_at=start_at,
        exchange_ids=selection.exchange_ids(fills.fills) if fills else set(),
    )
    return tuple(
        replace(row, quantity=None if row.quantity is None else row.quantity * unit) for row in rows
    )


def _trouble(position: PositionReading | None, fills: FillReading | None) -> str:
    if position is None or position.flatness is Flatness.UNKNOWN:
        return position.detail if position else "the exchange told no position"
    if fills is None or not fills.complete:
        return fills.detail if fills else "the exchange told no fills"
    return ""
