"""Charts as SVG, drawn on the server: from points to markup, nothing else. Pure.

A chart is made of step lines, because a position holds until the next fill changes it. Colours and
fonts come from the style sheet by class; the markup carries coordinates, `<title>` and `<desc>`.
Every chart is drawn twice, wide and narrow, and the style sheet shows the one that fits: scaled
text would be unreadable on a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

from unghost.web.console.scales import (
    ZERO,
    Scale,
    extent,
    milliseconds,
    time_scale,
    time_ticks,
    value_ticks,
    whole_ticks,
)

_TOP: Final = 26
_BOTTOM: Final = 26
_RIGHT: Final = 12
_CHARACTER: Final = 7
"""Width of one figure of an axis label, in units of the drawing."""

LABEL_ROOM: Final = 150
"""How much room the label of a mark wants before it is written on the other side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A value that holds from `at` until the next point."""

    at: datetime
    value: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One step line; `kind` is its class in the style sheet. Points in order of time."""

    name: str
    kind: str
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A moment that the chart is about."""

    at: datetime
    label: str
    kind: str = "mark"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """What is drawn. `apart` shades what lies between the first two lines. `whole` are counts."""

    key: str
    title: str
    description: str
    lines: tuple[Line, ...]
    start_at: datetime
    end_at: datetime
    marks: tuple[Mark, ...] = ()
    apart: bool = False
    filled: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a drawing is; `name` is its class."""

    name: str
    width: int
    height: int
    time_labels: int


WIDE: Final = Size(name="wide", width=1040, height=230, time_labels=8)
NARROW: Final = Size(name="narrow", width=380, height=220, time_labels=3)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plot:
    """A chart on a sheet of one size."""

    chart: Chart
    size: Size
    x: Scale
    y: Scale
    ticks: tuple[Decimal, ...]
    left: int

    def across(self, at: datetime) -> Decimal:
        inside = min(max(at, self.chart.start_at), self.chart.end_at)
        return self.x.at(Decimal(milliseconds(self.chart.start_at, inside)))


def draw(chart: Chart) -> Markup:
    """The chart in both sizes. Every text of it is escaped."""
    return Markup("").join(_svg(_plot(chart, size)) for size in (WIDE, NARROW))


def _plot(chart: Chart, size: Size) -> _Plot:
    values = [point.value for line in chart.lines for point in line.points]
    low, high = extent(values)
    ticks = whole_ticks(int(high)) if chart.whole else value_ticks(low, high)
    left = 12 + _CHARACTER * max(len(_figure(tick)) for tick in ticks)
    return _Plot(
        chart=chart,
        size=size,
        x=time_scale(chart.start_at, chart.end_at, left, size.width - _RIGHT),
        y=Scale(
            low=ticks[0],
            high=ticks[-1],
            start=Decimal(size.height - _BOTTOM),
            end=Decimal(_TOP),
        ),
        ticks=ticks,
        left=left,
    )


def _svg(plot: _Plot) -> Markup:
    size, key = plot.size, f"{plot.chart.key}-{plot.size.name}"
    parts = (*_grid(plot), *_times(plot), *_shade(plot), *_lines(plot), *_marks(plot))
    return Markup(
        '<svg class="chart {name}" viewBox="0 0 {width} {height}" role="img"'
        ' aria-labelledby="{key}-title {key}-desc">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{description}</desc>'
        "{parts}</svg>"
    ).format(
        name=size.name,
        width=size.width,
        height=size.height,
        key=key,
        title=plot.chart.title,
        description=plot.chart.description,
        parts=Markup("").join(parts),
    )


def _grid(plot: _Plot) -> Iterator[Markup]:
    right = plot.size.width - _RIGHT
    for tick in plot.ticks:
        y = plot.y.at(tick)
        kind = "axis" if tick == ZERO else "grid"
        yield _straight(kind, plot.left, y, right, y)
        yield _text("tick value", plot.left - 8, y + 4, _figure(tick))


def _times(plot: _Plot) -> Iterator[Markup]:
    bottom = plot.size.height - _BOTTOM
    for tick in time_ticks(plot.chart.start_at, plot.chart.end_at, plot.size.time_labels):
        x = plot.across(tick.at)
        yield _straight("stroke", x, bottom, x, bottom + 4)
        if plot.left + 12 <= x <= plot.size.width - 20:
            yield _text("tick time", x, bottom + 18, tick.label)


def _lines(plot: _Plot) -> Iterator[Markup]:
    for line in plot.chart.lines:
        if not line.points:
            continue
        corners = _corners(plot, line.points)
        if plot.chart.filled:
            floor = plot.y.at(ZERO)
            closed = [(corners[0][0], floor), *corners, (corners[-1][0], floor)]
            yield _path(f"area {line.kind}", closed, closed=True)
        yield _path(f"line {line.kind}", corners)


def _corners(plot: _Plot, points: Sequence[Point]) -> list[tuple[Decimal, Decimal]]:
    """The corners of a step line, carried on to the end of the chart."""
    corners: list[tuple[Decimal, Decimal]] = []
    for point in points:
        x, y = plot.across(point.at), plot.y.at(point.value)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    corners.append((plot.across(plot.chart.end_at), corners[-1][1]))
    return corners


def _shade(plot: _Plot) -> Iterator[Markup]:
    """Rectangles where the first two lines lie apart."""
    if not plot.chart.apart or len(plot.chart.lines) < 2:  # noqa: PLR2004 - between two lines
        return
    one, other = (line.points for line in plot.chart.lines[:2])
    moments = sorted({point.at for point in (*one, *other)} | {plot.chart.end_at})
    for start_at, end_at in pairwise(moments):
        values = value_at(one, start_at), value_at(other, start_at)
        left, right = plot.across(start_at), plot.across(end_at)
        if values[0] != values[1] and right - left >= 1:  # narrower is nothing that can be seen
            top, bottom = sorted(plot.y.at(value) for value in values)
            yield Markup('<rect class="apart" x="{}" y="{}" width="{}" height="{}"></rect>').format(
                left, top, right - left, bottom - top
            )


def value_at(points: Sequence[Point], at: datetime) -> Decimal:
    """What a step line stands at; before its first point, nothing."""
    held = [point.value for point in points if point.at <= at]
    return held[-1] if held else ZERO


def _marks(plot: _Plot) -> Iterator[Markup]:
    for mark in plot.chart.marks:
        x = plot.across(mark.at)
        yield _straight(f"rule {mark.kind}", x, _TOP - 8, x, plot.size.height - _BOTTOM)
        room = plot.size.width - _RIGHT - x
        side, shift = ("after", 6) if room >= LABEL_ROOM else ("before", -6)
        yield _text(f"label {side} {mark.kind}", x + shift, _TOP - 12, mark.label)


# --- markup ------------------------------------------------------------------------------------


def _straight(kind: str, x1: object, y1: object, x2: object, y2: object) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"></line>').format(
        kind, x1, y1, x2, y2
    )


def _text(kind: str, x: object, y: object, words: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(kind, x, y, escape(words))


def _path(kind: str, corners: Sequence[tuple[Decimal, Decimal]], *, closed: bool = False) -> Markup:
    track = " L".join(f"{x} {y}" for x, y in corners)
    end = " Z" if closed else ""
    return Markup('<path class="{}" d="M{}{}"></path>').format(kind, track, end)


def _figure(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
