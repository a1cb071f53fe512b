"""The real EXIT arrives after the backfill: it is found, named, and the backfill gives way."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.cycle.bench import ETH, Bench, batch_id, hours_ago

from unghost.cycle import SUPERSEDED_EVENT, run_cycle, validate
from unghost.desk import Desk
from unghost.report import way_back
from unghost.rollback import roll_back

HALF = Decimal("0.5")


def repaired(bench: Bench) -> tuple[str, str, str]:
    """The close order, the batch, and the row of a repaired ghost."""
    _, close = bench.ghost("t-1")
    bench.pause()
    report = bench.apply()
    return close, batch_id(report), str(report.audit[0].backfill_order_id)


def test_before_a_repair_validate_names_the_ghost(bench):
    bench.ghost("t-1")
    found = validate(bench.desk)
    assert [(key.trade_id, *sums) for key, *sums in found.ghosts] == [("t-1", HALF, Decimal(0))]
    assert found.over_closed == ()


def test_after_a_repair_there_is_nothing_to_name(bench):
    repaired(bench)
    found = validate(bench.desk)
    assert (found.ghosts, found.over_closed) == ((), ())
    assert found.decisions == {"APPLIED": 1}
    assert found.mismatch_events == 1


def test_failures_16_a_real_exit_after_ours_names_the_row_to_roll_back(bench):
    close, batch, row = repaired(bench)
    bench.book("t-1", "EXIT", "0.5", exchange_order_id=close, at=hours_ago(3))
    (over,) = validate(bench.desk).over_closed
    assert (over.key.trade_id, over.entry_qty, over.exit_qty) == ("t-1", HALF, Decimal(1))
    assert over.superseded == ((row, HALF, batch),)

    (changed,) = roll_back(bench.desk, batch, actor="tester", order_id=row)
    assert changed.order_id == row
    found = validate(bench.desk)
    assert (found.ghosts, found.over_closed) == ((), ())
    assert bench.apply().lifecycles == ()


def test_a_late_exit_of_one_part_names_all_rows_latest_first(bench):
    bench.opened("t-1", "0.5")
    first = bench.trade("sell", "0.2", at=hours_ago(3))
    bench.trade("sell", "0.3", at=hours_ago(2))
    bench.pause()
    batch = batch_id(bench.apply())
    bench.book("t-1", "EXIT", "0.2", exchange_order_id=first, at=hours_ago(3))
    (over,) = validate(bench.desk).over_closed
    assert [(quantity, of) for _, quantity, of in over.superseded] == [
        (Decimal("0.3"), batch),
        (Decimal("0.2"), batch),
    ]
    roll_back(bench.desk, batch, actor="tester", order_id=over.superseded[1][0])
    assert validate(bench.desk).over_closed == ()


def test_the_bots_own_late_write_never_fails_because_of_us(bench):
    """Our row carries the exchange's order id; the bot's row of the same order fits beside it."""
    close, _, _ = repaired(bench)
    bench.book("t-1", "EXIT", "0.5", exchange_order_id=close, order_id=close, at=hours_ago(3))
    assert len(validate(bench.desk).over_closed) == 1


def test_a_lifecycle_that_the_bot_itself_closed_twice_is_named_without_a_row_of_ours(bench):
    bench.book("t-1", "ENTRY", "0.5")
    bench.book("t-1", "EXIT", "0.5")
    bench.book("t-1", "EXIT", "0.5")
    (over,) = validate(bench.desk).over_closed
    assert over.superseded == ()


def test_the_fills_of_a_late_exit_are_not_claimed_for_another_ghost(bench):
    """Both the bot's row and ours stand for one close order: no more of it is claimable."""
    close, _, _ = repaired(bench)
    bench.book("t-1", "EXIT", "0.5", exchange_order_id=close, at=hours_ago(3))
    bench.book("t-2", "ENTRY", "0.5", exchange_order_id="777", at=hours_ago(4))
    bench.ghost("t-3", "2", symbol=ETH)
    bench.apply()
    assert [row[0] for row in bench.backfills()] == ["t-1", "t-3"]


# --- told by the next cycle --------------------------------------------------------------------


def superseded_events(bench: Bench) -> list[dict[str, Any]]:
    found = bench.rows(
        "SELECT payload FROM reconciliation_event WHERE event_type = %s ORDER BY event_id",
        SUPERSEDED_EVENT,
    )
    return [payload for (payload,) in found]


def test_the_next_cycle_finds_a_late_exit_and_tells_it_once(bench):
    close, batch, row = repaired(bench)
    assert bench.apply().superseded == ()
    bench.book("t-1", "EXIT", "0.5", exchange_order_id=close, at=hours_ago(3))
    reports = [bench.dry_run(), bench.apply(), run_cycle(detecting(bench), actor="tester")]
    assert [[one.key.trade_id for one in report.superseded] for report in reports] == [["t-1"]] * 3
    (payload,) = superseded_events(bench)
    assert payload["rows"] == [{"order_id": row, "quantity": "0.500000000000", "batch_id": batch}]
    assert payload["way_back"] == f"unghost rollback {batch} --order {row}"

    roll_back(bench.desk, batch, actor="tester", order_id=row)
    assert bench.apply().superseded == ()
    assert len(superseded_events(bench)) == 1


def detecting(bench: Bench) -> Desk:
    return replace(bench.desk, enabled=False)


def test_what_the_bot_closed_twice_by_itself_is_no_matter_of_ours(bench):
    repaired(bench)
    bench.book("t-2", "ENTRY", "0.5", at=hours_ago(1))
    bench.book("t-2", "EXIT", "0.5", at=hours_ago(1))
    bench.book("t-2", "EXIT", "0.5", at=hours_ago(1))
    assert bench.apply().superseded == ()
    assert superseded_events(bench) == []


def test_the_way_back_of_several_rows_is_the_one_that_fits_else_the_lifecycle(bench):
    bench.opened("t 1", "0.5")
    first = bench.trade("sell", "0.2", at=hours_ago(3))
    second = bench.trade("sell", "0.3", at=hours_ago(2))
    bench.pause()
    batch = batch_id(bench.apply())
    bench.book("t 1", "EXIT", "0.2", exchange_order_id=first, at=hours_ago(3))
    (over,) = bench.apply().superseded
    assert way_back(over) == f"unghost rollback {batch} --order {over.superseded[1][0]}"
    bench.book("t 1", "EXIT", "0.3", exchange_order_id=second, at=hours_ago(2))
    (over,) = bench.apply().superseded
    assert way_back(over) == f"unghost rollback {batch} --trade 't 1'"
    roll_back(bench.desk, batch, actor="tester", trade_id="t 1")
    assert bench.apply().superseded == ()
    assert validate(bench.desk).over_closed == ()
