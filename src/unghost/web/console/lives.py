"""How many ghosts there were at each time: a chart out of when each began and ended. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from unghost.web.console.charts import Chart, Line, Point
from unghost.web.console.figures import counted

LONGEST: Final = timedelta(days=30)
"""How far back the chart reaches at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """One ghost: from the exit that the exchange executed to the row that closed it, if any."""

    began_at: datetime
    ended_at: datetime | None


def ghosts_chart(lives: Sequence[Life], now: datetime) -> Chart | None:
    """The number of ghosts over time, None where there never was one."""
    start_at = _start(lives, now)
    if start_at is None:
        return None
    points = _points(lives, start_at, now)
    living, most = int(points[-1].value), max(int(point.value) for point in points)
    return Chart(
        key="ghosts",
        title="Ghosts over time",
        description=(
            f"{counted(living, 'ghost')} now, at most {most} since {start_at:%Y-%m-%d %H:%M} UTC."
        ),
        lines=(Line(name="proven ghosts", kind="ghosts", points=points),),
        start_at=start_at,
        end_at=now,
        filled=True,
        whole=True,
    )


def _start(lives: Sequence[Life], now: datetime) -> datetime | None:
    began = [
        life.began_at for life in lives if life.ended_at is None or life.ended_at >= now - LONGEST
    ]
    if not began:
        return None
    first = max(min(began), now - LONGEST)
    return first - max((now - first) / 40, timedelta(minutes=1))


def _points(lives: Sequence[Life], start_at: datetime, now: datetime) -> tuple[Point, ...]:
    changes: Counter[datetime] = Counter()
    for life in lives:
        changes[max(life.began_at, start_at)] += 1
        if life.ended_at is not None and life.ended_at <= now:
            changes[max(life.ended_at, start_at)] -= 1
    number, points = changes.pop(start_at, 0), []
    points.append(Point(at=start_at, value=Decimal(number)))
    for at in sorted(changes):
        number += changes[at]
        points.append(Point(at=at, value=Decimal(number)))
    return tuple(points)
