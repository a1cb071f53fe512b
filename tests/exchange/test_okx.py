"""What is OKX's own: contracts, bills, margin modes, and what the exchange closed itself."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from unghost.demo.venue import Fault, FaultKind
from unghost.model import FillKind, Flatness

DOGE = "DOGE/USDT:USDT"
INSTRUMENTS, FILLS, POSITIONS = "public/instruments", "fills-history", "account/positions"


@pytest.fixture
def account(connect, venue):
    return connect(venue.base_url, exchange="okx")


@pytest.fixture
def doge(account):
    return account.resolve([DOGE]).markets[DOGE]


@pytest.fixture
def read(account, doge, window):
    return lambda: account.fills({doge: window})[DOGE]


def trade(world, side, at, **more):
    wanted = {"quantity": Decimal(12000), "price": Decimal("0.16"), **more}
    return world.execute(account="main", symbol=DOGE, side=side, at=at, **wanted)


def field(name, value, endpoint=FILLS):
    return Fault(
        kind=FaultKind.SET_FIELD, endpoint=endpoint, field_name=name, value=value, row=None
    )


@pytest.mark.parametrize(
    ("name", "value"), (("ctMult", "10"), ("ctValCcy", "USD"), ("ctMult", "abc"))
)
def test_contracts_of_a_unit_in_doubt_are_not_read(
    connect, venue, window, world, *, now, name, value
):
    trade(world, "buy", now - timedelta(hours=1))
    venue.fault(field(name, value, INSTRUMENTS))
    account = connect(venue.base_url, exchange="okx")
    market = account.resolve([DOGE]).markets[DOGE]
    reading = account.fills({market: window})[DOGE]
    assert (reading.complete, reading.fills) == (False, ())
    assert ("the unit is in doubt" in reading.detail) == (value != "abc")


def test_a_contract_size_that_changed_meanwhile_is_noticed_by_the_fees(read, world, venue, now):
    """1000 base units a contract as listed, 100 as filled: the fee over its rate tells."""
    trade(world, "buy", now - timedelta(hours=1))
    venue.fault(field("fillSz", "120"))
    assert "the unit is in doubt" in read().detail


@pytest.mark.parametrize(
    ("name", "value"), (("feeRate", ""), ("feeRate", "0"), ("feeCcy", "OKB"), ("fee", "-0.0000001"))
)
def test_where_fee_and_rate_tell_nothing_the_fill_is_read_all_the_same(
    read, world, venue, now, *, name, value
):
    trade(world, "buy", now - timedelta(hours=1))
    venue.fault(field(name, value))
    assert [fill.quantity for fill in read().fills] == [Decimal(12000)]


@pytest.mark.parametrize("value", ("", None))
def test_a_fill_without_a_trade_id_goes_by_its_bill(read, world, venue, now, value):
    (told,) = trade(world, "buy", now - timedelta(hours=1))
    venue.fault(field("tradeId", value))
    assert [fill.fill_id for fill in read().fills] == [str(told.record_id)]


@pytest.mark.parametrize(
    ("told", "kind"),
    (
        ("100", FillKind.LIQUIDATION),
        ("128", FillKind.DELEVERAGE),
        ("112", FillKind.SETTLEMENT),
        ("1", FillKind.TRADE),
        ("", FillKind.TRADE),
    ),
)
def test_the_subtype_tells_who_caused_a_fill(read, world, venue, now, *, told, kind):
    trade(world, "buy", now - timedelta(hours=1))
    venue.fault(field("subType", told))
    assert read().fills[0].kind is kind


@pytest.mark.parametrize("bill", ("abc", "-5", "", None, "7"))
def test_bills_that_do_not_fall_are_a_doubt(read, world, venue, now, bill):
    for hours in (2, 1):
        trade(world, "buy", now - timedelta(hours=hours))
    venue.fault(field("billId", bill))
    assert not read().complete


def test_pages_that_repeat_for_ever_are_a_doubt(read, world, venue, now):
    """The second page is the first one again."""
    trade(world, "buy", now - timedelta(hours=1))
    first = requests_first(venue, read)
    body = json.dumps({"code": "0", "msg": "", "data": first})
    venue.fault(Fault(kind=FaultKind.STATUS, endpoint=FILLS, status=200, body=body))
    assert "does not go on from id" in read().detail


def requests_first(venue, read):
    """The raw row of the one fill, as the exchange would tell it."""
    fill = read().fills[0]
    (true,) = venue.world.fills("main", DOGE)
    return [
        {
            "instType": "SWAP",
            "instId": "DOGE-USDT-SWAP",
            "tradeId": fill.fill_id,
            "ordId": fill.exchange_order_id,
            "billId": str(true.record_id),
            "clOrdId": "",
            "side": "buy",
            "posSide": "net",
            "fillSz": "12",
            "fillPx": "0.16",
            "fee": "-1",
            "feeCcy": "USDT",
            "ts": str(true.at),
        }
    ]


# --- positions ----------------------------------------------------------------------------------


def rows(*changes):
    data = [
        {
            "instType": "SWAP",
            "instId": "DOGE-USDT-SWAP",
            "posId": str(number),
            "posSide": "net",
            "pos": "3",
            "mgnMode": "cross",
            "notionalUsd": "480",
            "lever": "3",
            **change,
        }
        for number, change in enumerate(changes, start=1)
    ]
    body = json.dumps({"code": "0", "msg": "", "data": data})
    return Fault(kind=FaultKind.STATUS, endpoint=POSITIONS, status=200, body=body)


def position(account, market):
    return account.positions([market])[DOGE]


def test_cross_and_isolated_margin_count_both(account, doge, venue):
    venue.fault(rows({}, {"mgnMode": "isolated", "pos": "-3"}))
    reading = position(account, doge)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal(6000))


@pytest.mark.parametrize("pos", ("2", "-2"))
def test_a_short_of_hedge_mode_is_open_however_it_is_signed(account, doge, venue, pos):
    venue.fault(rows({"posSide": "short", "pos": pos}))
    reading = position(account, doge)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal(2000))
    assert [(str(leg.position_side), leg.quantity) for leg in reading.legs] == [("short", 2000)]


def test_a_row_of_zero_is_flat(account, doge, venue):
    venue.fault(rows({"pos": "0", "notionalUsd": ""}))
    assert position(account, doge).flatness is Flatness.FLAT


@pytest.mark.parametrize(
    "change",
    (
        {"pos": "0"},
        {"pos": ""},
        {"posSide": "both"},
        {"posSide": "long", "pos": "-1"},
        {"instType": "MARGIN"},
        {"instId": ""},
        {"posId": None},
    ),
    ids=str,
)
def test_a_row_that_cannot_be_is_unknown(account, doge, venue, change):
    venue.fault(rows(change))
    assert position(account, doge).flatness is Flatness.UNKNOWN


# --- examination --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "read_only", "says", "verdict"),
    (("hedge", True, "hedge mode", "ok"), ("one_way", False, "one-way mode", "warn")),
)
def test_mode_account_and_rights_are_told(connect, venue, mode, read_only, *, says, verdict):
    made = venue.world.open_account(
        "other", api_key="k-other", secret="s-other", password="p-o", read_only=read_only, mode=mode
    )
    account = connect(
        venue.base_url, exchange="okx", api_key="k-other", secret="s-other", password="p-o"
    )
    findings = {one.name: one for one in account.check()}
    assert says in findings["position mode"].detail
    assert str(made.uid) in findings["account"].detail
    assert str(findings["key rights"].verdict) == verdict
