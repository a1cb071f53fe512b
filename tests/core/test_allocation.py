"""Whose exit is it: each rule of attribution by itself, on worlds that a person can follow."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.core.builders import (
    BTC,
    ETH,
    LONG,
    NOW,
    SHORT,
    SPOT,
    at,
    buy,
    candidates,
    dec,
    entry,
    evidence,
    exit_,
    fees,
    only,
    opened,
    position,
    quantities,
    reasons,
    row,
    ruled,
    sell,
    written,
)

from unghost.allocate import allocate
from unghost.model import (
    Attribution,
    AttributionPolicy,
    Flatness,
    PositionLeg,
    Reason,
    Rules,
    Window,
)
from unghost.netting import split

AMBIGUOUS, MISSING = Reason.AMBIGUOUS_ATTRIBUTION, Reason.MISSING_FILL_EVIDENCE
STRICT = Rules(attribution=AttributionPolicy.STRICT)


def claimed(rows, fills, *, rules=None, **more) -> dict[str, list[str]]:
    return quantities(ruled(evidence(rows, fills, **more), rules=rules))


def refused(rows, fills, *, rules=None, **more) -> dict[str, list[Reason]]:
    return reasons(ruled(evidence(rows, fills, **more), rules=rules))


def two(first=5, second=2, *, apart=60):
    """Two longs, both known to the exchange: `t-1` first, `t-2` after it."""
    rows = [entry("e1", first, 0, trade="t-1"), entry("e2", second, apart, trade="t-2")]
    return rows, [buy("xe1", first, 0), buy("xe2", second, apart)]


# --- tier 1: an id links order and lifecycle ---------------------------------------------------


@pytest.mark.parametrize("ids", ({"xid": "s1"}, {"xid": None, "cid": "c1"}, {"xid": "c1"}))
def test_an_exit_that_was_given_up_names_its_order(ids):
    """A canceled row with an id is proof of intent: it beats first in, first out."""
    rows, fills = two(5, 5)
    rows.append(exit_("r1", 0, 500, trade="t-2", status="canceled", **ids))
    found = claimed(rows, [*fills, sell("s1", 5, 600, cid="c1"), sell("s2", 5, 700)])
    assert found == {"t-1": ["s2 5 exact_quantity"], "t-2": ["s1 5 id_link"]}


def test_the_rows_own_order_id_may_be_the_exchanges():
    rows, fills = two(5, 5)
    rows.append(exit_("s1", 0, 500, trade="t-2", status="expired", xid=None))
    found = claimed(rows, [*fills, sell("s1", 5, 600), sell("s2", 5, 700)])
    assert found["t-2"] == ["s1 5 id_link"]


def test_one_order_named_by_two_lifecycles_covers_both_or_none():
    rows, fills = two(5, 2)
    rows += [
        exit_(f"r{one}", 0, 500, trade=f"t-{one}", status="canceled", xid="s1") for one in (1, 2)
    ]
    both = [*fills, sell("s1", 7, 600)]
    assert claimed(rows, both) == {"t-1": ["s1 5 id_link"], "t-2": ["s1 2 id_link"]}
    short = [*fills, sell("s1", 6, 600)]
    assert claimed(rows, short) == {"t-1": [], "t-2": []}
    assert refused(rows, short) == {"t-1": [AMBIGUOUS], "t-2": [AMBIGUOUS]}


def test_an_order_named_by_a_lifecycle_that_was_opened_later_is_nobodys():
    rows = [entry("e1", 5, 0, trade="t-1"), entry("e2", 5, 900, trade="t-2")]
    rows.append(exit_("r1", 0, 950, trade="t-2", status="canceled", xid="s1"))
    assert claimed(rows, [sell("s1", 5, 600)]) == {"t-1": [], "t-2": []}


def test_an_order_named_by_a_lifecycle_that_cannot_be_judged_is_nobodys():
    rows = [entry("e1", 5, 0, trade="t-1"), entry("e2", 5, 0, trade="t-2")]
    rows.append(exit_("r1", None, 500, trade="t-2", xid="s1"))
    rows.append(exit_("r2", 0, 500, trade="t-1", status="canceled", xid="s1"))
    assert claimed(rows, [sell("s1", 5, 600)]) == {"t-1": [], "t-2": []}


# --- tier 2: the quantity says it --------------------------------------------------------------


def test_failures_6_the_largest_does_not_get_what_fits_another():
    rows, fills = two(5, 2)
    found = ruled(evidence(rows, [*fills, sell("s1", 2, 600)]), rules=STRICT)
    assert quantities(found) == {"t-1": [], "t-2": []}
    rows, fills = two(5, 2)
    found = ruled(evidence(rows, [*fills, sell("s1", 2, 600), sell("s2", 5, 700)]), rules=STRICT)
    assert quantities(found) == {"t-1": ["s2 5 exact_quantity"], "t-2": ["s1 2 exact_quantity"]}


def test_failures_6_what_fits_nobody_goes_to_nobody():
    rows, fills = two(5, 2)
    found = ruled(evidence(rows, [*fills, sell("s1", 3, 600)]))
    assert quantities(found) == {"t-1": [], "t-2": []}
    assert reasons(found) == {"t-1": [AMBIGUOUS], "t-2": [AMBIGUOUS]}


def test_two_lifecycles_of_one_quantity_are_no_match():
    rows, _ = two(2, 2)
    assert claimed(rows, [sell("s1", 2, 600)]) == {"t-1": [], "t-2": []}
    assert refused(rows, [sell("s1", 2, 600)]) == {"t-1": [AMBIGUOUS], "t-2": [AMBIGUOUS]}


def test_two_lifecycles_of_one_quantity_are_no_match_where_all_was_seen_either():
    rows, opened = two(2, 2)
    fills = [*opened, sell("s1", 2, 600), sell("s2", 1, 700), sell("s3", 1, 800)]
    assert claimed(rows, fills, rules=STRICT) == {"t-1": [], "t-2": []}
    assert claimed(rows, fills) == {"t-1": ["s1 2 fifo"], "t-2": ["s2 1 fifo", "s3 1 fifo"]}


def test_two_orders_of_one_quantity_are_no_match():
    rows, _ = two(5, 2)
    fills = [sell("s1", 2, 600), sell("s2", 2, 700)]
    assert claimed(rows, fills, rules=STRICT) == {"t-1": [], "t-2": []}


def test_a_quantity_fits_only_a_lifecycle_that_was_open_by_then():
    rows = [entry("e1", 5, 0, trade="t-1"), entry("e2", 5, 1000, trade="t-2")]
    found = claimed(rows, [buy("xe1", 5, 0), sell("s1", 5, 600)])
    assert found == {"t-1": ["s1 5 exact_quantity"], "t-2": []}


def test_the_deficit_guard_believes_no_quantity_where_closings_are_missing():
    """The window shows 7 opened and 2 closed, the market is flat: 5 are missing from the answer, so
    the order of 2 may be the rest of one of 7. Where the openings lie before it, nothing says so.
    """
    rows, fills = two(5, 2)
    assert claimed(rows, [*fills, sell("s1", 2, 600)]) == {"t-1": [], "t-2": []}
    span = Window(start_at=at(120), end_at=NOW)
    found = claimed(rows, [sell("s1", 2, 600)], span=span)
    assert found == {"t-1": [], "t-2": ["s1 2 exact_quantity"]}


# --- tier 3: first in, first out ---------------------------------------------------------------


def test_one_lifecycle_alone_takes_what_is_there():
    rows, fills = [entry("e1", 5, 0)], [buy("xe1", 5, 0), sell("s1", 3, 600)]
    assert claimed(rows, fills) == {"t-1": ["s1 3 fifo"]}
    assert claimed(rows, fills, rules=STRICT) == {"t-1": ["s1 3 fifo"]}
    assert refused(rows, fills) == {"t-1": [MISSING]}


def test_several_are_served_in_the_order_of_their_entry_where_all_are_covered():
    rows, fills = two(5, 2)
    fills += [sell("s1", 4, 600), sell("s2", 3, 700)]
    assert claimed(rows, fills) == {"t-1": ["s1 4 fifo", "s2 1 fifo"], "t-2": ["s2 2 fifo"]}


def test_several_are_refused_where_the_fills_fall_short():
    rows, fills = two(5, 2)
    fills.append(sell("s1", 6, 600))
    assert claimed(rows, fills) == {"t-1": [], "t-2": []}
    assert refused(rows, fills) == {"t-1": [AMBIGUOUS], "t-2": [AMBIGUOUS]}
    told = ruled(evidence(rows, fills))[0].refusals[0].sentence
    assert "6 of the leg's closing fills may belong to any of 2 lifecycles (t-1, t-2)" in told


def test_short_by_dust_is_covered():
    rows, fills = two(5, 2)
    fills.append(sell("s1", "6.998", 600))
    found = claimed(rows, fills)
    assert found == {"t-1": ["s1 5 fifo"], "t-2": ["s1 1.998 fifo", "DUST 0.002 dust"]}


def test_strict_refuses_whenever_several_are_eligible():
    rows, fills = two(5, 2)
    fills += [sell("s1", 4, 600), sell("s2", 3, 700)]
    assert claimed(rows, fills, rules=STRICT) == {"t-1": [], "t-2": []}
    assert refused(rows, fills, rules=STRICT) == {"t-1": [AMBIGUOUS], "t-2": [AMBIGUOUS]}


def test_the_first_closes_before_the_second_opens():
    """Each alone when its order came: nothing to guess, strict or not."""
    rows = [entry("e1", 5, 0, trade="t-1"), entry("e2", 5, 600, trade="t-2")]
    fills = [buy("xe1", 5, 0), sell("s1", 5, 300), buy("xe2", 5, 600), sell("s2", 5, 900)]
    for rules in (Rules(), STRICT):
        found = claimed(rows, fills, rules=rules)
        assert [claim.split()[:2] for claim in found["t-1"]] == [["s1", "5"]]
        assert [claim.split()[:2] for claim in found["t-2"]] == [["s2", "5"]]


# --- who is eligible ---------------------------------------------------------------------------


@pytest.mark.parametrize(("entered", "closes"), ((610, True), (611, False)))
def test_an_entry_may_be_stamped_ten_seconds_late(entered, closes):
    span = Window(start_at=at(0), end_at=NOW)
    fills = [buy("xe1", 5, 590), sell("s1", 5, 600)]
    found = claimed([entry("e1", 5, entered)], fills, span=span)
    assert found == {"t-1": ["s1 5 exact_quantity"] if closes else []}


def test_a_lifecycle_explains_no_more_of_the_other_side_than_it_can_have_held():
    """Somebody opened 2 by hand, and the fill that closed t-2 is missing: it looks as if a short
    of 2 had been held and closed. The ENTRY that never filled had no part of a short either.
    """
    rows = [
        row("e1", "ENTRY", 3, 0, trade="t-1", side="sell", xid=None),
        entry("e2", 2, 900, trade="t-2"),
    ]
    fills = [buy("b1", 2, 600), buy("xe2", 2, 900), sell("s2", 2, 1200), sell("s1", 2, 1500)]
    for shown in (fills, [one for one in fills if one.exchange_order_id != "s2"]):
        assert claimed(rows, shown) == {"t-1": [], "t-2": []}


def test_an_entry_that_bought_back_what_strangers_held_short_leaves_the_other_closings_in_doubt():
    """The last sale is missing, so 1.5 seems to have been held short before, and t-1 and t-3 to
    have bought it back: then b2 may have closed the strangers' short, and t-2 be open.
    """
    rows = [
        entry("e1", "0.5", 0, trade="t-1"),
        row("e2", "ENTRY", 1, 2000, trade="t-2", side="sell", xid="xe2"),
        row("e3", "ENTRY", 1, 3600, trade="t-3", side="buy", xid=None),
    ]
    fills = [
        buy("xe1", "0.5", 0),
        sell("s1", "0.5", 1200),
        sell("xe2", 1, 2000),
        buy("b2", 1, 2800),
        buy("b3", 1, 3600),
    ]
    nothing = {"t-1": [], "t-2": [], "t-3": []}
    for shown in (fills, [one for one in fills if one.exchange_order_id != "s1"]):
        assert claimed(rows, shown) == nothing
    told = ruled(evidence(rows, shown))[1].refusals[0].sentence
    assert "ENTRY orders of the other side closed 1.5 short that was held before" in told
    whole = claimed(rows, [*fills, sell("s3", 1, 4200)])
    assert whole["t-2"] == ["b2 1 exact_quantity"]


def test_what_somebody_opened_and_closed_by_hand_is_no_doubt_about_the_other_side():
    """t-0 was held before and its EXIT row tells so; the 0.25 is what was bought in the window."""
    rows = [
        entry("e1", 3, 0, trade="t-1", xid=None),
        row("x0", "EXIT", 1, 3000, trade="t-0", side="sell", xid="s0"),
        row("e2", "ENTRY", 1, 3600, trade="t-2", side="sell", xid="xe2"),
    ]
    by_hand = [buy("b1", "0.25", 600), sell("s1", "0.25", 2400)]
    fills = [sell("s0", 1, 3000), sell("xe2", 1, 3600), buy("b2", 1, 4200)]
    found = claimed(rows, [*by_hand, *fills])
    assert found == {"t-1": [], "t-2": ["b2 1 exact_quantity"]}
    assert claimed(rows, [by_hand[1], *fills]) == {"t-1": [], "t-2": []}


@pytest.mark.parametrize(("start", "closes"), ((-10, False), (50, False), (51, True)))
def test_what_was_held_when_the_window_began_is_no_exit_of_what_was_entered_later(start, closes):
    """0.125 more is closed than opened, so it was held before. An ENTRY that never filled had no
    part of it, unless it is older than the window; one that the window begins with is not.
    """
    rows = [entry("e1", 1, 0, trade="t-1"), entry("e2", 3, 60, trade="t-2", xid=None)]
    fills = [buy("xe1", 1, 0), sell("s1", 1, 600), sell("s2", "0.125", 700)]
    found = claimed(rows, fills, span=Window(start_at=at(start), end_at=NOW))
    assert ("s2 0.125 fifo" in found["t-2"]) is closes


def test_a_lifecycle_that_a_gate_stops_keeps_its_share():
    """t-1 is pending: what it may have closed must not be given to t-2."""
    rows, fills = two(5, 5)
    rows.append(exit_("r1", 5, 500, trade="t-1", status="new", xid=None))
    found = ruled(evidence(rows, [*fills, sell("s1", 5, 600)]))
    assert quantities(found) == {"t-1": [], "t-2": []}
    assert reasons(found) == {"t-1": [Reason.PENDING_LIFECYCLE_BLOCKER], "t-2": [AMBIGUOUS]}
    found = ruled(evidence(rows, [*fills, sell("s1", 5, 600), sell("s2", 5, 700)]))
    assert quantities(found) == {"t-1": [], "t-2": ["s2 5 fifo"]}


def test_a_lifecycle_of_another_profile_of_the_account_keeps_its_share():
    rows = [entry("e1", 5, 0, trade="t-1", profile="other"), entry("e2", 5, 60, trade="t-2")]
    fills = [buy("xe1", 5, 0), buy("xe2", 5, 60), sell("s1", 5, 600)]
    assert claimed(rows, fills) == {"t-2": []}
    assert claimed(rows, [*fills, sell("s2", 5, 700)]) == {"t-2": ["s2 5 fifo"]}


def test_a_lifecycle_whose_remainder_is_dust_claims_no_more():
    """What is left of the second order is not shaved off for the sake of 0.004."""
    rows, fills = two(5, 2)
    fills += [sell("s1", "4.996", 600), sell("s2", 2, 700)]
    found = claimed(rows, fills)
    assert found == {
        "t-1": ["s1 4.996 fifo", "DUST 0.004 dust"],
        "t-2": ["s2 2 fifo"],
    }


# --- what makes a leg doubtful -----------------------------------------------------------------


def test_an_opening_that_the_ledger_does_not_know_leaves_only_ids():
    """In hedge mode it is plain: 3 more were bought by somebody, so the sale of 5 may be theirs."""
    rows = [entry("e1", 5, 0, position_side="long")]
    fills = [
        buy("xe1", 5, 0, leg=LONG),
        buy("manual", 3, 100, leg=LONG),
        sell("s1", 5, 600, leg=LONG),
    ]
    found = ruled(evidence(rows, fills))
    assert quantities(found) == {"t-1": []}
    assert reasons(found) == {"t-1": [AMBIGUOUS]}
    assert "(manual)" in only(found).refusals[0].sentence
    rows.append(exit_("r1", 0, 500, status="canceled", xid="s1"))
    assert claimed(rows, fills) == {"t-1": ["s1 5 id_link"]}


def test_an_unknown_opening_of_dust_is_rounding():
    rows = [entry("e1", 5, 0)]
    fills = [buy("xe1", "5.001", 0, leg=LONG), sell("s1", 5, 600, leg=LONG)]
    assert claimed(rows, fills) == {"t-1": ["s1 5 exact_quantity"]}


def test_a_lifecycle_that_cannot_be_judged_leaves_only_ids():
    rows = [entry("e1", 5, 0, trade="t-1"), entry("e2", 3, 0, trade="t-2")]
    rows.append(exit_("r1", "NaN", 100, trade="t-2", status="filled"))
    found = ruled(evidence(rows, [sell("s1", 5, 600)]))
    assert quantities(found) == {"t-1": [], "t-2": []}
    assert reasons(found)["t-1"] == [AMBIGUOUS]


# --- which fills close -------------------------------------------------------------------------


def test_of_a_fill_that_crosses_zero_only_the_closing_part_counts():
    """Long 10, sold 15, and 5 bought back: 10 closed the long, 5 opened and closed a short."""
    fills = [buy("xe1", 10, 0), sell("s1", 15, 600), buy("b1", 5, 700)]
    parts = [
        (one.fill.exchange_order_id, one.leg, one.closing, one.quantity)
        for one in split(fills, position(), spot=False)
    ]
    assert parts == [
        ("xe1", LONG, False, dec(10)),
        ("s1", LONG, True, dec(10)),
        ("s1", SHORT, False, dec(5)),
        ("b1", SHORT, True, dec(5)),
    ]
    assert claimed([entry("e1", 10, 0)], fills) == {"t-1": ["s1 10 exact_quantity"]}


def test_a_sale_that_opened_a_short_closes_no_long():
    rows = [entry("e1", 5, 0)]
    fills = [sell("s1", 5, 600), buy("b1", 5, 700)]
    assert claimed(rows, fills) == {"t-1": []}
    assert refused(rows, fills) == {"t-1": [MISSING]}


def test_the_replay_begins_where_the_position_ends():
    """Whoever looks at a market that is open sees the same sale as an opening, not as a closing."""
    held = replace(
        position(Flatness.OPEN), legs=(PositionLeg(position_side=None, quantity=Decimal(-5)),)
    )
    (part,) = split([sell("s1", 5, 600)], held, spot=False)
    assert (part.leg, part.closing) == (SHORT, False)


def test_in_hedge_mode_each_side_is_closed_by_its_own_fills():
    rows = [
        entry("e1", 2, 0, trade="t-long", position_side="LONG"),
        entry("e2", 2, 1, trade="t-short", side="sell", position_side="SHORT"),
    ]
    fills = [
        buy("xe1", 2, 0, leg=LONG),
        sell("xe2", 2, 1, leg=SHORT),
        sell("s1", 2, 600, leg=LONG),
        buy("b1", 2, 700, leg=SHORT, price="90"),
    ]
    found = ruled(evidence(rows, fills))
    assert quantities(found) == {
        "t-long": ["s1 2 exact_quantity"],
        "t-short": ["b1 2 exact_quantity"],
    }
    assert [(one.side, one.position_side) for one in candidates(found)] == [
        ("sell", "long"),
        ("buy", "short"),
    ]


def test_on_spot_every_sale_closes():
    rows = [entry("e1", 5, 0, side=None)]
    fills = [replace(one, market=SPOT.unified) for one in (buy("xe1", 5, 0), sell("s1", 5, 600))]
    assert claimed(rows, fills, market=SPOT) == {"t-1": ["s1 5 exact_quantity"]}


def test_the_direction_may_come_from_the_fill_that_an_entry_is_linked_to():
    rows = [entry("e1", 5, 0, side=None)]
    short = [sell("xe1", 5, 0), buy("b1", 5, 600)]
    assert claimed(rows, short) == {"t-1": ["b1 5 exact_quantity"]}
    assert refused(rows, [buy("other", 5, 0), sell("s1", 5, 600)]) == {
        "t-1": [Reason.INVALID_LEDGER_ROW]
    }


# --- a fill is used once -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "holder",
    (
        exit_("r1", 5, 600, trade="t-9", xid="s1"),
        exit_("s1", 5, 600, trade="t-9", xid=None),
        exit_("r1", 5, 600, trade="t-9", xid=None, cid="c1"),
        exit_("r1", 5, 600, trade=None, xid="s1"),
        exit_("r1", 5, 600, trade="t-9", xid="s1", profile="other"),
        exit_("r1", 5, 600, trade="t-9", xid="s1", status="partially-filled"),
        exit_("r1", 5, 600, trade="t-9", xid="s1", status="FILLED"),
        exit_("r1", 5, -99_999, trade="t-9", xid="s1"),
        exit_("r1", 5, None, trade="t-9", xid="s1"),
        exit_("r1", 5, 600, trade="t-9", xid="s1", symbol="BTC/USDT:USDT"),
        exit_("r1", None, 600, trade="t-9", xid="s1"),
    ),
    ids=lambda one: f"{one.order_id}-{one.profile_id}-{one.trade_id}-{one.status}",
)
def test_failures_5_what_a_ledger_row_accounts_for_is_no_evidence(holder):
    """Another lifecycle, nobody's, another profile's, by whatever id, whenever it was booked."""
    rows = [entry("e1", 5, 0), holder]
    assert claimed(rows, [sell("s1", 5, 600, cid="c1")]) == {"t-1": []}


@pytest.mark.parametrize(
    "stranger",
    (
        exit_("r1", 5, 600, trade="t-9", xid="s1", status="canceled"),
        exit_("r1", 5, 600, trade="t-9", xid="s1", symbol="ETHUSDT"),
        exit_("r1", 5, -99_999, trade="t-9", xid="s9"),
    ),
)
def test_what_does_not_stand_or_is_another_markets_takes_nothing(stranger):
    rows = [entry("e1", 5, 0), stranger]
    found = evidence(rows, [buy("xe1", 5, 0), sell("s1", 5, 600)])
    assert quantities(ruled(found))["t-1"] == ["s1 5 exact_quantity"]


def test_failures_9_one_order_id_on_two_symbols_is_two_orders():
    rows = [
        entry("e1", 5, 0, trade="t-1"),
        entry("e2", 3, 0, trade="t-2", symbol="ETHUSDT"),
        exit_("r1", 3, 600, trade="t-2", symbol="ETHUSDT", xid="s1"),
    ]
    fills = [buy("xe1", 5, 0), sell("s1", 5, 600)]
    assert claimed(rows, fills) == {"t-1": ["s1 5 exact_quantity"]}
    assert claimed(rows, [sell("s1", 3, 600, market=ETH)], market=ETH) == {}


def test_an_exit_booked_short_leaves_the_rest():
    rows = [entry("e1", 5, 0), exit_("r1", 2, 600, xid="s1")]
    fills = [buy("xe1", 5, 0), sell("s1", 5, 600)]
    assert claimed(rows, fills) == {"t-1": ["s1 3 id_link"]}


@pytest.mark.parametrize("status", ("filled", "canceled"))
def test_an_earlier_backfill_stands_while_its_row_has_a_filled_status(status):
    """Whoever changed it: people roll back by SQL."""
    rows, fills = two(5, 5)
    fills.append(sell("s1", 5, 600))
    ours = replace(
        written(candidates(ruled(evidence([rows[0]], [fills[0], fills[2]])))[0]), status=status
    )
    assert ours.exchange_order_id == "s1"
    found = ruled(evidence([*rows, ours], fills))
    if status == "filled":
        assert quantities(found) == {"t-2": []}
        assert reasons(found) == {"t-2": [MISSING]}
    else:
        assert quantities(found) == {"t-1": [], "t-2": []}


@pytest.mark.parametrize(
    ("booked", "explained"), ((720, True), (480, True), (721, False), (479, False))
)
def test_a_row_that_no_id_links_is_set_against_an_order_within_two_minutes(booked, explained):
    """Explained, it takes that order's quantity. Unexplained, it counts against the whole leg."""
    rows = [entry("e1", 5, 0), exit_("r1", 5, booked, trade="t-9", xid=None)]
    allocation = allocate(evidence(rows, [buy("xe1", 5, 0), sell("s1", 5, 600)]), Rules())
    leg = allocation.leg(LONG)
    assert (leg.orders[0].accounted, leg.unexplained) == (
        (dec(5), dec(0)) if explained else (dec(0), dec(5))
    )
    within_rounding = sum((claim.quantity for claim in leg.claims), Decimal(0))
    assert within_rounding == (0 if explained else Rules().dust_abs_qty)


def test_rows_that_no_id_links_are_matched_by_quantity_before_nearness():
    rows = [entry("e1", 5, 0), exit_("r1", 2, 600, trade="t-9", xid=None)]
    fills = [buy("xe1", 5, 0), sell("near", 5, 600), sell("exact", 2, 680)]
    assert claimed(rows, fills) == {"t-1": ["near 5 exact_quantity"]}


def test_rows_that_no_id_links_are_matched_to_the_nearest_of_their_quantity():
    rows = [entry("e1", 5, 0), exit_("r1", 2, 640, trade="t-9", xid=None)]
    fills = [buy("xe1", 5, 0), sell("far", 2, 600), sell("near", 2, 650)]
    assert claimed(rows, fills) == {"t-1": ["far 2 fifo"]}


def test_what_stays_unexplained_counts_against_the_leg():
    rows = [entry("e1", 5, 0), exit_("r1", 2, 3600, trade="t-9", xid="lost")]
    found = ruled(evidence(rows, [buy("xe1", 5, 0), sell("s1", 5, 600)]))
    assert quantities(found) == {"t-1": ["s1 3.001 fifo"]}  # up to the tolerance of rounding
    (refusal,) = only(found).refusals
    assert "2 recorded as closed has no fill in the window" in refusal.sentence


def test_in_hedge_mode_a_row_counts_against_its_own_side_only():
    rows = [
        entry("e1", 5, 0, position_side="long"),
        row("r1", "EXIT", 5, 600, trade="t-9", side="buy", position_side="short"),
    ]
    fills = [buy("xe1", 5, 0, leg=LONG), sell("s1", 5, 600, leg=LONG)]
    assert claimed(rows, fills) == {"t-1": ["s1 5 exact_quantity"]}


def test_two_profiles_of_one_account_never_claim_more_than_there_is():
    rows = [entry("e1", 5, 0, trade="t-1"), entry("e2", 5, 0, trade="t-2", profile="other")]
    fills = [*opened(rows), sell("s1", 7, 600), sell("s2", 3, 700)]
    total = sum(
        one.quantity
        for profile in ("main", "other")
        for one in candidates(ruled(evidence(rows, fills, profile=profile)))
    )
    assert total == 10


# --- fees and late growth ----------------------------------------------------------------------


def test_fees_are_split_per_currency():
    rows, fills = two("1.5", "0.5")
    paid = fees(("BNB", "0.04"), ("USDT", "0.4"))
    first, second = candidates(ruled(evidence(rows, [*fills, sell("s1", 2, 600, fees=paid)])))
    assert first.fees == fees(("BNB", "0.03"), ("USDT", "0.3"))
    assert second.fees == fees(("BNB", "0.01"), ("USDT", "0.1"))
    assert first.fee is None
    assert second.fee is None


def test_fees_of_what_others_hold_stay_with_them():
    rows = [entry("e1", 5, 0), exit_("r1", 2, 600, xid="s1")]
    fills = [buy("xe1", 5, 0), sell("s1", 5, 600, fees=fees(("USDT", "1")))]
    (one,) = candidates(ruled(evidence(rows, fills)))
    assert (one.quantity, one.fee) == (dec(3), dec("0.6"))


def test_an_order_that_gains_fills_later_is_claimed_for_the_rest_under_another_id():
    rows, early = [entry("e1", 5, 0)], [buy("xe1", 5, 0), sell("s1", 3, 600)]
    (first,) = candidates(ruled(evidence(rows, early)))
    later = [*early, sell("s1", 2, 660, price="120")]
    (rest,) = candidates(ruled(evidence([*rows, written(first)], later)))
    assert (first.quantity, rest.quantity) == (dec(3), dec(2))
    assert first.order_id != rest.order_id
    assert (first.filled_at, rest.filled_at) == (at(600), at(660))
    assert rest.price == 114  # of the whole order
    assert candidates(ruled(evidence([*rows, written(first), written(rest)], later))) == []


def test_every_claim_says_how_certain_it_is():
    rows, fills = two(5, 2)
    rows.append(exit_("r1", 0, 500, trade="t-2", status="canceled", xid="s2"))
    found = ruled(evidence(rows, [*fills, sell("s1", "4.996", 600), sell("s2", 2, 700)]))
    assert [one.attribution for one in candidates(found)] == [
        Attribution.FIFO,
        Attribution.DUST,
        Attribution.ID_LINK,
    ]
    orders = {
        order["exchange_order_id"]: order["claims"]
        for ruling in found
        for order in ruling.evidence["orders"]
    }
    assert orders["s2"] == [
        {"profile_id": "main", "trade_id": "t-2", "quantity": "2", "attribution": "id_link"}
    ]
    assert BTC.unified == found[0].evidence["market"]


def test_a_lifecycle_closed_whole_tells_its_own_orders_and_the_number_of_the_others():
    rows, fills = two(5, 2)
    found = ruled(evidence(rows, [*fills, sell("s1", 5, 600), sell("s2", 2, 700)]))
    told = [
        ([order["exchange_order_id"] for order in one.evidence["orders"]], one.refusals)
        for one in found
    ]
    assert told == [(["s1"], ()), (["s2"], ())]
    assert [one.evidence["orders_not_shown"] for one in found] == [1, 1]


def test_a_lifecycle_that_stays_open_tells_the_orders_that_it_did_not_get():
    rows, fills = two(5, 2)
    found = ruled(evidence(rows, [*fills, sell("s2", 2, 700)]))
    refused = next(one for one in found if one.refusals)
    assert [order["exchange_order_id"] for order in refused.evidence["orders"]] == ["s2"]


def test_a_filled_row_without_quantity_accounts_for_the_whole_order_that_it_names():
    rows = [
        entry("e1", 5, 0),
        exit_("x1", 5, 90, status="canceled", xid="o1"),
        exit_("x2", None, 100, trade=None, xid="o1"),
    ]
    fills = [buy("xe1", 5, 0), sell("o1", 5, 100)]
    assert claimed(rows[:2], fills) == {"t-1": ["o1 5 id_link"]}
    assert claimed(rows, fills) == {"t-1": []}


def test_a_ledger_stamped_with_year_1_is_decided_on():
    stamped = entry("e1", 5, 0)
    rows = [replace(stamped, filled_at=datetime(1, 1, 1, tzinfo=UTC))]
    assert claimed(rows, [sell("o1", 5, 100)]) == {"t-1": ["o1 5 exact_quantity"]}
