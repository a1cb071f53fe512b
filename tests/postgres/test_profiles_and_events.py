"""The trading status that unghost keeps, and the log of what it noticed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.events import EventLog
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.errors import DatabaseError
from unghost.model import Event, PauseState

MISMATCH = "EXCHANGE_STATE_MISMATCH"
FIVE_MINUTES_MS = 300_000


@pytest.fixture
def profiles(database):
    return TradingProfiles(database)


@pytest.fixture
def log(database):
    return EventLog(database)


def event(symbol: str | None = "BTCUSDT", profile_id: str = "main", **payload: object) -> Event:
    return Event(event_type=MISMATCH, profile_id=profile_id, symbol=symbol, payload=payload)


# --- profiles ----------------------------------------------------------------------------------


def test_a_profile_that_was_never_paused_is_running(profiles):
    reading = profiles.read("main")
    assert reading.state is PauseState.RUNNING
    assert reading.detail == "The profile was never paused."
    assert reading.since is None
    assert reading.as_of.tzinfo is not None


def test_pause_and_resume(profiles):
    paused = profiles.pause("main", actor="ann", reason="repair")
    assert (paused.state, paused.actor, paused.note) == (PauseState.PAUSED, "ann", "repair")
    assert profiles.read("main").state is PauseState.PAUSED
    assert profiles.read("other").state is PauseState.RUNNING
    resumed = profiles.resume("main", actor="bob")
    assert (resumed.state, resumed.actor, resumed.note) == (PauseState.RUNNING, "bob", None)
    assert resumed.since > paused.since


def test_pausing_twice_keeps_who_did_it_and_since_when(profiles):
    first = profiles.pause("main", actor="ann", reason="repair")
    second = profiles.pause("main", actor="bob", reason="me too")
    assert (second.since, second.actor, second.note) == (first.since, "ann", "repair")


def test_all_profiles_that_were_ever_set(profiles):
    assert profiles.all() == {}
    profiles.pause("main", actor="ann")
    profiles.resume("alt", actor="ann")
    assert {name: reading.state for name, reading in profiles.all().items()} == {
        "alt": PauseState.RUNNING,
        "main": PauseState.PAUSED,
    }


def test_a_database_that_does_not_answer_is_unknown(empty_database):
    reading = TradingProfiles(empty_database).read("main")
    assert reading.state is PauseState.UNKNOWN
    assert reading.detail == "The table trading_profile does not exist yet: run unghost init."
    gone = TradingProfiles(Database("host=127.0.0.1 port=1")).read("main")
    assert gone.state is PauseState.UNKNOWN
    assert "cannot be reached" in gone.detail


def test_setting_a_status_that_cannot_be_stored_is_an_error(profiles):
    with pytest.raises(DatabaseError):
        profiles.pause("ma\0in", actor="ann")


# --- events ------------------------------------------------------------------------------------


def test_at_most_one_event_in_the_span(log):
    first = log.emit_throttled([event(open_qty=Decimal("0.10"))], throttle_ms=FIVE_MINUTES_MS)
    assert [(one.symbol, one.payload) for one in first] == [("BTCUSDT", {"open_qty": "0.10"})]
    assert first[0].event_id is not None
    assert first[0].created_at is not None
    assert log.emit_throttled([event()], throttle_ms=FIVE_MINUTES_MS) == ()


def test_another_type_profile_or_symbol_is_another_matter(log):
    kinds = [
        event(),
        event("ETHUSDT"),
        event(None),
        event(profile_id="alt"),
        Event(event_type="OTHER", profile_id="main", symbol="BTCUSDT", payload={}),
    ]
    assert len(log.emit_throttled([*kinds, *kinds], throttle_ms=FIVE_MINUTES_MS)) == len(kinds)
    assert log.emit_throttled(kinds, throttle_ms=FIVE_MINUTES_MS) == ()


def test_of_several_equal_ones_the_first_is_stored(log):
    stored = log.emit_throttled([event(n=1), event(n=2)], throttle_ms=FIVE_MINUTES_MS)
    assert [one.payload for one in stored] == [{"n": 1}]


def test_after_the_span_it_is_told_again(log, database):
    log.emit_throttled([event()], throttle_ms=FIVE_MINUTES_MS)
    with database.transaction() as connection:
        connection.execute("UPDATE reconciliation_event SET created_at = now() - interval '5 min'")
    assert len(log.emit_throttled([event()], throttle_ms=FIVE_MINUTES_MS)) == 1


def test_a_clock_that_was_set_back_holds_nothing_up(log, database):
    log.emit_throttled([event()], throttle_ms=FIVE_MINUTES_MS)
    with database.transaction() as connection:
        connection.execute("UPDATE reconciliation_event SET created_at = now() + interval '1 day'")
    assert len(log.emit_throttled([event()], throttle_ms=FIVE_MINUTES_MS)) == 1


def test_no_span_no_throttle(log):
    for _ in range(3):
        assert len(log.emit_throttled([event()], throttle_ms=0)) == 1


def test_nothing_to_emit(log):
    assert log.emit_throttled([], throttle_ms=FIVE_MINUTES_MS) == ()


def test_eight_at_once_store_each_event_once(database_url):
    symbols = [f"C{number}USDT" for number in range(20)]

    def emit(turn: int) -> int:
        database = Database(database_url)
        order = [*symbols[turn:], *symbols[:turn]]
        offered = [event(symbol, profile_id=name) for symbol in order for name in ("a", "b")]
        try:
            return len(EventLog(database).emit_throttled(offered, throttle_ms=FIVE_MINUTES_MS))
        finally:
            database.close()

    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(emit, range(8)))
    assert sorted(stored) == [0] * 7 + [40]


def test_unconditional_events_newest_first_by_pages(log):
    for number in range(5):
        log.emit(event(n=number))
    log.emit(event("ETHUSDT"))
    log.emit(event(profile_id="alt"))
    page = log.recent("main", 3, symbol="BTCUSDT")
    assert [one.payload["n"] for one in page] == [4, 3, 2]
    rest = log.recent("main", 3, symbol="BTCUSDT", before_id=page[-1].event_id)
    assert [one.payload["n"] for one in rest] == [1, 0]
    assert log.recent("main", event_type="OTHER") == ()


def test_counts_by_type(log):
    log.emit(event())
    log.emit(Event(event_type="OTHER", profile_id="main", symbol=None, payload={}))
    log.emit(event())
    assert log.counts("main") == {MISMATCH: 2, "OTHER": 1}
    assert log.counts("main", since=datetime.now(UTC) + timedelta(days=1)) == {}
    assert log.counts("nobody") == {}


def test_a_payload_that_cannot_be_stored_is_an_error(log):
    with pytest.raises(DatabaseError):
        log.emit(event(text="a\0b"))
