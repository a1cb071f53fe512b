"""Numbers that rise with time, in whatever order a test makes things up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

ID_EPOCH_MS: Final = 1_500_000_000_000
IDS_PER_MS: Final = 10_000
# The kinds of id live far from each other, so that taking one for another shows.
FIRST_ID: Final[Mapping[str, int]] = {
    "fill": 0,
    "order": 5_000_000_000_000_000,
    "record": 600_000_000_000_000_000,
}


class Ids:
    """The ids given out: so many of each kind in each millisecond."""

    def __init__(self) -> None:
        self._in_ms: Counter[tuple[str, int]] = Counter()

    def next(self, kind: str, at: int) -> int:
        """The next id of a moment; ValueError where a millisecond has no more."""
        bucket = _bucket(at)
        used = self._in_ms[kind, bucket]
        if used >= IDS_PER_MS:
            raise ValueError(f"more than {IDS_PER_MS} {kind} ids in one millisecond")
        self._in_ms[kind, bucket] += 1
        return FIRST_ID[kind] + bucket * IDS_PER_MS + used + 1

    def reserve(self, kind: str, at: int, number: int) -> None:
        """Never give out an id again that a loaded world holds."""
        used = number - FIRST_ID[kind] - _bucket(at) * IDS_PER_MS
        if 0 < used <= IDS_PER_MS:
            self._in_ms[kind, _bucket(at)] = max(used, self._in_ms[kind, _bucket(at)])


def _bucket(at: int) -> int:
    return max(at - ID_EPOCH_MS, 0)
