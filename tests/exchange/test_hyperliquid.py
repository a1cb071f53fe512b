"""What is peculiar to Hyperliquid, beyond what all must do.

Odd answers that several venues can give are in `test_odd_answers.py`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.exchange.abroad import CASES, HOUR, doubt
from tests.exchange.venue_case import Question

from unghost.adapters.exchange import Verdict
from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import FillKind as TrueKind
from unghost.model import FillKind, Flatness


def test_hyperliquid_an_address_that_nobody_knows_is_never_flat(opened):
    stage = opened("hyperliquid", api_key="0xsomebody")
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert "no account of this address" in reading.detail
    assert "no account of this address" in doubt(stage.fills())
    assert stage.findings()["account"] is Verdict.WARN


@pytest.mark.parametrize(
    ("role", "words"), (("agent", "an API wallet's"), ("something", "none that is known"))
)
def test_hyperliquid_an_address_that_holds_nothing_is_never_flat(opened, role, words):
    stage = opened("hyperliquid")
    stage.venue.fault(
        Fault(
            kind=FaultKind.STATUS,
            endpoint="info",
            where={"type": "userRole"},
            status=200,
            body=f'{{"role": "{role}"}}',
        )
    )
    assert words in stage.position().detail


def test_hyperliquid_the_address_is_asked_about_once(opened):
    stage = opened("hyperliquid")
    for _ in range(3):
        stage.position()
        stage.fills()
    asked = [each.params["type"] for each in stage.venue.requests("info")]
    assert (asked.count("userRole"), len(asked)) == (1, 7)


def test_hyperliquid_rows_that_do_not_add_up_to_the_total_are_unknown(opened):
    stage = opened("hyperliquid")
    stage.trade("buy", 2)
    stage.spoil(Question.POSITIONS, FaultKind.KEEP_ROWS, rows_kept=0)
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert "the total is told as" in reading.detail


def test_hyperliquid_a_fill_that_is_missing_between_others_is_noticed(opened):
    stage = opened("hyperliquid")
    for side, hours in (("buy", 5), ("buy", 4), ("sell", 3), ("sell", 2)):
        stage.trade(side, at=stage.now - hours * HOUR)
    fills = stage.world.fills("main")
    legs = stage.world.legs("main", stage.market.unified)
    assert stage.fills().complete
    kept = [fill for fill in fills if fill != fills[1]]
    stage.world.fills = lambda *_, **__: tuple(kept)
    stage.world.legs = lambda *_: legs
    assert "one is missing" in doubt(stage.fills())


@pytest.mark.parametrize(
    ("steps", "whole"),
    (
        ([(1, 0, 1), (2, 1, 1), (3, 2, -2)], True),
        ([(1, 0, 1), (3, 2, -2)], False),
        ([(1, 0, 1), (3, 2, -1), (4, 1, -1)], False),
        ([(5, 1, 1), (5, 0, 1), (5, 2, -2)], True),
        ([(5, 1, 1), (5, 0, 1), (6, 0, 1)], False),
        ([(5, 0, 1), (5, 1, -1), (6, 0, 1)], True),
        ([(4, 0, 3), (5, 0, 1), (5, 1, -1)], False),
        ([(5, 0, 1), (5, 7, 1)], False),
        ([], True),
    ),
    ids=str,
)
def test_hyperliquid_positions_follow_on_from_fill_to_fill(steps, whole):
    from unghost.adapters.exchange.failures import ReadFailed
    from unghost.adapters.exchange.venues.hyperliquid import _require_chain

    rows = [
        {"time": at, "startPosition": str(start), "sz": str(abs(size)), "side": "AB"[size > 0]}
        for at, start, size in steps
    ]
    if whole:
        _require_chain(rows)
        return
    with pytest.raises(ReadFailed, match="one is missing"):
        _require_chain(rows)


def test_hyperliquid_a_history_as_long_as_what_is_kept_is_doubt(opened, monkeypatch):
    from unghost.adapters.exchange.venues import hyperliquid

    monkeypatch.setattr(hyperliquid, "KEPT", 3)
    stage = opened("hyperliquid")
    stage.trade("buy")
    stage.trade("buy", at=stage.now - HOUR / 2)
    assert stage.fills().complete
    stage.trade("sell", at=stage.now - HOUR / 4)
    assert "keeps no more" in doubt(stage.fills())


def test_hyperliquid_pages_go_on_from_where_they_ended(opened, monkeypatch):
    from unghost.adapters.exchange.venues import hyperliquid

    monkeypatch.setattr(hyperliquid, "LONG_PAGE", 2)
    stage = opened("hyperliquid")
    for hours in (4, 3, 2):
        stage.trade("buy", at=stage.now - hours * HOUR)
    assert len(stage.fills().fills) == 3
    endpoint, where = "info", {"type": "userFillsByTime"}
    lost = Fault(kind=FaultKind.EMPTY_LIST, endpoint=endpoint, where=where).since_call(2)
    stage.venue.fault(lost)
    assert "does not go on from" in doubt(stage.fills())


def test_hyperliquid_a_long_page_must_be_in_order():
    from unghost.adapters.exchange.failures import ReadFailed
    from unghost.adapters.exchange.venues.hyperliquid import _rows

    newest_first = [{"coin": "XRP", "time": 1000 - n} for n in range(500)]
    assert len(_rows(newest_first[:499])) == 499
    assert len(_rows(newest_first[::-1])) == 500
    with pytest.raises(ReadFailed, match="not in the order of time"):
        _rows(newest_first)


def test_hyperliquid_coins_resolve_by_their_names(opened):
    stage = opened("hyperliquid")
    assert stage.account.resolve(["XRP"])["XRP"] == stage.market


def test_hyperliquid_only_the_own_liquidation_is_one(opened):
    stage = opened("hyperliquid")
    stage.trade("buy", 2)
    stage.trade("sell", 2, at=stage.now - HOUR / 2, kind=TrueKind.LIQUIDATION)
    assert stage.fills().fills[1].kind is FillKind.LIQUIDATION
    other = {"liquidatedUser": "0xsomebody", "method": "market", "markPx": "1"}
    call = CASES["hyperliquid"].calls[Question.FILLS]
    named = Fault(kind=FaultKind.SET_FIELD, field_name="liquidation", value=other)
    stage.venue.fault(replace(named, endpoint=call.endpoint, where=call.where).on_call(1))
    assert stage.fills().fills[0].kind is FillKind.TRADE


def test_hyperliquid_is_examined_without_a_key(opened):
    found = opened("hyperliquid").findings()
    names = ("account", "position mode", "key rights", "positions", "fills", "clock")
    assert {found[name] for name in names} == {Verdict.OK}
