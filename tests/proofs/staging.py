"""One small ledger on which each operation is done again and again, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from tests.cycle.bench import ETH, Bench, batch_id, hours_ago
from tests.cycle.conftest import WIPE
from tests.proofs import bystander
from tests.proofs.statements import StatementWire

_OURS = "order_id LIKE 'BFILL-%'"
_BOOKS = f"""
    SELECT to_jsonb(o) - CASE WHEN {_OURS} THEN '{{created_at,updated_at}}'::text[] ELSE '{{}}' END
    FROM orders o ORDER BY order_id
"""  # noqa: S608 - nothing of it comes from outside
_RECORD = """
    SELECT trade_id, backfill_order_id, filled_qty, reverted_at IS NOT NULL
    FROM reconciliation_backfill_audit WHERE decision = 'APPLIED' ORDER BY 2
"""
_PLAN = """
    SELECT trade_id, backfill_order_id, filled_qty, fingerprint
    FROM reconciliation_backfill_audit WHERE decision = 'DRY_RUN' AND batch_id = (
        SELECT batch_id FROM reconciliation_backfill_batch ORDER BY started_at DESC LIMIT 1
    )
    ORDER BY 2
"""
"""What the newest batch planned; nothing where it was an apply."""

_LOOSE_ENDS = """
    SELECT 'audit', audit_id::text FROM reconciliation_backfill_audit
    WHERE decision = 'PENDING_APPLY'
    UNION ALL
    SELECT 'batch', batch_id FROM reconciliation_backfill_batch WHERE status = 'running'
    UNION ALL
    SELECT 'untold', batch_id FROM reconciliation_backfill_batch AS b
    WHERE status = 'interrupted' AND 1 <> (
        SELECT count(*) FROM reconciliation_event
        WHERE event_type = 'BATCH_INTERRUPTED' AND payload ->> 'batch_id' = b.batch_id
    )
"""
"""Intents that nothing became of, runs that nobody closed, ends that were not told just once."""


@dataclass(frozen=True, kw_only=True)
class EndState:
    """What must be the same, however a run was disturbed."""

    orders: tuple[Any, ...]
    applied: tuple[Any, ...]
    planned: tuple[Any, ...]


class Stage:
    """The ledger, the exchange, and a wire to the database that knows statements."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.wire = StatementWire(bench.service_url)
        _open_ledger(bench)
        bench.run("CREATE TABLE bot_rows AS TABLE orders")

    def close(self) -> None:
        self.wire.close()

    def set(self, operation: str) -> str:
        """The ledger as the operation finds it; the batch that it is about."""
        self._wipe()
        if operation in {"dry run", "apply"}:
            return ""
        if operation == "pinned apply":
            return batch_id(self.bench.dry_run())
        batch = batch_id(self.bench.apply())
        if operation == "reinstate":
            bystander.undo(self.bench.desk, batch)
        return batch

    def made_good(self, operation: str, batch: str) -> EndState:
        """The next run comes. Raises AssertionError where it leaves loose ends in the record."""
        bystander.AFTERWARDS[operation](self.bench.desk, batch)
        loose = self.bench.rows(_LOOSE_ENDS)
        assert loose == []
        return self.end_state()

    def end_state(self) -> EndState:
        return EndState(
            orders=tuple(map(repr, self.bench.rows(_BOOKS))),
            applied=tuple(self.bench.rows(_RECORD)),
            planned=tuple(self.bench.rows(_PLAN)),
        )

    def _wipe(self) -> None:
        with psycopg.connect(self.bench.database_url) as connection:
            for statement in WIPE:
                connection.execute(statement)
            connection.execute("INSERT INTO orders SELECT * FROM bot_rows")
        self.bench.pause()


def _open_ledger(bench: Bench) -> None:
    """A ghost closed by two orders, one with a remainder of dust, and one that stays open."""
    bench.opened("t-two", "0.5", at=hours_ago(9))
    for hours in (8, 7):
        bench.trade("sell", "0.25", at=hours_ago(hours), price="41000")
    entry = bench.trade("buy", "0.3", at=hours_ago(6))
    bench.book("t-dust", "ENTRY", "0.3005", at=hours_ago(6), exchange_order_id=entry)
    bench.trade("sell", "0.3", at=hours_ago(5), price="40500")
    bench.ghost("t-eth", "2", symbol=ETH)
    bench.book("t-never", "ENTRY", "1", symbol="SOLUSDT", price="150", at=hours_ago(4))
