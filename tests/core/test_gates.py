"""The truth table of every gate, and their order: the first that is not open names the reason."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest
from tests.core.builders import (
    LONG,
    NOW,
    PAUSED,
    buy,
    candidates,
    entry,
    evidence,
    exit_,
    only,
    position,
    row,
    ruled,
    sell,
)

from unghost import gates
from unghost.gates import (
    Case,
    ask_market,
    first_closed,
    flat_doubt,
    pass_gates,
    pause_doubt,
    unusable_fills,
)
from unghost.model import (
    BLOCKER_STATUSES,
    FILLED_STATUSES,
    FINAL_STATUSES,
    Flatness,
    GateVerdict,
    PauseState,
    Reason,
    Rules,
)

FLAT, HELD, UNREAD = Flatness.FLAT, Flatness.OPEN, Flatness.UNKNOWN
OPEN, CLOSED, UNKNOWN = GateVerdict.OPEN, GateVerdict.CLOSED, GateVerdict.UNKNOWN

ROWS = (entry("e1", 1, 0),)
FILLS = (buy("xe1", 1, 0), sell("s1", 1, 600))


def case(rows=ROWS, *, fills=FILLS, pause=PAUSED, rules=None, direction=LONG, **changes) -> Case:
    found = replace(evidence(rows, fills), **changes)
    return Case(
        lifecycle=found.lifecycles[0],
        evidence=found,
        pause=pause,
        direction=direction,
        rules=rules or Rules(),
        now=NOW,
        unusable_fills=unusable_fills(found),
    )


def told(result) -> tuple[GateVerdict, Reason | None]:
    return result.verdict, result.reason


# --- the order ---------------------------------------------------------------------------------


def test_the_gates_stand_in_the_order_of_the_checklist():
    assert [gate.__name__ for gate in gates.GATES] == [
        "profile_paused",
        "exchange_flat",
        "no_pending_row",
        "quiet_period",
        "ledger_rows_valid",
        "fill_evidence_complete",
    ]
    assert all((gate.__doc__ or "").endswith(".") for gate in gates.GATES)


BROKEN = (
    ("profile_paused", Reason.PROFILE_NOT_PAUSED),
    ("exchange_flat", Reason.EXCHANGE_STATE_UNKNOWN),
    ("no_pending_row", Reason.PENDING_LIFECYCLE_BLOCKER),
    ("quiet_period", Reason.RECENT_ACTIVITY),
    ("ledger_rows_valid", Reason.INVALID_LEDGER_ROW),
    ("fill_evidence_complete", Reason.FILL_EVIDENCE_INCOMPLETE),
)


@pytest.mark.parametrize("broken", tuple(product((False, True), repeat=6)), ids=str)
def test_the_first_gate_that_is_not_open_names_the_reason(broken):
    """All sixty-four combinations, each gate broken by its own means."""
    unpaused, unread, pending, touched, invalid, cut = broken
    rows = [*ROWS]
    rows += [exit_("r1", 0, 10, status="new")] if pending else []
    rows += [exit_("r2", 0, 7199)] if touched else []
    rows += [exit_("r3", -1, 10)] if invalid else []
    found = evidence(rows, FILLS, after=UNREAD if unread else FLAT, complete=not cut)
    pause = replace(PAUSED, state=PauseState.RUNNING) if unpaused else PAUSED
    ruling = only(ruled(found, pause=pause))

    shut = [name for name, is_broken in zip(BROKEN, broken, strict=True) if is_broken]
    assert [one.name for one in ruling.gates if one.verdict is not OPEN] == [
        name for name, _ in shut
    ]
    assert [one.reason for one in ruling.refusals] == [reason for _, reason in shut[:1]]
    assert bool(ruling.candidates) is not bool(shut)
    assert [one.name for one in ruling.gates[:6]] == [name for name, _ in BROKEN]


def test_what_is_decided_for_each_row_is_shown_as_gates_after_the_others():
    ruling = only(ruled(evidence(ROWS, FILLS)))
    names = [(one.name, one.verdict) for one in ruling.gates[6:]]
    assert names == [("quantity_supported", OPEN), ("order_id_unique", OPEN)]
    ruling = only(ruled(evidence(ROWS, [])))
    supported = ruling.gates[6]
    assert told(supported) == (CLOSED, Reason.MISSING_FILL_EVIDENCE)


def test_a_gate_that_is_open_has_no_reason():
    found = pass_gates(case())
    assert [told(one) for one in found] == [(OPEN, None)] * 6
    assert first_closed(found) is None


# --- profile_paused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "verdict", "reason"),
    (
        (PauseState.PAUSED, OPEN, None),
        (PauseState.RUNNING, CLOSED, Reason.PROFILE_NOT_PAUSED),
        (PauseState.UNKNOWN, UNKNOWN, Reason.PAUSE_STATUS_UNKNOWN),
    ),
)
def test_profile_paused(state, verdict, reason):
    pause = replace(PAUSED, state=state)
    assert told(gates.profile_paused(case(pause=pause))) == (verdict, reason)
    assert pause_doubt(pause, Rules()) == reason

    without = Rules(require_pause=False)
    result = gates.profile_paused(case(pause=pause, rules=without))
    assert told(result) == (OPEN, None)
    assert result.source == "RECON_EXIT_BACKFILL_REQUIRE_PAUSE=false"
    assert result.value == state
    assert pause_doubt(pause, without) is None


# --- exchange_flat -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reason"),
    (
        (FLAT, FLAT, OPEN, None),
        (FLAT, HELD, CLOSED, Reason.EXCHANGE_NOT_FLAT),
        (HELD, FLAT, CLOSED, Reason.EXCHANGE_NOT_FLAT),
        (HELD, HELD, CLOSED, Reason.EXCHANGE_NOT_FLAT),
        (FLAT, UNREAD, UNKNOWN, Reason.EXCHANGE_STATE_UNKNOWN),
        (UNREAD, FLAT, UNKNOWN, Reason.EXCHANGE_STATE_UNKNOWN),
        (UNREAD, UNREAD, UNKNOWN, Reason.EXCHANGE_STATE_UNKNOWN),
        (HELD, UNREAD, CLOSED, Reason.EXCHANGE_NOT_FLAT),
        (UNREAD, HELD, CLOSED, Reason.EXCHANGE_NOT_FLAT),
    ),
)
def test_exchange_flat(before, after, verdict, reason):
    found = case(position_before=position(before), position_after=position(after))
    assert told(gates.exchange_flat(found)) == (verdict, reason)


@pytest.mark.parametrize(
    ("age", "flatness", "reason"),
    (
        (30, FLAT, None),
        (31, FLAT, Reason.EXCHANGE_STATE_UNKNOWN),
        (31, HELD, Reason.EXCHANGE_NOT_FLAT),
        (0, UNREAD, Reason.EXCHANGE_STATE_UNKNOWN),
    ),
)
def test_a_reading_ages(age, flatness, reason):
    reading = position(flatness, as_of=NOW - timedelta(seconds=age))
    assert gates.exchange_flat(case(position_after=reading)).reason == reason
    assert flat_doubt(reading, Rules(), NOW) == reason


def test_no_reading_is_no_flat_one():
    assert flat_doubt(None, Rules(), NOW) is Reason.EXCHANGE_STATE_UNKNOWN


# --- no_pending_row ----------------------------------------------------------------------------

SPELLINGS = (str, str.upper, lambda text: f" {text.title()} ")


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("status", sorted(BLOCKER_STATUSES | {"", "half-done", "triggered"}))
def test_no_pending_row_is_closed_by_blockers_and_by_what_nobody_knows(status, spell):
    rows = [*ROWS, exit_("r1", 0, 10, status=spell(status))]
    result = gates.no_pending_row(case(rows))
    assert told(result) == (CLOSED, Reason.PENDING_LIFECYCLE_BLOCKER)
    assert "r1" in result.detail


def test_no_pending_row_is_closed_by_a_row_without_a_status():
    rows = [*ROWS, exit_("r1", 0, 10, status=None)]
    assert gates.no_pending_row(case(rows)).verdict is CLOSED


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("status", sorted(FINAL_STATUSES | set(FILLED_STATUSES)))
def test_no_pending_row_is_open_for_what_is_over(status, spell):
    rows = [*ROWS, exit_("r1", 0, 10, status=spell(status))]
    assert told(gates.no_pending_row(case(rows))) == (OPEN, None)


def test_no_pending_row_asks_for_the_trade_id_and_for_no_other():
    """Also on another symbol: the checklist speaks of the `trade_id`."""
    elsewhere = row("r1", "EXIT", 0, 10, status="new", symbol="ETHUSDT")
    other = row("r2", "EXIT", 0, 10, status="new", trade="t-2")
    assert gates.no_pending_row(case([*ROWS, elsewhere])).verdict is CLOSED
    assert gates.no_pending_row(case([*ROWS, other])).verdict is OPEN


def test_a_blocker_may_be_named_by_the_settings():
    rules = Rules(blocker_statuses=frozenset({"expired"}))
    rows = [*ROWS, exit_("r1", 0, 10, status="Expired")]
    assert gates.no_pending_row(case(rows, rules=rules)).verdict is CLOSED


# --- quiet_period ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds_ago", "quiet", "verdict"),
    ((60, 60, OPEN), (59, 60, CLOSED), (0, 60, CLOSED), (-60, 60, CLOSED), (0, 0, OPEN)),
)
@pytest.mark.parametrize("column", ("filled_at", "created_at", "updated_at"))
def test_quiet_period(column, seconds_ago, quiet, verdict):
    """A time in the future is no proof of quiet."""
    touched = replace(ROWS[0], **{column: NOW - timedelta(seconds=seconds_ago)})
    result = gates.quiet_period(case([touched], rules=Rules(quiet_seconds=quiet)))
    assert told(result) == (verdict, None if verdict is OPEN else Reason.RECENT_ACTIVITY)


def test_the_quiet_is_disturbed_by_rows_of_any_status_but_not_by_ours():
    for name, verdict in (("r1", CLOSED), ("BFILL-0123", OPEN)):
        rows = [*ROWS, exit_(name, 0, 7200, status="canceled")]
        assert gates.quiet_period(case(rows)).verdict is verdict


# --- ledger_rows_valid -------------------------------------------------------------------------

NOT_A_NUMBER, ENDLESS = Decimal("NaN"), Decimal("Infinity")


@pytest.mark.parametrize(
    ("rows", "said"),
    (
        ([exit_("r1", None, 10)], "filled with quantity NULL"),
        ([exit_("r1", -1, 10)], "filled with quantity -1"),
        ([exit_("r1", NOT_A_NUMBER, 10)], "filled with quantity NaN"),
        ([entry("e2", ENDLESS, 10)], "filled with quantity Infinity"),
        ([entry("e2", Decimal("1E+30"), 10)], "filled with quantity 1E+30"),
        ([exit_("r1", "0.1", None)], "neither filled_at nor created_at"),
        ([exit_("r1", "0.1", 10, status="FILLED")], "not counted as filled"),
        ([row("r1", "exit", "0.1", 10)], "spells its action 'exit' where EXIT is counted"),
        ([row("r1", "Entry ", "0.1", 10)], "spells its action 'Entry '"),
        ([row("r1", "REDUCE", "0.1", 10)], "neither ENTRY nor EXIT"),
        ([row("r1", None, "0.1", 10)], "the action None"),
        ([entry("e2", 1, 10, side="sell")], "speak for both sides"),
        ([entry("e2", 1, 10, position_side="short")], "speak for both sides"),
    ),
)
def test_ledger_rows_valid_is_closed_by_any_row_that_cannot_be_read(rows, said):
    result = gates.ledger_rows_valid(case([*ROWS, *rows]))
    assert told(result) == (CLOSED, Reason.INVALID_LEDGER_ROW)
    assert said in result.detail


@pytest.mark.parametrize(
    "harmless",
    (
        exit_("r1", None, 10, status="canceled"),
        exit_("r1", -1, 10, status="rejected"),
        exit_("r1", 0, 10),
        exit_("r1", "0.1", None, created=10),
        row("r1", "NOTE", 0, 10),
        row("r1", "exit", "0.1", 10, status="expired"),
    ),
)
def test_ledger_rows_valid_is_open_for_what_does_not_count(harmless):
    assert told(gates.ledger_rows_valid(case([*ROWS, harmless]))) == (OPEN, None)


def test_ledger_rows_valid_asks_for_a_direction():
    result = gates.ledger_rows_valid(case([entry("e1", 1, 0, side=None)], direction=None))
    assert told(result) == (CLOSED, Reason.INVALID_LEDGER_ROW)
    assert "long or short" in result.detail


# --- fill_evidence_complete --------------------------------------------------------------------


def test_fill_evidence_complete_is_unknown_where_the_window_was_not_read_to_its_end():
    cut = replace(case(), evidence=evidence(ROWS, FILLS, complete=False))
    result = gates.fill_evidence_complete(cut)
    assert told(result) == (UNKNOWN, Reason.FILL_EVIDENCE_INCOMPLETE)


@pytest.mark.parametrize(
    ("field", "odd"),
    (
        *product(("quantity", "price"), (NOT_A_NUMBER, ENDLESS, Decimal("1E+30"))),
        ("quantity", Decimal(-1)),
    ),
)
def test_fill_evidence_complete_is_unknown_where_a_fill_cannot_be(field, odd):
    fills = (FILLS[0], replace(FILLS[1], **{field: odd}))
    found = case(fills=fills)
    result = gates.fill_evidence_complete(found)
    assert told(result) == (UNKNOWN, Reason.FILL_EVIDENCE_INCOMPLETE)
    assert FILLS[1].fill_id in result.detail
    assert candidates(ruled(found.evidence)) == []


def test_a_proven_empty_window_is_complete():
    assert told(gates.fill_evidence_complete(case(fills=()))) == (OPEN, None)


# --- once for a market -------------------------------------------------------------------------


@pytest.mark.parametrize("state", PauseState)
@pytest.mark.parametrize(("before", "after"), tuple(product((FLAT, HELD, UNREAD), repeat=2)))
@pytest.mark.parametrize("complete", (True, False))
def test_what_the_market_is_asked_once_holds_for_each_of_its_lifecycles(
    state, before, after, complete
):
    rows = [*ROWS, entry("e2", 2, 7000, trade="t-2"), exit_("r1", 1, 10, trade="t-2", status="new")]
    found = evidence(rows, FILLS, before=before, after=after, complete=complete)
    first, *others = [
        replace(case(rows), lifecycle=one, evidence=found, pause=replace(PAUSED, state=state))
        for one in found.lifecycles
    ]
    known = ask_market(first)
    assert others
    assert all(pass_gates(other, known) == pass_gates(other) for other in others)
