"""Binance spot, simulated: balances that fills move, fills by day and then by id."""

from datetime import timedelta
from decimal import Decimal

import pytest

from unghost.adapters.exchange import Verdict
from unghost.demo.venue import Fault, FaultKind, running_venue
from unghost.demo.venue.binance_spot import SPOT_MARKETS
from unghost.demo.world import Part, World, to_ms
from unghost.model import Flatness, Money, Side, Window

BTC = "BTC/USDT"


@pytest.fixture
def world():
    made = World(markets=SPOT_MARKETS)
    made.open_account("main", api_key="k-1234567890", secret="s-0987654321", read_only=True)
    return made


@pytest.fixture
def account(connect, world):
    with running_venue(world) as venue:
        account = connect(
            venue.base_url,
            exchange="binance",
            market_type="spot",
            api_key="k-1234567890",
            secret="s-0987654321",
        )
        account.venue = venue
        yield account


@pytest.fixture
def venue(account):
    return account.venue


@pytest.fixture
def btc(account):
    return account.resolve(["BTCUSDT"])["BTCUSDT"]


def trade(world, side, quantity, at, **changes):
    wanted = {"price": Decimal(60000), **changes}
    return world.execute(
        account="main", symbol=BTC, side=side, quantity=Decimal(quantity), at=at, **wanted
    )


def position(account, market):
    return account.positions([market])[market.unified]


def read(account, market, window):
    return account.fills({market: window})[market.unified]


# Balances


def test_the_market_is_spot(btc):
    assert (btc.unified, btc.base, btc.spot, btc.contract_size) == (BTC, "BTC", True, 1)
    assert btc.minimum_quantity == Decimal("0.00001")


def test_nothing_held_is_flat(account, btc):
    assert position(account, btc).flatness is Flatness.FLAT


def test_what_was_bought_is_held_and_what_was_sold_is_not(account, btc, world, now):
    trade(world, "buy", "0.5", now - timedelta(hours=2))
    reading = position(account, btc)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal("0.5"))
    trade(world, "sell", "0.5", now - timedelta(hours=1))
    assert position(account, btc).flatness is Flatness.FLAT


def test_a_fee_in_the_asset_shortens_what_is_held(account, btc, world, now):
    fee = {"fee": Decimal("0.00050000"), "fee_currency": "BTC"}
    trade(world, "buy", "0.5", now - timedelta(hours=2), **fee)
    assert position(account, btc).size == Decimal("0.4995")


def test_what_an_order_keeps_is_held(account, btc, world):
    world.set_balance("main", "BTC", Decimal("0.3"))
    world.place_order(
        account="main", symbol=BTC, side="sell", quantity=Decimal("0.3"), price=Decimal(90000)
    )
    assert position(account, btc).size == Decimal("0.3")


@pytest.mark.parametrize(
    ("held", "flatness"), (("0.00000999", Flatness.FLAT), ("0.00001", Flatness.OPEN))
)
def test_the_smallest_amount_decides(account, btc, world, held, flatness):
    world.set_balance("main", "BTC", Decimal(held))
    assert position(account, btc).flatness is flatness


def test_another_holding_of_the_asset_is_not_flat_and_says_why(account, btc, world):
    world.set_balance("main", "BTC", Decimal(2))
    assert "a balance does not tell whose it is" in position(account, btc).detail


def test_flexible_savings_are_a_holding(account, btc, world):
    world.set_balance("main", "LDBTC", Decimal(2))
    assert position(account, btc).size == 2


@pytest.mark.parametrize(
    "fault",
    (
        Fault(kind=FaultKind.HTML, endpoint="account"),
        Fault(kind=FaultKind.EMPTY_OBJECT, endpoint="account"),
        Fault(kind=FaultKind.NULL, endpoint="account"),
        Fault(kind=FaultKind.KEEP_ROWS, endpoint="account", rows_kept=1),
        Fault(kind=FaultKind.DROP_FIELD, endpoint="account", field_name="locked"),
        Fault(kind=FaultKind.DUPLICATE_ROW, endpoint="account"),
        Fault(kind=FaultKind.SET_FIELD, endpoint="account", field_name="free", value="NaN"),
    ),
    ids=lambda fault: fault.kind,
)
def test_a_balance_that_is_not_whole_is_unknown(account, venue, world, fault):
    eth = account.resolve(["ETHUSDT"])["ETHUSDT"]
    venue.fault(fault)
    assert position(account, eth).flatness is Flatness.UNKNOWN


# Fills


def test_a_fill_arrives_whole(account, btc, world, window, now):
    at = now - timedelta(hours=30)
    fee = {"fee": Decimal("0.0005"), "fee_currency": "BTC"}
    (told,) = trade(world, "buy", "0.5", at, **fee)
    (fill,) = read(account, btc, window).fills
    assert (fill.side, fill.quantity, fill.price) == (Side.BUY, Decimal("0.5"), 60000)
    assert (fill.fill_id, fill.exchange_order_id) == (str(told.fill_id), told.order_id)
    assert fill.fees == (Money(currency="BTC", amount=Decimal("0.0005")),)
    assert fill.filled_at == at


def test_days_leave_no_gap_and_nothing_is_asked_twice(account, btc, venue, world, window):
    edge = timedelta(milliseconds=1)
    times = [window.start_at + timedelta(hours=24) * n for n in (1, 2)]
    for at in (window.start_at, *times, *(at - edge for at in times), window.end_at):
        trade(world, "buy", "0.1", at)
    reading = read(account, btc, window)
    assert (reading.complete, len(reading.fills)) == (True, 6)
    assert "startTime" in venue.requests("myTrades")[0].params
    assert [("fromId" in each.params) for each in venue.requests("myTrades")] == [False, True]


@pytest.mark.parametrize(("count", "pages"), ((0, 3), (1, 3), (1000, 3), (2300, 4)))
def test_pages_are_read_to_their_end(bench, count, pages):
    start = bench.now - timedelta(hours=72) + timedelta(milliseconds=1)
    if count:
        first = to_ms(bench.now) - 90_000_000
        part = Decimal("0.00100")
        parts = [Part(quantity=part, at=first + n // 3) for n in range(count)]
        trade(bench.world, "buy", part * count, first, parts=parts)
    reading = read(bench.account, bench.btc, Window(start_at=start, end_at=bench.now))
    assert (reading.complete, len(reading.fills), reading.pages) == (True, count, pages)


@pytest.mark.parametrize(
    "fault",
    (
        Fault(kind=FaultKind.EMPTY_OBJECT, endpoint="myTrades"),
        Fault(kind=FaultKind.CUT_JSON, endpoint="myTrades"),
        Fault(kind=FaultKind.DROP_FIELD, endpoint="myTrades", field_name="isBuyer"),
        Fault(kind=FaultKind.DROP_FIELD, endpoint="myTrades", field_name="orderId"),
        Fault(kind=FaultKind.SET_FIELD, endpoint="myTrades", field_name="qty", value="5"),
        Fault(kind=FaultKind.SET_FIELD, endpoint="myTrades", field_name="symbol", value="ETHUSDT"),
        Fault(kind=FaultKind.EMPTY_LIST, endpoint="myTrades", first_call=2),
    ),
    ids=lambda fault: f"{fault.kind} {fault.field_name}",
)
def test_fills_that_are_not_whole_are_incomplete(bench, fault):
    for hours in (70, 1):
        trade(bench.world, "buy", "0.5", bench.now - timedelta(hours=hours))
    bench.venue.fault(fault)
    reading = read(bench.account, bench.btc, bench.window)
    assert (reading.complete, reading.fills) == (False, ())


def test_client_ids_come_from_the_orders(account, btc, world, window, now):
    for hours, name in ((50, "bot-1"), (3, "bot-2")):
        trade(world, "buy", "0.5", now - timedelta(hours=hours), client_order_id=name)
    told = account.client_order_ids({btc: window})[BTC]
    assert sorted(told.values()) == ["bot-1", "bot-2"]


def test_an_order_made_before_the_window_is_told_where_it_filled_in_it(
    account, btc, world, window, now
):
    old = world.place_order(
        account="main",
        symbol=BTC,
        side="buy",
        quantity=Decimal(1),
        price=Decimal(60000),
        at=window.start_at - timedelta(days=3),
        client_order_id="bot-old",
    )
    trade(world, "buy", "0.5", now - timedelta(hours=3), order_id=old.order_id)
    assert read(account, btc, window).complete
    assert account.client_order_ids({btc: window})[BTC] == {old.order_id: "bot-old"}


# Examination


def test_the_key_is_examined(account, world):
    found = {each.name: each for each in account.check()}
    assert {each.verdict for each in found.values()} == {Verdict.OK}
    assert str(world.account("main").uid) in found["account"].detail
    assert found["key rights"].detail == "the key may only read"


def test_a_key_that_may_trade_is_a_warning(account, venue):
    body = '{"enableReading":true,"enableSpotAndMarginTrading":true}'
    venue.fault(Fault(kind=FaultKind.STATUS, endpoint="apiRestrictions", status=200, body=body))
    rights = {each.name: each for each in account.check()}["key rights"]
    assert rights.verdict is Verdict.WARN
