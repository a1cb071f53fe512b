"""An embedded PostgreSQL under UNGHOST_HOME, for those who have none at hand.

`<home>/postgres` holds the data, the server's log, and the folder of its socket, which only the
server's account may enter: there is no password, and no network. All processes that use a home
share one server. It starts with the first and stops with the last of them, however that ends.

When root starts it, the server runs as another account (see `server_programs`), which must be
able to reach the data: so a home inside any user's home folder is refused then.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from psycopg.conninfo import make_conninfo

from unghost.adapters.postgres import server_guard
from unghost.adapters.postgres.server_guard import is_serving, locked_alone, server_pid, shut_down
from unghost.adapters.postgres.server_programs import (
    Account,
    installed_programs,
    reachable_programs,
    server_account,
)
from unghost.errors import ConfigurationError, DatabaseError

DATABASE: Final = "unghost"
ROLE: Final = "postgres"
USER_HOMES: Final = (Path("/root"), Path("/home"), Path("/Users"))

_LONGEST_SOCKET_PATH: Final = 103
"""Bytes that every supported system allows, less than the 107 of Linux."""

_START_SECONDS: Final = 60.0
_TURN_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.005
_LOG_TAIL_LINES: Final = 8
_LARGEST_LOG_BYTES: Final = 1_000_000

_OPTIONS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "io_method": "sync",  # three processes fewer to start and stop
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
}
_OPTIONS_SINCE: Final = {"io_method": 18}

_SHORT_LIVED: Final[list[subprocess.Popen[bytes]]] = []
"""Servers and guards that outlive the block that started them, because others use the server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """Where things are. `account` is None where the server runs as ourselves."""

    folder: Path
    sockets: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def users(self) -> Path:
        return self.folder / "users.lock"

    @property
    def turns(self) -> Path:
        return self.folder / "start-stop.lock"

    @property
    def credentials(self) -> dict[str, Any]:
        """As whom a subprocess runs."""
        if self.account is None:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}


@dataclass(kw_only=True, slots=True)
class _Membership:
    """One user of the server: its lock, and the processes that it started."""

    layout: _Layout
    lock: int
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)


def _say_nothing(_: str) -> None:
    """The default of `tell`."""


@contextmanager
def embedded_database(home: Path, *, tell: Callable[[str], None] = _say_nothing) -> Iterator[str]:
    """Conninfo of the embedded database, which is there while the block runs.

    `tell` is called with a sentence before anything that takes long. Raises ConfigurationError
    where the folder cannot be used, DatabaseError (with the end of the server's log) where the
    server does not start.
    """
    try:
        membership = _join(home, tell)
    except OSError as error:
        raise ConfigurationError(_folder_trouble(home, error)) from error
    try:
        yield make_conninfo(
            host=str(membership.layout.sockets), port=5432, user=ROLE, dbname=DATABASE
        )
    finally:
        _leave(membership)


def _folder_trouble(home: Path, error: OSError) -> str:
    remedy = "choose another folder with UNGHOST_HOME, or set DATABASE_URL"
    if error.errno == errno.ENOSPC:
        return f"The disk of {home} is full, the embedded PostgreSQL needs 100 MB: {remedy}."
    why = error.strerror or str(error)
    return f"The embedded PostgreSQL cannot use {error.filename or home} ({why}): {remedy}."


# --- joining and leaving -----------------------------------------------------------------------


def _join(home: Path, tell: Callable[[str], None]) -> _Membership:
    layout = _layout(home.expanduser().resolve())
    with _turn(layout):
        membership = _Membership(layout=layout, lock=_open(layout.users))
        try:
            fcntl.flock(membership.lock, fcntl.LOCK_SH)
            if not is_serving(layout.sockets):
                membership.started = _serve(layout, tell)
        except BaseException:
            os.close(membership.lock)
            raise
    return membership


def _leave(membership: _Membership) -> None:
    """Stop the server unless somebody else uses it. A folder that was removed needs no care."""
    stopped = False
    with suppress(OSError), _turn(membership.layout):
        fcntl.flock(membership.lock, fcntl.LOCK_UN)
        if locked_alone(membership.lock):
            stopped = True
            _stop(membership.layout)
    os.close(membership.lock)
    _part_from(membership.started, stopped=stopped)


def _stop(layout: _Layout) -> None:
    if is_serving(layout.sockets):
        shut_down(layout.data)
    if not layout.sockets.is_relative_to(layout.folder):
        layout.sockets.rmdir()


def _part_from(started: Sequence[subprocess.Popen[bytes]], *, stopped: bool) -> None:
    for process in started:
        if stopped:
            process.terminate()
            process.wait()
        else:
            _SHORT_LIVED.append(process)


@contextmanager
def _turn(layout: _Layout) -> Iterator[None]:
    """Be the only one that starts or stops the server. Raises DatabaseError after two minutes."""
    lock = _open(layout.turns)
    try:
        deadline = time.monotonic() + _TURN_SECONDS
        while not locked_alone(lock):
            if time.monotonic() > deadline:
                raise DatabaseError(
                    f"Another process has been starting the server in {layout.folder} for"
                    f" {_TURN_SECONDS:.0f} seconds: end that process."
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


# --- folders -----------------------------------------------------------------------------------


def _layout(home: Path) -> _Layout:
    folder = home / "postgres"
    account = None
    if os.geteuid() == 0:
        _refuse_user_home(home)
        account = server_account(folder / "data")
    mode = 0o700 if account is None else 0o711
    _make_folder(folder, mode)
    _close_to_others(folder, mode)
    if account is not None and not account.reaches(folder):
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and its account cannot reach {folder}: open the"
            " folders above it (chmod o+x), or choose another one with UNGHOST_HOME."
        )
    return _Layout(folder=folder, sockets=_socket_folder(folder, account), account=account)


def _refuse_user_home(home: Path) -> None:
    """Root's server runs as another account, to which a user's home would have to be opened."""
    own = Path.home().resolve()
    for taken in (*USER_HOMES, *([own] if own != Path("/") else [])):
        if home.is_relative_to(taken):
            raise ConfigurationError(
                f"UNGHOST_HOME is {home}: as root, the embedded PostgreSQL runs as another account"
                f" and must not be inside {taken}; unset UNGHOST_HOME to use /var/lib/unghost."
            )


def _make_folder(folder: Path, mode: int) -> None:
    """Make it with everything above that is missing; what exists keeps its mode."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):  # another process may have been quicker
            one.mkdir()
            one.chmod(mode if one == folder else 0o755)


def _close_to_others(folder: Path, mode: int) -> None:
    """Take from an older folder of ours what others need not: the names and dates in it."""
    found = folder.stat()
    kept = stat.S_IMODE(found.st_mode) & mode
    if found.st_uid == os.geteuid() and kept != stat.S_IMODE(found.st_mode):
        folder.chmod(kept)


def _make_owned_folder(folder: Path, account: Account | None) -> None:
    """It appears with its owner: another process may look at it as soon as it is there."""
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    if account is not None:
        os.chown(made, account.uid, account.gid)
    try:
        made.rename(folder)
    except OSError:  # another process was quicker; what it made is checked by the caller
        made.rmdir()


def _socket_folder(folder: Path, account: Account | None) -> Path:
    """Only the server's account enters it: there is no other protection, and none is needed."""
    uid = os.geteuid() if account is None else account.uid
    sockets = folder / "run"
    too_long = len(os.fsencode(sockets / server_guard.SOCKET_NAME)) > _LONGEST_SOCKET_PATH
    if too_long or "," in str(sockets):  # a conninfo would take a comma for two hosts
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        sockets = Path("/tmp") / f"unghost-{uid}-{digest}"  # noqa: S108 - checked below
    if not os.path.lexists(sockets):
        _make_owned_folder(sockets, account)
    found = sockets.lstat()
    if sockets.is_symlink() or found.st_uid != uid or found.st_mode & 0o077:
        raise ConfigurationError(
            f"The folder {sockets} belongs to somebody else or is open to others:"
            " remove it, or choose a shorter UNGHOST_HOME."
        )
    return sockets


# --- starting ----------------------------------------------------------------------------------


def _serve(layout: _Layout, tell: Callable[[str], None]) -> list[subprocess.Popen[bytes]]:
    """Start the server, on new data if there is none, and the guard that stops it."""
    release = _release(layout.data)
    installed = installed_programs(release)
    programs = reachable_programs(installed, layout.account, layout.folder)
    if release is None:
        tell(f"Setting up an embedded PostgreSQL in {layout.folder} (once, a few seconds).")
        _make_data(layout, programs)
    else:
        tell(f"Starting the embedded PostgreSQL in {layout.folder}.")
    _clear_remains(layout)
    server = _started(layout, programs)
    try:
        return [server, _guarded(layout)]
    except BaseException:
        shut_down(layout.data)
        raise


def _release(data: Path) -> int | None:
    """The major release that made the data, None where there is none yet."""
    try:
        return int((data / "PG_VERSION").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _make_data(layout: _Layout, programs: Path) -> None:
    """Made under another name first: what was cut short is never mistaken for data."""
    unfinished = layout.folder / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if layout.account is not None:
        os.chown(unfinished, layout.account.uid, layout.account.gid)
    arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", f"--username={ROLE}"]
    _run(layout, [str(programs / "bin/initdb"), *arguments, f"--pgdata={unfinished}"])
    single = [str(programs / "bin/postgres"), "--single", "-D", str(unfinished), "template1"]
    _run(layout, single, typed=f"CREATE DATABASE {DATABASE}")
    unfinished.rename(layout.data)


def _run(layout: _Layout, command: Sequence[str], *, typed: str = "") -> None:
    run = subprocess.run(
        command,
        input=typed.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(),
        cwd="/",
        check=False,
        **layout.credentials,
    )
    if run.returncode != 0:
        said = _tail(run.stdout)
        raise DatabaseError(f"The embedded PostgreSQL could not be set up. It said:\n{said}")


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT and the like would lead the server astray."""
    return {"PATH": os.defpath, "LC_ALL": "C"}


def _clear_remains(layout: _Layout) -> None:
    """What a killed server, or a machine that was switched off, has left.

    PostgreSQL itself refuses to start when the number in one of its old files is by now the number
    of any other process.
    """
    pid = server_pid(layout.data)
    if pid is not None and _is_server_of(pid, layout.data):
        shut_down(layout.data)  # alive, but its socket is gone: nobody can use it
    socket_file = layout.sockets / server_guard.SOCKET_NAME
    lock_file = socket_file.with_name(f"{socket_file.name}.lock")
    for remains in (layout.data / "postmaster.pid", socket_file, lock_file):
        remains.unlink(missing_ok=True)


def _is_server_of(pid: int, data: Path) -> bool:
    command = [shutil.which("ps") or "/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    run = subprocess.run(command, capture_output=True, check=False)
    return os.fsencode(data) in run.stdout


def _started(layout: _Layout, programs: Path) -> subprocess.Popen[bytes]:
    """Start the server and wait until it is ready.

    The children of a server that was just killed may need a moment to notice: it is tried again.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        log_start = _log_size(layout.log)
        server = _launched(layout, programs)
        try:
            if _becomes_ready(layout, server, deadline):
                return server
        except BaseException:
            server.terminate()
            server.wait()
            raise
        said = layout.log.read_bytes()[log_start:]
        if b"pre-existing shared memory block" not in said or time.monotonic() > deadline:
            raise DatabaseError(
                f"The embedded PostgreSQL in {layout.folder} did not start. Its log"
                f" ({layout.log}) ends:\n{_tail(said)}"
            )
        time.sleep(0.1)


def _launched(layout: _Layout, programs: Path) -> subprocess.Popen[bytes]:
    release = _release(layout.data) or 0
    options = {
        name: value for name, value in _OPTIONS.items() if _OPTIONS_SINCE.get(name, 0) <= release
    }
    quoted = str(layout.sockets).replace('"', '""')
    options["unix_socket_directories"] = f'"{quoted}"'
    command = [str(programs / "bin/postgres"), "-D", str(layout.data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with _log_opened(layout.log) as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(),
            cwd="/",
            start_new_session=True,  # Ctrl-C is meant for us
            **layout.credentials,
        )


def _becomes_ready(layout: _Layout, server: subprocess.Popen[bytes], deadline: float) -> bool:
    """Whether the server accepts connections, by its own word, before it ends or time is up."""
    while server.poll() is None:
        with suppress(OSError):
            lines = (layout.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            if lines[:1] == [str(server.pid)] and lines[-1].strip() == "ready":
                return True
        if time.monotonic() > deadline:
            server.kill()
            server.wait()
            return False
        time.sleep(_POLL_SECONDS)
    return False


def _log_opened(log: Path) -> BinaryIO:
    """For nobody else to read: a statement that failed stands in it with its values."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.fchmod(descriptor, 0o600)  # an older one was open to all
    return os.fdopen(descriptor, "ab")


def _log_size(log: Path) -> int:
    """Where the log ends; one that has grown large starts anew."""
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return 0
    if size > _LARGEST_LOG_BYTES:
        log.write_bytes(b"")
        return 0
    return size


def _tail(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (nothing)"


def _guarded(layout: _Layout) -> subprocess.Popen[bytes]:
    """A process that stops the server should its last user be killed."""
    program = [sys.executable, "-I", "-S", server_guard.__file__]
    return subprocess.Popen(
        [*program, str(layout.data), str(layout.sockets), str(layout.users)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
