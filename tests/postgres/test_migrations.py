"""Our tables come into being once, whoever and however many ask for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from unghost.adapters.postgres import migrations
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.figures import Figure, Figures
from unghost.adapters.postgres.migrations import (
    create_sample_orders,
    known_migrations,
    migrate,
    pending_migrations,
)
from unghost.errors import DatabaseError

NAMES = tuple(one.name for one in known_migrations())


def tables_of(database: Database) -> set[str]:
    with database.transaction(read_only=True) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname NOT IN"
            " ('pg_catalog', 'information_schema')"
        ).fetchall()
    return {row["tablename"] for row in rows}


def execute(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        connection.execute(statement)


def test_migrating_makes_our_tables_and_no_other(empty_database):
    assert pending_migrations(empty_database) == NAMES
    assert migrate(empty_database) == NAMES
    assert pending_migrations(empty_database) == ()
    assert tables_of(empty_database) == {
        "reconciliation_migration",
        "reconciliation_backfill_batch",
        "reconciliation_backfill_audit",
        "reconciliation_chain",
        "reconciliation_chain_head",
        "reconciliation_evidence",
        "reconciliation_event",
        "reconciliation_file_fill",
        "reconciliation_fill_file",
        "reconciliation_account",
        "reconciliation_figure",
        "reconciliation_loop",
        "reconciliation_request",
        "trading_profile",
    }


def test_migrating_twice_does_nothing(empty_database):
    migrate(empty_database)
    assert migrate(empty_database) == ()


def test_what_the_loop_had_counted_of_its_calls_goes_on(empty_database, monkeypatch):
    before = [one for one in known_migrations() if one.version < 8]
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "known_migrations", lambda: before)
        migrate(empty_database)
    execute(
        empty_database,
        "INSERT INTO reconciliation_loop (profile_id, worker, calls)"
        """ VALUES ('main', 'w', '{"/positions": 7, "/fills": 2}'), ('other', 'w', '{}')""",
    )
    migrate(empty_database)
    assert Figures(empty_database).of(["main", "other"]) == {
        "main": {
            (Figure.EXCHANGE_CALLS, "/fills", ""): 2,
            (Figure.EXCHANGE_CALLS, "/positions", ""): 7,
        },
        "other": {},
    }


def test_eight_at_once_apply_each_migration_once(empty_database_url):
    def one() -> tuple[str, ...]:
        database = Database(empty_database_url)
        try:
            return migrate(database)
        finally:
            database.close()

    with ThreadPoolExecutor(8) as pool:
        applied = [future.result() for future in [pool.submit(one) for _ in range(8)]]
    assert sorted(name for names in applied for name in names) == sorted(NAMES)


def test_the_bots_table_is_left_alone(empty_database):
    create_sample_orders(empty_database)
    execute(empty_database, "INSERT INTO orders (order_id) VALUES ('o-1')")
    migrate(empty_database)
    assert not create_sample_orders(empty_database)
    with empty_database.transaction() as connection:
        assert connection.execute("SELECT order_id FROM orders").fetchall() == [{"order_id": "o-1"}]


def test_a_changed_migration_is_reported(database):
    execute(database, "UPDATE reconciliation_migration SET checksum = 'x' WHERE version = 1")
    for ask in (migrate, pending_migrations):
        with pytest.raises(DatabaseError, match=r"Migration 1 record is not the one"):
            ask(database)


def test_a_database_of_a_newer_release_is_refused(database):
    execute(
        database,
        "INSERT INTO reconciliation_migration (version, name, checksum) VALUES (99, 'new', 'x')",
    )
    for ask in (migrate, pending_migrations):
        with pytest.raises(DatabaseError, match=r"newer unghost .*99 new"):
            ask(database)


def test_a_role_that_may_not_make_tables_is_told_so(role, empty_database_url):
    database = Database(make_conninfo(empty_database_url, user=role))
    with pytest.raises(DatabaseError, match=rf"GRANT CREATE ON SCHEMA public TO {role}"):
        migrate(database)
    database.close()


def test_a_search_path_without_a_schema_is_told(empty_database_url):
    database = Database(f"{empty_database_url} options='-csearch_path=nowhere'")
    with pytest.raises(DatabaseError, match="No schema in the search_path"):
        migrate(database)
    database.close()


def test_a_migrated_database_needs_no_right_to_make_tables(role, database, database_url):
    with database.transaction() as connection:
        grant = sql.SQL("GRANT SELECT ON reconciliation_migration TO {}")
        connection.execute(grant.format(sql.Identifier(role)))
    poor = Database(make_conninfo(database_url, user=role))
    assert migrate(poor) == ()
    poor.close()


def test_a_table_of_others_under_our_name_is_named(empty_database):
    execute(empty_database, "CREATE TABLE trading_profile (x int)")
    with pytest.raises(DatabaseError, match="trading_profile"):
        migrate(empty_database)
    assert "reconciliation_backfill_audit" not in tables_of(empty_database)


def test_a_checksum_does_not_depend_on_line_ends():
    one = known_migrations()[0]
    windows = type(one)(
        version=1, name=one.name, statements=one.statements.replace("\n", "\r\n") + "\r\n"
    )
    assert windows.checksum == one.checksum


@pytest.mark.parametrize(
    "statement",
    (
        "DELETE FROM reconciliation_backfill_audit",
        "TRUNCATE reconciliation_backfill_audit",
        "UPDATE reconciliation_backfill_audit SET actor = 'somebody else'",
        "UPDATE reconciliation_backfill_audit SET decision = 'APPLIED'",
    ),
)
def test_audit_rows_stand(database, statement):
    execute(
        database,
        """
        INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)
        VALUES ('b-1', 'main', 'dry_run', 'finished', 'a');
        INSERT INTO reconciliation_backfill_audit
            (batch_id, profile_id, symbol, trade_id, decision, reason, actor)
        VALUES ('b-1', 'main', 'BTCUSDT', 't-1', 'DRY_RUN', 'fill_evidence', 'a')
        """,
    )
    with pytest.raises(DatabaseError):
        execute(database, statement)
    execute(database, "SET LOCAL session_replication_role = origin")
    with pytest.raises(DatabaseError):
        execute(database, f"SET LOCAL session_replication_role = replica; {statement}")
