"""What cannot be read exactly is not read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from ccxt.base.precise import Precise

from unghost.adapters.exchange.bounds import bound_exponents, require_few_decimals
from unghost.adapters.exchange.failures import ReadFailed
from unghost.adapters.exchange.strict import FillSet, digest, exact, fill_of, moment, rows_of, to_ms
from unghost.demo.venue import Fault, FaultKind
from unghost.model import Flatness, Market, Money, Side, Window

MARKET = Market(
    unified="DOGE/USDT:USDT",
    native_id="DOGE",
    base="DOGE",
    quote="USDT",
    contract_size=Decimal(100),
)
TRADE: dict[str, Any] = {
    "info": {"id": "7", "price": "0.03881"},
    "id": "7",
    "order": "70",
    "timestamp": 1769949296789,
    "symbol": "DOGE/USDT:USDT",
    "side": "sell",
    "price": "0.03881",
    "amount": "12",
    "cost": "46.572",
    "fee": {"cost": "0.02", "currency": "USDT"},
    "fees": [],
}


def test_failures_8_twelve_contracts_of_size_100_are_1200_base_units():
    fill = fill_of(TRADE, MARKET)
    assert (fill.quantity, fill.price, fill.side) == (Decimal(1200), Decimal("0.03881"), Side.SELL)
    assert fill.filled_at == datetime(2026, 2, 1, 12, 34, 56, 789000, tzinfo=UTC)
    assert fill.fees == (Money(currency="USDT", amount=Decimal("0.02")),)


@pytest.mark.parametrize("cost", ("46.572", "46.57", "46.6", "47", None))
def test_a_rounded_cost_is_no_contradiction(cost):
    assert fill_of({**TRADE, "cost": cost}, MARKET).quantity == Decimal(1200)


@pytest.mark.parametrize("cost", ("0.46572", "4657.2", "139.716", "15.524", "-46.572", "49"))
def test_failures_8_a_cost_in_another_unit_is_refused(cost):
    with pytest.raises(ReadFailed, match="unit is in doubt"):
        fill_of({**TRADE, "cost": cost}, MARKET)


def test_the_tiny_cost_of_a_tiny_fill_may_be_rounded():
    tiny = {**TRADE, "amount": "1", "price": "0.0000012345", "cost": "0.0001"}
    assert fill_of(tiny, MARKET).quantity == Decimal(100)


@pytest.mark.parametrize(
    "change",
    (
        {"id": None},
        {"id": ""},
        {"order": None},
        {"side": None},
        {"side": "Buy"},
        {"symbol": None},
        {"symbol": "DOGE/USDT"},
        {"timestamp": None},
        {"timestamp": 1769949296.789},
        {"timestamp": True},
        {"timestamp": 0},
        {"timestamp": 1769949296789000},
        {"amount": None},
        {"amount": "-1"},
        {"amount": 12.0},
        {"price": "1e999999999"},
        {"price": True},
        {"fee": {"cost": "x", "currency": "USDT"}},
    ),
    ids=str,
)
def test_a_fill_lacking_anything_is_refused(change):
    with pytest.raises(ReadFailed):
        fill_of({**TRADE, **change}, MARKET)


@pytest.mark.parametrize(
    "change",
    (
        {"fee": None},
        {"fee": {"cost": None, "currency": "USDT"}},
        {"fee": {"cost": "1", "currency": None}},
        {"fees": [{"cost": "1", "currency": "BNB"}, {"cost": None, "currency": "USDT"}]},
    ),
    ids=str,
)
def test_a_fee_not_told_in_full_is_unknown(change):
    assert fill_of({**TRADE, **change}, MARKET).fees is None


def test_fees_of_several_currencies_stay_apart():
    fees = [{"cost": "0.05", "currency": "BNB"}, {"cost": "-0.06", "currency": "USDT"}]
    assert fill_of({**TRADE, "fees": fees}, MARKET).fees == (
        Money(currency="BNB", amount=Decimal("0.05")),
        Money(currency="USDT", amount=Decimal("-0.06")),
    )


@pytest.mark.parametrize("value", (0.1, None, "", "x", "NaN", "-Infinity", True, [], "1_0 0"))
def test_what_is_no_exact_number_is_refused(value):
    with pytest.raises(ReadFailed):
        exact(value, "it")


def test_numbers_keep_every_digit():
    assert str(exact("0.1000000000000000055511151231257827", "it")).endswith("7827")
    assert exact(12, "it") == Decimal(12)


@pytest.mark.parametrize("answer", ({}, None, "[]", [1], [[]], [{}, None]))
def test_what_is_no_list_of_objects_is_no_empty_list(answer):
    with pytest.raises(ReadFailed, match="fills"):
        rows_of(answer, "fills")


def test_milliseconds_there_and_back():
    assert to_ms(moment(1769949296789, "it")) == 1769949296789
    assert to_ms(datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)) == 1


def test_a_digest_knows_contents_and_not_the_order_of_keys():
    assert digest({"a": 1, "b": "2"}) == digest({"b": "2", "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})


def fill(**changes):
    return fill_of({**TRADE, **changes, "info": {**TRADE["info"], **changes}}, MARKET)


def test_failures_9_each_of_five_parts_makes_another_fill():
    fills = FillSet("desk-1")
    fills.add([fill(), fill(), fill(id="8"), fill(order="71"), fill(side="buy")])
    assert len(fills) == 4


def test_one_key_with_two_contents_is_refused():
    fills = FillSet("desk-1")
    fills.add([fill()])
    with pytest.raises(ReadFailed, match="fill 7 of order 70 came twice"):
        fills.add([fill(amount="13", cost=None)])


def test_fills_of_a_window_come_oldest_first_both_ends_included():
    start = moment(TRADE["timestamp"], "it")
    fills = FillSet("desk-1")
    for number in (3, 1, 2, 0):
        fills.add([fill(id=str(number), timestamp=TRADE["timestamp"] + number)])
    window = Window(
        start_at=start + timedelta(milliseconds=1), end_at=start + timedelta(milliseconds=2)
    )
    assert [each.fill_id for each in fills.within(window)] == ["1", "2"]


@pytest.mark.parametrize("value", ("0E+999999999", "0e-999999999", "1e-31", "1." + "1" * 60))
def test_a_number_that_would_fill_pages_is_refused(value):
    with pytest.raises(ReadFailed, match="beyond any size"):
        exact(value, "size")


def test_contracts_become_base_units_with_every_digit():
    amount = "123456789." + "1" * 30
    fill = fill_of({**TRADE, "amount": amount, "cost": None}, MARKET)
    assert fill.quantity == Decimal("12345678911." + "1" * 28)


@pytest.mark.parametrize("value", ("1e9999", "1E-9999", "2e+99999", "1e" + "9" * 5000))
def test_ccxt_refuses_an_exponent_before_it_reckons(value):
    """It would make an integer of that many digits, and nothing could interrupt it."""
    bound_exponents()
    bound_exponents()
    with pytest.raises(ReadFailed, match="exponent beyond"):
        Precise(value)
    assert str(Precise("1.5e3")) == "1500"
    assert Precise.string_mul("1e-0008", "2") == "0.00000002"


@pytest.mark.parametrize("precision", ("101", "-101", 2**31))
def test_a_precision_of_many_decimals_is_refused(precision):
    with pytest.raises(ReadFailed, match="precision"):
        require_few_decimals(precision)
    for usual in ("8", "-2", None):
        require_few_decimals(usual)


def test_a_name_that_is_told_twice_is_no_answer(account, btc, venue):
    body = '[{"symbol": "BTCUSDT", "positionAmt": "0.5", "positionAmt": "0"}]'
    venue.fault(Fault(kind=FaultKind.STATUS, endpoint="positionRisk", status=200, body=body))
    reading = account.positions([btc])["BTC/USDT:USDT"]
    assert reading.flatness is Flatness.UNKNOWN
    assert "was not a JSON object or list" in reading.detail
