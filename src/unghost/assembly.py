"""Puts a desk together out of settings: which database, which exchange account, which pause source.

The one place where adapters are chosen. Imports of an adapter wait until it is needed: the command
line must start at once, and CCXT alone takes half a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from unghost.errors import ConfigurationError, DatabaseError, UsageError
from unghost.model import (
    Rules,
)
from unghost.no_exchange import NoExchange
from unghost.ports import Exchange, PauseGate
from unghost.redaction import redactor
from unghost.settings import Profile, Profiles, QuantityUnit, Settings, load_profiles
from unghost.settings.profiles import EXAMPLE

if TYPE_CHECKING:
    from unghost.adapters.exchange import ExchangeAccount, Paces
    from unghost.adapters.postgres.chain import Verification
    from unghost.adapters.postgres.connection import Database
    from unghost.adapters.postgres.figures import Figures
    from unghost.adapters.postgres.known import KnownLifecycles
    from unghost.adapters.postgres.schema import LedgerShape
    from unghost.desk import Desk

_PASSWORD = re.compile(r"\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


# --- secrets -----------------------------------------------------------------------------------


def learn_secrets(settings: Settings, profiles: Profiles) -> None:
    """Tell the redactor every secret that this process was given."""
    if settings.database_url is not None:
        redactor.learn(_database_secrets(settings.database_url.get_secret_value()))
    for profile in profiles.by_name.values():
        given = (os.environ.get(name, "").strip() for name in profile.secret_variables())
        redactor.learn(given)


def _database_secrets(conninfo: str) -> Iterator[str]:
    yield conninfo
    if "://" in conninfo:
        with suppress(ValueError):  # what is no address is refused where the database is opened
            written = urlsplit(conninfo).password or ""
            yield from (written, unquote(written))
    yield from (found.strip("'") for found in _PASSWORD.findall(conninfo))


Tell = Callable[[str], None]


def _say_nothing(_: str) -> None:
    """The default of `tell`."""


# --- database ----------------------------------------------------------------------------------


@contextmanager
def open_database(settings: Settings, *, tell: Tell = _say_nothing) -> Iterator[Database]:
    """Open the database that DATABASE_URL names, else the embedded one under UNGHOST_HOME.

    Nothing is connected yet; `tell` hears what takes long. Raises DatabaseError when the embedded
    server cannot start.
    """
    from unghost.adapters.postgres.connection import Database

    with _conninfo(settings, tell) as conninfo, closing(Database(conninfo)) as database:
        yield database


@contextmanager
def _conninfo(settings: Settings, tell: Tell) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    from unghost.adapters.postgres.embedded import embedded_database

    with embedded_database(settings.home, tell=tell) as conninfo:
        yield conninfo


def require_migrated(database: Database) -> None:
    """Raise DatabaseError where our tables are not there, or not those of this version."""
    from unghost.adapters.postgres.migrations import pending_migrations

    pending = pending_migrations(database)
    if pending:
        raise DatabaseError(
            "The tables of unghost are missing or old in this database (pending:"
            f" {', '.join(pending)}): run `unghost init`."
        )


# --- profiles ----------------------------------------------------------------------------------


def choose_profile(profiles: Profiles, name: str | None) -> str:
    """The profile that is meant: as named, else the only one. Raises UsageError."""
    if not profiles.exists:
        if name is None:
            raise UsageError(f"Name a profile with --profile, or {_how_to_configure(profiles)}")
        return name
    known = profiles.names()
    if not known:
        raise UsageError(f"{profiles.path} holds no profile: {_how_to_configure(profiles)}")
    if name is None and len(known) > 1:
        raise UsageError(f"Choose one of the profiles with --profile: {', '.join(known)}.")
    if name is not None and name not in known:
        raise UsageError(f"There is no profile {name!r}; known are: {', '.join(known)}.")
    return name or known[0]


def _how_to_configure(profiles: Profiles) -> str:
    return f"write one into {profiles.path} (UNGHOST_CONFIG names another file):\n\n{EXAMPLE}"


def _configured(profiles: Profiles, name: str) -> Profile:
    """The profile with its connection. Raises ConfigurationError where there is no file."""
    profile = profiles.by_name.get(name)
    if profile is None:
        raise ConfigurationError(
            f"How to reach the exchange of profile {name} is not known:"
            f" {_how_to_configure(profiles)}"
        )
    return profile


# --- exchange ----------------------------------------------------------------------------------


def open_exchange(
    settings: Settings, profile: Profile, *, paces: Paces | None = None
) -> ExchangeAccount:
    """The profile's exchange account; `paces` are those of a process that opens one after another.

    Raises ConfigurationError for a missing secret.
    """
    key = profile.secret(profile.api_key_env)
    secret = profile.secret(profile.secret_env)
    password = profile.secret(profile.password_env) if profile.password_env else ""

    from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount, FileMarkets

    spec = ConnectionSpec(
        exchange=profile.exchange,
        market_type=profile.market.value,
        api_key=key,
        secret=secret,
        password=password,
        base_url=profile.base_url,
        timeout_seconds=settings.http_timeout_seconds,
        account=profile.account,
        rate_limit_ms=profile.rate_limit_ms,
    )
    return ExchangeAccount(spec, cache=FileMarkets(settings.home / "markets"), paces=paces)


# --- pause -------------------------------------------------------------------------------------


def pause_gate(settings: Settings, profile: Profile | None, database: Database) -> PauseGate:
    """The bot's own status where the profile names its address, else `trading_profile`."""
    if profile is not None and profile.status_url is not None:
        from unghost.adapters.pause import StatusUrlGate

        return StatusUrlGate(profile.status_url, timeout_seconds=settings.http_timeout_seconds)
    from unghost.adapters.postgres.profiles import TradingProfiles

    return TradingProfiles(database)


# --- house -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """What a process that stays keeps open: the database, and the settings it started with."""

    settings: Settings
    profiles: Profiles
    database: Database
    conninfo: str
    paces: Paces
    known: KnownLifecycles
    only: str | None = None
    """The one profile that is meant; None means all."""

    @contextmanager
    def desk(
        self, name: str, *, needs_exchange: bool, dry_run: bool | None = None
    ) -> Iterator[Desk]:
        """A desk for a while, with its own connection to the exchange where one is needed.

        Calls to the exchange are counted for the metrics, whoever they are made for.
        `dry_run` stands in for the flag. Raises UsageError for a profile that is not there.
        """
        settings = self.settings
        if dry_run is not None:
            settings = settings.model_copy(update={"dry_run": dry_run})
        chosen = choose_profile(self.profiles, name)
        with ExitStack() as stack:
            exchange: Exchange = NoExchange()
            if needs_exchange:
                profile = _configured(self.profiles, chosen)
                account = open_exchange(settings, profile, paces=self.paces)
                exchange = stack.enter_context(closing(account))
                stack.enter_context(self.figures.counting(chosen, exchange))
            yield _desk(
                settings,
                self.profiles,
                chosen,
                database=self.database,
                exchange=exchange,
                known=self.known,
            )

    @property
    def figures(self) -> Figures:
        """The counters that all processes of the service add to."""
        from unghost.adapters.postgres.figures import Figures

        return Figures(self.database)

    def pause_gate(self, name: str) -> PauseGate:
        """Where the trading status of a profile is told, without a desk around it."""
        return pause_gate(self.settings, self.profiles.by_name.get(name), self.database)

    def names(self) -> tuple[str, ...]:
        """The profiles that are meant, in order."""
        return self.profiles.names() if self.only is None else (self.only,)


@contextmanager
def open_house(
    settings: Settings, *, only: str | None = None, tell: Tell = _say_nothing
) -> Iterator[House]:
    """Open the database once, for a process that stays, and for `only` one profile if named.

    Raises like `open_desk`, and ConfigurationError where no profile is configured: there would be
    nothing to serve.
    """
    profiles = load_profiles(settings)
    if not profiles.names():
        raise ConfigurationError(f"There is no profile: {_how_to_configure(profiles)}")
    if only is not None:
        only = choose_profile(profiles, only)
    with ExitStack() as stack:
        conninfo = stack.enter_context(_conninfo(settings, tell))
        from unghost.adapters.exchange import Paces
        from unghost.adapters.postgres.connection import Database
        from unghost.adapters.postgres.known import KnownLifecycles

        database = stack.enter_context(closing(Database(conninfo)))
        require_migrated(database)
        yield House(
            known=KnownLifecycles(),
            paces=Paces(divided_by=settings.pace_divided_by),
            settings=settings,
            profiles=profiles,
            database=database,
            conninfo=conninfo,
            only=only,
        )


# --- desk --------------------------------------------------------------------------------------


@contextmanager
def open_desk(
    settings: Settings,
    profile_name: str | None,
    *,
    needs_exchange: bool,
    tell: Tell = _say_nothing,
) -> Iterator[Desk]:
    """Open everything that one profile's commands work with, and close it again.

    Raises UsageError for a profile that is not there, ConfigurationError for what is missing in
    its connection, DatabaseError where the database or our tables in it are.
    """
    profiles = load_profiles(settings)
    name = choose_profile(profiles, profile_name)
    with ExitStack() as stack:
        exchange: Exchange = NoExchange()
        if needs_exchange:
            account = open_exchange(settings, _configured(profiles, name))
            exchange = stack.enter_context(closing(account))
        database = stack.enter_context(open_database(settings, tell=tell))
        require_migrated(database)
        yield _desk(settings, profiles, name, database=database, exchange=exchange)


def _desk(
    settings: Settings,
    profiles: Profiles,
    name: str,
    *,
    database: Database,
    exchange: Exchange,
    known: KnownLifecycles | None = None,
) -> Desk:
    from unghost.adapters.postgres.accounts import SeenAccounts
    from unghost.adapters.postgres.events import EventLog
    from unghost.adapters.postgres.fill_files import FillFiles
    from unghost.adapters.postgres.ledger import PostgresLedger
    from unghost.desk import Desk

    profile = profiles.by_name.get(name)
    ledger = PostgresLedger(database, known=known)
    return Desk(
        profile=profiles.reference(name),
        ledger=ledger,
        exchange=exchange,
        pause=pause_gate(settings, profile, database),
        events=EventLog(database),
        rules=_rules(settings, ledger.shape()),
        enabled=settings.enabled,
        throttle_ms=settings.throttle_ms,
        plan_ttl_minutes=settings.plan_ttl_minutes,
        ledger_in_contracts=_in_contracts(profile),
        settings_shown=settings.shown(),
        clock=utc_now,
        own_pause=profile is None or profile.status_url is None,
        files=FillFiles(database),
        accounts=SeenAccounts(database),
    )


def _in_contracts(profile: Profile | None) -> bool:
    return profile is not None and profile.quantity_unit is QuantityUnit.CONTRACTS


def _rules(settings: Settings, shape: LedgerShape) -> Rules:
    return Rules(
        mode=settings.mode,
        require_pause=settings.require_pause,
        dust_abs_qty=settings.dust_abs_qty,
        dust_rel_pct=settings.dust_rel_pct,
        lookback_hours=settings.lookback_hours,
        quiet_seconds=settings.quiet_seconds,
        max_rows=settings.max_rows,
        max_notional=settings.max_notional,
        max_share=settings.max_share,
        attribution=settings.attribution,
        blocker_statuses=settings.blocker_statuses,
        quantity_scale=shape.quantity_scale,
        price_scale=shape.price_scale,
        fee_scale=shape.fee_scale,
    )


# --- statements --------------------------------------------------------------------------------


def statement_names() -> tuple[str, ...]:
    """What `unghost sql` can print."""
    from unghost.adapters.postgres.statements import PRINTABLE

    return tuple(PRINTABLE)


def printable_statement(
    settings: Settings, profiles: Profiles, name: str, profile: str | None, *, tell: Tell
) -> str:
    """The statement that a command runs, fitted to the ledger; with the profile, if it is named.

    Raises UsageError for a statement or profile that there is not.
    """
    from unghost.adapters.postgres.ledger import PostgresLedger

    if name not in statement_names():
        raise UsageError(
            f"There is no statement {name!r}; known are: {', '.join(statement_names())}."
        )
    values = {"profile_id": choose_profile(profiles, profile)} if profile else {}
    with open_database(settings, tell=tell) as database:
        return PostgresLedger(database).statement(name, values)


# --- the record --------------------------------------------------------------------------------


def verify_record(settings: Settings, *, kept_head: str | None, tell: Tell) -> Verification:
    """Verify the chain over the record; `kept_head` is one noted elsewhere, `SEQ:HASH`.

    Raises UsageError for a head that is none.
    """
    from unghost.adapters.postgres.chain import read_head, verify

    kept = None
    if kept_head is not None:
        try:
            kept = read_head(kept_head)
        except ValueError as wrong:
            raise UsageError(f"{wrong}.") from wrong
    with open_database(settings, tell=tell) as database:
        require_migrated(database)
        return verify(database, kept=kept)


def grants_script(settings: Settings, *, owner: str, service: str, reader: str, tell: Tell) -> str:
    """The SQL of `unghost grants`, fitted to the ledger. Raises UsageError for unfit names."""
    from unghost.adapters.postgres.grants import Roles, grants_text

    roles = Roles(owner=owner, service=service, reader=reader)
    with open_database(settings, tell=tell) as database:
        require_migrated(database)
        return grants_text(database, roles)


# --- first steps -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Initialised:
    """What `unghost init` did: migrations applied now, the sample ledger, indexes made."""

    applied: tuple[str, ...]
    sample_created: bool
    indexes: tuple[str, ...] = ()


def initialise(settings: Settings, *, tell: Tell, indexes: bool = False) -> Initialised:
    """Create or migrate our tables; an embedded database without orders gets a sample of them.

    `indexes` also makes those on the bot's table, which nothing else ever does.
    """
    from unghost.adapters.postgres.indexes import create_indexes
    from unghost.adapters.postgres.migrations import create_sample_orders, migrate
    from unghost.adapters.postgres.queue import install_queue

    with open_database(settings, tell=tell) as database:
        applied = migrate(database)
        if install_queue(database):
            applied = (*applied, "queue")
        created = settings.database_url is None and create_sample_orders(database)
        made = create_indexes(database, tell=tell) if indexes else ()
    return Initialised(applied=applied, sample_created=created, indexes=made)
