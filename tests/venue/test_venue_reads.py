"""What a real client reads from the venue when nothing goes wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from unghost.demo.venue import Venue, running_venue
from unghost.demo.world import World

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def hold(world: World, account: str, side: str, quantity: str, **changes: Any) -> None:
    world.execute(
        account=account,
        symbol=changes.pop("symbol", BTC),
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(100),
        **changes,
    )


def test_both_kinds_of_client_load_the_markets(sync_client: Any, ask: Any) -> None:
    markets = sync_client().load_markets()
    assert markets == ask(lambda client: client.load_markets())
    btc = markets[BTC]
    assert (btc["id"], btc["linear"], btc["contractSize"]) == ("BTCUSDT", True, "1")
    assert (btc["precision"]["amount"], btc["precision"]["price"]) == ("0.001", "0.1")
    assert len(markets) == 14


def test_a_client_that_also_loads_currencies_is_answered(ask: Any, venue: Venue) -> None:
    loaded = ask(lambda client: client.load_markets(), options={"fetchCurrencies": True})
    assert BTC in loaded
    assert venue.requests("getall")


def test_a_delisted_market_is_inactive(world: World) -> None:
    gone = World(markets=[replace(world.market(BTC), active=False)])
    with running_venue(gone) as venue:
        client = ccxt.binanceusdm({"options": {"fetchCurrencies": False}})
        client.urls["api"]["fapiPublic"] = f"{venue.base_url}/fapi/v1"
        assert client.load_markets()[BTC]["active"] is False


def test_the_time_is_the_world_s(sync_client: Any, venue: Venue) -> None:
    venue.skew(3_600_000)
    client = sync_client()
    assert abs(client.fetch_time() - client.milliseconds() - 3_600_000) < 1000


def test_a_flat_account_has_no_position_rows(ask: Any) -> None:
    assert ask(lambda client: client.fetch_positions()) == []


@pytest.mark.parametrize(
    ("side", "name", "raw"), (("buy", "long", "2.5"), ("sell", "short", "-2.5"))
)
def test_a_one_way_position(ask: Any, world: World, side: str, name: str, raw: str) -> None:
    hold(world, "main", side, "2.5")
    (position,) = ask(lambda client: client.fetch_positions([BTC]))
    assert (position["side"], position["contracts"]) == (name, "2.5")
    assert position["hedged"] is False
    assert Decimal(position["info"]["positionAmt"]) == Decimal(raw)
    assert position["info"]["positionSide"] == "BOTH"


def test_both_legs_of_a_hedged_position(ask: Any, world: World) -> None:
    hold(world, "hedged", "buy", "2", position_side="long")
    hold(world, "hedged", "sell", "2", position_side="short")
    rows = ask(lambda client: client.fetch_positions([BTC]), "hedged")
    assert {(row["side"], row["contracts"]) for row in rows} == {("long", "2"), ("short", "2")}
    assert all(row["hedged"] for row in rows)


def test_accounts_do_not_see_each_other(ask: Any, world: World) -> None:
    hold(world, "hedged", "buy", "2", position_side="long")
    assert ask(lambda client: client.fetch_positions()) == []
    assert ask(lambda client: client.fetch_my_trades(BTC)) == []


def test_an_open_order_alone_makes_a_row_in_v3(sync_client: Any, world: World) -> None:
    world.place_order(account="main", symbol=ETH, side="buy", quantity=Decimal(1), price=Decimal(9))
    client = sync_client()
    (row,) = client.fapiPrivateV3GetPositionRisk()
    assert (row["symbol"], row["positionAmt"]) == ("ETHUSDT", "0.000")
    assert client.fapiPrivateV3GetPositionRisk({"symbol": "BTCUSDT"}) == []


@pytest.mark.parametrize(("account", "sides"), (("main", {"BOTH"}), ("hedged", {"LONG", "SHORT"})))
def test_v2_has_rows_for_what_is_flat_too(sync_client: Any, account: str, sides: set[str]) -> None:
    rows = sync_client(account).fapiPrivateV2GetPositionRisk()
    assert {row["positionSide"] for row in rows} == sides
    assert len(rows) == 14 * len(sides)
    assert all(Decimal(row["positionAmt"]) == 0 for row in rows)


def test_v2_positions_by_the_unified_method(ask: Any, world: World) -> None:
    hold(world, "main", "sell", "3")
    rows = ask(lambda client: client.fetch_positions([BTC], {"useV2": True}))
    assert [(row["side"], row["contracts"]) for row in rows] == [("short", "3")]


@pytest.mark.parametrize("use_v2", (False, True))
def test_positions_by_the_account_endpoint(ask: Any, world: World, use_v2: bool) -> None:
    hold(world, "main", "buy", "3")
    rows = ask(lambda client: client.fetch_positions(None, {"method": "account", "useV2": use_v2}))
    assert [r["contracts"] for r in rows if Decimal(r["contracts"])] == ["3"]


def test_an_override_contradicts_the_fills(ask: Any, world: World) -> None:
    hold(world, "main", "buy", "1")
    world.override_position(account="main", symbol=BTC, quantity=Decimal(-7))
    (position,) = ask(lambda client: client.fetch_positions())
    assert (position["side"], position["contracts"]) == ("short", "7")


def test_a_row_without_entry_price_is_dropped_by_the_client_alone(
    sync_client: Any, world: World
) -> None:
    world.override_position(account="main", symbol=BTC, quantity=Decimal(1), entry_price=Decimal(0))
    client = sync_client()
    assert client.fetch_positions() == []
    assert client.fapiPrivateV3GetPositionRisk()[0]["positionAmt"] == "1.000"


def test_a_fill_with_all_its_facts(ask: Any, world: World) -> None:
    hold(world, "hedged", "sell", "0.5", position_side="short", fee=Decimal("-0.01"), order_id="99")
    (fill,) = ask(lambda client: client.fetch_my_trades(BTC), "hedged")
    (true,) = world.fills("hedged")
    assert (fill["id"], fill["order"]) == (str(true.fill_id), "99")
    assert (fill["side"], fill["amount"], fill["timestamp"]) == ("sell", "0.500", true.at)
    assert fill["fee"] == {"currency": "USDT", "cost": "-0.01"}
    assert fill["info"]["positionSide"] == "SHORT"
    assert fill["info"]["realizedPnl"] == "0"


def test_a_quantity_finer_than_the_step_is_told_whole(ask: Any, world: World) -> None:
    hold(world, "main", "buy", "51.30696933")
    (fill,) = ask(lambda client: client.fetch_my_trades(BTC))
    assert fill["amount"] == "51.30696933"


def test_orders_carry_the_client_id_and_what_they_filled(ask: Any, world: World) -> None:
    hold(
        world, "main", "sell", "2", order_id="7", client_order_id="bot-1", order_quantity=Decimal(3)
    )
    (order,) = ask(lambda client: client.fetch_orders(BTC))
    assert (order["id"], order["clientOrderId"], order["status"]) == ("7", "bot-1", "open")
    assert (order["amount"], order["filled"], order["average"]) == ("3.000", "2.000", "100")


def test_one_order_by_either_id(sync_client: Any, world: World) -> None:
    hold(world, "main", "sell", "2", order_id="7", client_order_id="bot-1")
    client = sync_client()
    assert client.fetch_order("7", BTC)["status"] == "closed"
    assert client.fetch_order(None, BTC, {"origClientOrderId": "bot-1"})["id"] == "7"
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order("8", BTC)
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_open_order("7", BTC)


def test_open_orders(sync_client: Any, world: World) -> None:
    resting = world.place_order(
        account="main", symbol=ETH, side="buy", quantity=Decimal(1), price=Decimal(9)
    )
    hold(world, "main", "sell", "2")
    client = sync_client()
    client.load_markets()
    assert [o["id"] for o in client.fetch_open_orders(ETH)] == [resting.order_id]
    assert client.fetch_open_orders(BTC) == []
    assert client.fetch_open_order(resting.order_id, ETH)["status"] == "open"


def test_liquidations_are_told_apart(sync_client: Any, world: World) -> None:
    hold(world, "main", "buy", "2")
    hold(world, "main", "sell", "1", kind="liquidation")
    hold(world, "main", "sell", "1", kind="adl")
    client = sync_client()
    assert len(client.fapiPrivateGetForceOrders({"symbol": "BTCUSDT"})) == 2
    (forced,) = client.fapiPrivateGetForceOrders({"autoCloseType": "LIQUIDATION"})
    assert forced["clientOrderId"].startswith("autoclose-")
    assert len(client.fetch_my_trades(BTC)) == 3


def test_account_facts(sync_client: Any, world: World) -> None:
    world.set_balance("main", "BNB", Decimal("1.5"))
    client = sync_client()
    assert client.fetch_balance()["total"] == {"USDT": "100000.00000000", "BNB": "1.50000000"}
    assert {r["asset"]: r["balance"] for r in client.fapiPrivateV3GetBalance()} == {
        "USDT": "100000.00000000",
        "BNB": "1.50000000",
    }
    assert client.fetch_position_mode()["hedged"] is False
    assert client.fetch_trading_fee(BTC)["taker"] == "0.000500"
    assert client.fapiPrivateGetAccountConfig()["dualSidePosition"] is False
    assert len(client.fapiPrivateGetSymbolConfig({"symbol": "BTCUSDT"})) == 1
    assert client.fapiPrivateGetMultiAssetsMargin() == {"multiAssetsMargin": False}
    assert client.fetch_leverage_tiers([BTC])[BTC][0]["maintenanceMarginRate"] == "0.005"


def test_the_mode_changes_only_while_flat(sync_client: Any, world: World) -> None:
    client = sync_client()
    client.set_position_mode(True)
    assert client.fetch_position_mode()["hedged"] is True
    hold(world, "main", "buy", "1", position_side="long")
    with pytest.raises(ccxt.OperationRejected, match="-4068"):
        client.set_position_mode(False)
    with pytest.raises(ccxt.ExchangeError, match="-4059"):
        client.set_position_mode(True)


def test_prices(sync_client: Any, world: World) -> None:
    hold(world, "main", "buy", "1")
    client = sync_client()
    assert client.fetch_last_prices([BTC])[BTC]["price"] == "100"


def test_the_request_log_tells_all_but_the_signature(ask: Any, venue: Venue) -> None:
    ask(lambda client: client.fetch_my_trades(BTC, limit=5))
    (line,) = venue.requests("userTrades")
    assert (line.method, line.status) == ("GET", 200)
    assert line.params["limit"] == "5"
    assert "signature" not in line.params
    assert [each.endpoint for each in venue.requests()] == ["exchangeInfo", "userTrades"]
    venue.clear_requests()
    assert venue.requests() == ()
