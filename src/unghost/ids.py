"""The deterministic name of a backfill row (DESIGN section 5, checklist section 3).

Nothing here knows the time of the run: two runs a day apart give the same name to the same close.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from functools import lru_cache

BACKFILL_PREFIX = "BFILL-"
DUST_ORDER = "DUST"
"""Stands for the exchange order in the id of a dust row, which no exchange order covers."""

__all__ = [
    "BACKFILL_PREFIX",
    "DUST_ORDER",
    "backfill_order_id",
    "is_backfill_id",
    "is_dust_row",
    "iso",
    "iso_milliseconds",
    "order_id_at",
    "stamp_of",
    "to_milliseconds",
]


def to_milliseconds(moment: datetime) -> datetime:
    """Return an aware `moment` in UTC, cut (not rounded) to whole milliseconds.

    Raises ValueError for a naive time: a naive time has put windows into the future before
    (FAILURES 12).
    """
    if moment.tzinfo is None:
        message = f"naive time {moment.isoformat()}: times are aware UTC"
        raise ValueError(message)
    utc = moment.astimezone(UTC)
    beyond = utc.microsecond % 1000
    return utc.replace(microsecond=utc.microsecond - beyond) if beyond else utc


@lru_cache(maxsize=64)
def _day(ordinal: int) -> str:
    """`2026-02-01`: the part of a time that is the same for many."""
    return date.fromordinal(ordinal).isoformat()


# Told once: putting a time together from these takes half as long as `isoformat`.
_60 = tuple(f"{number:02d}" for number in range(60))
_1000 = tuple(f"{number:03d}" for number in range(1000))


def iso(moment: datetime) -> str:
    """Return what `moment.isoformat()` does, in a third of the time where it is UTC."""
    if moment.tzinfo is not UTC:
        return moment.isoformat()
    day, beyond = _day(moment.toordinal()), moment.microsecond
    tail = f".{beyond:06d}+00:00" if beyond else "+00:00"
    return f"{day}T{_60[moment.hour]}:{_60[moment.minute]}:{_60[moment.second]}{tail}"


def iso_milliseconds(moment: datetime) -> str:
    """Return ISO 8601 in UTC with exactly three decimals: `2026-02-01T12:34:56.789Z`."""
    return stamp_of(to_milliseconds(moment))


def stamp_of(moment: datetime) -> str:
    """The same of a time that is in UTC and in whole milliseconds already."""
    day, beyond = _day(moment.toordinal()), _1000[moment.microsecond // 1000]
    return f"{day}T{_60[moment.hour]}:{_60[moment.minute]}:{_60[moment.second]}.{beyond}Z"


def backfill_order_id(
    *, profile_id: str, trade_id: str, exchange_order_id: str, filled_at: datetime
) -> str:
    """Return `BFILL-<md5(profile_id:trade_id:exchange_order_id:filled_at)>`."""
    return order_id_at(profile_id, trade_id, exchange_order_id, iso_milliseconds(filled_at))


def order_id_at(profile_id: str, trade_id: str, exchange_order_id: str, filled_at: str) -> str:
    """The same where the time has been told already, as `iso_milliseconds` tells it."""
    text = f"{profile_id}:{trade_id}:{exchange_order_id}:{filled_at}"
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return f"{BACKFILL_PREFIX}{digest}"


def is_backfill_id(order_id: str) -> bool:
    """Tell whether a ledger row is one of ours."""
    return order_id.startswith(BACKFILL_PREFIX)


def is_dust_row(
    *, order_id: str, profile_id: str, trade_id: str | None, filled_at: datetime | None
) -> bool:
    """Tell a dust row of ours from its id alone, so that a lost audit row changes nothing.

    A dust row stands for no fill, so it must never be netted against one.
    """
    if trade_id is None or filled_at is None or not is_backfill_id(order_id):
        return False
    expected = backfill_order_id(
        profile_id=profile_id,
        trade_id=trade_id,
        exchange_order_id=DUST_ORDER,
        filled_at=filled_at,
    )
    return order_id == expected
