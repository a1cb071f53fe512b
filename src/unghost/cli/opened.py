"""What every command opens first: settings, logs, and the desk or the database behind them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unghost.cli.output import Output
    from unghost.desk import Desk
    from unghost.settings import Profiles, Settings


def prepared(out: Output, *, profile: str | None = None) -> tuple[Settings, Profiles]:
    """Read settings and profiles, set the logs up, and warn of variables that nobody reads.

    A `profile` that is named must be there, also where a command is for all of them.
    """
    from unghost.assembly import choose_profile, learn_secrets
    from unghost.logs import configure_logs
    from unghost.settings import load_profiles, load_settings, unknown_variables

    settings = load_settings()
    configure_logs(settings)
    profiles = load_profiles(settings)
    learn_secrets(settings, profiles)
    if profile is not None:
        choose_profile(profiles, profile)
    named = [name for one in profiles.by_name.values() for name in one.secret_variables()]
    for name, near in unknown_variables(os.environ, also_known=named):
        hint = f"; did you mean {near}?" if near else "."
        out.warn(f"{name} is not a setting of unghost and has no effect{hint}")
    return settings, profiles


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A desk that is open, and who sits at it."""

    desk: Desk
    actor: str
    settings: Settings
    profiles: Profiles

    @property
    def profile_id(self) -> str:
        """The profile that is meant."""
        return self.desk.profile.profile_id


@contextmanager
def opened_desk(
    out: Output, profile: str | None, *, needs_exchange: bool = False
) -> Iterator[Opened]:
    """Open the desk of the profile that is meant."""
    from unghost.assembly import open_desk
    from unghost.logs import bind_logs

    settings, profiles = prepared(out)
    with open_desk(settings, profile, needs_exchange=needs_exchange, tell=out.tell) as desk:
        bind_logs(profile_id=desk.profile.profile_id)
        if not profiles.exists:
            _warn_of_a_strange_name(out, desk)
        yield Opened(desk=desk, actor=settings.actor, settings=settings, profiles=profiles)


def _warn_of_a_strange_name(out: Output, desk: Desk) -> None:
    """No file says which profiles there are, so nobody else notices a slip in the name."""
    from unghost.errors import DatabaseError

    name = desk.profile.profile_id
    with suppress(DatabaseError):  # what the command itself asks will say it better
        if not desk.ledger.has_profile(name):
            out.warn(f"orders has no row of profile {name!r}: look at how its name is spelt.")
