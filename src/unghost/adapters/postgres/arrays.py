"""Arrays as PostgreSQL writes them, for parameters of many thousand elements.

The driver's own way looks at each element by itself, which takes longer than all that the server
does with it. A parameter made here is text, and its place in the statement says `::text[]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

__all__ = ["numbers", "texts", "times"]


def texts(values: Iterable[str | None]) -> str:
    """An array of texts, whatever is in them; None becomes NULL."""
    found = list(values)
    present = [value for value in found if value is not None]
    quoted = '","'.join(present)
    is_plain = "\\" not in quoted and quoted.count('"') == 2 * (len(present) - 1)
    if present and is_plain and len(present) == len(found):
        return f'{{"{quoted}"}}'
    return f"{{{','.join(map(_text, found))}}}"


def _text(value: str | None) -> str:
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def numbers(values: Sequence[Decimal | int | None]) -> str:
    """An array of numbers: each as exact as it is."""
    return f"{{{','.join('NULL' if value is None else str(value) for value in values)}}}"


def times(values: Iterable[datetime]) -> str:
    """An array of aware times."""
    return f"{{{','.join(value.isoformat() for value in values)}}}"
