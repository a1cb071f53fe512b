"""What the loop read of open lifecycles last, and by which mark it knows that none of it has moved.

PostgreSQL writes a new version of a row for whatever changes in it, and a version has a place and
a transaction of its own. So a lifecycle whose rows are the very versions that were read is not
read again: what is kept of it is what a reading would give. Lifecycles with rows of ours are never
kept, because what is told of those comes from the record too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from unghost.adapters.postgres.schema import LedgerShape
from unghost.model import Lifecycle
from unghost.rowfacts import is_ours

Trade = tuple[str, str]
"""(profile_id, trade_id)."""

MOST_KEPT: Final = 10_000
"""Trades that a process keeps, at some kB each; those that came first go first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The open lifecycles of a trade_id, and the versions of its rows."""

    mark: str
    lifecycles: tuple[Lifecycle, ...]


class KnownLifecycles:
    """Safe to share between threads; it is for one ledger, and forgets all when that is altered."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._shape: LedgerShape | None = None
        self._kept: dict[Trade, Kept] = {}

    def of(self, shape: LedgerShape, trades: Collection[Trade]) -> Mapping[Trade, Kept]:
        """What is kept of these."""
        with self._lock:
            if shape != self._shape:
                self._shape = shape
                self._kept.clear()
            return {trade: self._kept[trade] for trade in trades if trade in self._kept}

    def keep(self, shape: LedgerShape, read: Mapping[Trade, Kept]) -> None:
        """Keep what was read anew, by the shape that it was read by; what is closed is let go."""
        with self._lock:
            if shape != self._shape:
                return
            for trade, kept in read.items():
                self._kept.pop(trade, None)
                if kept.lifecycles and not _holds_ours(kept):
                    self._kept[trade] = kept
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]


def _holds_ours(kept: Kept) -> bool:
    return any(is_ours(row) for one in kept.lifecycles for row in one.rows)
