"""What a benchmark tells, and in which form it is kept, printed and drawn.

A benchmark is a module of this package with `measure(*, small: bool) -> Report` and, at its end,
`main(measure)`. Its report is kept as `results/<name>.json`; `python -m benchmarks` runs them all,
prints the targets beside what was measured, and writes `docs/performance.md` from what is kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

RESULTS: Final = Path(__file__).parent / "results"


class Verdict(StrEnum):
    """What became of a target."""

    HOLDS = "holds"
    MISSES = "misses"
    TOLD = "told"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured figure. `limit` is the target's number, and NULL where none was set.

    `at_least` tells on which side of the limit a figure holds. `value` is a ratio of medians of
    one run wherever `unit` is "x"; it is compared as it is kept, in three figures.
    """

    name: str
    target: str
    value: Decimal
    unit: str = "x"
    limit: Decimal | None = None
    at_least: bool = False
    detail: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether it keeps to its limit, counting the limit itself as kept."""
        if self.limit is None:
            return Verdict.TOLD
        kept = self.value >= self.limit if self.at_least else self.value <= self.limit
        return Verdict.HOLDS if kept else Verdict.MISSES


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A line of a chart: points (x, y), in order of x."""

    name: str
    points: tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Lines over one axis each way. `key` is part of the name of its file."""

    key: str
    title: str
    across: str
    up: str
    series: tuple[Series, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where it was measured: nothing that names a host or a path."""

    cores: int
    memory_gib: int
    processor: str
    system: str
    python: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that one benchmark found. `text` is Markdown: how it was measured, what explains it."""

    name: str
    title: str
    text: str
    figures: tuple[Figure, ...]
    charts: tuple[Chart, ...] = ()
    profile: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A report as it was kept: on which machine and day (UTC), and by which sizes."""

    report: Report
    machine: Machine
    measured_on: str
    small: bool


class Measure(Protocol):
    """Measures everything; with small sizes only to show that it works."""

    def __call__(self, *, small: bool) -> Report:
        """Return what was found."""


def figure(value: float | Decimal, places: int = 3) -> Decimal:
    """A measured number in so many significant figures, so that results differ where they do."""
    return Decimal(format(Decimal(value), f".{places}g")).normalize()


def this_machine() -> Machine:
    """Cores that this process may use, memory, processor."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(pages / 2**30),
        processor=_processor(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


# --- kept as JSON --------------------------------------------------------------------------------


def as_json(kept: Kept) -> str:
    """Numbers as text, so that they come back as they were."""
    plain = asdict(kept)
    for told, one in zip(plain["report"]["figures"], kept.report.figures, strict=True):
        told["verdict"] = one.verdict
    return json.dumps(plain, indent=2, ensure_ascii=False, default=_number) + "\n"


def _number(value: object) -> str:
    """No exponent: 1E+6 is how a normalised Decimal would be written."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def from_json(text: str) -> Kept:
    """The way back of `as_json`."""
    plain = json.loads(text)
    told = plain["report"]
    report = Report(
        **told
        | {
            "figures": tuple(_figure(one) for one in told["figures"]),
            "charts": tuple(_chart(one) for one in told["charts"]),
        }
    )
    return Kept(**plain | {"report": report, "machine": Machine(**plain["machine"])})


def _figure(told: dict[str, Any]) -> Figure:
    limit = told["limit"]
    fields = {name: value for name, value in told.items() if name != "verdict"}
    fields["value"] = Decimal(told["value"])
    return Figure(**fields | {"limit": None if limit is None else Decimal(limit)})


def _chart(told: dict[str, Any]) -> Chart:
    return Chart(**told | {"series": tuple(_series(one) for one in told["series"])})


def _series(told: dict[str, Any]) -> Series:
    points = tuple((Decimal(x), Decimal(y)) for x, y in told["points"])
    return Series(name=told["name"], points=points)


def keep(kept: Kept, folder: Path = RESULTS) -> None:
    """Write `<folder>/<name>.json` anew."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kept.report.name}.json").write_text(as_json(kept), encoding="utf-8")


def kept_reports(folder: Path = RESULTS) -> list[Kept]:
    """Everything that was kept, by name."""
    return [from_json(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


# --- printed -------------------------------------------------------------------------------------


def measured(one: Figure) -> str:
    """The value with its unit: `0.31 x`."""
    return f"{_number(one.value)} {one.unit}".strip()


def table(reports: Iterable[Report]) -> str:
    """A line for each figure: name, target, what was measured, verdict."""
    rows: list[tuple[str, ...]] = [("figure", "target", "measured", "")]
    for report in reports:
        rows += [(one.name, one.target, measured(one), one.verdict) for one in report.figures]
    return "\n".join(_aligned(rows))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def main(measure: Measure, about: str | None = None) -> None:
    """Run one benchmark: print its table or its JSON, and keep the result if its sizes are full.

    A run with --small shows that the benchmark works; its figures mean nothing and are not kept
    unless a folder is named for them.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print what is kept")
    parser.add_argument("--small", action="store_true", help="small sizes: shows that it works")
    parser.add_argument("--results", type=Path, help="where to keep the result, as <name>.json")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    kept = Kept(
        report=measure(small=given.small),
        machine=this_machine(),
        measured_on=datetime.now(UTC).date().isoformat(),
        small=given.small,
    )
    folder = given.results or (None if given.small else RESULTS)
    if folder is not None:
        keep(kept, folder)
    sys.stdout.write(as_json(kept) if given.json else f"{table([kept.report])}\n")
