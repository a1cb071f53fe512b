"""The service: serve, worker, token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from unghost.cli.opened import prepared
from unghost.cli.options import JsonOption, ProfileOption
from unghost.cli.output import Output

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unghost.adapters.notifications import Notifier
    from unghost.assembly import House
    from unghost.settings import Settings
    from unghost.web.access import Seats
    from unghost.web.operations import Operations


class RoleName(StrEnum):
    """What a person may do: read; pause and plan; apply and roll back."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


def serve(*, profile: ProfileOption = None, as_json: JsonOption = False) -> int:
    """Serve the console and the API, and run the loop, until SIGTERM or Ctrl-C."""
    out = Output(as_json=as_json)
    settings, _ = prepared(out)
    with opened_house(out, settings, only=profile) as (house, notifier):
        run_service(out, house, notifier)
    return 0


def worker(*, profile: ProfileOption = None, as_json: JsonOption = False) -> int:
    """Run one more process of the loop, until SIGTERM or Ctrl-C."""
    from unghost.errors import ConfigurationError
    from unghost.settings import LoopMode
    from unghost.worker.running import require_queue, run_worker

    out = Output(as_json=as_json)
    settings, _ = prepared(out)
    if settings.loop is LoopMode.OFF:
        raise ConfigurationError("UNGHOST_LOOP is off: a worker would have nothing to do.")
    with opened_house(out, settings, only=profile) as (house, notifier):
        require_queue(house)
        out.tell(f"The loop runs for {', '.join(house.names())}. Ctrl-C stops it.")
        run_worker(house, notifier)
    return 0


def token(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is for.")],
    role: Annotated[RoleName, typer.Option(help="What that person may do.")] = RoleName.VIEWER,
    profile: ProfileOption = None,  # noqa: ARG001 - every command takes it
    as_json: JsonOption = False,
) -> int:
    """Make a token for the service. It is shown once; the service keeps only its hash."""
    from unghost.errors import UsageError
    from unghost.web.access import Role, login_line, new_token, read_login

    out = Output(as_json=as_json)
    made = new_token()
    line = login_line(name, Role(role.value), made)
    if read_login(line) is None:
        raise UsageError(f"{name!r} is no name for a login: give letters, digits and _ . @ + -")
    out.result({"name": name, "role": role.value, "token": made, "line": line})
    out.say(f"Token of {name}, shown once: {made}")
    out.say(f"For UNGHOST_TOKENS, or a line of UNGHOST_TOKENS_FILE: {line}")
    return 0


# --- what they are made of ---------------------------------------------------------------------


@contextmanager
def opened_house(
    out: Output, settings: Settings, *, only: str | None = None
) -> Iterator[tuple[House, Notifier]]:
    """The database of a process that stays, and its notices."""
    from unghost.adapters.notifications import Notifier
    from unghost.adapters.postgres.events import EventLog
    from unghost.assembly import open_house
    from unghost.logs import forward_library_logs

    _require_no_apply_alone(settings)
    forward_library_logs(settings)
    addresses = settings.notify.get_secret_value() if settings.notify else ""
    with open_house(settings, only=only, tell=out.tell) as house:
        notifier = Notifier(
            addresses, EventLog(house.database), throttle_seconds=settings.notify_seconds
        )
        try:
            yield house, notifier
        finally:
            notifier.close()


def _require_no_apply_alone(settings: Settings) -> None:
    """Where two people are wanted for an apply, a loop that applies on its own needs none."""
    from unghost.errors import ConfigurationError
    from unghost.settings import LoopMode

    applies = settings.enabled and not settings.dry_run and settings.loop is LoopMode.FLAGS
    if settings.four_eyes and applies:
        raise ConfigurationError(
            "UNGHOST_FOUR_EYES is true, and UNGHOST_LOOP is flags: the loop would apply what nobody"
            " has looked at. Set UNGHOST_LOOP=dry_run, so that only people apply."
        )


def run_service(out: Output, house: House, notifier: Notifier) -> None:
    """Serve until told to stop. What people started is finished first.

    Raises ConfigurationError for an address that is not safe, or that cannot be had.
    """
    from unghost.errors import ConfigurationError
    from unghost.web.access import Seats, is_loopback, read_logins, require_safe
    from unghost.web.operations import Operations
    from unghost.web.serving import listening, run_app

    settings = house.settings
    host, port = address_of(settings)
    logins = read_logins(settings)
    require_safe(host, logins)
    if not logins:
        out.warn(
            "No tokens are configured: everybody on this machine may do everything, and nobody"
            " else can reach the service. `unghost token` makes a token."
        )
    _require_queue(house)
    operations = Operations(house, notifier)
    seats = Seats(logins, operator=settings.actor, secure=not is_loopback(host))
    try:
        with listening(host, port) as door:
            out.tell(f"Serving on http://{door.shown} for {', '.join(house.names())}.")
            run_app(_application(house, notifier, operations, seats), door)
    except OSError as error:
        raise ConfigurationError(
            f"UNGHOST_BIND {settings.bind} cannot be had: {error.strerror or error}."
        ) from error
    finally:
        operations.close()


def _application(house: House, notifier: Notifier, operations: Operations, seats: Seats) -> FastAPI:
    from contextlib import asynccontextmanager

    from unghost.settings import LoopMode
    from unghost.web.app import create_app

    if house.settings.loop is LoopMode.OFF:
        return create_app(operations, seats)
    from unghost.worker.running import looping

    @asynccontextmanager
    async def loop() -> AsyncIterator[None]:
        async with looping(house, notifier):
            yield

    return create_app(operations, seats, background=loop)


def _require_queue(house: House) -> None:
    from unghost.settings import LoopMode
    from unghost.worker.running import require_queue

    if house.settings.loop is not LoopMode.OFF:
        require_queue(house)


def address_of(settings: Settings) -> tuple[str, int]:
    """Host and port of UNGHOST_BIND."""
    parts = urlsplit(f"//{settings.bind}")
    return parts.hostname or "", parts.port or 0
