"""What the evidence of several rows has in common is kept once, and nothing of it is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from tests.conftest import database_from
from tests.postgres.test_chain import by_custom_dump, by_dump, past_the_guards, run
from tests.postgres.test_ledger_shapes import batch_of, entry_of, exit_of, ledger_over, table

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.history import History
from unghost.adapters.postgres.json_values import json_text
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.service import ServiceBooks
from unghost.errors import BatchNotFoundError, DatabaseError
from unghost.model import AuditEntry, Decision, Reason, Settlement

AUDIT = "SELECT audit_id, evidence FROM reconciliation_backfill_audit ORDER BY audit_id"
KEPT = "SELECT digest, body FROM reconciliation_evidence ORDER BY digest"


def account(number: int, **changes: Any) -> dict[str, Any]:
    """The evidence of one lifecycle of a market: most of it is that of the others too."""
    return {
        "market": "BTC/USDT:USDT",
        "leg": "long",
        "direction": "long",
        "ledger_unit": "1",
        "positions": [{"flatness": "flat", "size": "0"}],
        "gates": [
            {"name": "exchange_flat", "value": "flat", "verdict": "open", "age_seconds": 0.5},
            {"name": "quiet_period", "value": f"touched {number}", "verdict": "open"},
        ],
        "orders": [{"exchange_order_id": f"x{number}"}],
        "basis": [["quantity", str(number)]],
        **changes,
    }


def entries(*accounts: Mapping[str, Any]) -> list[AuditEntry]:
    return [
        replace(entry_of(exit_of(trade_id=f"t{number}"), Decision.DRY_RUN), evidence=dict(evidence))
        for number, evidence in enumerate(accounts)
    ]


def whole(ledger: PostgresLedger) -> list[Any]:
    """What readers are told, in the order in which it was written."""
    rows = sorted(ledger.audit_rows(), key=lambda row: row.audit_id)
    return [row.evidence for row in rows]


def test_what_is_the_same_for_a_market_is_kept_once(database):
    ledger = ledger_over(database)
    accounts = [account(number) for number in range(3)]
    batch_of(ledger, *entries(*accounts))
    (kept,) = table(database, KEPT)
    stored = [row["evidence"] for row in table(database, AUDIT)]
    assert stored[0] == {
        "shared": kept["digest"],
        "orders": accounts[0]["orders"],
        "basis": accounts[0]["basis"],
    }
    assert stored[2] == {
        "shared": kept["digest"],
        "orders": accounts[2]["orders"],
        "basis": accounts[2]["basis"],
        "gates": {"1": {"value": "touched 2"}},
    }
    assert whole(ledger) == accounts
    assert verify(database).breaks == ()


@pytest.mark.parametrize(
    "accounts",
    (
        [account(1)],
        [account(1), account(2, market="ETH/USDT:USDT")],
        [account(1), account(2, leg="short")],
        [account(1), account(2, gates=[])],
        [{"sentence": "no gates"}, {"sentence": "no gates"}],
    ),
)
def test_what_one_row_alone_would_share_stays_in_it(database, accounts):
    ledger = ledger_over(database)
    batch_of(ledger, *entries(*accounts))
    assert table(database, KEPT) == []
    assert [row["evidence"] for row in table(database, AUDIT)] == accounts == whole(ledger)


def test_what_the_first_one_has_and_another_has_not_is_not_made_up(database):
    ledger = ledger_over(database)
    lacking = account(2)
    del lacking["positions"]
    other_gates = account(3)
    del other_gates["gates"][0]["age_seconds"]
    accounts = [account(1), lacking, other_gates, account(4, doubts=["one more part"])]
    batch_of(ledger, *entries(*accounts))
    assert len(table(database, KEPT)) == 1
    assert whole(ledger) == accounts


def test_two_batches_may_keep_the_same(database):
    ledger = ledger_over(database)
    for _ in range(2):
        batch_of(ledger, *entries(account(1), account(2)))
    assert len(table(database, KEPT)) == 1
    assert whole(ledger) == [account(1), account(2)] * 2


def test_every_reader_is_told_all_of_it(database):
    ledger = ledger_over(database)
    batch_id = batch_of(ledger, *entries(account(1), account(2)))
    service, history = ServiceBooks(database), History(database)
    page = service.audit_page(("main",), {}, before_id=None, limit=10)
    assert [row.evidence for row in reversed(page)] == [account(1), account(2)]
    assert [one.gates for one in history.gates(batch_id)] == [
        tuple(account(1)["gates"]),
        tuple(account(2)["gates"]),
    ]
    assert {one.market for one in history.last_decisions("main")} == {"BTC/USDT:USDT"}


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 1.5]), st.text()
)
PARTS = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(), SCALARS, max_size=2)
)
GATES = st.lists(
    st.dictionaries(st.sampled_from(["name", "value", "detail"]), SCALARS, max_size=3),
    min_size=1,
    max_size=2,
)
ACCOUNTS = st.fixed_dictionaries(
    {"gates": GATES, "market": st.sampled_from(["A", "B"]), "leg": st.just("long")},
    optional={"fills": PARTS, "doubts": PARTS, "orders": PARTS, "odd": PARTS},
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(accounts=st.lists(ACCOUNTS, min_size=2, max_size=5))
def test_whatever_is_told_is_read_as_it_was_told(database: Database, accounts):
    ledger = PostgresLedger(database)
    batch_id = batch_of(ledger, *entries(*accounts))
    rows = sorted(ledger.audit_rows(batch_id=batch_id), key=lambda row: row.audit_id)
    told = [json.dumps(row.evidence, sort_keys=True) for row in rows]
    with database.transaction() as conn:
        meant = [
            conn.execute("SELECT %s::jsonb AS it", (json_text(one),)).fetchall()[0]["it"]
            for one in accounts
        ]
    assert told == [json.dumps(one, sort_keys=True) for one in meant]
    assert verify(database).breaks == ()


# --- tampering ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    (
        "UPDATE reconciliation_evidence SET body = '{}'",
        "DELETE FROM reconciliation_evidence",
        "TRUNCATE reconciliation_evidence",
        "INSERT INTO reconciliation_evidence VALUES ('of something else', '{}')",
    ),
)
def test_the_database_itself_refuses(database, statement):
    batch_of(ledger_over(database), *entries(account(1), account(2)))
    for prefix in ("", "SET LOCAL session_replication_role = replica; "):
        with pytest.raises(DatabaseError):
            run(database, prefix + statement)


@pytest.mark.parametrize(
    ("statement", "told"),
    (
        (
            "UPDATE reconciliation_evidence SET body = jsonb_set(body, '{leg}', '\"short\"')",
            r"evidence [0-9a-f]{64} is not what was written: it was changed",
        ),
        (
            "DELETE FROM reconciliation_evidence",
            r"audit row 1 \(batch .*, trade_id t0\) names evidence [0-9a-f]+, which is not there",
        ),
        (
            "UPDATE reconciliation_backfill_audit SET evidence = evidence - 'shared'",
            r"audit row 1 .* is not what was written",
        ),
    ),
)
def test_what_gets_past_the_guards_is_found(database, statement, told):
    batch_of(ledger_over(database), *entries(account(1), account(2)))
    past_the_guards(database, statement)
    found = verify(database).breaks
    assert re.search(told, found[0])


@pytest.mark.parametrize("copied", (by_dump, by_custom_dump))
def test_a_dump_that_is_restored_tells_the_same(database, database_url, server, copied):
    ledger = ledger_over(database)
    batch_of(ledger, *entries(account(1), account(2)))
    with database_from(server, "template0") as target:
        copied(make_conninfo(database_url), target)
        with closing(Database(target)) as restored:
            assert verify(restored) == verify(database)
            assert whole(PostgresLedger(restored)) == whole(ledger) == [account(1), account(2)]


# --- what else makes the record quick ----------------------------------------------------------


def test_an_audit_row_without_its_batch_is_refused_whoever_writes_it(database):
    ledger = ledger_over(database)
    with pytest.raises(BatchNotFoundError, match="no such batch: nobody's"):
        ledger.write_audit("nobody's", actor="anna", entries=entries(account(1)))
    forged = (
        "INSERT INTO reconciliation_backfill_audit"
        " (batch_id, profile_id, symbol, trade_id, decision, reason, actor)"
        " VALUES ('nobody''s', 'main', 'x', 't', 'APPLIED', 'fill_evidence', 'anna')"
    )
    for prefix in ("", "SET LOCAL session_replication_role = replica; "):
        with pytest.raises(DatabaseError, match="nobody's"):
            run(database, prefix + forged)
    assert table(database, AUDIT) == []


def test_a_decision_that_is_made_finds_room_on_the_page_of_its_row(database):
    """Else each index of the audit would be written anew with it."""
    ledger = ledger_over(database)
    intents = [
        entry_of(exit_of(trade_id=f"t{number}"), Decision.PENDING_APPLY) for number in range(200)
    ]
    batch_of(ledger, *intents)
    pages = "SELECT audit_id, (ctid::text::point)[0] AS page FROM reconciliation_backfill_audit"
    before = table(database, f"{pages} ORDER BY audit_id")
    with ledger.writing("desk") as transaction:
        transaction.settle(
            [
                Settlement(
                    audit_id=row["audit_id"], decision=Decision.APPLIED, reason=Reason.FILL_EVIDENCE
                )
                for row in before
            ]
        )
    assert table(database, f"{pages} ORDER BY audit_id") == before
    assert (
        table(
            database,
            "SELECT indexrelid::regclass::text FROM pg_index"
            " WHERE indrelid = 'reconciliation_backfill_audit'::regclass"
            " AND pg_get_indexdef(indexrelid) ~ 'decision|reason|reverted_at'",
        )
        == []
    )
