"""Bybit's face: cursor pages, windows, execution types and the door.

What it has in common with OKX's is in `test_venue_bybit_and_okx.py`.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import ccxt
import pytest
import requests
from tests.venue.deals import BTC, DAY, ETH, HOUR, trade

from unghost.demo.venue import Venue, running_venue
from unghost.demo.venue.bybit import execution_id
from unghost.demo.world import Listing, World

WEEK = 7 * DAY


@pytest.fixture
def face() -> str:
    return "bybit"


def ids(rows: list[Any]) -> list[str]:
    return [row["id"] for row in rows]


def executions(client: Any, **params: Any) -> Any:
    return client.privateGetV5ExecutionList({"category": "linear", **params})["result"]


def told_types(client: Any, **params: Any) -> list[str]:
    return [row["execType"] for row in executions(client, **params)["list"]]


# Markets


def test_a_client_without_settings_finds_spot_under_the_same_native_ids(sync_client: Any) -> None:
    client = sync_client(has={}, options={})
    client.load_markets()
    assert {market["symbol"] for market in client.markets_by_id["BTCUSDT"]} == {BTC, "BTC/USDT"}


def test_instruments_come_in_pages_and_the_last_has_no_cursor(sync_client: Any) -> None:
    client = sync_client()
    names, cursors, cursor = [], [], None
    while cursor != "":
        page = {"category": "linear", "limit": 5} | ({"cursor": cursor} if cursor else {})
        result = client.publicGetV5MarketInstrumentsInfo(page)["result"]
        names += [row["symbol"] for row in result["list"]]
        cursor = result["nextPageCursor"]
        cursors.append(cursor)
    assert len(names) == len(set(names)) == 14
    assert [bool(each) for each in cursors] == [True, True, False]


def test_a_delisted_market_is_named_only_when_asked_for(world: World) -> None:
    gone = World(markets=[replace(world.market(BTC), active=False), world.market(ETH)])
    with running_venue(gone) as venue:
        url = f"{venue.base_url}/v5/market/instruments-info?category=linear"
        names = [
            [row["symbol"] for row in requests.get(each, timeout=5).json()["result"]["list"]]
            for each in (url, f"{url}&status=Closed", f"{url}&status=PreLaunch")
        ]
    assert names == [["ETHUSDT"], ["BTCUSDT"], []]


def test_what_is_listed_elsewhere_is_not_told(world: World) -> None:
    foreign = Listing(venue="okx", native_id="BTC-USDT-SWAP", contract_size=Decimal("0.01"))
    elsewhere = World(markets=[replace(world.market(BTC), listings=(foreign,)), world.market(ETH)])
    elsewhere.open_account("main")
    for symbol in (BTC, ETH):
        trade(elsewhere, "buy", "1", symbol=symbol)
    with running_venue(elsewhere) as venue:
        client = ccxt.bybit({"apiKey": "main-key", "secret": "main-secret"})
        client.urls["api"] = dict.fromkeys(client.urls["api"], venue.base_url)
        held = client.privateGetV5PositionList({"category": "linear", "settleCoin": "USDT"})
        assert [row["symbol"] for row in held["result"]["list"]] == ["ETHUSDT"]
        assert [row["symbol"] for row in executions(client)["list"]] == ["ETHUSDT"]


# Positions


def test_a_flat_account_has_no_rows_but_a_named_symbol_has_an_empty_one(tell: Any) -> None:
    assert tell(lambda client: client.fetch_positions()) == []
    (row,) = tell(lambda client: client.fetch_positions([BTC]))
    assert (row["contracts"], row["side"], row["info"]["side"]) == ("0", None, "")


def test_both_legs_of_a_hedged_position(tell: Any, world: World) -> None:
    trade(world, "buy", "2", "hedged", position_side="long")
    trade(world, "sell", "3", "hedged", position_side="short")
    rows = tell(lambda client: client.fetch_positions([BTC]), "hedged")
    told = [(row["info"]["positionIdx"], row["side"], row["contracts"]) for row in rows]
    assert told == [(1, "long", "2"), (2, "short", "3")]


def test_an_empty_hedge_leg_is_a_row_of_size_zero(tell: Any, world: World) -> None:
    trade(world, "sell", "3", "hedged", position_side="short")
    named = tell(lambda client: client.fetch_positions([BTC]), "hedged")
    assert [(row["side"], row["contracts"]) for row in named] == [("long", "0"), ("short", "3")]
    assert tell(lambda client: client.fetch_position(BTC), "hedged")["contracts"] == "0"
    everything = tell(lambda client: client.fetch_positions(), "hedged")
    assert [(row["side"], row["contracts"]) for row in everything] == [("short", "3")]


def test_positions_come_in_pages_and_only_an_empty_page_is_the_end(
    sync_client: Any, world: World
) -> None:
    for market in world.markets:
        trade(world, "buy", "1", symbol=market.symbol)
    client, seen, sizes, cursor = sync_client(), [], [], None
    while cursor != "":
        asked = {"category": "linear", "settleCoin": "USDT"} | (
            {"cursor": cursor, "limit": 10} if cursor else {"limit": 4}
        )
        result = client.privateGetV5PositionList(asked)["result"]
        seen += [row["symbol"] for row in result["list"]]
        sizes.append(len(result["list"]))
        cursor = result["nextPageCursor"]
    assert (sizes, len(set(seen))) == ([4, 10, 0], 14)


def test_positions_need_a_symbol_or_a_coin(sync_client: Any) -> None:
    client = sync_client()
    with pytest.raises(ccxt.BadRequest, match="settleCoin"):
        client.privateGetV5PositionList({"category": "linear"})
    assert client.fetch_positions(None, {"settleCoin": "USDC"}) == []


# Executions


def test_2300_executions_are_all_read_by_the_cursor(ask: Any, busy: World, venue: Venue) -> None:
    since = busy.clock.now_ms() - 2 * DAY

    async def read(client: Any) -> list[str]:
        told, cursor = [], None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = await client.fetch_my_trades(BTC, since, 100, more)
            if not page:
                return told
            told += ids(page)
            (cursor,) = [r["info"]["nextPageCursor"] for r in page if "nextPageCursor" in r["info"]]

    told = ask(read)
    assert sorted(told) == [execution_id(fill.fill_id) for fill in busy.fills("main", BTC)]
    assert len(told) == 2300
    assert len(venue.requests("execution/list")) == 24


def test_newest_first_and_without_order_within_a_millisecond(sync_client: Any, busy: World) -> None:
    rows = executions(sync_client(), symbol="BTCUSDT", limit=100)["list"]
    times = [int(row["execTime"]) for row in rows]
    assert times == sorted(times, reverse=True)
    newest = [execution_id(fill.fill_id) for fill in reversed(busy.fills("main", BTC))]
    assert {row["execId"] for row in rows} != set(newest[:100])
    assert [row["execId"] for row in rows] != sorted((r["execId"] for r in rows), reverse=True)


def test_a_page_holds_50_unless_asked_for_up_to_100(sync_client: Any, busy: World) -> None:
    client = sync_client()
    sizes = [
        len(executions(client, **more)["list"]) for more in ({}, {"limit": 100}, {"limit": 500})
    ]
    assert sizes == [50, 100, 100]


def test_a_fill_that_arrives_while_pages_are_read_shifts_nothing(
    sync_client: Any, world: World
) -> None:
    now = world.clock.now_ms()
    true = [trade(world, "buy", "1", at=now - 10 + number)[0] for number in range(4)]
    client = sync_client()
    first = executions(client, limit=2)
    trade(world, "buy", "1", at=now)
    second = executions(client, limit=2, cursor=first["nextPageCursor"])
    told = [row["execId"] for row in first["list"] + second["list"]]
    assert told == [execution_id(fill.fill_id) for fill in reversed(true)]


def test_a_window_is_at_most_seven_days(tell: Any, world: World) -> None:
    start = world.clock.now_ms() - 20 * DAY

    def over(span: int) -> Any:
        return tell(lambda client: client.fetch_my_trades(BTC, start, 9, {"endTime": start + span}))

    trade(world, "buy", "1", at=start)
    trade(world, "buy", "1", at=start + WEEK)
    assert len(over(WEEK)) == 2
    with pytest.raises(ccxt.BadRequest, match="cannot exceed 7 days"):
        over(WEEK + 1)
    with pytest.raises(ccxt.BadRequest, match="later than"):
        over(-1)


def test_half_a_window_is_completed_to_seven_days(sync_client: Any, world: World) -> None:
    now = world.clock.now_ms()
    ages = (740, 19, 9, 6)
    made = {
        age: execution_id(trade(world, "buy", "1", at=now - age * DAY)[0].fill_id) for age in ages
    }
    client = sync_client()

    def told(**params: Any) -> list[str]:
        return [row["execId"] for row in executions(client, **params)["list"]]

    assert told() == [made[6]]
    assert told(startTime=now - 20 * DAY) == [made[19]]
    assert told(endTime=now - 8 * DAY) == [made[9]]
    assert told(startTime=now - 741 * DAY) == []  # deeper than two years


def test_a_fill_tells_how_much_it_closed(tell: Any, world: World) -> None:
    now = world.clock.now_ms()
    for number, (side, quantity) in enumerate((("buy", "2"), ("sell", "0.5"), ("sell", "4"))):
        trade(world, side, quantity, at=now + number)
    fills = tell(lambda client: client.fetch_my_trades(BTC))
    assert [fill["info"]["closedSize"] for fill in fills] == ["0", "0.5", "1.5"]


def test_the_executions_of_one_order(sync_client: Any, world: World) -> None:
    trade(world, "buy", "1")
    trade(
        world,
        "sell",
        "1",
        order_id="55",
        client_order_id="bot-5",
        parts=[Decimal("0.4"), Decimal("0.6")],
    )
    client = sync_client()
    by_id = executions(client, orderId="55")["list"]
    assert sorted(row["execQty"] for row in by_id) == ["0.400", "0.600"]
    assert executions(client, orderLinkId="bot-5")["list"] == by_id


@pytest.fixture
def varied(world: World) -> World:
    """One execution of every type, on one symbol."""
    now = world.clock.now_ms()
    trade(world, "buy", "4", at=now - 9 * HOUR)
    world.charge_funding(account="main", symbol=BTC, rate=Decimal("0.0001"), at=now - HOUR)
    for number, kind in enumerate(("liquidation", "adl", "settlement")):
        trade(world, "sell", "1", at=now + number, kind=kind)
    return world


def test_each_execution_type_comes_by_its_own_call(sync_client: Any, varied: World) -> None:
    client = sync_client()
    for exec_type in ("Trade", "BustTrade", "AdlTrade", "Settle", "Funding"):
        assert told_types(client, execType=exec_type) == [exec_type]
        by_client = client.fetch_my_trades(BTC, None, None, {"execType": exec_type})
        assert [row["info"]["execType"] for row in by_client] == [exec_type]
    with pytest.raises(ccxt.BadRequest, match="execType"):
        told_types(client, execType="Delivery")


def test_the_client_s_default_hides_liquidation_and_deleveraging(tell: Any, varied: World) -> None:
    fills = tell(lambda client: client.fetch_my_trades(BTC))
    assert [fill["info"]["execType"] for fill in fills] == ["Trade"]


def test_without_the_filter_funding_reads_as_a_buy(tell: Any, varied: World) -> None:
    rows = tell(lambda client: client.fetch_my_trades(BTC, None, None, {"execType": ""}))
    assert [row["info"]["execType"] for row in rows] == [
        "Trade", "Funding", "BustTrade", "AdlTrade", "Settle",
    ]  # fmt: skip
    funding = rows[1]
    assert (funding["side"], funding["amount"], funding["price"]) == ("buy", "4.000", "100")
    assert (funding["fee"]["cost"], funding["info"]["closedSize"]) == ("0.04000000", "0")


def test_an_order_of_the_exchange_has_no_id_of_the_client(sync_client: Any, varied: World) -> None:
    rows = executions(sync_client(), execType="BustTrade")["list"]
    assert [(row["orderLinkId"], row["createType"]) for row in rows] == [("", "CreateByLiq")]


@pytest.mark.parametrize(
    ("params", "complaint"),
    (
        ({"category": "linear", "symbol": "NOPEUSDT"}, "symbol"),
        ({"category": "linear", "startTime": "soon"}, "startTime"),
        ({"category": "linear", "limit": 0}, "limit"),
        ({"category": "linear", "cursor": "nonsense"}, "cursor"),
        ({"category": "linear", "cursor": "%5B%22a%22%5D"}, "cursor"),
        ({"category": "futures"}, "category"),
        ({}, "category"),
    ),
)
def test_bad_parameters_are_refused(
    sync_client: Any, varied: World, params: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ccxt.BadRequest, match=f"10001.*{complaint}"):
        sync_client().privateGetV5ExecutionList(params)


@pytest.mark.parametrize("category", ("spot", "inverse", "option"))
def test_nothing_was_traded_in_other_categories(
    sync_client: Any, varied: World, category: str
) -> None:
    client = sync_client()
    assert executions(client, category=category)["list"] == []
    assert client.privateGetV5PositionList({"category": category})["result"]["list"] == []
    assert client.privateGetV5OrderHistory({"category": category})["result"]["list"] == []


# Orders


def test_one_order_by_either_id(sync_client: Any, world: World) -> None:
    trade(world, "sell", "2", order_id="7", client_order_id="bot-1")
    client = sync_client()
    assert client.fetch_order("7", BTC, {"acknowledged": True})["status"] == "closed"
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order("8", BTC, {"acknowledged": True})
    asked = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "bot-1"}
    for found in (client.privateGetV5OrderRealtime(asked), client.privateGetV5OrderHistory(asked)):
        assert [row["orderId"] for row in found["result"]["list"]] == ["7"]


def test_open_and_recently_closed_orders(sync_client: Any, world: World) -> None:
    resting = world.place_order(
        account="main", symbol=ETH, side="buy", quantity=Decimal(1), price=Decimal(9)
    )
    trade(world, "sell", "2", order_id="7", symbol=ETH)
    client = sync_client()
    asked = {"category": "linear", "settleCoin": "USDT"}
    states = [
        [row["orderStatus"] for row in client.privateGetV5OrderRealtime(each)["result"]["list"]]
        for each in (asked, asked | {"openOnly": 1})
    ]
    assert states == [["New"], ["Filled"]]
    world.close_order(resting)
    cancelled = client.privateGetV5OrderHistory(asked | {"orderStatus": "Cancelled"})
    assert [row["orderId"] for row in cancelled["result"]["list"]] == [resting.order_id]
    with pytest.raises(ccxt.BadRequest, match="needed"):
        client.privateGetV5OrderRealtime({"category": "linear"})


def test_order_history_comes_in_pages_of_seven_days(sync_client: Any, world: World) -> None:
    now = world.clock.now_ms()
    for number in range(25):
        trade(world, "buy", "1", at=now - number, order_id=str(number))
    trade(world, "buy", "1", at=now - 8 * DAY, order_id="old")
    client, told, cursor = sync_client(), [], None
    while cursor != "":
        more = {"cursor": cursor} if cursor else {}
        result = client.privateGetV5OrderHistory({"category": "linear", **more})["result"]
        told += [row["orderId"] for row in result["list"]]
        cursor = result["nextPageCursor"]
    assert told == [str(number) for number in range(25)]


# Account


def test_account_facts(sync_client: Any, world: World) -> None:
    world.set_balance("main", "BNB", Decimal("1.5"))
    client = sync_client()
    assert client.fetch_balance()["total"] == {"USDT": "100000.00000000", "BNB": "1.50000000"}
    assert client.fetch_trading_fee(BTC)["taker"] == "0.0005"
    assert client.privateGetV5AccountInfo()["result"]["unifiedMarginStatus"] == 5
    one = client.privateGetV5AccountWalletBalance({"accountType": "UNIFIED", "coin": "BNB"})
    assert [row["coin"] for row in one["result"]["list"][0]["coin"]] == ["BNB"]
    with pytest.raises(ccxt.BadRequest, match="accountType"):
        client.privateGetV5AccountWalletBalance({"accountType": "FUND"})


def test_a_key_tells_whose_it_is_and_what_it_may_do(sync_client: Any, world: World) -> None:
    world.open_account("watcher", read_only=True)
    told = {
        name: sync_client(name).privateGetV5UserQueryApi()["result"] for name in ("main", "watcher")
    }
    assert {name: each["readOnly"] for name, each in told.items()} == {"main": 0, "watcher": 1}
    assert told["main"]["userID"] == world.account("main").uid != told["watcher"]["userID"]
    assert told["main"]["permissions"]["ContractTrade"] == ["Order", "Position"]


# The door


def signed(venue: Venue, query: str, at: int, window: str = "5000") -> dict[str, str]:
    text = f"{at}main-key{window}{query}"
    return {
        "X-BAPI-API-KEY": "main-key",
        "X-BAPI-TIMESTAMP": str(at),
        "X-BAPI-RECV-WINDOW": window,
        "X-BAPI-SIGN": hmac.new(b"main-secret", text.encode(), sha256).hexdigest(),
    }


def test_the_query_is_signed_exactly_as_sent(venue: Venue, world: World) -> None:
    query = "settleCoin=USDT&category=linear"
    headers = signed(venue, query, world.clock.now_ms())
    url = f"{venue.base_url}/v5/position/list"
    codes = [
        requests.get(f"{url}?{each}", headers=headers, timeout=5).json()["retCode"]
        for each in (query, "category=linear&settleCoin=USDT", f"{query}&limit=1")
    ]
    assert codes == [0, 10004, 10004]


@pytest.mark.parametrize(
    ("late", "window", "code"),
    (
        (0, "5000", 0),
        (4000, "5000", 0),
        (5100, "5000", 10002),
        (5100, "20000", 0),
        (-1500, "5000", 10002),
        (0, "wide", 10002),
    ),
)
def test_the_time_must_be_within_the_window(
    venue: Venue, world: World, late: int, window: str, code: int
) -> None:
    headers = signed(venue, "", world.clock.now_ms() - late, window)
    answer = requests.get(f"{venue.base_url}/v5/account/info", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["retCode"]) == (200, code)


def test_a_request_without_a_signature_is_refused(venue: Venue) -> None:
    answer = requests.get(f"{venue.base_url}/v5/account/info", timeout=5).json()
    assert (answer["retCode"], "sign params" in answer["retMsg"]) == (10001, True)


@pytest.mark.usefixtures("early_in_a_minute")
def test_beyond_the_limit_comes_10006_and_then_a_ban(sync_client: Any, venue: Venue) -> None:
    client = sync_client()
    client.load_markets()
    venue.limit_weight(2)
    seen = []
    for _ in range(6):
        try:
            client.fetch_my_trades(BTC)
            seen.append("")
        except ccxt.RateLimitExceeded as error:
            seen.append("banned" if " 403 " in str(error) else "limited")
        if seen[-1] == "limited":
            reset = int(client.last_response_headers["X-Bapi-Limit-Reset-Timestamp"])
            assert 0 < reset - client.milliseconds() <= 60_000
    assert seen == ["", "", "limited", "limited", "banned", "banned"]
    venue.limit_weight(None)
    assert client.fetch_my_trades(BTC) == []


def test_a_cursor_comes_percent_encoded(sync_client: Any, world: World) -> None:
    trade(world, "buy", "1")
    cursor = executions(sync_client())["nextPageCursor"]
    assert cursor != unquote(cursor)
