"""What is shared out among lifecycles and profiles: fees to the last unit, and each fill once."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.builders import (
    buy,
    candidates,
    entry,
    evidence,
    exit_,
    fees,
    quantities,
    ruled,
    sell,
)

from unghost.claims import split_fees
from unghost.model import Money

SIZES = st.decimals("0.000001", "99999", places=6)
AMOUNTS = st.decimals("-999", "999", places=11)
PLACES = st.sampled_from([Decimal(1).scaleb(-places) for places in (2, 8, 18)])


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(SIZES, min_size=1, max_size=6),
    amounts=st.lists(AMOUNTS, min_size=1, max_size=3),
    place=PLACES,
)
def test_fees_and_rebates_of_every_currency_sum_to_the_whole(parts, amounts, place):
    paid = tuple(Money(currency=f"C{one}", amount=amount) for one, amount in enumerate(amounts))
    whole = sum(parts, Decimal(0))
    totals = [Decimal(0)] * len(paid)
    offset = Decimal(0)
    for part in parts:
        share = split_fees(paid, whole=whole, offset=offset, part=part, place=place)
        assert share is not None
        totals = [total + one.amount for total, one in zip(totals, share, strict=True)]
        offset += part
    assert totals == [one.amount for one in paid]


def test_a_fee_that_has_no_even_share_is_given_out_whole():
    rows = [entry(f"e{one}", 1, one, trade=f"t-{one}") for one in range(3)]
    fills = [buy(f"xe{one}", 1, one) for one in range(3)]
    found = candidates(
        ruled(evidence(rows, [*fills, sell("s1", 3, 600, fees=fees(("USDT", "-0.1")))]))
    )
    assert len(found) == 3
    assert sum(one.fee for one in found) == Decimal("-0.1")


def test_two_profiles_share_one_order_and_its_fee_without_using_any_of_it_twice():
    rows = [entry("e1", 1, 0), entry("e2", 2, 60, trade="t-2", profile="other")]
    paid = fees(("USDT", "0.1"))
    fills = [buy("xe1", 1, 0), buy("xe2", 2, 60), sell("s1", 3, 600, fees=paid)]
    found = [
        one
        for profile in ("main", "other")
        for one in candidates(ruled(evidence(rows, fills, profile=profile)))
    ]
    given = [(one.key.profile_id, str(one.quantity)) for one in found]
    assert given == [("main", "1"), ("other", "2")]
    assert sum(one.fee for one in found) == Decimal("0.1")


def test_a_recorded_exit_does_not_speak_for_what_a_person_may_have_closed():
    """s2 closed 4 of the lifecycle, which is booked, and 5 that a person had opened by hand."""
    rows = [entry("e1", 5, 0), exit_("r2", 4, 900, xid="s2")]
    fills = [buy("xe1", 5, 0), sell("s1", 1, 600), sell("s2", 9, 900)]
    by_hand = buy("p1", 5, 300)
    assert quantities(ruled(evidence(rows, [*fills, by_hand]))) == {"t-1": []}
    known = [*rows, entry("p1", 5, 300, trade="t-2"), exit_("r3", 5, 900, trade="t-2", xid="s2")]
    fills = [*fills, buy("xp1", 5, 300)]
    assert quantities(ruled(evidence(known, fills)))["t-1"] == ["s1 1 exact_quantity"]


def test_a_recorded_exit_does_not_speak_for_the_exit_of_a_lifecycle_of_dust():
    """s2 closed two, one of them nothing but dust, and lost its row: s1 is all that t-1 lacks."""
    rows = [
        entry("e1", "0.0007", 0, trade="t-dust"),
        entry("e2", 3, 60),
        exit_("r2", 2, 900, xid="s2"),
    ]
    fills = [
        buy("xe1", "0.0007", 0),
        buy("xe2", 3, 60),
        sell("s1", 1, 600),
        sell("s2", "2.0007", 900),
    ]
    given = quantities(ruled(evidence(rows, fills)))
    assert given["t-1"] == ["s1 1 exact_quantity"]
    assert given["t-dust"] == ["s2 0.0007 exact_quantity"]


def test_an_exit_within_the_millisecond_of_its_entry_is_its_exit():
    fills = [
        buy("xe1", 1, 0, fill_id="10"),
        sell("s1", 1, 0, fill_id="11"),
    ]
    assert quantities(ruled(evidence([entry("e1", 1, 0)], fills))) == {
        "t-1": ["s1 1 exact_quantity"]
    }
