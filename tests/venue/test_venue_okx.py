"""OKX's face: contracts, legs, bills in pages, orders by age and the door.

What it has in common with Bybit's is in `test_venue_bybit_and_okx.py`.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

import ccxt
import pytest
import requests
from tests.venue.deals import BTC, DAY, DOGE, ETH, trade

from unghost.demo.venue import Venue, running_venue
from unghost.demo.world import Part, World


@pytest.fixture
def face() -> str:
    return "okx"


def bills(client: Any, **params: Any) -> list[str]:
    rows = client.privateGetTradeFillsHistory({"instType": "SWAP", **params})["data"]
    return [row["billId"] for row in rows]


def true_bills(world: World, account: str = "main") -> list[str]:
    """The account's bills, newest first."""
    return [str(fill.record_id) for fill in reversed(world.fills(account))]


# Markets


def test_contracts_have_several_sizes(sync_client: Any) -> None:
    markets = sync_client().load_markets()
    sizes = {market["base"]: market["contractSize"] for market in markets.values()}
    assert {name: sizes[name] for name in ("BTC", "ETH", "SOL", "NEAR", "XRP", "DOGE")} == {
        "BTC": "0.01", "ETH": "0.1", "SOL": "1", "NEAR": "10", "XRP": "100", "DOGE": "1000",
    }  # fmt: skip


def test_a_client_without_settings_also_loads_spot_and_currencies(
    sync_client: Any, venue: Venue
) -> None:
    markets = sync_client(has={}, options={}).load_markets()
    assert (markets["BTC/USDT"]["id"], len(markets)) == ("BTC-USDT", 28)
    assert venue.requests("currencies")


def test_a_suspended_market_is_inactive(world: World) -> None:
    gone = World(markets=[replace(world.market(BTC), active=False)])
    with running_venue(gone) as venue:
        client = ccxt.okx({"options": {"fetchMarkets": {"types": ["swap"]}}})
        client.urls["api"]["rest"] = venue.base_url
        assert client.load_markets()[BTC]["active"] is False


# Positions


def test_an_account_that_never_held_anything_has_no_rows(tell: Any) -> None:
    assert tell(lambda client: client.fetch_positions()) == []
    assert tell(lambda client: client.fetch_positions([BTC, ETH])) == []


def test_both_legs_of_a_hedged_position_are_above_zero(tell: Any, world: World) -> None:
    trade(world, "buy", "2", "hedged", position_side="long")
    trade(world, "sell", "0.005", "hedged", position_side="short")
    rows = tell(lambda client: client.fetch_positions([BTC]), "hedged")
    assert {(row["side"], row["info"]["pos"]) for row in rows} == {
        ("long", "200"),
        ("short", "0.5"),
    }
    assert all(row["hedged"] for row in rows)


@pytest.mark.parametrize(
    ("symbol", "held", "told"), ((BTC, "0.123", "12.3"), (ETH, "7", "70"), (DOGE, "500", "0.5"))
)
def test_contracts_times_size_is_the_base_quantity(
    tell: Any, world: World, symbol: str, held: str, told: str
) -> None:
    trade(world, "buy", held, symbol=symbol)
    (row,) = tell(lambda client: client.fetch_positions())
    (fill,) = tell(lambda client: client.fetch_my_trades(symbol))
    assert row["contracts"] == fill["amount"] == told
    assert Decimal(told) * Decimal(row["contractSize"]) == Decimal(held)
    assert Decimal(fill["cost"]) == Decimal(held) * 100


def test_a_closed_position_is_a_row_of_zero_where_named_and_no_row_otherwise(
    tell: Any, world: World
) -> None:
    now = world.clock.now_ms()
    for number, side in enumerate(("buy", "sell")):
        trade(world, side, "1", at=now + number)
        trade(world, side, "1", at=now - 40 * DAY + number, symbol=ETH)
    assert tell(lambda client: client.fetch_positions()) == []
    rows = tell(lambda client: client.fetch_positions([BTC, ETH]))
    assert [(row["symbol"], row["info"]["pos"], row["contracts"]) for row in rows] == [
        (BTC, "0", "0")
    ]


def test_a_flat_hedge_leg_stands_beside_an_open_one(tell: Any, world: World) -> None:
    trade(world, "buy", "1", "hedged", position_side="long")
    trade(world, "sell", "1", "hedged", position_side="long")
    trade(world, "sell", "1", "hedged", position_side="short")
    rows = tell(lambda client: client.fetch_positions([BTC]), "hedged")
    assert [(row["side"], row["contracts"]) for row in rows] == [("long", "0"), ("short", "100")]


def test_at_most_ten_instruments_are_named(sync_client: Any, world: World) -> None:
    client = sync_client()
    names = [market.listing("okx").native_id for market in world.markets]
    assert client.privateGetAccountPositions({"instId": ",".join(names[:10])})["data"] == []
    with pytest.raises(ccxt.BadRequest, match="51000"):
        client.privateGetAccountPositions({"instId": ",".join(names[:11])})
    with pytest.raises(ccxt.BadSymbol, match="51001"):
        client.privateGetAccountPositions({"instId": "NOPE-USDT-SWAP"})
    assert client.privateGetAccountPositions({"instType": "FUTURES"})["data"] == []


# Fills


def test_2300_fills_are_all_read_by_bill_id(ask: Any, busy: World, venue: Venue) -> None:
    since = busy.clock.now_ms() - 2 * DAY

    async def read(client: Any) -> list[str]:
        told: list[str] = []
        more: dict[str, str] = {}
        while page := await client.fetch_my_trades(BTC, since, None, more):
            here = [row["info"]["billId"] for row in page]
            told += here
            more = {"after": min(here)}
        return told

    told = ask(read)
    assert sorted(told, reverse=True) == true_bills(busy)
    assert (len(told), len(venue.requests("fills-history"))) == (2300, 24)


def test_a_page_is_the_newest_hundred_at_most(sync_client: Any, busy: World) -> None:
    client, true = sync_client(), true_bills(busy)
    assert bills(client) == bills(client, limit=100) == bills(client, limit=300) == true[:100]
    assert bills(client, limit=7, after=true[9]) == true[10:17]
    # Not the seven next to that bill, but the seven newest of all.
    assert bills(client, limit=7, before=true[99]) == true[:7]


def test_recent_fills_reach_back_three_days_and_the_history_ninety(
    sync_client: Any, world: World
) -> None:
    now = world.clock.now_ms()
    for age in (100, 89, 4, 2):
        trade(world, "buy", "1", at=now - age * DAY)
    client, true = sync_client(), true_bills(world)
    assert [row["billId"] for row in client.privateGetTradeFills()["data"]] == true[:1]
    assert bills(client) == true[:3]
    assert bills(client, begin=now - 5 * DAY, end=now - 3 * DAY) == true[1:2]


def test_both_ends_of_a_window_belong_to_it(sync_client: Any, world: World) -> None:
    start = world.clock.now_ms() - 3000
    for at in (start - 1, start, start + 1000, start + 1001):
        trade(world, "buy", "1", at=at)
    assert bills(sync_client(), begin=start, end=start + 1000) == true_bills(world)[1:3]


def test_a_self_trade_shares_its_trade_id_but_no_bill(tell: Any, world: World) -> None:
    for side in ("buy", "sell"):
        trade(world, side, "1", parts=[Part(quantity=Decimal(1), fill_id=77)])
    rows = tell(lambda client: client.fetch_my_trades(BTC))
    assert {row["id"] for row in rows} == {"77"}
    assert len({row["info"]["billId"] for row in rows}) == 2


@pytest.mark.parametrize("leg", ("long", "short"))
def test_a_fill_names_its_leg_and_its_bill(tell: Any, world: World, leg: str) -> None:
    trade(world, "sell", "0.5", "hedged", position_side=leg, fee=Decimal("0.01"))
    (fill,) = tell(lambda client: client.fetch_my_trades(BTC), "hedged")
    (true,) = world.fills("hedged")
    assert (fill["info"]["posSide"], fill["info"]["billId"]) == (leg, str(true.record_id))
    assert (fill["info"]["fee"], fill["fee"]["cost"]) == ("-0.01", "0.01")


def test_a_rebate_is_above_zero_on_the_wire(tell: Any, world: World) -> None:
    trade(world, "buy", "1", fee=Decimal("-0.02"), fee_currency="BNB")
    (fill,) = tell(lambda client: client.fetch_my_trades(BTC))
    assert (fill["info"]["fee"], fill["fee"]) == ("0.02", {"currency": "BNB", "cost": "-0.02"})


@pytest.mark.parametrize(
    ("kind", "net", "hedged"),
    (
        ("trade", "2", "5"),
        ("liquidation", "107", "104"),
        ("adl", "128", "125"),
        ("settlement", "112", "112"),
    ),
)
def test_who_caused_a_fill_is_told_by_its_subtype(
    tell: Any, world: World, kind: str, net: str, hedged: str
) -> None:
    for account, leg in (("main", None), ("hedged", "long")):
        trade(world, "buy", "2", account, position_side=leg, at=world.clock.now_ms() - 9)
        trade(world, "sell", "1", account, position_side=leg, kind=kind)
    told = {
        account: [
            (row["info"]["subType"], row["info"]["clOrdId"] == "")
            for row in tell(lambda client: client.fetch_my_trades(BTC), account)
        ]
        for account in ("main", "hedged")
    }
    forced = kind != "trade"
    assert told == {
        "main": [("1", False), (net, forced)],
        "hedged": [("3", False), (hedged, forced)],
    }


def test_funding_is_no_fill_here(tell: Any, world: World) -> None:
    trade(world, "buy", "1")
    world.charge_funding(account="main", symbol=BTC, rate=Decimal("0.0001"))
    assert len(tell(lambda client: client.fetch_my_trades(BTC))) == 1


def test_fills_can_be_filtered(sync_client: Any, world: World) -> None:
    trade(world, "buy", "1", order_id="55")
    trade(world, "sell", "1", kind="adl", at=world.clock.now_ms() + 1)
    client, true = sync_client(), true_bills(world)
    assert bills(client, ordId="55") == true[1:]
    assert bills(client, subType="128") == true[:1]
    assert bills(client, instId="ETH-USDT-SWAP") == []
    assert bills(client, instType="SPOT") == []


@pytest.mark.parametrize(
    ("params", "code", "error"),
    (
        ({}, "50014", ccxt.BadRequest),
        ({"instType": "SWAPS"}, "51000", ccxt.BadRequest),
        ({"instType": "SWAP", "instId": "NOPE-USDT-SWAP"}, "51001", ccxt.BadSymbol),
        ({"instType": "SWAP", "begin": "soon"}, "51000", ccxt.BadRequest),
        ({"instType": "SWAP", "after": "-1"}, "51000", ccxt.BadRequest),
        ({"instType": "SWAP", "limit": "0"}, "51000", ccxt.BadRequest),
    ),
)
def test_bad_parameters_are_refused(
    sync_client: Any, params: dict[str, Any], code: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=code):
        sync_client().privateGetTradeFillsHistory(params)


# Orders


def test_one_order_by_either_id(sync_client: Any, world: World) -> None:
    trade(world, "sell", "2", order_id="7", client_order_id="bot1")
    trade(world, "sell", "2", order_id="8", kind="liquidation")
    client = sync_client()
    assert client.fetch_order("7", BTC)["status"] == "closed"
    assert client.fetch_order(None, BTC, {"clOrdId": "bot1"})["id"] == "7"
    assert client.fetch_order("8", BTC)["info"]["category"] == "full_liquidation"
    with pytest.raises(ccxt.OrderNotFound, match="51603"):
        client.fetch_order("9", BTC)
    with pytest.raises(ccxt.BadRequest, match="51000"):
        client.privateGetTradeOrder({"instId": "BTC-USDT-SWAP"})


def test_a_canceled_order_is_history(sync_client: Any, world: World) -> None:
    order = world.place_order(
        account="main", symbol=ETH, side="buy", quantity=Decimal(1), price=Decimal(9)
    )
    client = sync_client()
    (pending,) = client.privateGetTradeOrdersPending()["data"]
    assert (pending["state"], pending["px"], pending["fillSz"]) == ("live", "9", "0")
    world.close_order(order)
    assert client.privateGetTradeOrdersPending()["data"] == []
    assert [row["id"] for row in client.fetch_canceled_orders(ETH)] == [order.order_id]


def test_closed_orders_by_age_and_in_pages(sync_client: Any, world: World) -> None:
    now = world.clock.now_ms()
    for age in (100, 30, 8, 6, 2, 1):
        trade(world, "buy", "1", at=now - age * DAY, order_id=str(age))
    client = sync_client()

    def told(method: str, **params: Any) -> list[str]:
        rows = getattr(client, method)({"instType": "SWAP", **params})["data"]
        return [row["ordId"] for row in rows]

    recent, archive = "privateGetTradeOrdersHistory", "privateGetTradeOrdersHistoryArchive"
    assert told(recent) == ["1", "2", "6"]
    assert told(archive) == ["1", "2", "6", "8", "30"]
    assert told(archive, after="2", limit=2) == ["6", "8"]
    assert told(archive, before="6") == ["1", "2"]
    assert told(archive, begin=now - 9 * DAY, end=now - 3 * DAY) == ["6", "8"]
    with pytest.raises(ccxt.BadRequest, match="51000"):
        told(archive, after="100")


# Account


def test_account_facts(sync_client: Any, world: World) -> None:
    world.set_balance("main", "BNB", Decimal("1.5"))
    client = sync_client()
    assert client.fetch_balance()["total"] == {"USDT": "100000.00000000", "BNB": "1.50000000"}
    assert client.fetch_trading_fee(BTC)["taker"] == "0.0005"
    (one,) = client.privateGetAccountBalance({"ccy": "BNB"})["data"]
    assert [row["ccy"] for row in one["details"]] == ["BNB"]


def test_the_configuration_tells_mode_account_and_permissions(
    sync_client: Any, world: World
) -> None:
    world.open_account("watcher", read_only=True)
    told = {
        name: sync_client(name).privateGetAccountConfig()["data"][0]
        for name in ("main", "hedged", "watcher")
    }
    assert {name: (each["posMode"], each["perm"]) for name, each in told.items()} == {
        "main": ("net_mode", "read_only,trade"),
        "hedged": ("long_short_mode", "read_only,trade"),
        "watcher": ("net_mode", "read_only"),
    }
    assert told["main"]["uid"] == str(world.account("main").uid)
    assert sync_client("hedged").fetch_position_mode()["hedged"] is True


# The door


def test_what_is_signed_includes_the_query(venue: Venue, world: World) -> None:
    stamp = ccxt.Exchange.iso8601(world.clock.now_ms())
    path = "/api/v5/account/positions?instType=SWAP"
    sign = hmac.new(b"main-secret", f"{stamp}GET{path}".encode(), sha256).digest()
    headers = {
        "OK-ACCESS-KEY": "main-key",
        "OK-ACCESS-PASSPHRASE": "main-password",
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-SIGN": base64.b64encode(sign).decode(),
    }
    codes = [
        requests.get(f"{venue.base_url}{path}{more}", headers=headers, timeout=5).json()["code"]
        for more in ("", "&posId=1")
    ]
    assert codes == ["0", "50113"]


@pytest.mark.parametrize(
    ("header", "value", "code"),
    (
        ("OK-ACCESS-KEY", "", "50103"),
        ("OK-ACCESS-PASSPHRASE", "", "50104"),
        ("OK-ACCESS-SIGN", "", "50106"),
        ("OK-ACCESS-TIMESTAMP", "", "50107"),
        ("OK-ACCESS-TIMESTAMP", "noon", "50112"),
        ("OK-ACCESS-TIMESTAMP", "2026-01-01T00:00:00", "50112"),
        ("OK-ACCESS-TIMESTAMP", "2020-12-08T09:08:57.715Z", "50102"),
    ),
)
def test_half_a_request_is_refused(venue: Venue, header: str, value: str, code: str) -> None:
    names = ("OK-ACCESS-KEY", "OK-ACCESS-PASSPHRASE", "OK-ACCESS-SIGN", "OK-ACCESS-TIMESTAMP")
    headers = dict.fromkeys(names, "x") | {header: value}
    url = f"{venue.base_url}/api/v5/account/balance"
    answer = requests.get(url, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert "data" not in answer.json()


def test_half_a_minute_is_let_pass(tell: Any, venue: Venue) -> None:
    venue.skew(25_000)
    assert tell(lambda client: client.fetch_my_trades(BTC)) == []


@pytest.mark.usefixtures("early_in_a_minute")
def test_beyond_the_limit_comes_50011_and_then_the_proxy(sync_client: Any, venue: Venue) -> None:
    client = sync_client()
    client.load_markets()
    venue.limit_weight(2)
    seen: list[tuple[type[Exception] | None, bool]] = []
    for _ in range(6):
        try:
            client.fetch_my_trades(BTC)
            seen.append((None, False))
        except ccxt.NetworkError as error:
            seen.append((type(error), "Retry-After" in client.last_response_headers))
    # To this client a 429 without the exchange's own code is no rate limit.
    limited, cut_off = ccxt.RateLimitExceeded, ccxt.ExchangeNotAvailable
    assert seen == [(None, False)] * 2 + [(limited, False)] * 2 + [(cut_off, True)] * 2
    venue.limit_weight(None)
    assert client.fetch_my_trades(BTC) == []
