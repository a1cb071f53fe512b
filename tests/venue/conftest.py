"""Real CCXT clients pointed at a simulated venue.

`ask`, `tell` and `sync_client` speak Binance's protocol, unless a module's own fixture `face` names
another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ccxt
import ccxt.async_support
import pytest
from tests.venue.deals import DAY, trade

from unghost.demo.venue import Venue, running_venue
from unghost.demo.venue.server import WeightMeter
from unghost.demo.world import Account, World

T = TypeVar("T")
TIMEOUT_MS = 2000

Client = Any  # ccxt ships no type that covers both of its client families
Connect = Callable[..., Client]
Ask = Callable[..., Any]


def moved(urls: Any, base_url: str) -> Any:
    """A tree of API addresses with every scheme and host replaced, paths kept."""
    if isinstance(urls, dict):
        return {name: moved(each, base_url) for name, each in urls.items()}
    return base_url + urlsplit(urls).path if isinstance(urls, str) else urls


# What a client is told at birth, so that it loads the markets in question and no currencies.
BY_FACE: dict[str, dict[str, Any]] = {
    "binanceusdm": {"options": {"fetchCurrencies": False}},
    "bybit": {
        "has": {"fetchCurrencies": False},
        "options": {"fetchMarkets": {"types": ["linear"]}},
    },
    "okx": {"has": {"fetchCurrencies": False}, "options": {"fetchMarkets": {"types": ["swap"]}}},
}


def options_of(account: Account, face: str) -> dict[str, Any]:
    """The constructor's configuration for one account."""
    return {
        "apiKey": account.api_key,
        "secret": account.secret,
        "password": account.password,
        "timeout": TIMEOUT_MS,
        "enableRateLimit": False,
        **BY_FACE[face],
    }


def pointed(client: Client, base_url: str) -> Client:
    """The client, moved to a venue and told to leave numbers as text."""
    client.number = str
    client.urls["api"] = moved(client.urls["api"], base_url)
    return client


@pytest.fixture
def world() -> World:
    """A world with one account in each position mode."""
    made = World()
    made.open_account("main")
    made.open_account("hedged", mode="hedge")
    return made


@pytest.fixture
def venue(world: World) -> Iterator[Venue]:
    """The world, served."""
    with running_venue(world) as served:
        yield served


@pytest.fixture
def early_in_a_minute() -> None:
    """Wait for the next minute where this one, in which weight is counted, is nearly over."""
    if WeightMeter.seconds_left() <= 2:
        time.sleep(2.1)


@pytest.fixture
def face() -> str:
    """Whose protocol the clients speak."""
    return "binanceusdm"


@pytest.fixture
def sync_client(venue: Venue, face: str) -> Connect:
    """Build a synchronous client for an account of the venue."""

    def connect(account: str = "main", **changes: Any) -> Client:
        settings = options_of(venue.world.account(account), face) | changes
        return pointed(getattr(ccxt, face)(settings), venue.base_url)

    return connect


@pytest.fixture
def tell(sync_client: Connect) -> Ask:
    """As `ask`, by a synchronous client: those are quick to make."""
    return lambda question, account="main", **changes: question(sync_client(account, **changes))


@pytest.fixture
def ask(venue: Venue, face: str) -> Ask:
    """Ask one question of the venue by a fresh asynchronous client and close the client."""

    def asked(
        question: Callable[[Client], Awaitable[T]],
        account: str = "main",
        **changes: Any,
    ) -> T:
        async def run() -> T:
            settings = options_of(venue.world.account(account), face) | changes
            client = pointed(getattr(ccxt.async_support, face)(settings), venue.base_url)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(run())

    return asked


@pytest.fixture
def busy(world: World) -> World:
    """2300 fills, seven to a millisecond, so that pages of 100 end inside one."""
    start = world.clock.now_ms() - DAY
    for number in range(2300):
        trade(world, "buy", "1", at=start + number // 7)
    return world


@pytest.fixture
def round_trip(world: World) -> Callable[..., None]:
    """Buy and sell the same quantity, so that the account is flat again."""

    def trade(at: int, quantity: str = "1", symbol: str = "BTC/USDT:USDT") -> None:
        for side, price, when in (("buy", "100", at), ("sell", "110", at + 1000)):
            world.execute(
                account="main",
                symbol=symbol,
                side=side,
                quantity=Decimal(quantity),
                price=Decimal(price),
                at=when,
            )

    return trade
