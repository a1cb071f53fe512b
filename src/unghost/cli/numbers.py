"""Numbers as people read them: plain digits, aligned at the decimal point."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

NOTHING = "-"


def plain(value: Decimal | None) -> str:
    """Digits without an exponent and without zeros that say nothing."""
    if value is None:
        return NOTHING
    if not value.is_finite():
        return str(value)
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def aligned(values: Sequence[Decimal | None], *, width: int = 0) -> list[str]:
    """The same for a column: padded on both sides so that the decimal points stand in line.

    All are equally long, and at least `width` characters.
    """
    texts = [plain(value) for value in values]
    widest = max((_places(text) for text in texts), default=0)
    padded = [text + " " * (widest - _places(text)) for text in texts]
    width = max([width, *map(len, padded)])
    return [text.rjust(width) for text in padded]


def _places(text: str) -> int:
    """Characters from the decimal point on, the point included."""
    _, point, places = text.partition(".")
    return len(point) + len(places)


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
