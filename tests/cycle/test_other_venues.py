"""A whole cycle at Bitget, Gate, Hyperliquid and Kraken Futures, each in its own protocol."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from tests.cycle.bench import (
    ACCOUNT,
    PROFILE,
    QUICK,
    Bench,
    batch_id,
    desk_at,
    hours_ago,
    sentence,
    told,
)
from tests.exchange.more_cases import MORE_CASES
from tests.exchange.venue_case import Question, VenueCase

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount, InProcessMarkets
from unghost.cycle import detect_ghosts
from unghost.demo.venue import Fault, FaultKind, running_venue
from unghost.demo.world import FillKind, World

ABROAD = ("bitget", "gate", "hyperliquid", "krakenfutures")
CASES = [case for case in MORE_CASES if case.exchange in ABROAD]
KEPT = {case.exchange: InProcessMarkets() for case in CASES}
OPPOSITE = {"buy": "sell", "sell": "buy"}


@pytest.fixture(params=CASES, ids=lambda case: case.exchange)
def case(request) -> VenueCase:
    return request.param


@pytest.fixture
def abroad(bench: Bench, case: VenueCase) -> Iterator[Bench]:
    """The bench at another exchange."""
    world = World(markets=case.markets)
    world.open_account(PROFILE, secret=case.secret)
    with running_venue(world, faces=[case.face]) as venue:
        spec = ConnectionSpec(
            exchange=case.exchange,
            market_type="swap",
            api_key=f"{PROFILE}-key",
            secret=case.secret,
            password=world.account(PROFILE).password or "password",
            base_url=venue.base_url,
            account=ACCOUNT,
            timeout_seconds=5,
            rate_limit_ms=1,
        )
        account = ExchangeAccount(spec, cache=KEPT[case.exchange], policy=QUICK)
        bench.accounts.append(account)
        bench.venue = venue
        bench.desk = desk_at(bench.database, account)
        bench.pause()
        yield bench


def booked(abroad: Bench, case: VenueCase, trade_id: str, count: int, side: str, **more) -> None:
    """A position that was opened on the exchange and in the ledger."""
    quantity, at = count * case.step, hours_ago(5)
    order = abroad.trade(side, quantity, symbol=case.symbol, at=at, price="0.5", **more)
    leg = "long" if side == "buy" else "short"
    row = {"exchange_order_id": order, "symbol": case.symbol, "position_side": leg}
    abroad.book(trade_id, "ENTRY", quantity, at=at, side=side, **row)


def closed(abroad: Bench, case: VenueCase, count: int, side: str, **more) -> str:
    """Closed on the exchange, and nowhere else."""
    at, price = more.pop("at", hours_ago(3)), more.pop("price", "0.52")
    return abroad.trade(side, count * case.step, symbol=case.symbol, at=at, price=price, **more)


def written(abroad: Bench) -> list[tuple[object, ...]]:
    return abroad.rows(
        "SELECT trade_id, side, quantity, price, exchange_order_id FROM orders"
        " WHERE order_id LIKE 'BFILL-%%' ORDER BY trade_id"
    )


@pytest.mark.parametrize("side", ("buy", "sell"))
def test_a_ghost_is_closed_as_the_exchange_closed_it(abroad, case, side):
    booked(abroad, case, "t-1", 3, side)
    order = closed(abroad, case, 3, OPPOSITE[side])
    before = abroad.digest()
    plan = abroad.dry_run()
    assert told(plan) == [("t-1", "DRY_RUN", "fill_evidence")], sentence(plan)
    assert abroad.digest() == before
    assert told(abroad.apply(batch_id(plan))) == [("t-1", "APPLIED", "fill_evidence")]
    quantity = 3 * case.step
    assert written(abroad) == [("t-1", OPPOSITE[side], quantity, Decimal("0.52"), order)]
    assert detect_ghosts(abroad.desk) == ()


def test_both_legs_of_a_hedge_are_closed_each_by_its_own_fills(abroad, case):
    if not case.hedges:
        assert {each.name for each in abroad.desk.exchange.check()} >= {"position mode"}
        return
    abroad.world.set_mode(PROFILE, "hedge")
    booked(abroad, case, "t-long", 2, "buy", position_side="long")
    booked(abroad, case, "t-short", 2, "sell", position_side="short")
    of_long = closed(abroad, case, 2, "sell", position_side="long", price="0.51")
    of_short = closed(abroad, case, 2, "buy", position_side="short", price="0.49")
    report = abroad.apply()
    assert [decision for _, decision, _ in told(report)] == ["APPLIED", "APPLIED"], sentence(report)
    size = 2 * case.step
    assert written(abroad) == [
        ("t-long", "sell", size, Decimal("0.51"), of_long),
        ("t-short", "buy", size, Decimal("0.49"), of_short),
    ]


def test_a_liquidation_closes_a_ghost(abroad, case):
    booked(abroad, case, "t-1", 2, "buy")
    order = closed(abroad, case, 2, "sell", kind=FillKind.LIQUIDATION)
    assert told(abroad.apply()) == [("t-1", "APPLIED", "fill_evidence")]
    assert written(abroad)[0][-1] == order


def test_a_position_that_is_open_is_left_alone(abroad, case):
    booked(abroad, case, "t-1", 2, "buy")
    closed(abroad, case, 1, "sell")
    assert told(abroad.apply()) == [("t-1", "NO_GO", "exchange_not_flat")]
    assert written(abroad) == []


@pytest.mark.parametrize("question", (Question.POSITIONS, Question.FILLS))
def test_a_question_that_fails_writes_nothing_until_it_is_answered(abroad, case, question):
    # One fault stands for all: each of them, at each call, is in the suite for readers.
    booked(abroad, case, "t-1", 2, "buy")
    closed(abroad, case, 2, "sell")
    call = case.calls[question]
    abroad.venue.fault(Fault(kind=FaultKind.EMPTY_OBJECT, endpoint=call.endpoint, where=call.where))
    reasons = {reason for _, _, reason in told(abroad.apply())}
    assert reasons <= {"exchange_state_unknown", "fill_evidence_incomplete"}
    assert reasons
    assert written(abroad) == []
    abroad.venue.clear_faults()
    assert told(abroad.apply()) == [("t-1", "APPLIED", "fill_evidence")]
