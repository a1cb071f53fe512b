"""The command doctor: every requirement with its verdict, and what to do where one is not met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from unghost.cli.numbers import counted
from unghost.cli.opened import prepared
from unghost.cli.options import JsonOption, ProfileOption
from unghost.cli.output import Output
from unghost.errors import UnghostError
from unghost.model import PauseState

if TYPE_CHECKING:
    from rich.table import Table

    from unghost.adapters.exchange import ExchangeAccount
    from unghost.adapters.postgres.accounts import SeenAccounts
    from unghost.adapters.postgres.connection import Database
    from unghost.model import ProfileRef
    from unghost.settings import Profile, Profiles, Settings

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"
ENVIRONMENT: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One requirement: how it stands, what was seen, and what a person can do about it."""

    area: str
    name: str
    verdict: str
    detail: str
    remedy: str = ""


def doctor(*, profile: ProfileOption = None, as_json: JsonOption = False) -> int:
    """Check settings, database, exchange and pause source. Exits with 3 where one fails."""
    out = Output(as_json=as_json)
    settings, profiles = prepared(out)
    checks = tuple(_all_checks(out, settings, profiles, profile))
    failed = sum(one.verdict == FAIL for one in checks)
    out.result({"ok": not failed, "checks": checks}, _table(checks))
    out.say(f"{counted(failed, 'check')} failed." if failed else "Everything needed is in order.")
    return ENVIRONMENT if failed else 0


def _table(checks: Sequence[Check]) -> Table:
    from unghost.cli import tables

    return tables.table(
        "Requirements",
        ("", [one.area for one in checks]),
        ("check", [one.name for one in checks]),
        ("verdict", [tables.styled(one.verdict, tables.VERDICT_STYLES) for one in checks]),
        ("found", [one.detail for one in checks]),
        ("what to do", [one.remedy for one in checks]),
    )


def _all_checks(
    out: Output, settings: Settings, profiles: Profiles, name: str | None
) -> Iterator[Check]:
    yield from _settings_checks(settings, profiles)
    names = _meant(profiles, name)
    database = tuple(_database_checks(out, settings, profiles, names))
    yield from database
    is_whole = all(one.verdict != FAIL for one in database)
    several = len(names) > 1
    with ExitStack() as stack:
        accounts = _open_accounts(stack, out, settings) if is_whole else None
        for each in names:
            if each in profiles.by_name:
                area = f"exchange of {each}" if several else "exchange"
                yield from _exchange_checks(settings, profiles, each, area, accounts)


def _open_accounts(stack: ExitStack, out: Output, settings: Settings) -> SeenAccounts | None:
    """Where it is kept which account a key sees; None where our tables are not there."""
    from unghost.adapters.postgres.accounts import SeenAccounts
    from unghost.assembly import open_database, require_migrated

    try:
        database = stack.enter_context(open_database(settings, tell=out.tell))
        require_migrated(database)
    except UnghostError:
        return None
    return SeenAccounts(database, max_age=timedelta(0))


def _meant(profiles: Profiles, name: str | None) -> tuple[str, ...]:
    """The profile that is named, else all of them. Raises UsageError for one that is not there."""
    from unghost.assembly import choose_profile

    if name is not None:
        return (choose_profile(profiles, name),)
    return profiles.names() if profiles.exists else ()


def _settings_checks(settings: Settings, profiles: Profiles) -> Iterator[Check]:
    flags = f"enabled {settings.enabled}, dry run {settings.dry_run}".lower()
    yield Check(area="settings", name="environment", verdict=OK, detail=flags)
    if not settings.require_pause:
        yield Check(
            area="settings",
            name="pause",
            verdict=WARN,
            detail="RECON_EXIT_BACKFILL_REQUIRE_PAUSE is false",
            remedy="unset it, so that nothing is written while the bot trades",
        )
    names = ", ".join(profiles.names())
    yield Check(
        area="settings",
        name="profiles",
        verdict=OK if names else WARN,
        detail=f"{profiles.path}: {names or 'none'}",
        remedy="" if names else "write [profiles.NAME] into it: without one no exchange is read",
    )


# --- database and pause ------------------------------------------------------------------------


def _database_checks(
    out: Output, settings: Settings, profiles: Profiles, names: Sequence[str]
) -> Iterator[Check]:
    from unghost.adapters.postgres.requirements import check_database
    from unghost.assembly import open_database

    try:
        with open_database(settings, tell=out.tell) as database:
            for found in check_database(database):
                yield Check(
                    area="database",
                    name=found.name,
                    verdict=found.verdict,
                    detail=found.detail,
                    remedy=found.remedy,
                )
            for name in names:
                area = f"pause of {name}" if len(names) > 1 else "pause"
                profile = profiles.by_name.get(name)
                yield _pause_check(settings, profile, name, database, area)
    except UnghostError as error:
        yield Check(area="database", name="connection", verdict=FAIL, detail=str(error))


def _pause_check(
    settings: Settings, profile: Profile | None, name: str, database: Database, area: str
) -> Check:
    from unghost.assembly import pause_gate

    try:
        reading = pause_gate(settings, profile, database).read(name)
    except UnghostError as error:
        return Check(area=area, name="pause source", verdict=FAIL, detail=str(error))
    known = reading.state is not PauseState.UNKNOWN
    return Check(
        area=area,
        name="pause source",
        verdict=OK if known else FAIL,
        detail=f"{reading.source} says {reading.state}. {reading.detail}".strip(),
        remedy="" if known else "run `unghost pause`, or correct status_url",
    )


# --- exchange ----------------------------------------------------------------------------------


def _exchange_checks(
    settings: Settings, profiles: Profiles, name: str, area: str, accounts: SeenAccounts | None
) -> Iterator[Check]:
    from unghost.assembly import open_exchange

    try:
        with closing(open_exchange(settings, profiles.by_name[name])) as account:
            for found in account.check():
                yield Check(
                    area=area,
                    name=found.name,
                    verdict=found.verdict,
                    detail=found.detail,
                    remedy=found.remedy,
                )
            if accounts is not None:
                yield _account_check(profiles.reference(name), account, accounts, area)
    except UnghostError as error:
        yield Check(area=area, name="connection", verdict=FAIL, detail=str(error))


def _account_check(
    profile: ProfileRef, account: ExchangeAccount, accounts: SeenAccounts, area: str
) -> Check:
    """Keep which account the key sees, and say whether another profile's key sees it too."""
    clash = accounts.clash(profile, account)
    return Check(
        area=area,
        name="account of its own",
        verdict=FAIL if clash else OK,
        detail=clash
        or f"no profile of another account than {profile.account!r} is known to see it",
        remedy="give the profiles the same `account`" if clash else "",
    )
