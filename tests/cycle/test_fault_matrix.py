"""Whatever a venue does wrong, at whichever call of a cycle: no row in `orders`, one sentence.

Every fault strikes every call on every simulated venue; then it is taken away, and the next cycle
must repair.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.cycle.bench import MARKETS, PROFILE, QUICK, Bench, open_account, sentence, told
from tests.cycle.fault_calls import CALLS, UNKNOWN, assert_refused, is_clear, set_the_scene

from unghost.cycle import Outcome
from unghost.demo.venue import Fault, FaultKind
from unghost.desk import Desk
from unghost.model import Decision, Reason

BODIES = {
    kind.value: Fault(kind=kind)
    for kind in (
        FaultKind.HTML,
        FaultKind.EMPTY_BODY,
        FaultKind.NULL,
        FaultKind.EMPTY_OBJECT,
        FaultKind.CUT_JSON,
        FaultKind.NO_CONTENT,
        FaultKind.EMPTY_LIST,
    )
}
REFUSALS = {
    "429": Fault(kind=FaultKind.STATUS, status=429, retry_after_seconds=60, body="{}"),
    "418": Fault(kind=FaultKind.STATUS, status=418, body='{"code":-1003,"msg":"banned"}'),
    "500": Fault(kind=FaultKind.STATUS, status=500, body="oops"),
    "504": Fault(kind=FaultKind.STATUS, status=504, body="<html></html>"),
}
FAULTS = {
    **BODIES,
    **REFUSALS,
    "reset": Fault(kind=FaultKind.RESET),
    "time-out": Fault(kind=FaultKind.DELAY),
    "skew": Fault(kind=FaultKind.SKEW, skew_ms=60_000),
}
SILENCING = {"429", "418"}
"""A ban and a long Retry-After hold for the whole account: the second positions are not read."""


def is_a_fault(exchange: str, call: str, name: str) -> bool:
    """Left out is what the venue may answer rightly: `[]` where its lists are bare, and the time
    of a question that nobody signs."""
    if name == "empty_list" and exchange == "binanceusdm":
        return call in {"markets", "second-fills"}
    return name != "skew" or CALLS[exchange][call].signed


MATRIX = [
    (exchange, call, name)
    for exchange, calls in CALLS.items()
    for call in calls
    for name in FAULTS
    if is_a_fault(exchange, call, name)
]


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.pause()
    return bench


def desk_for(bench: Bench, name: str, call: str) -> Desk:
    """A connection of its own where the bench's would remember: a ban is for life, the list of
    markets is read once, and where a venue allows few calls a second, so does its client."""
    slow, few_calls = name == "time-out", bench.exchange != "binanceusdm"
    if call != "markets" and name not in SILENCING and not slow and not few_calls:
        return bench.desk
    account = open_account(
        bench.venue,
        exchange=bench.exchange,
        cache=None if call == "markets" else MARKETS,
        timeout_seconds=0.4 if slow else 5,
        policy=replace(QUICK, attempts=1) if slow else QUICK,
    )
    bench.accounts.append(account)
    return bench.new_desk(account=account)


def strike(bench: Bench, name: str, call: str) -> None:
    struck = CALLS[bench.exchange][call]
    bench.venue.clear_faults()
    bench.venue.fault(replace(FAULTS[name], endpoint=struck.endpoint).since_call(struck.number))


def reason_of(exchange: str, call: str, name: str) -> Reason:
    is_silenced = call.endswith("-fills") and name in SILENCING
    return UNKNOWN if is_silenced else CALLS[exchange][call].reason


@pytest.mark.parametrize(("exchange", "call", "name"), MATRIX)
def test_a_fault_writes_nothing_and_passes(stage: Bench, capsys, exchange, call, name):
    trade_id, reason = set_the_scene(stage, call), reason_of(exchange, call, name)
    strike(stage, name, call)
    refused = stage.apply(desk=desk_for(stage, name, call))
    assert_refused(stage, refused, trade_id, reason)
    # What the last reading refuses was recorded as an intent before: there the reason says it all.
    assert call == "third-positions" or is_clear(sentence(refused))
    shown = capsys.readouterr()
    assert is_clear((shown.out + shown.err).replace("\n", " "))

    stage.venue.clear_faults()
    repaired = stage.apply()
    assert {decision for _, decision, _ in told(repaired)} == {Decision.APPLIED}
    assert repaired.outcome is Outcome.CLEAN
    assert stage.closed_by_us() == Decimal("0.99")


@pytest.mark.parametrize(
    ("exchange", "call"), [(exchange, call) for exchange in CALLS for call in CALLS[exchange]]
)
def test_a_dry_run_says_the_same_of_every_call_that_it_makes(stage: Bench, exchange, call):
    trade_id = set_the_scene(stage, call)
    strike(stage, "html", call)
    dry = stage.dry_run(desk_for(stage, "html", call))
    if call == "third-positions":
        assert told(dry) == [(trade_id, Decision.DRY_RUN, Reason.FILL_EVIDENCE)]
    else:
        assert_refused(stage, dry, trade_id, reason_of(exchange, call, "html"))
        assert is_clear(sentence(dry))


def test_every_fault_strikes_every_venue():
    assert {exchange for exchange, _, _ in MATRIX} == {"binanceusdm", "bybit", "okx"}
    for exchange, calls in CALLS.items():
        struck = {call for struck, call, _ in MATRIX if struck == exchange}
        assert struck == set(calls)
        assert {name for venue, _, name in MATRIX if venue == exchange} == set(FAULTS)


# --- a position that changes while it is looked at ----------------------------------------------


@pytest.mark.parametrize("exchange", CALLS)
@pytest.mark.parametrize(
    ("call", "decision", "reason"),
    (
        ("first-positions", Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT),
        ("second-positions", Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT),
        ("third-positions", Decision.DRY_RUN, Reason.FILL_EVIDENCE),
    ),
)
def test_a_position_that_opens_before_a_reading(stage: Bench, exchange, call, decision, reason):
    trade_id = set_the_scene(stage, call)
    open_before(stage, call)
    assert told(stage.dry_run()) == [(trade_id, decision, reason)]

    stage.trade("sell", "0.1")
    open_before(stage, call)
    applied = stage.apply(desk=stage.new_desk())
    assert told(applied) == [(trade_id, Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT)]
    assert applied.outcome is Outcome.REMAINING
    assert stage.backfills() == []


def open_before(bench: Bench, call: str) -> None:
    at = CALLS[bench.exchange][call]
    bench.venue.clear_faults()
    bench.venue.before(at.endpoint, lambda _: bench.trade("buy", "0.1") and None, call=at.number)


@pytest.mark.parametrize("exchange", CALLS)
def test_a_position_that_changes_between_two_readings_blocks(stage: Bench, exchange):
    trade_id = set_the_scene(stage, "first-positions")
    changes = (("first", "0"), ("second", "-0.3"), ("third", "0"))
    for reading, quantity in changes:
        at, size = CALLS[exchange][f"{reading}-positions"], Decimal(quantity)
        stage.venue.before(
            at.endpoint,
            lambda world, size=size: world.override_position(
                account=PROFILE, symbol="BTC/USDT:USDT", quantity=size
            ),
            call=at.number,
        )
    report = stage.apply()
    assert told(report) == [(trade_id, Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT)]
    assert stage.backfills() == []
