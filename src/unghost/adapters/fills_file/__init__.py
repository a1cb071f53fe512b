"""Fills out of the CSV exports of Binance USD-M, Bybit, OKX and Kraken. Pure: bytes in, rows out.

The kind of a file is told by its header. A file is taken whole or not at all: the first line that
cannot be read exactly is named, and nothing is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from unghost.adapters.fills_file.line import Line
from unghost.adapters.fills_file.table import Table, lines_of, table_of
from unghost.adapters.fills_file.zones import are_the_same, zone_of
from unghost.errors import UsageError
from unghost.filefills import FileFill

__all__ = ["ParsedFile", "parse", "zone_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedFile:
    """What a file holds. `zone` is the one its times were read in; `left_out` counts by why."""

    kind: str
    zone: str
    sha256: str
    fills: tuple[FileFill, ...]
    left_out: Mapping[str, int]

    @property
    def without_ids(self) -> int:
        """Rows that are shown and never written from."""
        return sum(not one.has_ids for one in self.fills)


def parse(data: bytes, *, file_name: str, zone: str | None = None) -> ParsedFile:
    """Every row of the file, in its order. Times are aware UTC.

    `zone` is a name (`Europe/Berlin`) or `UTC+3`, needed where the file does not tell its own.
    UsageError names the file and the line.
    """
    table = table_of(lines_of(data, file_name), file_name)
    at, zone_name = _zone(table, zone)
    left_out: dict[str, int] = {}
    fills: list[FileFill] = []
    for number, cells in table.rows:
        line = Line(file_name=file_name, number=number, cells=cells, zone=at)
        found = table.kind.read(line)
        if isinstance(found, str):
            left_out[found] = left_out.get(found, 0) + 1
        else:
            fills.append(found)
    _refuse_twins(fills, file_name)
    return ParsedFile(
        kind=table.kind.name,
        zone=zone_name,
        sha256=hashlib.sha256(data).hexdigest(),
        fills=tuple(fills),
        left_out=left_out,
    )


def _refuse_twins(fills: Sequence[FileFill], file_name: str) -> None:
    """One execution in two lines would count twice; a self-trade has two sides."""
    seen: dict[tuple[object, ...], int] = {}
    for one in fills:
        key = (one.symbol, one.side, one.exchange_order_id, one.fill_id)
        if one.has_ids and seen.setdefault(key, one.line) != one.line:
            raise UsageError(
                f"{file_name}, line {one.line}: fill {one.fill_id} of order"
                f" {one.exchange_order_id} stands in line {seen[key]} already; nothing was kept."
            )


def _zone(table: Table, asked: str | None) -> tuple[tzinfo, str]:
    """The zone of the times: as the file tells, else as was said. They must not contradict."""
    told, file_name = table.kind.zone(table.heading), table.heading.file_name
    if told is None and asked is None:
        raise UsageError(
            f"{file_name} does not tell the time zone of its times: say it with --timezone, as in"
            " --timezone UTC+3 or --timezone Europe/Berlin."
        )
    if told is not None and asked is not None and not are_the_same(told, asked):
        raise UsageError(f"{file_name} tells times in {told}, and --timezone says {asked}.")
    name = told or asked or ""
    return zone_of(name), name
