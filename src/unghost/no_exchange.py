"""What stands in the place of an exchange where a command needs none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NoReturn

from unghost.model import CallLog, FillReading, KeyMark, Market, PositionReading, Resolution, Window


class NoExchange:
    """Has made no calls. A question to it is a mistake of ours, and raises RuntimeError."""

    def resolve(self, symbols: Collection[str]) -> Resolution:
        """Refuse."""
        _not_connected(symbols)

    def positions(self, markets: Collection[Market]) -> Mapping[str, PositionReading]:
        """Refuse."""
        _not_connected(markets)

    def fills(self, windows: Mapping[Market, Window]) -> Mapping[str, FillReading]:
        """Refuse."""
        _not_connected(windows)

    def client_order_ids(self, windows: Mapping[Market, Window]) -> Mapping[str, Mapping[str, str]]:
        """Refuse."""
        _not_connected(windows)

    @property
    def key(self) -> KeyMark:
        """Refuse."""
        _not_connected(())

    def account_id(self) -> str | None:
        """Refuse."""
        _not_connected(())

    def calls(self) -> CallLog:
        """None were made."""
        return CallLog()

    def close(self) -> None:
        """Nothing is open."""


def _not_connected(_question: object) -> NoReturn:
    raise RuntimeError("a desk that was opened without an exchange was asked about it")
