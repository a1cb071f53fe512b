"""Where the exchange says how much of a fill closed, that is taken and nothing is replayed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.core.builders import BUY, LONG, NOW, SELL, SHORT

from unghost.model import Fill, Flatness, PositionReading
from unghost.netting import flows, split

FLAT = PositionReading(flatness=Flatness.FLAT, as_of=NOW, size=Decimal(0))


def fill(number, side, quantity, closed):
    return Fill(
        fill_id=f"id-{number}",
        exchange_order_id=str(number),
        market="BTC/USDT:USDT",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(100),
        filled_at=NOW + timedelta(seconds=number),
        closed=None if closed is None else Decimal(closed),
    )


def legs(fills):
    return [(part.leg, part.closing, part.quantity) for part in split(fills, FLAT, spot=False)]


def closed_by(fills):
    """(order, leg) of the orders that closed something."""
    found = flows(split(fills, FLAT, spot=False))
    return [(flow.exchange_order_id, flow.leg) for flow in found if flow.closing]


@pytest.mark.parametrize(
    ("side", "closed", "expected"),
    (
        (SELL, "5", [(LONG, True, Decimal(5))]),
        (SELL, "0", [(SHORT, False, Decimal(5))]),
        (SELL, "2", [(LONG, True, Decimal(2)), (SHORT, False, Decimal(3))]),
        (BUY, "5", [(SHORT, True, Decimal(5))]),
        (BUY, "1", [(SHORT, True, Decimal(1)), (LONG, False, Decimal(4))]),
    ),
)
def test_a_fill_that_tells_what_it_closed_needs_no_replay(side, closed, expected):
    assert legs([fill(1, side, "5", closed)]) == expected


def test_both_legs_of_hedge_mode_stay_apart_without_a_position_side():
    """Replayed as one position, the short's opening would be the close of the long."""
    fills = [
        fill(1, BUY, "2", "0"),
        fill(2, SELL, "2", "0"),
        fill(3, SELL, "2", "2"),
        fill(4, BUY, "2", "2"),
    ]
    assert closed_by(fills) == [("3", LONG), ("4", SHORT)]
    replayed = [replace(one, closed=None) for one in fills]
    assert closed_by(replayed) != closed_by(fills)


def test_equal_times_and_names_that_do_not_count_upwards_change_nothing():
    """The entry and the exit of one millisecond, told under random names."""
    entry, leave = fill(1, BUY, "2", "0"), fill(1, SELL, "2", "2")
    pair = [replace(entry, fill_id="z", exchange_order_id="e"), replace(leave, fill_id="a")]
    assert sorted(legs(pair)) == sorted(legs(pair[::-1]))
    assert [flow.leg for flow in flows(split(pair, FLAT, spot=False)) if flow.closing] == [LONG]
