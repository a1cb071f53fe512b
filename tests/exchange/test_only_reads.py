"""Nothing but reads can be reached, and no secret gets out."""

import asyncio
import logging

import pytest
from pydantic import SecretStr
from tests.exchange.conftest import KEY, PASSWORD, SECRET

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount
from unghost.adapters.exchange.client import ReadOnlyClient
from unghost.adapters.exchange.connection import moved, redact
from unghost.adapters.exchange.failures import ReadFailed
from unghost.errors import ConfigurationError
from unghost.model import Flatness

WRITES = (
    "create_order",
    "createOrder",
    "edit_order",
    "cancel_order",
    "cancel_all_orders",
    "close_position",
    "set_leverage",
    "set_position_mode",
    "transfer",
    "withdraw",
    "fapiPrivatePostOrder",
    "request",
    "fetch",
)


def ccxt_object(account):
    return account._client._ReadOnlyClient__exchange


@pytest.mark.parametrize("name", WRITES)
def test_no_write_is_an_attribute_of_the_adapter(account, name):
    assert hasattr(ccxt_object(account), name), "this test would prove nothing"
    assert not hasattr(account, name)
    assert not hasattr(account._client, name)


def test_the_public_methods_are_the_port_and_the_examination():
    public = {name for name in vars(ExchangeAccount) if not name.startswith("_")}
    assert public == {
        "resolve",
        "positions",
        "fills",
        "client_order_ids",
        "key",
        "account_id",
        "calls",
        "close",
        "check",
    }


def test_ccxt_itself_cannot_place_an_order_even_if_got_hold_of(account, btc, venue):
    exchange = ccxt_object(account)
    venue.clear_requests()

    async def order():
        await exchange.create_order("BTC/USDT:USDT", "limit", "buy", 1, 60000)

    with pytest.raises(ReadFailed, match="only reads are allowed"):
        account._runner.run(order())
    assert venue.requests() == ()


def test_an_exchange_that_is_read_by_post_cannot_place_an_order_by_post_either(connect, venue):
    account = connect(venue.base_url, exchange="okx")

    async def order():
        await ccxt_object(account).privatePostTradeOrder({"instId": "BTC-USDT-SWAP"})

    with pytest.raises(ReadFailed, match="only reads are allowed"):
        account._runner.run(order())
    assert venue.requests() == ()


@pytest.mark.parametrize("name", ("fapiPrivatePostOrder", "fapiPrivateDeleteOrder", "create_order"))
def test_an_endpoint_outside_of_the_list_is_refused(account, venue, name):
    async def ask():
        await account._client.read(name, {}, question="Anything", parse=lambda answer: answer)

    with pytest.raises(ReadFailed, match="is not a read of this adapter"):
        account._runner.run(ask())
    assert venue.requests() == ()


def test_a_write_put_on_the_list_by_mistake_is_refused_by_its_verb(venue):
    async def ask():
        spec = ConnectionSpec(
            exchange="binanceusdm",
            market_type="swap",
            api_key=KEY,
            secret=SECRET,
            base_url=venue.base_url,
        )
        client = ReadOnlyClient(spec, endpoints=frozenset({"fapiPrivatePostOrder"}))
        try:
            await client.read(
                "fapiPrivatePostOrder", {}, question="Anything", parse=lambda answer: answer
            )
        finally:
            await client.close()

    with pytest.raises(ReadFailed, match="only reads are allowed"):
        asyncio.run(ask())
    assert venue.requests() == ()


def test_only_get_was_sent_by_everything_the_adapter_can_do(account, btc, venue, window):
    account.positions([btc])
    account.fills({btc: window})
    account.client_order_ids({btc: window})
    account.check()
    assert {request.method for request in venue.requests()} == {"GET"}


# Secrets


def test_a_spec_does_not_show_its_secrets():
    spec = ConnectionSpec(
        exchange="okx",
        market_type="swap",
        api_key=KEY,
        secret=SecretStr(SECRET),
        password=SecretStr(PASSWORD),
    )
    assert not any(secret in repr(spec) for secret in (KEY, SECRET, PASSWORD))
    assert spec.secrets == (KEY, SECRET, PASSWORD)


def test_secrets_that_show_themselves_only_when_asked_sign_as_well(connect, venue, btc):
    account = connect(venue.base_url, api_key=SecretStr(KEY), secret=SecretStr(SECRET))
    assert account.positions([btc])[btc.unified].flatness is Flatness.FLAT


def test_ccxt_logs_nothing(account, btc, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        account.positions([btc])
    assert KEY not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_a_retry_writes_nothing_to_stdout(account, btc, venue, capfd):
    from unghost.demo.venue import Fault, FaultKind

    venue.fault(Fault(kind=FaultKind.HTML, endpoint="positionRisk"))
    account.positions([btc])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "text",
    (
        "GET https://a.example/fapi/v1/userTrades?symbol=X&timestamp=1&signature=0a1b2c 503",
        "signature=0a1b2c",
        '{"apiKey": "0a1b2c"}',
        "'secret': '0a1b2c'",
        "X-MBX-APIKEY: 0a1b2c",
        "OK-ACCESS-KEY: 0a1b2c",
        "passphrase=0a1b2c&x=1",
        "my 0a1b2c key",
    ),
)
def test_a_secret_is_hidden_wherever_it_stands(text):
    assert "0a1b2c" not in redact(text, ["0a1b2c"])
    if "my" not in text:
        assert "0a1b2c" not in redact(text)


def test_what_is_no_secret_stays_readable():
    text = 'binanceusdm {"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
    assert redact(text, ["s3cret", "", "ab"]) == text
    assert redact("a\n b\t c") == "a b c"
    assert len(redact("x" * 1000)) == 240


def test_a_secret_that_was_percent_encoded_is_hidden():
    assert redact("pass%2Fword%3D", ["pass/word="]) == "[hidden]"


# Where calls go


def test_every_address_moves_and_keeps_its_path():
    urls = {
        "rest": "https://api.{hostname}/v5",
        "deep": {"a": "https://x.example.com", "b": "https://y.example.com/c?d=e"},
        "none": None,
    }
    assert moved(urls, "http://127.0.0.1:9001/ignored") == {
        "rest": "http://127.0.0.1:9001/v5",
        "deep": {"a": "http://127.0.0.1:9001", "b": "http://127.0.0.1:9001/c?d=e"},
        "none": None,
    }


@pytest.mark.parametrize("name", ("binanceusdm", "bybit", "okx", "gate", "kraken", "bitget"))
def test_no_address_of_an_exchange_stays_behind(connect, name):
    account = connect("http://127.0.0.1:9", exchange=name)

    def flat(urls):
        return (
            [urls] if isinstance(urls, str) else [u for each in urls.values() for u in flat(each)]
        )

    found = flat(ccxt_object(account).urls["api"])
    assert found
    assert all(url.startswith("http://127.0.0.1:9") and "{" not in url for url in found)


def test_error_codes_are_read_as_at_the_true_address(account, btc, venue):
    # -1109 means "invalid account" only in CCXT's table for linear futures.
    from unghost.demo.venue import Fault, FaultKind

    venue.fault(
        Fault(
            kind=FaultKind.STATUS,
            endpoint="positionRisk",
            status=400,
            body='{"code":-1109,"msg":"?"}',
        )
    )
    assert "PermissionDenied" in account.positions([btc])[btc.unified].detail


def test_proxies_are_for_other_machines_only(connect, monkeypatch, venue, btc):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    account = connect(venue.base_url)
    assert account.positions([btc])[btc.unified].flatness is Flatness.FLAT
    assert not ccxt_object(account).aiohttp_trust_env
    for elsewhere in (None, "https://exchange.example"):
        assert ccxt_object(connect(elsewhere, rate_limit_ms=None)).aiohttp_trust_env


# Pace


def test_the_pace_is_ccxt_s_unless_another_is_set(connect):
    assert ccxt_object(connect(None, exchange="okx", rate_limit_ms=None)).rateLimit == 110
    slow = ccxt_object(connect(None, exchange="okx", rate_limit_ms=500))
    assert slow.tokenBucket["refillRate"] == 1 / 500


def test_faster_than_ccxt_is_only_asked_what_is_on_this_machine(connect):
    with pytest.raises(ConfigurationError, match="okx allows no less than 110"):
        connect("https://exchange.example", exchange="okx", rate_limit_ms=109)
    connect("http://127.0.0.1:9", exchange="okx", rate_limit_ms=1)


@pytest.mark.parametrize("url", ("127.0.0.1:9001", "ftp://x", "http://", "/x"))
def test_an_address_that_is_none_is_a_configuration_error(connect, url):
    with pytest.raises(ConfigurationError, match="base_url"):
        connect(url)


def test_an_unknown_exchange_or_market_type_is_a_configuration_error(connect):
    with pytest.raises(ConfigurationError, match="mtgox2"):
        connect(None, exchange="mtgox2", rate_limit_ms=None)
    with pytest.raises(ConfigurationError, match="swap, spot or margin"):
        connect(None, market_type="option", rate_limit_ms=None)


# Life


def test_calls_are_counted_by_path(account, btc, venue, window):
    account.positions([btc])
    account.fills({btc: window})
    log = account.calls()
    assert dict(log.by_method) == {
        "/fapi/v1/exchangeInfo": 1,
        "/fapi/v1/userTrades": 1,
        "/fapi/v3/positionRisk": 1,
    }
    assert log.total == len(venue.requests())


def test_after_close_everything_is_unknown_and_close_may_come_twice(account, btc, window):
    account.close()
    account.close()
    reading = account.positions([btc])[btc.unified]
    assert reading.flatness is Flatness.UNKNOWN
    assert "the connection was closed" in reading.detail
    assert not account.fills({btc: window})[btc.unified].complete
    assert account.client_order_ids({btc: window}) == {}


def test_an_account_may_pass_from_thread_to_thread(account, btc):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=4) as threads:
        readings = list(threads.map(lambda _: account.positions([btc]), range(8)))
    assert {each[btc.unified].flatness for each in readings} == {Flatness.FLAT}


def test_ccxt_is_loaded_by_the_first_account_and_not_by_the_import():
    import subprocess
    import sys

    code = "import sys, unghost.adapters.exchange; print('ccxt' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
