"""The audit and the events as files: CSV for spreadsheets, JSON lines for programs, streamed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from unghost.model import AuditRow, Event

ROWS_AT_ONCE: Final = 1000
MEDIA: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
}

Page = Callable[[int | None], Sequence[Any]]
"""Rows newest first, from before an id."""


def exported(kind: type[AuditRow | Event], form: str, read: Page) -> Iterator[str]:
    """The whole of it in pieces of text; `form` is a key of MEDIA."""
    names = [field.name for field in fields(kind)]
    if form == "csv":
        yield _csv_line(names)
    write = _csv_row if form == "csv" else _json_line
    for rows in _pages(read, names[0] if kind is AuditRow else "event_id"):
        yield "".join(write(names, asdict(row)) for row in rows)


def _pages(read: Page, identity: str) -> Iterator[Sequence[Any]]:
    before: int | None = None
    while rows := read(before):
        yield rows
        before = getattr(rows[-1], identity)


def _csv_row(names: Sequence[str], row: Mapping[str, Any]) -> str:
    return _csv_line([_cell(row[name]) for name in names])


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return str(_plain(value))


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _json_line(names: Sequence[str], row: Mapping[str, Any]) -> str:
    told = {name: row[name] for name in names}
    return json.dumps(told, default=_plain, ensure_ascii=False) + "\n"


def _plain(value: object) -> str:
    """Decimals and times as text, never as floats."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
