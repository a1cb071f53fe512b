"""What the ledger says, next to the checklist's own SQL, on rows of every kind."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow
from tests.postgres.test_ledger_shapes import (
    NOON,
    STANDARD,
    add,
    apply,
    batch_of,
    entry_of,
    exit_of,
    ledger_over,
    table,
)

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.indexes import create_indexes
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.model import Decision, LifecycleKey

DETECT = """
WITH lifecycle AS (
SELECT
profile_id,
symbol,
trade_id,
SUM(CASE WHEN action = 'ENTRY' THEN COALESCE(quantity, qty, 0) ELSE 0 END) AS entry_qty,
SUM(CASE WHEN action = 'EXIT' THEN COALESCE(quantity, qty, 0) ELSE 0 END) AS exit_qty
FROM orders
WHERE profile_id = '<<PROFILE_ID>>'
AND status IN ('filled', 'partially_filled', 'partially-filled')
AND trade_id IS NOT NULL
GROUP BY profile_id, symbol, trade_id
)
SELECT
profile_id,
symbol,
trade_id,
entry_qty,
exit_qty,
(entry_qty - exit_qty) AS open_qty
FROM lifecycle
WHERE (entry_qty - exit_qty) > 0
ORDER BY symbol, trade_id;
"""


def answer_of_the_checklist(database: Database, profile_id: str = "main") -> list[tuple[Any, ...]]:
    rows = table(database, DETECT.replace("<<PROFILE_ID>>", profile_id))
    return [
        (
            LifecycleKey(
                profile_id=row["profile_id"], symbol=row["symbol"] or "", trade_id=row["trade_id"]
            ),
            [str(row[name]) for name in ("entry_qty", "exit_qty", "open_qty")],
        )
        for row in rows
    ]


def our_answer(ledger: PostgresLedger, *profiles: str) -> list[tuple[Any, ...]]:
    return [
        (one.key, [str(value) for value in (one.entry_qty, one.exit_qty, one.open_qty)])
        for one in ledger.open_lifecycles(profiles or ["main"])
    ]


# --- the checklist -----------------------------------------------------------------------------

numbers = st.one_of(
    st.none(),
    st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal(0)]),
    st.decimals(-5, 5, allow_nan=False, places=3),
)
rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {
            "profile_id": st.sampled_from(["main", "other"]),
            "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT", None, ""]),
            "trade_id": st.sampled_from(["t1", "t2", "", None]),
            "action": st.sampled_from(["ENTRY", "ENTRY", "EXIT", "entry", "HOLD", None]),
            "status": st.sampled_from(
                ["filled", "filled", "FILLED", "partially_filled", "partially-filled", "new", None]
            ),
            "quantity": numbers,
            "qty": numbers,
        }
    ),
    max_size=12,
)


@given(rows=rows_of_any_kind)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_open_lifecycles_are_those_of_the_checklist(database, rows):
    ledger = _kept_ledger(database)
    with database.transaction() as conn:
        conn.execute("TRUNCATE orders")
    for number, row in enumerate(rows):
        add(database, order_id=f"o{number}", **row)
    assert our_answer(ledger) == answer_of_the_checklist(database)
    for lifecycle in ledger.open_lifecycles(["main", "other"]):
        key = lifecycle.key
        assert len(lifecycle.rows) == sum(
            (row["profile_id"], row["trade_id"]) == (key.profile_id, key.trade_id) for row in rows
        )


_LEDGERS: dict[int, PostgresLedger] = {}


def _kept_ledger(database: Database) -> PostgresLedger:
    """One table for all examples: hypothesis calls the test, not the fixture, for each."""
    if id(database) not in _LEDGERS:
        _LEDGERS.clear()
        _LEDGERS[id(database)] = ledger_over(database)
    return _LEDGERS[id(database)]


def test_a_sum_that_is_not_a_number_is_open_and_seen(database):
    ledger = ledger_over(database)
    add(database, quantity=Decimal("NaN"))
    (lifecycle,) = ledger.open_lifecycles(["main"])
    assert lifecycle.open_qty.is_nan()
    assert lifecycle.rows[0].quantity is not None
    assert lifecycle.rows[0].quantity.is_nan()


def test_quantity_comes_before_qty_and_null_stays_null(database):
    ledger = ledger_over(database)
    add(database, quantity=Decimal(2), qty=Decimal(7))
    add(database, order_id="e2", quantity=None, qty=Decimal("0.50"))
    add(database, order_id="e3", quantity=None, qty=None)
    (lifecycle,) = ledger.open_lifecycles(["main"])
    assert lifecycle.open_qty == Decimal("2.5")
    assert [row.quantity for row in lifecycle.rows] == [Decimal(2), Decimal("0.50"), None]


def test_only_the_symbols_asked_for_but_all_rows_of_their_trade(database):
    ledger = ledger_over(database)
    add(database)
    add(database, order_id="e2", symbol="ETHUSDT", trade_id="t2")
    add(database, order_id="e3", symbol="XRPUSDT", status="new")
    (lifecycle,) = ledger.open_lifecycles(["main"], symbols={"BTCUSDT"})
    assert lifecycle.key == LifecycleKey(profile_id="main", symbol="BTCUSDT", trade_id="t1")
    assert [row.order_id for row in lifecycle.rows] == ["e1", "e3"]
    assert ledger.open_lifecycles(["main"], symbols=set()) == ()
    assert ledger.open_lifecycles([]) == ()


# --- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ("timestamptz", "timestamp"))
def test_times_beyond_the_calendar_are_no_times(database, column):
    ledger = ledger_over(database, STANDARD.replace("filled_at timestamptz", f"filled_at {column}"))
    odd = ["infinity", "-infinity", "10000-01-01", "0044-03-15 BC", "294276-12-31", None]
    for number, when in enumerate(odd):
        add(database, order_id=f"o{number}", filled_at=when, created_at=None)
    add(database, order_id="a", filled_at="2026-02-01 12:00:00")
    add(database, order_id="b", filled_at="0001-01-01 00:00:00")
    (lifecycle,) = ledger.open_lifecycles(["main"])
    assert [row.order_id for row in lifecycle.rows][:2] == ["b", "a"]
    assert [row.at for row in lifecycle.rows][1:] == [NOON, *[None] * len(odd)]
    assert lifecycle.rows[0].at == datetime(1, 1, 1, tzinfo=UTC)


def test_rows_are_oldest_first_by_their_own_time(database):
    ledger = ledger_over(database)
    add(database, order_id="late", filled_at=NOON + timedelta(hours=1))
    add(database, order_id="early", filled_at=None, created_at=NOON - timedelta(hours=1))
    add(database, order_id="noon")
    (lifecycle,) = ledger.open_lifecycles(["main"])
    assert [row.order_id for row in lifecycle.rows] == ["early", "noon", "late"]


def test_the_clock_is_the_databases(database):
    ledger = ledger_over(database)
    now = ledger.now()
    assert now.utcoffset() == timedelta(0)
    assert ledger.now() > now


# --- versions ----------------------------------------------------------------------------------


def test_a_version_changes_with_any_column_and_only_then(database):
    ledger = ledger_over(database, STANDARD.replace("updated_at", "remark text, updated_at"))
    add(database)

    def version() -> str:
        return ledger.rows_by_order_id(["e1"])["e1"].version

    first = version()
    assert version() == first
    with database.transaction() as conn:
        conn.execute("UPDATE orders SET remark = 'seen'")
    assert version() != first


# --- rows of the account -----------------------------------------------------------------------


def _account_rows(ledger: PostgresLedger, *ids: str, profiles: tuple[str, ...] = ("main",)):
    found = ledger.account_rows(profiles, symbols={"BTCUSDT"}, start_at=NOON, exchange_ids=set(ids))
    return [row.order_id for row in found]


def test_account_rows_are_filled_rows_of_the_window(database):
    ledger = ledger_over(database)
    before = NOON - timedelta(seconds=1)
    add(database, order_id="01-at-start")
    add(database, order_id="02-before", filled_at=before)
    add(database, order_id="03-created-in", filled_at=None, created_at=NOON)
    add(database, order_id="04-created-before", filled_at=None, created_at=before)
    add(database, order_id="05-no-time", filled_at=None, created_at=None)
    add(database, order_id="06-no-time-either", filled_at="infinity", created_at=None)
    add(database, order_id="07-no-trade", trade_id=None)
    add(database, order_id="08-case", status=" Partially_FILLED ")
    add(database, order_id="09-new", status="new")
    add(database, order_id="10-other-symbol", symbol="ETHUSDT")
    add(database, order_id="11-other-profile", profile_id="other")
    add(database, order_id="12-odd", quantity=Decimal("NaN"), action=None)
    found = ["01-at-start", "03-created-in", "05-no-time", "06-no-time-either", "07-no-trade"]
    assert _account_rows(ledger) == [*found, "08-case", "12-odd"]
    both = _account_rows(ledger, profiles=("main", "other"))
    assert both == [*found, "08-case", "11-other-profile", "12-odd"]


MOMENTS = (None, "-infinity", "0044-03-15 00:00:00+00 BC", "2020-01-01", NOON, "infinity")


def is_within(filled_at: object, created_at: object) -> bool:
    """By the words of `ports`: filled_at, else created_at, not before NOON, or no such time."""
    times = [one for one in (filled_at, created_at) if one in {NOON, "2020-01-01"}]
    return not times or times[0] == NOON


def test_the_rows_of_the_window_are_the_same_by_index_whatever_their_times(database, database_url):
    ledger = ledger_over(database)
    expected = []
    for number, times in enumerate(product(MOMENTS, repeat=3)):
        names = dict(zip(("filled_at", "created_at", "updated_at"), times, strict=True))
        add(database, order_id=f"{number:03}", **names)
        if is_within(times[0], times[1]):
            expected.append(f"{number:03}")
    assert _account_rows(ledger) == expected
    create_indexes(database)
    by_index = make_conninfo(database_url, options="-c enable_seqscan=off")
    with closing(Database(by_index)) as other:
        assert _account_rows(PostgresLedger(other)) == expected


def test_account_rows_of_any_time_and_symbol_that_an_id_links(database):
    ledger = ledger_over(database)
    old = {"filled_at": NOON - timedelta(days=9), "symbol": "ETHUSDT"}
    add(database, order_id="7001", **old)
    add(database, order_id="b", exchange_order_id="7002", **old)
    add(database, order_id="c", client_order_id="7003", **old)
    add(database, order_id="d", client_order_id="7003", status="canceled", trade_id=None)
    add(database, order_id="e", client_order_id="7003", profile_id="stranger")
    assert _account_rows(ledger, "7001", "7002", "7003") == ["7001", "b", "c"]
    assert _account_rows(ledger) == []


NO_EXCHANGE_IDS = STANDARD.replace("exchange_order_id text, client_order_id text,", "")


@pytest.mark.parametrize("ddl", (STANDARD, NO_EXCHANGE_IDS))
def test_the_audit_knows_the_exchange_ids_of_our_rows(database, ddl):
    ledger = ledger_over(database, ddl)
    add(database, filled_at=NOON - timedelta(days=3))
    candidate = exit_of(filled_at=NOON - timedelta(days=2))
    apply(ledger, candidate)
    if ddl is STANDARD:
        with database.transaction() as conn:
            conn.execute("UPDATE orders SET exchange_order_id = NULL")
    assert _account_rows(ledger) == []
    assert _account_rows(ledger, "77") == [candidate.order_id]
    assert _account_rows(ledger, "x-client") == [candidate.order_id]
    row = ledger.rows_by_order_id([candidate.order_id])[candidate.order_id]
    assert (row.exchange_order_id, row.client_order_id) == ("77", "x-client")


def test_an_audit_row_says_nothing_about_rows_of_the_bot(database):
    ledger = ledger_over(database, NO_EXCHANGE_IDS)
    add(database)
    batch_of(ledger, entry_of(exit_of(order_id="e1"), Decision.NO_GO))
    assert ledger.rows_by_order_id(["e1"])["e1"].exchange_order_id is None


def test_rows_by_order_id_of_whatever_profile_and_status(database):
    ledger = ledger_over(database)
    add(database, profile_id="other", status=None, trade_id=None, symbol=None)
    found = ledger.rows_by_order_id({"e1", "nobody"})
    assert set(found) == {"e1"}
    assert (found["e1"].profile_id, found["e1"].status, found["e1"].symbol) == ("other", None, "")
    assert ledger.rows_by_order_id([]) == {}


def test_entry_sides_are_the_entry_rows_of_the_trades_asked_for(database):
    ledger = ledger_over(database)
    add(database)
    add(database, order_id="e2", action=" entry", status="canceled", filled_at=None)
    add(database, order_id="x", action="EXIT")
    add(database, order_id="o", profile_id="other")
    found = ledger.entry_sides({("main", "t1"), ("main", "t9")})
    assert [row.order_id for row in found["main", "t1"]] == ["e1", "e2"]
    assert found["main", "t9"] == ()
    assert ledger.entry_sides([]) == {}


# --- statements --------------------------------------------------------------------------------


class CountingDatabase(Database):
    """Counts what is sent, whoever sends it."""

    sent = 0

    @contextmanager
    def transaction(self, **options):
        database = self

        class Counting(psycopg.Cursor[DictRow]):
            def execute(self, *arguments, **more):
                database.sent += 1
                return super().execute(*arguments, **more)

        with super().transaction(**options) as conn:
            conn.cursor_factory = Counting
            yield conn


def _cost(database: CountingDatabase, ledger: PostgresLedger, size: int) -> int:
    with database.transaction() as conn:
        conn.execute(
            "INSERT INTO orders (order_id, profile_id, symbol, trade_id, action, status, quantity,"
            " price, side, filled_at) SELECT 'e' || n, 'main', 'S' || n, 't' || n, 'ENTRY',"
            " 'filled', 1, 1, 'buy', %s FROM generate_series(1, %s) AS n ON CONFLICT DO NOTHING",
            (NOON, size),
        )
    candidates = [exit_of(symbol=f"S{n}", trade_id=f"t{n}") for n in range(1, size + 1)]
    database.sent = 0
    lifecycles = ledger.open_lifecycles(["main"])
    keys = {(one.key.profile_id, one.key.trade_id) for one in lifecycles}
    ledger.account_rows(["main"], symbols={"S1"}, start_at=NOON, exchange_ids={"1"})
    ledger.entry_sides(keys)
    ledger.rows_by_order_id([one.order_id for one in candidates])
    batch_id = batch_of(ledger, *(entry_of(one, Decision.APPLIED) for one in candidates))
    with ledger.writing("desk") as transaction:
        outcomes = transaction.insert_backfills(candidates)
    ledger.rollback_preview(batch_id)
    ledger.rollback(batch_id, actor="anna")
    assert len(lifecycles) == len(outcomes) == size
    return database.sent


def test_the_number_of_statements_does_not_depend_on_the_number_of_lifecycles(
    database, database_url
):
    ledger_over(database)
    counting = CountingDatabase(database_url)
    ledger = PostgresLedger(counting)
    ledger.shape()
    few, many = _cost(counting, ledger, 1), _cost(counting, ledger, 200)
    assert few == many
    assert few > 10  # it does count
    counting.close()
