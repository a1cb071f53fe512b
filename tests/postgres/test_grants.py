"""`unghost grants`: the roles can do their work and, in the database itself, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from tests.conftest import TEMPLATE, database_from
from tests.ledger_tables import FIT
from tests.postgres.test_ledger_shapes import add, apply, batch_of, entry_of, exit_of, table

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.grants import SERVICE_RIGHTS, Roles, grants_text
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.migrations import migrate, pending_migrations
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.adapters.postgres.queue import install_queue
from unghost.adapters.postgres.requirements import Requirement, check_database
from unghost.errors import DatabaseError, LedgerSchemaError, UsageError
from unghost.model import Decision

ALL_TABLES = (*SERVICE_RIGHTS, "orders")
REMOVE = "DELETE"
OURS = f"BFILL-{'a' * 32}"


@pytest.fixture(scope="module")
def roles(server) -> Iterator[Roles]:
    mark = uuid4().hex[:10]
    named = Roles(owner=f"owner-{mark}", service=f"service-{mark}", reader=f"reader-{mark}")
    yield named
    with psycopg.connect(server, autocommit=True) as connection:
        for name in named.named():
            drop = sql.SQL("DROP ROLE IF EXISTS {}")
            connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture
def books(server, roles) -> Iterator[str]:
    """Conninfo of a database on which the printed script was run; gone before the roles are."""
    with database_from(server, TEMPLATE) as conninfo:
        grant(conninfo, roles)
        yield conninfo


def grant(conninfo: str, roles: Roles) -> None:
    with closing(Database(conninfo)) as database:
        script = grants_text(database, roles)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(script)


@pytest.fixture
def service(books, roles) -> Iterator[Database]:
    with closing(Database(make_conninfo(books, user=roles.service))) as database:
        yield database


def do(conninfo: str, role: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(make_conninfo(conninfo, user=role)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


# --- what the service can do -------------------------------------------------------------------


def test_the_service_works_the_whole_way(books, service):
    """Audit, write, settle, roll back, reinstate, pause, verify, doctor."""
    with closing(Database(books)) as bot:
        add(bot)
        ledger = PostgresLedger(service)
        assert ledger.audit_writable()
        batch_id = apply(ledger, exit_of())
        assert {row["status"] for row in table(bot)} == {"filled"}
        (change,) = ledger.rollback(batch_id, actor="anna")
        assert (change.status_before, change.status_after) == ("filled", "canceled")
        with ledger.writing("desk") as transaction:
            (change,) = transaction.reinstate(batch_id, actor="anna")
        assert (change.status_before, change.status_after) == ("canceled", "filled")
        TradingProfiles(service).pause("main", actor="anna")
        TradingProfiles(service).resume("main", actor="anna")
        assert ledger.close_interrupted("desk", ["main"]).batch_ids == (batch_id,)
        assert pending_migrations(service) == ()
        assert migrate(service) == ()
        assert verify(service).whole
        assert [one for one in check_database(service) if one.verdict == "fail"] == []


@pytest.mark.parametrize(
    "name", ("standard", "qty only", "enums", "domains", "partitioned", "numbered")
)
def test_it_fits_the_ledger_that_is_there(server, roles, name):
    with database_from(server, "template1") as conninfo:
        with closing(Database(conninfo)) as owner, owner.transaction() as connection:
            connection.execute(FIT[name])
        with closing(Database(conninfo)) as owner:
            migrate(owner)
        grant(conninfo, roles)
        do(conninfo, roles.service, INSERT_OURS)
        found = do(conninfo, roles.service, CANCEL)
        assert found == [(OURS, "canceled")]


INSERT_OURS = """
INSERT INTO orders (order_id, profile_id, symbol, action, status)
VALUES ('BFILL-' || repeat('a', 32), 'main', 'BTCUSDT', 'EXIT', 'filled')"""
CANCEL = "SELECT * FROM unghost_set_backfill_status(ARRAY['BFILL-' || repeat('a', 32)], 'canceled')"


def test_orders_may_live_in_another_schema_than_our_tables(server, roles):
    with database_from(server, "template1") as conninfo:
        here = make_conninfo(conninfo, options="-c search_path=unghost,trading")
        do(conninfo, "postgres", "CREATE SCHEMA unghost; CREATE SCHEMA trading")
        do(make_conninfo(conninfo, options="-c search_path=trading"), "postgres", FIT["standard"])
        with closing(Database(here)) as owner:
            migrate(owner)
        grant(here, roles)
        do(here, roles.service, INSERT_OURS)
        assert do(here, roles.service, CANCEL)
        with closing(Database(make_conninfo(here, user=roles.service))) as service:
            ledger = PostgresLedger(service)
            batch_of(ledger, entry_of(exit_of(), Decision.DRY_RUN))
            assert verify(service).links == 1


def test_the_script_may_be_run_again_and_takes_back_what_was_given_besides(books, roles):
    do(books, "postgres", f'GRANT ALL ON orders, reconciliation_chain TO "{roles.service}"')
    do(books, roles.service, "UPDATE orders SET status = 'x' WHERE false")
    grant(books, roles)
    with pytest.raises(errors.InsufficientPrivilege):
        do(books, roles.service, "UPDATE orders SET status = 'x' WHERE false")


@pytest.fixture
def stranger(server) -> Iterator[str]:
    name = f"stranger-{uuid4().hex[:10]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    yield name
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def generous(server, roles, stranger) -> Iterator[str]:
    """A schema in which whatever is made is everybody's, as hosted servers have it."""
    with database_from(server, "template1") as conninfo:
        do(conninfo, "postgres", FIT["standard"])
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            default = (
                f'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {kind} TO "{stranger}"'
            )
            do(conninfo, "postgres", f"{default}, PUBLIC")
        with closing(Database(conninfo)) as owner:
            migrate(owner)
            install_queue(owner)
        yield conninfo


BY_STRANGERS = (
    f"SELECT unghost_set_backfill_status(ARRAY['{OURS}'], 'filled')",
    "SELECT reconciliation_chain_append('written', '{}', '{}', '{}')",
    "SELECT setval(pg_get_serial_sequence('reconciliation_backfill_audit', 'audit_id'), 9)",
    "INSERT INTO trading_profile (profile_id, status, actor) VALUES ('m', 'PAUSED', 'x')",
    "UPDATE reconciliation_backfill_audit SET evidence = '{}'",
    "TABLE reconciliation_backfill_audit",
    f"{REMOVE} FROM trading_profile",
    f"{REMOVE} FROM procrastinate_jobs",
    "SELECT nextval('procrastinate_jobs_id_seq')",
)


def test_what_the_schema_gave_to_everybody_is_taken_back(generous, roles, stranger):
    do(generous, stranger, f"{REMOVE} FROM trading_profile")
    do(generous, "postgres", f'GRANT UPDATE (status) ON trading_profile TO "{stranger}"')
    grant(generous, roles)
    for statement in BY_STRANGERS:
        with pytest.raises(errors.InsufficientPrivilege):
            do(generous, stranger, statement)
    for statement in BY_STRANGERS[1:3]:
        with pytest.raises(errors.InsufficientPrivilege):
            do(generous, roles.service, statement)


def test_the_doctor_names_who_may_do_what_nobody_but_the_owner_needs(generous, roles, stranger):
    with closing(Database(generous)) as owner:
        assert [one.detail.split()[0] for one in rights_of_others(owner)] == ["PUBLIC", stranger]
        grant(generous, roles)
        assert rights_of_others(owner) == []
    with closing(Database(make_conninfo(generous, user=roles.service))) as service:
        assert rights_of_others(service) == []


def test_a_restore_without_privileges_lets_nobody_in_once_the_script_has_run(
    books, roles, stranger
):
    """`pg_dump --no-acl` says nothing of a function, and then it is everybody's."""
    do(books, "postgres", FORGOTTEN)
    with closing(Database(books)) as owner:
        (found,) = rights_of_others(owner)
        assert found.detail.startswith("PUBLIC has rights on reconciliation_chain_append() and 3 ")
        grant(books, roles)
        assert rights_of_others(owner) == []
    for statement in BY_STRANGERS[:2]:
        with pytest.raises(errors.InsufficientPrivilege):
            do(books, stranger, statement)
    assert do(books, roles.service, CANCEL) == []


FORGOTTEN = """
UPDATE pg_proc SET proacl = NULL
WHERE proname LIKE 'reconciliation%' OR proname = 'unghost_set_backfill_status'"""


def rights_of_others(database: Database) -> list[Requirement]:
    found = [one for one in check_database(database) if one.name == "rights of others"]
    assert all(one.verdict == "warn" and "unghost grants" in one.remedy for one in found)
    return found


def test_the_doctor_tells_that_new_tables_lack_their_rights(books, roles, service):
    """As after an `unghost init` that made a table, with the rights of the release before."""
    do(books, "postgres", f'REVOKE ALL ON reconciliation_evidence FROM "{roles.service}"')
    failed = [one for one in check_database(service) if one.verdict == "fail"]
    assert [one.name for one in failed] == ["rights on reconciliation_evidence"]


def test_the_service_works_where_the_schema_gives_everything_to_everybody(generous, roles):
    grant(generous, roles)
    do(generous, roles.service, INSERT_OURS)
    assert do(generous, roles.service, CANCEL) == [(OURS, "canceled")]
    do(generous, roles.service, INSERT_BATCH)
    do(generous, roles.service, INSERT_AUDIT)
    with closing(Database(make_conninfo(generous, user=roles.service))) as service:
        assert PostgresLedger(service).audit_writable()
        assert len(PostgresLedger(service).audit_rows(batch_id="b")) == 1
        assert verify(service).whole
    do(generous, roles.service, "SELECT nextval('procrastinate_jobs_id_seq')")


# --- what it cannot do -------------------------------------------------------------------------

INSERT_BATCH = (
    "INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)"
    " VALUES ('b', 'm', 'apply', 'running', 'x')"
)
INSERT_AUDIT = (
    "INSERT INTO reconciliation_backfill_audit (batch_id, profile_id, symbol, trade_id, decision,"
    " reason, actor) VALUES ('b', 'm', 's', 't', 'APPLIED', 'fill_evidence', 'x')"
)
FORBIDDEN = (
    *(f"{REMOVE} FROM {name}" for name in ALL_TABLES),
    *(f"TRUNCATE {name} CASCADE" for name in ALL_TABLES),
    *(f"DROP TABLE {name}" for name in ALL_TABLES),
    *(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in ALL_TABLES),
    *(f"ALTER TABLE {name} ADD extra text" for name in ALL_TABLES),
    "UPDATE orders SET status = 'canceled'",
    "UPDATE orders SET updated_at = now()",
    "UPDATE orders SET quantity = 1",
    "SELECT * FROM orders FOR UPDATE",
    "UPDATE reconciliation_backfill_audit SET actor = 'nobody'",
    "UPDATE reconciliation_backfill_audit SET evidence = '{}'",
    "UPDATE reconciliation_backfill_batch SET actor = 'nobody'",
    "UPDATE reconciliation_event SET payload = '{}'",
    "UPDATE trading_profile SET profile_id = 'other'",
    "UPDATE reconciliation_migration SET checksum = 'x'",
    "INSERT INTO reconciliation_migration VALUES (99, 'x', 'x')",
    "INSERT INTO reconciliation_chain_head VALUES (true, 1, 'x')",
    "UPDATE reconciliation_chain_head SET seq = seq + 1",
    "UPDATE reconciliation_chain SET db_role = 'nobody'",
    "SELECT reconciliation_chain_append('written', '{}', '{}', '{}')",
    "SET session_replication_role = replica",
    "CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION reconciliation_refuse_removal()",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_refuses_the_service(granted_once, statement):
    conninfo, roles = granted_once
    with pytest.raises((errors.InsufficientPrivilege, errors.WrongObjectType)):
        do(conninfo, roles.service, statement)


@pytest.mark.parametrize(
    "statement",
    (
        *(f"{REMOVE} FROM {name}" for name in ALL_TABLES),
        "INSERT INTO orders (order_id) VALUES ('x')",
        "UPDATE orders SET status = 'canceled'",
        INSERT_AUDIT,
        "UPDATE reconciliation_backfill_audit SET reverted_at = now()",
        "INSERT INTO trading_profile (profile_id, status, actor) VALUES ('m', 'PAUSED', 'x')",
        "INSERT INTO reconciliation_event (event_type, profile_id) VALUES ('x', 'm')",
        CANCEL,
    ),
)
def test_the_reader_only_reads(granted_once, statement):
    conninfo, roles = granted_once
    with pytest.raises(errors.InsufficientPrivilege):
        do(conninfo, roles.reader, statement)
    for name in ALL_TABLES:
        do(conninfo, roles.reader, f"TABLE {name}")


@pytest.fixture(scope="module")
def granted_once(server, roles) -> Iterator[tuple[str, Roles]]:
    with database_from(server, TEMPLATE) as conninfo:
        grant(conninfo, roles)
        yield conninfo, roles


@pytest.mark.parametrize(
    "arguments",
    (
        "ARRAY['bot-1'], 'canceled'",
        f"ARRAY['{OURS}', 'bot-1'], 'canceled'",
        f"ARRAY['{OURS}', NULL], 'canceled'",
        f"ARRAY['{OURS}'], 'new'",
        f"ARRAY['{OURS}'], NULL",
        "ARRAY['BFILL-1'], 'filled'",
        f"ARRAY['{OURS}' || E'\\n'], 'filled'",
    ),
)
def test_the_function_changes_rows_of_unghost_alone(granted_once, arguments):
    conninfo, roles = granted_once
    insert = "INSERT INTO orders (order_id, status) VALUES ('bot-1', 'filled'), (%s, 'filled')"
    with psycopg.connect(conninfo) as bot:
        bot.execute(insert + " ON CONFLICT DO NOTHING", [OURS])
    with pytest.raises(errors.InsufficientPrivilege):
        do(conninfo, roles.service, f"SELECT unghost_set_backfill_status({arguments})")
    assert do(conninfo, roles.reader, "SELECT DISTINCT status FROM orders") == [("filled",)]


def test_what_the_service_writes_is_chained_whether_it_wants_or_not(books, roles, service):
    for statement in (
        INSERT_BATCH,
        INSERT_AUDIT,
        "UPDATE reconciliation_backfill_audit SET reverted_at = now()",
    ):
        do(books, roles.service, statement)
    found = verify(service)
    assert (found.links, found.whole) == (2, True)
    assert do(books, roles.reader, "SELECT DISTINCT db_role FROM reconciliation_chain") == [
        (roles.service,)
    ]


# --- the list itself ---------------------------------------------------------------------------


def test_every_table_of_ours_has_its_rights(database):
    """A table that a migration adds must be decided on here too."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'orders'"
        ).fetchall()
    ours = {row["tablename"] for row in rows if not row["tablename"].startswith("procrastinate_")}
    assert ours == set(SERVICE_RIGHTS)
    assert not [name for name, rights in SERVICE_RIGHTS.items() if "DELETE" in rights]


@pytest.mark.parametrize("name", ("", "a b", 'x"; DROP', "$$", "n" * 64, "ünghost"))
def test_what_cannot_be_a_role_is_refused(database, name):
    with pytest.raises(UsageError, match="cannot be the name of a role"):
        grants_text(database, Roles(service=name))


def test_three_roles_are_three(database):
    with pytest.raises(UsageError, match="three names"):
        grants_text(database, Roles(service="same", reader="same"))


def test_without_our_tables_or_without_orders_it_says_so(empty_database):
    with pytest.raises(LedgerSchemaError):
        grants_text(empty_database, Roles())
    with empty_database.transaction() as connection:
        connection.execute(FIT["standard"])
    with pytest.raises(DatabaseError, match="unghost init"):
        grants_text(empty_database, Roles())
