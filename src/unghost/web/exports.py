"""The record as files: CSV and JSON lines, streamed page by page."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, Final, Literal, Protocol

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from unghost.documents import as_json

PAGE_ROWS: Final = 1000
MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {"text/csv": {}, "application/x-ndjson": {}},
    }
}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

Form = Annotated[Literal["csv", "jsonl"], Query(alias="format", description="csv or jsonl")]


class Search(Protocol):
    """A paged search, newest first."""

    def __call__(
        self, wanted: Mapping[str, str], *, before: int | None, limit: int
    ) -> Sequence[Any]:
        """One page."""
        ...


def exported(  # noqa: PLR0917 - each is named where it is called
    name: str, form: str, noun: type, key: str, search: Search, wanted: Mapping[str, str]
) -> Response:
    """Everything that is found, as a download."""
    columns = [field.name for field in fields(noun)]
    rows = _rows(search, wanted, key)
    lines = _csv(columns, rows) if form == "csv" else _json_lines(rows)
    headers = {
        "Content-Disposition": f'attachment; filename="unghost-{name}.{form}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(lines, media_type=MEDIA_TYPES[form], headers=headers)


def _rows(search: Search, wanted: Mapping[str, str], key: str) -> Iterator[dict[str, Any]]:
    before: int | None = None
    while page := search(wanted, before=before, limit=PAGE_ROWS):
        for row in page:
            document = as_json(row)
            if isinstance(document, dict):
                yield document
        before = getattr(page[-1], key)
        if len(page) < PAGE_ROWS:
            return


def _json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _csv(columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield _line(columns)
    for row in rows:
        yield _line([_cell(row.get(column)) for column in columns])


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: object) -> str:
    """Text that a spreadsheet would take for a formula is quoted; numbers are not."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    is_number = _NUMBER.fullmatch(value) is not None
    return f"'{value}" if value.startswith(_FORMULA) and not is_number else value
