# ruff: noqa: S608 - every name and value of these statements stands in this file
"""Whatever an owner of the tables leaves in the record, verifying it ends with a named break."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import cast

import pytest
from psycopg import Connection
from psycopg.rows import DictRow
from tests.conftest import TEMPLATE, database_from
from tests.postgres.test_chain import GUARDED, LINKS, a_history, past_the_guards, run
from tests.postgres.test_ledger_shapes import ledger_over, table

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.errors import DatabaseError
from unghost.model import ChainHead

AUDIT = "reconciliation_backfill_audit"
CHAIN = "reconciliation_chain"
HEAD = "reconciliation_chain_head"
EVIDENCE = "reconciliation_evidence"

UNGUARDED = f"""
DROP TRIGGER reconciliation_backfill_audit_update ON {AUDIT};
DROP TRIGGER reconciliation_backfill_audit_fixed ON {AUDIT};
DROP TRIGGER reconciliation_chain_head_forward ON {HEAD};
DROP TRIGGER reconciliation_evidence_digest ON {EVIDENCE};
ALTER TABLE {AUDIT} ALTER audit_id DROP IDENTITY, ALTER audit_id SET DEFAULT 1000;
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT conname, conrelid::regclass AS of_table FROM pg_constraint
        WHERE conrelid IN ('{AUDIT}'::regclass, '{CHAIN}'::regclass, '{HEAD}'::regclass,
                           '{EVIDENCE}'::regclass)
          AND contype IN ('p', 'c', 'u')
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.of_table, one.conname); END LOOP;
    FOR one IN SELECT attname, attrelid::regclass AS of_table FROM pg_attribute
        WHERE attnotnull AND attnum > 0
          AND attrelid IN ('{AUDIT}'::regclass, '{CHAIN}'::regclass, '{HEAD}'::regclass,
                           '{EVIDENCE}'::regclass)
    LOOP EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', one.of_table, one.attname);
    END LOOP;
END $$;
"""
"""Every key, check, NOT NULL and guard of columns goes."""

SHARED = f"""
INSERT INTO {EVIDENCE} SELECT encode(sha256(convert_to(b::text, 'UTF8')), 'hex'), b
FROM (SELECT '{{"a": 1}}'::jsonb AS b) AS s;
INSERT INTO {AUDIT}
    (batch_id, profile_id, symbol, trade_id, decision, reason, actor, evidence)
SELECT a.batch_id, 'main', 'x', 'shares', 'DRY_RUN', 'fill_evidence', 'anna',
    jsonb_build_object('shared', e.digest)
FROM {AUDIT} AS a, {EVIDENCE} AS e WHERE a.audit_id = 1
"""
"""A third row, which names what it shares."""

LINK_COLUMNS = (
    *("seq", "version", "kind", "audit_ids", "states", "digests", "db_role", "created_at"),
    *("previous_hash", "hash"),
)
ROW_COLUMNS = (
    *("audit_id", "batch_id", "profile_id", "symbol", "trade_id", "decision", "reason"),
    *("filled_qty", "open_qty", "actor", "evidence", "created_at"),
)


class Open:
    """Stands where a database is expected, and has one transaction that is open already."""

    def __init__(self, conn: Connection[DictRow]) -> None:
        self._conn = conn

    @contextmanager
    def transaction(self, **_: object) -> Iterator[Connection[DictRow]]:
        yield self._conn


class UndoneError(Exception):
    """Ends a transaction whose tampering shall not stay."""


@pytest.fixture(scope="module")
def laid_open(server) -> Iterator[Database]:
    """A record of seven links and three rows, and nothing that guards it; for all tests here."""
    with database_from(server, TEMPLATE) as conninfo, closing(Database(conninfo)) as database:
        a_history(database)
        run(database, SHARED)
        off = "; ".join(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in GUARDED)
        run(database, f"{off}; {UNGUARDED}")
        yield database


def breaks_after(database: Database, *statements: str) -> tuple[str, ...]:
    """What is told after the deed, which is then undone. None may be missing, or be an exception.

    A second tampering must not hide behind the first one: all that is told stays short.
    """
    with suppress(UndoneError), database.transaction() as conn:
        for statement in statements:
            conn.execute(statement)
        found = verify(cast("Database", Open(conn)))
        raise UndoneError
    assert not found.whole
    assert all(len(one) < 1000 and one.isprintable() for one in found.breaks)
    return found.breaks


def test_laid_open_it_is_whole(laid_open):
    assert verify(laid_open).whole


@pytest.mark.parametrize("column", LINK_COLUMNS)
def test_a_link_without_a_value(laid_open, column):
    breaks = breaks_after(laid_open, f"UPDATE {CHAIN} SET {column} = NULL WHERE seq = 3")
    assert "link" in breaks[0]


@pytest.mark.parametrize("column", ROW_COLUMNS)
def test_a_row_without_a_value(laid_open, column):
    breaks = breaks_after(laid_open, f"UPDATE {AUDIT} SET {column} = NULL WHERE audit_id = 1")
    assert "audit row" in breaks[0]


def test_a_row_without_an_id_is_not_taken_for_one_that_was_removed(laid_open):
    breaks = breaks_after(
        laid_open,
        f"INSERT INTO {AUDIT} SELECT (a).* FROM (SELECT {AUDIT} AS a FROM {AUDIT}) s;"
        f"UPDATE {AUDIT} SET audit_id = NULL WHERE ctid = (SELECT max(ctid) FROM {AUDIT})",
    )
    assert any("without an id" in one for one in breaks)


@pytest.mark.parametrize(
    "value",
    (
        "ARRAY[NULL]::bigint[]",
        "ARRAY[NULL, 3]::bigint[]",
        "ARRAY[]::bigint[]",
        "ARRAY[[2, 3], [4, 5]]::bigint[]",
        "'[7:8]={2,3}'::bigint[]",
        "ARRAY[-1]::bigint[]",
    ),
)
def test_ids_that_are_none(laid_open, value):
    breaks = breaks_after(laid_open, f"UPDATE {CHAIN} SET audit_ids = {value} WHERE seq = 3")
    assert "link 3" in breaks[0]


@pytest.mark.parametrize("column", ("states", "digests"))
@pytest.mark.parametrize(
    "value",
    (
        "ARRAY[NULL]::text[]",
        "ARRAY[[NULL, 'a'], ['b', 'c']]::text[]",
        "array_fill('x'::text, ARRAY[2000])",
    ),
)
def test_lists_that_no_link_holds(laid_open, column, value):
    breaks = breaks_after(laid_open, f"UPDATE {CHAIN} SET {column} = {value} WHERE seq = 2")
    assert "link 2" in breaks[0]


@pytest.mark.parametrize(
    "change",
    (
        "ALTER hash TYPE bytea USING hash::bytea",
        "ALTER hash TYPE int USING 7",
        "ALTER hash TYPE jsonb USING '{}'",
        "ALTER previous_hash TYPE bytea USING previous_hash::bytea",
        "ALTER seq TYPE text",
        "ALTER seq TYPE numeric USING CASE WHEN seq = 3 THEN 'NaN' ELSE seq::numeric END",
        "ALTER version TYPE text",
        "ALTER kind TYPE bytea USING kind::bytea",
        "ALTER audit_ids TYPE text[] USING ARRAY['x']",
        "ALTER audit_ids TYPE jsonb USING '{\"a\": 1}'",
        "ALTER states TYPE bytea[] USING ARRAY['x'::bytea]",
        "ALTER digests TYPE date[] USING ARRAY['infinity'::date]",
        "ALTER db_role TYPE bytea USING db_role::bytea",
        "ALTER created_at TYPE date",
        "ALTER created_at TYPE bytea USING 'x'",
        "DROP hash",
        "DROP audit_ids CASCADE",
        "RENAME TO elsewhere",
    ),
)
def test_columns_of_the_chain_of_another_type(laid_open, change):
    assert breaks_after(laid_open, f"ALTER TABLE {CHAIN} {change}")


@pytest.mark.parametrize(
    "change",
    (
        "ALTER filled_qty TYPE bytea USING 'x'",
        "ALTER actor TYPE bytea USING actor::bytea",
        "ALTER batch_id TYPE jsonb USING '[]'",
        "ALTER trade_id TYPE date USING 'infinity'",
        "ALTER decision TYPE bytea USING 'x'",
        "ALTER evidence TYPE text USING 'x'",
        "ALTER filled_at TYPE text USING 'x'",
        "ALTER audit_id TYPE text",
        "DROP fee",
        "DROP actor",
        "RENAME TO elsewhere",
    ),
)
def test_columns_of_the_audit_of_another_type(laid_open, change):
    assert breaks_after(laid_open, f"ALTER TABLE {AUDIT} {change}")


@pytest.mark.parametrize(
    "value", ("''", "'x'", "repeat('f', 63)", "repeat('F', 64)", "repeat('f', 3000000)", "'\u00e9'")
)
def test_a_hash_of_another_length(laid_open, value):
    breaks = breaks_after(laid_open, f"UPDATE {CHAIN} SET hash = {value} WHERE seq = 3")
    assert "link 3 " in breaks[0]
    assert all(len(one) < 1000 for one in breaks)


def test_the_first_gap_is_named(laid_open):
    breaks = breaks_after(laid_open, f"UPDATE {CHAIN} SET seq = 9 WHERE seq = 3")
    assert breaks[0] == "the chain jumps from link 2 to link 4: some were removed"


def test_a_link_that_stands_twice(laid_open):
    breaks = breaks_after(laid_open, f"INSERT INTO {CHAIN} SELECT * FROM {CHAIN} WHERE seq = 3")
    assert breaks[0].startswith("link 3 (audit row 2")
    assert breaks[0].endswith("stands there more than once, or out of order")


@pytest.mark.parametrize("seq", ("0", "-5", "9223372036854775807", "-9223372036854775808"))
def test_a_number_out_of_the_row(laid_open, seq):
    assert breaks_after(laid_open, f"UPDATE {CHAIN} SET seq = {seq} WHERE seq = 3")


@pytest.mark.parametrize("version", ("0", "-1", "2", "32767"))
def test_a_version_that_nobody_knows(laid_open, version):
    breaks = breaks_after(laid_open, f"UPDATE {CHAIN} SET version = {version} WHERE seq = 2")
    assert f"has version {version}, known here is 1" in breaks[0]


MOMENTS = (
    "'infinity'",
    "'-infinity'",
    "'0044-03-15 12:00:00+00 BC'",
    "'4713-01-01 00:00:00+00 BC'",
    "'20000-01-01 00:00:00+00'",
    "'294276-12-31 23:59:59.999999+00'",
)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("column", ("filled_at", "created_at", "reverted_at"))
def test_moments_of_rows_beyond_python(laid_open, column, moment):
    breaks = breaks_after(laid_open, f"UPDATE {AUDIT} SET {column} = {moment} WHERE audit_id = 1")
    assert breaks[0].startswith("audit row 1 (batch ")


@pytest.mark.parametrize("moment", MOMENTS)
def test_moments_of_links_beyond_python(laid_open, moment):
    breaks = breaks_after(laid_open, f"UPDATE {CHAIN} SET created_at = {moment} WHERE seq = 3")
    assert breaks[0].startswith("link 3 (audit row 2")


@pytest.mark.parametrize(
    "number", ("'NaN'", "'Infinity'", "'-Infinity'", "'1e130000'", "'1e-16000'")
)
@pytest.mark.parametrize("column", ("filled_qty", "price"))
def test_numbers_beyond_numbers(laid_open, column, number):
    breaks = breaks_after(laid_open, f"UPDATE {AUDIT} SET {column} = {number} WHERE audit_id = 1")
    assert breaks[0].startswith("audit row 1 (batch ")


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_written_so_with_all_guards_on_is_whole(database, moment):
    """Raw SQL may write such a moment, and then it is what the chain holds."""
    a_history(database)
    with database.transaction() as conn:
        conn.execute(
            f"INSERT INTO {AUDIT} (batch_id, profile_id, symbol, trade_id, decision, reason,"
            " actor, filled_at, price)"
            " SELECT batch_id, 'main', 'x', 'y', 'DRY_RUN', 'fill_evidence', 'a',"
            f" {moment}, 'Infinity' FROM reconciliation_backfill_batch LIMIT 1"
        )
    assert verify(database).breaks == ()


@pytest.mark.parametrize(
    "body",
    (
        "jsonb_build_object('a', repeat('x', 20000000))",
        "(SELECT jsonb_agg(n) FROM generate_series(1, 1000000) n)",
        "(repeat('[', 5000) || repeat(']', 5000))::jsonb",
        "'null'::jsonb",
        "'\"shared\"'::jsonb",
        "'[\"shared\"]'::jsonb",
        "'{\"shared\": null}'::jsonb",
        '\'{"shared": {"a": 1}}\'::jsonb',
        "'{\"shared\": 1e1000}'::jsonb",
    ),
)
def test_evidence_of_any_size_and_form(laid_open, body):
    breaks = breaks_after(laid_open, f"UPDATE {AUDIT} SET evidence = {body} WHERE audit_id = 1")
    assert breaks[0].startswith("audit row 1 (batch ")
    assert all(len(one) < 1000 for one in breaks)


def test_names_as_long_as_a_book_are_cut(laid_open):
    breaks = breaks_after(
        laid_open,
        "DROP INDEX reconciliation_backfill_audit_lifecycle",
        f"UPDATE {AUDIT} SET trade_id = repeat('x', 5000000), decision = repeat(E'\\n', 5000)"
        " WHERE audit_id = 1",
    )
    assert breaks[0].startswith("audit row 1 (batch ")
    assert all(len(one) < 1000 and one.isprintable() for one in breaks)


@pytest.mark.parametrize(
    ("statement", "told"),
    (
        (f"DELETE FROM {HEAD}", "the chain has 0 heads"),
        (f"TRUNCATE {HEAD}", "the chain has 0 heads"),
        (f"INSERT INTO {HEAD} SELECT false, seq, hash FROM {HEAD}", "the chain has 2 heads"),
        (f"UPDATE {HEAD} SET seq = 99", "the chain ends at link 7, its head says link 99"),
        (f"UPDATE {HEAD} SET seq = NULL", "the chain's head"),
        (f"UPDATE {HEAD} SET hash = NULL", "the chain's head"),
        (f"UPDATE {HEAD} SET hash = 'x'", "the chain's head"),
        (f"ALTER TABLE {HEAD} ALTER hash TYPE bytea USING 'x'", "the chain's head"),
        (f"ALTER TABLE {HEAD} ALTER seq TYPE text", "the chain's head"),
        (f"ALTER TABLE {HEAD} DROP hash", "the head of the chain cannot be read"),
        (f"DROP TABLE {HEAD}", "the head of the chain cannot be read"),
    ),
)
def test_heads(laid_open, statement, told):
    assert any(told in one for one in breaks_after(laid_open, statement))


def test_a_missing_head_stops_a_cycle_with_a_sentence(database):
    ledger = a_history(database)
    past_the_guards(database, f"DELETE FROM {HEAD}")
    with pytest.raises(DatabaseError, match="the chain has 0 heads"):
        ledger.chain_head()


def test_an_empty_chain_with_an_empty_head_row_missing(database):
    ledger_over(database)
    past_the_guards(database, f"DELETE FROM {HEAD}")
    assert verify(database).breaks[0].startswith("the chain has 0 heads")


def test_a_row_that_stands_twice(laid_open):
    breaks = breaks_after(
        laid_open,
        f"INSERT INTO {AUDIT} SELECT * FROM {AUDIT} WHERE audit_id = 1;"
        f"DELETE FROM {CHAIN} WHERE seq = 8;"
        f"UPDATE {HEAD} h SET seq = c.seq, hash = c.hash FROM {CHAIN} c"
        " WHERE c.seq = 7",
    )
    assert breaks[0].startswith("audit row 1 (batch ")
    assert "stands there more than once" in breaks[0]


# --- evidence that rows share ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "told"),
    (
        (f"DELETE FROM {EVIDENCE}", "which is not there"),
        (f"UPDATE {EVIDENCE} SET body = NULL", "is not what was written"),
        (f"UPDATE {EVIDENCE} SET digest = NULL", "which is not there"),
        (f"UPDATE {EVIDENCE} SET digest = 'x'", "which is not there"),
        (f"INSERT INTO {EVIDENCE} SELECT * FROM {EVIDENCE}", "stands there more than once"),
        (f"INSERT INTO {EVIDENCE} VALUES (NULL, NULL)", "evidence None is not what was written"),
        (f"DROP TABLE {EVIDENCE}", "cannot be read"),
        (f"ALTER TABLE {EVIDENCE} ALTER body TYPE bytea USING 'x'", "is not what was written"),
        (f"ALTER TABLE {EVIDENCE} ALTER digest TYPE bytea USING 'x'", "cannot be read"),
    ),
)
def test_shared_evidence(laid_open, statement, told):
    breaks = breaks_after(laid_open, statement)
    assert any(told in one for one in breaks), breaks


def test_much_giant_evidence_is_not_held_at_once(laid_open):
    """Eight rows of 10 MB each are read one after the other."""
    tracemalloc.start()
    try:
        breaks_after(
            laid_open,
            f"INSERT INTO {AUDIT} SELECT (jsonb_populate_record(a, jsonb_build_object("
            "'audit_id', 50 + n, 'evidence', jsonb_build_object('a', repeat('x', 10000000))))).*"
            f" FROM {AUDIT} AS a, generate_series(1, 8) AS n WHERE a.audit_id = 1",
        )
        assert tracemalloc.get_traced_memory()[1] < 75_000_000
    finally:
        tracemalloc.stop()


def test_a_head_of_before_the_first_link_has_one_hash(database):
    a_history(database)
    other = ChainHead(seq=0, hash="1" * 64)
    assert "the chain was made anew" in verify(database, kept=other).breaks[0]
    assert verify(database, kept=ChainHead(seq=0, hash="0" * 64)).whole
    assert len(table(database, LINKS)) == 6
