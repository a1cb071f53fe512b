"""The arithmetic that must come out, row by row of the defects found elsewhere.

What is about reading pages is tested where pages are read, in tests/exchange/test_reading_fills.py:
three thousand fills with several in one millisecond at a page's edge by
`test_failures_7_no_fill_is_lost_and_no_page_is_read_in_vain`, a fill told twice by
`test_the_same_fill_told_twice_counts_once` and, with other contents, by
`test_the_same_fill_with_other_contents_is_incomplete`. The cross-check of contracts against their
cost is in tests/exchange/test_strict.py.
"""

import gc
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.builders import (
    NOW,
    PAUSED,
    buy,
    candidates,
    dec,
    entry,
    evidence,
    exit_,
    fees,
    only,
    position,
    quantities,
    reasons,
    ruled,
    sell,
    written,
)

from unghost.claims import split_fees
from unghost.decide import decide
from unghost.flows import split
from unghost.model import Reason, Rules

CENT = Decimal("0.01")


def test_two_entries_and_one_close_of_both_are_one_exit():
    rows = [entry("e1", 5, 0, price=100), entry("e2", 5, 60, price=101)]
    fills = [buy("xe1", 5, 0), buy("xe2", 5, 60, price="101"), sell("s1", 10, 600)]
    rulings = ruled(evidence(rows, fills))
    assert quantities(rulings) == {"t-1": ["s1 10 exact_quantity"]}
    assert reasons(rulings) == {"t-1": []}


def test_one_close_over_two_lifecycles_splits_its_fee():
    rows = [entry("e1", "1.5", 0, trade="t-1"), entry("e2", "0.5", 60, trade="t-2")]
    fills = [
        buy("xe1", "1.5", 0),
        buy("xe2", "0.5", 60),
        sell("s1", "2.0", 600, price="3200", fees=fees(("USDT", "4.0"))),
    ]
    first, second = candidates(ruled(evidence(rows, fills)))
    assert (first.quantity, first.fee, first.price) == (dec("1.5"), dec("3.0"), dec(3200))
    assert (second.quantity, second.fee, second.price) == (dec("0.5"), dec("1.0"), dec(3200))
    assert {first.exchange_order_id, second.exchange_order_id} == {"s1"}
    assert {first.fee_currency, second.fee_currency} == {"USDT"}


def test_two_closes_of_one_lifecycle_are_two_exits_at_their_own_prices():
    fills = [
        buy("xe1", "0.432", 0, price="2315.70"),
        sell("s1", "0.216", 600, price="2325.19"),
        sell("s2", "0.216", 700, price="2329.93"),
    ]
    found = candidates(ruled(evidence([entry("e1", "0.432", 0, price="2315.70")], fills)))
    assert [(one.quantity, one.price) for one in found] == [
        (dec("0.216"), dec("2325.19")),
        (dec("0.216"), dec("2329.93")),
    ]
    gross = sum((one.quantity * (one.price - dec("2315.70")) for one in found), Decimal(0))
    assert gross.quantize(CENT) == dec("5.12")


def test_a_close_beyond_what_is_open_stays_unclaimed():
    rulings = ruled(evidence([entry("e1", 10, 0)], [buy("xe1", 10, 0), sell("s1", 15, 600)]))
    assert [(one.quantity, one.remainder_qty) for one in candidates(rulings)] == [(dec(10), dec(0))]
    (order,) = only(rulings).evidence["orders"]
    assert (order["filled"], order["unclaimed"]) == ("15", "5")


def test_failures_8_a_ledger_in_contracts_is_closed_in_contracts():
    """12 contracts of size 100 at 0.03881 are 1200 base units for 46.572."""
    fills = [buy("xe1", 1200, 0, price="0.03"), sell("s1", 1200, 600, price="0.03881")]
    rulings = ruled(evidence([entry("e1", 12, 0)], fills, unit=Decimal(100)))
    (one,) = candidates(rulings)
    assert (one.quantity, one.open_qty) == (dec(12), dec(12))
    assert one.quantity * 100 * one.price == dec("46.572")
    (order,) = only(rulings).evidence["orders"]
    assert order["filled"] == "1200"


def test_contracts_and_base_units_are_never_mixed():
    """Read as base units, 12 contracts would be covered by a hundredth of their close."""
    rulings = ruled(
        evidence(
            [entry("e1", 12, 0)], [buy("xe1", 1200, 0), sell("s1", 12, 600)], unit=Decimal(100)
        )
    )
    assert [one.quantity for one in candidates(rulings)] == [dec("0.12")]
    assert reasons(rulings) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}
    assert only(rulings).refusals[0].quantity == dec("11.88")


def test_failures_18_fees_of_several_currencies_stay_apart():
    fills = [
        sell("s1", 1, 600, fees=fees(("BNB", "0.05"))),
        sell("s1", 1, 601, fees=fees(("BNB", "0.05"))),
        sell("s1", 1, 602, fees=fees(("USDT", "0.06"))),
    ]
    (one,) = candidates(ruled(evidence([entry("e1", 3, 0)], [buy("xe1", 3, 0), *fills])))
    assert one.fees == fees(("BNB", "0.10"), ("USDT", "0.06"))
    assert (one.fee, one.fee_currency) == (None, None)


def test_failures_18_an_unknown_fee_stays_unknown():
    fills = [sell("s1", 1, 600, fees=fees(("USDT", "1"))), sell("s1", 1, 601, fees=None)]
    (one,) = candidates(ruled(evidence([entry("e1", 2, 0)], [buy("xe1", 2, 0), *fills])))
    assert (one.fees, one.fee, one.fee_currency) == (None, None, None)


def test_fees_of_one_currency_are_summed():
    fills = [sell("s1", 1, at, fees=fees(("BNB", "0.05"))) for at in (600, 601)]
    (one,) = candidates(ruled(evidence([entry("e1", 2, 0)], [buy("xe1", 2, 0), *fills])))
    assert (one.fee, one.fee_currency) == (dec("0.10"), "BNB")


def test_a_rebate_stays_negative():
    fills = [sell("s1", 2, 600, fees=fees(("USDT", "-0.5")))]
    (one,) = candidates(ruled(evidence([entry("e1", 2, 0)], [buy("xe1", 2, 0), *fills])))
    assert (one.fee, one.fee_currency) == (dec("-0.5"), "USDT")


def test_a_remainder_above_the_dust_stays_open():
    fills = [buy("xe1", "51.30696933", 0), sell("s1", 51, 600)]
    rulings = ruled(evidence([entry("e1", "51.30696933", 0)], fills))
    assert [one.quantity for one in candidates(rulings)] == [51]
    assert reasons(rulings) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}
    assert only(rulings).refusals[0].quantity == dec("0.30696933")


@pytest.mark.parametrize(
    ("opened", "closed", "is_dust"),
    (
        ("0.001", "0", True),
        ("0.0010001", "0", False),
        ("0.4", "0.399", True),  # the absolute threshold, 0.001
        ("0.4", "0.3989", False),
        ("10", "9.98", True),  # the relative threshold, 0.2 %
        ("10", "9.9799", False),
    ),
)
def test_dust_is_the_larger_of_both_thresholds(opened, closed, is_dust):
    fills = [buy("xe1", opened, 0), *([sell("s1", closed, 600)] if dec(closed) else [])]
    rulings = ruled(evidence([entry("e1", opened, 0)], fills))
    total = sum((one.quantity for one in candidates(rulings)), Decimal(0))
    assert total == (dec(opened) if is_dust else dec(closed))
    assert reasons(rulings) == {"t-1": [] if is_dust else [Reason.MISSING_FILL_EVIDENCE]}


def test_failures_22_dust_is_counted_in_base_units_and_never_in_money():
    """34 of a coin for a hundredth of a cent is no dust; 0.0009 of a bitcoin is, and is 90 USD."""
    cheap = ruled(evidence([entry("e1", 34, 0, price="0.0001")], []))
    assert candidates(cheap) == []
    assert reasons(cheap) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}
    dear = ruled(evidence([entry("e1", "0.0009", 0, price=100_000)], []))
    assert [one.reason for one in candidates(dear)] == [Reason.DUST_REMAINDER]


def test_failures_22_dust_of_a_ledger_in_contracts_is_base_units_too():
    """A thousandth of a contract of size 100 is a tenth of a coin: above the threshold."""
    rulings = ruled(evidence([entry("e1", "0.001", 0)], [], unit=Decimal(100)))
    assert candidates(rulings) == []
    assert reasons(rulings) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}


def test_failures_17_the_price_is_that_of_the_claims():
    """Neither the entry's price nor any other: two fills of one order, and dust at the same."""
    closings = [sell("s1", 6, 600, price="110"), sell("s1", "3.99", 601, price="120")]
    fills = [buy("xe1", 10, 0), *closings]
    claim, dust = candidates(ruled(evidence([entry("e1", 10, 0, price=100)], fills)))
    vwap = (6 * dec(110) + dec("3.99") * 120) / dec("9.99")
    assert (claim.price, dust.price) == (vwap.quantize(Decimal("1E-18")),) * 2
    assert (claim.quantity, dust.quantity) == (dec("9.99"), dec("0.01"))


def test_failures_17_a_recorded_part_leaves_the_rest_at_the_whole_orders_price():
    closings = [sell("s1", 4, 600, price="110"), sell("s1", 6, 601, price="120")]
    fills = [buy("xe1", 10, 0), *closings]
    rows = [entry("e1", 10, 0), exit_("r1", 4, 600, xid="s1", price=110)]
    (one,) = candidates(ruled(evidence(rows, fills)))
    assert (one.quantity, one.price) == (dec(6), dec(116))


def test_a_price_is_rounded_half_even_to_the_columns_scale():
    closings = [sell("s1", 1, 600, price="1.25"), sell("s1", 1, 601, price="1.20")]
    fills = [buy("xe1", 2, 0), *closings]
    rows = [entry("e1", 2, 0)]
    prices = [
        candidates(ruled(evidence(rows, fills), rules=Rules(price_scale=scale)))[0].price
        for scale in (None, 3, 2)
    ]
    assert prices == [dec("1.225"), dec("1.225"), dec("1.22")]


def test_a_fill_that_crosses_zero_leaves_each_side_its_share_of_the_fee():
    """A third of 0.10 has no end: it is cut where a price would be, and nothing is lost."""
    paid = fees(("USDT", "0.10"))
    fills = [buy("xe1", 1, 0), sell("s1", 3, 600, fees=paid), buy("b1", 2, 900)]
    closing, opening = (one for one in split(fills, position(), spot=False) if one.fill.fees)
    assert (closing.closing, opening.closing) == (True, False)
    assert closing.share_of(dec("0.10")) == dec("0.033333333333333333")
    assert closing.share_of(dec("0.10")) + opening.share_of(dec("0.10")) == dec("0.10")
    (one,) = candidates(ruled(evidence([entry("e1", 1, 0)], fills)))
    assert (one.fee, one.fee_currency) == (dec("0.033333333333333333"), "USDT")


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=6),
    fee=st.decimals("-100", "100", places=8),
    places=st.integers(0, 12),
)
def test_the_parts_of_a_fee_sum_exactly_to_the_whole(parts, fee, places):
    whole, offset, total = Decimal(sum(parts)), Decimal(0), Decimal(0)
    for part in map(Decimal, parts):
        (share,) = split_fees(
            fees(("USDT", str(fee))),
            whole=whole,
            offset=offset,
            part=part,
            place=Decimal(1).scaleb(-places),
        )
        offset += part
        total += share.amount
    assert total == fee


def test_a_part_that_is_claimed_later_gets_what_is_left_of_the_fee():
    """Written in two runs, because the second lifecycle was stopped in the first."""
    rows = [entry("e1", 1, 0, trade="t-1"), entry("e2", 2, 1, trade="t-2")]
    closing = sell("s1", 3, 600, fees=fees(("USDT", "0.10")))
    fills = [buy("xe1", 1, 0), buy("xe2", 2, 1), closing]
    rules = Rules(fee_scale=2)
    first, second = candidates(ruled(evidence(rows, fills), rules=rules))
    later = candidates(ruled(evidence([*rows, written(first)], fills), rules=rules))
    assert (first.fee, second.fee) == (dec("0.03"), dec("0.07"))
    assert [(one.order_id, one.fee) for one in later] == [(second.order_id, dec("0.07"))]


def test_the_shares_lie_side_by_side_after_what_the_ledger_holds():
    """0.10 over three: 0.03, 0.04, 0.03. The first is the bot's; ours are the others."""
    rows = [
        exit_("r1", 1, 600, trade="t-9", xid="s1"),
        entry("e1", 1, 0, trade="t-1"),
        entry("e2", 1, 1, trade="t-2"),
    ]
    closing = sell("s1", 3, 600, fees=fees(("USDT", "0.10")))
    fills = [buy("xe1", 1, 0), buy("xe2", 1, 1), closing]
    found = candidates(ruled(evidence(rows, fills), rules=Rules(fee_scale=2)))
    assert [one.fee for one in found] == [dec("0.04"), dec("0.03")]


@pytest.mark.parametrize("was_on", (True, False))
def test_deciding_leaves_the_collector_as_it_was(was_on):
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        decide((), pause=PAUSED, rules=Rules(), now=NOW)
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()
