"""On spot a fee taken in the asset itself was booked as bought, and never held: it is no ghost."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.builders import (
    BTC,
    SPOT,
    buy,
    candidates,
    dec,
    entry,
    evidence,
    exit_,
    fees,
    lifecycles_of,
    only,
    planned,
    quantities,
    reasons,
    ruled,
    sell,
    written,
)

from unghost.confront import pin
from unghost.model import Reason, Rules

BOUGHT = "51.30696933"
LEFT = "0.30696933"
IN_BTC = fees(("BTC", LEFT))
IN_USDT = fees(("USDT", "5.1"))


def spot(rows, fills):
    fills = [replace(one, market=SPOT.unified) for one in fills]
    return evidence(rows, fills, market=SPOT)


def ghost(fee, *, sold="51"):
    return spot(
        [entry("e1", BOUGHT, 0)],
        [buy("xe1", BOUGHT, 0, fees=fee), sell("s1", sold, 600, fees=IN_USDT)],
    )


def test_without_a_fee_in_the_asset_the_remainder_stays_open():
    rulings = ruled(ghost(IN_USDT))
    assert quantities(rulings) == {"t-1": ["s1 51 fifo"]}
    assert reasons(rulings) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}
    assert only(rulings).refusals[0].quantity == dec(LEFT)


def test_the_fee_explains_the_remainder():
    rulings = ruled(ghost(IN_BTC))
    assert quantities(rulings) == {"t-1": ["s1 51 exact_quantity", f"DUST {LEFT} base_fee"]}
    assert reasons(rulings) == {"t-1": []}
    fee = candidates(rulings)[-1]
    assert (fee.reason, fee.fee, fee.price) == (Reason.BASE_FEE_REMAINDER, None, dec(110))
    assert only(rulings).evidence["kept_as_fee"] == LEFT


@pytest.mark.parametrize("told", (None, (), fees(("BNB", LEFT)), fees(("BTC", "-0.30696933"))))
def test_a_fee_that_is_not_told_or_not_taken_explains_nothing(told):
    rulings = ruled(ghost(told))
    assert reasons(rulings) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}
    assert sum(one.quantity for one in candidates(rulings)) == 51


def test_a_fee_explains_no_more_than_itself():
    rulings = ruled(ghost(fees(("BTC", "0.1"))))
    (refusal,) = only(rulings).refusals
    assert refusal.reason is Reason.MISSING_FILL_EVIDENCE
    assert refusal.quantity == dec(LEFT)
    assert "0.1 that fees took of the asset itself" in refusal.sentence


def test_a_swap_has_no_fee_in_the_asset():
    found = evidence(
        [entry("e1", BOUGHT, 0)], [buy("xe1", BOUGHT, 0, fees=IN_BTC), sell("s1", "51", 600)]
    )
    assert BTC.spot is False
    assert Reason.MISSING_FILL_EVIDENCE in reasons(ruled(found))["t-1"]


def test_a_recorded_exit_leaves_only_the_fee():
    found = spot(
        [entry("e1", BOUGHT, 0), exit_("s1", "51", 600)],
        [buy("xe1", BOUGHT, 0, fees=IN_BTC), sell("xs1", "51", 600)],
    )
    assert quantities(ruled(found)) == {"t-1": [f"DUST {LEFT} base_fee"]}


def test_a_ledger_that_books_what_came_in_has_the_fee_off_already():
    rows = [entry("e1", "51", 0)]
    found = spot(rows, [buy("xe1", BOUGHT, 0, fees=IN_BTC), sell("s1", "51", 600)])
    assert quantities(ruled(found)) == {"t-1": ["s1 51 exact_quantity"]}
    short = spot(rows, [buy("xe1", BOUGHT, 0, fees=IN_BTC), sell("s1", "50.5", 600)])
    assert reasons(ruled(short)) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}


def test_a_purchase_beyond_the_fee_is_still_unknown_to_the_ledger():
    found = spot(
        [entry("e1", "51", 0)], [buy("xe1", "52", 0, fees=IN_BTC), sell("s1", "51.5", 600)]
    )
    assert reasons(ruled(found)) == {"t-1": [Reason.AMBIGUOUS_ATTRIBUTION]}


def test_only_a_row_that_names_its_order_has_the_fee_of_it():
    found = spot(
        [entry("e1", BOUGHT, 0, xid=None)],
        [buy("xe1", BOUGHT, 0, fees=IN_BTC), sell("s1", "51", 600)],
    )
    assert reasons(ruled(found)) == {"t-1": [Reason.MISSING_FILL_EVIDENCE]}


def test_a_fee_on_the_way_out_counts_as_well():
    found = spot(
        [entry("e1", "10", 0)],
        [buy("xe1", "10", 0), sell("s1", "9.9", 600, fees=fees(("BTC", "0.1")))],
    )
    assert quantities(ruled(found)) == {"t-1": ["s1 9.9 fifo", "DUST 0.1 base_fee"]}


def test_two_lifecycles_of_one_order_share_its_fee():
    rows = [
        entry("e1", "30", 0, xid="x1"),
        entry("e2", "10", 1, xid="x1", trade="t-2"),
    ]
    found = spot(
        rows,
        [
            buy("x1", "40", 0, fees=fees(("BTC", "0.4"))),
            sell("s1", "29.7", 600),
            sell("s2", "9.9", 700),
        ],
    )
    assert quantities(ruled(found)) == {
        "t-1": ["s1 29.7 exact_quantity", "DUST 0.3 base_fee"],
        "t-2": ["s2 9.9 exact_quantity", "DUST 0.1 base_fee"],
    }


def test_the_plan_drifts_when_the_fee_does():
    before, after = (ruled(ghost(fees(("BTC", fee)))) for fee in (LEFT, "0.31"))
    plan = [planned(one) for one in candidates(before)]
    pinned, gone = pin(after, plan)
    assert Reason.PLAN_DRIFT in reasons(pinned)["t-1"]
    assert gone == ()


# The invariants, on spot ------------------------------------------------------------------------

AMOUNTS = st.decimals(min_value="0.01", max_value="60", places=3)
RATES = st.sampled_from([dec("0"), dec("0.001"), dec("0.004"), dec("0.01")])
TRADES = st.lists(st.tuples(AMOUNTS, RATES, st.booleans(), st.booleans()), min_size=1, max_size=4)


def world(trades):
    """Each trade buys, loses its fee, and sells what is left; some exits are in the ledger."""
    rows, fills = [], []
    for number, (amount, rate, told, recorded) in enumerate(trades):
        name, fee = f"e{number}", amount * rate
        fee_told = fees(("BTC", str(fee))) if told else None
        fills.append(buy(f"x{name}", amount, 100 * number, fees=fee_told))
        fills.append(sell(f"xs{number}", amount - fee, 100 * number + 50))
        rows.append(entry(name, amount, 100 * number, trade=f"t-{number}"))
        if recorded:
            seconds = 100 * number + 50
            rows.append(exit_(f"s{number}", amount - fee, seconds, trade=f"t-{number}"))
    return rows, fills


@settings(deadline=None, max_examples=40)
@given(trades=TRADES)
def test_closed_by_us_is_what_was_sold_and_what_fees_took(trades):
    rows, fills = world(trades)
    found = candidates(ruled(spot(rows, fills)))
    kept = sum((fee.amount for one in fills for fee in one.fees or ()), Decimal(0))
    fee_rows = [one for one in found if one.reason is Reason.BASE_FEE_REMAINDER]
    dust = Rules().dust_rel_pct * sum((one.quantity or 0 for one in rows), Decimal(0))
    assert sum((one.quantity for one in fee_rows), Decimal(0)) <= kept + dust
    sold = sum((one.quantity for one in fills if one.side == "sell"), Decimal(0))
    recorded = sum((one.quantity or 0 for one in rows if one.action == "EXIT"), Decimal(0))
    by_fills = (one.quantity for one in found if one.reason is Reason.FILL_EVIDENCE)
    assert sum(by_fills, Decimal(0)) + recorded <= sold + Rules().dust_abs_qty


@settings(deadline=None, max_examples=40)
@given(trades=TRADES, which=st.integers(0, 99))
def test_less_evidence_of_a_fee_never_closes_more(trades, which):
    rows, fills = world(trades)
    place = which % len(fills)
    untold = [replace(one, fees=None) if n == place else one for n, one in enumerate(fills)]
    before, after = (candidates(ruled(spot(rows, told))) for told in (fills, untold))
    assert sum(one.quantity for one in after) <= sum(one.quantity for one in before)


@settings(deadline=None, max_examples=40)
@given(trades=TRADES)
def test_what_was_applied_is_closed_and_stays_so(trades):
    rows, fills = world(trades)
    first = candidates(ruled(spot(rows, fills)))
    after = (*rows, *map(written, first))
    assert candidates(ruled(spot(after, fills))) == []
    closed = {one.key for one in lifecycles_of(rows)} - {one.key for one in lifecycles_of(after)}
    refused = {one.lifecycle.key for one in ruled(spot(rows, fills)) if one.refusals}
    assert closed == {one.key for one in lifecycles_of(rows)} - refused


@settings(deadline=None, max_examples=40)
@given(trades=TRADES)
def test_where_every_fee_is_told_everything_comes_out(trades):
    told = [(amount, rate, True, recorded) for amount, rate, _, recorded in trades]
    assert [one for ruling in ruled(spot(*world(told))) for one in ruling.refusals] == []
