"""The chain over the record: it follows every write, and a break in it is found and named."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from tests.conftest import database_from
from tests.postgres.test_ledger_shapes import (
    add,
    batch_of,
    entry_of,
    exit_of,
    ledger_over,
    table,
)

from unghost.adapters.postgres.chain import Verification, verify
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.migrations import known_migrations
from unghost.adapters.postgres.server_programs import installed_programs
from unghost.errors import ConfigurationError, DatabaseError
from unghost.model import AuditEntry, Candidate, ChainHead, Decision, Reason, Settlement

LINKS = "SELECT * FROM reconciliation_chain ORDER BY seq"
GUARDED = (
    "reconciliation_backfill_audit",
    "reconciliation_backfill_batch",
    "reconciliation_chain",
    "reconciliation_chain_head",
    "reconciliation_evidence",
)

FORGED = """
INSERT INTO reconciliation_backfill_audit
    (batch_id, profile_id, symbol, trade_id, decision, reason, actor)
SELECT batch_id, 'main', 'x', 'forged', 'APPLIED', 'fill_evidence', 'anna'
FROM reconciliation_backfill_batch LIMIT 1"""


def run(database: Database, statement: str) -> None:
    with database.transaction() as conn:
        conn.execute(statement)


def past_the_guards(database: Database, statement: str) -> None:
    """As the owner of the tables can: triggers off, the deed, triggers on."""
    off = "; ".join(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in GUARDED)
    on = "; ".join(f"ALTER TABLE {name} ENABLE TRIGGER USER" for name in GUARDED)
    run(database, f"{off}; {statement}; {on}")


def a_history(database: Database) -> PostgresLedger:
    """Six links: a dry run, an apply (intent and decision), a rollback, a reinstate, raw SQL."""
    ledger = ledger_over(database)
    add(database)
    batch_of(ledger, entry_of(exit_of(), Decision.DRY_RUN))
    candidate = exit_of()
    batch_id = batch_of(ledger, entry_of(candidate, Decision.PENDING_APPLY))
    with ledger.writing("desk") as transaction:
        transaction.insert_backfills([candidate])
        done = Settlement(audit_id=2, decision=Decision.APPLIED, reason=Reason.FILL_EVIDENCE)
        transaction.settle([done])
    ledger.rollback(batch_id, actor="anna")
    with ledger.writing("desk") as transaction:
        transaction.reinstate(batch_id, actor="anna")
    run(database, "UPDATE reconciliation_backfill_audit SET reverted_at = now() WHERE audit_id = 2")
    return ledger


# --- what is in it -----------------------------------------------------------------------------


def test_an_empty_record_is_whole(database):
    found = verify(database)
    assert found == Verification(links=0, rows=0, head=ChainHead(seq=0, hash="0" * 64))
    assert found.whole


def test_every_write_has_its_link_and_the_checklists_own_sql_too(database):
    ledger = a_history(database)
    links = table(database, LINKS)
    assert [(link["kind"], link["audit_ids"]) for link in links] == [
        ("written", [1]),
        ("written", [2]),
        ("changed", [2]),
        ("changed", [2]),
        ("changed", [2]),
        ("changed", [2]),
    ]
    states = [link["states"][0] for link in links]
    assert states[:3] == [
        '["DRY_RUN", "fill_evidence", null]',
        '["PENDING_APPLY", "fill_evidence", null]',
        '["APPLIED", "fill_evidence", null]',
    ]
    assert [state.endswith("null]") for state in states] == [True, True, True, False, True, False]
    found = verify(database)
    assert (found.links, found.rows, found.breaks) == (6, 2, ())
    assert found.head == ledger.chain_head() == ChainHead(seq=6, hash=links[-1]["hash"])


def test_a_link_tells_which_role_wrote(database):
    a_history(database)
    with database.transaction() as conn:
        (row,) = conn.execute("SELECT session_user::text AS name").fetchall()
    assert {link["db_role"] for link in table(database, LINKS)} == {row["name"]}


def test_many_rows_make_few_links(database):
    ledger = ledger_over(database)
    candidates = [exit_of(trade_id=f"t{number}") for number in range(2500)]
    intents = [entry_of(one, Decision.PENDING_APPLY) for one in candidates]
    batch_of(ledger, *intents)
    assert [len(link["audit_ids"]) for link in table(database, LINKS)] == [1000, 1000, 500]
    settlements = [
        Settlement(audit_id=one, decision=Decision.NO_GO, reason=Reason.INTERRUPTED)
        for one in range(1, 2501)
    ]
    with ledger.writing("desk") as transaction:
        assert transaction.settle(settlements) == 2500
    found = verify(database)
    assert (found.links, found.rows, found.breaks) == (6, 2500, ())


def test_what_is_taken_back_leaves_no_link(database):
    ledger = ledger_over(database)
    assert ledger.audit_writable()
    assert verify(database).links == 0


def test_a_statement_that_touches_no_row_adds_no_link(database):
    ledger_over(database)
    run(database, "UPDATE reconciliation_backfill_audit SET reverted_at = now()")
    assert verify(database).links == 0


def test_rows_from_before_the_chain_are_taken_in(empty_database):
    run(
        empty_database,
        "CREATE TABLE reconciliation_migration (version int PRIMARY KEY, name text NOT NULL,"
        " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
    )
    chained = next(one for one in known_migrations() if "chained" in one.name)
    for one in known_migrations():
        if one.version < chained.version:
            run(empty_database, one.statements)
    run(
        empty_database,
        "INSERT INTO reconciliation_backfill_batch VALUES ('b', 'main', 'apply', 'finished', 'a');"
        "INSERT INTO reconciliation_backfill_audit (batch_id, profile_id, symbol, trade_id,"
        " decision, reason, actor) SELECT 'b', 'main', 'BTCUSDT', n::text, 'APPLIED',"
        " 'fill_evidence', 'anna' FROM generate_series(1, 1500) AS n",
    )
    run(empty_database, chained.statements)
    for one in known_migrations():
        if one.version > chained.version:
            run(empty_database, one.statements)
    found = verify(empty_database)
    assert (found.links, found.rows, found.breaks) == (2, 1500, ())


# --- SQL and Python agree ----------------------------------------------------------------------

TEXTS = st.text(max_size=12)
ODD_NUMBERS = [Decimal(text) for text in ("1.50", "100", "0.0", "-0.10", "NaN")]
NUMBERS = st.one_of(
    st.none(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(min_value=Decimal("-1e20"), max_value=Decimal("1e20"), places=18),
    st.sampled_from(ODD_NUMBERS),
)
MOMENTS = st.datetimes(
    min_value=datetime.fromisoformat("0001-01-01"),
    max_value=datetime.fromisoformat("9999-12-30"),
    timezones=st.just(UTC),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def audit_entries(draw: st.DrawFn) -> AuditEntry:
    candidate: Candidate = replace(
        exit_of(),
        key=replace(exit_of().key, trade_id=draw(TEXTS).replace("\0", "")),
        price=draw(NUMBERS),
        fee=draw(NUMBERS),
        client_order_id=draw(st.one_of(st.none(), TEXTS.map(storable))),
        filled_at=draw(MOMENTS),
    )
    key = replace(candidate.key, trade_id=storable(candidate.key.trade_id))
    return AuditEntry(
        key=key,
        decision=draw(st.sampled_from(list(Decision))),
        reason=draw(st.sampled_from(list(Reason))),
        filled_qty=draw(NUMBERS),
        open_qty=draw(NUMBERS),
        remainder_qty=draw(NUMBERS),
        candidate=candidate,
        backfill_order_id=draw(st.one_of(st.none(), TEXTS.map(storable))),
        fingerprint=draw(st.one_of(st.none(), TEXTS.map(storable))),
        evidence={"any": draw(JSON)},
    )


def storable(text: str) -> str:
    """What PostgreSQL takes as text."""
    return text.replace("\0", "\x01").encode("utf-8", "replace").decode()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(entries=st.lists(audit_entries(), min_size=1, max_size=12))
def test_python_reads_the_same_text_out_of_a_row_as_sql_hashed(database, entries):
    ledger = PostgresLedger(database)
    batch_of(ledger, *entries)
    assert verify(database).breaks == ()


def test_a_number_is_the_same_with_more_zeros(database):
    """A column that is given a scale later prints 1.50 for 1.5: that is no tampering."""
    ledger = ledger_over(database)
    batch_of(ledger, entry_of(exit_of(quantity=Decimal("1.5")), Decision.DRY_RUN))
    past_the_guards(
        database,
        "DROP TRIGGER reconciliation_backfill_audit_update ON reconciliation_backfill_audit;"
        "DROP TRIGGER reconciliation_backfill_audit_fixed ON reconciliation_backfill_audit;"
        "ALTER TABLE reconciliation_backfill_audit ALTER filled_qty TYPE numeric(30, 12)",
    )
    assert verify(database).breaks == ()


# --- tampering ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    (
        "UPDATE reconciliation_chain SET db_role = 'nobody'",
        "DELETE FROM reconciliation_chain",
        "TRUNCATE reconciliation_chain",
        "UPDATE reconciliation_chain_head SET seq = 0",
        "UPDATE reconciliation_chain_head SET hash = 'x'",
        "DELETE FROM reconciliation_chain_head",
        "TRUNCATE reconciliation_chain_head",
        "DELETE FROM reconciliation_backfill_batch",
        "TRUNCATE reconciliation_backfill_batch CASCADE",
        "UPDATE reconciliation_backfill_batch SET actor = 'nobody'",
        "UPDATE reconciliation_backfill_batch SET settings = '{}'",
        "UPDATE reconciliation_backfill_batch SET plan_batch_id = NULL",
        "INSERT INTO reconciliation_chain_head VALUES (false, 1, 'x')",
    ),
)
def test_the_database_itself_refuses(database, statement):
    a_history(database)
    before = (table(database, LINKS), verify(database))
    for prefix in ("", "SET LOCAL session_replication_role = replica; "):
        with pytest.raises(DatabaseError):
            run(database, prefix + statement)
    assert (table(database, LINKS), verify(database)) == before


@pytest.mark.parametrize(
    ("statement", "told"),
    (
        (
            "UPDATE reconciliation_backfill_audit SET actor = 'nobody' WHERE audit_id = 2",
            r"audit row 2 \(batch .*, trade_id t1\) is not what was written",
        ),
        (
            "UPDATE reconciliation_backfill_audit SET filled_qty = 7 WHERE audit_id = 1",
            r"audit row 1 .* is not what was written",
        ),
        (
            "UPDATE reconciliation_backfill_audit SET evidence = '{\"a\": 1}' WHERE audit_id = 1",
            r"audit row 1 .* is not what was written",
        ),
        (
            "UPDATE reconciliation_backfill_audit SET created_at = created_at + '1 us'",
            r"audit row 1 .* is not what was written",
        ),
        (
            "UPDATE reconciliation_backfill_audit SET decision = 'NO_GO' WHERE audit_id = 2",
            r'audit row 2 .* says \["NO_GO", .*, the chain says \["APPLIED"',
        ),
        (
            "UPDATE reconciliation_backfill_audit SET reverted_at = NULL WHERE audit_id = 2",
            r"audit row 2 .* the chain says",
        ),
        (
            "DELETE FROM reconciliation_backfill_audit WHERE audit_id = 1",
            "audit row 1 is in link 1 of the chain, and not in the audit",
        ),
        (
            FORGED,
            r"audit row 3 \(batch .*, trade_id forged\) was written past the chain",
        ),
        (
            "UPDATE reconciliation_chain SET db_role = 'nobody' WHERE seq = 3",
            r"link 3 \(audit row 2, .*\) is not what was hashed",
        ),
        (
            "UPDATE reconciliation_chain SET digests = ARRAY['x'] WHERE seq = 2",
            r"link 2 .* is not what was hashed",
        ),
        (
            "UPDATE reconciliation_chain SET version = 2 WHERE seq = 2",
            r"link 2 .* has version 2, known here is 1",
        ),
        (
            "DELETE FROM reconciliation_chain WHERE seq = 4",
            "the chain jumps from link 3 to link 5",
        ),
        (
            "DELETE FROM reconciliation_chain WHERE seq = 6",
            "the chain ends at link 5, its head says link 6",
        ),
        (
            "UPDATE reconciliation_chain SET hash = repeat('1', 64) WHERE seq = 6",
            r"link 6 .* is not what was hashed",
        ),
        (
            "UPDATE reconciliation_chain_head SET hash = repeat('1', 64)",
            "the end differs",
        ),
    ),
)
def test_what_gets_past_the_guards_is_found_and_named(database, statement, told):
    a_history(database)
    assert verify(database).whole
    past_the_guards(database, statement)
    found = verify(database)
    assert not found.whole
    assert re.search(told, found.breaks[0]), found.breaks


AUDIT = "ALTER TABLE reconciliation_backfill_audit"
CHAIN = "ALTER TABLE reconciliation_chain"
NAKED = (
    f"{AUDIT} DROP CONSTRAINT reconciliation_backfill_audit_pkey,"
    " ALTER audit_id DROP IDENTITY, ALTER evidence DROP NOT NULL, ALTER actor DROP NOT NULL,"
    " ALTER created_at DROP NOT NULL, ALTER decision DROP NOT NULL;"
    f"{AUDIT} ALTER audit_id DROP NOT NULL;"
    f"{CHAIN} ALTER audit_ids DROP NOT NULL, ALTER states DROP NOT NULL, ALTER hash DROP NOT NULL,"
    " ALTER created_at DROP NOT NULL, ALTER version DROP NOT NULL;"
    "ALTER TABLE reconciliation_chain_head DROP CONSTRAINT reconciliation_chain_head_pkey,"
    " ALTER seq DROP NOT NULL, ALTER hash DROP NOT NULL;"
    "ALTER TABLE reconciliation_evidence ALTER body DROP NOT NULL;"
)
"""What an owner can do to the tables first, so that they hold anything."""


@pytest.mark.parametrize(
    ("statement", "told"),
    (
        ("DELETE FROM reconciliation_chain_head", "the chain has 0 heads instead of one"),
        (
            "INSERT INTO reconciliation_chain_head TABLE reconciliation_chain_head",
            "the chain has 2 heads instead of one",
        ),
        ("UPDATE reconciliation_chain_head SET seq = NULL, hash = NULL", "the end differs"),
        ("UPDATE reconciliation_chain_head SET seq = -9223372036854775808", "the end differs"),
        ("UPDATE reconciliation_chain SET audit_ids = NULL WHERE seq = 2", "link 2 is not what"),
        (
            "UPDATE reconciliation_chain SET audit_ids = ARRAY[NULL, 1]::bigint[] WHERE seq = 2",
            r"link 2 \(audit row 1, .* is not what",
        ),
        (
            "UPDATE reconciliation_chain SET audit_ids = ARRAY[[1], [2]]::bigint[] WHERE seq = 2",
            "link 2 is not what",
        ),
        ("UPDATE reconciliation_chain SET states = NULL WHERE seq = 2", "link 2 .* is not what"),
        ("UPDATE reconciliation_chain SET digests = '{}' WHERE seq = 2", "link 2 .* is not what"),
        ("UPDATE reconciliation_chain SET hash = NULL WHERE seq = 2", "link 2 .* is not what"),
        ("UPDATE reconciliation_chain SET hash = 'short' WHERE seq = 2", "link 2 .* is not what"),
        ("UPDATE reconciliation_chain SET version = NULL WHERE seq = 2", "link 2 .* is not what"),
        ("UPDATE reconciliation_chain SET created_at = NULL WHERE seq = 2", "link 2 .* is not"),
        (
            "UPDATE reconciliation_chain SET created_at = '-infinity' WHERE seq = 2",
            "link 2 .* is not what",
        ),
        (
            f"{CHAIN} ALTER hash TYPE bytea USING hash::bytea",
            "link 1 .* is not what was hashed",
        ),
        (
            (
                "INSERT INTO reconciliation_backfill_audit OVERRIDING SYSTEM VALUE"
                " SELECT * FROM reconciliation_backfill_audit WHERE audit_id = 2"
            ),
            "audit row 2 .* stands there more than once",
        ),
        (
            "UPDATE reconciliation_backfill_audit SET audit_id = NULL WHERE audit_id = 2",
            "audit row 2 is in link 6 of the chain, and not in the audit",
        ),
        ("UPDATE reconciliation_backfill_audit SET decision = NULL", "audit row 1 .* says"),
        ("UPDATE reconciliation_backfill_audit SET evidence = NULL", "audit row 1 .* is not what"),
        ("UPDATE reconciliation_backfill_audit SET evidence = 'null'", "audit row 1 .* is not"),
        ("UPDATE reconciliation_backfill_audit SET evidence = '[]'", "audit row 1 .* is not what"),
        (
            (
                "UPDATE reconciliation_backfill_audit"
                " SET evidence = jsonb_build_object('a', repeat('x', 10000000)) WHERE audit_id = 1"
            ),
            "audit row 1 .* is not what",
        ),
        (
            (
                "UPDATE reconciliation_backfill_audit SET filled_at = 'infinity', price = 'NaN',"
                " created_at = '290000-01-01', fee = '-Infinity'"
            ),
            "audit row 1 .* is not what",
        ),
        ("INSERT INTO reconciliation_evidence VALUES ('x', NULL)", "evidence x is not what"),
        ("INSERT INTO reconciliation_evidence VALUES ('x', '{}')", "evidence x is not what"),
    ),
)
def test_whatever_an_owner_makes_of_the_tables_is_a_break_with_a_name(database, statement, told):
    a_history(database)
    past_the_guards(database, f"{NAKED} {statement}")
    found = verify(database)
    assert any(re.search(told, one) for one in found.breaks[:2]), found.breaks


@pytest.mark.parametrize("at", ("infinity", "-infinity", "4713-01-01 10:00:00.5 BC", "10000-01-01"))
def test_a_time_that_no_calendar_of_ours_has_is_hashed_as_it_was_written(database, at):
    a_history(database)
    with database.transaction() as conn:
        conn.execute(
            FORGED.replace("actor)", "actor, filled_at)").replace("'anna'", "'anna', %s"), (at,)
        )
    assert verify(database).whole


def test_a_cut_off_end_shows_beside_a_head_that_was_kept(database):
    """Rows, links and head taken away together leave no trace but the head in a log."""
    ledger = a_history(database)
    kept = ledger.chain_head()
    past_the_guards(
        database,
        "DELETE FROM reconciliation_chain WHERE seq > 1;"
        "DELETE FROM reconciliation_backfill_audit WHERE audit_id = 2;"
        "UPDATE reconciliation_chain_head h SET seq = c.seq, hash = c.hash"
        " FROM reconciliation_chain c",
    )
    assert verify(database).whole
    (told,) = verify(database, kept=kept).breaks
    assert told == "the chain ends at link 1, before link 6 that was kept: cut off"


def test_a_chain_made_anew_differs_from_the_head_that_was_kept(database):
    ledger = a_history(database)
    kept = ledger.chain_head()
    batch_of(ledger, entry_of(exit_of(), Decision.DRY_RUN))
    assert verify(database, kept=kept).whole
    past_the_guards(database, "UPDATE reconciliation_chain SET db_role = 'nobody' WHERE seq = 6")
    assert not verify(database, kept=kept).whole
    other = ChainHead(seq=3, hash="1" * 64)
    assert "the chain was made anew" in " ".join(verify(database, kept=other).breaks)


def test_no_more_breaks_are_told_than_people_read(database):
    ledger = ledger_over(database)
    batch_of(ledger, *(entry_of(exit_of(), Decision.DRY_RUN) for _ in range(50)))
    past_the_guards(database, "UPDATE reconciliation_backfill_audit SET actor = 'nobody'")
    assert len(verify(database).breaks) == 20


# --- many writers, and another server ----------------------------------------------------------


def test_failures_28_eight_writers_make_one_chain(database, database_url):
    """Found by sorting, the tail forked with eight writers."""
    ledger_over(database)

    def write(number: int) -> None:
        with closing(Database(database_url)) as own:
            ledger = PostgresLedger(own)
            for _ in range(8):
                entry = entry_of(exit_of(trade_id=f"t{number}"), Decision.PENDING_APPLY)
                batch_id = batch_of(ledger, entry, entry)
                ids = [row.audit_id for row in ledger.audit_rows(batch_id=batch_id)]
                settle_all(ledger, f"desk-{number}", ids)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(write, number) for number in range(8)]:
            future.result()
    found = verify(database)
    assert (found.links, found.rows, found.breaks) == (128, 128, ())


def settle_all(ledger: PostgresLedger, account: str, ids: list[int]) -> None:
    with ledger.writing(account) as transaction:
        transaction.settle(
            [
                Settlement(audit_id=one, decision=Decision.NO_GO, reason=Reason.LEDGER_CHANGED)
                for one in ids
            ]
        )


def program(name: str, database_url: str) -> Path:
    """A program of the same release as the server: an older pg_dump refuses to read a newer one."""
    with psycopg.connect(database_url) as connection:
        release = connection.info.server_version // 10_000
    try:
        return installed_programs(release) / "bin" / name
    except ConfigurationError:
        return Path(f"/usr/lib/postgresql/{release}/bin/{name}")


def by_dump(source: str, target: str) -> None:
    command = [program("pg_dump", source), "--no-owner", source]
    dumped = subprocess.run(command, capture_output=True, check=True)
    restore = [program("psql", source), "--quiet", "--set", "ON_ERROR_STOP=1", target]
    subprocess.run(restore, input=dumped.stdout, capture_output=True, check=True)


def by_custom_dump(source: str, target: str) -> None:
    command = [program("pg_dump", source), "--format=custom", source]
    dumped = subprocess.run(command, capture_output=True, check=True)
    options = ["--no-owner", "--exit-on-error", "--dbname", target]
    restore = [program("pg_restore", source), *options]
    subprocess.run(restore, input=dumped.stdout, capture_output=True, check=True)


@pytest.mark.parametrize("copied", (by_dump, by_custom_dump))
def test_a_dump_that_is_restored_is_whole_and_goes_on(
    database, database_url, server, copied: Callable[[str, str], None]
):
    ledger = a_history(database)
    with database_from(server, "template0") as target:
        copied(make_conninfo(database_url), target)
        with closing(Database(target)) as restored:
            assert verify(restored) == verify(database)
            again = PostgresLedger(restored)
            batch_of(again, entry_of(exit_of(), Decision.DRY_RUN))
            found = verify(restored, kept=ledger.chain_head())
            assert (found.links, found.breaks) == (7, ())
            with pytest.raises(DatabaseError):
                run(restored, "DELETE FROM reconciliation_backfill_audit")


def test_verifying_reads_one_snapshot_while_others_write(database, database_url):
    a_history(database)
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE reconciliation_backfill_audit SET reverted_at = now()")
        assert verify(database).links == 6
        other.commit()
    assert verify(database).links == 7
