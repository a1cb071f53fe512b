"""Numbers and times as people read them: aligned at the decimal point, and in UTC. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from markupsafe import Markup, escape

NOTHING: Final = "—"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def plain(value: Decimal | None) -> str:
    """Digits without an exponent and without zeros that say nothing."""
    if value is None:
        return NOTHING
    if not value.is_finite():
        return str(value)
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(values: Iterable[Decimal | None]) -> int:
    """How many decimal places the longest of a column has."""
    return max((len(plain(value).partition(".")[2]) for value in values), default=0)


def figure(value: Decimal | None, room: int = 0) -> Markup:
    """A number in a column whose longest has `room` decimal places.

    What is missing is there unseen, so that the points stand in line in any font; it is neither
    read aloud nor copied.
    """
    whole, point, fraction = plain(value).partition(".")
    missing = ("" if point or not room else ".") + "0" * (room - len(fraction))
    seen = Markup("{}{}{}").format(whole, point, fraction)
    return seen + Markup('<span class="pad" aria-hidden="true">{}</span>').format(missing)


def money(value: Decimal | None) -> str:
    """An amount with two decimals, its thousands parted by commas."""
    return NOTHING if value is None else f"{value:,.2f}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def moment(at: datetime | None) -> Markup:
    """A time to the second, with the exact one for machines."""
    if at is None:
        return escape(NOTHING)
    return Markup('<time datetime="{}" class="nowrap">{:%Y-%m-%d %H:%M:%S}</time>').format(
        at.isoformat(), at
    )


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    if at is None:
        return NOTHING
    return f"{lasting((now - at) // timedelta(seconds=1))} ago"


def lasting(seconds: int) -> str:
    """A span in the largest unit that fits: `42 s`, `3 min`, `5 h`, `2 days`."""
    seconds = max(0, seconds)
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR} h"
    return counted(seconds // _DAY, "day")


def took(started_at: datetime, ended_at: datetime | None) -> str:
    """How long something took, to a tenth of a second below a minute."""
    if ended_at is None:
        return NOTHING
    span = ended_at - started_at
    if span < timedelta(minutes=1):
        tenths = span // timedelta(milliseconds=100)
        return f"{tenths // 10}.{tenths % 10} s"
    return lasting(span // timedelta(seconds=1))
