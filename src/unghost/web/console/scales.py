"""Where a value or a time stands on an axis, and which of them are written beside it. Pure.

Coordinates are `Decimal` in the units of the drawing; nothing here knows what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)
_NICE: Final = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))
_TENTH: Final = Decimal("0.1")
_SPANS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        *(1, 5, 15, 30),
        *(60, 300, 900, 1800),
        *(3600, 10800, 21600, 43200),
        *(86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000),
    )
)
"""Distances between two times on an axis that people count in."""

_DAY: Final = timedelta(days=1)
_EPOCH_MONDAY: Final = datetime(2001, 1, 1)  # noqa: DTZ001 - only differences to it are used


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A straight line from `low`..`high` to `start`..`end`; `low` must differ from `high`."""

    low: Decimal
    high: Decimal
    start: Decimal
    end: Decimal

    def at(self, value: Decimal) -> Decimal:
        """The coordinate of a value, to a tenth."""
        share = (value - self.low) / (self.high - self.low)
        return (self.start + share * (self.end - self.start)).quantize(_TENTH)


def value_ticks(low: Decimal, high: Decimal, most: int = 5) -> tuple[Decimal, ...]:
    """Round values from at or below `low` to at or above `high`, at least two of them."""
    if low == high:
        high = low + (abs(low) or Decimal(1))
    step = _nice_step((high - low) / max(1, most - 1))
    first = (low / step).to_integral_value("ROUND_FLOOR")
    last = (high / step).to_integral_value("ROUND_CEILING")
    return tuple(step * number for number in range(int(first), int(last) + 1))


def whole_ticks(high: int, most: int = 5) -> tuple[Decimal, ...]:
    """The same for counts, which begin at 0 and have no halves."""
    step = max(Decimal(1), _nice_step(Decimal(max(1, high)) / max(1, most - 1)))
    last = (Decimal(max(1, high)) / step).to_integral_value("ROUND_CEILING")
    return tuple(step * number for number in range(int(last) + 1))


def _nice_step(rough: Decimal) -> Decimal:
    """The smallest of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = Decimal(1).scaleb(rough.adjusted())
    return next(power * one for one in _NICE if power * one >= rough)


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeTick:
    """A time on the axis, and how it is written there."""

    at: datetime
    label: str


def time_ticks(start_at: datetime, end_at: datetime, most: int = 6) -> tuple[TimeTick, ...]:
    """Round times between both ends, at most `most`; midnight is written as a date."""
    rough = (end_at - start_at) / max(1, most)
    span = next((one for one in _SPANS if one >= rough), _SPANS[-1])
    zero = _EPOCH_MONDAY.replace(tzinfo=start_at.tzinfo)
    number = -((zero - start_at) // span)
    times: list[datetime] = []
    while zero + span * number <= end_at and len(times) <= most:
        times.append(zero + span * number)
        number += 1
    within = [at for at in times if at >= start_at]
    return tuple(TimeTick(at=at, label=_time_label(at, span)) for at in within)


def _time_label(at: datetime, span: timedelta) -> str:
    if span >= _DAY or at.hour == at.minute == at.second == 0:
        return f"{at.day} {at:%b}"
    return f"{at:%H:%M}" if span >= timedelta(minutes=1) else f"{at:%H:%M:%S}"


def time_scale(start_at: datetime, end_at: datetime, start: int, end: int) -> Scale:
    """A scale of milliseconds since `start_at`; a span of nothing counts as one second."""
    span = max(milliseconds(start_at, end_at), 1000)
    return Scale(low=ZERO, high=Decimal(span), start=Decimal(start), end=Decimal(end))


def milliseconds(since: datetime, at: datetime) -> int:
    """Whole milliseconds between two times."""
    return (at - since) // timedelta(milliseconds=1)


def extent(values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    """The least and the greatest, zero included: a quantity is read from zero."""
    return min([ZERO, *values]), max([ZERO, *values])
