"""A rollback works on the worst day; a reinstate is a write and is asked the same questions."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from tests.cycle.bench import ETH, ETH_NATIVE, PROFILE, Bench, batch_id, hours_ago, told

from unghost.demo.venue import Fault, FaultKind
from unghost.errors import BatchNotFoundError, DatabaseError, RefusedError, UsageError
from unghost.model import Decision, Reason
from unghost.rollback import preview_reinstate, preview_rollback, reinstate, roll_back

HALF = Decimal("0.5")
ROLLED_BACK = (Decision.SKIP_EXISTING, Reason.BACKFILL_ROLLED_BACK)

ROLLBACK = """
UPDATE orders
SET
  status = 'canceled',
  updated_at = now()
WHERE order_id IN (
  SELECT backfill_order_id
  FROM reconciliation_backfill_audit
  WHERE batch_id = %s
    AND decision IN ('APPLIED', 'SKIP_EXISTING')
    AND backfill_order_id IS NOT NULL
)
"""
MARK = "UPDATE reconciliation_backfill_audit SET reverted_at = now() WHERE batch_id = %s"
"""Section 9 of the checklist, as people run it."""


@pytest.fixture
def applied(bench: Bench) -> str:
    """Two ghosts on two markets, both repaired; the batch."""
    bench.ghost("t-1")
    bench.ghost("t-2", "2", symbol=ETH)
    bench.pause()
    return batch_id(bench.apply())


def undo(bench: Bench, batch: str, **only: Any) -> list[str]:
    return [one.key.trade_id for one in roll_back(bench.desk, batch, actor="tester", **only)]


def redo(bench: Bench, batch: str, **only: Any) -> list[str]:
    return [one.key.trade_id for one in reinstate(bench.desk, batch, actor="tester", **only)]


def standing(bench: Bench) -> list[str]:
    return [trade_id for trade_id, _, status in bench.backfills() if status == "filled"]


# --- rollback ----------------------------------------------------------------------------------


def test_the_preview_tells_what_changes_and_what_opens_again(bench, applied):
    preview = preview_rollback(bench.desk, applied)
    changes = {(one.key.trade_id, one.quantity, one.status_after) for one in preview.changes}
    assert changes == {("t-1", HALF, "canceled"), ("t-2", Decimal(2), "canceled")}
    assert [key.trade_id for key in preview.reopens] == ["t-1", "t-2"]
    assert (preview.from_earlier, preview.warnings) == ((), ())
    assert standing(bench) == ["t-1", "t-2"]


def test_rows_of_an_earlier_batch_are_named_before_they_are_canceled(bench):
    bench.ghost("t-1")
    bench.pause()
    plan = batch_id(bench.dry_run())
    first = batch_id(bench.apply(plan=plan))
    second = batch_id(bench.apply(plan=plan))
    preview = preview_rollback(bench.desk, second)
    assert [one.first_batch_id for one in preview.from_earlier] == [first]
    assert first in preview.warnings[0]
    assert undo(bench, second) == ["t-1"]
    assert standing(bench) == []


def test_a_rollback_three_times_is_a_rollback_once(bench, applied):
    assert sorted(undo(bench, applied)) == ["t-1", "t-2"]
    after = bench.digest(), bench.rows("SELECT * FROM reconciliation_backfill_audit ORDER BY 1")
    assert undo(bench, applied) == undo(bench, applied) == []
    assert preview_rollback(bench.desk, applied).changes == ()
    now = bench.digest(), bench.rows("SELECT * FROM reconciliation_backfill_audit ORDER BY 1")
    assert now == after


def test_one_trade_or_one_row_alone(bench, applied):
    assert undo(bench, applied, trade_id="t-1") == ["t-1"]
    assert standing(bench) == ["t-2"]
    ((order_id,),) = bench.rows(
        "SELECT order_id FROM orders WHERE trade_id = 't-2' AND order_id LIKE 'BFILL-%'"
    )
    assert undo(bench, applied, order_id=order_id) == ["t-2"]
    assert standing(bench) == []


def test_what_the_batch_does_not_hold_is_a_mistake_of_the_caller(bench, applied):
    with pytest.raises(UsageError, match="has no lifecycle 't-9'"):
        undo(bench, applied, trade_id="t-9")
    with pytest.raises(UsageError, match="has no row 'bot-1'"):
        undo(bench, applied, order_id="bot-1")
    with pytest.raises(BatchNotFoundError):
        undo(bench, "nothing")


def test_another_profiles_batch_is_not_undone_or_redone_here(bench, applied):
    """The pause and the account that would be asked are not those of the batch."""
    other = bench.new_desk("other", (PROFILE, "other"))
    bench.pause("other")
    with pytest.raises(BatchNotFoundError, match="belongs to profile main, not to other"):
        roll_back(other, applied, actor="tester")
    undo(bench, applied)
    bench.resume()
    with pytest.raises(BatchNotFoundError, match="belongs to profile main, not to other"):
        reinstate(other, applied, actor="tester")
    assert standing(bench) == []


def test_a_rollback_asks_nobody(bench, applied):
    bench.resume()
    bench.trade("buy", "0.1")
    bench.venue.fault(Fault(kind=FaultKind.RESET))
    assert sorted(undo(bench, applied)) == ["t-1", "t-2"]


def test_failures_15_after_a_rollback_by_hand_the_next_cycle_says_so(bench, applied):
    bench.run(ROLLBACK, applied)
    bench.run(MARK, applied)
    report = bench.apply()
    assert told(report) == [("t-1", *ROLLED_BACK), ("t-2", *ROLLED_BACK)]
    assert all("reinstate" in row.evidence["sentence"] for row in report.audit)
    assert standing(bench) == []
    assert sorted(redo(bench, applied)) == ["t-1", "t-2"]
    assert standing(bench) == ["t-1", "t-2"]


def test_the_fills_of_a_row_that_was_rolled_back_are_free_again(bench, applied):
    """The row decides, not the mark: whoever cancels it gives its fills back."""
    bench.run("UPDATE orders SET status = 'canceled' WHERE order_id LIKE 'BFILL-%'")
    evidence = bench.dry_run().audit[0].evidence
    assert [order["accounted"] for order in evidence["orders"]] == ["0"]


# --- reinstate ---------------------------------------------------------------------------------


def test_the_preview_of_a_reinstate(bench, applied):
    undo(bench, applied, trade_id="t-1")
    preview = preview_reinstate(bench.desk, applied)
    assert [(one.key.trade_id, one.status_after) for one in preview.changes] == [("t-1", "filled")]


def test_a_reinstate_of_one_trade(bench, applied):
    undo(bench, applied)
    assert redo(bench, applied, trade_id="t-2") == ["t-2"]
    assert standing(bench) == ["t-2"]


def test_a_reinstate_without_anything_to_do_asks_nobody(bench, applied):
    bench.resume()
    assert redo(bench, applied) == []


def test_a_reinstate_asks_for_the_pause(bench, applied):
    undo(bench, applied)
    bench.resume()
    with pytest.raises(RefusedError, match="Profile main is RUNNING"):
        redo(bench, applied)
    assert standing(bench) == []


def test_a_reinstate_asks_for_a_flat_market(bench, applied):
    undo(bench, applied)
    bench.trade("buy", "0.1")
    with pytest.raises(RefusedError, match="BTCUSDT is not proven flat"):
        redo(bench, applied)
    assert redo(bench, applied, trade_id="t-2") == ["t-2"]
    bench.trade("sell", "0.1")
    bench.venue.fault(Fault(kind=FaultKind.NULL, endpoint="positionRisk"))
    with pytest.raises(RefusedError, match="not proven flat"):
        redo(bench, applied)
    assert standing(bench) == ["t-2"]


def test_a_reinstate_asks_whether_an_order_of_the_bot_is_at_work(bench, applied):
    undo(bench, applied)
    order = bench.book("t-1", "EXIT", HALF, status="new")
    with pytest.raises(RefusedError, match=r"t-1 \(pending_lifecycle_blocker"):
        redo(bench, applied)
    assert standing(bench) == []
    assert redo(bench, applied, trade_id="t-2") == ["t-2"]
    bench.run("UPDATE orders SET status = 'canceled' WHERE order_id = %s", order)
    assert redo(bench, applied) == ["t-1"]


def test_a_reinstate_leaves_a_lifecycle_alone_that_the_bot_has_just_written(bench, applied):
    undo(bench, applied)
    bench.run("UPDATE orders SET updated_at = now() WHERE trade_id = 't-1' AND action = 'ENTRY'")
    with pytest.raises(RefusedError, match=r"t-1 \(recent_activity"):
        redo(bench, applied)
    assert standing(bench) == []


def test_a_resume_while_a_reinstate_asks_the_exchange_stops_it(bench, applied):
    undo(bench, applied)
    bench.venue.before("positionRisk", lambda _: bench.resume())
    with pytest.raises(RefusedError, match="RUNNING"):
        redo(bench, applied)
    assert standing(bench) == []


def test_a_reinstate_does_not_close_more_than_was_opened(bench, applied):
    undo(bench, applied)
    bench.book("t-1", "EXIT", "0.5", at=hours_ago(3))
    with pytest.raises(RefusedError, match="would close more than was opened"):
        redo(bench, applied)
    assert standing(bench) == []
    assert redo(bench, applied, trade_id="t-2") == ["t-2"]


@pytest.mark.parametrize(
    "spelling",
    (
        {"status": "FILLED"},
        {"action": "exit"},
        {"action": "Close"},
        {"quantity": None},
        {"symbol": "btcusdt"},
        {"symbol": None},
    ),
)
def test_a_reinstate_leaves_a_lifecycle_alone_whose_exit_the_sums_do_not_count(
    bench, applied, spelling
):
    undo(bench, applied)
    row = {"action": "EXIT", "quantity": "0.5", "at": hours_ago(3)} | spelling
    order = bench.book("t-1", row.pop("action"), row.pop("quantity"), **row)
    with pytest.raises(RefusedError, match=rf"t-1 cannot be judged: row {order} .*invalid_ledger"):
        redo(bench, applied)
    assert standing(bench) == []
    assert redo(bench, applied, trade_id="t-2") == ["t-2"]


def test_a_reinstate_that_waited_longer_than_a_reading_lasts_writes_nothing(bench, applied):
    undo(bench, applied)
    desk = bench.at(reading_max_age_seconds=1)
    account = desk.profile.account
    with ThreadPoolExecutor(1) as pool:
        with bench.new_desk().ledger.writing(account):
            waiting = pool.submit(reinstate, desk, applied, actor="tester")
            is_waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while bench.rows(is_waiting) == [(0,)] and not waiting.done():
                time.sleep(0.05)
            time.sleep(1.1)
        with pytest.raises(RefusedError, match=r"not proven flat \(exchange_state_unknown"):
            waiting.result()
    assert standing(bench) == []
    assert sorted(redo(bench, applied)) == ["t-1", "t-2"]


@pytest.mark.parametrize(
    ("booked", "doubled"),
    (
        ({"symbol": "BTC/USDT:USDT"}, True),
        ({"symbol": "BTC/USDT:USDT", "status": "FILLED", "hours": 1}, True),
        ({"trade_id": None}, True),
        ({"trade_id": None, "hours": 1}, True),
        ({"trade_id": None, "side": "buy"}, False),
        ({"trade_id": "T-1"}, True),
        ({"trade_id": "t-9", "quantity": "0.1"}, True),
        ({"trade_id": "t-9", "quantity": None}, True),
        ({"trade_id": "t-9", "hours": 2.9}, False),
        ({"trade_id": "t-9", "exchange_order_id": "880999"}, False),
        ({"trade_id": "t-9", "symbol": "SOLUSDT"}, False),
    ),
)
def test_a_reinstate_counts_exits_that_name_no_order_as_an_apply_does(
    bench, applied, booked, doubled
):
    """Whoever booked the lost exit after the rollback may not have known the order's id."""
    undo(bench, applied)
    row = {"trade_id": "t-1", "action": "EXIT", "quantity": "0.5", "hours": 3} | booked
    row["at"] = hours_ago(row.pop("hours"))
    order = bench.book(row.pop("trade_id"), row.pop("action"), row.pop("quantity"), **row)
    if doubled:
        with pytest.raises(RefusedError, match=rf"closed 0\.5, .* would hold .* {order}\): "):
            redo(bench, applied)
        assert standing(bench) == []
    else:
        assert sorted(redo(bench, applied)) == ["t-1", "t-2"]


def take_the_fills_meanwhile(bench: Bench) -> str:
    """t-1 is rolled back and its ENTRY corrected to t-2, whose exit the close order then is."""
    entry, _ = bench.ghost("t-1")
    bench.pause()
    first = batch_id(bench.apply())
    undo(bench, first)
    bench.run("UPDATE orders SET status = 'canceled' WHERE trade_id = 't-1' AND action = 'ENTRY'")
    bench.run("UPDATE orders SET exchange_order_id = NULL WHERE trade_id = 't-1'")
    bench.book("t-2", "ENTRY", "0.5", exchange_order_id=entry, at=hours_ago(5))
    return first


def test_a_reinstate_does_not_use_a_fill_that_another_backfill_has_taken_since(bench):
    first = take_the_fills_meanwhile(bench)
    assert told(bench.apply()) == [("t-2", Decision.APPLIED, Reason.FILL_EVIDENCE)]
    # Somebody brings the old ENTRY back: by its own sums t-1 would not be closed by too much.
    bench.run("UPDATE orders SET status = 'filled' WHERE trade_id = 't-1' AND action = 'ENTRY'")
    with pytest.raises(RefusedError, match=r"closed 0\.5, and the ledger would hold 1 of it"):
        redo(bench, first)
    assert standing(bench) == ["t-2"]
    marks = "SELECT count(*) FROM reconciliation_backfill_audit WHERE reverted_at IS NULL"
    assert bench.rows(f"{marks} AND batch_id = %s", first) == [(0,)]


def test_a_reinstate_does_not_use_a_fill_that_the_bot_has_booked_elsewhere_since(bench):
    _, close = bench.ghost("t-1")
    bench.pause()
    first = batch_id(bench.apply())
    undo(bench, first)
    bench.book("t-9", "EXIT", "0.3", exchange_order_id=close, at=hours_ago(3))
    with pytest.raises(RefusedError, match=rf"Exchange order {close} closed 0\.5"):
        redo(bench, first)
    assert standing(bench) == []


def test_a_reinstate_counts_the_same_order_id_on_another_market_for_itself(bench):
    _, close = bench.ghost("t-1")
    bench.pause()
    first = batch_id(bench.apply())
    undo(bench, first)
    bench.book("t-9", "EXIT", "5", symbol=ETH_NATIVE, exchange_order_id=close, at=hours_ago(3))
    assert redo(bench, first) == ["t-1"]


def test_a_reinstate_of_one_order_over_two_lifecycles_fits_it_exactly(bench):
    bench.opened("t-1", "1.5")
    bench.opened("t-2", "0.5")
    bench.trade("sell", "2.0", at=hours_ago(3))
    bench.pause()
    batch = batch_id(bench.apply())
    undo(bench, batch)
    assert redo(bench, batch, trade_id="t-2") == ["t-2"]
    assert redo(bench, batch) == ["t-1"]
    assert standing(bench) == ["t-1", "t-2"]


def test_dust_is_reinstated_with_its_claims(bench):
    bench.opened("t-1", "0.5")
    bench.trade("sell", "0.4995", at=hours_ago(3))
    bench.world.override_position(account=PROFILE, symbol="BTC/USDT:USDT", quantity=Decimal(0))
    bench.pause()
    batch = batch_id(bench.apply())
    assert len(standing(bench)) == 2
    undo(bench, batch)
    assert redo(bench, batch) == ["t-1", "t-1"]
    assert bench.closed_by_us() == HALF


# --- invariant 6 -------------------------------------------------------------------------------


# --- a record in which somebody has written ----------------------------------------------------

ODD_ROW = """
INSERT INTO reconciliation_backfill_audit (batch_id, profile_id, symbol, trade_id, decision, reason,
    actor, backfill_order_id, filled_at, evidence)
VALUES (%s, 'main', 'BTCUSDT', 't-odd', 'NO_GO', %s, 'nobody', 'BFILL-odd', %s, %s)
"""
REWRITTEN = """
ALTER TABLE reconciliation_backfill_audit DISABLE TRIGGER USER;
UPDATE reconciliation_backfill_audit SET evidence = '{}' WHERE trade_id = 't-1'
"""


@pytest.mark.parametrize(
    ("odd", "readable"),
    (
        (("no reason of ours", None, "{}"), False),
        (("fill_evidence", "infinity", "{}"), False),
        (("fill_evidence", "4713-01-01 BC", "{}"), False),
        (("fill_evidence", None, "[]"), False),
        (("fill_evidence", None, '{"orders": 5}'), True),
        (("fill_evidence", None, '{"shared": 5}'), True),
    ),
)
def test_a_row_of_the_record_that_nobody_can_read_stops_no_rollback(bench, applied, odd, readable):
    bench.run(ODD_ROW, applied, *odd)
    assert preview_rollback(bench.desk, applied, trade_id="t-1").reopens
    assert undo(bench, applied, trade_id="t-1") == ["t-1"]
    assert undo(bench, applied) == ["t-2"]
    with pytest.raises(UsageError, match="has no lifecycle 't-8'"):
        undo(bench, applied, trade_id="t-8")
    if readable:
        assert sorted(redo(bench, applied)) == ["t-1", "t-2"]
    else:
        with pytest.raises(DatabaseError, match="cannot be read"):
            redo(bench, applied)
        assert standing(bench) == []


@pytest.mark.parametrize(
    "evidence",
    (
        "{}",
        "[]",
        "null",
        '{"orders": [{}]}',
        '{"orders": 5}',
        '{"orders": [{"exchange_order_id": "{order}"}]}',
        '{"orders": [{"exchange_order_id": "{order}", "filled": "NaN"}]}',
        '{"orders": [{"exchange_order_id": "{order}", "filled": "x"}]}',
        '{"orders": [{"exchange_order_id": "{order}", "filled": "1"}], "ledger_unit": null}',
    ),
)
def test_a_reinstate_of_a_row_whose_proof_was_taken_away_is_refused(bench, evidence):
    _, close = bench.ghost("t-1")
    bench.pause()
    first = batch_id(bench.apply())
    assert undo(bench, first) == ["t-1"]
    mangled = evidence.replace("{order}", close).replace("'", "''")
    bench.run(REWRITTEN.replace("{}", mangled))
    sentence = r"^[Aa]udit row \d+ .*(does not say how much exchange order|cannot be read)"
    with pytest.raises((RefusedError, DatabaseError), match=sentence):
        redo(bench, first)
    assert standing(bench) == []


def test_invariant_6_only_status_updated_at_and_reverted_at_ever_differ(bench, applied):
    ledger = [bench.orders()]
    audit = [audit_of(bench)]
    for step in (undo, redo, undo, redo):
        step(bench, applied)
        ledger.append(bench.orders())
        audit.append(audit_of(bench))
    assert all(without(one, "status", "updated_at") == without(ledger[0], "status", "updated_at")
               for one in ledger)  # fmt: skip
    assert all(without(one, "reverted_at") == without(audit[0], "reverted_at") for one in audit)
    assert standing(bench) == ["t-1", "t-2"]
    of_the_bot = [{n: r for n, r in one.items() if not n.startswith("BFILL")} for one in ledger]
    assert all(one == of_the_bot[0] for one in of_the_bot)


def audit_of(bench: Bench) -> dict[str, dict[str, Any]]:
    found = bench.rows("SELECT audit_id::text, to_jsonb(a) FROM reconciliation_backfill_audit a")
    return dict(found)


def without(rows: dict[str, dict[str, Any]], *names: str) -> dict[str, dict[str, Any]]:
    return {
        key: {name: value for name, value in row.items() if name not in names}
        for key, row in rows.items()
    }


def test_who_undid_and_who_took_it_back_is_an_event(bench, applied):
    undo(bench, applied)
    redo(bench, applied)
    found = bench.rows(
        "SELECT event_type, payload->>'actor' FROM reconciliation_event"
        " WHERE event_type LIKE 'BACKFILL%' ORDER BY event_id"
    )
    assert found == [("BACKFILL_ROLLED_BACK", "tester"), ("BACKFILL_REINSTATED", "tester")]
