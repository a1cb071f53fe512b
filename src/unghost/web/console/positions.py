"""What one leg held over time, once by the ledger and once by the exchange. Pure; base units.

The ledger's line is the exposure that the bot counts: the sum of what each lifecycle has open. The
exchange's line is its position now, replayed backwards through its fills. Where the two part, there
is a ghost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from unghost import rowfacts
from unghost.flows import FillPart
from unghost.model import Flatness, LedgerRow, PositionReading, PositionSide
from unghost.web.console.charts import Point
from unghost.web.console.scales import ZERO


def ledger_points(
    rows: Iterable[LedgerRow], leg: PositionSide, start_at: datetime
) -> tuple[Point, ...]:
    """What the lifecycles of the leg have open, as booked; rows without trade_id open nothing."""
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    points = []
    for row in sorted(_placed(rows, leg), key=_when):
        amount = rowfacts.usable_quantity(row) or ZERO
        signed = amount if rowfacts.action_of(row) == rowfacts.ENTRY else -amount
        held[row.profile_id, row.trade_id or ""] += signed
        points.append(Point(at=_when(row), value=_counted(held)))
    return _from(start_at, points, ZERO)


def _placed(rows: Iterable[LedgerRow], leg: PositionSide) -> list[LedgerRow]:
    return [
        row
        for row in rows
        if row.trade_id is not None
        and row.at is not None
        and rowfacts.is_counted(row)
        and rowfacts.stated_direction(row) in {leg, None}
    ]


def _when(row: LedgerRow) -> datetime:
    if row.at is None:
        raise ValueError(f"row {row.order_id} has no time")
    return row.at


def _counted(held: Mapping[tuple[str, str], Decimal]) -> Decimal:
    """A lifecycle that is closed by more than was opened counts as nothing, not as less."""
    return sum((max(ZERO, one) for one in held.values()), ZERO)


def exchange_points(
    parts: Sequence[FillPart], now_held: Decimal, leg: PositionSide, start_at: datetime
) -> tuple[Point, ...]:
    """The position of the leg, replayed backwards from what it is now."""
    points, held = [], now_held
    for part in reversed([one for one in parts if one.leg is leg]):
        points.append(Point(at=part.fill.filled_at, value=held))
        held += part.quantity if part.closing else -part.quantity
    return _from(start_at, points[::-1], held)


def _from(start_at: datetime, points: Sequence[Point], before: Decimal) -> tuple[Point, ...]:
    """The points from `start_at` on, beginning with what was held there."""
    earlier = [one.value for one in points if one.at <= start_at]
    begin = Point(at=start_at, value=earlier[-1] if earlier else before)
    return (begin, *(one for one in points if one.at > start_at))


def held_now(position: PositionReading, leg: PositionSide) -> Decimal | None:
    """The size of the leg by a reading, None where the reading proves nothing."""
    if position.flatness is Flatness.UNKNOWN:
        return None
    return sum((_share(one.position_side, one.quantity, leg) for one in position.legs), ZERO)


def _share(side: PositionSide | None, quantity: Decimal, leg: PositionSide) -> Decimal:
    if side is not None:
        return abs(quantity) if side is leg else ZERO
    return max(ZERO, quantity if leg is PositionSide.LONG else -quantity)
