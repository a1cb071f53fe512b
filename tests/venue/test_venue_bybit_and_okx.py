"""What Bybit's and OKX's faces do alike, each in its own words and units."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ccxt
import pytest
import requests
from tests.venue.deals import BTC, DAY, HOUR, trade

from unghost.demo.venue import Venue
from unghost.demo.venue.bybit import execution_id
from unghost.demo.world import Fill, World


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one of the two tells what was traded of BTC, as texts; `size` is of one contract."""

    face: str
    native: str
    size: str
    precision: str
    held: dict[str, str]
    """A base quantity -> as a position."""
    raw: dict[str, dict[str, Any]]
    """The side of an opening order of 2.5 -> raw fields of the position."""
    filled: dict[str, str]
    """A base quantity -> as a fill or in an order."""
    price: str
    cost: str
    client_id: str
    order_fee: str
    everything: dict[str, str]
    """What a client must ask for to be told fills of all kinds in one call."""
    bad_keys: dict[str, str]
    """A setting of the client that is wrong -> the code."""
    bad_time: str
    absent: str
    only_read: str
    not_found: dict[str, Any]

    def fill_id(self, fill: Fill) -> str:
        return execution_id(fill.fill_id) if self.face == "bybit" else str(fill.fill_id)


BYBIT = Dialect(
    face="bybit",
    native="BTCUSDT",
    size="1",
    precision="0.001",
    held={"2.5": "2.5", "7": "7"},
    raw={
        "buy": {"side": "Buy", "positionIdx": 0},
        "sell": {"side": "Sell", "positionIdx": 0},
    },
    filled={"0.5": "0.500", "1": "1", "2": "2.000", "3": "3.000"},
    price="100.0",
    cost="50.0",
    client_id="orderLinkId",
    order_fee="0.10000000",
    everything={"execType": ""},
    bad_keys={"secret": "10004", "apiKey": "10003"},
    bad_time="10002",
    absent="/v5/nothing",
    only_read="/v5/market/time",
    not_found={"retCode": 10404},
)
OKX = Dialect(
    face="okx",
    native="BTC-USDT-SWAP",
    size="0.01",
    precision="0.1",
    held={"2.5": "250", "7": "700"},
    raw={
        "buy": {"pos": "250", "posSide": "net"},
        "sell": {"pos": "-250", "posSide": "net"},
    },
    filled={"0.5": "50", "1": "100", "2": "200", "3": "300"},
    price="100",
    cost="50",
    client_id="clOrdId",
    order_fee="0.1",
    everything={},
    bad_keys={"secret": "50113", "apiKey": "50111", "password": "50105"},
    bad_time="50102",
    absent="/api/v5/nothing",
    only_read="/api/v5/public/time",
    not_found={"code": "404"},
)
DIALECTS = (BYBIT, OKX)


@pytest.fixture(params=DIALECTS, ids=lambda one: one.face)
def dialect(request: Any) -> Dialect:
    return request.param


@pytest.fixture
def face(dialect: Dialect) -> str:
    return dialect.face


# Markets


def test_both_kinds_of_client_load_the_markets(
    sync_client: Any, ask: Any, dialect: Dialect
) -> None:
    markets = sync_client().load_markets()
    assert markets == ask(lambda client: client.load_markets())
    btc = markets[BTC]
    assert (btc["id"], btc["linear"], btc["settle"]) == (dialect.native, True, "USDT")
    assert (btc["contractSize"], btc["precision"]["price"]) == (dialect.size, "0.1")
    assert btc["precision"]["amount"] == dialect.precision
    assert len(markets) == 14


def test_the_time_is_the_world_s(sync_client: Any, venue: Venue) -> None:
    venue.skew(HOUR)
    client = sync_client()
    assert abs(client.fetch_time() - client.milliseconds() - HOUR) < 1000


# Positions


@pytest.mark.parametrize(("side", "name"), (("buy", "long"), ("sell", "short")))
def test_a_one_way_position(
    tell: Any, world: World, dialect: Dialect, side: str, name: str
) -> None:
    trade(world, side, "2.5")
    (row,) = tell(lambda client: client.fetch_positions())
    assert (row["side"], row["contracts"], row["hedged"]) == (name, dialect.held["2.5"], False)
    assert (row["contractSize"], row["entryPrice"]) == (dialect.size, "100")
    assert dialect.raw[side].items() <= row["info"].items()


def test_an_override_contradicts_the_fills(tell: Any, world: World, dialect: Dialect) -> None:
    trade(world, "buy", "1")
    world.override_position(account="main", symbol=BTC, quantity=Decimal(-7))
    (row,) = tell(lambda client: client.fetch_positions())
    assert (row["side"], row["contracts"]) == ("short", dialect.held["7"])


# Fills


@pytest.mark.parametrize("direction", ("forward", "backward"))
def test_the_client_s_own_paging_does_not_read_all(tell: Any, busy: World, direction: str) -> None:
    since = busy.clock.now_ms() - 2 * DAY
    params = {"paginate": True, "paginationDirection": direction}
    rows = tell(lambda client: client.fetch_my_trades(BTC, since, None, params))
    assert 0 < len(rows) < 2300


@pytest.mark.parametrize("fee", ("0.01", "-0.01"))
def test_a_fill_with_all_its_facts(tell: Any, world: World, dialect: Dialect, fee: str) -> None:
    changes = {"order_id": "99", "client_order_id": "bot1", "fee": Decimal(fee), "maker": True}
    trade(world, "sell", "0.5", "hedged", position_side="short", **changes)
    (fill,) = tell(lambda client: client.fetch_my_trades(BTC), "hedged")
    (true,) = world.fills("hedged")
    assert (fill["id"], fill["order"]) == (dialect.fill_id(true), "99")
    assert (fill["side"], fill["timestamp"]) == ("sell", true.at)
    assert (fill["amount"], fill["takerOrMaker"]) == (dialect.filled["0.5"], "maker")
    assert (fill["price"], fill["cost"]) == (dialect.price, dialect.cost)
    assert (fill["fee"]["currency"], fill["fee"]["cost"]) == ("USDT", fee)
    assert fill["info"][dialect.client_id] == "bot1"


def test_accounts_do_not_see_each_other(tell: Any, world: World, dialect: Dialect) -> None:
    trade(world, "buy", "2", at=world.clock.now_ms() - HOUR)
    world.charge_funding(account="main", symbol=BTC, rate=Decimal("0.0001"))
    trade(world, "sell", "1", kind="liquidation")

    def fills(account: str) -> Any:
        asked = (BTC, None, None, dialect.everything)
        return tell(lambda client: client.fetch_my_trades(*asked), account)

    assert len(fills("main")) >= 2
    assert fills("hedged") == tell(lambda client: client.fetch_positions(), "hedged") == []


# Orders


def test_orders_carry_the_client_id_and_what_they_filled(
    tell: Any, world: World, dialect: Dialect
) -> None:
    trade(world, "sell", "2", order_id="7", client_order_id="bot1", reduce_only=True)
    trade(world, "sell", "2", order_id="8", order_quantity=Decimal(3))
    (closed,) = tell(lambda client: client.fetch_closed_orders(BTC))
    (resting,) = tell(lambda client: client.fetch_open_orders(BTC))
    one, two, three = (dialect.filled[each] for each in ("1", "2", "3"))
    assert (closed["id"], closed["clientOrderId"], closed["status"]) == ("7", "bot1", "closed")
    assert (closed["amount"], closed["filled"], closed["average"]) == (two, two, "100")
    assert (closed["reduceOnly"], closed["fee"]["currency"]) == (True, "USDT")
    assert closed["fee"]["cost"] == dialect.order_fee
    assert (resting["id"], resting["amount"], resting["filled"]) == ("8", three, two)
    assert resting["remaining"] == one


# Account


def test_balances_and_rates(sync_client: Any, world: World) -> None:
    world.set_balance("main", "BNB", Decimal("1.5"))
    client = sync_client()
    assert client.fetch_balance()["total"] == {"USDT": "100000.00000000", "BNB": "1.50000000"}
    assert client.fetch_trading_fee(BTC)["taker"] == "0.0005"


# The door


@pytest.mark.parametrize(
    ("dialect", "setting"),
    [(one, setting) for one in DIALECTS for setting in one.bad_keys],
    ids=lambda one: one if isinstance(one, str) else one.face,
    indirect=["dialect"],
)
def test_wrong_credentials_are_refused(tell: Any, dialect: Dialect, setting: str) -> None:
    with pytest.raises(ccxt.AuthenticationError, match=dialect.bad_keys[setting]):
        tell(lambda client: client.fetch_positions(), **{setting: "another"})


def test_a_path_that_does_not_exist(venue: Venue, dialect: Dialect) -> None:
    for answer in (
        requests.get(f"{venue.base_url}{dialect.absent}", timeout=5),
        requests.post(f"{venue.base_url}{dialect.only_read}", timeout=5),
    ):
        assert answer.status_code == 404
        assert dialect.not_found.items() <= answer.json().items()


@pytest.mark.parametrize("offset_ms", (-HOUR, HOUR))
def test_a_clock_that_is_off_is_refused_until_the_client_adjusts(
    ask: Any, tell: Any, venue: Venue, dialect: Dialect, offset_ms: int
) -> None:
    venue.skew(offset_ms)
    with pytest.raises(ccxt.InvalidNonce, match=dialect.bad_time):
        tell(lambda client: client.fetch_my_trades(BTC))

    async def adjusted(client: Any) -> Any:
        await client.load_time_difference()
        return await client.fetch_my_trades(BTC)

    assert ask(adjusted) == []
