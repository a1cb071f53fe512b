"""The same ghosts come out on every simulated venue, whatever its protocol counts in."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.cycle.bench import PROFILE, Bench, hours_ago, told
from tests.cycle.fault_calls import CALLS

from unghost.model import Decision, Reason

SIZES = {
    "BTC/USDT:USDT": "0.25",
    "ETH/USDT:USDT": "1.5",
    "SOL/USDT:USDT": "12",
    "XRP/USDT:USDT": "300",
    "DOGE/USDT:USDT": "5000",
}
"""On OKX a contract of these is 0.01, 0.1, 1, 100 and 1000 base units."""
APPLIED = (Decision.APPLIED, Reason.FILL_EVIDENCE)


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.pause()
    return bench


@pytest.mark.parametrize("exchange", CALLS)
def test_contracts_of_every_size_come_out_in_base_units(stage: Bench, exchange):
    for number, (symbol, size) in enumerate(SIZES.items()):
        stage.ghost(f"t-{number}", size, symbol=symbol)
    report = stage.apply()
    assert told(report) == [(f"t-{number}", *APPLIED) for number in range(len(SIZES))]
    assert [(one, quantity) for one, quantity, _ in stage.backfills()] == [
        (f"t-{number}", Decimal(size)) for number, size in enumerate(SIZES.values())
    ]


def in_contracts(bench: Bench, symbol: str, quantity: str) -> Decimal:
    return Decimal(quantity) / bench.world.market(symbol).listing(bench.exchange).contract_size


@pytest.mark.parametrize("exchange", ("okx",))
def test_a_ledger_in_contracts_gets_its_exits_in_contracts(stage: Bench, exchange):
    for number, (symbol, size) in enumerate(SIZES.items()):
        entry = stage.trade("buy", size, symbol=symbol, at=hours_ago(5))
        stage.trade("sell", size, symbol=symbol, at=hours_ago(3))
        stage.book(
            f"t-{number}",
            "ENTRY",
            in_contracts(stage, symbol, size),
            symbol=stage.native(symbol),
            exchange_order_id=entry,
            at=hours_ago(5),
        )
    report = stage.apply(desk=replace(stage.desk, ledger_in_contracts=True))
    assert told(report) == [(f"t-{number}", *APPLIED) for number in range(len(SIZES))]
    assert [(one, quantity) for one, quantity, _ in stage.backfills()] == [
        (f"t-{number}", in_contracts(stage, symbol, size))
        for number, (symbol, size) in enumerate(SIZES.items())
    ]


@pytest.mark.parametrize("exchange", CALLS)
def test_the_ghosts_of_both_legs_get_their_own_exits(stage: Bench, exchange):
    """Long and short of one market were open at once, and both exits were lost."""
    stage.world.set_mode(PROFILE, "hedge")
    long_in = stage.trade("buy", "0.5", position_side="long", at=hours_ago(6))
    short_in = stage.trade("sell", "0.5", position_side="short", at=hours_ago(5))
    long_out = stage.trade("sell", "0.5", position_side="long", at=hours_ago(4), price="41000")
    short_out = stage.trade("buy", "0.5", position_side="short", at=hours_ago(3), price="39000")
    stage.book("t-l", "ENTRY", "0.5", side="buy", exchange_order_id=long_in, at=hours_ago(6))
    stage.book("t-s", "ENTRY", "0.5", side="sell", exchange_order_id=short_in, at=hours_ago(5))
    report = stage.apply()
    assert told(report) == [("t-l", *APPLIED), ("t-s", *APPLIED)]
    rows = stage.rows(
        "SELECT trade_id, side, price, exchange_order_id FROM orders"
        " WHERE order_id LIKE 'BFILL-%' ORDER BY trade_id"
    )
    assert rows == [
        ("t-l", "sell", Decimal(41000), long_out),
        ("t-s", "buy", Decimal(39000), short_out),
    ]


@pytest.mark.parametrize("exchange", CALLS)
@pytest.mark.parametrize("leg", ("long", "short"))
def test_an_open_leg_blocks_the_ghost_of_the_other(stage: Bench, exchange, leg):
    stage.world.set_mode(PROFILE, "hedge")
    side = "buy" if leg == "long" else "sell"
    opposite, other = ("sell", "short") if leg == "long" else ("buy", "long")
    entry = stage.trade(side, "0.5", position_side=leg, at=hours_ago(6))
    stage.trade(opposite, "0.5", position_side=leg, at=hours_ago(4))
    stage.trade(opposite, "0.1", position_side=other, at=hours_ago(3))
    stage.book("t-1", "ENTRY", "0.5", side=side, exchange_order_id=entry, at=hours_ago(6))
    assert told(stage.apply()) == [("t-1", Decision.NO_GO, Reason.EXCHANGE_NOT_FLAT)]
    assert stage.backfills() == []


@pytest.mark.parametrize("exchange", CALLS)
@pytest.mark.parametrize("kind", ("liquidation", "adl", "settlement"))
def test_what_the_exchange_closed_itself_is_an_exit(stage: Bench, exchange, kind):
    stage.opened("t-1", "0.5")
    stage.trade("sell", "0.5", kind=kind, at=hours_ago(3))
    assert told(stage.apply()) == [("t-1", *APPLIED)]
    assert stage.closed_by_us() == Decimal("0.5")


@pytest.mark.parametrize("exchange", CALLS)
def test_a_fill_that_crosses_zero_closes_no_more_than_was_open(stage: Bench, exchange):
    """0.5 long, sold 0.8, bought back 0.3: the short in between is nobody's in the ledger."""
    entry = stage.opened("t-1", "0.5")
    crossing = stage.trade("sell", "0.8", at=hours_ago(3))
    stage.trade("buy", "0.3", at=hours_ago(2))
    report = stage.apply()
    assert entry != crossing
    assert told(report) == [("t-1", *APPLIED)]
    assert stage.backfills() == [("t-1", Decimal("0.5"), "filled")]


@pytest.mark.parametrize("exchange", CALLS)
def test_funding_on_the_way_is_no_exit(stage: Bench, exchange):
    stage.opened("t-1", "0.5", at=hours_ago(20))
    stage.world.charge_funding(
        account=PROFILE, symbol="BTC/USDT:USDT", rate=Decimal("0.0001"), at=hours_ago(10)
    )
    stage.trade("sell", "0.5", at=hours_ago(3))
    assert told(stage.apply()) == [("t-1", *APPLIED)]
    assert stage.apply(desk=stage.new_desk()).audit == ()
