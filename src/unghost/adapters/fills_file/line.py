"""One line of an export: its cells as texts, amounts, sides and times. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final

from unghost.errors import UsageError, quoted
from unghost.model import Side, is_amount

COST_TOLERANCE: Final = Decimal("0.01")
"""Costs come rounded; a wrong unit is off by far more than one part in a hundred."""
FULL_YEAR: Final = 4
MAX_MAGNITUDE: Final = 30
"""Powers of ten, as for what an exchange answers."""
LONGEST_TEXT: Final = 200
"""Characters of a symbol or an id: no exchange writes longer ones."""

_AMOUNT = re.compile(
    r"\s*([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([A-Za-z][A-Za-z0-9]*)?\s*", re.ASCII
)
_TIME = re.compile(
    r"(\d{4}|\d{2})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?", re.ASCII
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line while it is read. Every method raises UsageError that names it."""

    file_name: str
    number: int
    cells: Mapping[str, str]
    zone: tzinfo

    def wrong(self, why: str) -> UsageError:
        """The refusal that names the line."""
        return UsageError(f"{self.file_name}, line {self.number}: {why}; nothing was kept.")

    def quoted(self, column: str) -> str:
        """What stands in the cell, for a sentence."""
        return quoted(self.cells[column])

    def text(self, column: str) -> str:
        """The cell, which must hold something."""
        value = self.cells[column]
        if value in {"", "--"}:
            raise self.wrong(f"{column} is empty")
        if len(value) > LONGEST_TEXT:
            raise self.wrong(f"{column} {self.quoted(column)} is longer than {LONGEST_TEXT}")
        return value

    def optional(self, column: str) -> str | None:
        """The cell, None where it says that there is nothing."""
        empty = self.cells.get(column, "") in {"", "--", "0"}
        return None if empty else self.text(column)

    def amount(self, column: str) -> tuple[Decimal, str | None]:
        """A number, and the asset that may be glued to it (`0.0073USDT`)."""
        found = _AMOUNT.fullmatch(self.text(column))
        if found is None:
            raise self.wrong(f"{column} {self.quoted(column)} is not a number")
        try:
            number = Decimal(found[1])
        except InvalidOperation:
            raise self.wrong(f"{column} {self.quoted(column)} is not a number") from None
        if not is_amount(number) or abs(number.adjusted()) > MAX_MAGNITUDE:
            raise self.wrong(f"{column} {self.quoted(column)} is beyond what is traded")
        return number, found[2]

    def bare(self, column: str, symbol: str = "") -> Decimal:
        """Nothing may be glued to it but an asset of the symbol: `60K` may be 60 000."""
        number, asset = self.amount(column)
        market = symbol.upper()
        if asset is not None and not (market.startswith(asset) or market.endswith(asset)):
            raise self.wrong(
                f"{column} {self.quoted(column)} ends in what is no asset of its symbol"
            )
        return number

    def above_zero(self, column: str, symbol: str = "") -> Decimal:
        """A quantity or a price; what may be glued to it as in `bare`."""
        number = self.bare(column, symbol)
        if number <= 0:
            raise self.wrong(f"{column} {number} is not above zero")
        return number

    def side(self, column: str) -> Side:
        """Which side traded."""
        word = self.text(column).lower()
        if word not in {"buy", "sell"}:
            raise self.wrong(f"{column} {self.quoted(column)} is neither BUY nor SELL")
        return Side(word)

    def time(self, column: str) -> datetime:
        """In UTC. A local time that came twice, or never, when clocks were changed is refused."""
        found = _TIME.fullmatch(self.text(column))
        if found is None:
            raise self.wrong(f"{column} {self.quoted(column)} is not a time")
        year, month, day, hour, minute, second, fraction = found.groups(default="0")
        century = "" if len(year) == FULL_YEAR else "20"
        written = f"{century}{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction[:6]:0<6}"
        try:
            local = datetime.fromisoformat(written).replace(tzinfo=self.zone)
            is_ambiguous = local.utcoffset() != local.replace(fold=1).utcoffset()
            at = local.astimezone(UTC)
        except (ValueError, OverflowError):  # the first and the last day end elsewhere in UTC
            raise self.wrong(f"{column} {self.quoted(column)} is not a time") from None
        if is_ambiguous:
            raise self.wrong(f"{column} {self.quoted(column)} is ambiguous in its zone")
        return at

    def check_cost(self, column: str, expected: Decimal, symbol: str = "") -> None:
        """Quantity, price and amount must agree: else the unit is in doubt."""
        cost = abs(self.bare(column, symbol))
        last_digit = Decimal((0, (1,), int(cost.as_tuple().exponent)))
        if abs(cost - expected) > expected * COST_TOLERANCE + last_digit:
            raise self.wrong(f"{column} {cost} is not price times quantity {expected}")

    def digest(self) -> str:
        """SHA-256 over all cells, so that a line that changed is told."""
        text = "\x1f".join(f"{name}={value}" for name, value in sorted(self.cells.items()))
        return hashlib.sha256(text.encode()).hexdigest()
