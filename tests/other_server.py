"""A PostgreSQL other than the embedded one, private to a run of the tests: see CONTRIBUTING.

And one that a test may do to what it likes: end it, start it again, take its room away.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from unghost.adapters.postgres.server_programs import (
    installed_programs,
    reachable_programs,
    server_account,
)

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


# --- a server that a test ends -----------------------------------------------------------------

START_SECONDS = 60
STOP_SECONDS = 60
SEGMENT_MB = 1
"""Of the write-ahead log: no file of the server need be larger than this."""


class FragileServer:
    """A cluster of its own in a folder that is made for it; `conninfo` names its first database.

    It commits as a server in earnest does: what was answered is in the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = owned_folder(folder)
        self._credentials = as_server(folder)
        self._programs = _programs(folder)
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.conninfo = make_conninfo(
            host=str(folder), port=5432, user="postgres", dbname="postgres"
        )
        self._make()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"unix_socket_directories={self._folder}", "listen_addresses=", "fsync=off"]
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        command += [word for option in options for word in ("-c", option)]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd="/", **self._credentials
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "server.log").read_text()
            time.sleep(0.01)

    def end(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT: at once, as in a crash. SIGINT: connections are ended first."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(STOP_SECONDS)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        self.end(how)
        self.start()

    @contextmanager
    def full_at(self, most_bytes: int) -> Iterator[None]:
        """No file of the server may grow beyond this, as on a disk that is full.

        The log of what is written needs files of SEGMENT_MB: no less is possible.
        """
        assert most_bytes >= SEGMENT_MB << 20
        self._limit(str(most_bytes))
        yield
        self._limit("unlimited")

    def _limit(self, most: str) -> None:
        """For the processes that serve connections, and for those that will."""
        assert self._process is not None
        with psycopg.connect(self.conninfo) as connection:
            serving = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            ).fetchall()
        for pid in (self._process.pid, *(pid for (pid,) in serving)):
            # Its own account may do it; root in a container may not.
            command = ["prlimit", f"--pid={pid}", f"--fsize={most}:"]
            subprocess.run(command, check=pid == self._process.pid, cwd="/", **self._credentials)

    def _make(self) -> None:
        command = [str(self._programs / "initdb"), "-D", str(self._data), "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync"]
        command.append(f"--wal-segsize={SEGMENT_MB}")
        subprocess.run(
            command, check=True, capture_output=True, cwd="/", timeout=120, **self._credentials
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.conninfo).close()
        except psycopg.Error:
            return False
        return True


def _programs(folder: Path) -> Path:
    chosen = os.environ.get(PROGRAMS_VARIABLE)
    if chosen is not None:
        return Path(chosen)
    return reachable_programs(installed_programs(None), server_account(folder), folder) / "bin"
