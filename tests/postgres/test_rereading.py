"""What a write reads again: short, and yet all that the long way of reading would have told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from tests.postgres.test_ledger_shapes import (
    ENUMS,
    NOON,
    ONE_QUANTITY,
    add,
    batch_of,
    entry_of,
    exit_of,
    ledger_over,
)

from unghost.adapters.postgres import arrays
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.model import Decision, HeldRows, Market, Sought
from unghost.selection import RowFilter, sought

START = NOON - timedelta(hours=1)
TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))


EVERY_COLUMN = {
    "order_id": "e1",
    "profile_id": "main",
    "symbol": "BTCUSDT",
    "trade_id": "7",
    "action": "ENTRY",
    "status": "filled",
    "side": "BUY",
    "position_side": "long",
    "price": 100,
    "fee": 0,
    "filled_at": "2026-02-01 12:00",
    "created_at": "2026-02-01 12:00",
    "updated_at": "2026-02-01 12:00",
}


def btc(**changes: Any) -> Sought:
    """Bitcoin rows since eleven are sure, those of ETH doubtful, orders 77 and x are looked for."""
    fields: dict[str, Any] = {
        "sure": {"BTCUSDT": START},
        "doubtful": frozenset({"ETHUSDT"}),
        "ids": frozenset({"77", "x"}),
        "start_at": START,
    }
    return Sought(**fields | changes)


def held(ledger: PostgresLedger, wanted: Sought, *ignoring: str) -> HeldRows:
    with ledger.writing("desk") as transaction:
        return transaction.held_rows(["main"], sought=wanted, ignoring=set(ignoring))


def the_long_way(ledger: PostgresLedger, wanted: Sought) -> dict[str, tuple[str, str]]:
    rows = ledger.account_rows(
        ["main"],
        symbols={*wanted.sure, *wanted.doubtful},
        start_at=wanted.start_at,
        exchange_ids=wanted.ids,
    )
    return {row.order_id: (row.symbol, row.version) for row in rows}


def the_short_way(found: HeldRows) -> dict[str, tuple[str, str]]:
    sure = {order_id: (symbol, version) for symbol, order_id, version in found.sure}
    others = {row.order_id: (row.symbol, row.version) for row in found.others}
    assert len(sure) + len(others) == len(found.sure) + len(found.others) == len(sure | others)
    return sure | others


def test_of_rows_that_are_sure_only_the_version_is_read(database):
    ledger = ledger_over(database)
    add(database, order_id="in the window")
    add(database, order_id="before it", filled_at=NOON - timedelta(hours=2))
    add(database, order_id="before it, linked", filled_at=NOON - timedelta(hours=2), symbol="SOL")
    add(database, order_id="77", filled_at=NOON - timedelta(hours=2))
    add(database, order_id="timeless", filled_at=..., created_at=None)
    add(database, order_id="of a doubtful name", symbol="ETHUSDT")
    add(database, order_id="canceled", status="canceled")
    add(database, order_id="of another profile", profile_id="other")
    add(database, order_id="own")
    found = held(ledger, btc(), "own")
    assert {order_id for _, order_id, _ in found.sure} == {"in the window", "timeless"}
    assert {row.order_id for row in found.others} == {"77", "of a doubtful name"}
    (linked,) = (row for row in found.others if row.order_id == "77")
    assert linked == ledger.rows_by_order_id(["77"])["77"]


def test_a_row_of_ours_is_found_by_the_order_that_only_the_record_names(database):
    ledger = ledger_over(database, ONE_QUANTITY)
    add(database, quantity=..., qty=Decimal(1), filled_at=NOON)
    candidate = exit_of(symbol="BTCUSDT")
    batch_of(ledger, entry_of(candidate, Decision.PENDING_APPLY))
    with ledger.writing("desk") as transaction:
        transaction.insert_backfills([candidate])
    elsewhere = btc(sure={}, doubtful=frozenset())
    (row,) = held(ledger, elsewhere).others
    assert (row.order_id, row.exchange_order_id) == (candidate.order_id, "77")
    assert held(ledger, elsewhere, candidate.order_id) == HeldRows(sure=(), others=())


@pytest.mark.parametrize("ddl", (ONE_QUANTITY, ENUMS), ids=["naive times", "enums"])
def test_other_ledgers_are_read_the_same(database, ddl):
    ledger = ledger_over(database, ddl)
    row = EVERY_COLUMN | {"qty": 1, "quantity": 1}
    statement = "INSERT INTO orders SELECT (jsonb_populate_record(NULL::orders, %s)).*"
    with database.transaction() as conn:
        conn.execute(statement, (Jsonb(row),))
    assert the_short_way(held(ledger, btc())) == the_long_way(ledger, btc()) != {}
    with ledger.writing("desk") as transaction:
        (life,) = transaction.open_lifecycles(["main"])
        assert transaction.open_versions(["main"], symbols=["BTCUSDT"]) == [
            ("main", "BTCUSDT", "7", "e1", life.rows[0].version)
        ]


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "profile_id": st.sampled_from(["main", "other"]),
            "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
            "trade_id": st.sampled_from(["t1", "t2", None]),
            "action": st.sampled_from(["ENTRY", "EXIT"]),
            "status": st.sampled_from(["filled", "canceled", " Filled", "partially_filled"]),
            "quantity": st.sampled_from([Decimal(1), Decimal("NaN"), None]),
            "exchange_order_id": st.sampled_from(["77", "78", None]),
            "client_order_id": st.sampled_from(["x", None]),
            "filled_at": st.sampled_from([NOON, START, START - timedelta(seconds=1), None]),
            "created_at": st.sampled_from([NOON, None]),
        }
    ),
    max_size=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS)
def test_the_short_way_tells_what_the_long_way_tells(database: Database, rows):
    ledger = ledger_over(database)
    for number, row in enumerate(rows):
        add(database, order_id=f"o{number}", **row)
    assert the_short_way(held(ledger, btc())) == the_long_way(ledger, btc())
    with ledger.writing("desk") as transaction:
        lives = transaction.open_lifecycles(["main", "other"], symbols=["BTCUSDT", "ETHUSDT"])
        versions = transaction.open_versions(["main", "other"], symbols=["BTCUSDT", "ETHUSDT"])
    assert sorted(versions) == sorted(
        (one.key.profile_id, one.key.symbol, one.key.trade_id, row.order_id, row.version)
        for one in lives
        for row in one.rows
    )


# --- which names are sure ----------------------------------------------------------------------


def a_filter(*names: str) -> RowFilter:
    return RowFilter(names=frozenset(names), ids=frozenset(names), start_at=START)


def test_a_name_is_sure_where_it_means_one_market_and_no_other():
    market = Market(unified="A/USDT:USDT", native_id="A", base="A", quote="USDT", spellings=())
    filters = {"A": a_filter("A", "both", "unknown"), "B": a_filter("B", "both")}
    resolved = {"A": market, "B": market, "both": market, "unknown": None}
    wanted = sought(filters, resolved)
    assert wanted.sure == {"A": START, "B": START}
    assert wanted.doubtful == {"both", "unknown"}
    assert wanted.ids == {"A", "B", "both", "unknown"}


# --- long arrays -------------------------------------------------------------------------------


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(TEXTS))
def test_an_array_of_texts_arrives_as_it_was(database: Database, values):
    with database.transaction() as conn:
        (row,) = conn.execute("SELECT %s::text[] AS found", (arrays.texts(values),)).fetchall()
    assert row["found"] == values


def test_arrays_of_numbers_and_times_arrive_as_they_were(database):
    numbers = [Decimal("1.50"), None, Decimal("1E-30"), Decimal("NaN"), 7]
    times = [NOON, NOON + timedelta(microseconds=1)]
    with database.transaction() as conn:
        (row,) = conn.execute(
            "SELECT %s::numeric[] AS numbers, %s::timestamptz[] AS times",
            (arrays.numbers(numbers), arrays.times(times)),
        ).fetchall()
    assert list(map(str, row["numbers"])) == ["1.50", "None", "1E-30", "NaN", "7"]
    assert row["times"] == times
