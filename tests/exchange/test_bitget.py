"""What is peculiar to Bitget, beyond what all must do.

Odd answers that several venues can give are in `test_odd_answers.py`.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.exchange.abroad import CASES, HOUR, doubt
from tests.exchange.venue_case import Question

from unghost.adapters.exchange import Verdict
from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import FillKind as TrueKind
from unghost.demo.world import Part
from unghost.model import FillKind, Flatness, PositionSide, Side, Window


@pytest.mark.parametrize(("leg", "opening"), (("long", "buy"), ("short", "sell")))
def test_bitget_closes_are_turned_from_the_side_of_the_position_to_their_own(opened, leg, opening):
    stage = opened("bitget")
    stage.world.set_mode("main", "hedge")
    closing = {"buy": "sell", "sell": "buy"}[opening]
    stage.trade(opening, 2, position_side=leg)
    stage.trade(closing, 2, position_side=leg, at=stage.now - HOUR / 2)
    fills = stage.fills().fills
    assert [(fill.side, fill.position_side) for fill in fills] == [
        (Side(opening), PositionSide(leg)),
        (Side(closing), PositionSide(leg)),
    ]


@pytest.mark.parametrize("kind", (TrueKind.LIQUIDATION, TrueKind.ADL, TrueKind.SETTLEMENT))
def test_bitget_forced_closes_name_the_position_themselves(opened, kind):
    stage = opened("bitget")
    stage.world.set_mode("main", "hedge")
    stage.trade("sell", 2, position_side="short")
    stage.trade("buy", 2, position_side="short", at=stage.now - HOUR / 2, kind=kind)
    fill = stage.fills().fills[1]
    assert (fill.side, fill.position_side) == (Side.BUY, PositionSide.SHORT)
    assert fill.kind is not FillKind.TRADE


def test_bitget_unknown_words_in_hedge_mode_are_doubt(opened):
    stage = opened("bitget")
    stage.world.set_mode("main", "hedge")
    stage.trade("buy", position_side="long")
    stage.spoil(
        Question.FILLS, FaultKind.SET_FIELD, field_name="tradeSide", value="burst_open_long"
    )
    assert "is not known" in doubt(stage.fills())


FEE = {"deduction": "no", "feeCoin": "USDT", "totalFee": "-0.25"}


@pytest.mark.parametrize(
    ("told", "fees"),
    (
        ([FEE], {"USDT": "0.25"}),
        ([FEE, {**FEE, "feeCoin": "BGB", "totalFee": "0.1"}], {"USDT": "0.25", "BGB": "-0.1"}),
        ([{**FEE, "deduction": "yes"}], None),
        ([{**FEE, "deduction": "yes", "totalDeductionFee": "-0.2"}], None),
        ([{**FEE, "deduction": "yes", "totalDeductionFee": "-0.25"}], {"USDT": "0.25"}),
        ([FEE, {**FEE, "deduction": "yes"}], None),
        ([], None),
        (None, None),
    ),
    ids=str,
)
def test_bitget_fees_are_all_told_or_unknown(told, fees):
    from unghost.adapters.exchange.venues.bitget import _fees

    found = _fees({"feeDetail": told})
    mine = None if found is None else {row["currency"]: str(row["cost"]) for row in found}
    assert mine == fees


def test_bitget_client_order_ids_come_from_the_orders(opened):
    stage = opened("bitget")
    (fill,) = stage.trade("buy", client_order_id="bot-17")
    window = Window(start_at=stage.now - 20 * 24 * HOUR, end_at=stage.now)
    ids = stage.account.client_order_ids({stage.market: window})
    assert ids == {stage.market.unified: {fill.order_id: "bot-17"}}


def test_bitget_orders_that_cannot_be_read_leave_no_ids(opened):
    stage = opened("bitget")
    stage.venue.fault(Fault(kind=FaultKind.HTML, endpoint="orders-history"))
    window = Window(start_at=stage.now - HOUR, end_at=stage.now)
    assert stage.account.client_order_ids({stage.market: window}) == {}


@pytest.mark.parametrize(
    "answer",
    (
        {"code": "40084", "msg": "You are in Unified Account mode", "data": None},
        {"code": "00000", "data": None},
        {"code": "00000", "data": {}},
        {"code": "00000", "data": {"fillList": None, "endId": "17"}},
        {"data": {"fillList": []}},
    ),
    ids=str,
)
def test_bitget_envelopes_without_a_list_are_no_empty_ones(opened, answer):
    import json

    stage = opened("bitget")
    body = json.dumps(answer)
    for question in (Question.FILLS, Question.POSITIONS):
        stage.spoil(question, FaultKind.STATUS, status=200, body=body)
    assert doubt(stage.fills())
    assert stage.position().flatness is Flatness.UNKNOWN


@pytest.mark.parametrize(("read_only", "verdict"), ((False, Verdict.WARN), (True, Verdict.OK)))
def test_bitget_tells_who_the_key_is_and_what_it_may_do(opened, read_only, verdict):
    stage = opened("bitget")
    stage.world._accounts["main"] = replace(stage.world.account("main"), read_only=read_only)
    found = stage.findings()
    assert (found["account"], found["key rights"]) == (Verdict.OK, verdict)


def test_bitget_a_page_that_does_not_end_as_it_says_is_doubt(opened):
    stage = opened("bitget")
    size = CASES["bitget"].step
    stage.trade("buy", 130, parts=[Part(quantity=size) for _ in range(130)])
    for kept in (0, 29):
        stage.venue.clear_faults()
        call = CASES["bitget"].calls[Question.FILLS]
        fault = Fault(kind=FaultKind.KEEP_ROWS, endpoint=call.endpoint, rows_kept=kept)
        stage.venue.fault(fault.since_call(2))
        assert "does not end with the id" in doubt(stage.fills())


def test_bitget_orders_that_contradict_themselves_leave_no_ids(opened):
    stage = opened("bitget")
    stage.trade("buy")
    other = Fault(
        kind=FaultKind.CONTRADICT_ROW,
        endpoint="orders-history",
        field_name="clientOid",
        value="another",
    )
    stage.venue.fault(other)
    window = Window(start_at=stage.now - 2 * HOUR, end_at=stage.now)
    assert stage.account.client_order_ids({stage.market: window}) == {}


def test_bitget_markets_of_another_kind_are_not_read(opened):
    stage = opened("bitget")
    for odd in (
        replace(stage.market, unified="XRP/EURC:EURC"),
        replace(stage.market, contract_size=Decimal(10)),
    ):
        assert stage.account.positions([odd])[odd.unified].flatness is Flatness.UNKNOWN
        window = Window(start_at=stage.now - HOUR, end_at=stage.now)
        assert not stage.account.fills({odd: window})[odd.unified].complete


@pytest.mark.parametrize("data", ('"text"', "{}", "null", '{"userId": "7"}'))
def test_bitget_an_account_that_is_not_told_is_a_finding(opened, data):
    stage = opened("bitget")
    body = f'{{"code": "00000", "data": {data}}}'
    stage.venue.fault(
        Fault(kind=FaultKind.STATUS, endpoint="spot/account/info", status=200, body=body)
    )
    assert stage.findings()["account"] is Verdict.WARN
