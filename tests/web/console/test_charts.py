"""Charts are pure: points in, markup out. Scales, ticks, steps, shading, escaping."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unghost.web.console.charts import NARROW, WIDE, Chart, Line, Mark, Point, draw, value_at
from unghost.web.console.scales import Scale, time_ticks, value_ticks, whole_ticks

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)


def after(**span: float) -> datetime:
    return NOON + timedelta(**span)


def line(name: str, *steps: tuple[float, str]) -> Line:
    points = tuple(Point(at=after(hours=hours), value=Decimal(value)) for hours, value in steps)
    return Line(name=name, kind=name, points=points)


def chart(*lines: Line, **more) -> Chart:
    wanted = {"start_at": NOON, "end_at": after(hours=10), "key": "held"} | more
    words = {"title": "Held", "description": "What is held."}
    return Chart(lines=lines, **words, **wanted)


def drawn(*lines: Line, **more) -> dict[str, ET.Element]:
    sheet = ET.fromstring(f"<html>{draw(chart(*lines, **more))}</html>")  # noqa: S314 - our own
    return {svg.get("class", "").split()[-1]: svg for svg in sheet}


def of_class(svg: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in svg.iter() if name in (one.get("class") or "").split()]


def corners(path: ET.Element) -> list[tuple[Decimal, Decimal]]:
    found = re.findall(r"([-\d.]+) ([-\d.]+)", path.get("d", ""))
    return [(Decimal(x), Decimal(y)) for x, y in found]


# --- ticks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    (
        ("0", "10", "0 5 10"),
        ("0", "0.25", "0.0 0.1 0.2 0.3"),
        ("-3", "3", "-4 -2 0 2 4"),
        ("0", "0", "0.0 0.5 1.0"),
    ),
)
def test_values_are_ticked_in_round_steps(low, high, expected):
    assert list(value_ticks(Decimal(low), Decimal(high))) == [Decimal(x) for x in expected.split()]


@given(
    st.decimals("-1e9", "1e9", allow_nan=False, places=6),
    st.decimals("0", "1e9", allow_nan=False, places=6),
)
def test_ticks_enclose_every_value_and_are_few(low, span):
    ticks = value_ticks(low, low + span)
    assert ticks[0] <= low
    assert ticks[-1] >= low + span
    assert 2 <= len(ticks) <= 7


@given(st.integers(0, 10**6))
def test_counts_are_ticked_in_whole_numbers_from_zero(high):
    ticks = whole_ticks(high)
    assert ticks[0] == 0
    assert ticks[-1] >= high
    assert all(tick == tick.to_integral_value() for tick in ticks)
    assert 2 <= len(ticks) <= 6


@given(st.integers(1, 400 * 86_400), st.integers(2, 9))
def test_times_lie_within_the_span_and_never_crowd(seconds, most):
    ticks = time_ticks(NOON, NOON + timedelta(seconds=seconds), most)
    assert len(ticks) <= most + 1
    assert all(NOON <= tick.at <= NOON + timedelta(seconds=seconds) for tick in ticks)
    assert len({tick.at for tick in ticks}) == len(ticks)


def test_midnight_is_written_as_a_date():
    labels = [tick.label for tick in time_ticks(NOON, after(days=1), 4)]
    assert labels == ["12:00", "18:00", "2 Feb", "06:00", "12:00"]


def test_a_scale_maps_its_ends():
    scale = Scale(low=Decimal(0), high=Decimal(4), start=Decimal(200), end=Decimal(0))
    assert [scale.at(Decimal(value)) for value in (0, 1, 4)] == [200, 150, 0]


# --- drawing -----------------------------------------------------------------------------------


def test_both_sizes_are_drawn_with_title_and_description_of_their_own():
    sheets = drawn(line("ledger", (0, "1")))
    assert set(sheets) == {WIDE.name, NARROW.name}
    ids = [one.get("id") for svg in sheets.values() for one in svg.iter() if one.get("id")]
    assert len(ids) == len(set(ids)) == 4
    for svg in sheets.values():
        assert svg.get("role") == "img"
        named = (svg.get("aria-labelledby") or "").split()
        assert [one.text for one in svg if one.get("id") in named] == ["Held", "What is held."]


def test_a_value_holds_until_the_next_point_and_then_to_the_end():
    wide = drawn(line("ledger", (0, "0"), (5, "10")))["wide"]
    (path,) = of_class(wide, "line")
    found = corners(path)
    assert [y for _, y in found] == [found[0][1], found[0][1], found[2][1], found[2][1]]
    assert found[1][0] == found[2][0]
    assert found[-1][0] == WIDE.width - 12
    assert found[2][1] < found[0][1]  # more is higher up


def test_where_two_lines_part_the_room_between_is_shaded():
    ledger, exchange = line("ledger", (0, "0"), (1, "5")), line("exchange", (0, "0"), (1, "5"))
    assert of_class(drawn(ledger, exchange, apart=True)["wide"], "apart") == []
    lost = line("exchange", (0, "0"), (1, "5"), (4, "0"))
    (room,) = of_class(drawn(ledger, lost, apart=True)["wide"], "apart")
    (path, _) = of_class(drawn(ledger, lost, apart=True)["wide"], "line")
    assert Decimal(room.get("x", "")) + Decimal(room.get("width", "")) == corners(path)[-1][0]
    assert Decimal(room.get("height", "")) > 50


def test_a_mark_is_labelled_on_the_side_that_has_room():
    marks = (Mark(at=after(hours=1), label="early"), Mark(at=after(hours=9.9), label="late"))
    narrow = drawn(line("ledger", (0, "1")), marks=marks)["narrow"]
    sides = {one.text: (one.get("class") or "").split()[1] for one in of_class(narrow, "label")}
    assert sides == {"early": "after", "late": "before"}


def test_what_lies_outside_is_drawn_at_the_edge():
    marks = (Mark(at=after(days=-3), label="before it begins"),)
    wide = drawn(line("ledger", (0, "1")), marks=marks)["wide"]
    (rule,) = of_class(wide, "rule")
    assert Decimal(rule.get("x1", "")) >= 0


def test_words_of_others_are_escaped():
    hostile = "<script>alert('&')</script>"
    markup = draw(chart(line("ledger", (0, "1")), marks=(Mark(at=NOON, label=hostile),)))
    assert "<script" not in markup
    assert "&lt;script&gt;" in markup


def test_a_line_without_points_is_left_out():
    wide = drawn(line("ledger"), filled=True)["wide"]
    assert of_class(wide, "line") == []


def test_no_style_is_written_into_the_markup():
    markup = draw(chart(line("ledger", (0, "1")), filled=True, whole=True))
    assert "style" not in markup


@pytest.mark.parametrize(("hours", "value"), ((-1, 0), (0, 1), (2, 1), (3, 2), (9, 2)))
def test_a_step_line_stands_at_its_latest_point(hours, value):
    assert value_at(line("x", (0, "1"), (3, "2")).points, after(hours=hours)) == value
