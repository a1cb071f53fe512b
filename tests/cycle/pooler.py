"""PgBouncer in transaction mode before the server of the tests, as many bots' databases have it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.conftest import open_folder
from tests.other_server import as_server, owned_folder

PORT = "6432"
START_SECONDS = 30
SETTINGS = """
[databases]
* = host={server} port=5432
[pgbouncer]
pool_mode = transaction
default_pool_size = {size}
unix_socket_dir = {folder}
listen_port = 6432
auth_type = trust
auth_file = {folder}/users
stats_users = postgres
"""


@dataclass(frozen=True, kw_only=True)
class Pooler:
    """A running PgBouncer."""

    folder: Path

    def before(self, conninfo: str) -> str:
        """The same role and database, by way of the pooler."""
        return make_conninfo(conninfo, host=str(self.folder), port=PORT)

    def told(self, question: str) -> list[dict[str, object]]:
        """What its own console answers, such as `SHOW STATS`."""
        conninfo = make_conninfo(
            host=str(self.folder), port=PORT, user="postgres", dbname="pgbouncer"
        )
        with psycopg.connect(conninfo, autocommit=True) as console:
            cursor = console.execute(question.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def running_pooler(server: str, roles: Iterable[str], *, size: int = 3) -> Iterator[Pooler]:
    """PgBouncer before a server, with `size` connections to it for each role and database.

    Skips the test where PgBouncer is not installed.
    """
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian's package of that name)")
    outer = open_folder()
    folder = owned_folder(outer / "pooler")
    target = conninfo_to_dict(server)["host"]
    (folder / "settings.ini").write_text(
        SETTINGS.format(server=target, folder=folder, size=size), encoding="utf-8"
    )
    (folder / "users").write_text("".join(f'"{one}" ""\n' for one in roles), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(folder / "settings.ini")],
            stdout=log,
            stderr=log,
            cwd="/",
            **as_server(folder),
        )
    try:
        _await(process, folder)
        yield Pooler(folder=folder)
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(outer, ignore_errors=True)


def _await(process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (folder / f".s.PGSQL.{PORT}").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail("pgbouncer does not start: " + (folder / "log").read_text())
        time.sleep(0.02)
