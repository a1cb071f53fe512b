"""What must hold afterwards, and the statements that `unghost sql` prints."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.postgres.test_ledger_reading import DETECT
from tests.postgres.test_ledger_shapes import (
    ENUMS,
    NOON,
    ONE_QUANTITY,
    STANDARD,
    add,
    apply,
    batch_of,
    entry_of,
    exit_of,
    ledger_over,
    table,
)
from tests.postgres.test_ledger_undo import MARK, ROLLBACK

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.statements import PRINTABLE
from unghost.errors import LedgerSchemaError, UsageError
from unghost.model import Decision, LifecycleKey

VERIFY = """
SELECT
batch_id,
profile_id,
symbol,
trade_id,
decision,
reason,
filled_qty,
backfill_order_id,
created_at
FROM reconciliation_backfill_audit
WHERE profile_id = '<<PROFILE_ID>>'
ORDER BY created_at DESC
LIMIT 200;
"""
DRY_RUN_ROWS = """
SELECT COUNT(*) AS dry_run_backfill_rows
FROM orders
WHERE profile_id = '<<PROFILE_ID>>'
AND order_id LIKE 'BFILL-%';
"""
APPLIED_ROWS = """
SELECT
order_id,
profile_id,
symbol,
trade_id,
action,
status,
qty,
price,
filled_at,
created_at
FROM orders
WHERE profile_id = '<<PROFILE_ID>>'
AND order_id LIKE 'BFILL-%'
ORDER BY created_at DESC;
"""
VALIDATE = """
WITH lifecycle AS (
SELECT
profile_id,
symbol,
trade_id,
SUM(CASE WHEN action = 'ENTRY' THEN COALESCE(quantity, qty, 0) ELSE 0 END) AS entry_qty,
SUM(CASE WHEN action = 'EXIT' THEN COALESCE(quantity, qty, 0) ELSE 0 END) AS exit_qty
FROM orders
WHERE profile_id = '<<PROFILE_ID>>'
AND status IN ('filled', 'partially_filled', 'partially-filled')
AND trade_id IS NOT NULL
GROUP BY profile_id, symbol, trade_id
)
SELECT *
FROM lifecycle
WHERE (entry_qty - exit_qty) > 0.000001
ORDER BY symbol, trade_id;
"""
DECISIONS = """
SELECT
decision,
COUNT(*) AS rows
FROM reconciliation_backfill_audit
WHERE profile_id = '<<PROFILE_ID>>'
GROUP BY decision
ORDER BY decision;
"""
CHECKLIST = {
    "detect": DETECT,
    "verify": VERIFY,
    "dry_run_rows": DRY_RUN_ROWS,
    "applied_rows": APPLIED_ROWS,
    "validate": VALIDATE,
    "decisions": DECISIONS,
    "rollback": ROLLBACK,
    "mark_reverted": MARK,
}


def asked(database: Database, name: str, profile_id: str = "main"):
    return table(database, CHECKLIST[name].replace("<<PROFILE_ID>>", profile_id))


# --- section 8 ---------------------------------------------------------------------------------


def test_ghosts_left_are_those_of_the_checklist(database):
    ledger = ledger_over(database)
    add(database)
    add(database, order_id="e2", trade_id="t2", quantity=Decimal("0.000001"))
    add(database, order_id="e3", trade_id="t3", quantity=Decimal("0.0000011"))
    add(database, order_id="e4", trade_id="t4", quantity=Decimal("NaN"), symbol=None)
    add(database, order_id="e5", trade_id="t5", profile_id="other")
    found = ledger.ghosts_left("main")
    assert [(key.trade_id, str(entry), str(left)) for key, entry, left in found] == [
        (row["trade_id"], str(row["entry_qty"]), str(row["exit_qty"]))
        for row in asked(database, "validate")
    ]
    assert [key.trade_id for key, _, _ in found] == ["t1", "t3", "t4"]


def test_decision_counts_are_those_of_the_checklist(database):
    ledger = ledger_over(database)
    batch_of(ledger, *[entry_of(exit_of(), Decision.NO_GO)] * 3)
    batch_of(ledger, entry_of(exit_of(), Decision.DRY_RUN))
    counts = ledger.decision_counts("main")
    assert counts == {"DRY_RUN": 1, "NO_GO": 3}
    assert counts == {row["decision"]: row["rows"] for row in asked(database, "decisions")}
    assert ledger.decision_counts("other") == {}


def test_a_real_exit_that_came_late_names_the_rows_it_supersedes(database):
    ledger = ledger_over(database)
    add(database, quantity=Decimal(3))
    first = exit_of(quantity=Decimal(2))
    later = exit_of(
        quantity=Decimal(1), exchange_order_id="78", filled_at=NOON + timedelta(hours=1)
    )
    undone = exit_of(exchange_order_id="79")
    batch_one, batch_two = apply(ledger, first), apply(ledger, later)
    ledger.rollback(apply(ledger, undone), actor="anna")
    batch_of(ledger, entry_of(first, Decision.SKIP_EXISTING))
    add(database, order_id="e2", symbol="ETHUSDT")
    apply(ledger, exit_of(symbol="ETHUSDT", exchange_order_id="80"))
    assert ledger.over_closed("main") == ()
    add(database, order_id="x", action="EXIT", side="sell", quantity=Decimal(2))
    add(database, order_id="other", profile_id="other", action="EXIT")
    (found,) = ledger.over_closed("main")
    assert found.key == LifecycleKey(profile_id="main", symbol="BTCUSDT", trade_id="t1")
    assert (found.entry_qty, found.exit_qty) == (Decimal(3), Decimal(5))
    assert found.superseded == (
        (later.order_id, Decimal(1), batch_two),
        (first.order_id, Decimal(2), batch_one),
    )


def test_an_over_closed_lifecycle_without_rows_of_ours(database):
    ledger = ledger_over(database)
    add(database, order_id="x", action="EXIT", symbol=None)
    (found,) = ledger.over_closed("main")
    assert (found.exit_qty, found.superseded) == (Decimal(1), ())


# --- whether the record can be kept ------------------------------------------------------------


def test_the_audit_is_tried_and_taken_back(database):
    ledger = ledger_over(database)
    assert ledger.audit_writable()
    assert ledger.audit_rows() == ()
    assert table(database, "SELECT * FROM reconciliation_backfill_batch") == []


@pytest.mark.parametrize(
    "harm",
    (
        "DROP TABLE reconciliation_backfill_audit",
        "ALTER TABLE reconciliation_backfill_audit ADD CHECK (actor <> 'unghost')",
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
    ),
)
def test_an_audit_that_cannot_be_written_is_told_never_raised(database, database_url, harm):
    ledger_over(database)
    with database.transaction() as conn:
        row = conn.execute("SELECT quote_ident(current_database()) AS name").fetchone()
        conn.execute(harm.format(**(row or {})))
    database.close()
    assert not PostgresLedger(Database(database_url)).audit_writable()


def test_a_server_that_is_not_there(tmp_path):
    ledger = PostgresLedger(Database(f"host={tmp_path} dbname=none connect_timeout=2"))
    assert not ledger.audit_writable()


# --- what is printed ---------------------------------------------------------------------------


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("name", CHECKLIST)
def test_what_is_printed_is_the_checklists_text(database, name):
    ledger = ledger_over(database)
    assert lines(ledger.statement(name)) == lines(CHECKLIST[name])
    values = {"profile_id": "o'hara", "batch_id": "b-1"}
    expected = CHECKLIST[name].replace("<<PROFILE_ID>>", "o''hara").replace("<<BATCH_ID>>", "b-1")
    assert lines(ledger.statement(name, values)) == lines(expected)


NOT_FOR_IT = {
    ("detection_index", ENUMS),
    ("touched_trades", ONE_QUANTITY),
    ("exchange_order_index", ONE_QUANTITY),
    ("client_order_index", ONE_QUANTITY),
    ("exchange_order_index", ENUMS),
    ("client_order_index", ENUMS),
}
"""An index cannot rest on the text of an enum, and nothing on a column that is not there."""


@pytest.mark.parametrize("ddl", (STANDARD, ONE_QUANTITY, ENUMS))
@pytest.mark.parametrize("name", PRINTABLE)
def test_what_is_printed_runs_on_every_ledger(database, name, ddl):
    ledger = ledger_over(database, ddl)
    names = ("order_ids", "profile_ids", "symbols", "trade_ids", "exchange_order_ids", "sides")
    more = ("position_sides", "fee_currencies", "filled", "exchange_ids", "no_strangers")
    arrays = {name: ["1"] for name in (*names, *more)}
    numbers = {name: [Decimal(1)] for name in ("quantities", "prices", "fees")}
    times = {"filled_ats": [NOON], "start_at": NOON, "since": NOON}
    words = {"profile_id": "main", "batch_id": "b"}
    if (name, ddl) in NOT_FOR_IT:
        with pytest.raises(LedgerSchemaError, match=f"{name} is not for this ledger"):
            ledger.statement(name)
        return
    text = ledger.statement(name, {**arrays, **numbers, **times, **words})
    assert "<<" not in text
    # Each by itself and without parameters: as somebody would paste it into psql.
    with database.outside_transactions() as conn:
        conn.execute(text)


def test_one_quantity_column_is_printed_alone(database):
    text = ledger_over(database, ONE_QUANTITY).statement("detect")
    assert "COALESCE(qty, 0)" in text
    assert lines(text) == lines(DETECT.replace("quantity, qty", "qty"))


def test_a_statement_that_does_not_exist_names_those_that_do(database):
    with pytest.raises(UsageError, match="mark_reverted"):
        ledger_over(database).statement("drop")
