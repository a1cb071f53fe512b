"""An apply that is pinned to a dry run writes what that dry run held, and nothing that moved."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.cycle.bench import (
    ETH,
    ETH_NATIVE,
    PROFILE,
    Bench,
    batch_id,
    hours_ago,
    sentence,
    told,
    utc_now,
)

from unghost.ceilings import SHARE_COUNTS_FROM
from unghost.criteria import Verdict
from unghost.cycle import GoNoGo, Outcome, go_no_go
from unghost.demo.world import Part
from unghost.errors import BatchNotFoundError, DatabaseError, PlanError, RefusedError
from unghost.model import Decision, Mode, Reason

APPLIED = (Decision.APPLIED, Reason.FILL_EVIDENCE)
DRIFT = (Decision.NO_GO, Reason.PLAN_DRIFT)


def verdict(bench: Bench, plan: str, **more: Any) -> GoNoGo:
    return go_no_go(bench.desk, plan, **more)


def stops(result: GoNoGo) -> list[str]:
    """The names of the criteria that say no."""
    return [one.name for one in result.criteria if one.verdict is Verdict.NO_GO]


@pytest.fixture
def planned(bench: Bench) -> str:
    """Two ghosts on two markets, and a dry run that holds both."""
    bench.ghost("t-1")
    bench.ghost("t-2", "2", symbol=ETH, price="3000", exit_price="3100")
    bench.pause()
    return batch_id(bench.dry_run())


# --- nothing moved -----------------------------------------------------------------------------


def test_invariant_7_an_apply_writes_exactly_what_the_dry_run_held(bench):
    bench.ghost("t-whole")
    bench.opened("t-parts", "0.432", symbol=ETH, price="2315.70")
    for hours, price in ((3, "2325.19"), (2, "2329.93")):
        bench.trade("sell", "0.216", symbol=ETH, price=price, at=hours_ago(hours))
    bench.opened("t-dust", "51.30", symbol="SOL/USDT:USDT", price="150")
    bench.trade("sell", "51.25", symbol="SOL/USDT:USDT", price="151", at=hours_ago(2))
    bench.trade("sell", "0.05", symbol="SOL/USDT:USDT", price="151", at=hours_ago(1), order_id="99")
    bench.book("t-else", "EXIT", "0.05", symbol="SOLUSDT", exchange_order_id="99", at=hours_ago(1))
    bench.ghost("t-short", "30", side="sell", symbol="XRP/USDT:USDT", price="0.6", exit_price="0.5")
    bench.pause()
    before = bench.orders()

    plan = bench.dry_run()
    assert bench.orders() == before
    applied = bench.apply(plan=batch_id(plan))

    dry = {row.backfill_order_id: row for row in plan.audit if row.decision is Decision.DRY_RUN}
    done = {row.backfill_order_id: row for row in applied.audit}
    written = {name: row for name, row in bench.orders().items() if name not in before}
    assert len(dry) == 6
    assert dry.keys() == done.keys() == written.keys()
    assert {name: row for name, row in bench.orders().items() if name in before} == before
    for name, row in dry.items():
        assert as_planned(row) == as_planned(done[name])
        assert done[name].decision is Decision.APPLIED
        assert as_written(written[name]) == {
            "profile_id": row.profile_id,
            "symbol": row.symbol,
            "trade_id": row.trade_id,
            "action": "EXIT",
            "status": "filled",
            "quantity": row.filled_qty,
            "qty": row.filled_qty,
            "price": row.price,
            "fee": row.fee,
            "fee_currency": row.fee_currency,
            "exchange_order_id": None if row.exchange_order_id == "DUST" else row.exchange_order_id,
            "side": "buy" if row.trade_id == "t-short" else "sell",
            "filled_at": row.filled_at,
        }


def as_planned(row: Any) -> dict[str, Any]:
    """Every column of an audit row but those that belong to the run, and the ages in evidence."""
    names = (
        "profile_id symbol trade_id reason filled_qty open_qty remainder_qty price fee fee_currency"
        " backfill_order_id exchange_order_id exchange_client_order_id filled_at attribution"
        " fingerprint"
    )
    return {name: getattr(row, name) for name in names.split()} | {
        "basis": row.evidence["basis"],
        "orders": row.evidence["orders"],
    }


def as_written(row: dict[str, Any]) -> dict[str, Any]:
    from datetime import datetime

    numbers = ("quantity", "qty", "price", "fee")
    texts = [
        "profile_id",
        "symbol",
        "trade_id",
        "action",
        "status",
        "fee_currency",
        "exchange_order_id",
        "side",
    ]
    return (
        {name: row[name] for name in texts}
        | {name: None if row[name] is None else Decimal(str(row[name])) for name in numbers}
        | {"filled_at": datetime.fromisoformat(row["filled_at"])}
    )


def test_the_same_plan_twice_writes_nothing_new(bench, planned):
    first = bench.apply(plan=planned)
    assert told(first) == [("t-1", *APPLIED), ("t-2", *APPLIED)]
    after = bench.digest()

    again = bench.apply(plan=planned)
    skipped = (Decision.SKIP_EXISTING, Reason.BACKFILL_EXISTS)
    assert told(again) == [("t-1", *skipped), ("t-2", *skipped)]
    assert again.outcome is Outcome.CLEAN
    assert bench.digest() == after


def test_a_plan_whose_rows_were_rolled_back_does_not_bring_them_back(bench, planned):
    bench.apply(plan=planned)
    bench.run("UPDATE orders SET status = 'canceled' WHERE order_id LIKE 'BFILL-%'")
    report = bench.apply(plan=planned)
    skipped = (Decision.SKIP_EXISTING, Reason.BACKFILL_ROLLED_BACK)
    assert told(report) == [("t-1", *skipped), ("t-2", *skipped)]
    assert report.outcome is Outcome.REMAINING
    assert bench.closed_by_us() == 0


# --- something moved ---------------------------------------------------------------------------


def test_a_ledger_row_that_changed_is_named(bench, planned):
    bench.run("UPDATE orders SET price = 39999 WHERE trade_id = 't-1'")
    (row,) = bench.rows("SELECT order_id FROM orders WHERE trade_id = 't-1'")
    report = bench.apply(plan=planned)
    assert told(report) == [("t-1", *DRIFT), ("t-2", *APPLIED)]
    assert f"ledger row {row[0]} changed" in sentence(report, "t-1")
    assert report.outcome is Outcome.REFUSED
    assert bench.backfills() == [("t-2", Decimal(2), "filled")]


def test_a_part_of_the_exit_booked_since_is_named(bench):
    _, close = bench.ghost("t-1")
    bench.pause()
    plan = batch_id(bench.dry_run())
    late = bench.book("t-1", "EXIT", "0.2", exchange_order_id=close, at=hours_ago(3))
    report = bench.apply(plan=plan)
    assert told(report) == [("t-1", *DRIFT)]
    words = sentence(report)
    assert f"ledger row {late} is new" in words
    assert "quantity was 0.5, is 0.3" in words
    assert f"fills of exchange order {close} changed" in words
    assert bench.backfills() == []


def test_the_whole_exit_booked_since_leaves_nothing_to_do(bench):
    _, close = bench.ghost("t-1")
    bench.pause()
    plan = batch_id(bench.dry_run())
    bench.book("t-1", "EXIT", "0.5", exchange_order_id=close, at=hours_ago(3))
    report = bench.apply(plan=plan)
    assert told(report) == [("t-1", *DRIFT)]
    assert "no longer a candidate" in sentence(report)
    assert bench.backfills() == []


def test_a_fill_that_the_exchange_told_late_is_named(bench):
    bench.opened("t-1", "0.5")
    close = bench.trade("sell", "0.3", at=hours_ago(3), order_id="8001")
    bench.world.override_position(account=PROFILE, symbol="BTC/USDT:USDT", quantity=Decimal(0))
    bench.pause()
    plan = bench.dry_run()
    assert ("t-1", Decision.DRY_RUN, Reason.FILL_EVIDENCE) in told(plan)
    bench.trade("sell", "0.2", at=hours_ago(2.9), order_id=close)
    report = bench.apply(plan=batch_id(plan))
    assert {row[1:] for row in told(report)} == {DRIFT}
    assert f"fills of exchange order {close} changed" in sentence(report)
    assert bench.backfills() == []


def test_a_fee_that_the_exchange_corrected_is_named(bench):
    _, close = bench.ghost("t-1")
    bench.pause()
    plan = batch_id(bench.dry_run())
    (fill,) = bench.world.fills(PROFILE, order_id=close)
    bench.world.forget_fill(fill)
    part = Part(quantity=fill.quantity, at=fill.at, fill_id=fill.fill_id, fee=Decimal("0.01"))
    bench.trade("sell", "0.5", price="41000", order_id=close, parts=[part])
    report = bench.apply(plan=plan)
    assert told(report) == [("t-1", *DRIFT)]
    assert "fees was" in sentence(report)
    assert f"fills of exchange order {close} changed" in sentence(report)


def test_failures_24_a_new_ghost_since_the_plan_is_not_written(bench, planned):
    bench.ghost("t-3", "0.7", opened=hours_ago(2), closed=hours_ago(1))
    report = bench.apply(plan=planned)
    assert told(report) == [("t-1", *APPLIED), ("t-2", *APPLIED), ("t-3", *DRIFT)]
    assert "is not in the plan" in sentence(report, "t-3")
    assert report.outcome is Outcome.REFUSED


def test_a_market_that_is_open_again_is_left_alone(bench, planned):
    bench.opened("t-3", "0.1", at=hours_ago(1))
    report = bench.apply(plan=planned)
    not_flat = (Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT)
    assert told(report) == [
        ("t-1", *not_flat),
        ("t-1", *DRIFT),
        ("t-2", *APPLIED),
        ("t-3", *not_flat),
    ]


def test_an_order_of_a_stranger_since_the_plan_takes_the_certainty(bench, planned):
    stranger = bench.trade("buy", "0.2", at=hours_ago(1))
    bench.trade("sell", "0.2", at=hours_ago(0.9))
    report = bench.apply(plan=planned)
    assert ("t-1", Decision.NO_GO, Reason.AMBIGUOUS_ATTRIBUTION) in told(report)
    assert stranger in sentence(report, "t-1")
    assert bench.backfills() == [("t-2", Decimal(2), "filled")]


# --- what is no plan ---------------------------------------------------------------------------


def test_a_plan_expires(bench, planned):
    long_ago = "UPDATE reconciliation_backfill_batch SET finished_at = now() - interval '61 min'"
    bench.run(long_ago)
    with pytest.raises(PlanError, match=r"61 minutes old and expired after 60"):
        bench.apply(plan=planned)
    assert bench.backfills() == []
    assert stops(verdict(bench, planned)) == ["plan_usable"]


@pytest.mark.parametrize("status", ("running", "failed", "interrupted"))
def test_a_dry_run_that_did_not_finish_is_no_plan(bench, planned, status):
    bench.run("UPDATE reconciliation_backfill_batch SET status = %s", status)
    with pytest.raises(PlanError, match=f"is {status}, not finished"):
        bench.apply(plan=planned)


def test_an_apply_is_no_plan(bench, planned):
    applied = batch_id(bench.apply(plan=planned))
    with pytest.raises(PlanError, match="only a dry run is a plan"):
        bench.apply(plan=applied)


def test_another_profiles_plan_is_refused(bench, planned):
    desk = bench.new_desk("other", (PROFILE, "other"))
    bench.pause("other")
    with pytest.raises(BatchNotFoundError, match="belongs to profile main, not to other"):
        bench.apply(plan=planned, desk=desk)
    with pytest.raises(BatchNotFoundError, match="belongs to profile main"):
        go_no_go(desk, planned)


def test_a_plan_that_does_not_exist(bench, planned):
    with pytest.raises(BatchNotFoundError, match="no batch 'nothing'"):
        bench.apply(plan="nothing")
    with pytest.raises(BatchNotFoundError, match="no batch 'nothing'"):
        go_no_go(bench.desk, "nothing")


def test_a_plan_is_not_applied_under_the_dry_run_flag(bench, planned):
    from unghost.cycle import run_cycle

    with pytest.raises(RefusedError, match="RECON_EXIT_BACKFILL_DRY_RUN is true"):
        run_cycle(bench.at(mode=Mode.DRY_RUN), actor="tester", plan=planned)
    desk = replace(bench.at(mode=Mode.APPLY), enabled=False)
    with pytest.raises(RefusedError, match="ENABLE_RECON_EXIT_BACKFILL is false"):
        run_cycle(desk, actor="tester", plan=planned)
    assert bench.backfills() == []


def test_a_refused_plan_leaves_no_batch_behind(bench, planned):
    count = "SELECT count(*) FROM reconciliation_backfill_batch"
    before = bench.rows(count)
    with pytest.raises(BatchNotFoundError):
        bench.apply(plan="nothing")
    assert bench.rows(count) == before


def test_a_plan_with_a_closed_gate_writes_nothing(bench, planned):
    bench.resume()
    report = bench.apply(plan=planned)
    assert report.outcome is Outcome.REFUSED
    assert {row[2] for row in told(report)} == {Reason.PROFILE_NOT_PAUSED, Reason.PLAN_DRIFT}
    assert bench.backfills() == []


# --- go / no-go --------------------------------------------------------------------------------


def test_nothing_moved_is_a_go_and_changes_nothing(bench, planned):
    before = bench.rows("SELECT count(*) FROM reconciliation_backfill_audit"), bench.digest()
    result = verdict(bench, planned)
    assert (result.go, stops(result)) == (True, [])
    after = bench.rows("SELECT count(*) FROM reconciliation_backfill_audit"), bench.digest()
    assert after == before


def test_after_the_apply_there_is_nothing_left_to_go_for(bench, planned):
    bench.apply(plan=planned)
    assert stops(verdict(bench, planned)) == ["quantities_aligned"]


def change_a_row(bench: Bench) -> None:
    bench.run("UPDATE orders SET price = 39999 WHERE trade_id = 't-1'")


def book_the_exit(bench: Bench) -> None:
    bench.book("t-1", "EXIT", "0.5", at=hours_ago(3))


def open_a_position(bench: Bench) -> None:
    bench.trade("buy", "0.1", at=hours_ago(1))


def trade_as_a_stranger(bench: Bench) -> None:
    bench.trade("buy", "0.2", at=hours_ago(1))
    bench.trade("sell", "0.2", at=hours_ago(0.9))


def place_an_order(bench: Bench) -> None:
    bench.book("t-1", "EXIT", "0.5", status="new", filled_at=None, at=hours_ago(1))


def touch_it_now(bench: Bench) -> None:
    bench.run("UPDATE orders SET updated_at = %s WHERE trade_id = 't-1'", utc_now())


def resume_trading(bench: Bench) -> None:
    bench.resume()


def take_the_audit_away(bench: Bench) -> None:
    bench.run(
        "ALTER TABLE reconciliation_backfill_audit ADD CONSTRAINT never CHECK (false) NOT VALID"
    )


def break_the_venue(bench: Bench) -> None:
    from unghost.demo.venue import Fault, FaultKind

    bench.venue.fault(Fault(kind=FaultKind.NULL, endpoint="positionRisk"))


def lose_the_fills(bench: Bench) -> None:
    from unghost.demo.venue import Fault, FaultKind

    bench.venue.fault(Fault(kind=FaultKind.NULL, endpoint="userTrades"))


@pytest.mark.parametrize(
    ("happens", "criteria"),
    (
        (change_a_row, ["quantities_aligned"]),
        (book_the_exit, ["quantities_aligned"]),
        (open_a_position, ["targets_flat", "quantities_aligned"]),
        (trade_as_a_stranger, ["quantities_aligned"]),
        (place_an_order, ["targets_unblocked", "quantities_aligned"]),
        (touch_it_now, ["targets_unblocked", "quantities_aligned"]),
        (resume_trading, ["pause_confirmed", "quantities_aligned"]),
        (break_the_venue, ["targets_flat", "quantities_aligned"]),
        (lose_the_fills, ["quantities_aligned"]),
    ),
)
def test_what_moved_since_the_plan_is_a_no_go(bench, planned, happens, criteria):
    assert verdict(bench, planned).go
    happens(bench)
    result = verdict(bench, planned)
    assert (result.go, stops(result)) == (False, criteria)
    assert all(one.detail for one in result.criteria if one.verdict is Verdict.NO_GO)


def test_an_audit_that_cannot_be_written_is_a_no_go(own_bench):
    own_bench.ghost("t-1")
    own_bench.pause()
    plan = batch_id(own_bench.dry_run())
    harm = "ALTER TABLE reconciliation_backfill_audit ADD CONSTRAINT never CHECK (false) NOT VALID"
    own_bench.run(harm)
    assert stops(verdict(own_bench, plan)) == ["audit_writable"]


def test_a_new_ghost_elsewhere_does_not_stop_the_plan(bench, planned):
    bench.ghost("t-3", "7", symbol="SOL/USDT:USDT", price="150")
    assert verdict(bench, planned).go


def test_what_the_plan_left_alone_is_counted_and_not_judged(bench):
    bench.ghost("t-1")
    bench.book("t-never", "ENTRY", "2", symbol=ETH_NATIVE, exchange_order_id="777")
    bench.pause()
    result = verdict(bench, batch_id(bench.dry_run()))
    assert (result.go, result.held_back) == (True, 1)


def test_a_large_remainder_of_a_target_stops_unless_it_is_accepted(bench):
    bench.opened("t-1", "0.5")
    bench.world.override_position(account=PROFILE, symbol="BTC/USDT:USDT", quantity=Decimal(0))
    bench.trade("sell", "0.3", at=hours_ago(3))
    bench.pause()
    plan = batch_id(bench.dry_run())
    assert stops(verdict(bench, plan)) == ["no_large_remainder"]
    assert verdict(bench, plan, allow_partial=True).go


def test_an_empty_plan_is_a_no_go(bench):
    bench.pause()
    assert stops(verdict(bench, batch_id(bench.dry_run()))) == ["candidates_found"]


def test_the_row_limit_stops_a_plan_that_has_grown_past_it(bench, planned):
    desk = bench.at(max_rows=1)
    assert "within_limits" in stops(go_no_go(desk, planned))


# --- a plan in which somebody has written ------------------------------------------------------

REWRITTEN = """
ALTER TABLE reconciliation_backfill_audit DISABLE TRIGGER USER;
UPDATE reconciliation_backfill_audit SET {} WHERE trade_id = 't-1'
"""


@pytest.mark.parametrize(
    ("change", "why"),
    (
        ("evidence = '[]'", "its evidence is no object"),
        ("evidence = 'null'", "its evidence is no object"),
        ("""evidence = '{"ledger_unit": "x"}'""", "its ledger_unit is 'x'"),
        ("filled_qty = 'NaN'", "its filled_qty is NaN"),
        ("price = 'Infinity'", "its price is Infinity"),
        ("reason = 'because'", "'because' is not a valid Reason"),
    ),
)
def test_a_plan_with_a_row_that_nobody_can_read_is_refused_by_its_name(bench, planned, change, why):
    bench.run(REWRITTEN.replace("{}", change))
    named = rf"audit row \d+ of batch {planned} cannot be read \({why}"
    for judged in (lambda: go_no_go(bench.applying(), planned), lambda: bench.apply(planned)):
        with pytest.raises(DatabaseError, match=named):
            judged()
    assert bench.backfills() == []


@pytest.mark.parametrize("basis", ("5", "[1]", '[["a"]]', '{"a": 1}'))
def test_a_planned_row_that_does_not_say_what_it_rested_on_is_drift(bench, planned, basis):
    mangled = f"""evidence = '{{"basis": {basis}}}', fingerprint = 'x'"""
    bench.run(REWRITTEN.replace("{}", mangled))
    assert go_no_go(bench.applying(), planned).go is False
    report = bench.apply(planned)
    assert told(report) == [("t-1", *DRIFT), ("t-2", *APPLIED)]
    assert "does not say any more what it rested on" in sentence(report, "t-1")


# --- ceilings ----------------------------------------------------------------------------------


def many_ghosts(bench: Bench) -> None:
    for number in range(SHARE_COUNTS_FROM):
        opened = 50 - number
        bench.ghost(f"t-{number}", opened=hours_ago(opened), closed=hours_ago(opened - 0.5))
    bench.pause()


def test_an_apply_of_a_large_share_waits_until_it_is_allowed(bench):
    many_ghosts(bench)
    wary = bench.at(max_share=Decimal("0.5"))
    planned = bench.dry_run(wary)
    (share,) = (one for one in planned.ceilings if one.exceeded)
    assert share.name == "share"
    assert planned.batch is not None
    assert any("--allow-share" in note for note in planned.batch.notes)
    plan = batch_id(planned)
    assert stops(go_no_go(wary, plan)) == ["within_share"]

    refused = bench.apply(plan, desk=wary)
    assert {row.reason for row in refused.audit} == {Reason.LIMIT_EXCEEDED}
    assert (refused.outcome, bench.backfills()) == (Outcome.REFUSED, [])

    assert go_no_go(bench.desk, plan).go
    assert len(bench.apply(plan).audit) == SHARE_COUNTS_FROM
    assert len(bench.backfills()) == SHARE_COUNTS_FROM


def test_the_notional_stops_a_plan_and_an_apply(bench, planned):
    poor = bench.at(max_notional=Decimal(1))
    assert "within_notional" in stops(go_no_go(poor, planned))
    assert {row.reason for row in bench.apply(desk=poor).audit} == {Reason.LIMIT_EXCEEDED}
    assert bench.backfills() == []
