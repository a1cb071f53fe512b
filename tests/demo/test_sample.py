"""The sample is the same each time, looks like a bot's week, and holds what the cases promise."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from unghost.demo.cases import CASES, WRONGLY_CLOSED_TWICE
from unghost.demo.sample import ACCOUNT, build_sample, sample_rows
from unghost.demo.world import PositionSide
from unghost.model import FILLED_STATUSES, Reason

NOW = datetime(2026, 2, 1, 12, 34, 56, 789_123, tzinfo=UTC)
OPEN_ON_THE_EXCHANGE = {"t-2011", "t-2013", "t-2014"}


@pytest.fixture(scope="module")
def sample():
    return build_sample(NOW)


@pytest.fixture(scope="module")
def rows(sample):
    return sample.rows()


def counted(rows, action):
    totals = defaultdict(Decimal)
    for row in rows:
        if row["action"] == action and row["status"] in FILLED_STATUSES:
            quantity = row["qty"] if row["quantity"] is None else row["quantity"]
            totals[row["symbol"], row["trade_id"]] += quantity or 0
    return totals


def test_the_same_now_gives_the_same_sample(sample):
    again = build_sample(NOW)
    assert again.rows() == sample.rows() == sample_rows(NOW)
    assert again.world.to_json() == sample.world.to_json()


def test_a_later_now_moves_the_times_and_nothing_else(rows):
    later = timedelta(days=3, seconds=1)
    for row, moved in zip(rows, sample_rows(NOW + later), strict=True):
        for name, value in row.items():
            if isinstance(value, datetime):
                assert moved[name] == value + later
            elif name != "exchange_order_id":  # rises with time, as at an exchange
                assert moved[name] == value, name


def test_times_are_aware_and_in_whole_milliseconds(rows):
    times = [value for row in rows for value in row.values() if isinstance(value, datetime)]
    assert all(one.tzinfo is not None and one.microsecond % 1000 == 0 for one in times)
    assert max(times) <= NOW


def test_it_is_a_bot_of_some_size(rows):
    trades = {row["trade_id"] for row in rows} - {None}
    assert 120 <= len(trades) <= 150
    assert len({row["symbol"] for row in rows}) >= 12
    assert len({row["order_id"] for row in rows}) == len(rows)


def test_its_rows_are_as_untidy_as_real_ones(rows):
    assert {(row["quantity"] is None, row["qty"] is None) for row in rows} == {
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    }
    assert {row["fee_currency"] for row in rows} == {"USDT", "BNB", None}
    assert {*FILLED_STATUSES, "canceled", "expired", "new", "failed"} <= {
        row["status"] for row in rows
    }
    ids = {(row["exchange_order_id"] is None, row["client_order_id"] is None) for row in rows}
    assert len(ids) == 4
    assert sum(row["trade_id"] is None for row in rows) > 3


def test_prices_stay_near_the_market(sample, rows):
    for row in rows:
        if row["price"] is not None:
            reference = sample.world.market(row["symbol"]).reference_price
            assert reference / 2 < row["price"] < reference * 2


def test_only_cases_are_open_in_the_ledger(rows):
    entries, exits = counted(rows, "ENTRY"), counted(rows, "EXIT")
    open_trades = {key[1] for key in entries if key[1] and entries[key] > exits[key]}
    assert open_trades == {case.trade_id for case in CASES}
    over_closed = {key[1] for key in exits if key[1] and exits[key] > entries[key]}
    assert over_closed == {WRONGLY_CLOSED_TWICE}


def test_only_what_is_said_to_be_open_is_open_on_the_exchange(sample):
    held = {
        (one.symbol[:4].rstrip("/"), one.position_side) for one in sample.world.positions(ACCOUNT)
    }
    said = {(case.base, case.side) for case in CASES if case.trade_id in OPEN_ON_THE_EXCHANGE}
    assert held == said


def test_the_hedge_pair_nets_to_zero(sample):
    pair = [one for one in sample.world.positions(ACCOUNT) if one.symbol.startswith("ADA")]
    assert {one.position_side for one in pair} == {PositionSide.LONG, PositionSide.SHORT}
    assert sum(one.quantity for one in pair) == 0


def test_a_good_half_of_the_ghosts_can_be_repaired():
    ghosts = [case for case in CASES if case.trade_id not in OPEN_ON_THE_EXCHANGE]
    assert sum(case.repaired for case in ghosts) > len(ghosts) / 2
    assert 10 <= sum(case.rows for case in CASES) <= 14


def test_the_cases_show_every_reason_that_a_sample_can_show():
    assert {reason for case in CASES for reason in case.reasons} == {
        Reason.FILL_EVIDENCE,
        Reason.DUST_REMAINDER,
        Reason.EXCHANGE_NOT_FLAT,
        Reason.PENDING_LIFECYCLE_BLOCKER,
        Reason.RECENT_ACTIVITY,
        Reason.MISSING_FILL_EVIDENCE,
        Reason.AMBIGUOUS_ATTRIBUTION,
        Reason.INVALID_LEDGER_ROW,
    }


def test_a_symbol_that_is_open_holds_no_case_that_is_repaired():
    open_symbols = {case.base for case in CASES if case.trade_id in OPEN_ON_THE_EXCHANGE}
    assert not [case for case in CASES if case.base in open_symbols and case.repaired]
