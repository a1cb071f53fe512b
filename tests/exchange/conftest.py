"""A simulated Binance USD-M over real HTTP, and the adapter pointed at it."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.exchange.abroad import CASES, KEPT, Stage

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount, RetryPolicy
from unghost.demo.venue import running_venue
from unghost.demo.world import World
from unghost.model import Window

KEY, SECRET, PASSWORD = "key-of-desk-1", "secret-of-desk-1", "password-of-desk-1"

SIMULATED_MS = 1
"""Between two calls to a simulated venue, which bans nobody: the true ones want up to seconds."""

QUICK = RetryPolicy(
    attempts=2,
    first_wait_seconds=0.001,
    longest_wait_seconds=0.001,
    longest_retry_after_seconds=0.5,
    question_seconds=10,
    read_seconds=20,
)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What most tests need, in one hand."""

    world: Any
    venue: Any
    connect: Any
    account: Any
    btc: Any
    now: Any
    window: Any


def utc_now():
    return datetime.now(UTC)


@pytest.fixture
def now():
    """The end of the windows; whole milliseconds, as exchanges count."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@pytest.fixture
def window(now):
    return Window(start_at=now - timedelta(hours=72), end_at=now)


@pytest.fixture
def world():
    made = World()
    made.open_account("main", api_key=KEY, secret=SECRET, password=PASSWORD, read_only=True)
    return made


@pytest.fixture
def venue(world):
    with running_venue(world) as running:
        yield running


@pytest.fixture
def connect():
    """Makes accounts, and closes them after the test."""
    made = []

    def connect(base_url, *, policy=QUICK, cache=None, clock=utc_now, **changes):
        spec = {
            "exchange": "binanceusdm",
            "market_type": "swap",
            "api_key": KEY,
            "secret": SECRET,
            "password": PASSWORD,
            "base_url": base_url,
            "timeout_seconds": 5,
            "account": "desk-1",
            "rate_limit_ms": SIMULATED_MS,
        }
        account = ExchangeAccount(
            ConnectionSpec(**{**spec, **changes}), policy=policy, cache=cache, clock=clock
        )
        made.append(account)
        return account

    yield connect
    for account in made:
        account.close()


@pytest.fixture
def account(connect, venue):
    return connect(venue.base_url)


@pytest.fixture
def btc(account):
    return account.resolve(["BTCUSDT"])["BTCUSDT"]


@pytest.fixture
def bench(request):
    return Bench(**{each.name: request.getfixturevalue(each.name) for each in fields(Bench)})


@pytest.fixture
def opened(connect, now):
    """Opens an exchange; the streets are closed after the test."""
    streets = []

    def opened(exchange: str, *, face: Any = None, markets: Any = None, **changes: Any) -> Stage:
        case = CASES[exchange]
        world = World(markets=markets or case.markets)
        world.open_account("main", api_key=KEY, secret=case.secret, password=PASSWORD)
        street = running_venue(world, faces=[face or case.face])
        streets.append(street)
        venue = street.__enter__()
        cache = KEPT[exchange] if markets is None else None
        account = connect(
            venue.base_url, exchange=exchange, cache=cache, **{"secret": case.secret, **changes}
        )
        market = account.resolve([case.symbol])[case.symbol]
        assert market is not None
        venue.clear_requests()
        return Stage(exchange=exchange, venue=venue, account=account, market=market, now=now)

    yield opened
    for street in streets:
        street.__exit__(None, None, None)
