"""Time zones as people and exports name them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from unghost.errors import UsageError, quoted

_OFFSET = re.compile(r"(?:UTC|GMT)\s*([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)
_UTC = re.compile(r"(?:UTC|GMT|Z)", re.IGNORECASE)


def zone_of(name: str) -> tzinfo:
    """A zone by `UTC`, `UTC+3`, `UTC+05:30` or its name. UsageError for what is none."""
    if _UTC.fullmatch(name.strip()):
        return UTC
    found = _OFFSET.fullmatch(name.strip())
    if found is not None:
        return timezone(_delta(found))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        why = f"{quoted(name)} is no time zone: name one as UTC+3 or Europe/Berlin."
        raise UsageError(why) from None


def offset_in(text: str) -> str | None:
    """The first offset from UTC that a text names (`UTC+3`), as it stands there."""
    found = _OFFSET.search(text)
    return None if found is None else found.group()


def are_the_same(one: str, other: str) -> bool:
    """Whether two names are of one zone: the same name, or one fixed distance from UTC."""
    return _offset(one) == _offset(other)


def _offset(name: str) -> tzinfo | timedelta | None:
    zone = zone_of(name)
    return zone if isinstance(zone, ZoneInfo) else zone.utcoffset(None)


def _delta(found: re.Match[str]) -> timedelta:
    sign, hours, minutes = found.groups(default="0")
    size = timedelta(hours=int(hours), minutes=int(minutes))
    if size > timedelta(hours=14):
        raise UsageError(f"{found.group()!r} is no time zone: no place is so far from UTC.")
    return -size if sign == "-" else size
