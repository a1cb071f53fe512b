"""Stage 1: which lifecycles does the ledger say are open, and which of them can be judged at all.

Bad data is a value here: a lifecycle that cannot be judged carries its defects as sentences, and
the others go on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from unghost import rowfacts
from unghost.model import LedgerRow, Lifecycle, PositionSide
from unghost.ports import LedgerReader


def detect(
    ledger: LedgerReader, profile_ids: Sequence[str], *, symbols: Collection[str] | None = None
) -> tuple[Lifecycle, ...]:
    """Return the open lifecycles of the profiles, judged, in the order of their keys."""
    found = ledger.open_lifecycles(profile_ids, symbols=symbols)
    return tuple(sorted((judge(lifecycle) for lifecycle in found), key=lambda one: one.key))


def judge(lifecycle: Lifecycle) -> Lifecycle:
    """Fill in direction, time of the first ENTRY, and defects."""
    entries = [row for row in own_rows(lifecycle) if _is_entry(row)]
    times = [row.at for row in entries if row.at is not None]
    return replace(
        lifecycle,
        direction=_direction(entries),
        first_entry_at=min(times, default=None),
        defects=tuple(dict.fromkeys(_defects(lifecycle, entries))),
    )


def own_rows(lifecycle: Lifecycle) -> tuple[LedgerRow, ...]:
    """The rows of the lifecycle proper: `rows` also holds other symbols of the same trade_id."""
    return tuple(row for row in lifecycle.rows if row.symbol == lifecycle.key.symbol)


def _is_entry(row: LedgerRow) -> bool:
    return rowfacts.is_counted(row) and row.action == rowfacts.ENTRY


def _direction(entries: Sequence[LedgerRow]) -> PositionSide | None:
    stated = {side for row in entries for side in rowfacts.stated_directions(row)}
    return stated.pop() if len(stated) == 1 else None


def _defects(lifecycle: Lifecycle, entries: Sequence[LedgerRow]) -> Iterator[str]:
    for row in own_rows(lifecycle):
        yield from rowfacts.defects(row)
    for row in lifecycle.rows:
        if row.symbol != lifecycle.key.symbol:
            yield from rowfacts.misspelt_symbol(row, lifecycle.key.symbol)
    stated = {side for row in entries for side in rowfacts.stated_directions(row)}
    if len(stated) > 1:
        yield "its ENTRY rows speak for both sides"
    if not lifecycle.open_qty.is_finite():
        yield f"its open quantity is {lifecycle.open_qty}"
