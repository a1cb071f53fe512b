"""What a harness needs of the world outside pytest's fixtures: a database, the service, a venue."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from psycopg.conninfo import make_conninfo
from tests.conftest import (
    HOME_VARIABLE,
    TEMPLATE,
    alone,
    chosen_server,
    database_from,
    open_folder,
    prepare,
    remove_home,
)

from unghost.adapters.notifications import Notifier
from unghost.adapters.postgres.events import EventLog
from unghost.assembly import open_house
from unghost.settings import load_settings
from unghost.web.access import Seats, read_logins
from unghost.web.app import create_app
from unghost.web.operations import Operations
from unghost.web.serving import Door, listening

START_SECONDS = 20


@contextmanager
def own_database() -> Iterator[str]:
    """Conninfo of a database with our tables and an empty sample `orders`; for this block alone."""
    with home() as folder, chosen_server(folder) as conninfo:
        admin = make_conninfo(conninfo, dbname="postgres")
        with alone(folder / "template.lock"):
            prepare(admin)
        with database_from(admin, TEMPLATE) as found:
            yield found


@contextmanager
def home() -> Iterator[Path]:
    """The folder of the run's server; made here where pytest has not."""
    if HOME_VARIABLE in os.environ:
        yield Path(os.environ[HOME_VARIABLE])
        return
    os.environ[HOME_VARIABLE] = str(open_folder())
    try:
        yield Path(os.environ[HOME_VARIABLE])
    finally:
        remove_home()


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """The environment with these variables (None: without it) for this block."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        _set(variables)
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="unghost-hostile-") as made:
        yield Path(made)


@contextmanager
def served(variables: Mapping[str, str]) -> Iterator[tuple[Door, Operations]]:
    """The whole service on loopback, by the settings of these variables, in a thread."""
    with environment(variables), open_house(load_settings()) as house:
        settings = load_settings()
        notifier = Notifier("", EventLog(house.database), throttle_seconds=0)
        operations = Operations(house, notifier)
        seats = Seats(read_logins(settings), operator=settings.actor)
        app = create_app(operations, seats)
        with listening("127.0.0.1", 0) as door, _running(app, door):
            yield door, operations
        operations.close()


@contextmanager
def _running(app: FastAPI, door: Door) -> Iterator[None]:
    """As `serving.run_app`, which wants the main thread for its signals."""
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([door.listener],), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
