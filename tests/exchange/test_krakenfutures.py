"""What is peculiar to Kraken Futures, beyond what all must do.

Odd answers that several venues can give are in `test_odd_answers.py`.
"""

from __future__ import annotations

from datetime import timedelta

from tests.exchange.abroad import CASES, HOUR, doubt
from tests.exchange.venue_case import Question

from unghost.adapters.exchange import Verdict
from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import Part
from unghost.model import Flatness


def test_kraken_futures_contracts_in_small_letters_count(opened):
    stage = opened("krakenfutures")
    stage.trade("buy", 2)
    for question in (Question.POSITIONS, Question.FILLS):
        stage.spoil(question, FaultKind.SET_FIELD, field_name="symbol", value="pf_xrpusd")
    assert stage.position().size == 2 * CASES["krakenfutures"].step
    assert len(stage.fills().fills) == 1


def test_kraken_futures_pages_go_on_until_nothing_older_is_told(opened):
    stage = opened("krakenfutures")
    for minutes in range(1, 131):
        stage.trade("buy", at=stage.now - timedelta(minutes=minutes))
    for kept, count in ((29, 130), (100, 130)):
        stage.venue.clear_faults()
        cut = Fault(kind=FaultKind.KEEP_ROWS, endpoint="fills", rows_kept=kept)
        stage.venue.fault(cut.since_call(2))
        assert len(stage.fills().fills) == count
    stage.venue.clear_faults()
    lost = Fault(kind=FaultKind.KEEP_ROWS, endpoint="fills", rows_kept=0)
    stage.venue.fault(lost.since_call(2))
    assert "does not go on from" in doubt(stage.fills())


def test_kraken_futures_more_fills_in_a_millisecond_than_a_page_holds_are_doubt(opened):
    stage = opened("krakenfutures")
    size = CASES["krakenfutures"].step
    stage.trade("buy", 120, parts=[Part(quantity=size) for _ in range(120)])
    assert "do not move on" in doubt(stage.fills())


def test_kraken_futures_a_page_in_another_order_is_doubt(opened):
    stage = opened("krakenfutures")
    stage.trade("buy", at=stage.now - 3 * HOUR)
    stage.trade("buy", at=stage.now - 2 * HOUR)
    long_ago = "2020-01-01T00:00:00.000Z"
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name="fillTime", value=long_ago)
    assert "newest first" in doubt(stage.fills())


def test_kraken_futures_reads_back_to_the_window_and_no_further(opened):
    stage = opened("krakenfutures")
    for hours in range(1, 250):
        stage.trade("buy", at=stage.now - hours * HOUR)
    assert len(stage.fills(back=150 * HOUR).fills) == 150
    assert len(stage.venue.requests("fills")) == 2


def test_kraken_futures_an_answer_that_does_not_say_success_is_doubt(opened):
    stage = opened("krakenfutures")
    body = '{"result": "error", "openPositions": [], "fills": []}'
    for question in (Question.POSITIONS, Question.FILLS):
        stage.spoil(question, FaultKind.STATUS, status=200, body=body)
    assert stage.position().flatness is Flatness.UNKNOWN
    assert "does not say that it succeeded" in doubt(stage.fills())


def test_kraken_futures_says_that_it_cannot_tell_the_rights_of_a_key(opened):
    found = opened("krakenfutures").findings()
    assert (found["position mode"], found["key rights"]) == (Verdict.OK, Verdict.WARN)
