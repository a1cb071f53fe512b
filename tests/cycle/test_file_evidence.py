"""An imported file in a cycle: it counts over its window, flat is still asked of the exchange."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.cycle.bench import Bench, batch_id, hours_ago, sentence, told

from unghost.adapters.fills_file import parse
from unghost.adapters.postgres.fill_files import FillFiles, Statement
from unghost.cycle import inspect_symbol
from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import to_ms
from unghost.model import Window
from unghost.report import explain_rows

HEADER = (
    "Uid,Time,Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit,Buyer,Maker,Trade ID,Order ID"
)
NAME = "trades(UTC+0).csv"


@pytest.fixture
def desk_with_files(bench: Bench) -> Bench:
    bench.desk = replace(bench.desk, files=FillFiles(bench.database))
    bench.pause()
    return bench


def exported(bench: Bench, *, ids: bool = True, since: datetime | None = None) -> bytes:
    """What the exchange would write of its account's fills, in UTC and whole seconds."""
    begin = 0 if since is None else to_ms(since)
    lines = [HEADER if ids else HEADER.removesuffix(",Trade ID,Order ID")]
    for fill in bench.world.fills("main"):
        if fill.at < begin:
            continue
        at = datetime.fromtimestamp(fill.at // 1000, UTC)
        cells = [
            "1",
            f"{at:%Y-%m-%d %H:%M:%S}",
            fill.symbol.split(":")[0].replace("/", ""),
            fill.side.upper(),
            fill.price,
            fill.quantity,
            fill.price * fill.quantity,
            f"{fill.fee}{fill.fee_currency}",
            "0",
            str(fill.side == "buy").lower(),
            str(fill.maker).lower(),
            *([fill.fill_id, fill.order_id] if ids else []),
        ]
        lines.append(",".join(map(str, cells)))
    return "\n".join(lines).encode()


def imported(bench: Bench, data: bytes, *, start=72.0, end=1.0, window=True, one_way=True) -> None:
    span = Window(start_at=hours_ago(start), end_at=hours_ago(end)) if window else None
    statement = Statement(
        profile_id="main", file_name=NAME, actor="anna", window=span, one_way=one_way
    )
    FillFiles(bench.database).keep(parse(data, file_name=NAME), statement)


def forget(bench: Bench) -> None:
    """The exchange no longer tells its fills: as after the depth of its history."""
    for fill in bench.world.fills("main"):
        bench.world.forget_fill(fill)


def test_a_file_proves_what_the_exchange_has_forgotten(desk_with_files):
    bench = desk_with_files
    _, sale = bench.ghost("t-1")
    imported(bench, exported(bench))
    forget(bench)

    plan = bench.dry_run()
    assert told(plan) == [("t-1", "DRY_RUN", "fill_evidence")]
    (row,) = plan.audit
    assert (row.exchange_order_id, row.evidence["fills"]["source"]) == (sale, "file")
    assert "imported by anna" in row.evidence["fills"]["detail"]
    gate = next(g for g in row.evidence["gates"] if g["name"] == "fill_evidence_complete")
    assert gate["source"] == "file"
    assert any("file" in each for each in explain_rows(plan.audit))

    applied = bench.apply(batch_id(plan))
    assert told(applied) == [("t-1", "APPLIED", "fill_evidence")]
    assert bench.apply().audit == ()


def test_only_the_time_after_the_file_is_asked_of_the_exchange(desk_with_files):
    bench = desk_with_files
    bench.ghost("t-1")
    imported(bench, exported(bench), end=2)
    bench.venue.clear_requests()
    bench.dry_run()
    (request, *_) = bench.venue.requests("userTrades")
    start = datetime.fromtimestamp(int(request.params["startTime"]) / 1000, UTC)
    assert abs(start - hours_ago(2)) < timedelta(minutes=1)
    assert bench.asked("positionRisk") == 2


def test_fills_of_the_file_and_of_the_exchange_make_one_picture(desk_with_files):
    bench = desk_with_files
    bench.opened("t-1", "0.5", at=hours_ago(5))
    data = exported(bench)
    sale = bench.trade("sell", "0.5", at=hours_ago(0.5))
    imported(bench, data, end=1)
    report = bench.apply()
    assert told(report) == [("t-1", "APPLIED", "fill_evidence")]
    assert report.audit[0].exchange_order_id == sale


def test_what_was_applied_by_file_is_not_applied_again_by_the_exchange(desk_with_files):
    bench = desk_with_files
    bench.ghost("t-1", opened=hours_ago(5) + timedelta(milliseconds=123))
    imported(bench, exported(bench))
    assert told(bench.apply()) == [("t-1", "APPLIED", "fill_evidence")]
    bench.run("UPDATE reconciliation_fill_file SET window_from = NULL, window_to = NULL")
    assert bench.apply().audit == ()
    assert len(bench.backfills()) == 1


@pytest.mark.parametrize(
    ("how", "why"),
    (
        ({"window": False}, "nobody stated the window"),
        ({"start": 1.5}, "does not hold"),
        ({"one_way": False}, "one-way mode"),
    ),
)
def test_a_file_that_does_not_count_leaves_the_exchange_to_tell(desk_with_files, how, why):
    bench = desk_with_files
    bench.ghost("t-1")
    imported(bench, exported(bench), **how)
    report = bench.dry_run()
    assert told(report) == [("t-1", "DRY_RUN", "fill_evidence")]
    assert report.audit[0].evidence["fills"]["source"] == "exchange"
    assert why in report.audit[0].evidence["fills"]["detail"]
    forget(bench)
    assert told(bench.dry_run())[0][1] == "NO_GO"


def test_rows_without_ids_are_never_written_from(desk_with_files):
    bench = desk_with_files
    bench.ghost("t-1")
    imported(bench, exported(bench, ids=False))
    forget(bench)
    report = bench.apply()
    assert told(report) == [("t-1", "NO_GO", "missing_fill_evidence_for_large_remainder")]
    assert "rows without ids" in report.audit[0].evidence["fills"]["detail"]
    assert bench.backfills() == []


def test_two_files_of_which_one_goes_on_from_the_other_prove_it_together(desk_with_files):
    """The ENTRY is in the first, its exit in the second; neither covers the window."""
    bench = desk_with_files
    bench.opened("t-1", "0.5", at=hours_ago(30))
    first = exported(bench)
    sale = bench.trade("sell", "0.5", at=hours_ago(3))
    second = exported(bench, since=hours_ago(24))
    forget(bench)

    imported(bench, first, end=24)
    assert told(bench.dry_run())[0][1] == "NO_GO"
    imported(bench, second, start=24.5)
    report = bench.apply()
    assert told(report) == [("t-1", "APPLIED", "fill_evidence")], sentence(report)
    (row,) = report.audit
    assert row.exchange_order_id == sale
    assert row.evidence["fills"]["detail"].count("imported by anna") == 2
    assert bench.apply().audit == ()


def test_two_files_that_differ_about_the_same_time_prove_nothing(desk_with_files):
    bench = desk_with_files
    bench.opened("t-1", "0.5", at=hours_ago(30))
    bench.trade("sell", "0.2", at=hours_ago(4))
    bench.trade("sell", "0.3", at=hours_ago(3))
    whole, late = exported(bench), exported(bench, since=hours_ago(3.5))
    imported(bench, whole)
    assert told(bench.dry_run())[0][1] == "DRY_RUN"
    imported(bench, late, start=5)
    report = bench.apply()
    assert told(report) == [("t-1", "NO_GO", "fill_evidence_incomplete")]
    assert "do not tell the same" in sentence(report)
    imported(bench, late, start=3.5)
    assert {decision for _, decision, _ in told(bench.apply())} == {"APPLIED"}


def test_flat_is_still_asked_of_the_exchange(desk_with_files):
    bench = desk_with_files
    bench.ghost("t-1")
    imported(bench, exported(bench))
    bench.trade("buy", "0.1")
    assert told(bench.apply()) == [("t-1", "NO_GO", "exchange_not_flat")]
    bench.venue.fault(Fault(kind=FaultKind.HTML, endpoint="positionRisk"))
    assert told(bench.apply()) == [("t-1", "NO_GO", "exchange_state_unknown")]


def test_a_time_after_the_file_that_cannot_be_read_is_doubt(desk_with_files):
    bench = desk_with_files
    bench.ghost("t-1")
    imported(bench, exported(bench))
    bench.venue.fault(Fault(kind=FaultKind.HTML, endpoint="userTrades"))
    report = bench.apply()
    assert told(report) == [("t-1", "NO_GO", "fill_evidence_incomplete")]
    assert "after it: Fills of BTC/USDT:USDT" in sentence(report)


def test_the_evidence_of_a_symbol_shows_the_file(desk_with_files):
    bench = desk_with_files
    bench.ghost("t-1")
    imported(bench, exported(bench))
    report = inspect_symbol(bench.desk, "BTCUSDT")
    assert report is not None
    fills = report.evidence.fills
    assert (fills.source, fills.complete, len(fills.fills)) == ("file", True, 2)
    assert NAME in fills.detail


def test_a_file_of_another_profile_on_the_account_counts(desk_with_files):
    bench = desk_with_files
    bench.ghost("t-1")
    imported(bench, exported(bench))
    bench.run("UPDATE reconciliation_fill_file SET profile_id = 'other'")
    forget(bench)
    assert told(bench.dry_run())[0][1] == "NO_GO"
    shared = replace(bench.desk.profile, account_profiles=("main", "other"))
    bench.desk = replace(bench.desk, profile=shared)
    assert told(bench.dry_run()) == [("t-1", "DRY_RUN", "fill_evidence")]
