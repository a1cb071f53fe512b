"""The console on the demo's data: on loopback, with logins that are made up at each start."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from unghost.errors import EnvironmentFailure
from unghost.settings import Settings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from unghost.web.access import Seats

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A console that answers. `tokens` by role; whoever has one may sign in with it."""

    base_url: str
    tokens: Mapping[str, str]


@contextmanager
def served_console(
    variables: Mapping[str, str], *, tell: Callable[[str], None], port: int = 0
) -> Iterator[Served]:
    """Serve the console for the profiles that `variables` lead to, until the block ends.

    Secrets of the profiles are read from this process's environment meanwhile. Raises
    EnvironmentFailure where the port is taken or the server does not start.
    """
    from unghost.web.access import Login, Role, Seats, new_token, token_digest  # noqa: PLC0415 - only who serves pays for it

    tokens = {role.value: new_token() for role in Role}
    logins = [Login(name=one, role=Role(one), digest=token_digest(tokens[one])) for one in tokens]
    with _in_environment(variables), closing(_bound(port)) as listener:
        application = partial(_application, Settings(), Seats(logins, operator="demo"), tell)
        with _serving(application, listener):
            address, number = listener.getsockname()[:2]
            yield Served(base_url=f"http://{address}:{number}", tokens=tokens)


@contextmanager
def _application(
    settings: Settings, seats: Seats, tell: Callable[[str], None]
) -> Iterator[FastAPI]:
    """The service without its loop: on the demo's data, people start every cycle."""
    from unghost.adapters.notifications import Notifier  # noqa: PLC0415 - only who serves pays
    from unghost.adapters.postgres.events import EventLog  # noqa: PLC0415 - the same
    from unghost.assembly import open_house  # noqa: PLC0415 - the same
    from unghost.web.app import create_app  # noqa: PLC0415 - the same
    from unghost.web.operations import Operations  # noqa: PLC0415 - the same

    with open_house(settings, tell=tell) as house:
        notifier = Notifier("", EventLog(house.database), throttle_seconds=settings.notify_seconds)
        with closing(notifier), closing(Operations(house, notifier)) as operations:
            yield create_app(operations, seats)


@contextmanager
def _in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


@contextmanager
def _serving(
    application: Callable[[], AbstractContextManager[FastAPI]], listener: socket.socket
) -> Iterator[None]:
    """Serve from a thread of its own, which opens and closes all that it uses.

    It answers when the block begins.
    """
    started: Future[uvicorn.Server] = Future()
    thread = threading.Thread(
        target=_serve, args=(application, listener, started), name="console", daemon=True
    )
    thread.start()
    server = started.result(START_SECONDS)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)


def _serve(
    application: Callable[[], AbstractContextManager[FastAPI]],
    listener: socket.socket,
    started: Future[uvicorn.Server],
) -> None:
    import uvicorn  # noqa: PLC0415 - only who serves pays for it

    try:
        with application() as app:
            config = uvicorn.Config(app, log_config=None, lifespan="off", server_header=False)
            server = uvicorn.Server(config)
            listener.listen()  # whoever asks now is answered as soon as the server runs
            started.set_result(server)
            server.run(sockets=[listener])
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise EnvironmentFailure(f"The console cannot listen on {HOST}:{port}: {error}.") from error
    return listener
