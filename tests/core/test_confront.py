"""What exists already: the same row is skipped, another one under its id is a conflict for both."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.core.builders import (
    ETH,
    buy,
    candidates,
    entry,
    evidence,
    only,
    reasons,
    ruled,
    sell,
    written,
)

from unghost.confront import confront
from unghost.model import Reason, Rules

ONE = evidence([entry("e1", 1, 0)], [buy("xe1", 1, 0), sell("s1", 1, 600)])


def test_a_standing_row_is_skipped_and_a_rolled_back_one_too():
    rulings = ruled(ONE)
    (found,) = candidates(rulings)
    for status, reason in (
        ("filled", Reason.BACKFILL_EXISTS),
        ("canceled", Reason.BACKFILL_ROLLED_BACK),
    ):
        confronted = only(confront(rulings, {found.order_id: written(found, status=status)}))
        assert (confronted.candidates, confronted.refusals) == ((), ())
        assert [skip.reason for skip in confronted.skips] == [reason]


@pytest.mark.parametrize(
    "other",
    (
        {"quantity": Decimal(2)},
        {"price": Decimal(1)},
        {"profile_id": "b"},
        {"symbol": "ETHUSDT"},
        {"trade_id": "t-9"},
        {"action": "ENTRY"},
    ),
    ids=lambda other: next(iter(other)),
)
def test_failures_14_an_id_that_holds_something_else_is_a_conflict(other):
    rulings = ruled(ONE)
    (found,) = candidates(rulings)
    row = replace(written(found), **other)
    confronted = confront(rulings, {found.order_id: row})
    assert candidates(confronted) == []
    assert reasons(confronted) == {"t-1": [Reason.ORDER_ID_CONFLICT]}


def test_two_candidates_of_one_batch_with_one_id_are_both_refused():
    """The formula has no symbol: the same trade_id and order id on two markets collide."""
    here = [entry("e1", 1, 0), entry("e2", 1, 0, symbol="ETHUSDT")]
    there = [buy("xe2", 1, 0, market=ETH), sell("s1", 1, 600, market=ETH)]
    rulings = ruled(
        evidence(here, [buy("xe1", 1, 0), sell("s1", 1, 600)]),
        evidence(here, there, market=ETH),
    )
    first, second = candidates(rulings)
    assert first.order_id == second.order_id
    confronted = confront(rulings, {})
    assert candidates(confronted) == []
    assert [one.reason for ruling in confronted for one in ruling.refusals] == [
        Reason.ORDER_ID_CONFLICT,
        Reason.ORDER_ID_CONFLICT,
    ]


def test_what_the_column_cannot_hold_is_cut_and_never_rounded_up():
    rows, fills = [entry("e1", "1.0", 0)], [buy("xe1", 1, 0), sell("s1", "0.99", 600)]
    ruling = only(ruled(evidence(rows, fills), rules=Rules(quantity_scale=1)))
    assert [one.quantity for one in ruling.candidates] == [Decimal("0.9")]
    assert [one.reason for one in ruling.refusals] == [Reason.MISSING_FILL_EVIDENCE]
