"""Transactions, and one clear sentence for whatever a real PostgreSQL can refuse."""

from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, timedelta
from decimal import Decimal

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from unghost.adapters.postgres.connection import MOST_CONNECTIONS, Database
from unghost.adapters.postgres.faults import too_old
from unghost.errors import (
    CommitOutcomeUnknownError,
    ConfigurationError,
    DatabaseError,
    LedgerSchemaError,
)

SECRET = "h0rse-battery"


def failure(database: Database, statement: str = "SELECT 1", *values: object) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught, database.transaction() as connection:
        connection.execute(statement, values or None)
    return caught.value


def one(database: Database, statement: str) -> object:
    with database.transaction() as connection:
        (row,) = connection.execute(statement).fetchall()
    (value,) = row.values()
    return value


def end_backends(server: str, database: Database) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [database.target.name],
        )


# --- transactions ------------------------------------------------------------------------------


def test_a_block_commits_and_an_exception_takes_it_back(database):
    with database.transaction() as connection:
        connection.execute("INSERT INTO orders (order_id) VALUES ('kept')")
    with suppress(KeyError), database.transaction() as connection:
        connection.execute("INSERT INTO orders (order_id) VALUES ('lost')")
        raise KeyError
    assert one(database, "SELECT string_agg(order_id, ',') FROM orders") == "kept"


def test_a_failed_statement_that_nobody_noticed_is_no_commit(database):
    def careless() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO orders (order_id) VALUES ('lost')")
            with suppress(psycopg.Error):
                connection.execute("SELECT 1 / 0")

    with pytest.raises(DatabaseError, match="unnoticed"):
        careless()
    assert one(database, "SELECT count(*) FROM orders") == 0


def test_a_read_only_transaction_writes_nothing_and_sees_one_snapshot(database):
    with database.transaction(read_only=True) as reading:
        count = "SELECT count(*) FROM orders"
        before = reading.execute(count).fetchall()
        with database.transaction() as writing:
            writing.execute("INSERT INTO orders (order_id) VALUES ('new')")
        assert reading.execute(count).fetchall() == before
    with pytest.raises(DatabaseError, match="read-only"):  # noqa: SIM117 - one raises
        with database.transaction(read_only=True) as reading:
            reading.execute("DELETE FROM orders")


@pytest.mark.parametrize(
    ("of_the_database", "ours"), (("off", "local"), ("on", "on"), ("remote_write", "remote_write"))
)
def test_what_was_told_is_on_the_disk(database_url, of_the_database, ours):
    """A server that crashes may forget what it told of under `synchronous_commit = off`."""
    options = f"-c synchronous_commit={of_the_database}"
    opened = closing(Database(make_conninfo(database_url, options=options)))
    with opened as database, database.transaction() as connection:
        found = connection.execute("SHOW synchronous_commit").fetchone()
    assert found == {"synchronous_commit": ours}


def test_settings_end_with_the_transaction(database):
    inside = "SELECT current_setting('statement_timeout') || current_setting('TimeZone')"
    with database.transaction(statement_timeout_ms=1234) as connection:
        assert connection.execute(inside).fetchall() == [{"?column?": "1234msUTC"}]
        pid = connection.info.backend_pid
        connection.execute("COMMIT")
        assert connection.info.backend_pid == pid
        (after,) = connection.execute(inside).fetchall()
    assert after["?column?"].startswith("0")


def test_nothing_is_prepared(database):
    for _ in range(8):
        with database.transaction() as connection:
            connection.execute("SELECT order_id FROM orders WHERE order_id = %s", ["x"])
    assert one(database, "SELECT count(*) FROM pg_prepared_statements") == 0


def test_numbers_and_times_keep_their_meaning(database):
    with database.transaction() as connection:
        (row,) = connection.execute(
            """SELECT 0.1::numeric AS tenth, 'NaN'::numeric AS nan, 'Infinity'::numeric AS endless,
                      '2026-02-01 12:00+02'::timestamptz AS moment,
                      timestamp '2026-02-01 10:00' AT TIME ZONE 'UTC' AS naive"""
        ).fetchall()
    assert row["tenth"] == Decimal("0.1")
    assert row["nan"].is_nan()
    assert row["endless"] == Decimal("Infinity")
    assert row["moment"] == row["naive"]
    assert row["moment"].utcoffset() == timedelta(0)


def test_another_time_zone_of_the_role_changes_nothing(role, database, database_url):
    with database.transaction() as connection:
        for setting in ("TimeZone = 'Asia/Tokyo'", "DateStyle = 'German'"):
            alter = sql.SQL("ALTER ROLE {} SET " + setting)
            connection.execute(alter.format(sql.Identifier(role)))
    tokyo = Database(make_conninfo(database_url, user=role))
    with tokyo.transaction() as connection:
        moment = "SELECT '2026-02-01 12:00+00'::timestamptz AS moment"
        (row,) = connection.execute(moment).fetchall()
    tokyo.close()
    assert row["moment"].astimezone(UTC).hour == row["moment"].hour == 12


def test_a_connection_is_kept_and_one_that_was_cut_off_is_replaced(server, database):
    pid = "SELECT pg_backend_pid()"
    first = one(database, pid)
    assert one(database, pid) == first
    end_backends(server, database)
    assert one(database, pid) != first


def test_more_threads_than_connections_wait_for_their_turn(database):
    with ThreadPoolExecutor(2 * MOST_CONNECTIONS) as pool:
        asked = [pool.submit(one, database, "SELECT 1") for _ in range(4 * MOST_CONNECTIONS)]
        assert [each.result() for each in asked] == [1] * (4 * MOST_CONNECTIONS)


def test_a_dedicated_connection_holds_its_lock_beside_others(database):
    with database.dedicated() as holder:
        holder.execute("SELECT pg_advisory_xact_lock(7)")
        assert one(database, "SELECT pg_try_advisory_xact_lock(7)") is False
    assert one(database, "SELECT pg_try_advisory_xact_lock(7)") is True


def test_a_dedicated_connection_is_kept_for_the_next_and_one_that_was_cut_off_is_not(
    server, database
):
    def dedicated() -> object:
        with database.dedicated() as holder:
            return holder.execute("SELECT pg_backend_pid() AS pid").fetchone()

    first = dedicated()
    assert dedicated() == first
    end_backends(server, database)
    assert dedicated() != first


def test_closing_twice_is_fine_and_a_closed_database_opens_again(database):
    one(database, "SELECT 1")
    database.close()
    database.close()
    assert one(database, "SELECT 1") == 1


# --- no connection -----------------------------------------------------------------------------


def told_without_secret(error: Exception) -> str:
    everything = "".join(traceback.format_exception(error)) + repr(error)
    assert SECRET not in everything
    return str(error)


def test_nothing_listens():
    database = Database(f"postgresql://bot:{SECRET}@127.0.0.1:1/trading")
    told = told_without_secret(failure(database))
    assert told.startswith("The database at 127.0.0.1 port 1 cannot be reached")
    assert SECRET not in repr(database)
    assert SECRET not in repr(database.target)


def test_an_unknown_host():
    database = Database(f"postgresql://bot:{SECRET}@no-such-host.invalid/trading")
    assert "no-such-host.invalid is not known" in told_without_secret(failure(database))


def test_no_socket(tmp_path):
    told = told_without_secret(failure(Database(f"host={tmp_path} password={SECRET}")))
    assert f"The database at {tmp_path} port 5432 cannot be reached" in told


def test_a_wrong_password(locked_role, database_url):
    database = Database(make_conninfo(database_url, user=locked_role, password=SECRET))
    told = told_without_secret(failure(database))
    assert f"did not let the role {locked_role} in" in told


def test_no_password(locked_role, database_url):
    database = Database(make_conninfo(database_url, user=locked_role))
    assert f"did not let the role {locked_role} in" in str(failure(database))


def test_the_right_password(locked_role, database_url):
    conninfo = make_conninfo(database_url, user=locked_role, password="open sesame")
    database = Database(conninfo)
    assert one(database, "SELECT 1") == 1
    database.close()


def test_an_unknown_role(database_url):
    database = Database(make_conninfo(database_url, user="nobody_here"))
    assert "did not let the role nobody_here in" in str(failure(database))


def test_a_missing_database(server):
    database = Database(make_conninfo(server, dbname="not_there"))
    assert str(failure(database)).startswith("There is no database not_there at ")


def test_a_role_that_may_not_connect(role, database, database_url):
    with database.transaction() as connection:
        revoke = sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC")
        connection.execute(revoke.format(sql.Identifier(database.target.name)))
    told = str(failure(Database(make_conninfo(database_url, user=role))))
    assert told.startswith(f"The role {role} may not connect to database")


@pytest.mark.parametrize(
    "conninfo",
    (
        f"postgresql://bot:{SECRET}%zz@host/x",
        f"host=x password='{SECRET}",
        f"host=x {SECRET}",
        f"postgresql://bot:{SECRET}@host:port:1/x",
        f"postgresql://bot:some@{SECRET}@host/x",
        f"postgresql://bot:some/{SECRET}@host/x",
        f"postgresql://bot:/{SECRET}@host/x",
    ),
)
def test_a_conninfo_that_cannot_be_understood_is_not_shown(conninfo):
    with pytest.raises(ConfigurationError, match="cannot be understood") as caught:
        Database(conninfo)
    told_without_secret(caught.value)


def test_a_parameter_of_other_drivers_is_named():
    with pytest.raises(ConfigurationError, match="the parameter pgbouncer, which PostgreSQL"):
        Database(f"postgresql://bot:{SECRET}@host/x?pgbouncer=true")


def test_a_server_that_is_too_old_is_named():
    target = Database("host=db.example port=5433 user=bot").target
    told = str(too_old(120_022, target))
    assert (
        told == "The database at db.example port 5433 is PostgreSQL 12: unghost needs 13 or newer."
    )


# --- refused statements ------------------------------------------------------------------------


def test_a_missing_right_names_table_and_role(role, database, database_url):
    poor = Database(make_conninfo(database_url, user=role))
    told = str(failure(poor, "SELECT FROM orders"))
    poor.close()
    assert told.startswith(f"The role {role} lacks a right (permission denied for table orders)")


def test_our_tables_missing(empty_database):
    told = str(failure(empty_database, "SELECT FROM trading_profile"))
    assert told == "The table trading_profile does not exist yet: run unghost init."


def test_the_bots_table_missing(empty_database):
    error = failure(empty_database, "SELECT FROM orders")
    assert isinstance(error, LedgerSchemaError)
    assert "orders" in str(error)


def test_a_statement_that_takes_too_long(database):
    with pytest.raises(DatabaseError, match="longer than its time limit"):  # noqa: SIM117
        with database.transaction(statement_timeout_ms=20) as connection:
            connection.execute("SELECT pg_sleep(60)")


def test_a_lock_that_is_held(database, database_url):
    hasty = Database(database_url, lock_timeout_ms=20)
    with database.transaction() as holder:
        holder.execute("LOCK TABLE orders")
        told = str(failure(hasty, "SELECT FROM orders"))
    hasty.close()
    assert told.startswith("A lock is held by another process")


def test_a_deadlock(database):
    both = threading.Barrier(2)

    def lock(first: int, second: int) -> str:
        try:
            with database.transaction() as connection:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [first])
                both.wait()
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [second])
        except DatabaseError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = [each.result() for each in (pool.submit(lock, 1, 2), pool.submit(lock, 2, 1))]
    assert sum("Two processes waited for each other" in each for each in told) == 1


@pytest.mark.parametrize(
    ("statement", "sentence"),
    (
        (
            "INSERT INTO orders (order_id) VALUES ('x'), ('x')",
            "orders_order_id_key allows no second one: Key (order_id)=(x) already exists",
        ),
        ("INSERT INTO orders (symbol) VALUES ('x')", "column order_id of orders has no value"),
        (
            "INSERT INTO trading_profile VALUES ('main', 'SLEEPING', 'me')",
            "the check trading_profile_status_check of trading_profile",
        ),
        (
            """INSERT INTO reconciliation_backfill_batch
                (batch_id, profile_id, mode, status, actor, plan_batch_id)
                VALUES ('b', 'm', 'apply', 'running', 'a', 'none')""",
            "constraint reconciliation_backfill_batch_plan_batch_id_fkey",
        ),
        ("SELECT nothing_such FROM orders", 'column "nothing_such" does not exist'),
        ("SELECT 'x'::numeric", "A value cannot be read by the database"),
        ("SELECT 1 / 0", "The database refused a statement: division by zero."),
        ("CREATE TABLE orders ()", "has a table of that name already"),
    ),
)
def test_what_the_database_refuses_is_told_in_a_sentence(database, statement, sentence):
    told = str(failure(database, statement))
    assert sentence in told
    assert told.endswith(".")


@pytest.mark.parametrize("text", ("a\0b", "a\ud800b"))
def test_text_that_cannot_be_stored(database, text):
    told = str(failure(database, "SELECT %s::text", text))
    assert "text" in told
    assert told.endswith(".")


def test_a_standby_or_read_only_role(role, database, database_url):
    with database.transaction() as connection:
        alter = sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on")
        connection.execute(alter.format(sql.Identifier(role)))
    poor = Database(make_conninfo(database_url, user=role))
    assert "read-only" in str(failure(poor, "CREATE TEMP TABLE x (); DROP TABLE x; DELETE FROM x"))
    poor.close()


# --- lost connections --------------------------------------------------------------------------


def test_a_connection_lost_in_between(server, database):
    def interrupted() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO orders (order_id) VALUES ('lost')")
            end_backends(server, database)
            connection.execute("SELECT 1")

    with pytest.raises(DatabaseError, match="was lost") as caught:
        interrupted()
    assert not isinstance(caught.value, CommitOutcomeUnknownError)
    assert one(database, "SELECT count(*) FROM orders") == 0


def test_a_connection_lost_during_commit_is_said_to_be_unknown(database):
    with database.transaction() as connection:
        connection.execute(
            """
            CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON orders
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_it()
            """
        )
    error = failure(database, "INSERT INTO orders (order_id) VALUES ('who knows')")
    assert isinstance(error, CommitOutcomeUnknownError)
    assert one(database, "SELECT count(*) FROM orders") == 0


def test_a_commit_that_is_refused_is_known_to_have_failed(database):
    with database.transaction() as connection:
        connection.execute(
            "CREATE TABLE pairs (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
        )
    error = failure(database, "INSERT INTO pairs VALUES (1), (1)")
    assert not isinstance(error, CommitOutcomeUnknownError)
    assert "pairs_a_key" in str(error)


def test_a_read_whose_end_is_lost_is_still_a_read(server, database):
    with database.transaction(read_only=True) as connection:
        connection.execute("SELECT 1")
        end_backends(server, database)
    assert one(database, "SELECT 1") == 1
