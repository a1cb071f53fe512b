"""The table in an export: bytes become lines, and lines the rows behind a known header. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from unghost.adapters.fills_file.exports import KINDS, Heading, Kind
from unghost.errors import UsageError, quoted

HEADER_WITHIN: Final = 5
"""Lines within which the header must be: before it may stand a preamble."""
BOM: Final = "\ufeff"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A known export. `rows`: the number of each line, and its cells by column."""

    kind: Kind
    heading: Heading
    rows: Sequence[tuple[int, Mapping[str, str]]]


def lines_of(data: bytes, file_name: str) -> list[str]:
    """The lines of the file, with their ends. UsageError for what is no text in UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file_name} is not a text in UTF-8: export it as CSV.") from None
    if "\0" in text:
        raise UsageError(f"{file_name} holds a character NUL: export it anew as CSV.")
    return text.replace(BOM, "").splitlines(keepends=True)


def table_of(lines: Sequence[str], file_name: str) -> Table:
    """The table behind the first line that is the header of a known kind."""
    for place, text in enumerate(lines[:HEADER_WITHIN]):
        header = _cells(text)
        for kind in KINDS:
            if kind.columns <= set(header):
                _refuse_twin_columns(header, file_name)
                rows = tuple(_rows(lines, place, header, file_name))
                heading = Heading(preamble=lines[:place], columns=header, file_name=file_name)
                return Table(kind=kind, heading=heading, rows=rows)
    raise UsageError(
        f"{file_name} has no header that is known within its first {HEADER_WITHIN} lines. Known are"
        f" the trade histories of {', '.join(kind.title for kind in KINDS)}."
    )


def _cells(text: str) -> list[str]:
    """The cells of a line that may be the header; none of what is too long to be one."""
    try:
        return [cell.strip() for cell in next(csv.reader([text]), [])]
    except csv.Error:
        return []


def _refuse_twin_columns(header: Sequence[str], file_name: str) -> None:
    """Of two columns with one name nobody knows which is meant."""
    twins = sorted({name for name in header if name and header.count(name) > 1})
    if twins:
        raise UsageError(f"{file_name} has two columns {quoted(twins[0])}: export it anew.")


def _rows(
    lines: Sequence[str], place: int, header: Sequence[str], file_name: str
) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(io.StringIO("".join(lines[place + 1 :])), strict=True)
    try:
        for cells in reader:
            number = place + 1 + reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UsageError(
                    f"{file_name}, line {number}: {len(cells)} columns where the header has"
                    f" {len(header)}; nothing was kept."
                )
            values = (cell.strip() for cell in cells)
            yield number, dict(zip(header, values, strict=True))
    except csv.Error as error:
        number = place + 1 + reader.line_num
        raise UsageError(f"{file_name}, line {number}: {error}; nothing was kept.") from None
