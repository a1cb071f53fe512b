"""A PostgreSQL other than the embedded one, private to a run of the tests: see CONTRIBUTING."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

from unghost.adapters.postgres.server_programs import server_account

PROGRAMS_VARIABLE = "UNGHOST_TEST_POSTGRES"
"""The folder of `initdb` and `pg_ctl` of the release to test on; unset for the embedded one."""

OPTIONS = "-c listen_addresses='' -c max_connections=200 -c unix_socket_directories='{folder}'"


def as_server(folder: Path) -> dict[str, Any]:
    """As whom a server's program runs, for subprocess: never as root, who is refused."""
    account = server_account(folder)
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def owned_folder(folder: Path) -> Path:
    """A folder that the server's account may write to."""
    folder.mkdir()
    credentials = as_server(folder)
    if credentials:
        os.chown(folder, credentials["user"], credentials["group"])
    return folder


@contextmanager
def private_server(programs: Path, folder: Path) -> Iterator[str]:
    """Conninfo of a new cluster in a folder that is made for it, up as long as the block runs."""
    owned_folder(folder)
    credentials = as_server(folder)
    data = folder / "data"

    def run(name: str, *arguments: str) -> None:
        command = [str(programs / name), "-D", str(data), *arguments]
        with (folder / "programs.log").open("ab") as log:
            subprocess.run(
                command, check=True, stdout=log, stderr=log, cwd="/", timeout=120, **credentials
            )

    run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres")
    options = OPTIONS.format(folder=folder)
    run("pg_ctl", "start", "--wait", f"--log={folder / 'server.log'}", f"--options={options}")
    try:
        yield make_conninfo(host=str(folder), port=5432, user="postgres", dbname="postgres")
    finally:
        run("pg_ctl", "stop", "--mode=immediate")
