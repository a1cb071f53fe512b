"""A place to run `unghost` in: a folder with a profiles' file, a database, a simulated venue."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.cli.warm import close_kept, run_unghost

from unghost.demo.venue import Venue, running_venue
from unghost.demo.world import World
from unghost.settings.variables import OUR_PREFIXES

API_KEY = "plantedApiKeyOfTheMainAccount0123456789"
API_SECRET = "plantedSecretOfTheMainAccount9876543210"

INSERT = """
INSERT INTO orders
  (order_id, profile_id, symbol, trade_id, action, side, status, quantity, qty, price,
   exchange_order_id, filled_at, created_at, updated_at)
VALUES
  (%(order_id)s, 'main', %(symbol)s, %(trade_id)s, %(action)s, %(side)s, %(status)s, %(quantity)s,
   %(quantity)s, %(price)s, %(exchange_order_id)s, %(at)s, %(at)s, %(at)s)
"""


@dataclass(frozen=True)
class Run:
    """What one command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Place:
    """Where commands run. `environment` is added to this process's own, for every run."""

    folder: Path
    environment: dict[str, str]
    database_url: str = ""
    venue: Venue | None = None
    written: list[str] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str | None = None, **environment: str) -> Run:
        kept = {name: text for name, text in os.environ.items() if not is_setting(name)}
        ran = run_unghost(
            arguments, cwd=self.folder, env=kept | self.environment | environment, stdin=stdin
        )
        assert "Traceback" not in ran.stdout + ran.stderr, ran.stderr
        return Run(code=ran.returncode, out=ran.stdout, err=ran.stderr)

    def configure(self, text: str) -> None:
        (self.folder / "unghost.toml").write_text(text, encoding="utf-8")

    def sql(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def write(self, trade_id: str, action: str, quantity: str, at: datetime, **more: str) -> None:
        row = {
            "order_id": f"bot-{len(self.written)}",
            "symbol": "BTCUSDT",
            "trade_id": trade_id,
            "action": action,
            "side": "buy" if action == "ENTRY" else "sell",
            "status": "filled",
            "quantity": Decimal(quantity),
            "price": Decimal(50_000),
            "exchange_order_id": None,
            "at": at,
        }
        self.written.append(trade_id)
        self.sql(INSERT, **row | more)

    def backfills(self) -> list[tuple[Any, ...]]:
        return self.sql(
            "SELECT order_id, trade_id, quantity, status FROM orders"
            " WHERE order_id LIKE 'BFILL-%%' ORDER BY trade_id"
        )


def is_setting(name: str) -> bool:
    """Settings of the machine that the tests run on must not decide their outcome."""
    return name.startswith(OUR_PREFIXES) or name in {"DATABASE_URL", "COLUMNS"}


@pytest.fixture(scope="session")
def commands():
    """Whatever commands are forked from ends with the tests that run them."""
    yield
    close_kept()


@pytest.fixture
def place(tmp_path, commands) -> Place:
    """A folder without profiles and a database that nobody listens for."""
    environment = {
        "DATABASE_URL": "postgresql://bot:planted-password-1@127.0.0.1:1/none",
        "UNGHOST_ACTOR": "tester@desk",
    }
    return Place(folder=tmp_path, environment=environment)


@pytest.fixture
def books(place, database_url) -> Place:
    """The same with a database that has our tables and an empty ledger; no exchange."""
    place.database_url = database_url
    place.environment["DATABASE_URL"] = database_url
    return place


@pytest.fixture
def shop(books):
    """The same with a profile `main` at a simulated venue, paused, and one ghost `t-1`."""
    world = World()
    world.open_account("main", api_key=API_KEY, secret=API_SECRET)
    with running_venue(world) as venue:
        books.venue = venue
        books.configure(profile_text(venue.base_url))
        books.environment |= {
            "MAIN_API_KEY": API_KEY,
            "MAIN_SECRET": API_SECRET,
            "ENABLE_RECON_EXIT_BACKFILL": "true",
        }
        lose_an_exit(books, world, "t-1")
        yield books


def profile_text(base_url: str, name: str = "main", more: str = "") -> str:
    return (
        f'[profiles.{name}]\nexchange = "binanceusdm"\nmarket = "swap"\n'
        f'api_key_env = "MAIN_API_KEY"\nsecret_env = "MAIN_SECRET"\nbase_url = "{base_url}"\n{more}'
    )


def lose_an_exit(place: Place, world: World, trade_id: str, quantity: str = "0.5") -> None:
    """Open and close on the exchange; the ledger only hears of the opening."""
    now = datetime.now(UTC)
    opened_at, closed_at = now - timedelta(hours=5), now - timedelta(hours=4)
    (opening, *_) = world.execute(
        account="main",
        symbol="BTC/USDT:USDT",
        side="buy",
        quantity=Decimal(quantity),
        price=Decimal(50_000),
        at=opened_at,
    )
    world.execute(
        account="main",
        symbol="BTC/USDT:USDT",
        side="sell",
        quantity=Decimal(quantity),
        price=Decimal(50_500),
        at=closed_at,
    )
    place.write(trade_id, "ENTRY", quantity, opened_at, exchange_order_id=str(opening.order_id))
