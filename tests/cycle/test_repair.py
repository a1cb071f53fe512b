"""The whole way once: dry run, apply, again, undo."""

from __future__ import annotations

from decimal import Decimal

from unghost.model import Decision, Reason
from unghost.rollback import reinstate, roll_back


def test_a_lost_exit_is_repaired_once_and_for_all(bench):
    bench.ghost("t-1")
    bench.pause()
    before = bench.digest()

    plan = bench.dry_run()
    assert [(row.decision, row.reason) for row in plan.audit] == [
        (Decision.DRY_RUN, Reason.FILL_EVIDENCE)
    ]
    assert bench.digest() == before

    applied = bench.apply(plan=plan.batch.batch_id)
    assert [row.decision for row in applied.audit] == [Decision.APPLIED]
    assert bench.backfills() == [("t-1", Decimal("0.5"), "filled")]

    again = bench.apply()
    assert again.audit == ()
    assert len(bench.backfills()) == 1

    roll_back(bench.desk, applied.batch.batch_id, actor="tester")
    assert bench.backfills() == [("t-1", Decimal("0.5"), "canceled")]
    skipped = bench.apply()
    assert [row.reason for row in skipped.audit] == [Reason.BACKFILL_ROLLED_BACK]
    reinstate(bench.desk, applied.batch.batch_id, actor="tester")
    assert bench.backfills() == [("t-1", Decimal("0.5"), "filled")]
