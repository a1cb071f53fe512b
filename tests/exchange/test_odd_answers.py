"""Odd answers that several venues can give, each in its own words: all of them are doubt."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.exchange.abroad import doubt
from tests.exchange.venue_case import Question

from unghost.demo.venue import FaultKind
from unghost.model import Flatness


def test_pages_newest_first_that_do_not_descend_are_doubt():
    from unghost.adapters.exchange.failures import ReadFailed
    from unghost.adapters.exchange.venues.walk import require_descent

    require_descent([9, 8, 5], 10)
    require_descent([], 10)
    for ids in ([9, 9], [8, 9]):
        with pytest.raises(ReadFailed, match="not in the order of its ids"):
            require_descent(ids, None)
    with pytest.raises(ReadFailed, match="does not go on from id 10"):
        require_descent([10], 10)


def test_a_walk_without_an_end_is_doubt(opened, monkeypatch):
    from unghost.adapters.exchange.venues import walk

    monkeypatch.setattr(walk, "MAX_PAGES", 1)
    stage = opened("krakenfutures")
    for hours in range(1, 131):
        stage.trade("buy", at=stage.now - timedelta(minutes=hours))
    assert "more than 1 pages" in doubt(stage.fills())


@pytest.mark.parametrize(
    ("exchange", "side", "odd", "words"),
    (
        ("bitget", "buy", ("tradeSide", "something_new"), ""),
        ("bitget", "buy", ("tradeSide", "sell_single"), ""),
        ("bitget", "buy", ("posMode", "both_at_once"), ""),
        ("bitget", "buy", ("side", "long"), ""),
        ("gate", "sell", ("close_size", "1"), ""),
        ("gate", "sell", ("close_size", "abc"), ""),
        ("gate", "sell", ("close_size", None), ""),
        ("gate", "buy", ("contract", "BTC_USDT"), "of another contract"),
        ("hyperliquid", "buy", ("time", 1), "from before the time"),
        ("hyperliquid", "buy", ("side", "buy"), "neither A nor B"),
        ("hyperliquid", "buy", ("coin", ""), "the coin of a fill"),
        ("krakenfutures", "buy", ("fillType", "newKind"), "of a kind that is not known"),
        ("krakenfutures", "buy", ("fillType", None), "of a kind that is not known"),
        ("krakenfutures", "buy", ("fillType", 5), "of a kind that is not known"),
        ("krakenfutures", "buy", ("fillTime", "yesterday"), ""),
        ("krakenfutures", "buy", ("fillTime", "2026-01-01T00:00:00"), ""),
        ("krakenfutures", "buy", ("fillTime", 17), ""),
        ("krakenfutures", "buy", ("fillTime", None), ""),
    ),
)
def test_a_fill_that_is_odd_is_doubt(opened, exchange, side, odd, words):
    stage, (name, value) = opened(exchange), odd
    stage.trade(side)
    stage.spoil(Question.FILLS, FaultKind.SET_FIELD, field_name=name, value=value)
    told = doubt(stage.fills())
    assert told
    assert words in told


@pytest.mark.parametrize(
    ("exchange", "name", "value", "words"),
    (
        ("bitget", "total", "-1", ""),
        ("bitget", "total", "0", "are available"),
        ("bitget", "holdSide", "net", ""),
        ("bitget", "symbol", "", ""),
        ("bitget", "posMode", None, ""),
    ),
)
def test_a_position_that_is_odd_is_unknown(opened, exchange, name, value, words):
    stage = opened(exchange)
    stage.trade("buy")
    stage.spoil(Question.POSITIONS, FaultKind.SET_FIELD, field_name=name, value=value)
    reading = stage.position()
    assert reading.flatness is Flatness.UNKNOWN
    assert words in reading.detail


@pytest.mark.parametrize(
    ("exchange", "read", "words"),
    (
        ("hyperliquid", {"contracts": "7", "side": "long"}, "CCXT reads long 7"),
        ("krakenfutures", {"contracts": "7"}, "CCXT reads 7"),
    ),
)
def test_a_size_that_ccxt_reads_otherwise_is_unknown(opened, monkeypatch, exchange, read, words):
    stage = opened(exchange)
    stage.trade("buy")
    monkeypatch.setattr(stage.account._client, "unified_position", lambda *_, **__: read)
    assert words in stage.position().detail


@pytest.mark.parametrize(
    ("exchange", "length"), (("gate", "ROUND_PAGE"), ("hyperliquid", "LONG_PAGE"))
)
def test_pages_that_do_not_move_on_are_doubt(opened, monkeypatch, exchange, length):
    monkeypatch.setattr(f"unghost.adapters.exchange.venues.{exchange}.{length}", 1)
    stage = opened(exchange)
    stage.trade("buy")
    assert "do not move on" in doubt(stage.fills())
