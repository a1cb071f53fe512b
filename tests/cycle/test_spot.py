"""Spot, the whole way: the ledger in PostgreSQL, Binance spot over HTTP, balances for positions."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.cycle.bench import (
    ACCOUNT,
    MARKETS,
    PROFILE,
    QUICK,
    Bench,
    batch_id,
    desk_at,
    hours_ago,
    sentence,
    told,
)

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount
from unghost.cycle import detect_ghosts, go_no_go
from unghost.demo.venue import Fault, FaultKind
from unghost.demo.venue.binance_spot import SPOT_MARKETS
from unghost.demo.world import World
from unghost.model import Reason
from unghost.rollback import reinstate, roll_back

BTC = "BTC/USDT"
BOUGHT = "0.51307"
FEE = Decimal("0.00307")
SOLD = "0.51"


@pytest.fixture
def spot(bench: Bench) -> Bench:
    """The bench at Binance spot."""
    bench.venue.world = World(markets=SPOT_MARKETS)
    bench.world.open_account(PROFILE, read_only=True)
    spec = ConnectionSpec(
        exchange="binance",
        market_type="spot",
        api_key=f"{PROFILE}-key",
        secret=f"{PROFILE}-secret",
        base_url=bench.venue.base_url,
        account=ACCOUNT,
        timeout_seconds=5,
        rate_limit_ms=1,
    )
    account = ExchangeAccount(spec, cache=MARKETS, policy=QUICK)
    bench.accounts.append(account)
    bench.desk = desk_at(bench.database, account)
    bench.pause()
    return bench


def bought(spot: Bench, trade_id: str, quantity: str = BOUGHT, **more) -> str:
    """A purchase that the bot booked as the exchange filled it, its fee left in."""
    at = more.pop("at", hours_ago(5))
    order = spot.trade("buy", quantity, symbol=BTC, at=at, **more)
    spot.book(trade_id, "ENTRY", quantity, at=at, exchange_order_id=order)
    return order


def test_a_fee_in_the_asset_comes_out(spot):
    bought(spot, "t-1", fee=FEE, fee_currency="BTC")
    sale = spot.trade("sell", SOLD, symbol=BTC, at=hours_ago(3), price="41000")

    before = spot.digest()
    plan = spot.dry_run()
    assert told(plan) == [
        ("t-1", "DRY_RUN", "base_fee_remainder"),
        ("t-1", "DRY_RUN", "fill_evidence"),
    ]
    assert spot.digest() == before
    assert go_no_go(spot.desk, batch_id(plan)).go

    applied = spot.apply(batch_id(plan))
    assert [decision for _, decision, _ in told(applied)] == ["APPLIED", "APPLIED"]
    assert spot.backfills() == [("t-1", FEE, "filled"), ("t-1", Decimal(SOLD), "filled")]
    assert spot.rows(
        "SELECT exchange_order_id FROM orders WHERE order_id LIKE 'BFILL-%%' AND quantity = %s",
        Decimal(SOLD),
    ) == [(sale,)]
    assert detect_ghosts(spot.desk) == ()
    assert spot.apply().audit == ()

    roll_back(spot.desk, batch_id(applied), actor="tester")
    assert len(detect_ghosts(spot.desk)) == 1
    reinstate(spot.desk, batch_id(applied), actor="tester")
    assert detect_ghosts(spot.desk) == ()


def test_a_fee_in_another_currency_leaves_the_remainder_open(spot):
    bought(spot, "t-1", fee=Decimal("0.02"), fee_currency="BNB")
    spot.trade("sell", SOLD, symbol=BTC, at=hours_ago(3))
    spot.world.set_balance(PROFILE, "BTC", -FEE)  # what was not sold went elsewhere
    report = spot.apply()
    assert told(report) == [
        ("t-1", "APPLIED", "fill_evidence"),
        ("t-1", "NO_GO", "missing_fill_evidence_for_large_remainder"),
    ]
    assert spot.closed_by_us() == Decimal(SOLD)


def test_a_fee_whose_sale_the_bot_booked_is_all_that_is_left(spot):
    bought(spot, "t-1", fee=FEE, fee_currency="BTC")
    sale = spot.trade("sell", SOLD, symbol=BTC, at=hours_ago(3))
    spot.book("t-1", "EXIT", SOLD, at=hours_ago(3), exchange_order_id=sale)
    assert told(spot.apply()) == [("t-1", "APPLIED", "base_fee_remainder")]
    assert detect_ghosts(spot.desk) == ()


@pytest.mark.parametrize("held", ("0.51", "0.00001", "-0.6"))
def test_an_asset_that_is_held_for_whatever_reason_is_not_flat(spot, held):
    bought(spot, "t-1")
    spot.trade("sell", BOUGHT, symbol=BTC, at=hours_ago(3))
    spot.world.set_balance(PROFILE, "BTC", Decimal(held))
    report = spot.apply()
    assert told(report) == [("t-1", "NO_GO", "exchange_not_flat")]
    assert "a balance does not tell whose it is" in sentence(report)
    assert spot.backfills() == []


def test_less_than_the_market_trades_does_not_stop_the_repair(spot):
    bought(spot, "t-1", "0.5")
    spot.trade("sell", "0.5", symbol=BTC, at=hours_ago(3))
    spot.world.set_balance(PROFILE, "BTC", Decimal("0.00000999"))
    assert told(spot.apply()) == [("t-1", "APPLIED", "fill_evidence")]


def test_a_holding_that_appears_before_the_write_stops_it(spot):
    bought(spot, "t-1", "0.5")
    spot.trade("sell", "0.5", symbol=BTC, at=hours_ago(3))
    spot.venue.before(
        "account", lambda world: world.set_balance(PROFILE, "BTC", Decimal(1)), call=3
    )
    report = spot.apply()
    assert [row.reason for row in report.audit] == [Reason.EXCHANGE_NOT_FLAT]
    assert spot.backfills() == []


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    (("account", "exchange_state_unknown"), ("myTrades", "fill_evidence_incomplete")),
)
@pytest.mark.parametrize("kind", (FaultKind.HTML, FaultKind.EMPTY_OBJECT, FaultKind.STATUS))
def test_a_fault_is_doubt_and_the_next_cycle_repairs(spot, endpoint, reason, kind):
    bought(spot, "t-1", "0.5")
    spot.trade("sell", "0.5", symbol=BTC, at=hours_ago(3))
    spot.venue.fault(Fault(kind=kind, endpoint=endpoint))
    assert told(spot.apply()) == [("t-1", "NO_GO", reason)]
    spot.venue.clear_faults()
    assert told(spot.apply()) == [("t-1", "APPLIED", "fill_evidence")]
