"""A bot's books, its exchange, and desks to work at: real PostgreSQL, real client, simulated venue.

Nothing here stands for the database or the client. The venue is a simulation, but the client talks
HTTP to it and does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from unghost.adapters.exchange import (
    ConnectionSpec,
    ExchangeAccount,
    InProcessMarkets,
    MarketsCache,
    RetryPolicy,
)
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.events import EventLog
from unghost.adapters.postgres.grants import Roles, grants_text
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.cycle import CycleReport, run_cycle
from unghost.demo.venue import Venue
from unghost.demo.world import World
from unghost.desk import Desk
from unghost.model import Mode, ProfileRef, Rules

PROFILE = "main"
ACCOUNT = "desk"
SYMBOL = "BTC/USDT:USDT"
NATIVE = {"binanceusdm": "BTCUSDT", "bybit": "BTCUSDT", "okx": "BTC-USDT-SWAP"}
ETH, ETH_NATIVE = "ETH/USDT:USDT", "ETHUSDT"

QUICK = RetryPolicy(
    attempts=2,
    first_wait_seconds=0.001,
    longest_wait_seconds=0.001,
    longest_retry_after_seconds=0.5,
    question_seconds=10,
    read_seconds=20,
)
"""The adapter's own patience, in a hurry."""

MARKETS = InProcessMarkets()
"""The list of markets is read once in a process; tests of that call bring a cache of their own."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def hours_ago(hours: float) -> datetime:
    """A time of the past in whole milliseconds, as exchanges stamp."""
    moment = utc_now() - timedelta(hours=hours)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass
class Bench:
    """Everything that one test works with."""

    database_url: str
    """For the bot, and for looking: as the superuser."""
    roles: Roles
    database: Database
    venue: Venue
    desk: Desk
    accounts: list[ExchangeAccount] = field(default_factory=list)
    exchange: str = "binanceusdm"
    numbers: int = 0
    way: Callable[[str], str] = str
    """How unghost comes to the database: directly, or by way of a pooler."""

    @property
    def service_url(self) -> str:
        """For unghost: as the role of `unghost grants` that has no right but those it needs."""
        return self.way(make_conninfo(self.database_url, user=self.roles.service))

    def grant(self) -> None:
        """Give the roles their rights again, after `orders` was made anew."""
        grant(self.database_url, self.roles)

    @property
    def world(self) -> World:
        return self.venue.world

    def native(self, symbol: str = SYMBOL) -> str:
        """What the exchange calls a market."""
        return self.world.market(symbol).listing(self.exchange).native_id

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    # --- the exchange --------------------------------------------------------------------------

    def trade(self, side: str, quantity: str | Decimal, **more: Any) -> str:
        """Execute on the exchange; returns the exchange order id."""
        order_id = more.pop("order_id", None) or f"{880000 + self.number()}"
        self.world.execute(
            account=more.pop("account", PROFILE),
            symbol=more.pop("symbol", SYMBOL),
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(more.pop("price", "40000")),
            order_id=order_id,
            **more,
        )
        return str(order_id)

    def held(self, symbol: str = SYMBOL) -> Decimal:
        """What is truly open, both sides in absolute size."""
        positions = self.world.positions(PROFILE)
        return sum((abs(one.quantity) for one in positions if one.symbol == symbol), Decimal(0))

    # --- the bot -------------------------------------------------------------------------------

    def book(
        self, trade_id: str | None, action: str, quantity: str | Decimal | None, **more: Any
    ) -> str:
        """Write a row as the bot does; returns its order_id."""
        at = more.pop("at", hours_ago(2))
        row = {
            "order_id": f"bot-{self.number()}",
            "profile_id": PROFILE,
            "symbol": NATIVE[self.exchange],
            "trade_id": trade_id,
            "action": action,
            "side": "buy" if action == "ENTRY" else "sell",
            "status": "filled",
            "quantity": quantity,
            "price": "40000",
            "filled_at": at,
            "created_at": at,
            "updated_at": at,
        } | more
        self.insert(row)
        return str(row["order_id"])

    def insert(self, row: dict[str, Any]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        marks = sql.SQL(", ").join(sql.Placeholder() * len(row))
        statement = sql.SQL("INSERT INTO orders ({}) VALUES ({})").format(names, marks)
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement, list(row.values()))

    def opened(self, trade_id: str, quantity: str = "0.5", **more: Any) -> str:
        """A position that the bot opened and booked; returns the order id of its ENTRY."""
        at, symbol = more.pop("at", hours_ago(5)), more.pop("symbol", SYMBOL)
        market = self.native(symbol)
        side = more.pop("side", "buy")
        on_exchange = {
            name: more.pop(name) for name in ("account", "price", "position_side") if name in more
        }
        entry = self.trade(side, quantity, at=at, symbol=symbol, **on_exchange)
        row = {"exchange_order_id": entry, "symbol": market, "side": side} | more
        self.book(trade_id, "ENTRY", quantity, at=at, **row)
        return entry

    def ghost(self, trade_id: str, quantity: str = "0.5", **more: Any) -> tuple[str, str]:
        """A position opened and closed on the exchange whose EXIT row was lost: both order ids."""
        closed = more.pop("closed", hours_ago(3))
        exit_price = more.pop("exit_price", "41000")
        shared = {
            name: more[name] for name in ("symbol", "account", "position_side") if name in more
        }
        entry = self.opened(trade_id, quantity, at=more.pop("opened", hours_ago(5)), **more)
        opposite = "sell" if more.get("side", "buy") == "buy" else "buy"
        return entry, self.trade(opposite, quantity, at=closed, price=exit_price, **shared)

    # --- the pause -----------------------------------------------------------------------------

    @property
    def profiles(self) -> TradingProfiles:
        return TradingProfiles(self.database)

    def pause(self, profile_id: str = PROFILE) -> None:
        self.profiles.pause(profile_id, actor="tester", reason="repair")

    def resume(self, profile_id: str = PROFILE) -> None:
        self.profiles.resume(profile_id, actor="tester", reason="done")

    # --- desks ---------------------------------------------------------------------------------

    def at(self, desk: Desk | None = None, **changes: Any) -> Desk:
        """The desk with other rules."""
        chosen = desk or self.desk
        return replace(chosen, rules=replace(chosen.rules, **changes))

    def new_desk(
        self,
        profile_id: str = PROFILE,
        profiles: Iterable[str] | None = None,
        *,
        database: Database | None = None,
        account: ExchangeAccount | None = None,
    ) -> Desk:
        """A desk of its own, as another process has it."""
        if account is None:
            account = open_account(self.venue, exchange=self.exchange)
            self.accounts.append(account)
        return desk_at(
            database or self.database,
            account,
            profile_id=profile_id,
            profiles=tuple(profiles or (profile_id,)),
        )

    # --- running -------------------------------------------------------------------------------

    def dry_run(self, desk: Desk | None = None, **changes: Any) -> CycleReport:
        return run_cycle(self.at(desk, mode=Mode.DRY_RUN, **changes), actor="tester")

    def applying(self, desk: Desk | None = None) -> Desk:
        """The desk with rules that write."""
        return self.at(desk, mode=Mode.APPLY)

    def apply(
        self, plan: str | None = None, *, desk: Desk | None = None, **changes: Any
    ) -> CycleReport:
        return run_cycle(self.at(desk, mode=Mode.APPLY, **changes), actor="tester", plan=plan)

    # --- looking -------------------------------------------------------------------------------

    def rows(self, statement: str | sql.Composed, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, values or None).fetchall()

    def run(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement, values or None)

    def backfills(self) -> list[tuple[Any, ...]]:
        """(trade_id, quantity, status) of our rows."""
        return self.rows(
            "SELECT trade_id, quantity, status FROM orders WHERE order_id LIKE 'BFILL-%'"
            " ORDER BY trade_id, quantity"
        )

    def closed_by_us(self) -> Decimal:
        return sum((row[1] for row in self.backfills() if row[2] == "filled"), Decimal(0))

    def digest(self) -> str:
        found = self.rows("SELECT md5(string_agg(o::text, '|' ORDER BY order_id)) FROM orders o")
        return str(found[0][0])

    def orders(self) -> dict[str, dict[str, Any]]:
        """The whole ledger by order_id."""
        found = self.rows("SELECT order_id, to_jsonb(o) FROM orders o")
        return dict(found)

    def asked(self, endpoint: str) -> int:
        """How often an endpoint was called."""
        return len(self.venue.requests(endpoint))

    def close(self) -> None:
        for one in self.accounts:
            one.close()


def told(report: CycleReport) -> list[tuple[str, str, str]]:
    """(trade_id, decision, reason) of a cycle's audit rows, in the order of their keys."""
    return sorted((row.trade_id, str(row.decision), str(row.reason)) for row in report.audit)


def batch_id(report: CycleReport) -> str:
    assert report.batch is not None
    return report.batch.batch_id


def sentence(report: CycleReport, trade_id: str | None = None) -> str:
    """What the NO_GO rows say, one sentence each."""
    rows = [row for row in report.audit if trade_id in (None, row.trade_id)]
    return " | ".join(str(row.evidence.get("sentence", "")) for row in rows)


def open_account(
    venue: Venue,
    *,
    exchange: str = "binanceusdm",
    cache: MarketsCache | None = MARKETS,
    key: str = PROFILE,
    sealed: str | None = None,
    timeout_seconds: float = 5,
    policy: RetryPolicy = QUICK,
) -> ExchangeAccount:
    spec = ConnectionSpec(
        exchange=exchange,
        market_type="swap",
        api_key=f"{key}-key",
        secret=f"{sealed or key}-secret",
        password=f"{sealed or key}-password",
        base_url=venue.base_url,
        account=ACCOUNT,
        timeout_seconds=timeout_seconds,
        rate_limit_ms=1,
    )
    return ExchangeAccount(spec, cache=cache, policy=policy)


def desk_at(
    database: Database,
    account: ExchangeAccount,
    *,
    profile_id: str = PROFILE,
    profiles: tuple[str, ...] = (PROFILE,),
) -> Desk:
    return Desk(
        profile=ProfileRef(profile_id=profile_id, account=ACCOUNT, account_profiles=profiles),
        ledger=PostgresLedger(database),
        exchange=account,
        pause=TradingProfiles(database),
        events=EventLog(database),
        rules=Rules(),
        enabled=True,
        throttle_ms=300_000,
        plan_ttl_minutes=60,
        ledger_in_contracts=False,
        settings_shown={},
        clock=utc_now,
        own_pause=True,
    )


def grant(database_url: str, roles: Roles) -> None:
    """Run what `unghost grants` prints, as it prints it."""
    with closing(Database(database_url)) as database:
        script = grants_text(database, roles)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(script)


def open_bench(
    database_url: str,
    roles: Roles,
    database: Database,
    venue: Venue,
    *,
    exchange: str = "binanceusdm",
) -> Bench:
    """A bench on an empty exchange with one account in one-way mode."""
    clear(venue)
    account = open_account(venue, exchange=exchange)
    return Bench(
        database_url=database_url,
        roles=roles,
        database=database,
        venue=venue,
        desk=desk_at(database, account),
        accounts=[account],
        exchange=exchange,
    )


def clear(venue: Venue) -> None:
    """Another world behind the same address."""
    venue.clear_faults()
    venue.clear_requests()
    venue.limit_weight(None)
    venue.world = World()
    venue.world.open_account(PROFILE)
