"""Lists of markets kept between runs, one file per venue, not longer than an hour.

A list is the longest answer of most exchanges, and says the same all day. What it says decides what
a contract is worth, so a file is believed only while it is young, whole, of the same version of
CCXT, and nobody else's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from unghost.adapters.exchange.markets import MAX_AGE, Listing
from unghost.ports import Clock

NOBODY_ELSE: Final = 0o700
WRITABLE_BY_OTHERS: Final = 0o022


class FileMarkets:
    """Keeps lists as files in a folder; `MarketsCache`. What cannot be kept is not kept."""

    def __init__(
        self,
        folder: Path,
        *,
        max_age: timedelta = MAX_AGE,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._max_age = max_age
        self._clock = clock

    def load(self, key: str) -> Listing | None:
        """The list kept under `key`; None where there is none, or none that may be believed."""
        if not self._is_ours():
            return None
        with suppress(OSError, ValueError, TypeError):
            # Fractions stay text, as they came from the exchange.
            kept = json.loads(self._path(key).read_bytes(), parse_float=str)
            if isinstance(kept, Mapping) and self._is_young(kept):
                return _listing(kept, key)
        return None

    def store(self, key: str, listing: Listing) -> None:
        """Keep a list that was just read."""
        kept = {**_head(key), "read_at": self._clock().isoformat(), "listing": listing}
        with suppress(OSError, ValueError, TypeError):
            text = json.dumps(kept, allow_nan=False)
            self._folder.mkdir(mode=NOBODY_ELSE, parents=True, exist_ok=True)
            if self._is_ours():
                self._write(self._path(key), text)

    def _write(self, path: Path, text: str) -> None:
        """Beside, then moved: a reader finds the old file or the new one, never half of one."""
        with NamedTemporaryFile(
            "w", dir=self._folder, encoding="utf-8", suffix=".draft", delete=False
        ) as draft:
            try:
                draft.write(text)
                draft.flush()
                Path(draft.name).replace(path)
            except OSError:
                Path(draft.name).unlink(missing_ok=True)
                raise

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def _is_ours(self) -> bool:
        """Whether nobody else can have written what lies in the folder."""
        try:
            told = self._folder.stat()
        except OSError:
            return False
        return told.st_uid == os.geteuid() and not told.st_mode & WRITABLE_BY_OTHERS

    def _is_young(self, kept: Mapping[str, Any]) -> bool:
        age = self._clock() - datetime.fromisoformat(kept.get("read_at") or "")
        return timedelta(0) <= age < self._max_age


def _head(key: str) -> Mapping[str, str]:
    """What a file must say of itself to be the one that is looked for."""
    return {"key": key, "ccxt": version("ccxt")}


def _listing(kept: Mapping[str, Any], key: str) -> Listing | None:
    told = kept.get("listing")
    if any(kept.get(name) != value for name, value in _head(key).items()):
        return None
    if not isinstance(told, Mapping) or not told:
        return None
    return told if all(isinstance(market, Mapping) for market in told.values()) else None
