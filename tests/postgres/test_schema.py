"""Every make of `orders`, as the catalogue of a real PostgreSQL tells it."""

from __future__ import annotations

import pytest
from tests.ledger_tables import (
    DEMANDING,
    DOMAINS,
    ENUMS,
    FIT,
    GENERATED_TWIN,
    PARTITIONED,
    QTY_ONLY,
    STANDARD,
    UNFIT,
)

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.migrations import create_sample_orders
from unghost.adapters.postgres.schema import LedgerShape, read_shape


def shape_of(database: Database, ddl: str) -> LedgerShape:
    with database.transaction() as connection:
        connection.execute(ddl)
    with database.transaction(read_only=True) as connection:
        return read_shape(connection)


@pytest.mark.parametrize("ddl", FIT.values(), ids=FIT.keys())
def test_ledgers_that_can_be_written(empty_database, ddl):
    shape = shape_of(empty_database, ddl)
    assert shape.problems == ()
    assert shape.order_id_unique


@pytest.mark.parametrize(("ddl", "sentence"), UNFIT.values(), ids=UNFIT.keys())
def test_ledgers_that_must_not_be_written(empty_database, ddl, sentence):
    problems = shape_of(empty_database, ddl).problems
    assert sentence in " ".join(problems)
    assert all(problem.endswith((".", ").")) for problem in problems)


def test_no_orders_at_all_is_a_problem_and_no_error(empty_database):
    with empty_database.transaction(read_only=True) as connection:
        shape = read_shape(connection)
    assert "There is no table orders" in shape.problems[0]
    assert not shape.order_id_unique
    assert shape.quantity_columns == shape.copied_columns == ()


def test_the_sample_is_fit(empty_database):
    assert create_sample_orders(empty_database)
    assert not create_sample_orders(empty_database)
    with empty_database.transaction(read_only=True) as connection:
        shape = read_shape(connection)
    assert shape.problems == ()
    assert shape.quantity_columns == ("quantity", "qty")
    assert (shape.quantity_scale, shape.price_scale, shape.fee_scale) == (12, 12, 12)


def test_of_two_quantity_columns_the_coarser_counts(empty_database):
    shape = shape_of(empty_database, STANDARD)
    assert shape.quantity_columns == ("quantity", "qty")
    assert (shape.quantity_scale, shape.price_scale, shape.fee_scale) == (8, 10, 6)
    assert shape.naive_time_columns == frozenset()
    assert shape.columns["order_id"].unique_alone
    assert not shape.columns["symbol"].unique_alone


def test_floats_and_times_without_a_zone(empty_database):
    shape = shape_of(empty_database, QTY_ONLY)
    assert shape.quantity_columns == ("qty",)
    assert (shape.quantity_scale, shape.price_scale, shape.fee_scale) == (12, 12, None)
    assert shape.naive_time_columns == {"created_at"}
    assert shape.columns["id"].generated
    assert shape.copied_columns == ()


def test_what_is_demanded_is_copied_but_never_a_direction(empty_database):
    shape = shape_of(empty_database, DEMANDING)
    assert shape.copied_columns == ("venue", "strategy")
    assert shape.quantity_scale == 0
    assert shape.columns["leverage"].has_default
    assert not shape.columns["venue"].nullable


def test_enums_give_their_words(empty_database):
    columns = shape_of(empty_database, ENUMS).columns
    assert columns["status"].labels == ("new", "filled", "canceled")
    assert columns["action"].type_name == "order_action"


def test_domains_are_followed_to_their_type(empty_database):
    shape = shape_of(empty_database, DOMAINS)
    assert shape.quantity_scale == 5
    assert shape.columns["quantity"].type_name == "amount"
    assert shape.columns["quantity"].base_type == "numeric"
    assert not shape.columns["tag"].nullable
    assert shape.copied_columns == ()  # the domain brings a default


def test_a_generated_twin_is_read_and_not_written(empty_database):
    shape = shape_of(empty_database, GENERATED_TWIN)
    assert shape.quantity_columns == ("quantity", "qty")
    assert shape.columns["qty"].generated


def test_a_partitioned_table_counts_as_a_table(empty_database):
    assert shape_of(empty_database, PARTITIONED).has("order_id")


def test_the_search_path_decides_which_orders_is_meant(empty_database, empty_database_url):
    both = f"CREATE SCHEMA desk; {STANDARD}; {QTY_ONLY.replace('orders', 'desk.orders', 1)}"
    assert shape_of(empty_database, both).schema_name == "public"
    desk = Database(f"{empty_database_url} options='-csearch_path=desk'")
    with desk.transaction(read_only=True) as connection:
        shape = read_shape(connection)
    desk.close()
    assert shape.schema_name == "desk"
    assert shape.quantity_columns == ("qty",)
    assert shape.problems == ()


def test_a_dropped_column_is_gone(empty_database):
    shape = shape_of(empty_database, f"{STANDARD}; ALTER TABLE orders DROP fee")
    assert not shape.has("fee")
    assert shape.fee_scale is None


@pytest.mark.parametrize(
    ("declared", "scale"),
    (("numeric", None), ("numeric(10)", 0), ("numeric(5, -2)", -2), ("bigint", 0), ("real", 6)),
)
def test_decimal_places(empty_database, declared, scale):
    ddl = f"{STANDARD}; ALTER TABLE orders ALTER price TYPE {declared}"
    assert shape_of(empty_database, ddl).price_scale == scale
