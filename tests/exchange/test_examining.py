"""What `unghost doctor` is told about the connection."""

import pytest

from unghost.adapters.exchange import Verdict
from unghost.demo.venue import Fault, FaultKind


def found(account):
    return {finding.name: finding for finding in account.check()}


def test_a_connection_that_works_is_fine_throughout(account):
    findings = found(account)
    assert list(findings) == [
        "exchange answers",
        "clock",
        "markets",
        "positions",
        "fills",
        "orders",
        "position mode",
        "account",
        "key rights",
    ]
    assert {finding.verdict for finding in findings.values()} == {Verdict.OK}
    assert "the key sees account main" in findings["account"].detail
    assert "one-way" in findings["position mode"].detail


def test_hedge_mode_is_told(account, world):
    world.set_mode("main", "hedge")
    assert "both sides of a symbol count" in found(account)["position mode"].detail


@pytest.mark.parametrize(
    ("skew_ms", "verdict"), ((0, Verdict.OK), (3000, Verdict.WARN), (-60_000, Verdict.FAIL))
)
def test_the_clocks_are_compared(account, venue, skew_ms, verdict):
    venue.skew(skew_ms)
    finding = found(account)["clock"]
    assert finding.verdict is verdict
    assert bool(finding.remedy) == (verdict is not Verdict.OK)
    assert ("behind" if skew_ms > 0 else "ahead of") in finding.detail or skew_ms == 0


def test_a_refused_key_is_told_with_a_remedy(connect, venue):
    finding = found(connect(venue.base_url, api_key="nobody's"))["positions"]
    assert finding.verdict is Verdict.FAIL
    assert "AuthenticationError" in finding.detail
    assert "check the key" in finding.remedy


def test_an_exchange_that_is_not_there_is_told(connect):
    findings = found(connect("http://127.0.0.1:9"))
    assert findings["exchange answers"].verdict is Verdict.FAIL
    assert findings["markets"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("base_url", "is_told"),
    (
        ("http://exchange.invalid", True),
        ("https://exchange.invalid", False),
        ("http://127.0.0.1:9", False),
    ),
)
def test_calls_that_others_could_read_and_answer_are_warned_of(connect, base_url, is_told):
    findings = found(connect(base_url, rate_limit_ms=None))
    assert ("encryption" in findings) == is_told
    if is_told:
        assert findings["encryption"].verdict is Verdict.WARN
        assert base_url in findings["encryption"].detail


def test_a_market_type_that_the_exchange_lacks_is_told(connect, venue):
    finding = found(connect(venue.base_url, market_type="spot"))["markets"]
    assert (finding.verdict, bool(finding.remedy)) == (Verdict.FAIL, True)


def test_fills_that_cannot_be_read_are_told(account, venue):
    venue.fault(Fault(kind=FaultKind.HTML, endpoint="userTrades"))
    assert found(account)["fills"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("body", "verdict", "says"),
    (
        ('{"enableReading":true,"enableFutures":true}', Verdict.WARN, "enableFutures"),
        ('{"enableReading":true,"enableWithdrawals":true}', Verdict.WARN, "enableWithdrawals"),
        ('{"enableReading":true,"enableFutures":false}', Verdict.OK, "may only read"),
        ("[]", Verdict.WARN, "not told"),
    ),
)
def test_a_key_that_may_trade_is_a_warning(account, venue, body, verdict, says):
    venue.fault(Fault(kind=FaultKind.STATUS, endpoint="apiRestrictions", status=200, body=body))
    finding = found(account)["key rights"]
    assert finding.verdict is verdict
    assert says in finding.detail


@pytest.mark.parametrize("endpoint", ("accountConfig", "balance"))
def test_what_is_not_told_is_a_warning(account, venue, endpoint):
    venue.fault(Fault(kind=FaultKind.EMPTY_OBJECT, endpoint=endpoint))
    assert sum(f.verdict is Verdict.WARN for f in found(account).values()) == 1


def test_a_mode_that_is_no_mode_is_a_warning(account, venue):
    body = '{"dualSidePosition":"maybe"}'
    venue.fault(Fault(kind=FaultKind.STATUS, endpoint="accountConfig", status=200, body=body))
    assert found(account)["position mode"].verdict is Verdict.WARN


def test_orders_that_cannot_be_read_are_told(account, venue):
    venue.fault(Fault(kind=FaultKind.HTML, endpoint="allOrders"))
    finding = found(account)["orders"]
    assert (finding.verdict, "Orders of" in finding.detail) == (Verdict.FAIL, True)
