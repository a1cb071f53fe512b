"""Exports of exchanges that were opened, saved, cut, glued or written by somebody else.

A file is taken whole or refused in one sentence. What is taken stands in the file: a reading of its
cells by the csv module alone must find every text and number of a fill in one row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from tests.hostile.harness import Check, Harness, assert_for_people

from unghost.adapters.fills_file import ParsedFile, parse
from unghost.errors import UsageError
from unghost.model import MAX_AMOUNT

FOLDER: Final = Path(__file__).resolve().parents[1] / "fills_file" / "samples"
GOOD: Final = tuple(path.read_bytes() for path in sorted(FOLDER.glob("*.csv")))
CODECS: Final = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp037")
BREAKS: Final = ("\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\n\n", "")
CELLS: Final = st.one_of(
    st.sampled_from(
        (
            *("", " ", "--", "0", "-0", "-1", "NaN", "Infinity", "1e400", "1e-400", "1e9999999"),
            *(
                "0e-99999999",
                "1_000",
                "1,000",
                "1 000",
                "1.000,5",
                "٢٠٢٦",
                "\uff11\uff12",
                "0x10",
                "+5",
            ),
            *("=1+1", "@x", "\x00", '"', "'", "\u202e", "\ufeff", "\U0001f600", "x" * 140_000),
            *("9" * 5000, "0001-01-01 00:00:00", "9999-12-31 23:59:59", "0000-00-00 00:00:00"),
            *(
                "2026-02-30 10:00:00",
                "2026-01-01 24:00:00",
                "2026-01-01 23:59:60",
                "69-01-01 00:00:00",
            ),
            *("2026-01-01 10:00:00.1234567", "2026-01-01T10:00:00Z", "BUY", "sell", "cont"),
            *("Close long", "TRADE", "SETTLEMENT", "Quantity", "Time", "Fee", "id", "txid"),
        )
    ),
    st.text(max_size=12),
    st.decimals().map(str),
    st.datetimes().map(lambda at: at.isoformat(sep=" ", timespec="seconds")),
)
ZONES: Final = st.one_of(
    st.none(),
    st.sampled_from(
        (
            *("UTC", "UTC+3", "UTC+14", "UTC-14", "UTC+14:01", "UTC+03:99", "UTC+99", "Z", "GMT-5"),
            *(
                "Europe/Berlin",
                "Asia/Kathmandu",
                "../etc/passwd",
                "/etc/localtime",
                "",
                " ",
                "\x00",
            ),
            *("UTC+٣", "x" * 5000, "Europe", "."),
        )
    ),
    st.text(max_size=8),
)
NAMES: Final = st.sampled_from(
    ("export.csv", "trades(UTC+3).csv", "trades(UTC+14).csv", "x(UTC-99).csv", "\u202e.csv")
)


@dataclass(frozen=True, kw_only=True)
class CellEdit:
    """Another text in a cell, counted around; of the header too."""

    row: int
    column: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file, its name and what is said of its zone."""

    good: int
    cells: tuple[CellEdit, ...]
    swap: tuple[int, int] | None
    line_break: str
    codec: str
    place: int
    inserted: bytes
    cut: int
    file_name: str
    zone: str | None

    def content(self) -> bytes:
        """The bytes of the file."""
        rows = list(csv.reader(io.StringIO(GOOD[self.good % len(GOOD)].decode("utf-8-sig"))))
        for edit in self.cells:
            row = rows[edit.row % len(rows)]
            if row:
                row[edit.column % len(row)] = edit.text
        if self.swap is not None:
            first, second = (number % len(rows) for number in self.swap)
            rows[first], rows[second] = rows[second], rows[first]
        out = io.StringIO()
        csv.writer(out, lineterminator=self.line_break).writerows(rows)
        content = out.getvalue().encode(self.codec, "replace")
        place = self.place % (len(content) + 1)
        content = content[:place] + self.inserted + content[place:]
        return content[: len(content) * self.cut // 100]


MOSTLY_UTF_8: Final = st.one_of(st.just("utf-8"), st.just("utf-8"), st.sampled_from(CODECS))
SAMPLES: Final = st.builds(
    Sample,
    good=st.integers(0, len(GOOD) - 1),
    cells=st.lists(
        st.builds(CellEdit, row=st.integers(0, 6), column=st.integers(0, 15), text=CELLS),
        max_size=3,
    ).map(tuple),
    swap=st.one_of(st.none(), st.tuples(st.integers(0, 6), st.integers(0, 6))),
    line_break=st.one_of(st.just("\n"), st.just("\r\n"), st.sampled_from(BREAKS)),
    codec=MOSTLY_UTF_8,
    place=st.integers(0, 5000),
    inserted=st.one_of(
        st.just(b""),
        st.just(b""),
        st.sampled_from((b"\x00", b'"', b"\xff", b"\n", b",")),
        st.binary(max_size=8),
    ),
    cut=st.one_of(st.just(100), st.just(100), st.integers(0, 100)),
    file_name=NAMES,
    zone=ZONES,
)


def try_(sample: Sample) -> None:
    """Read it: one sentence that names what is wrong, or what the file says."""
    content = sample.content()
    try:
        found = parse(content, file_name=sample.file_name, zone=sample.zone)
    except UsageError as error:
        assert_for_people(str(error))
        return
    check(found, content)


def check(found: ParsedFile, content: bytes) -> None:
    """Nothing was made up, and no row was passed over."""
    text = content.decode("utf-8-sig").replace("\ufeff", "")
    assert "\0" not in text, "no table could keep it"
    rows = list(csv.reader(io.StringIO(text, newline="")))
    # A quote left open above the header would hide the header from a reader of the whole.
    alone = [row for line in text.splitlines() for row in csv.reader([line])]
    told = [{cell.strip() for cell in row} for row in (*rows, *alone)]
    for fill in found.fills:
        assert 0 < fill.quantity < MAX_AMOUNT
        assert 0 < fill.price < MAX_AMOUNT
        assert fill.filled_at.tzinfo is UTC
        wanted = {fill.symbol, *filter(None, (fill.fill_id, fill.exchange_order_id))}
        fits = [row for row in told if wanted <= row]
        assert any({fill.quantity, fill.price} <= set(numbers(row)) for row in fits), fill
    assert len(found.fills) + sum(found.left_out.values()) < len(alone)


def numbers(cells: set[str]) -> Iterator[Decimal]:
    """The sizes of what is a number, on its own or with its asset glued to it."""
    for cell in cells:
        try:
            number = Decimal(cell).copy_abs()
        except InvalidOperation:
            continue
        if not number.is_nan():  # a signaling one goes into no set
            yield number


@contextmanager
def opened() -> Iterator[Check]:
    yield try_


HARNESS: Final = Harness(name="csv files", samples=SAMPLES, opened=opened)
