"""Keys, signatures, clocks and the rate limit."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
import requests

from unghost.demo.venue import Venue
from unghost.demo.world import World

BTC = "BTC/USDT:USDT"


def test_a_wrong_secret_is_a_bad_signature(ask: Any) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        ask(lambda client: client.fetch_my_trades(BTC), secret="another")


def test_an_unknown_key_is_refused(ask: Any) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        ask(lambda client: client.fetch_positions(), apiKey="nobody")


def test_public_endpoints_need_no_key(venue: Venue) -> None:
    assert requests.get(f"{venue.base_url}/fapi/v1/ping", timeout=5).json() == {}


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    (
        ({}, "", 401, -2014),
        ({"X-MBX-APIKEY": "main-key"}, "", 400, -1102),
        ({"X-MBX-APIKEY": "main-key"}, "?timestamp=1&recvWindow=60001", 400, -1131),
        ({"X-MBX-APIKEY": "main-key"}, "?timestamp=1&recvWindow=60000", 400, -1021),
    ),
)
def test_half_a_request_is_refused(
    venue: Venue, headers: dict[str, str], query: str, status: int, code: int
) -> None:
    url = f"{venue.base_url}/fapi/v3/positionRisk{query}"
    answer = requests.get(url, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_request_without_a_signature_is_refused(venue: Venue, world: World) -> None:
    url = f"{venue.base_url}/fapi/v3/positionRisk?timestamp={world.clock.now_ms()}"
    answer = requests.get(url, headers={"X-MBX-APIKEY": "main-key"}, timeout=5)
    assert answer.json()["code"] == -1102


def test_a_path_that_does_not_exist(venue: Venue) -> None:
    assert requests.get(f"{venue.base_url}/fapi/v9/nothing", timeout=5).status_code == 404
    assert requests.get(f"{venue.base_url}/elsewhere", timeout=5).status_code == 404


@pytest.mark.parametrize("offset_ms", (-3_600_000, 3_600_000, -1500))
def test_a_clock_that_is_off_is_refused_until_the_client_adjusts(
    ask: Any, venue: Venue, offset_ms: int
) -> None:
    venue.skew(offset_ms)
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        ask(lambda client: client.fetch_my_trades(BTC))

    async def adjusted(client: Any) -> Any:
        await client.load_time_difference()
        client.options["adjustForTimeDifference"] = True
        return await client.fetch_my_trades(BTC)

    assert ask(adjusted) == []


def test_a_clock_within_the_window_passes(ask: Any, venue: Venue) -> None:
    venue.skew(8000)
    assert ask(lambda client: client.fetch_my_trades(BTC)) == []


def test_every_answer_tells_the_weight_used(sync_client: Any) -> None:
    client = sync_client()
    client.load_markets()
    used = int(client.last_response_headers["X-MBX-USED-WEIGHT-1M"])
    client.fetch_my_trades(BTC)
    after = int(client.last_response_headers["X-MBX-USED-WEIGHT-1M"])
    assert after - used == 5 or after == 5  # the minute may have turned in between


@pytest.mark.usefixtures("early_in_a_minute")
def test_beyond_the_limit_comes_429_and_then_a_ban(sync_client: Any, venue: Venue) -> None:
    client = sync_client()
    client.load_markets()
    venue.limit_weight(12)
    seen = []
    for _ in range(6):
        try:
            client.fetch_my_trades(BTC)
            seen.append(200)
        except ccxt.DDoSProtection as error:
            seen.append(418 if " 418 " in str(error) else 429)
            assert 1 <= int(client.last_response_headers["Retry-After"]) <= 60
    assert seen == [200, 200, 429, 429, 418, 418]
    venue.limit_weight(None)
    assert client.fetch_my_trades(BTC) == []
