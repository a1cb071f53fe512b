"""What is Bybit's own: kinds of executions, what they closed, fees, cursors and settle coins."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import DEFAULT_MARKETS, Listing, Market, World
from unghost.model import FillKind, Flatness, Money

BTC = "BTC/USDT:USDT"
EXECUTIONS, POSITIONS = "execution/list", "position/list"


@pytest.fixture
def account(connect, venue):
    return connect(venue.base_url, exchange="bybit")


@pytest.fixture
def btc(account):
    return account.resolve([BTC]).markets[BTC]


@pytest.fixture
def read(account, btc, window):
    return lambda: account.fills({btc: window})[BTC]


def trade(world, side, quantity, at, **more):
    return world.execute(
        account="main",
        symbol=BTC,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(65000),
        at=at,
        **more,
    )


def field(name, value, **more):
    return Fault(
        kind=FaultKind.SET_FIELD, endpoint=EXECUTIONS, field_name=name, value=value, **more
    )


@pytest.mark.parametrize("kind", ("MovePosition", "SessionSettlePnL", "UNKNOWN", "trade"))
def test_an_execution_of_a_type_that_closes_nobody_knows_what_is_a_doubt(
    read, world, venue, now, kind
):
    trade(world, "buy", "1", now - timedelta(hours=1))
    venue.fault(field("execType", kind))
    assert not read().complete
    assert f"an execution of type {kind}" in read().detail


@pytest.mark.parametrize(
    ("told", "kind"),
    (
        ("BlockTrade", FillKind.TRADE),
        ("FutureSpread", FillKind.TRADE),
        ("Delivery", FillKind.SETTLEMENT),
    ),
)
def test_rarer_types_are_known(read, world, venue, now, *, told, kind):
    trade(world, "buy", "1", now - timedelta(hours=2))
    trade(world, "sell", "1", now - timedelta(hours=1))
    venue.fault(field("execType", told))
    assert read().fills[1].kind is kind


def test_what_the_exchange_closes_itself_is_closed_wholly_even_if_it_tells_nothing(
    read, world, venue, now
):
    trade(world, "buy", "2", now - timedelta(hours=2))
    trade(world, "sell", "2", now - timedelta(hours=1), kind="liquidation")
    venue.fault(field("closedSize", "0"))
    assert read().fills[1].closed == Decimal(2)
    venue.clear_faults()
    venue.fault(field("closedSize", "1"))
    assert not read().complete


@pytest.mark.parametrize("value", ("-1", "2", "", None, "abc"))
def test_a_closed_size_that_cannot_be_is_a_doubt(read, world, venue, now, value):
    trade(world, "buy", "1", now - timedelta(hours=1))
    venue.fault(field("closedSize", value))
    assert not read().complete


@pytest.mark.parametrize(
    ("name", "value", "fees"),
    (
        ("feeCurrency", "MNT", (Money(currency="MNT", amount=Decimal("3.2")),)),
        ("feeCoin", "USDC", (Money(currency="USDC", amount=Decimal("3.2")),)),
        ("execFee", "-1.5", (Money(currency="USDT", amount=Decimal("-1.5")),)),
        ("execFee", None, None),
        ("extraFees", '[{"feeCoin":"USDT"}]', None),
    ),
)
def test_a_fee_is_in_the_currency_told_and_unknown_where_more_was_charged(
    read, world, venue, now, *, name, value, fees
):
    trade(world, "buy", "1", now - timedelta(hours=1), fee=Decimal("3.2"))
    venue.fault(field(name, value))
    reading = read()
    assert (reading.complete, reading.fills[0].fees) == (True, fees)


# --- cursors ------------------------------------------------------------------------------------


def test_a_page_without_rows_that_promises_more_is_a_doubt(
    read, account, btc, world, *, venue, now
):
    trade(world, "buy", "1", now - timedelta(hours=1))
    for endpoint in (EXECUTIONS, POSITIONS):
        venue.fault(Fault(kind=FaultKind.KEEP_ROWS, endpoint=endpoint, rows_kept=0))
    assert "says that more follows" in read().detail
    position = account.positions([btc])[BTC]
    assert position.flatness is Flatness.UNKNOWN
    assert "says that more follows" in position.detail


def answer(result):
    body = json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": 1})
    return Fault(kind=FaultKind.STATUS, endpoint=POSITIONS, status=200, body=body)


ROW = {"symbol": "ETHUSDT", "side": "Buy", "size": "1", "positionIdx": 0, "positionValue": "1"}


@pytest.mark.parametrize(
    ("result", "says"),
    (
        ({"category": "linear", "list": [ROW], "nextPageCursor": "a"}, "do not end"),
        ({"category": "linear", "list": []}, "does not say whether more follows"),
        ({"category": "inverse", "list": [], "nextPageCursor": ""}, "not about linear"),
        ({"category": "linear", "nextPageCursor": ""}, "did not answer with a list"),
        ({}, "not about linear"),
        (None, "has no result"),
        ([], "has no result"),
    ),
    ids=str,
)
def test_a_list_of_positions_in_another_shape_is_unknown(account, btc, venue, result, says):
    venue.fault(answer(result))
    reading = account.positions([btc])[BTC]
    assert reading.flatness is Flatness.UNKNOWN
    assert says in reading.detail


@pytest.mark.parametrize(
    "change",
    (
        {"side": "Long"},
        {"side": ""},
        {"size": "-1"},
        {"positionIdx": 3},
        {"positionIdx": None},
        {"positionIdx": 1, "side": "Sell"},
        {"positionIdx": 2, "side": "Buy"},
        {"size": "0", "symbol": "BTCUSDT", "positionValue": "5"},
    ),
    ids=str,
)
def test_a_row_that_contradicts_itself_is_unknown(account, btc, venue, change):
    rows = [{**ROW, **change}]
    venue.fault(answer({"category": "linear", "list": rows, "nextPageCursor": ""}))
    assert account.positions([btc])[BTC].flatness is Flatness.UNKNOWN


@pytest.mark.parametrize("side", ("", "None", "Buy", "Sell"))
def test_an_empty_row_of_any_side_is_flat(account, btc, venue, side):
    rows = [{**ROW, "symbol": "BTCUSDT", "size": "0", "side": side, "positionValue": ""}]
    venue.fault(answer({"category": "linear", "list": rows, "nextPageCursor": ""}))
    assert account.positions([btc])[BTC].flatness is Flatness.FLAT


def test_each_settle_coin_is_asked_for_by_itself(connect, venue, now):
    usdc = Market(
        symbol="ETH/USDC:USDC",
        base="ETH",
        quote="USDC",
        price_step=Decimal("0.01"),
        quantity_step=Decimal("0.01"),
        reference_price=Decimal(3200),
        listings=(Listing(venue="bybit", native_id="ETHPERP"),),
    )
    venue.world = World(markets=[*DEFAULT_MARKETS, usdc])
    opened = venue.world.open_account("main", api_key="k-of-usdc", secret="s-of-usdc")
    venue.world.execute(
        account="main", symbol=usdc.symbol, side="sell", quantity=Decimal(2), price=Decimal(3200)
    )
    account = connect(
        venue.base_url, exchange="bybit", api_key=opened.api_key, secret=opened.secret
    )
    markets = [one for one in account.resolve([BTC, usdc.symbol]).markets.values() if one]
    readings = account.positions(markets)
    assert readings[BTC].flatness is Flatness.FLAT
    assert readings[usdc.symbol].size == Decimal(2)
    asked = [request.params["settleCoin"] for request in venue.requests(POSITIONS)]
    assert asked == ["USDC", "USDC", "USDT"]


# --- examination --------------------------------------------------------------------------------


@pytest.mark.parametrize(("read_only", "verdict"), ((True, "ok"), (False, "warn")))
def test_a_key_that_may_trade_is_a_warning(connect, venue, read_only, verdict):
    venue.world.open_account("other", api_key="k-other", secret="s-other", read_only=read_only)
    account = connect(venue.base_url, exchange="bybit", api_key="k-other", secret="s-other")
    findings = {one.name: one for one in account.check()}
    assert str(findings["key rights"].verdict) == verdict
    assert str(venue.world.account("other").uid) in findings["account"].detail
