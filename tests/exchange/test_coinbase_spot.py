"""Coinbase spot from its HTTP bodies: wallets and fills by cursor, to its end."""

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.exchange.scripted import Script, served

from unghost.adapters.exchange import Verdict
from unghost.model import Flatness, Money, Side

BTC = "BTC/USD"
API = "/api/v3/brokerage"
ACCOUNTS = f"{API}/accounts"
FILLS = f"{API}/orders/historical/fills"
ORDERS = f"{API}/orders/historical/batch"
KEY = f"{API}/key_permissions"


def product(base, quote="USD"):
    return {
        "product_id": f"{base}-{quote}",
        "price": "60000",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": "0.0001",
        "base_max_size": "3400",
        "status": "online",
        "trading_disabled": False,
        "product_type": "SPOT",
        "quote_currency_id": quote,
        "base_currency_id": base,
        "price_increment": "0.01",
    }


def products(asked):
    return {"products": [] if "product_type" in asked else [product("BTC"), product("ETH")]}


def wallet(asset, free="0", hold="0"):
    return {
        "uuid": f"{asset}-{free}-{hold}",
        "currency": asset,
        "available_balance": {"value": free, "currency": asset},
        "hold": {"value": hold, "currency": asset},
        "type": "ACCOUNT_TYPE_CRYPTO",
        "active": True,
        "ready": True,
    }


def fill(number, at, **changes):
    return {
        "entry_id": f"entry-{number}",
        "trade_id": f"trade-{number}",
        "order_id": f"order-{number // 2}",
        "trade_time": at.isoformat(timespec="milliseconds").replace("+00:00", "456789Z"),
        "trade_type": "FILL",
        "price": "60000",
        "size": "0.01",
        "commission": "3.6",
        "product_id": "BTC-USD",
        "sequence_timestamp": at.isoformat().replace("+00:00", "Z"),
        "liquidity_indicator": "TAKER",
        "size_in_quote": False,
        "user_id": "user",
        "side": "SELL",
        **changes,
    }


def by_cursor(name, rows, size, *, has_next):
    """Pages of `size` rows; the cursor is where the next one begins."""

    def answer(asked):
        start = int(asked.get("cursor", ["0"])[0])
        more = start + size < len(rows)
        told = {name: rows[start : start + size], "cursor": str(start + size) if more else ""}
        return told | ({"has_next": more} if has_next else {})

    return answer


@pytest.fixture
def coinbase(now):
    wallets, fills = [wallet("USD", "100"), wallet("BTC")], [fill(1, now - timedelta(hours=2))]
    clock = {"iso": "", "epochSeconds": str(int(now.timestamp())), "epochMillis": ""}
    script = Script(
        {
            f"{API}/market/products": products,
            f"{API}/transaction_summary": {"fee_tier": {}},
            f"{API}/time": clock,
            "/v2/time": {"data": {"epoch": int(now.timestamp()), "iso": ""}},
            ACCOUNTS: by_cursor("accounts", wallets, 2, has_next=True),
            FILLS: by_cursor("fills", fills, 50, has_next=False),
            ORDERS: lambda asked: {
                "orders": [
                    {"order_id": each, "client_order_id": f"bot-{each}"}
                    for each in asked["order_ids"]
                ],
                "has_next": False,
                "cursor": "",
            },
            KEY: {"can_view": True, "can_trade": False, "portfolio_uuid": "p-1"},
        }
    )
    script.rows = {"wallets": wallets, "fills": fills}
    with served(script) as server:
        yield server


@pytest.fixture
def account(connect, coinbase):
    return connect(coinbase.base_url, exchange="coinbase", market_type="spot", secret="quiet")


def market(account, name=BTC):
    return account.resolve([name])[name]


def position(account, name=BTC):
    return account.positions([market(account, name)])[name]


def read(account, window):
    return account.fills({market(account): window})[BTC]


# Balances


def test_a_wallet_of_zero_is_flat(account):
    assert position(account).flatness is Flatness.FLAT


def test_what_is_free_and_what_is_on_hold_count_over_all_wallets(account, coinbase):
    coinbase.rows["wallets"] += [
        wallet("EUR"),
        wallet("BTC", "0.1", "0.2"),
        wallet("BTC", "0", "0.3"),
    ]
    reading = position(account)
    assert (reading.flatness, reading.size) == (Flatness.OPEN, Decimal("0.6"))
    assert len(coinbase.calls(ACCOUNTS)) == 3


def test_less_than_the_market_trades_is_flat(account, coinbase):
    coinbase.rows["wallets"].append(wallet("BTC", "0.00005", "0.00004"))
    reading = position(account)
    assert (reading.flatness, reading.size) == (Flatness.FLAT, Decimal("0.00009"))


def test_an_asset_without_a_wallet_is_unknown(account):
    assert position(account, "ETH/USD").flatness is Flatness.UNKNOWN


@pytest.mark.parametrize(
    "answer",
    (
        {"accounts": []},
        {"accounts": {}, "has_next": False},
        {"accounts": [wallet("BTC")], "has_next": True, "cursor": ""},
        {"accounts": [wallet("BTC")], "has_next": True, "cursor": "the same"},
        {"accounts": [wallet("BTC") | {"hold": None}], "has_next": False},
        {"accounts": [wallet("BTC") | {"available_balance": {}}], "has_next": False},
        "<html>soon</html>",
    ),
)
def test_wallets_that_are_not_told_to_the_end_are_unknown(account, coinbase, answer):
    wanted = market(account)
    coinbase.answers[ACCOUNTS] = answer
    assert account.positions([wanted])[BTC].flatness is Flatness.UNKNOWN


# Fills


def test_a_fill_arrives_whole(account, window, now):
    (found,) = read(account, window).fills
    assert (found.fill_id, found.exchange_order_id) == ("trade-1", "order-0")
    assert (found.side, found.quantity, found.price) == (Side.SELL, Decimal("0.01"), 60000)
    assert found.fees == (Money(currency="USD", amount=Decimal("3.6")),)
    assert found.filled_at == now - timedelta(hours=2)


def test_a_size_in_quote_becomes_base(account, coinbase, window, now):
    coinbase.rows["fills"][:] = [fill(1, now - timedelta(hours=2), size="600", size_in_quote=True)]
    (found,) = read(account, window).fills
    assert found.quantity == Decimal("0.01")


@pytest.mark.parametrize(("count", "pages"), ((0, 1), (50, 1), (51, 2), (230, 5)))
def test_pages_are_read_to_the_end_of_the_cursor(account, coinbase, window, count, pages):
    coinbase.rows["fills"][:] = [
        fill(number, window.end_at - timedelta(hours=1, milliseconds=number // 5))
        for number in range(count)
    ]
    reading = read(account, window)
    assert (reading.complete, len(reading.fills), reading.pages) == (True, count, pages)
    (first, *_) = coinbase.calls(FILLS)
    assert first["product_ids"] == ["BTC-USD"]


@pytest.mark.parametrize(
    ("change", "why"),
    (
        ({"trade_type": "REVERSAL"}, "takes something back"),
        ({"product_id": "ETH-USD"}, "came with those of"),
        ({"size_in_quote": None}, "in which currency"),
        ({"side": "UNKNOWN_ORDER_SIDE"}, "neither buy nor sell"),
        ({"order_id": ""}, "order id"),
        ({"size": "0"}, "quantity"),
    ),
)
def test_a_doubtful_row_spoils_the_reading(account, coinbase, window, change, why):
    coinbase.rows["fills"].append(fill(7, window.end_at - timedelta(hours=1), **change))
    reading = read(account, window)
    assert (reading.complete, reading.fills) == (False, ())
    assert why in reading.detail


def test_the_client_ids_of_the_orders_are_told(account, coinbase, window):
    told = account.client_order_ids({market(account): window})
    assert told == {BTC: {"order-0": "bot-order-0"}}
    coinbase.answers[ORDERS] = {"orders": [], "has_next": False}
    assert account.client_order_ids({market(account): window}) == {}


# Examination


def test_the_key_is_examined(account, coinbase):
    found = {each.name: each for each in account.check()}
    assert (found["key rights"].verdict, found["account"].verdict) == (Verdict.OK, Verdict.OK)
    assert "p-1" in found["account"].detail
    coinbase.answers[KEY] = {"can_view": True, "can_trade": True, "can_transfer": True}
    found = {each.name: each for each in account.check()}
    assert found["key rights"].verdict is Verdict.WARN
    assert "can_trade, can_transfer" in found["key rights"].detail
