"""Flat is a positive, fresh, complete answer: everything else is open or unknown."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.exchange.conftest import KEY, SECRET

from unghost.demo.venue import Fault, FaultKind, running_venue
from unghost.demo.world import Listing, Market, World
from unghost.model import Flatness, PositionLeg, PositionSide

BTC = "BTC/USDT:USDT"


def held(world, quantity, **changes):
    world.override_position(account="main", symbol=BTC, quantity=Decimal(quantity), **changes)


def read(account, market):
    return account.positions([market])[market.unified]


def test_a_symbol_that_a_whole_list_leaves_out_is_flat_and_says_why(account, btc):
    before = datetime.now(UTC)
    reading = read(account, btc)
    assert (reading.flatness, reading.size, reading.legs) == (Flatness.FLAT, Decimal(0), ())
    assert "no row of BTCUSDT in a well-formed list" in reading.detail
    assert before <= reading.as_of <= datetime.now(UTC)


def test_a_row_of_zero_is_flat(account, btc, world):
    world.place_order(
        account="main", symbol=BTC, side="buy", quantity=Decimal(1), price=Decimal(60000)
    )
    reading = read(account, btc)
    assert (reading.flatness, reading.size) == (Flatness.FLAT, Decimal(0))
    assert "every row" in reading.detail


@pytest.mark.parametrize("quantity", ("0.5", "-0.5", "0.001"))
def test_a_row_that_is_not_zero_is_open(account, btc, world, quantity):
    held(world, quantity)
    reading = read(account, btc)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, abs(Decimal(quantity)))
    assert reading.legs == (PositionLeg(position_side=None, quantity=Decimal(quantity)),)


def test_failures_3_two_legs_whose_net_is_zero_are_open(account, btc, world):
    world.set_mode("main", "hedge")
    held(world, "2", position_side="long")
    held(world, "-2", position_side="short")
    reading = read(account, btc)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal(4))
    assert set(reading.legs) == {
        PositionLeg(position_side=PositionSide.LONG, quantity=Decimal(2)),
        PositionLeg(position_side=PositionSide.SHORT, quantity=Decimal(2)),
    }


def test_a_row_without_an_entry_price_which_ccxt_drops_is_open(account, btc, world):
    held(world, "1", entry_price=Decimal(0))
    assert read(account, btc).flatness is Flatness.OPEN


def test_a_row_without_a_notional_is_open_for_all_that(account, btc, world, venue):
    held(world, "1")
    venue.fault(
        Fault(kind=FaultKind.SET_FIELD, endpoint="positionRisk", field_name="notional", value="0")
    )
    assert read(account, btc).flatness is Flatness.OPEN


def test_failures_4_a_zero_beside_a_notional_is_unknown(account, btc, world, venue):
    held(world, "1")
    venue.fault(
        Fault(
            kind=FaultKind.SET_FIELD, endpoint="positionRisk", field_name="positionAmt", value="0"
        )
    )
    reading = read(account, btc)
    assert (reading.flatness, reading.size) == (Flatness.UNKNOWN, None)
    assert "positionAmt is 0, but the notional is" in reading.detail


@pytest.mark.parametrize(
    ("side", "amount"), (("BOTH", "-1"), ("LONG", "-1"), ("SHORT", "0.0")), ids=str
)
def test_a_row_that_contradicts_itself_is_unknown(bench, side, amount):
    held(bench.world, "1")
    for field, value in (("positionSide", side), ("positionAmt", amount)):
        bench.venue.fault(
            Fault(kind=FaultKind.SET_FIELD, endpoint="positionRisk", field_name=field, value=value)
        )
    assert read(bench.account, bench.btc).flatness is Flatness.UNKNOWN


@pytest.mark.parametrize("kind", (FaultKind.DUPLICATE_ROW, FaultKind.CONTRADICT_ROW))
def test_a_side_told_twice_is_unknown(account, btc, world, venue, kind):
    held(world, "1")
    venue.fault(Fault(kind=kind, endpoint="positionRisk", field_name="positionAmt", value="0"))
    reading = read(account, btc)
    assert reading.flatness is Flatness.UNKNOWN
    assert "lists a side of BTCUSDT twice" in reading.detail


@pytest.mark.parametrize("field", ("symbol", "positionAmt", "positionSide"))
def test_one_row_without_a_needed_field_makes_every_market_unknown(
    account, btc, world, venue, field
):
    held(world, "1")
    eth = account.resolve(["ETHUSDT"])["ETHUSDT"]
    venue.fault(Fault(kind=FaultKind.DROP_FIELD, endpoint="positionRisk", field_name=field))
    readings = account.positions([btc, eth])
    assert {each.flatness for each in readings.values()} == {Flatness.UNKNOWN}
    assert all("Positions at binanceusdm could not be read" in r.detail for r in readings.values())


@pytest.mark.parametrize(
    ("field", "value"),
    (
        *(("positionAmt", value) for value in ("", "abc", "NaN", "Infinity", None)),
        *(("positionSide", value) for value in ("", "both", None)),
        *(("symbol", value) for value in ("", None)),
    ),
)
def test_a_field_that_cannot_be_read_is_unknown(bench, field, value):
    held(bench.world, "1")
    bench.venue.fault(
        Fault(kind=FaultKind.SET_FIELD, endpoint="positionRisk", field_name=field, value=value)
    )
    assert read(bench.account, bench.btc).flatness is Flatness.UNKNOWN


def test_all_markets_take_one_call(account, btc, venue):
    markets = [m for m in account.resolve(["ETHUSDT", "SOLUSDT", "XRPUSDT"]).values() if m]
    venue.clear_requests()
    assert len(account.positions([btc, *markets])) == 4
    assert [request.path for request in venue.requests()] == ["/fapi/v3/positionRisk"]
    assert "symbol" not in venue.requests()[0].params


def test_no_markets_take_no_call(account, venue):
    assert account.positions([]) == {}
    assert venue.requests() == ()


def test_a_first_read_without_resolve_loads_the_markets_once(connect, venue, btc):
    fresh = connect(venue.base_url)
    venue.clear_requests()
    assert read(fresh, btc).flatness is Flatness.FLAT
    assert read(fresh, btc).flatness is Flatness.FLAT
    assert [r.endpoint for r in venue.requests()] == [
        "exchangeInfo",
        "positionRisk",
        "positionRisk",
    ]


def test_positions_come_in_base_units(connect, now):
    listing = Listing(venue="binanceusdm", native_id="BTCUSDT")
    market = Market(
        symbol=BTC,
        base="BTC",
        quote="USDT",
        price_step=Decimal("0.1"),
        quantity_step=Decimal("0.001"),
        reference_price=Decimal(65000),
        listings=(listing,),
    )
    world = World(markets=[market])
    world.open_account("main", api_key=KEY, secret=SECRET)
    held(world, "12")
    with running_venue(world) as venue:
        account = connect(venue.base_url)
        resolved = account.resolve(["BTCUSDT"])["BTCUSDT"]
        # This venue has no contracts of another size than 1, so the size is put on here.
        hundred = type(resolved)(
            unified=resolved.unified,
            native_id=resolved.native_id,
            base="BTC",
            quote="USDT",
            contract_size=Decimal(100),
        )
        assert read(account, hundred).size == Decimal(1200)
