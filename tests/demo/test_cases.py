"""Each case of the sample gets the decision and the reason that the demo promises."""

from __future__ import annotations

from decimal import Decimal

import pytest

from unghost.demo.cases import CASES
from unghost.model import Decision

BY_NAME = {case.trade_id: case for case in CASES}


def decided(report, trade_id):
    return sorted((row.decision, row.reason) for row in report.audit if row.trade_id == trade_id)


def rows_of(report, *trade_ids):
    return [row for trade in trade_ids for row in report.audit if row.trade_id == trade]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.trade_id} {case.name}")
class TestEachCase:
    def test_dry_run(self, story, case):
        decision = Decision.DRY_RUN if case.repaired else Decision.NO_GO
        assert decided(story.planned, case.trade_id) == [(decision, one) for one in case.reasons]

    def test_apply(self, story, case):
        decision = Decision.APPLIED if case.repaired else Decision.NO_GO
        assert decided(story.applied, case.trade_id) == [(decision, one) for one in case.reasons]

    def test_ledger_afterwards(self, story, case):
        left = {row["trade_id"]: row["open_qty"] for row in story.scene.ask("1")}
        assert (case.trade_id in left) is not case.repaired

    def test_apply_again(self, story, case):
        decisions = {row.decision for row in rows_of(story.again, case.trade_id)}
        assert decisions == {Decision.SKIP_EXISTING if case.repaired else Decision.NO_GO}


def test_nothing_but_the_cases_is_decided(story):
    named = {case.trade_id for case in CASES}
    for report in (story.planned, story.applied, story.again):
        assert {row.trade_id for row in report.audit} == named


def test_the_apply_writes_the_ids_that_the_dry_run_named(story):
    planned, applied = (
        {row.backfill_order_id for row in report.audit if row.decision is decision}
        for report, decision in (
            (story.planned, Decision.DRY_RUN),
            (story.applied, Decision.APPLIED),
        )
    )
    assert applied == planned
    assert len(applied) == sum(case.rows for case in CASES)


def test_a_manual_close_is_shared_out_with_its_fee(story):
    first, second = rows_of(story.applied, "t-2008", "t-2009")
    assert first.exchange_order_id == second.exchange_order_id
    assert first.price == second.price
    assert (first.filled_qty, second.filled_qty) == (Decimal(15_000), Decimal(5_000))
    assert first.fee + second.fee == sum(
        fill.fee
        for fill in story.scene.sample.world.fills("demo", order_id=first.exchange_order_id)
    )
    assert abs(first.fee - 3 * second.fee) < Decimal("0.000001")


def test_the_rest_of_an_exit_that_was_recorded_short_is_closed(story):
    (row,) = rows_of(story.applied, "t-2004")
    assert (row.filled_qty, row.attribution) == (Decimal(35), "id_link")


def test_an_exit_given_up_too_early_is_known_by_its_client_id(story):
    (row,) = rows_of(story.applied, "t-2019")
    assert (row.filled_qty, row.attribution) == (Decimal(140), "id_link")


def test_fees_in_two_currencies_are_not_summed(story):
    (row,) = rows_of(story.applied, "t-2005")
    assert (row.fee, row.fee_currency) == (None, None)
    assert {fee["currency"] for fee in row.evidence["fees"]} == {"BNB", "USDT"}


def test_a_rebate_stays_negative(story):
    (row,) = rows_of(story.applied, "t-2003")
    assert row.fee < 0


def test_a_short_is_closed_by_buying(story):
    rows = story.scene.sql(
        "SELECT side, upper(position_side) FROM orders"
        " WHERE order_id LIKE 'BFILL-%' AND trade_id = 't-2016'"
    )
    assert rows == [("buy", "SHORT")]


def test_fill_and_dust_close_together_what_was_booked(story):
    rows = rows_of(story.applied, "t-2027")
    assert sum(row.filled_qty for row in rows) == Decimal("250.3")
