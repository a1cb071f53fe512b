"""The profile's trading status: pause, resume, status."""

from __future__ import annotations

from typing import Annotated

import typer

from unghost.cli.opened import opened_desk
from unghost.cli.options import JsonOption, ProfileOption
from unghost.cli.output import Output
from unghost.errors import UsageError, quoted
from unghost.model import PauseState

BATCHES_SHOWN = 5

ReasonOption = Annotated[
    str | None, typer.Option("--reason", help="Why, for the record.", show_default=False)
]


def pause(
    *, reason: ReasonOption = None, profile: ProfileOption = None, as_json: JsonOption = False
) -> int:
    """Set the profile's own trading status to PAUSED."""
    return _set(PauseState.PAUSED, reason=reason, profile=profile, as_json=as_json)


def resume(
    *, reason: ReasonOption = None, profile: ProfileOption = None, as_json: JsonOption = False
) -> int:
    """Set the profile's own trading status to RUNNING."""
    return _set(PauseState.RUNNING, reason=reason, profile=profile, as_json=as_json)


def _set(state: PauseState, *, reason: str | None, profile: str | None, as_json: bool) -> int:
    from unghost.adapters.postgres.profiles import TradingProfiles

    _require_line(reason or "")
    out = Output(as_json=as_json)
    with opened_desk(out, profile) as at:
        own = at.desk.pause
        if not isinstance(own, TradingProfiles):
            raise UsageError(
                f"Profile {at.profile_id} takes its trading status from the bot's status_url:"
                " pause or resume the bot itself."
            )
        change = own.pause if state is PauseState.PAUSED else own.resume
        reading = change(at.profile_id, actor=at.actor, reason=reason)
    out.result({"profile_id": at.profile_id, "pause": reading})
    out.say(f"Profile {at.profile_id} is {reading.state}, set by {reading.actor or at.actor}.")
    return 0


def _require_line(reason: str) -> None:
    """As the service takes it: it is shown wherever the status is."""
    from unghost.settings import LONGEST_REASON

    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise UsageError(
            f"--reason {quoted(reason)} cannot be kept: give one line of at most"
            f" {LONGEST_REASON} printable characters."
        )


def status(*, profile: ProfileOption = None, as_json: JsonOption = False) -> int:
    """Show the trading status, the flags and the latest batches."""
    from unghost.cli import views

    out = Output(as_json=as_json)
    with opened_desk(out, profile) as at:
        reading = at.desk.pause.read(at.profile_id)
        batches = at.desk.ledger.batches(at.profile_id, limit=BATCHES_SHOWN)
    document = {
        "profile_id": at.profile_id,
        "account": at.desk.profile.account,
        "pause": reading,
        "settings": at.desk.settings_shown,
        "last_batch": batches[0] if batches else None,
        "batches": batches,
    }
    out.result(document, *views.status_shown(at.desk, reading, batches))
    return 0
