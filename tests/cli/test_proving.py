"""`unghost audit verify`: 0 for a record that is whole, 1 and the first break otherwise."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Place

ROWS = """
INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)
VALUES ('b-1', 'main', 'dry_run', 'finished', 'anna');
INSERT INTO reconciliation_backfill_audit
    (batch_id, profile_id, symbol, trade_id, decision, reason, actor)
SELECT 'b-1', 'main', 'BTCUSDT', 't-' || n, 'DRY_RUN', 'fill_evidence', 'anna'
FROM generate_series(1, 3) AS n
"""
TAMPERED = """
ALTER TABLE reconciliation_backfill_audit DISABLE TRIGGER USER;
UPDATE reconciliation_backfill_audit SET actor = 'nobody' WHERE audit_id > 1
"""


@pytest.fixture
def kept(books: Place) -> Place:
    """Books with a record of three rows."""
    for statement in ROWS.split(";"):
        books.sql(statement)
    return books


def test_a_record_that_is_whole_ends_with_0_and_its_head(kept):
    ran = kept.run("audit", "verify")
    assert ran.code == 0, ran.err
    assert "The record is whole: 3 audit rows in 1 link; head 1:" in ran.out
    data = kept.run("audit", "verify", "--json").data
    assert (data["whole"], data["found"]["rows"], data["found"]["breaks"]) == (True, 3, [])
    assert kept.run("audit", "verify", "--head", data["head"]).code == 0


def test_a_record_that_was_tampered_with_ends_with_1_and_names_the_first_row(kept):
    for statement in TAMPERED.split(";"):
        kept.sql(statement)
    ran = kept.run("audit", "verify")
    assert ran.code == 1
    assert "THE RECORD IS BROKEN: audit row 2 (batch b-1, trade_id t-2) is not what" in ran.out
    assert kept.run("audit", "verify", "--json").data["whole"] is False


def test_a_head_that_the_chain_does_not_reach_ends_with_1(kept):
    ran = kept.run("audit", "verify", "--head", f"9:{'a' * 64}")
    assert ran.code == 1
    assert "the chain ends at link 1, before link 9 that was kept" in ran.out


@pytest.mark.parametrize("head", ("", "12", "12:abc", "x:" + "a" * 64))
def test_what_is_no_head_is_a_usage_error(kept, head):
    ran = kept.run("audit", "verify", "--head", head)
    assert ran.code == 2
    assert "a head is SEQ:HASH" in ran.err


def test_audit_alone_keeps_its_meaning_and_knows_no_other_word(kept):
    assert "3 audit rows." in kept.run("audit", "--profile", "main").out
    assert kept.run("audit", "veryfy").code == 2


# --- grants ------------------------------------------------------------------------------------


def test_grants_prints_sql_that_the_database_takes(kept):
    names = ("--owner", "o-cli", "--service", "s-cli", "--reader", "r-cli")
    ran = kept.run("grants", *names)
    assert ran.code == 0, ran.err
    assert ran.out.rstrip().endswith("COMMIT;")
    kept.sql(ran.out.replace("%", "%%").replace("COMMIT;", "ROLLBACK;"))
    data = kept.run("grants", *names, "--json").data
    assert data["roles"] == {"owner": "o-cli", "service": "s-cli", "reader": "r-cli"}
    assert data["sql"].strip() == ran.out.strip()


def test_grants_refuses_names_that_are_none(kept):
    ran = kept.run("grants", "--service", 'x"; DROP ROLE')
    assert ran.code == 2
    assert "cannot be the name of a role" in ran.err
