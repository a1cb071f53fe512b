"""Ways around the three roles that somebody with a password of one would try first."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from tests.conftest import TEMPLATE, database_from
from tests.cycle.bench import grant

from unghost.adapters.postgres.grants import Roles

BOTS, OURS = "bot-1", f"BFILL-{'a' * 32}"
BOOKS = """
INSERT INTO orders (order_id, profile_id, symbol, trade_id, action, status) VALUES
    ('bot-1', 'main', 'BTCUSDT', 't-1', 'ENTRY', 'filled'),
    ('BFILL-' || repeat('a', 32), 'main', 'BTCUSDT', 't-1', 'EXIT', 'filled');
INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)
VALUES ('b', 'main', 'apply', 'running', 'anna');
INSERT INTO reconciliation_backfill_audit (batch_id, profile_id, symbol, trade_id, decision,
    reason, actor) VALUES ('b', 'main', 'BTCUSDT', 't-1', 'APPLIED', 'fill_evidence', 'anna');
"""
TO_BECOME_ANOTHER = (
    'SET ROLE "{owner}"',
    "SET ROLE postgres",
    'SET SESSION AUTHORIZATION "{owner}"',
    'GRANT "{owner}" TO "{me}"',
    'ALTER ROLE "{me}" SUPERUSER',
    "ALTER ROLE \"{me}\" SET session_replication_role = 'replica'",
    "SET session_replication_role = 'replica'",
    "SET LOCAL row_security = off; UPDATE orders SET status = 'canceled'",
)
TO_CHANGE_A_ROW_OF_THE_BOT = (
    "UPDATE orders SET order_id = '{ours}' WHERE order_id = '{bots}'",
    "UPDATE orders SET order_id = 'bot-9' WHERE order_id = '{ours}'",
    (
        "INSERT INTO orders (order_id, status) VALUES ('{bots}', 'canceled')"
        " ON CONFLICT (order_id) DO UPDATE SET status = 'canceled'"
    ),
    (
        "MERGE INTO orders o USING (VALUES ('{bots}')) AS v (id) ON o.order_id = v.id"
        " WHEN MATCHED THEN UPDATE SET status = 'canceled'"
    ),
    (
        "MERGE INTO orders o USING (VALUES ('{bots}')) AS v (id) ON o.order_id = v.id"
        " WHEN MATCHED THEN DELETE"
    ),
    "WITH gone AS (DELETE FROM orders WHERE order_id = '{bots}' RETURNING 1) TABLE gone",
    "CREATE VIEW pg_temp.mine AS TABLE orders; UPDATE pg_temp.mine SET status = 'canceled'",
    "SELECT unghost_set_backfill_status(ARRAY['{bots}'], 'canceled')",
    "SELECT unghost_set_backfill_status(ARRAY[['{ours}', '{bots}']], 'canceled')",
    "SELECT unghost_set_backfill_status(ARRAY['{ours}'' OR true --'], 'canceled')",
    "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
    "SELECT 1 FROM orders WHERE order_id = '{bots}' FOR SHARE",
)
TO_CHANGE_THE_TABLES = (
    "CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING",
    "CREATE POLICY p ON orders USING (false)",
    "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE reconciliation_backfill_audit DISABLE TRIGGER ALL",
    "DROP TRIGGER reconciliation_backfill_audit_chain_written ON reconciliation_backfill_audit",
    "ALTER FUNCTION reconciliation_chain_written() SECURITY INVOKER",
    "DROP FUNCTION unghost_set_backfill_status(text[], text)",
    "CREATE SCHEMA theirs",
    "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION reconciliation_refuse_removal()",
    "COMMENT ON TABLE orders IS 'mine'",
    "CREATE INDEX i ON orders (status)",
    "CREATE TEMP TABLE child () INHERITS (orders)",
)
TO_FORGE_THE_RECORD = (
    "INSERT INTO reconciliation_chain TABLE reconciliation_chain",
    "COPY reconciliation_chain FROM STDIN",
    "COPY reconciliation_chain_head FROM STDIN",
    "UPDATE reconciliation_chain SET hash = repeat('0', 64)",
    "UPDATE reconciliation_chain_head SET hash = repeat('0', 64)",
    "SELECT * FROM reconciliation_chain_head FOR UPDATE",
    "SELECT reconciliation_chain_append('written', '{{}}', '{{}}', '{{}}')",
    (
        "CREATE TEMP TABLE t (LIKE reconciliation_backfill_audit);"
        " CREATE TRIGGER f AFTER INSERT ON t"
        " REFERENCING NEW TABLE AS added"
        " FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_chain_written()"
    ),
    (
        "CREATE TEMP TABLE t (LIKE reconciliation_backfill_audit);"
        " CREATE TRIGGER f AFTER UPDATE ON t"
        " REFERENCING NEW TABLE AS updated"
        " FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_chain_changed()"
    ),
    "UPDATE reconciliation_backfill_audit SET audit_id = DEFAULT",
    "UPDATE reconciliation_backfill_audit SET created_at = now()",
    "SELECT setval(pg_get_serial_sequence('reconciliation_backfill_audit', 'audit_id'), 1)",
)
TO_REACH_THE_SERVER = (
    "COPY orders TO PROGRAM 'cat'",
    "COPY orders TO '/tmp/unghost-orders'",
    "COPY orders FROM PROGRAM 'cat'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_reload_conf()",
    "SELECT rolpassword FROM pg_authid",
    "CREATE EXTENSION file_fdw",
    "CREATE LANGUAGE plpythonu",
)
TRICKS = (
    *TO_BECOME_ANOTHER,
    *TO_CHANGE_A_ROW_OF_THE_BOT,
    *TO_CHANGE_THE_TABLES,
    *TO_FORGE_THE_RECORD,
    *TO_REACH_THE_SERVER,
)
REFUSALS = (
    errors.InsufficientPrivilege,
    errors.WrongObjectType,
    errors.FeatureNotSupported,
    errors.UndefinedObject,
    errors.RestrictViolation,
)
"""How a server says no; which of them depends on its release and on what comes first."""
SHOWN = (
    "SELECT string_agg(o::text, '|' ORDER BY order_id) FROM orders AS o",
    "SELECT string_agg(a::text, '|' ORDER BY audit_id) FROM reconciliation_backfill_audit a",
    "SELECT string_agg(c::text, '|' ORDER BY seq) FROM reconciliation_chain c",
    "SELECT string_agg(h::text, '|') FROM reconciliation_chain_head h",
    "SELECT string_agg(tgname || tgenabled::text, '|' ORDER BY tgname) FROM pg_trigger",
    (
        "SELECT string_agg(relname::text || coalesce(relacl::text, ''), '|' ORDER BY oid)"
        " FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace"
    ),
)


@pytest.fixture(scope="module")
def place(server) -> Iterator[tuple[str, Roles]]:
    mark = uuid4().hex[:10]
    roles = Roles(owner=f"owner-{mark}", service=f"service-{mark}", reader=f"reader-{mark}")
    with database_from(server, TEMPLATE) as conninfo:
        grant(conninfo, roles)
        with psycopg.connect(conninfo) as bot:
            bot.execute(BOOKS)
        yield conninfo, roles
    with psycopg.connect(server, autocommit=True) as connection:
        for name in roles.named():
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def shown(conninfo: str) -> list[object]:
    """All that a trick might change."""
    with psycopg.connect(conninfo) as connection:
        return [connection.execute(one).fetchall() for one in SHOWN]


@pytest.mark.parametrize("who", ("service", "reader"))
@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_refused_and_leaves_nothing(place, who, trick):
    conninfo, roles = place
    me = getattr(roles, who)
    before = shown(conninfo)
    with (
        psycopg.connect(make_conninfo(conninfo, user=me)) as connection,
        pytest.raises(REFUSALS),
    ):
        connection.execute(trick.format(owner=roles.owner, me=me, bots=BOTS, ours=OURS))
    assert shown(conninfo) == before


def test_a_table_of_ones_own_in_front_of_ours_deceives_nobody_else(place):
    """What runs as the owner looks names up in its own schema, the caller's temporary ones last."""
    conninfo, roles = place
    with psycopg.connect(make_conninfo(conninfo, user=roles.service)) as connection:
        for name in ("orders", "reconciliation_chain", "reconciliation_chain_head"):
            copy = "CREATE TEMP TABLE {0} AS SELECT * FROM public.{0} WITH NO DATA"
            connection.execute(sql.SQL(copy).format(sql.Identifier(name)))
        connection.execute("UPDATE public.reconciliation_backfill_audit SET reverted_at = now()")
        connection.execute("SELECT unghost_set_backfill_status(%s, 'canceled')", [[OURS]])
        kept = "SELECT count(*) FROM pg_temp.reconciliation_chain"
        assert connection.execute(kept).fetchall() == [(0,)]
        links = "SELECT count(*) FROM public.reconciliation_chain"
        assert connection.execute(links).fetchall() == [(2,)]
        status = "SELECT status FROM public.orders WHERE order_id = %s"
        assert connection.execute(status, [OURS]).fetchall() == [("canceled",)]
        connection.rollback()


def test_giving_rights_away_gives_none(place):
    """Without the grant option PostgreSQL only warns; what counts is that nothing was given."""
    conninfo, roles = place
    before = shown(conninfo)
    with psycopg.connect(make_conninfo(conninfo, user=roles.service)) as connection:
        connection.execute(f'GRANT ALL ON orders TO "{roles.reader}"')
    assert shown(conninfo) == before
