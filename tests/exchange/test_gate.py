"""What is peculiar to Gate, beyond what all must do.

Odd answers that several venues can give are in `test_odd_answers.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.exchange.abroad import CASES, HOUR, doubt
from tests.exchange.bodies_gate import MARKETS as OF_GATE
from tests.exchange.bodies_gate import Gate
from tests.exchange.venue_case import Question

from unghost.adapters.exchange import Verdict
from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import Listing, Part
from unghost.model import Flatness


def test_gate_a_contract_without_a_row_is_unknown_for_flat_ones_have_rows(opened):
    stage = opened("gate", face=Gate("DOGE"))
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert "the key may see another account" in reading.detail


def many_markets() -> Any:
    """More contracts than fit a page of positions, the case's own among the last."""
    own = next(each for each in OF_GATE if each.base == "DOGE")
    others = tuple(
        replace(
            own,
            symbol=f"X{n}/USDT:USDT",
            base=f"X{n}",
            listings=(Listing(venue="gate", native_id=f"X{n}_USDT"),),
        )
        for n in range(230)
    )
    return (*others, own)


def test_gate_positions_are_read_over_all_pages(opened):
    stage = opened("gate", markets=many_markets())
    stage.trade("sell", 3)
    assert stage.position().size == 3 * CASES["gate"].step
    offsets = [each.params["offset"] for each in stage.venue.requests("positions")]
    assert offsets == ["0", "99", "198"]


def test_gate_a_later_page_of_positions_that_is_empty_hides_nothing(opened):
    stage = opened("gate", markets=many_markets())
    stage.trade("sell", 3)
    fault = Fault(kind=FaultKind.EMPTY_LIST, endpoint="positions", where={"offset": "99"})
    stage.venue.fault(fault)
    assert stage.position().flatness is Flatness.UNKNOWN


def test_gate_times_are_exact_to_the_millisecond(opened):
    stage = opened("gate")
    base = stage.now.replace(microsecond=0) - HOUR
    moments = [base + timedelta(milliseconds=n) for n in range(0, 1000, 37)]
    for at in moments:
        stage.trade("buy", at=at)
    assert [fill.filled_at for fill in stage.fills().fills] == moments


def test_gate_answers_without_closed_sizes_do_for_one_way_accounts_only(opened):
    stage = opened("gate")
    stage.trade("buy", 2)
    stage.spoil(Question.FILLS, FaultKind.DROP_FIELD, field_name="close_size")
    reading = stage.fills()
    assert [(fill.closed, fill.position_side) for fill in reading.fills] == [(None, None)]
    assert reading.complete
    stage.venue.fault(Fault(kind=FaultKind.HTML, endpoint="accounts"))
    assert doubt(stage.fills())


def test_gate_answers_without_closed_sizes_are_doubt_in_dual_mode(opened):
    stage = opened("gate")
    stage.world.set_mode("main", "hedge")
    stage.trade("buy", 2, position_side="long")
    stage.spoil(Question.FILLS, FaultKind.DROP_FIELD, field_name="close_size")
    assert "dual account" in doubt(stage.fills())


def test_gate_a_later_page_that_is_empty_is_no_end(opened):
    stage = opened("gate")
    size = CASES["gate"].step
    stage.trade("buy", 1001, parts=[Part(quantity=size) for _ in range(1001)])
    stage.venue.fault(
        Fault(kind=FaultKind.EMPTY_LIST, endpoint="my_trades_timerange", where={"offset": "999"})
    )
    assert "does not go on" in doubt(stage.fills())


@pytest.mark.parametrize(("name", "value"), (("mode", "split"), ("size", "0")))
def test_gate_a_row_that_is_odd_is_unknown(opened, name, value):
    stage = opened("gate", face=Gate(*(each.base for each in OF_GATE if each.base != "DOGE")))
    stage.trade("buy", 2)
    stage.spoil(Question.POSITIONS, FaultKind.SET_FIELD, field_name=name, value=value)
    assert stage.position().flatness is Flatness.UNKNOWN


def test_gate_tells_mode_and_user(opened):
    stage = opened("gate")
    found = stage.findings()
    assert (found["position mode"], found["account"]) == (Verdict.OK, Verdict.OK)
    stage.venue.fault(Fault(kind=FaultKind.EMPTY_OBJECT, endpoint="accounts"))
    assert stage.findings()["position mode"] is Verdict.WARN
