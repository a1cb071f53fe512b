"""Numbers and times as the pages write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from unghost.web.console import figures

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    (
        ("0.2500", "0.25"),
        ("1E+3", "1000"),
        ("12", "12"),
        ("-0.0000001", "-0.0000001"),
        ("NaN", "NaN"),
        (None, "—"),
    ),
)
def test_a_number_has_no_exponent_and_no_idle_zeros(value, text):
    assert figures.plain(None if value is None else Decimal(value)) == text


def test_a_column_is_padded_unseen_to_the_same_number_of_places():
    column = [Decimal(12), Decimal("0.25"), Decimal("3.0007"), None]
    room = figures.places(column)
    shown = [str(figures.figure(value, room)) for value in column]
    assert room == 4
    assert shown == [
        '12<span class="pad" aria-hidden="true">.0000</span>',
        '0.25<span class="pad" aria-hidden="true">00</span>',
        '3.0007<span class="pad" aria-hidden="true"></span>',
        '—<span class="pad" aria-hidden="true">.0000</span>',
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    (
        (-5, "0 s"),
        (42, "42 s"),
        (190, "3 min"),
        (7200, "2 h"),
        (86_400, "24 h"),
        (3 * 86_400, "3 days"),
    ),
)
def test_a_span_is_told_in_its_largest_unit(seconds, text):
    assert figures.lasting(seconds) == text
    assert figures.ago(NOON - timedelta(seconds=seconds), NOON) == f"{text} ago"


def test_how_long_something_took():
    assert figures.took(NOON, None) == "—"
    assert figures.took(NOON, NOON + timedelta(milliseconds=1349)) == "1.3 s"
    assert figures.took(NOON, NOON + timedelta(minutes=5)) == "5 min"


def test_a_time_is_told_to_the_second_and_kept_exact():
    at = NOON + timedelta(milliseconds=7)
    assert "2026-02-01 12:00:00<" in figures.moment(at)
    assert at.isoformat() in figures.moment(at)
    assert figures.moment(None) == "—"
    assert figures.ago(None, NOON) == "—"


def test_money_and_counts():
    assert figures.money(Decimal("1234567.891")) == "1,234,567.89"
    assert figures.money(None) == "—"
    assert figures.counted(1, "row") == "1 row"
    assert figures.counted(0, "row") == "0 rows"
    assert figures.counted(2, "entry", "entries") == "2 entries"
