"""The pace of a process: what all its connections ask of one exchange, added up."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount, InProcessMarkets, Paces
from unghost.adapters.exchange.pace import Limit, Pace
from unghost.demo.venue import VenueControl, running_venue
from unghost.demo.venue.binanceusdm import ENDPOINTS
from unghost.demo.world import World

MINUTE = 60.0
WHOLE = Limit(weight=100.0, seconds=MINUTE)
KEYS = ("first", "second")


class Time:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def most_within(turns: list[tuple[float, float]], seconds: float) -> float:
    """The most weight in any span of so many seconds, by turns of (when, weight)."""
    return max(
        sum(weight for at, weight in turns if begun <= at < begun + seconds) for begun, _ in turns
    )


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from((1, 5, 20, 30))), min_size=1))
def test_no_span_of_the_window_holds_more_than_the_weight(asked):
    time = Time()
    pace, turns = Pace(time.clock), []
    for pause, cost in asked:
        time.now += pause
        turn = pace.take(cost, WHOLE)
        assert turn.at >= time.now
        turns.append((turn.at, float(cost)))
    assert most_within(turns, MINUTE) <= WHOLE.weight
    assert turns == sorted(turns, key=lambda turn: turn[0])


def test_within_the_weight_nobody_waits():
    time = Time()
    pace = Pace(time.clock)
    assert [pace.left(pace.take(25, WHOLE)) for _ in range(5)] == [0, 0, 0, 0, MINUTE]


def test_where_calls_are_spaced_each_waits_for_the_weight_of_the_one_before():
    pace = Pace(Time().clock)
    spaced = Limit(weight=1.0, seconds=0.5, spaced=True)
    assert [pace.left(pace.take(cost, spaced)) for cost in (1, 4, 1)] == [0, 0.5, 2.5]


def test_what_is_given_back_is_there_for_others():
    pace = Pace(Time().clock)
    for turn in [pace.take(50, WHOLE) for _ in range(2)]:
        pace.give_back(turn)
    assert pace.left(pace.take(100, WHOLE)) == 0


# --- over many connections -----------------------------------------------------------------------


@pytest.fixture
def venue():
    world = World()
    for key in KEYS:
        world.open_account(key, api_key=key, secret=key, read_only=True)
    with running_venue(world) as running:
        yield VenueControl(running.base_url)


def spec_of(venue: VenueControl, key: str) -> ConnectionSpec:
    """A hundred of weight in a minute, by CCXT's way of saying it."""
    return ConnectionSpec(
        exchange="binanceusdm",
        market_type="swap",
        api_key=key,
        secret=key,
        base_url=venue.base_url,
        rate_limit_ms=600,
    )


def asked_by_connections(
    venue: VenueControl, paces: Paces, time: Time, count: int
) -> list[tuple[float, float]]:
    """By as many connections, one after another as the loop opens them: the venue's own log."""
    kept, turns = InProcessMarkets(), []
    for number in range(count):
        spec = spec_of(venue, KEYS[number % len(KEYS)])
        with closing(ExchangeAccount(spec, cache=kept, paces=paces)) as account:
            (market,) = account.resolve(["BTCUSDT"]).markets.values()
            assert market is not None
            venue.clear_requests()
            account.positions([market])
        turns += [
            (time.now, float(ENDPOINTS[one.method, one.path].weight)) for one in venue.requests()
        ]
    return turns


@pytest.mark.parametrize(("divided_by", "allowed"), ((1, 100), (4, 25)))
def test_the_venue_never_sees_more_of_all_connections_than_the_pace(venue, divided_by, allowed):
    time = Time()
    paces = Paces(divided_by=divided_by, clock=time.clock, sleep=time.sleep)
    begun = time.now
    turns = asked_by_connections(venue, paces, time, 30)
    assert sum(weight for _, weight in turns) == 150
    assert allowed - 5 <= most_within(turns, MINUTE) <= allowed
    assert time.now - begun >= (150 - 1) // allowed * MINUTE


def test_where_an_exchange_counts_by_key_each_key_has_its_own_pace():
    paces = Paces()
    specs = [
        ConnectionSpec(exchange=exchange, market_type="swap", api_key=key, secret="s")
        for exchange in ("okx", "binanceusdm")
        for key in KEYS
    ]
    first, second, third, fourth = (paces._pace(spec) for spec in specs)
    assert first is not second
    assert third is fourth
    assert paces._pace(specs[0]) is first
