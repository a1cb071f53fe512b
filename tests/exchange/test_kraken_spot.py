"""Kraken spot from its HTTP bodies: balances with variants, trades by offset to their count."""

import base64
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.exchange.scripted import Script, served

from unghost.adapters.exchange import Verdict
from unghost.model import Flatness, Money, Side

BTC = "BTC/USD"
TRADES = "/0/private/TradesHistory"
BALANCE = "/0/private/BalanceEx"
SECRET = base64.b64encode(b"a secret that signs nothing").decode()


def pair(altname, wsname, base, quote, minimum):
    return {
        "altname": altname,
        "wsname": wsname,
        "aclass_base": "currency",
        "base": base,
        "aclass_quote": "currency",
        "quote": quote,
        "lot": "unit",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "ordermin": minimum,
        "status": "online",
    }


def result(told):
    return {"error": [], "result": told}


def seconds(at):
    return f"{at.timestamp():.4f}"


def trade(number, at, **changes):
    return {
        "ordertxid": f"O{number // 2:05}",
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": "XXBTZUSD",
        "time": seconds(at),
        "type": "sell",
        "ordertype": "limit",
        "price": "60000.0",
        "cost": "600.00000",
        "fee": "2.40000",
        "vol": "0.01000000",
        "margin": "0.00000",
        "misc": "",
        "trade_id": number,
        "maker": True,
        **changes,
    }


def paged(trades):
    """The trades newest first, 50 a page by offset, between `start` (left out) and `end`."""

    def answer(asked):
        start, end = (Decimal(asked[name][0]) for name in ("start", "end"))
        offset = int(asked["ofs"][0])
        inside = [(n, row) for n, row in trades.items() if start < Decimal(row["time"]) <= end]
        inside.sort(key=lambda pair: Decimal(pair[1]["time"]), reverse=True)
        page = dict(inside[offset : offset + 50])
        return result({"trades": page, "count": len(inside)})

    return answer


@pytest.fixture
def kraken(now):
    trades = {"T1": trade(1, now - timedelta(hours=2))}
    script = Script(
        {
            "/0/public/AssetPairs": result(
                {
                    "XXBTZUSD": pair("XBTUSD", "XBT/USD", "XXBT", "ZUSD", "0.0001"),
                    "XETHZUSD": pair("ETHUSD", "ETH/USD", "XETH", "ZUSD", "0.002"),
                    "XTZUSD": pair("XTZUSD", "XTZ/USD", "XTZ", "ZUSD", "2"),
                }
            ),
            "/0/public/Time": result({"unixtime": int(now.timestamp()), "rfc1123": ""}),
            BALANCE: result(
                {
                    "ZUSD": {"balance": "25435.21", "hold_trade": "0"},
                    "XXBT": {"balance": "0.0000000000", "hold_trade": "0"},
                }
            ),
            TRADES: paged(trades),
            "/0/private/QueryOrders": lambda asked: result(
                {
                    name: {"status": "closed", "userref": None, "cl_ord_id": f"bot-{name}"}
                    for name in asked["txid"][0].split(",")
                }
            ),
            "/0/private/GetApiKeyInfo": result(
                {
                    "apiKeyName": "unghost",
                    "permissions": ["query-funds", "query-closed-trades"],
                    "iban": "AA88 N84G WOAK NMOI",
                }
            ),
        }
    )
    script.rows = {"trades": trades}
    with served(script) as server:
        yield server


@pytest.fixture
def account(connect, kraken):
    return connect(kraken.base_url, exchange="kraken", market_type="spot", secret=SECRET)


def market(account, name=BTC):
    return account.resolve([name])[name]


def position(account, name=BTC):
    return account.positions([market(account, name)])[name]


def fills(account, window):
    return account.fills({market(account): window})[BTC]


# Balances


def test_a_balance_of_zero_is_flat(account):
    reading = position(account)
    assert (reading.flatness, reading.size) == (Flatness.FLAT, 0)
    assert "0 BTC" in reading.detail


@pytest.mark.parametrize("name", ("XXBT", "XBT.F", "XBT.S", "XBT"))
def test_every_variant_of_the_asset_is_a_holding(account, kraken, name):
    kraken.answers[BALANCE]["result"][name] = {"balance": "0.5", "hold_trade": "0.5"}
    reading = position(account)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal("0.5"))
    assert "a balance does not tell whose it is" in reading.detail


@pytest.mark.parametrize(
    ("held", "flatness"), (("0.00009999", Flatness.FLAT), ("0.0001", Flatness.OPEN))
)
def test_the_smallest_amount_of_the_market_decides(account, kraken, held, flatness):
    kraken.answers[BALANCE]["result"]["XXBT"] = {"balance": held, "hold_trade": "0"}
    reading = position(account)
    assert (reading.flatness, reading.size) == (flatness, Decimal(held))


def test_an_asset_that_is_not_listed_is_unknown(account):
    assert position(account, "ETH/USD").flatness is Flatness.UNKNOWN


def test_a_name_of_three_letters_is_no_old_name(account, kraken):
    kraken.answers[BALANCE]["result"]["XTZ"] = {"balance": "7", "hold_trade": "0"}
    assert position(account, "XTZ/USD").flatness is Flatness.OPEN


@pytest.mark.parametrize(
    "answer",
    (
        {"error": [], "result": []},
        {"error": [], "result": {"XXBT": "0"}},
        {"error": [], "result": {"XXBT": {"hold_trade": "0"}}},
        {"error": ["EGeneral:Permission denied"]},
        {"error": []},
        [],
        "<html>soon</html>",
    ),
)
def test_a_balance_of_another_shape_is_unknown(account, kraken, answer):
    wanted = market(account)
    kraken.answers[BALANCE] = answer
    assert account.positions([wanted])[BTC].flatness is Flatness.UNKNOWN


# Fills


def test_a_fill_arrives_whole(account, window, now):
    (fill,) = fills(account, window).fills
    assert (fill.fill_id, fill.exchange_order_id) == ("T1", "O00000")
    assert (fill.side, fill.quantity, fill.price) == (Side.SELL, Decimal("0.01"), 60000)
    assert fill.fees == (Money(currency="USD", amount=Decimal("2.4")),)
    assert abs(fill.filled_at - (now - timedelta(hours=2))) <= timedelta(milliseconds=1)


@pytest.mark.parametrize(("count", "pages"), ((0, 1), (49, 1), (50, 1), (51, 2), (230, 5)))
def test_pages_are_read_to_the_count(account, kraken, window, count, pages):
    kraken.rows["trades"].clear()
    for number in range(count):
        at = window.end_at - timedelta(
            hours=1, milliseconds=number // 5
        )  # five in each millisecond
        kraken.rows["trades"][f"T{number}"] = trade(number, at)
    reading = fills(account, window)
    assert (reading.complete, len(reading.fills), reading.pages) == (True, count, pages)


def test_other_markets_are_left_aside_and_the_history_is_read_once(account, kraken, window, now):
    kraken.rows["trades"]["T2"] = trade(2, now - timedelta(hours=1), pair="XETHZUSD")
    kraken.rows["trades"]["T3"] = trade(3, now - timedelta(hours=1), pair="ETHUSD")
    eth = market(account, "ETH/USD")
    found = account.fills({market(account): window, eth: window})
    assert {name: len(one.fills) for name, one in found.items()} == {BTC: 1, "ETH/USD": 2}
    assert len(kraken.calls(TRADES)) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    (
        ({"pair": "NOBODYKNOWS"}, "which the exchange does not list"),
        ({"margin": "120.0"}, "made on margin"),
        ({"vol": "0.02"}, "the unit is in doubt"),
        ({"ordertxid": None}, "order id"),
    ),
)
def test_a_doubtful_trade_spoils_the_reading(account, kraken, window, change, why):
    kraken.rows["trades"]["T2"] = trade(2, window.end_at - timedelta(hours=1), **change)
    reading = fills(account, window)
    assert (reading.complete, reading.fills) == (False, ())
    assert why in reading.detail


def test_a_count_beyond_what_comes_is_incomplete(account, kraken, window):
    whole = kraken.answers[TRADES]
    kraken.answers[TRADES] = lambda asked: {
        "error": [],
        "result": whole(asked)["result"] | {"count": 2},
    }
    reading = fills(account, window)
    assert not reading.complete
    assert "1 of 2 trades came" in reading.detail


def test_a_count_that_is_not_told_is_incomplete(account, kraken, window):
    kraken.answers[TRADES] = result({"trades": {}})
    assert "how many" in fills(account, window).detail


def test_the_client_ids_of_the_orders_are_told(account, kraken, window):
    told = account.client_order_ids({market(account): window})
    assert told == {BTC: {"O00000": "bot-O00000"}}
    kraken.answers["/0/private/QueryOrders"] = result({})
    assert account.client_order_ids({market(account): window}) == {}


# Examination


def test_the_key_is_examined(account, kraken):
    found = {each.name: each for each in account.check()}
    assert found.pop("clock").detail  # its verdict is for the machine that the test runs on
    assert {name: each.verdict for name, each in found.items()} == dict.fromkeys(
        (
            *("exchange answers", "markets", "positions", "fills", "orders"),
            *("account", "key rights"),
        ),
        Verdict.OK,
    )
    assert "AA88" in found["account"].detail
    kraken.answers["/0/private/GetApiKeyInfo"]["result"]["permissions"].append("modify-trades")
    rights = {each.name: each for each in account.check()}["key rights"]
    assert (rights.verdict, "modify-trades" in rights.detail) == (Verdict.WARN, True)
