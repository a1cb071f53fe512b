"""Whatever the venue does wrong, at whichever call of a cycle: no row in `orders`, one sentence.

Each fault strikes a dry run and an apply; then it is taken away, and the next cycle must repair.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from tests.cycle.bench import (
    ETH,
    MARKETS,
    PROFILE,
    Bench,
    batch_id,
    hours_ago,
    open_account,
    sentence,
    told,
)

from unghost.cycle import CycleReport, Desk, Outcome
from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import Part
from unghost.model import Decision, Reason

UNKNOWN, INCOMPLETE = Reason.EXCHANGE_STATE_UNKNOWN, Reason.FILL_EVIDENCE_INCOMPLETE
PARTS = 99
"""With the entry a hundred fills: so round a page that the next one is asked for."""

CALLS = {
    "exchangeInfo": ("exchangeInfo", 1, UNKNOWN),
    "first-positions": ("positionRisk", 1, UNKNOWN),
    "second-positions": ("positionRisk", 2, UNKNOWN),
    "third-positions": ("positionRisk", 3, UNKNOWN),
    "first-fills": ("userTrades", 1, INCOMPLETE),
    "second-fills": ("userTrades", 2, INCOMPLETE),
    "orders": ("allOrders", 1, INCOMPLETE),
}
ONLY_WHEN_APPLYING = {"third-positions"}
SILENCED = {
    ("first-fills", "429"),
    ("first-fills", "418"),
    ("second-fills", "429"),
    ("second-fills", "418"),
}
"""A ban and a long Retry-After hold for the whole account: the second positions are not read."""

BODIES = {
    kind.value: Fault(kind=kind)
    for kind in (
        FaultKind.HTML,
        FaultKind.EMPTY_BODY,
        FaultKind.NULL,
        FaultKind.EMPTY_OBJECT,
        FaultKind.CUT_JSON,
        FaultKind.NO_CONTENT,
    )
}
REFUSALS = {
    "429": Fault(kind=FaultKind.STATUS, status=429, retry_after_seconds=60, body="{}"),
    "418": Fault(kind=FaultKind.STATUS, status=418, body='{"code":-1003,"msg":"banned"}'),
    "500": Fault(kind=FaultKind.STATUS, status=500, body="oops"),
    "503": Fault(kind=FaultKind.STATUS, status=503),
    "504": Fault(kind=FaultKind.STATUS, status=504, body="<html></html>"),
}
LINE = {"reset": Fault(kind=FaultKind.RESET), "time-out": Fault(kind=FaultKind.DELAY)}
SKEW = {"skew": Fault(kind=FaultKind.SKEW, skew_ms=60_000)}
EMPTY_LIST = {"empty_list": Fault(kind=FaultKind.EMPTY_LIST)}

SIGNED = [call for call in CALLS if call != "exchangeInfo"]
MATRIX = [
    *((call, name) for call in CALLS for name in {**BODIES, **REFUSALS, **LINE}),
    *((call, "skew") for call in SIGNED),
    ("exchangeInfo", "empty_list"),
    ("second-fills", "empty_list"),
]
FAULTS = BODIES | REFUSALS | LINE | SKEW | EMPTY_LIST


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.pause()
    return bench


def lose_an_exit(bench: Bench, *, parts: int = 1, linked_by: str = "exchange_order_id") -> str:
    """A ghost of 0.99; and a market of which the ledger knows nothing is truly open."""
    trade_id = f"t-{uuid4().hex[:8]}"
    entry = bench.trade("buy", "0.99", at=hours_ago(5))
    name = entry if linked_by == "exchange_order_id" else f"sim-{entry}"
    bench.book(trade_id, "ENTRY", "0.99", at=hours_ago(5), **{linked_by: name})
    bench.trade("sell", "0.99", parts=pieces(parts))
    bench.trade("buy", "1", symbol=ETH, at=hours_ago(4))
    return trade_id


def pieces(count: int, *, step_ms: int = 10) -> list[Part]:
    """An exit of 0.99 in so many fills, one after the other."""
    first = int(hours_ago(3).timestamp() * 1000)
    whole, size = Decimal("0.99"), Decimal(1).scaleb(-3) * (990 // count)
    sizes = [size] * (count - 1)
    sizes.append(whole - sum(sizes, Decimal(0)))
    return [Part(quantity=one, at=first + number * step_ms) for number, one in enumerate(sizes)]


def set_the_scene(bench: Bench, call: str) -> str:
    return lose_an_exit(
        bench,
        parts=PARTS if call == "second-fills" else 1,
        linked_by="client_order_id" if call == "orders" else "exchange_order_id",
    )


def desk_for(bench: Bench, fault: Fault, call: str) -> Desk:
    """A new connection each time: a ban is for life, and the list of markets is read once."""
    account = open_account(
        bench.venue,
        cache=None if call == "exchangeInfo" else MARKETS,
        timeout_seconds=0.2 if fault.kind is FaultKind.DELAY else 5,
    )
    bench.accounts.append(account)
    return bench.new_desk(account=account)


def strike(bench: Bench, fault: Fault, call: str) -> None:
    endpoint, number, _ = CALLS[call]
    bench.venue.clear_faults()
    bench.venue.fault(replace(fault, endpoint=endpoint).since_call(number))


def is_clear(text: str) -> bool:
    """One sentence that a person may read and anybody may see."""
    secrets = (f"{PROFILE}-key", f"{PROFILE}-secret", "signature", "timestamp=", "Traceback")
    return bool(text) and "\n" not in text and not any(one in text for one in secrets)


def assert_refused(bench: Bench, report: CycleReport, trade_id: str, reason: Reason) -> None:
    assert told(report) == [(trade_id, Decision.NO_GO, reason)]
    assert report.outcome is Outcome.ENVIRONMENT
    assert bench.backfills() == []


@pytest.mark.parametrize(("call", "name"), MATRIX)
def test_a_fault_writes_nothing_and_passes(stage: Bench, capsys, call, name):
    fault = FAULTS[name]
    reason = UNKNOWN if (call, name) in SILENCED else CALLS[call][2]
    trade_id = set_the_scene(stage, call)

    strike(stage, fault, call)
    dry = stage.dry_run(desk_for(stage, fault, call))
    if call in ONLY_WHEN_APPLYING:
        assert told(dry) == [(trade_id, Decision.DRY_RUN, Reason.FILL_EVIDENCE)]
    else:
        assert_refused(stage, dry, trade_id, reason)
        assert is_clear(sentence(dry))

    strike(stage, fault, call)
    applied = stage.apply(desk=desk_for(stage, fault, call))
    assert_refused(stage, applied, trade_id, reason)
    shown = capsys.readouterr()
    assert is_clear((shown.out + shown.err).replace("\n", " "))

    stage.venue.clear_faults()
    repaired = stage.apply(desk=stage.new_desk())
    assert {decision for _, decision, _ in told(repaired)} == {Decision.APPLIED}
    assert repaired.outcome is Outcome.CLEAN
    assert stage.closed_by_us() == Decimal("0.99")


# --- answers that are well-formed and wrong ----------------------------------------------------


@pytest.mark.parametrize("endpoint", ("positionRisk", "userTrades", "allOrders", "exchangeInfo"))
def test_json_under_another_content_type_is_an_answer(stage: Bench, endpoint):
    call = "orders" if endpoint == "allOrders" else endpoint
    lose_an_exit(stage, linked_by="client_order_id" if call == "orders" else "exchange_order_id")
    stage.venue.fault(Fault(kind=FaultKind.WRONG_CONTENT_TYPE, endpoint=endpoint))
    report = stage.apply(desk=desk_for(stage, Fault(kind=FaultKind.HTML), call))
    assert report.outcome is Outcome.CLEAN
    assert stage.closed_by_us() == Decimal("0.99")


@pytest.mark.parametrize("call", ("first-positions", "second-positions", "third-positions"))
@pytest.mark.parametrize("field", ("positionAmt", "positionSide", "symbol"))
def test_one_bad_position_row_of_another_market_casts_doubt_on_all(stage: Bench, call, field):
    trade_id = set_the_scene(stage, call)
    strike(stage, Fault(kind=FaultKind.DROP_FIELD, field_name=field), call)
    assert_refused(stage, stage.apply(), trade_id, UNKNOWN)


@pytest.mark.parametrize("field", ("qty", "price", "time", "orderId", "id", "side", "positionSide"))
def test_a_fill_that_lacks_a_field_makes_all_of_them_incomplete(stage: Bench, field):
    trade_id = set_the_scene(stage, "first-fills")
    strike(stage, Fault(kind=FaultKind.DROP_FIELD, field_name=field), "first-fills")
    assert_refused(stage, stage.apply(), trade_id, INCOMPLETE)


def test_an_order_that_lacks_its_client_id_makes_all_of_them_incomplete(stage: Bench):
    trade_id = set_the_scene(stage, "orders")
    strike(stage, Fault(kind=FaultKind.DROP_FIELD, field_name="clientOrderId"), "orders")
    assert_refused(stage, stage.apply(), trade_id, INCOMPLETE)


def test_a_fill_told_twice_is_counted_once(stage: Bench):
    trade_id = set_the_scene(stage, "first-fills")
    strike(stage, Fault(kind=FaultKind.DUPLICATE_ROW, row=1), "first-fills")
    assert told(stage.apply()) == [(trade_id, Decision.APPLIED, Reason.FILL_EVIDENCE)]
    assert stage.closed_by_us() == Decimal("0.99")


def test_a_fill_told_twice_with_two_quantities_is_believed_neither_time(stage: Bench):
    trade_id = set_the_scene(stage, "first-fills")
    fault = Fault(kind=FaultKind.CONTRADICT_ROW, row=1, field_name="commission", value="0.5")
    strike(stage, fault, "first-fills")
    assert_refused(stage, stage.apply(), trade_id, INCOMPLETE)


def test_an_empty_list_of_fills_is_a_proven_empty_window_and_closes_nothing(stage: Bench):
    trade_id = set_the_scene(stage, "first-fills")
    strike(stage, EMPTY_LIST["empty_list"], "first-fills")
    report = stage.apply()
    assert told(report) == [(trade_id, Decision.NO_GO, Reason.MISSING_FILL_EVIDENCE)]
    assert report.outcome is Outcome.REMAINING
    assert stage.backfills() == []


def test_an_empty_list_of_orders_links_nothing_and_closes_no_more(stage: Bench):
    """Client ids that are not told leave the ENTRY to be found by its time and quantity."""
    set_the_scene(stage, "orders")
    strike(stage, EMPTY_LIST["empty_list"], "orders")
    stage.apply()
    assert stage.closed_by_us() <= Decimal("0.99")


@pytest.mark.parametrize("kept", (1, 37, 50, 99))
def test_a_page_cut_short_never_closes_more_and_the_next_cycle_closes_the_rest(stage: Bench, kept):
    lose_an_exit(stage, parts=PARTS)
    stage.venue.fault(Fault(kind=FaultKind.KEEP_ROWS, endpoint="userTrades", rows_kept=kept))
    stage.apply()
    assert stage.closed_by_us() <= (kept - 1) * Decimal("0.01")

    stage.venue.clear_faults()
    stage.apply()
    assert stage.closed_by_us() == Decimal("0.99")
    assert stage.apply().audit == ()


def test_a_page_cut_within_a_millisecond_leaves_a_conflict_and_no_second_row(stage: Bench):
    """The rest of the order would have the same id: told, never skipped in silence."""
    trade_id = f"t-{uuid4().hex[:8]}"
    stage.opened(trade_id, "0.99")
    stage.trade("sell", "0.99", parts=pieces(PARTS, step_ms=0))
    stage.venue.fault(Fault(kind=FaultKind.KEEP_ROWS, endpoint="userTrades", rows_kept=51))
    stage.apply()
    stage.venue.clear_faults()
    report = stage.apply()
    assert told(report) == [(trade_id, Decision.NO_GO, Reason.ORDER_ID_CONFLICT)]
    assert stage.closed_by_us() == Decimal("0.5")


def test_the_first_page_of_many_cut_short_at_a_round_number_is_read_on(stage: Bench):
    lose_an_exit(stage, parts=250)
    fault = Fault(kind=FaultKind.KEEP_ROWS, endpoint="userTrades", rows_kept=200)
    stage.venue.fault(fault.on_call(1))
    assert stage.apply().outcome is Outcome.CLEAN
    assert stage.closed_by_us() == Decimal("0.99")


# --- a world that moves while it is looked at --------------------------------------------------


@pytest.mark.parametrize(
    ("call", "decision", "reason"),
    (
        (1, Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT),
        (2, Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT),
        (3, Decision.DRY_RUN, Reason.FILL_EVIDENCE),
    ),
)
def test_a_position_that_opens_before_a_reading(stage: Bench, call, decision, reason):
    trade_id = set_the_scene(stage, "first-positions")
    stage.venue.before("positionRisk", lambda _: stage.trade("buy", "0.1") and None, call=call)
    assert told(stage.dry_run()) == [(trade_id, decision, reason)]

    stage.trade("sell", "0.1")
    stage.venue.clear_faults()
    stage.venue.before("positionRisk", lambda _: stage.trade("buy", "0.1") and None, call=call)
    applied = stage.apply()
    assert told(applied) == [(trade_id, Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT)]
    assert applied.outcome is Outcome.REMAINING
    assert stage.backfills() == []


def test_a_position_that_changes_between_two_readings_blocks(stage: Bench):
    trade_id = set_the_scene(stage, "first-positions")
    for call, quantity in ((1, "0"), (2, "-0.3"), (3, "0")):
        size = Decimal(quantity)
        stage.venue.before(
            "positionRisk",
            lambda world, size=size: world.override_position(
                account=PROFILE, symbol="BTC/USDT:USDT", quantity=size
            ),
            call=call,
        )
    report = stage.apply()
    assert told(report) == [(trade_id, Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT)]


def test_a_trade_opened_and_closed_between_the_readings_is_no_evidence(stage: Bench):
    """The fills show a sale whose purchase came after them: nobody's exit, though all is flat.

    The ENTRY is of an order that never filled; replayed backwards from zero, the stranger's sale
    looks like the close of a long.
    """
    stage.book("t-never", "ENTRY", "0.4", at=hours_ago(2), exchange_order_id="777")
    stage.venue.before("userTrades", lambda _: stage.trade("sell", "0.4") and None)
    stage.venue.before("positionRisk", lambda _: stage.trade("buy", "0.4") and None, call=2)
    report = stage.apply()
    assert stage.backfills() == []
    assert told(report) == [("t-never", Decision.NO_GO, INCOMPLETE)]


def test_an_apply_that_finds_the_venue_gone_before_the_write_says_so(stage: Bench):
    trade_id = set_the_scene(stage, "third-positions")
    strike(stage, Fault(kind=FaultKind.RESET), "third-positions")
    report = stage.apply()
    assert report.batch is not None
    assert report.batch.counts == {"NO_GO": 1}
    rows = stage.rows(
        "SELECT trade_id, decision FROM reconciliation_backfill_audit WHERE batch_id = %s",
        batch_id(report),
    )
    assert rows == [(trade_id, "NO_GO")]
