"""Ledger rows that are broken, odd or meant to harm: judged or refused, never an unknown error.

A real PostgreSQL holds them: what it refuses itself (NUL in a text) cannot be there to be read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from psycopg.sql import SQL, Identifier
from tests.cycle.bench import PROFILE, Bench, sentence, told

from unghost.model import Decision, Reason

GOOD = ("t-good", Decision.APPLIED, Reason.FILL_EVIDENCE)
TEXTS = (
    "'; DROP TABLE orders; --",
    '"; SELECT pg_sleep(9); --',
    "%s %(x)s {} {0} $1 \\x00",
    "<script>alert(1)</script>",
    "\u202e\u200b\ufeffBTCUSDT",
    "\U0001f600" * 50,
    "e\u0301" * 20,
    "[red]BTC[/red]",
    "../../etc/passwd",
    "x" * 5_000,
    "",
    " \t\n",
)
COLUMNS = ("symbol", "trade_id", "side", "status", "action", "exchange_order_id", "client_order_id")
PRICES = ("NaN", "0", "-1", "1e-18", "1e-30", "1e30", "123456789012345678901234567890.5")
QUANTITIES = (
    "NaN",
    "Infinity",
    "-Infinity",
    "-1",
    "0",
    "1e30",
    "1e130000",
    "123456789012345678901234567890.123456789012345678901234567890",
)
TIMES = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), None)


@pytest.fixture
def stage(bench: Bench) -> Bench:
    """One ghost that is to be closed, whatever lies beside it on another market."""
    bench.ghost("t-good")
    bench.pause()
    return bench


def assert_sound(bench: Bench) -> None:
    """Twice the same, every table still there, and only the proven row written."""
    dry = bench.dry_run()
    report = bench.apply()
    assert ("t-good", Decision.DRY_RUN, Reason.FILL_EVIDENCE) in told(dry)
    assert GOOD in told(report)
    assert bench.backfills() == [("t-good", Decimal("0.5"), "filled")]
    assert isinstance(sentence(report), str)
    assert bench.rows("SELECT count(*) FROM orders")[0][0] > 1


@pytest.mark.parametrize("column", COLUMNS)
def test_an_odd_text_in_any_column_harms_nothing(stage: Bench, column: str):
    for number, text in enumerate(TEXTS):
        odd = {"trade_id": f"odd-{number}", "symbol": "ETHUSDT"} | {column: text}
        trade_id = odd.pop("trade_id")
        stage.book(trade_id, odd.pop("action", "ENTRY"), "1", **odd)
    assert_sound(stage)


def test_an_odd_price_harms_nothing(own_bench: Bench):
    """In a ledger whose column limits nothing."""
    own_bench.run("ALTER TABLE orders ALTER price TYPE numeric")
    own_bench.ghost("t-good")
    own_bench.pause()
    for number, value in enumerate(PRICES):
        own_bench.book(f"odd-{number}", "ENTRY", "1", symbol="ETHUSDT", price=Decimal(value))
    assert_sound(own_bench)


@pytest.mark.parametrize("value", QUANTITIES)
def test_an_odd_quantity_harms_nothing(own_bench: Bench, value: str):
    """In a ledger whose columns limit nothing; the odd lifecycle is on a market of its own."""
    own_bench.run("ALTER TABLE orders ALTER quantity TYPE numeric, ALTER qty TYPE numeric")
    own_bench.ghost("t-good")
    own_bench.pause()
    book_odd(own_bench, value)
    assert_sound(own_bench)


@pytest.mark.parametrize("value", ("1e-30", "1e-16000"))
def test_a_quantity_too_small_to_trade_is_dust(own_bench: Bench, value: str):
    """Digits by the thousand: the row closes it to the last of them."""
    own_bench.run("ALTER TABLE orders ALTER quantity TYPE numeric, ALTER qty TYPE numeric")
    own_bench.pause()
    book_odd(own_bench, value)
    assert told(own_bench.apply()) == [("odd", Decision.APPLIED, Reason.DUST_REMAINDER)]
    assert own_bench.backfills() == [("odd", Decimal(value), "filled")]


def book_odd(bench: Bench, value: str) -> None:
    """An open lifecycle with the quantity as PostgreSQL reads it."""
    bench.book("odd", "ENTRY", "1", symbol="ETHUSDT")
    bench.run("UPDATE orders SET quantity = %s, qty = NULL WHERE trade_id = 'odd'", value)


@pytest.mark.parametrize("at", TIMES, ids=str)
def test_an_odd_time_harms_nothing(stage: Bench, at: datetime | None):
    stage.book("odd", "ENTRY", "1", symbol="ETHUSDT", at=at)
    assert_sound(stage)


def test_no_key_of_the_exchange_is_written_anywhere(stage: Bench, capsys):
    """The client signs with these; a signature is sent to the venue and never kept."""
    secrets = [f"{PROFILE}-key", f"{PROFILE}-secret", f"{PROFILE}-password", "signature"]
    report = stage.apply()
    said = capsys.readouterr()
    named = stage.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    tables = [name for (name,) in named]
    assert "reconciliation_backfill_audit" in tables
    every = SQL("SELECT to_jsonb(t)::text FROM {} AS t")
    kept = [str(stage.rows(every.format(Identifier(name)))) for name in tables]
    written = "\n".join([*kept, said.out, said.err, repr(report)])
    assert "t-good" in written
    assert [one for one in secrets if one in written] == []
