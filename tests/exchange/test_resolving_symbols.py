"""A ledger's symbol means one market of the profile's type, or nothing."""

from decimal import Decimal
from typing import Any

import pytest

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount, InProcessMarkets
from unghost.adapters.exchange.markets import market_of, names_of, resolution
from unghost.demo.venue import Fault, FaultKind, running_venue
from unghost.demo.world import DEFAULT_MARKETS, Listing, Market, World

SWAP: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "id": "BTCUSDT",
    "base": "BTC",
    "quote": "USDT",
    "swap": True,
    "spot": False,
    "linear": True,
    "contractSize": "0.01",
    "limits": {"amount": {"min": "2"}},
}
SPOT: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "id": "BTCUSDT",
    "base": "BTC",
    "quote": "USDT",
    "swap": False,
    "spot": True,
    "linear": None,
    "contractSize": None,
    "limits": {"amount": {"min": None}},
}


def test_native_ids_and_unified_symbols_resolve_to_the_same_market(account):
    found = account.resolve(["BTCUSDT", "BTC/USDT:USDT"])
    market = found["BTCUSDT"]
    assert market == found["BTC/USDT:USDT"]
    assert (market.unified, market.native_id) == ("BTC/USDT:USDT", "BTCUSDT")
    assert (market.base, market.quote, market.spot) == ("BTC", "USDT", False)
    assert (market.contract_size, market.minimum_quantity) == (Decimal(1), Decimal("0.001"))
    assert set(market.spellings) == {"BTCUSDT", "BTC/USDT:USDT"}


@pytest.mark.parametrize("name", ("btcusdt", "BTC/USDT", "BTC-USDT-SWAP", "BTC/USD:BTC", "", " "))
def test_nothing_is_guessed(account, name):
    found = account.resolve([name])
    assert found == {name: None}
    assert found.why_not(name) == (
        f"The symbol {name!r} does not resolve: binanceusdm has no linear perpetual of that name."
    )


@pytest.mark.parametrize("fault", (FaultKind.HTML, FaultKind.EMPTY_OBJECT, FaultKind.RESET))
def test_an_exchange_that_does_not_answer_is_not_an_unknown_symbol(account, venue, fault):
    venue.fault(Fault(kind=fault, endpoint="exchangeInfo"))
    found = account.resolve(["BTCUSDT", "NEWUSDT"])
    assert found == {"BTCUSDT": None, "NEWUSDT": None}
    for name in found:
        assert "could not be read" in found.why_not(name)
        assert "does not resolve" not in found.why_not(name)
    venue.clear_faults()
    assert account.resolve(["BTCUSDT"])["BTCUSDT"] is not None


def test_a_mistake_of_ours_is_no_unknown_symbol_either(account, monkeypatch):
    async def mistaken(self, *, reload=False):
        raise ZeroDivisionError("with a secret-of-desk-1 in it")

    monkeypatch.setattr(ExchangeAccount, "_names", mistaken)
    assert account.resolve(["BTCUSDT"]).why_not("BTCUSDT") == (
        "The list of markets could not be read: ZeroDivisionError: with a [hidden] in it."
    )


def test_what_was_not_asked_has_no_answer(account):
    found = account.resolve(["BTCUSDT"])
    assert len(found) == 1
    assert found.why_not("ETHUSDT") == "The symbol ETHUSDT was not looked up."


def test_an_unknown_symbol_makes_the_list_be_read_anew_once(account, venue):
    account.resolve(["BTCUSDT", "ETHUSDT"])
    assert len(venue.requests("exchangeInfo")) == 1
    for _ in range(3):
        account.resolve(["BTCUSDT", "NEWUSDT"])
    assert len(venue.requests("exchangeInfo")) == 2


def test_a_market_listed_meanwhile_is_found(connect):
    known = World(markets=DEFAULT_MARKETS[:1])
    with running_venue(known) as venue:
        account = connect(venue.base_url)
        assert account.resolve(["BTCUSDT"])["BTCUSDT"] is not None
        venue.world = World(
            markets=[
                *DEFAULT_MARKETS[:1],
                Market(
                    symbol="NEW/USDT:USDT",
                    base="NEW",
                    quote="USDT",
                    price_step=Decimal("0.1"),
                    quantity_step=Decimal("0.1"),
                    reference_price=Decimal(1),
                    listings=(Listing(venue="binanceusdm", native_id="NEWUSDT"),),
                ),
            ]
        )
        assert account.resolve(["NEWUSDT"])["NEWUSDT"] is not None


def test_a_list_kept_elsewhere_saves_the_call(connect, venue):
    cache = InProcessMarkets()
    for _ in range(2):
        assert connect(venue.base_url, cache=cache).resolve(["BTCUSDT"])["BTCUSDT"] is not None
    assert len(venue.requests("exchangeInfo")) == 1


def test_no_symbols_take_no_call(account, venue):
    assert account.resolve([]) == {}
    assert venue.requests() == ()


def test_the_market_type_decides_which_market_a_native_id_means():
    listing = {"a": SWAP, "b": SPOT}
    swap, spot = (names_of(listing, kind)["BTCUSDT"] for kind in ("swap", "spot"))
    assert swap is not None
    assert spot is not None
    assert (swap.unified, swap.contract_size, swap.minimum_quantity) == (
        "BTC/USDT:USDT",
        Decimal("0.01"),
        Decimal("0.02"),
    )
    assert (spot.unified, spot.contract_size, spot.minimum_quantity) == (
        "BTC/USDT",
        Decimal(1),
        None,
    )
    assert names_of(listing, "margin") == {}


def test_a_name_that_two_markets_share_is_ambiguous():
    listing = {"a": SWAP, "b": {**SWAP, "symbol": "BTC/USDC:USDC"}}
    names = names_of(listing, "swap")
    assert names["BTCUSDT"] is None
    assert names["BTC/USDC:USDC"] is not None
    spec = ConnectionSpec(exchange="binanceusdm", market_type="swap", api_key="k", secret="s")
    assert resolution(["BTCUSDT"], names, spec).why_not("BTCUSDT") == (
        "Several markets of binanceusdm go by the name 'BTCUSDT'."
    )


@pytest.mark.parametrize(
    "change",
    (
        {"linear": False},
        {"swap": False},
        {"contractSize": None},
        {"contractSize": "0"},
        {"contractSize": 0.01},
        {"symbol": None},
        {"id": None},
    ),
    ids=str,
)
def test_a_market_whose_arithmetic_is_in_doubt_does_not_resolve(change):
    assert market_of(SWAP, "swap") is not None
    assert market_of({**SWAP, **change}, "swap") is None
