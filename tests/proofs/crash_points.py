"""Every point at which a process may end: before and after each statement that it sends.

A process of its own does one operation (`nursery.py`), and its wire to the database kills it
(SIGKILL) at the chosen point (`statements.py`). Then the next run comes, and the books must be what
an undisturbed run makes of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from tests.cycle.bench import ETH, Bench, batch_id, hours_ago
from tests.cycle.conftest import WIPE
from tests.proofs import bystander
from tests.proofs.nursery import Nursery
from tests.proofs.statements import CrashPoint, Moment, StatementWire

_KILLED = "unghost that is killed"
_STILL_CONNECTED = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
)
_SILENCE_SECONDS = 30
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


class Lab:
    """One small ledger that each operation is done on again and again."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.wire = StatementWire(bench.service_url)
        self._nursery = Nursery(bench.venue.base_url)
        _open_ledger(bench)
        bench.run("CREATE TABLE bot_rows AS TABLE orders")

    def close(self) -> None:
        self.wire.close()
        self._nursery.close()

    def undisturbed(self, operation: str) -> tuple[list[str], EndState]:
        """The statements of a whole run, and what it leaves."""
        batch = self._stage(operation)
        assert self._run(operation, batch, None) == 0, operation
        return list(self.wire.statements), self.end_state()

    def disturbed(self, operation: str, point: CrashPoint) -> EndState:
        """End the process at the point, run the operation again, and tell what is left.

        Raises AssertionError where the process was not killed, or the record has loose ends.
        """
        batch = self._stage(operation)
        code = self._run(operation, batch, point)
        assert code == -9, f"{operation} was not killed {point}: it ended with {code}"
        self._await_silence()
        bystander.AFTERWARDS[operation](self.bench.desk, batch)
        assert self.bench.rows(_LOOSE_ENDS) == [], f"{operation}, {point}"
        return self.end_state()

    def end_state(self) -> EndState:
        return EndState(
            orders=tuple(map(repr, self.bench.rows(_BOOKS))),
            applied=tuple(self.bench.rows(_RECORD)),
            planned=tuple(self.bench.rows(_PLAN)),
        )

    def _stage(self, operation: str) -> str:
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

    def _wipe(self) -> None:
        with psycopg.connect(self.bench.database_url) as connection:
            for statement in WIPE:
                connection.execute(statement)
            connection.execute("INSERT INTO orders SELECT * FROM bot_rows")
        self.bench.pause()

    def _await_silence(self) -> None:
        """Until the server has heard that the process is gone: only then are its locks free."""
        deadline = time.monotonic() + _SILENCE_SECONDS
        while self.bench.rows(_STILL_CONNECTED, _KILLED):
            assert time.monotonic() < deadline, "the server keeps the connections of a dead process"

    def _run(self, operation: str, batch: str, point: CrashPoint | None) -> int:
        conninfo = make_conninfo(self.wire.conninfo, application_name=_KILLED)
        pid = self._nursery.fork(operation, batch, conninfo)
        self.wire.watch(pid, point)
        return self._nursery.go()


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


def points(statements: list[str]) -> Iterator[CrashPoint]:
    """Before and after each."""
    for number in range(1, len(statements) + 1):
        for moment in Moment:
            yield CrashPoint(number=number, moment=moment)
