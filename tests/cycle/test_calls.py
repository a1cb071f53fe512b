"""A cycle asks no more than it must, and the batch tells what it asked."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from tests.cycle.bench import Bench, hours_ago, told
from tests.cycle.fault_calls import CALLS

from unghost.adapters.exchange.venues.generic import GenericReader
from unghost.demo.world import Part, to_ms
from unghost.model import Decision, Reason

GHOSTS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "LTC/USDT:USDT")
QUIET = ("SOL/USDT:USDT", "BNB/USDT:USDT")
PAGES = {"binanceusdm": 1000, "bybit": 100, "okx": 100}


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.pause()
    for number, symbol in enumerate(GHOSTS):
        bench.ghost(f"t-{number}", "0.5", symbol=symbol)
    for symbol in QUIET:
        bench.trade("buy", "1", symbol=symbol, at=hours_ago(4))
        bench.trade("sell", "1", symbol=symbol, at=hours_ago(3))
    return bench


def asked(bench: Bench) -> Counter[str]:
    """Calls by question, as the venue's own log has them; anything else by its path."""
    names = {call.endpoint: name for name, call in reversed(list(CALLS[bench.exchange].items()))}
    found: Counter[str] = Counter()
    for request in bench.venue.requests():
        ends = (end for end in names if request.path.endswith("/" + end))
        found[names.get(next(ends, ""), request.path)] += 1
    return found


@pytest.mark.parametrize("exchange", CALLS)
@pytest.mark.parametrize(("mode", "readings"), (("dry_run", 2), ("apply", 3)))
def test_one_call_a_reading_and_fills_only_where_there_are_ghosts(
    stage: Bench, exchange, mode, readings
):
    stage.desk.exchange.resolve(GHOSTS)
    stage.venue.clear_requests()
    report = getattr(stage, mode)()
    assert len(told(report)) == len(GHOSTS)
    more = 0 if exchange == "binanceusdm" else 1
    assert asked(stage) == {
        "first-positions": readings,
        "first-fills": len(GHOSTS) * (1 + more),
    }


@pytest.mark.parametrize("exchange", CALLS)
def test_the_batch_tells_the_calls_that_it_made_itself(stage: Bench, exchange):
    stage.dry_run()
    stage.venue.clear_requests()
    report = stage.dry_run()
    assert report.batch is not None
    assert report.batch.calls == Counter(each.path for each in stage.venue.requests())
    assert sum(report.batch.calls.values()) == 2 + len(GHOSTS) * (1 + (exchange != "binanceusdm"))


@pytest.mark.parametrize("exchange", CALLS)
def test_a_profile_without_ghosts_asks_nothing(bench: Bench, exchange):
    bench.pause()
    bench.trade("buy", "1", at=hours_ago(2))
    report = bench.dry_run()
    assert told(report) == []
    assert bench.venue.requests() == ()


@pytest.mark.parametrize("exchange", CALLS)
def test_fills_take_a_call_a_page_and_at_most_one_more(bench: Bench, exchange):
    """The exit of one ghost in a page and a half of fills, which all come out in one row."""
    bench.pause()
    page = PAGES[exchange]
    count = page + page // 2
    size, first = Decimal("0.01"), to_ms(hours_ago(3))
    bench.opened("t-1", str(size * count))
    parts = [Part(quantity=size, at=first + number // 7) for number in range(count)]
    bench.trade("sell", size * count, parts=parts)
    report = bench.apply()
    assert told(report) == [("t-1", Decision.APPLIED, Reason.FILL_EVIDENCE)]
    assert bench.closed_by_us() == size * count
    assert asked(bench)["first-fills"] <= -(-(count + 1) // page) + 1


def test_an_exchange_without_a_reader_of_its_own_writes_nothing_that_it_cannot_prove(
    bench: Bench, monkeypatch
):
    def generic(_, market_type):
        return GenericReader(market_type)

    monkeypatch.setattr("unghost.adapters.exchange.account.reader_for", generic)
    bench.pause()
    bench.ghost("t-1")
    report = bench.apply(desk=bench.new_desk())
    assert told(report) == [("t-1", Decision.NO_GO, Reason.EXCHANGE_STATE_UNKNOWN)]
    assert bench.backfills() == []
