"""What the pages list: lifecycles with exposure, gates as lamps, ghosts by their lives. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from unghost.adapters.postgres.history import GatesSeen, LastDecision
from unghost.model import Decision, GateVerdict, LedgerRow, Lifecycle, LifecycleKey, Reason
from unghost.web.console.ghosts import Sorting, Wanted, arranged, exposure, ghosts
from unghost.web.console.lamps import gate_lamps
from unghost.web.console.lives import LONGEST, Life, ghosts_chart

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


# --- lifecycles --------------------------------------------------------------------------------


def opened(
    trade_id: str, symbol: str, quantity: str, *entries: tuple[str, str | None]
) -> Lifecycle:
    key = LifecycleKey(profile_id="main", symbol=symbol, trade_id=trade_id)
    rows = tuple(
        LedgerRow(
            order_id=f"{trade_id}-{number}",
            profile_id="main",
            symbol=symbol,
            trade_id=trade_id,
            action="ENTRY",
            status="filled",
            quantity=Decimal(amount),
            price=None if price is None else Decimal(price),
        )
        for number, (amount, price) in enumerate(entries)
    )
    total = Decimal(quantity)
    return Lifecycle(key=key, entry_qty=total, exit_qty=Decimal(0), open_qty=total, rows=rows)


def decided(trade_id: str, symbol: str, decision: Decision, reason: Reason, unit="1"):
    return LastDecision(
        symbol=symbol,
        trade_id=trade_id,
        batch_id="b",
        decision=decision,
        reason=reason,
        decided_at=NOW,
        direction="long",
        market=f"{symbol.removesuffix('USDT')}/USDT:USDT",
        ledger_unit=Decimal(unit),
    )


@pytest.fixture
def found():
    lifecycles = (
        opened("t-1", "BTCUSDT", "2", ("1", "100"), ("3", "200")),
        opened("t-2", "ETHUSDT", "5", ("5", None)),
        opened("t-3", "BTCUSDT", "4", ("4", "10")),
    )
    decisions = (
        decided("t-1", "BTCUSDT", Decision.DRY_RUN, Reason.FILL_EVIDENCE),
        decided("t-1", "BTCUSDT", Decision.NO_GO, Reason.AMBIGUOUS_ATTRIBUTION),
        decided("t-3", "BTCUSDT", Decision.DRY_RUN, Reason.FILL_EVIDENCE, unit="10"),
    )
    return ghosts(lifecycles, decisions)


def test_exposure_is_the_open_quantity_at_the_average_price_of_the_entries(found):
    assert [one.notional for one in found] == [Decimal(350), None, Decimal(400)]
    assert exposure(found) == (Decimal(750), "USDT")


def test_what_stays_open_is_the_decision_that_is_shown(found):
    assert [one.decision for one in found] == [Decision.NO_GO, None, Decision.DRY_RUN]
    assert found[0].reasons == (Reason.FILL_EVIDENCE, Reason.AMBIGUOUS_ATTRIBUTION)


@pytest.mark.parametrize(
    ("wanted", "names"),
    (
        ({}, "t-1 t-3 t-2"),
        ({"q": "eth"}, "t-2"),
        ({"q": " T-3 "}, "t-3"),
        ({"decision": "NO_GO"}, "t-1"),
        ({"reason": "fill_evidence"}, "t-1 t-3"),
        ({"q": "btc", "decision": "DRY_RUN"}, "t-3"),
    ),
)
def test_filters_leave_out_what_is_not_wanted(found, wanted, names):
    sorting = Sorting(key="symbol", down=False, path="/p", wanted=Wanted(**wanted))
    assert [one.key.trade_id for one in arranged(found, sorting)] == names.split()


@pytest.mark.parametrize(
    ("key", "names"),
    (("open", "t-2 t-3 t-1"), ("notional", "t-3 t-1 t-2"), ("reason", "t-1 t-3 t-2")),
)
def test_a_heading_sorts_downwards_the_second_time(found, key, names):
    first = Sorting(key="symbol", down=False, path="/p", wanted=Wanted(q="t"))
    assert first.address(key) == f"/p?q=t&sort={key}&down=0"
    assert first.address("symbol") == "/p?q=t&sort=symbol&down=1"
    down = Sorting(key=key, down=True, path="/p", wanted=Wanted())
    assert [one.key.trade_id for one in arranged(found, down)] == names.split()


# --- gates -------------------------------------------------------------------------------------


def gate(verdict: str, value: str, age: float | None = 1.0):
    told = {"name": "exchange_flat", "rule": "r", "source": "exchange", "age_seconds": age}
    return told | {"verdict": verdict, "value": value}


@pytest.mark.parametrize(
    ("gates", "verdict", "value"),
    (
        ((("open", "flat"), ("open", "flat")), GateVerdict.OPEN, "flat"),
        ((("open", "flat"), ("open", "flat too")), GateVerdict.OPEN, "all 2"),
        ((("open", "flat"), ("unknown", "unknown")), GateVerdict.UNKNOWN, "1 of 2"),
        ((("unknown", "u"), ("closed", "open 1"), ("open", "f")), GateVerdict.CLOSED, "1 of 3"),
    ),
)
def test_a_lamp_shows_the_worst_verdict_and_how_many_gave_it(gates, verdict, value):
    seen = [GatesSeen(written_at=ago(0), gates=(gate(*one),)) for one in gates]
    (lamp,) = gate_lamps(seen, NOW)
    assert (lamp.verdict, lamp.value) == (verdict, value)


def test_the_age_of_a_lamp_is_that_of_the_oldest_reading_now():
    old = GatesSeen(written_at=ago(1), gates=(gate("open", "flat", age=30.0),))
    new = GatesSeen(written_at=ago(0), gates=(gate("open", "flat", age=None),))
    (lamp,) = gate_lamps([new, old], NOW)
    assert lamp.age_seconds == 3630
    assert gate_lamps([GatesSeen(written_at=NOW, gates=())], NOW) == ()


# --- lives -------------------------------------------------------------------------------------


def steps(*lives: tuple[float, float | None]) -> list[tuple[float, int]]:
    told = [
        Life(began_at=ago(began), ended_at=None if ended is None else ago(ended))
        for began, ended in lives
    ]
    chart = ghosts_chart(told, NOW)
    assert chart is not None
    points = chart.lines[0].points
    assert points[0].at == chart.start_at
    return [((NOW - one.at) / timedelta(hours=1), int(one.value)) for one in points[1:]]


def test_a_ghost_counts_from_its_lost_exit_to_the_row_that_closed_it():
    assert steps((10, 2), (8, None), (6, 2)) == [(10, 1), (8, 2), (6, 3), (2, 1)]


def test_what_lies_too_far_back_is_where_the_chart_begins():
    far = LONGEST / timedelta(hours=1)
    assert steps((far + 50, None), (1, None))[-1] == (1, 2)
    assert ghosts_chart([Life(began_at=ago(far + 9), ended_at=ago(far + 1))], NOW) is None


def test_nothing_is_drawn_where_there_never_was_a_ghost():
    assert ghosts_chart([], NOW) is None
