"""The two lines of a lifecycle's chart: what the ledger counts, and what the exchange held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from unghost.model import (
    Fill,
    Flatness,
    LedgerRow,
    PositionLeg,
    PositionReading,
    PositionSide,
    Side,
)
from unghost.netting import split
from unghost.web.console.positions import exchange_points, held_now, ledger_points

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def row(trade_id: str | None, action: str, quantity: str | None, at: float, **more) -> LedgerRow:
    told = {"status": "filled", "side": "buy" if action == "ENTRY" else "sell"} | more
    return LedgerRow(
        order_id=f"{trade_id}-{action}-{at}",
        profile_id="main",
        symbol="BTCUSDT",
        trade_id=trade_id,
        action=action,
        quantity=None if quantity is None else Decimal(quantity),
        filled_at=hour(at),
        **told,
    )


def fill(side: Side, quantity: str, at: float, position_side: PositionSide | None = LONG) -> Fill:
    return Fill(
        fill_id=f"{int(at * 1000)}",
        exchange_order_id=f"x-{at}",
        market="BTC/USDT:USDT",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(40000),
        filled_at=hour(at),
        position_side=position_side,
    )


def steps(points) -> list[tuple[float, str]]:
    return [((one.at - NOON) / timedelta(hours=1), str(one.value)) for one in points]


def test_the_ledger_counts_what_each_lifecycle_has_open():
    rows = [
        row("a", "ENTRY", "2", 1),
        row("b", "ENTRY", "3", 2),
        row("a", "EXIT", "2", 3),
        row("b", "EXIT", "5", 4),  # closed by more than was opened: counts as nothing, not as -2
        row("c", "ENTRY", "1", 5),
    ]
    found = steps(ledger_points(reversed(rows), LONG, NOON))
    assert found == [(0, "0"), (1, "2"), (2, "5"), (3, "3"), (4, "0"), (5, "1")]


def test_rows_that_open_nothing_are_left_out():
    rows = [
        row(None, "ENTRY", "2", 1),
        row("a", "ENTRY", "2", 1, status="canceled"),
        row("b", "ENTRY", "2", 1, side="sell"),  # the other leg
        row("c", "ENTRY", None, 2),
    ]
    assert steps(ledger_points(rows, LONG, NOON)) == [(0, "0"), (2, "0")]


def test_what_was_before_the_chart_is_where_it_begins():
    rows = [row("a", "ENTRY", "2", -4), row("a", "EXIT", "2", 3)]
    assert steps(ledger_points(rows, LONG, NOON)) == [(0, "2"), (3, "0")]


def test_the_exchange_is_replayed_backwards_from_what_it_holds_now():
    flat = PositionReading(flatness=Flatness.FLAT, as_of=hour(9), size=Decimal(0))
    fills = [fill(Side.BUY, "2", 1), fill(Side.SELL, "0.5", 3), fill(Side.SELL, "1.5", 4)]
    parts = split(fills, flat, spot=False)
    assert steps(exchange_points(parts, Decimal(0), LONG, NOON)) == [
        (0, "0.0"),
        (1, "2.0"),
        (3, "1.5"),
        (4, "0"),
    ]
    assert steps(exchange_points(parts, Decimal(0), SHORT, NOON)) == [(0, "0")]


def test_a_one_way_short_is_replayed_on_its_own_leg():
    held = PositionLeg(position_side=None, quantity=Decimal(-1))
    reading = PositionReading(flatness=Flatness.OPEN, as_of=hour(9), size=Decimal(1), legs=(held,))
    parts = split([fill(Side.SELL, "1", 2, None)], reading, spot=False)
    assert held_now(reading, SHORT) == 1
    assert held_now(reading, LONG) == 0
    assert steps(exchange_points(parts, Decimal(1), SHORT, NOON)) == [(0, "0"), (2, "1")]


@pytest.mark.parametrize(("leg", "size"), ((LONG, 3), (SHORT, 2)))
def test_both_sides_of_a_hedge_are_told_apart(leg, size):
    legs = (
        PositionLeg(position_side=LONG, quantity=Decimal(3)),
        PositionLeg(position_side=SHORT, quantity=Decimal(2)),
    )
    reading = PositionReading(flatness=Flatness.OPEN, as_of=NOON, size=Decimal(5), legs=legs)
    assert held_now(reading, leg) == size


def test_an_unknown_reading_holds_nothing_that_could_be_drawn():
    unknown = PositionReading(flatness=Flatness.UNKNOWN, as_of=NOON, size=None)
    assert held_now(unknown, LONG) is None
