"""Charts and `docs/performance.md`, drawn from the results that are kept. Pure: values to text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final

from benchmarks.report import Chart, Kept, Machine, Series, Verdict, measured

WIDTH: Final = 720
HEIGHT: Final = 320
LEFT, RIGHT, TOP, BOTTOM = 84, 190, 44, 52
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
WIDE_SPAN: Final = 20
"""Where the largest value is so many times the smallest, the axis is logarithmic."""

STYLE: Final = (
    "<style>text{font:12px sans-serif;fill:#57606a}"
    ".g{stroke:#8c959f;stroke-opacity:.35}.l{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#adb5bd}}</style>"
)
PICTURES: Final = "images/performance"

HEAD: Final = """# Performance

This page is written by `make bench` from the results in `benchmarks/results/`. Each ratio is one of
medians that were measured in the same run, against a yardstick that ran in turns with it, so that
a slower machine moves both. Nothing fails by time; what misses its target is said here.

    make bench                                 # all, and this page
    python -m benchmarks.recording --json      # one
    make bench ARGS=--small                    # shows that they work; keeps nothing

"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """From a value to a place in the drawing; logarithmic where the values span wide."""

    low: float
    high: float
    start: float
    end: float
    wide: bool

    def place(self, value: Decimal) -> str:
        """Where it is drawn, in units of the drawing."""
        low, high, at = self.low, self.high, float(value)
        if self.wide:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        share = (at - low) / (high - low) if high > low else 0.5
        return f"{self.start + share * (self.end - self.start):.1f}"


def _axis(values: Sequence[Decimal], start: float, end: float) -> Axis:
    low, high = float(min(values)), float(max(values))
    wide = low > 0 and high > low * WIDE_SPAN
    if wide:
        return Axis(low=low, high=high, start=start, end=end, wide=True)
    return Axis(low=min(0.0, low), high=high or 1.0, start=start, end=end, wide=False)


def picture(chart: Chart) -> str:
    """The chart as SVG that needs nothing else and reads on light and on dark ground."""
    points = [point for one in chart.series for point in one.points]
    across = _axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(chart.title)}</title>",
        STYLE,
        f'<text x="{LEFT}" y="22" font-weight="bold">{escape(chart.title)}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 10}">{escape(_named(chart.across, across))}</text>',
        f'<text x="8" y="{TOP - 8}">{escape(_named(chart.up, up))}</text>',
        *_ticks(sorted({x for x, _ in points}), across),
        *_rules(up),
    ]
    for number, one in enumerate(chart.series):
        lines += _line(one, number, across, up)
    return "\n".join((*lines, "</svg>", ""))


def _named(label: str, axis: Axis) -> str:
    return f"{label} (log)" if axis.wide else label


def _ticks(values: Sequence[Decimal], axis: Axis) -> list[str]:
    return [
        f'<text x="{axis.place(x)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
        f"{short(x)}</text>"
        for x in values
    ]


def _rules(axis: Axis) -> list[str]:
    found = []
    for value in _steps(axis):
        y = axis.place(value)
        found.append(f'<path class="g" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        found.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{short(value)}</text>')
    return found


def _steps(axis: Axis) -> list[Decimal]:
    if axis.wide:
        first, last = math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high))
        return [Decimal(10) ** power for power in range(first, last + 1)]
    return [Decimal(repr(axis.high)) * part / 4 for part in range(5)]


def _line(one: Series, number: int, across: Axis, up: Axis) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(across.place(x), up.place(y)) for x, y in one.points]
    path = "L".join(f"{x} {y}" for x, y in places)
    dots = [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
    key = TOP + 18 * number
    return [
        f'<path class="l" stroke="{colour}" d="M{path}"/>',
        *dots,
        f'<circle cx="{WIDTH - RIGHT + 14}" cy="{key}" r="4" fill="{colour}"/>',
        f'<text x="{WIDTH - RIGHT + 24}" y="{key + 4}">{escape(one.name)}</text>',
    ]


def short(value: Decimal) -> str:
    """A number for an axis: `1.5M`, `10k`, `0.25`."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{float(value):.3g}"


# --- the page ------------------------------------------------------------------------------------


def file_of(name: str, chart: Chart) -> str:
    """The picture's file, seen from `docs/`."""
    return f"{PICTURES}-{name}-{chart.key}.svg"


def page(everything: Sequence[Kept]) -> str:
    """The whole of `docs/performance.md`."""
    parts = [HEAD, _machines(everything), _targets(everything), _missed(everything)]
    parts += [_section(kept) for kept in everything]
    return "\n".join(part for part in parts if part)


def _machines(everything: Sequence[Kept]) -> str:
    lines = ["## Where it was measured", ""]
    for machine, several in groupby(everything, key=lambda kept: kept.machine):
        names = ", ".join(f"{kept.report.name} ({kept.measured_on})" for kept in several)
        lines.append(f"- {_machine(machine)}: {names}")
    return "\n".join((*lines, ""))


def _machine(machine: Machine) -> str:
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB of memory,"
        f" {machine.system}, Python {machine.python}"
    )


def _targets(everything: Sequence[Kept]) -> str:
    lines = ["## Targets", "", "| figure | target | measured | |", "|---|---|---|---|"]
    for kept in everything:
        lines += [
            f"| {one.name} | {one.target} | {measured(one)} | {one.verdict} |"
            for one in kept.report.figures
        ]
    return "\n".join((*lines, ""))


def _missed(everything: Sequence[Kept]) -> str:
    missed = [
        f"- {one.name}: {measured(one)}, the target is {one.target}. {one.detail}".rstrip()
        for kept in everything
        for one in kept.report.figures
        if one.verdict is Verdict.MISSES
    ]
    return "\n".join(("## What misses its target", "", *(missed or ["Nothing."]), ""))


def _section(kept: Kept) -> str:
    report = kept.report
    lines = [f"## {report.title}", "", report.text.strip(), ""]
    lines += [f"- {one.name}: {one.detail}" for one in report.figures if one.detail]
    for chart in report.charts:
        lines += ["", f"![{chart.title}]({file_of(report.name, chart)})"]
    if report.profile:
        lines += ["", "```", report.profile.strip(), "```"]
    return "\n".join((*lines, ""))
