"""Ledgers of many makes, and the rows that a backfill puts into each of them.

The other ledger tests take their tables, rows and candidates from here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg import sql

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.errors import DatabaseError, LedgerSchemaError
from unghost.ids import backfill_order_id
from unghost.model import (
    Attribution,
    AuditEntry,
    Candidate,
    Decision,
    InsertOutcome,
    LifecycleKey,
    Mode,
    PositionSide,
    Reason,
    Side,
)

NOON = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)

STANDARD = """
CREATE TABLE orders (
    order_id text PRIMARY KEY, profile_id text NOT NULL, symbol text, trade_id text,
    action text, status text, side text, position_side text, quantity numeric, qty numeric,
    price numeric, fee numeric, fee_currency text, exchange_order_id text, client_order_id text,
    filled_at timestamptz, created_at timestamptz DEFAULT now(), updated_at timestamptz
)"""

ONE_QUANTITY = """
CREATE TABLE orders (
    order_id varchar(64) PRIMARY KEY, profile_id varchar(20) NOT NULL, symbol varchar(30) NOT NULL,
    trade_id varchar(40), action varchar(8) NOT NULL, status varchar(20) NOT NULL,
    side varchar(5), qty numeric(20, 8) NOT NULL, price numeric(20, 8),
    filled_at timestamp, created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
)"""

ENUMS = """
CREATE TYPE order_status AS ENUM ('new', 'partially_filled', 'filled', 'canceled');
CREATE TYPE order_action AS ENUM ('ENTRY', 'EXIT');
CREATE TYPE order_side AS ENUM ('BUY', 'SELL');
CREATE TABLE orders (
    order_id text NOT NULL UNIQUE, profile_id text NOT NULL, symbol text NOT NULL,
    trade_id integer, action order_action NOT NULL, status order_status NOT NULL,
    side order_side NOT NULL, position_side text NOT NULL, quantity double precision NOT NULL,
    qty real, price double precision NOT NULL, fee numeric NOT NULL DEFAULT 0,
    exchange_order_id bigint, filled_at timestamptz, updated_at timestamptz NOT NULL DEFAULT now()
)"""

DEMANDING = """
CREATE TABLE orders (
    row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL UNIQUE, profile_id uuid NOT NULL, symbol text NOT NULL,
    trade_id uuid NOT NULL, action text NOT NULL, status text NOT NULL, quantity numeric NOT NULL,
    qty numeric GENERATED ALWAYS AS (quantity) STORED, price numeric NOT NULL, side text NOT NULL,
    client_order_id text NOT NULL UNIQUE, exchange_order_id text NOT NULL,
    strategy text NOT NULL, leverage integer NOT NULL, "Odd Name" jsonb NOT NULL,
    fee_currency text NOT NULL, fee numeric NOT NULL, filled_at timestamptz NOT NULL
)"""


def ledger_over(database: Database, ddl: str = STANDARD) -> PostgresLedger:
    """A ledger over a fresh orders table; the database holds our own tables already."""
    with database.transaction() as conn:
        conn.execute("DROP TABLE IF EXISTS orders")
        conn.execute(ddl)
    return PostgresLedger(database)


def add(database: Database, **fields: Any) -> None:
    """Insert one row as the bot would; an ENTRY of 1 on BTCUSDT unless told otherwise."""
    row: dict[str, Any] = {
        "order_id": "e1",
        "profile_id": "main",
        "symbol": "BTCUSDT",
        "trade_id": "t1",
        "action": "ENTRY",
        "status": "filled",
        "quantity": Decimal(1),
        "price": Decimal(100),
        "side": "buy",
        "filled_at": NOON,
        **fields,
    }
    row = {name: value for name, value in row.items() if value is not ...}
    statement = sql.SQL("INSERT INTO orders ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    with database.transaction() as conn:
        conn.execute(statement, row)


def exit_of(**changes: Any) -> Candidate:
    """The EXIT of 1 for the lifecycle of `add`, closed by exchange order 77."""
    key = LifecycleKey(
        profile_id=changes.pop("profile_id", "main"),
        symbol=changes.pop("symbol", "BTCUSDT"),
        trade_id=changes.pop("trade_id", "t1"),
    )
    filled_at = changes.pop("filled_at", NOON + timedelta(minutes=5))
    exchange_order_id = changes.pop("exchange_order_id", "77")
    fields: dict[str, Any] = {
        "order_id": backfill_order_id(
            profile_id=key.profile_id,
            trade_id=key.trade_id,
            exchange_order_id=exchange_order_id,
            filled_at=filled_at,
        ),
        "client_order_id": "x-client",
        "side": Side.SELL,
        "position_side": PositionSide.LONG,
        "quantity": Decimal(1),
        "price": Decimal("101.5"),
        "fee": Decimal("0.04"),
        "fee_currency": "USDT",
        "fees": None,
        "open_qty": Decimal(1),
        "remainder_qty": Decimal(0),
        "reason": Reason.FILL_EVIDENCE,
        "attribution": Attribution.ID_LINK,
        "basis": (),
        "fingerprint": "f",
        **changes,
    }
    return Candidate(key=key, exchange_order_id=exchange_order_id, filled_at=filled_at, **fields)


def entry_of(candidate: Candidate, decision: Decision, **changes: Any) -> AuditEntry:
    """The audit entry of a candidate."""
    fields: dict[str, Any] = {
        "key": candidate.key,
        "decision": decision,
        "reason": candidate.reason,
        "filled_qty": candidate.quantity,
        "open_qty": candidate.open_qty,
        "remainder_qty": candidate.remainder_qty,
        "candidate": candidate,
        "backfill_order_id": candidate.order_id,
        "fingerprint": candidate.fingerprint,
        "evidence": {},
        **changes,
    }
    return AuditEntry(**fields)


def batch_of(ledger: PostgresLedger, *entries: AuditEntry, mode: Mode = Mode.APPLY) -> str:
    """A batch that holds these audit rows, and whose run ended without closing it."""
    with ledger.running_batch(
        profile_id="main", mode=mode, actor="anna", settings={}, plan_batch_id=None
    ) as batch_id:
        ledger.write_audit(batch_id, actor="anna", entries=entries)
    return batch_id


def apply(ledger: PostgresLedger, *candidates: Candidate) -> str:
    """Insert the candidates and record them as APPLIED; the batch."""
    with ledger.writing("desk") as transaction:
        outcomes = transaction.insert_backfills(candidates)
    assert set(outcomes.values()) == {InsertOutcome.INSERTED}
    return batch_of(ledger, *(entry_of(one, Decision.APPLIED) for one in candidates))


def table(database: Database, statement: str = "SELECT * FROM orders ORDER BY order_id") -> Any:
    """What the database holds."""
    with database.transaction(read_only=True) as conn:
        return conn.execute(statement).fetchall()


def our_row(database: Database) -> Mapping[str, Any]:
    """The one backfill row."""
    (row,) = table(database, "SELECT * FROM orders WHERE order_id LIKE 'BFILL-%'")
    found: Mapping[str, Any] = row
    return found


# --- the rows written --------------------------------------------------------------------------


def test_a_row_of_the_standard_ledger(database):
    ledger = ledger_over(database)
    add(database, position_side="LONG", side="BUY", client_order_id="bot-1", qty=Decimal(1))
    apply(ledger, exit_of())
    row = our_row(database)
    times = ("created_at", "updated_at")
    assert all(row[name] is not None for name in times)
    assert {name: value for name, value in row.items() if name not in times} == {
        "order_id": exit_of().order_id,
        "profile_id": "main",
        "symbol": "BTCUSDT",
        "trade_id": "t1",
        "action": "EXIT",
        "status": "filled",
        "side": "SELL",
        "position_side": "LONG",
        "quantity": Decimal(1),
        "qty": Decimal(1),
        "price": Decimal("101.5"),
        "fee": Decimal("0.04"),
        "fee_currency": "USDT",
        "exchange_order_id": "77",
        "client_order_id": None,
        "filled_at": NOON + timedelta(minutes=5),
    }


def test_a_row_of_the_sample_ledger(database):
    ledger = PostgresLedger(database)
    with database.transaction() as conn:
        conn.execute("TRUNCATE orders")
    add(database)
    batch_id = apply(ledger, exit_of())
    assert ledger.open_lifecycles(["main"]) == ()
    assert len(ledger.rollback(batch_id, actor="anna")) == 1
    assert len(ledger.open_lifecycles(["main"])) == 1


@pytest.mark.parametrize(
    ("entry", "position", "closing", "written"),
    (
        ("BUY", PositionSide.LONG, Side.SELL, "SELL"),
        ("buy", PositionSide.LONG, Side.SELL, "sell"),
        ("Buy", PositionSide.LONG, Side.SELL, "Sell"),
        ("SELL", PositionSide.SHORT, Side.BUY, "BUY"),
        ("LONG", PositionSide.LONG, Side.SELL, "LONG"),
        ("short", PositionSide.SHORT, Side.BUY, "short"),
        (None, PositionSide.LONG, Side.SELL, "sell"),
    ),
)
def test_the_side_is_spelt_as_the_entry_spells_it(database, entry, position, closing, written):
    ledger = ledger_over(database)
    add(database, side=entry)
    candidate = exit_of(side=closing, position_side=position)
    apply(ledger, candidate)
    assert our_row(database)["side"] == written
    with ledger.writing("desk") as transaction:
        again = transaction.insert_backfills([candidate])
    assert again == {candidate.order_id: InsertOutcome.IDENTICAL}


def test_the_last_filled_entry_gives_the_spelling(database):
    ledger = ledger_over(database)
    add(database, side="BUY", position_side="long", filled_at=NOON - timedelta(hours=1))
    add(database, order_id="e2", side="Buy", position_side=None)
    add(database, order_id="e3", side="buy", status="new", filled_at=NOON + timedelta(hours=1))
    apply(ledger, exit_of(quantity=Decimal(2)))
    row = our_row(database)
    assert (row["side"], row["position_side"]) == ("Sell", None)


def test_one_quantity_column_and_naive_times(database):
    ledger = ledger_over(database, ONE_QUANTITY)
    add(database, quantity=..., qty=Decimal(1), filled_at=NOON.replace(tzinfo=None))
    (lifecycle,) = ledger.open_lifecycles(["main"])
    (row,) = lifecycle.rows
    assert lifecycle.open_qty == Decimal(1)
    assert (row.filled_at, row.fee, row.exchange_order_id) == (NOON, None, None)
    assert row.updated_at is None
    apply(ledger, exit_of())
    written = our_row(database)
    assert written["qty"] == 1
    assert written["filled_at"] == (NOON + timedelta(minutes=5)).replace(tzinfo=None)
    assert abs(written["created_at"].replace(tzinfo=UTC) - ledger.now()) < timedelta(minutes=1)
    assert ledger.open_lifecycles(["main"]) == ()


def test_enums_integer_trade_ids_and_floats(database):
    ledger = ledger_over(database, ENUMS)
    entry = {"trade_id": 12, "side": "BUY", "position_side": "both", "quantity": 0.1, "qty": 0.1}
    add(database, **entry, price=1e-7)
    (lifecycle,) = ledger.open_lifecycles(["main"], symbols=["BTCUSDT"])
    assert lifecycle.key.trade_id == "12"
    assert lifecycle.open_qty == Decimal("0.1")
    assert lifecycle.rows[0].price == Decimal("1e-7")
    candidate = exit_of(trade_id="12", quantity=Decimal("0.1"), price=Decimal("1.3"), fee=None)
    batch_id = apply(ledger, candidate)
    row = our_row(database)
    assert (row["side"], row["position_side"], row["exchange_order_id"]) == ("SELL", "both", 77)
    assert (row["fee"], row["qty"]) == (0, pytest.approx(0.1))
    with ledger.writing("desk") as transaction:
        again = transaction.insert_backfills([candidate])
    assert again == {candidate.order_id: InsertOutcome.IDENTICAL}
    assert ledger.open_lifecycles(["main"]) == ()
    assert len(ledger.rollback(batch_id, actor="anna")) == 1
    assert ledger.entry_sides([("main", "12")])["main", "12"][0].order_id == "e1"


def test_what_the_ledger_demands_is_copied(database):
    ledger = ledger_over(database, DEMANDING)
    profile = "5e3b2a10-7a5b-4a33-9d43-0d6b0a3a5f11"
    trade = "0b0e9bb2-3c1f-4c27-b8a2-6e6b1c6f9e55"
    add(
        database,
        profile_id=profile,
        trade_id=trade,
        client_order_id="bot",
        exchange_order_id="1",
        strategy="grid",
        leverage=3,
        fee=1,
        fee_currency="BNB",
        **{"Odd Name": '{"a": 1}'},
    )
    claim = exit_of(profile_id=profile, trade_id=trade, fee=None, fee_currency=None)
    dust = exit_of(profile_id=profile, trade_id=trade, exchange_order_id="DUST")
    apply(ledger, claim)
    row = our_row(database)
    assert (row["strategy"], row["leverage"], row["Odd Name"]) == ("grid", 3, {"a": 1})
    assert (row["fee"], row["fee_currency"], row["qty"]) == (0, "BNB", 1)
    assert row["client_order_id"] == claim.order_id  # never the bot's, which links fills
    apply(ledger, dust)
    assert {row["exchange_order_id"] for row in table(database)} == {"1", "77", "DUST"}


def test_dust_has_no_exchange_order(database):
    ledger = ledger_over(database)
    add(database)
    dust = exit_of(exchange_order_id="DUST", fee=None, fee_currency=None)
    apply(ledger, dust)
    row = our_row(database)
    assert (row["exchange_order_id"], row["fee"]) == (None, None)


def test_a_schema_with_capitals_in_the_search_path(database, database_url):
    with database.transaction() as conn:
        conn.execute('CREATE SCHEMA "Bot Data"')
        conn.execute("CREATE TYPE \"Bot Data\".mood AS ENUM ('filled', 'canceled', 'new')")
    ledger_over(database)  # another orders, which the search path hides
    options = r'-c search_path="Bot\ Data",public'
    inside = Database(f"{database_url} options='{options}'".replace("\\", "\\\\"))
    with inside.transaction() as conn:
        conn.execute(
            'CREATE TABLE "Bot Data".orders (LIKE public.orders INCLUDING ALL);'
            'ALTER TABLE "Bot Data".orders ALTER status TYPE mood USING NULL'
        )
    ledger = PostgresLedger(inside)
    add(inside)
    batch_id = apply(ledger, exit_of())
    assert [row["status"] for row in table(inside)] == ["filled", "filled"]
    assert len(ledger.rollback(batch_id, actor="anna")) == 1
    assert table(database, "SELECT * FROM public.orders") == []
    inside.close()


def test_a_table_unfit_for_writing_is_refused_before_anything(database):
    ledger = ledger_over(database, STANDARD.replace("PRIMARY KEY", "NOT NULL"))
    add(database)
    assert len(ledger.open_lifecycles(["main"])) == 1
    with pytest.raises(LedgerSchemaError, match="unique index"), ledger.writing("desk"):
        pytest.fail("the transaction was given out")


def test_a_table_without_what_every_question_needs(database):
    ledger = ledger_over(database, "CREATE TABLE orders (order_id text PRIMARY KEY, qty numeric)")
    with pytest.raises(LedgerSchemaError, match="profile_id"):
        ledger.open_lifecycles(["main"])


def test_no_table_at_all(database):
    ledger = ledger_over(database)
    with database.transaction() as conn:
        conn.execute("DROP TABLE orders")
    with pytest.raises(DatabaseError, match="orders"):
        ledger.open_lifecycles(["main"])


def test_a_table_that_changes_while_we_run_is_looked_at_anew(database):
    ledger = ledger_over(database)
    add(database)
    assert ledger.open_lifecycles(["main"])[0].rows[0].fee is None
    with database.transaction() as conn:
        conn.execute("ALTER TABLE orders DROP COLUMN fee, DROP COLUMN qty")
    with pytest.raises(DatabaseError):
        ledger.open_lifecycles(["main"])
    assert len(ledger.open_lifecycles(["main"])) == 1
