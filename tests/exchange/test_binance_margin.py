"""Binance cross margin from its HTTP bodies: what is owned and owed, fills, and no debts."""

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.exchange.scripted import Script, served

from unghost.adapters.exchange import Verdict
from unghost.adapters.exchange.strict import to_ms
from unghost.model import Flatness, Money, Side, Window

BTC = "BTC/USDT"
INFO = "/api/v3/exchangeInfo"
ACCOUNT = "/sapi/v1/margin/account"
FILLS = "/sapi/v1/margin/myTrades"
ORDERS = "/sapi/v1/margin/allOrders"
DEBTS = "/sapi/v1/margin/borrow-repay"
RIGHTS = "/sapi/v1/account/apiRestrictions"


def listed(base, *, margin=True):
    return {
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": margin,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "1", "maxPrice": "9", "tickSize": "0.01"},
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001",
                "maxQty": "9000",
                "stepSize": "0.00001",
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
    }


def asset(name, free="0", locked="0", borrowed="0", interest="0"):
    net = Decimal(free) + Decimal(locked) - Decimal(borrowed) - Decimal(interest)
    return {
        "asset": name,
        "free": free,
        "locked": locked,
        "borrowed": borrowed,
        "interest": interest,
        "netAsset": f"{net:f}",
    }


def fill(number, at, **changes):
    return {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": 900 + number,
        "price": "60000.00",
        "qty": "0.51",
        "commission": "0.0005",
        "commissionAsset": "BTC",
        "time": to_ms(at),
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
        "isIsolated": False,
        **changes,
    }


def histories(rows, cursor, name):
    """Rows by time or from an id on, oldest first, at most as many as were asked for."""

    def answer(asked):
        (limit,) = asked["limit"]
        if cursor in asked:
            found = [row for row in rows if row[name] >= int(asked[cursor][0])]
        else:
            start, end = int(asked["startTime"][0]), int(asked["endTime"][0])
            assert end - start < 86_400_000
            found = [row for row in rows if start <= row["time"] <= end]
        return found[: int(limit)]

    return answer


def debts(rows):
    def answer(asked):
        found = [
            row
            for row in rows
            if row["kind"] == asked["type"][0] and row["asset"] == asked["asset"][0]
        ]
        return {"rows": found, "total": len(found)}

    return answer


@pytest.fixture
def binance(now):
    assets, owed = [asset("BTC"), asset("USDT", "100")], []
    fills = [fill(1, now - timedelta(hours=30)), fill(2, now - timedelta(hours=2), isBuyer=False)]
    orders = [
        {"symbol": "BTCUSDT", "orderId": row["orderId"], "clientOrderId": f"bot-{row['id']}"}
        | {"time": row["time"]}
        for row in fills
    ]
    script = Script(
        {
            INFO: {"symbols": [listed("BTC"), listed("ETH"), listed("XYZ", margin=False)]},
            ACCOUNT: lambda _: {"tradeEnabled": True, "userAssets": assets},
            FILLS: histories(fills, "fromId", "id"),
            ORDERS: histories(orders, "orderId", "orderId"),
            DEBTS: debts(owed),
            RIGHTS: {"enableReading": True, "enableMargin": False},
        }
    )
    script.rows = {"assets": assets, "fills": fills, "debts": owed}
    with served(script) as server:
        yield server


@pytest.fixture
def account(connect, binance):
    return connect(binance.base_url, exchange="binance", market_type="margin")


def market(account, name="BTCUSDT"):
    return account.resolve([name])[name]


def position(account, name="BTCUSDT"):
    wanted = market(account, name)
    return account.positions([wanted])[wanted.unified]


def read(account, window):
    return account.fills({market(account): window})[BTC]


# Balances


def test_only_markets_that_trade_on_margin_resolve(account):
    found = market(account)
    assert (found.unified, found.spot, found.margin) == (BTC, True, True)
    assert found.minimum_quantity == Decimal("0.00001")
    assert market(account, "XYZUSDT") is None


def test_nothing_owned_and_nothing_owed_is_flat(account):
    assert position(account).flatness is Flatness.FLAT


@pytest.mark.parametrize(
    ("parts", "flatness"),
    (
        ({"free": "0.000004", "locked": "0.000005"}, Flatness.FLAT),
        ({"free": "0.000005", "locked": "0.000005"}, Flatness.OPEN),
        ({"borrowed": "0.000009"}, Flatness.FLAT),
        ({"borrowed": "0.3"}, Flatness.OPEN),
        ({"interest": "0.00001"}, Flatness.OPEN),
        ({"free": "0.3", "borrowed": "0.3"}, Flatness.OPEN),
        ({"free": "0.000006", "borrowed": "0.000006"}, Flatness.OPEN),
    ),
)
def test_what_is_owned_and_what_is_owed_both_count(account, binance, parts, flatness):
    binance.rows["assets"][0] = asset("BTC", **parts)
    assert position(account).flatness is flatness


def test_a_debt_in_the_base_asset_is_told_as_a_short(account, binance):
    binance.rows["assets"][0] = asset("BTC", borrowed="0.3", interest="0.001")
    reading = position(account)
    assert (reading.size, reading.legs[0].quantity) == (Decimal("0.301"), Decimal("-0.301"))
    assert "a debt in the base asset is an open short" in reading.detail


def test_a_debt_in_the_quote_alone_is_no_position(account, binance):
    binance.rows["assets"][1] = asset("USDT", borrowed="5000", interest="1")
    assert position(account).flatness is Flatness.FLAT


def test_a_net_amount_that_contradicts_its_parts_is_not_flat(account, binance):
    binance.rows["assets"][0] |= {"netAsset": "-0.3"}
    assert position(account).flatness is Flatness.OPEN


def test_an_asset_that_is_not_listed_is_unknown(account):
    assert position(account, "ETHUSDT").flatness is Flatness.UNKNOWN


@pytest.mark.parametrize(
    "rows",
    (
        [asset("BTC"), asset("BTC")],
        [asset("BTC") | {"borrowed": None}],
        [asset("BTC") | {"interest": "NaN"}],
        [asset("BTC") | {"free": "-1"}],
        [asset("BTC"), asset("USDT") | {"netAsset": ""}],
        {},
    ),
)
def test_an_account_that_is_not_whole_is_unknown(account, binance, rows):
    wanted = market(account)
    binance.answers[ACCOUNT] = {"userAssets": rows}
    assert account.positions([wanted])[BTC].flatness is Flatness.UNKNOWN


# Fills


def test_fills_of_the_cross_account_arrive_whole(account, binance, window, now):
    reading = read(account, window)
    bought, sold = reading.fills
    assert (reading.complete, bought.side, sold.side) == (True, Side.BUY, Side.SELL)
    assert (bought.fill_id, bought.exchange_order_id) == ("1", "901")
    assert (bought.quantity, bought.price) == (Decimal("0.51"), 60000)
    assert bought.fees == (Money(currency="BTC", amount=Decimal("0.0005")),)
    assert sold.filled_at == now - timedelta(hours=2)
    assert {each["isIsolated"][0] for each in binance.calls(FILLS)} == {"FALSE"}


@pytest.mark.parametrize("count", (0, 1000, 2300))
def test_pages_are_read_to_their_end(account, binance, window, count):
    first = window.end_at - timedelta(hours=20)
    binance.rows["fills"][:] = [
        fill(number, first + timedelta(milliseconds=number // 3)) for number in range(1, count + 1)
    ]
    reading = read(account, window)
    assert (reading.complete, len(reading.fills)) == (True, count)


@pytest.mark.parametrize(
    ("change", "why"),
    (
        ({"isIsolated": True}, "cross account"),
        ({"isIsolated": None}, "cross account"),
        ({"isBuyer": None}, "whether it bought"),
        ({"symbol": "ETHUSDT"}, "another symbol"),
        ({"qty": "0"}, "quantity"),
    ),
)
def test_a_doubtful_row_spoils_the_reading(account, binance, window, change, why):
    binance.rows["fills"].append(fill(3, window.end_at - timedelta(hours=1), **change))
    reading = read(account, window)
    assert (reading.complete, reading.fills) == (False, ())
    assert why in reading.detail


# Debts


@pytest.mark.parametrize(("kind", "word"), (("BORROW", "borrowed"), ("REPAY", "repaid")))
def test_a_debt_in_the_base_asset_leaves_the_direction_in_doubt(
    account, binance, window, kind, word
):
    binance.rows["debts"].append({"kind": kind, "asset": "BTC", "status": "CONFIRMED"})
    reading = read(account, window)
    assert (reading.complete, reading.fills) == (False, ())
    assert f"BTC was {word}" in reading.detail


def test_a_debt_in_the_quote_leaves_no_doubt(account, binance, window):
    binance.rows["debts"].append({"kind": "BORROW", "asset": "USDT", "status": "CONFIRMED"})
    assert read(account, window).complete


@pytest.mark.parametrize(
    "answer",
    (
        {"rows": []},
        {"rows": [], "total": 1},
        {"rows": [{"asset": "BTC"}], "total": 0},
        {"total": 0},
        [],
        "<html>soon</html>",
    ),
)
def test_debts_that_are_not_told_in_full_spoil_the_reading(account, binance, window, answer):
    binance.answers[DEBTS] = answer
    assert not read(account, window).complete


def test_debts_are_asked_for_from_a_day_before_the_window_until_now(account, binance, now):
    window = Window(start_at=now - timedelta(days=10), end_at=now)
    assert read(account, window).complete
    asked = [each for each in binance.calls(DEBTS) if each["type"] == ["BORROW"]]
    assert [int(each["startTime"][0]) for each in asked] == [
        to_ms(now - timedelta(days=11)),
        to_ms(now - timedelta(days=4)),
    ]
    assert ["endTime" in each for each in asked] == [True, False]


def test_a_window_that_ended_long_ago_is_refused(account, now):
    end = now - timedelta(days=40)
    reading = read(account, Window(start_at=end - timedelta(hours=1), end_at=end))
    assert not reading.complete
    assert "too long ago" in reading.detail


# Orders and examination


def test_the_client_ids_of_the_orders_are_told(account, window):
    told = account.client_order_ids({market(account): window})
    assert told == {BTC: {"901": "bot-1", "902": "bot-2"}}


def test_the_key_is_examined(account, binance):
    found = {each.name: each for each in account.check()}
    assert found["account"].verdict is Verdict.OK
    assert found["key rights"].verdict is Verdict.OK
    binance.answers[RIGHTS] = {"enableMargin": True}
    found = {each.name: each for each in account.check()}
    assert found["key rights"].verdict is Verdict.WARN
