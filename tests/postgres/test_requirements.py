"""What `unghost doctor` says of a database, in order and out of order."""

from __future__ import annotations

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.ledger_tables import QTY_ONLY, STANDARD

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.migrations import migrate
from unghost.adapters.postgres.requirements import Requirement, check_database
from unghost.errors import LedgerSchemaError


def execute(database: Database, statement: str | sql.Composed) -> None:
    with database.transaction() as connection:
        connection.execute(statement)


def grant(database: Database, rights: str, role: str) -> None:
    execute(database, sql.SQL(f"GRANT {rights} TO {{}}").format(sql.Identifier(role)))


def failed(found: tuple[Requirement, ...]) -> dict[str, str]:
    return {one.name: f"{one.detail} / {one.remedy}" for one in found if one.verdict == "fail"}


def named(database: Database, name: str) -> Requirement:
    (found,) = (one for one in check_database(database) if one.name == name)
    return found


def test_all_in_order(database):
    found = check_database(database)
    assert {one.name: one.verdict for one in found} == {
        "connection": "ok",
        "server": "ok",
        "clock": "ok",
        "orders": "ok",
        "unique index": "ok",
        "rights on orders": "ok",
        "tables of unghost": "ok",
        "rights on the tables of unghost": "ok",
    }
    assert all(one.remedy == "" for one in found)


def test_no_database():
    (only,) = check_database(Database("postgresql://bot:s3cret@127.0.0.1:1/x"))
    assert (only.name, only.verdict) == ("connection", "fail")
    assert "s3cret" not in only.detail


def test_an_empty_database(empty_database):
    found = failed(check_database(empty_database))
    assert set(found) == {"orders", "tables of unghost"}
    assert "There is no table orders" in found["orders"]
    assert "run unghost init" in found["tables of unghost"]


def test_no_unique_index(database):
    execute(database, "ALTER TABLE orders DROP CONSTRAINT orders_order_id_key")
    found = failed(check_database(database))
    assert set(found) == {"unique index"}
    assert "CREATE UNIQUE INDEX CONCURRENTLY" in found["unique index"]


def test_every_problem_of_the_table_is_told(database):
    execute(database, "ALTER TABLE orders DROP trade_id, DROP price")
    problems = [one.detail for one in check_database(database) if one.name == "orders"]
    assert problems == ["orders has no column trade_id.", "orders has no column price."]


def test_missing_rights(role, database, database_url):
    poor = Database(make_conninfo(database_url, user=role))
    found = failed(check_database(poor))
    assert "lacks SELECT, INSERT, UPDATE (status, updated_at)" in found["rights on orders"]
    assert f"ON orders TO {role}" in found["rights on orders"]
    assert "reconciliation_migration" in found["migrations"]
    assert "INSERT, SELECT, UPDATE" in found["rights on trading_profile"]
    poor.close()


def test_rights_on_two_columns_are_enough_to_update(role, database, database_url):
    grant(database, "SELECT, INSERT, UPDATE (status, updated_at) ON orders", role)
    poor = Database(make_conninfo(database_url, user=role))
    assert named(poor, "rights on orders").verdict == "ok"
    poor.close()


def test_the_remedy_that_is_told_is_the_remedy(role, database, database_url):
    poor = Database(make_conninfo(database_url, user=role))
    for one in check_database(poor):
        if one.remedy.startswith("GRANT"):
            execute(database, one.remedy)
    assert set(failed(check_database(poor))) == set()
    poor.close()


def test_a_number_that_the_role_may_not_draw(role, database, database_url):
    """The first apply would fail on it."""
    execute(database, "ALTER TABLE orders ADD nr bigserial")
    grant(database, "SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public", role)
    poor = Database(make_conninfo(database_url, user=role))
    found = failed(check_database(poor))
    assert set(found) == {"rights on sequence orders_nr_seq"}
    (told,) = found.values()
    execute(database, told.partition(" / ")[2])
    assert failed(check_database(poor)) == {}


def test_triggers_of_the_bot(database):
    execute(
        database,
        """
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
        CREATE TRIGGER notify_desk BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f();
        CREATE TRIGGER on_delete BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION f();
        """,
    )
    found = named(database, "triggers")
    assert found.verdict == "warn"
    assert "notify_desk" in found.detail
    assert "on_delete" not in found.detail


SHOWS_ALL = "CREATE POLICY everything ON orders FOR SELECT USING (true)"
NARROWS = "CREATE POLICY mine ON orders AS RESTRICTIVE USING (profile_id = 'main')"


@pytest.mark.parametrize(
    ("policies", "hidden"),
    (
        ([], True),
        (["CREATE POLICY mine ON orders USING (profile_id = 'main')"], True),
        (["CREATE POLICY theirs ON orders TO pg_monitor USING (true)"], True),
        (["CREATE POLICY adding ON orders FOR INSERT WITH CHECK (true)"], True),
        (["CREATE POLICY adding ON orders WITH CHECK (true)"], True),
        ([SHOWS_ALL], False),
        ([SHOWS_ALL, "CREATE POLICY mine ON orders USING (profile_id = 'main')"], False),
        ([SHOWS_ALL, NARROWS], True),
        ([SHOWS_ALL, f"{NARROWS.replace('USING', 'TO pg_monitor USING')}"], False),
        (["CREATE POLICY everything ON orders USING (true)"], False),
    ),
)
def test_row_security_that_may_hide_a_row(policies, hidden, role, database, database_url):
    grant(database, "SELECT, INSERT ON orders", role)
    execute(database, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    for policy in policies:
        execute(database, policy)
    poor = Database(make_conninfo(database_url, user=role))
    found = named(poor, "row security")
    assert found.verdict == ("fail" if hidden else "ok")
    ledger = PostgresLedger(poor)
    if hidden:
        assert role in found.detail
        with pytest.raises(LedgerSchemaError, match="a hidden EXIT looks like a ghost"):
            ledger.open_lifecycles(["main"])
        with pytest.raises(LedgerSchemaError, match="BYPASSRLS"), ledger.writing("main"):
            pass
        for asks in (ledger.over_closed, ledger.ghosts_left):
            with pytest.raises(LedgerSchemaError, match="BYPASSRLS"):
                asks("main")
    else:
        assert ledger.open_lifecycles(["main"]) == ()
    poor.close()


def test_row_security_of_the_tables_of_unghost(role, database, database_url):
    poor = Database(make_conninfo(database_url, user=role))
    name = "row security of the record"
    assert name not in {one.name for one in check_database(poor)}
    for table in ("reconciliation_backfill_audit", "trading_profile"):
        execute(database, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    found = named(poor, name)
    assert found.verdict == "warn"
    assert "on reconciliation_backfill_audit, trading_profile: without" in found.detail
    assert name not in {one.name for one in check_database(database)}
    poor.close()


def test_row_security_that_does_not_apply_to_the_role(database):
    assert not [one for one in check_database(database) if one.name == "row security"]
    execute(database, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    assert named(database, "row security").verdict == "ok"
    assert PostgresLedger(database).open_lifecycles(["main"]) == ()


def test_row_security_that_comes_while_a_process_runs_stops_its_writes(
    role, database, database_url
):
    grant(database, "SELECT, INSERT ON orders", role)
    poor = Database(make_conninfo(database_url, user=role))
    ledger = PostgresLedger(poor)
    assert ledger.open_lifecycles(["main"]) == ()
    execute(database, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    with pytest.raises(LedgerSchemaError, match="Row security"), ledger.writing("main"):
        pass
    with pytest.raises(LedgerSchemaError, match="Row security"):
        ledger.open_lifecycles(["main"])
    poor.close()


def test_row_security_that_comes_while_a_process_runs_stops_its_next_detection(
    role, database, database_url
):
    """The loop keeps one ledger for months; a dry run from a part of it would find ghosts."""
    grant(database, "SELECT, INSERT ON orders", role)
    execute(database, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    execute(database, SHOWS_ALL)
    poor = Database(make_conninfo(database_url, user=role))
    ledger = PostgresLedger(poor)
    assert ledger.open_lifecycles(["main"]) == ()
    execute(database, NARROWS)
    with pytest.raises(LedgerSchemaError, match="Row security"):
        ledger.look(["main"], hint=None, full=True, judge=lambda one: one)
    with pytest.raises(LedgerSchemaError, match="Row security"):
        ledger.open_lifecycles(["main"])
    execute(database, "DROP POLICY mine ON orders")
    assert ledger.open_lifecycles(["main"]) == ()
    poor.close()


def test_times_without_a_zone(empty_database, empty_database_url):
    execute(empty_database, QTY_ONLY)
    migrate(empty_database)
    name = sql.Identifier(empty_database.target.name)
    for zone, verdict in (("UTC", "ok"), ("Asia/Tokyo", "warn")):
        setting = sql.SQL("ALTER DATABASE {} SET TimeZone = {}").format(name, sql.Literal(zone))
        execute(empty_database, setting)
        fresh = Database(empty_database_url)
        found = named(fresh, "times without a zone")
        fresh.close()
        assert found.verdict == verdict
        assert "created_at" in found.detail
        assert zone in found.detail


def test_a_database_that_quotes_every_name_says_the_same_of_its_types(
    empty_database, empty_database_url
):
    execute(empty_database, STANDARD)
    migrate(empty_database)
    before = told_of_the_ledger(empty_database)
    name = sql.Identifier(empty_database.target.name)
    execute(
        empty_database, sql.SQL("ALTER DATABASE {} SET quote_all_identifiers = on").format(name)
    )
    fresh = Database(empty_database_url)
    assert told_of_the_ledger(fresh) == before
    fresh.close()


def told_of_the_ledger(database: Database) -> list[str]:
    """What the checks say but for the clock, which goes on between two of them."""
    return [one.detail for one in check_database(database) if one.name != "clock"]


def test_a_read_only_role(role, database, database_url):
    alter = sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on")
    execute(database, alter.format(sql.Identifier(role)))
    poor = Database(make_conninfo(database_url, user=role))
    found = named(poor, "server")
    poor.close()
    assert found.verdict == "fail"
    assert "read-only" in found.detail


def test_columns_that_are_copied_are_named(empty_database):
    execute(empty_database, f"{STANDARD}; ALTER TABLE orders ADD venue text NOT NULL")
    assert "venue" in named(empty_database, "copied columns").detail


@pytest.mark.parametrize("statement", ("DROP TABLE trading_profile", "DROP TABLE orders"))
def test_a_missing_table_is_reported_and_nothing_raised(database, statement):
    execute(database, statement)
    assert check_database(database)
