"""Stops the embedded server: at the end of its last user, or when that user was killed.

Only the standard library, and nothing of unghost: the guard runs this file by its path, so that a
process of its own costs next to nothing.

Every user of the server holds a shared lock on one file for as long as it lives. The system takes
that lock away from a killed process too, and so the guard needs nobody's cooperation.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
"""What PostgreSQL calls its socket on its usual port."""

_POLL_SECONDS = 0.005
_GUARD_POLL_SECONDS = 0.25
_PATIENCE_SECONDS = 30.0


def is_serving(sockets: Path) -> bool:
    """Whether a server listens: a socket file alone may be left over from a dead one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(sockets / SOCKET_NAME))
        except OSError:
            return False
    return True


def server_pid(data: Path) -> int | None:
    """The process that the data folder names as its server, alive or not."""
    try:
        return int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def shut_down(data: Path) -> None:
    """Stop the server of a data folder and wait for it: fast first, at once if that hangs.

    Call only where the server is known to be alive; a number left over may be anybody's.
    """
    for request in (signal.SIGINT, signal.SIGQUIT):
        pid = server_pid(data)
        if pid is None:
            return
        try:
            os.kill(pid, request)
        except ProcessLookupError:
            return
        if _gone(data, pid):
            return


def _gone(data: Path, pid: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while server_pid(data) == pid:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def locked_alone(lock: int) -> bool:
    """Try, without waiting, to hold the only lock on an open lock file."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def guard(data: Path, sockets: Path, users: Path) -> None:
    """Wait until this server has no user any more, then stop it; or until it is gone."""
    watched = server_pid(data)
    while watched is not None and server_pid(data) == watched:
        time.sleep(_GUARD_POLL_SECONDS)
        lock = os.open(users, os.O_RDWR)
        try:
            if locked_alone(lock):
                if is_serving(sockets):
                    shut_down(data)
                return
        finally:
            os.close(lock)


if __name__ == "__main__":
    guard(*map(Path, sys.argv[1:4]))
