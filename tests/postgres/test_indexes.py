"""The indexes that doctor recommends and `unghost init --indexes` makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.ledger_tables import ENUMS, PARTITIONED, QTY_ONLY, STANDARD

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.indexes import WORTH_IT_ROWS, create_indexes, missing_indexes
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.migrations import migrate
from unghost.adapters.postgres.reading import filled_words
from unghost.adapters.postgres.requirements import check_database
from unghost.adapters.postgres.schema import read_shape
from unghost.adapters.postgres.statements import compose, compose_named, compose_open
from unghost.errors import DatabaseError, LedgerSchemaError

BOTH = ("orders_unghost_detection", "orders_unghost_lifecycle")
TIMES = "orders_unghost_times"
IDS = ("orders_unghost_exchange_order", "orders_unghost_client_order")
ALL = (*BOTH, TIMES, *IDS)
NAMES = (
    "SELECT indexrelid::regclass::text AS name FROM pg_index"
    " WHERE indrelid = to_regclass('orders') ORDER BY 1"
)


def execute(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(statement)


def asked(database, statement):
    with database.transaction(read_only=True) as connection:
        return connection.execute(statement).fetchall()


def missing(database):
    with database.transaction(read_only=True) as connection:
        return tuple(one.name for one in missing_indexes(connection))


def fill(database):
    """Ten thousand lifecycles that were closed, and one that was not."""
    execute(
        database,
        "INSERT INTO orders (order_id, profile_id, symbol, trade_id, action, status, quantity,"
        " exchange_order_id, client_order_id, created_at, updated_at)"
        " SELECT 'o-' || n, 'main', 'BTCUSDT', 't-' || n / 2,"
        " CASE n % 2 WHEN 0 THEN 'ENTRY' ELSE 'EXIT' END, 'filled', 1, 'e-' || n, 'c-' || n, at, at"
        " FROM generate_series(0, 20000) AS n,"
        " LATERAL (SELECT now() - n * interval '1 minute' AS at) AS long_ago",
    )
    with database.outside_transactions() as connection:
        connection.execute("VACUUM ANALYZE orders")


def test_they_are_made_once_and_nothing_is_lost(empty_database):
    migrate(empty_database)
    execute(empty_database, STANDARD)
    fill(empty_database)
    before = PostgresLedger(empty_database).open_lifecycles(["main"])
    assert missing(empty_database) == ALL
    assert create_indexes(empty_database) == ALL
    assert create_indexes(empty_database) == ()
    assert PostgresLedger(empty_database).open_lifecycles(["main"]) == before
    assert [one.key.trade_id for one in before] == ["t-10000"]


def plan_of(database, name, **values):
    """How the server would answer, where reading the whole table is the last resort."""
    statement = PostgresLedger(database).statement(name, values)
    with database.transaction(read_only=True) as connection:
        # The table is so small that other ways look as cheap, by the release of the server.
        connection.execute("SET LOCAL enable_seqscan = off")
        if name == "detect":
            connection.execute("SET LOCAL enable_bitmapscan = off")
        return str(connection.execute(f"EXPLAIN {statement}").fetchall())


@pytest.fixture
def indexed(empty_database):
    migrate(empty_database)
    execute(empty_database, STANDARD)
    fill(empty_database)
    create_indexes(empty_database)
    with empty_database.outside_transactions() as connection:
        connection.execute("VACUUM orders")
    return empty_database


def test_detection_reads_the_covering_index_alone(indexed):
    plan = plan_of(indexed, "detect", profile_id="main")
    assert "Index Only Scan using orders_unghost_detection" in plan


NOW = datetime.now(UTC)
ANSWERED_BY_INDEX = {
    "touched_trades": (TIMES,),
    "account_rows": (TIMES, *IDS, "orders_pkey"),
    "rows_of_strangers": (IDS[0], "orders_pkey"),
}


def asked_of(name):
    """What each question is about; the window holds a hundredth of the rows."""
    ids = [f"e-{number}" for number in range(0, 20000, 4000)]
    window = {"symbols": ["BTCUSDT"], "start_at": NOW - timedelta(hours=3)}
    return {
        "touched_trades": {"profile_ids": ["main"], "since": NOW - timedelta(hours=3)},
        "account_rows": {
            "profile_ids": ["main"],
            "filled": filled_words(),
            "exchange_ids": ids,
            **window,
        },
        "rows_of_strangers": {"symbols": ["BTCUSDT"], "no_strangers": ["x"], "order_ids": ids},
    }[name]


@pytest.mark.parametrize("name", ANSWERED_BY_INDEX)
def test_what_a_cycle_asks_is_answered_by_indexes(indexed, name):
    plan = plan_of(indexed, name, **asked_of(name))
    assert "Seq Scan on orders" not in plan
    for index in ANSWERED_BY_INDEX[name]:
        assert f"Scan on {index}" in plan or f"Scan using {index}" in plan


def test_the_sums_of_named_lifecycles_are_answered_by_an_index(indexed):
    trades = [f"t-{number}" for number in range(0, 10000, 2500)]
    asked = {"profile_ids": ["main"] * 4, "trade_ids": trades, "symbols": None}
    with indexed.transaction(read_only=True) as connection:
        statement = compose_named(read_shape(connection)).as_string(None)
        plan = str(connection.execute(f"EXPLAIN {statement}", asked).fetchall())
    assert "Seq Scan on orders" not in plan
    assert "Index Cond: ((profile_id = k.profile_id) AND (trade_id = k.trade_id)" in plan


def test_what_is_known_to_be_open_is_compared_by_an_index_and_unsorted(indexed):
    trades = [f"t-{number}" for number in range(0, 10000, 2500)]
    asked = {"profile_ids": ["main"] * 4, "trade_ids": trades, "marks": ["old"] * 4}
    with indexed.transaction(read_only=True) as connection:
        statement = compose("ledger", "moved_trades", read_shape(connection)).as_string(None)
        plan = str(connection.execute(f"EXPLAIN {statement}", asked).fetchall())
    assert plan.count("Scan using orders_unghost_lifecycle on orders") == 1
    assert "Index Cond: ((profile_id = k.profile_id) AND (trade_id = k.trade_id))" in plan
    assert "Seq Scan on orders" not in plan
    assert "Sort" not in plan


def test_the_order_of_detection_is_the_one_that_its_groups_have(indexed):
    """Sorted once more, it would cost the planner the ways that the checklist's own SQL has."""
    with indexed.transaction(read_only=True) as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_bitmapscan = off")
        statement = compose_open(read_shape(connection), 1).as_string(None)
        asked = {"profile_ids": ["main"], "symbols": None}
        plan = str(connection.execute(f"EXPLAIN {statement}", asked).fetchall())
    assert "Index Only Scan using orders_unghost_detection" in plan
    assert "Sort" not in plan


def test_an_index_on_times_is_made_anew_when_a_time_is_added(empty_database):
    execute(empty_database, QTY_ONLY)
    assert create_indexes(empty_database) == (*BOTH, TIMES)
    execute(empty_database, "ALTER TABLE orders ADD COLUMN updated_at timestamptz")
    assert missing(empty_database) == (TIMES,)
    assert create_indexes(empty_database) == (TIMES,)
    assert missing(empty_database) == ()


def test_one_of_the_bot_s_own_that_does_the_same_is_enough(empty_database):
    execute(empty_database, STANDARD, "CREATE INDEX mine ON orders (trade_id, profile_id)")
    assert missing(empty_database) == (ALL[0], *ALL[2:])


def test_a_partial_index_on_the_lifecycle_is_not_enough(empty_database):
    partial = "CREATE INDEX mine ON orders (trade_id) WHERE status = 'filled'"
    execute(empty_database, STANDARD, partial)
    assert missing(empty_database) == ALL


def test_one_that_was_cut_short_is_made_anew(empty_database):
    execute(empty_database, STANDARD)
    fill(empty_database)
    create_indexes(empty_database)
    execute(
        empty_database,
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'orders_unghost_detection'::regclass",
    )
    assert missing(empty_database) == BOTH[:1]
    told: list[str] = []
    assert create_indexes(empty_database, tell=told.append) == BOTH[:1]
    assert missing(empty_database) == ()
    assert "orders_unghost_detection" in told[0]
    assert len(asked(empty_database, NAMES)) == len((*ALL, "the primary key"))


def test_it_is_fitted_to_the_quantity_columns_that_there_are(empty_database):
    execute(empty_database, QTY_ONLY)
    assert create_indexes(empty_database) == (*BOTH, TIMES)


def test_those_on_the_ids_that_the_bot_has_are_enough(empty_database):
    whole = "CREATE UNIQUE INDEX mine ON orders (client_order_id)"
    in_part = "CREATE INDEX part ON orders (exchange_order_id) WHERE status = 'new'"
    execute(empty_database, STANDARD, whole, in_part)
    assert missing(empty_database) == (*BOTH, TIMES, IDS[0])


def test_a_status_of_an_enum_can_have_no_covering_index(empty_database):
    execute(empty_database, ENUMS)
    assert missing(empty_database) == (BOTH[1], TIMES)


def test_a_partitioned_ledger_is_left_to_its_owner(empty_database):
    execute(empty_database, PARTITIONED)
    assert missing(empty_database) == ()
    with pytest.raises(LedgerSchemaError, match="each partition"):
        create_indexes(empty_database)


def test_without_a_table_there_is_nothing_to_make(empty_database):
    assert missing(empty_database) == ()
    with pytest.raises(LedgerSchemaError):
        create_indexes(empty_database)


def test_a_role_that_does_not_own_the_table_is_told_so(role, empty_database, empty_database_url):
    execute(
        empty_database,
        STANDARD,
        sql.SQL("GRANT SELECT ON orders TO {}").format(sql.Identifier(role)),
    )
    with pytest.raises(DatabaseError, match="owner"):
        create_indexes(Database(make_conninfo(empty_database_url, user=role)))


def long_as(rows):
    return sql.SQL("UPDATE pg_class SET reltuples = {} WHERE oid = 'orders'::regclass").format(
        sql.Literal(rows)
    )


def test_doctor_shows_the_statements_once_the_table_is_long(database):
    execute(database, long_as(0))
    assert [one for one in check_database(database) if one.name == "indexes"] == []
    execute(database, long_as(WORTH_IT_ROWS))
    (found,) = (one for one in check_database(database) if one.name == "indexes")
    assert found.verdict == "warn"
    assert "unghost init --indexes" in found.remedy
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unghost_detection" in found.remedy
    create_indexes(database)
    execute(database, long_as(5))
    (found,) = (one for one in check_database(database) if one.name == "indexes")
    assert found.verdict == "ok"
