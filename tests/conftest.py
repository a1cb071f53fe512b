"""A real PostgreSQL for every test, and no test of ours that is quietly skipped.

One embedded server serves the whole run; every worker process holds on to it, and the last one
stops it. A template database is made once, and copied for each test. Where UNGHOST_TEST_POSTGRES
names the programs of another release, the first process starts and stops a server of that one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.other_server import PROGRAMS_VARIABLE, private_server

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.migrations import create_sample_orders, migrate

HOME_VARIABLE = "UNGHOST_TEST_HOME"
SERVER_VARIABLE = "UNGHOST_TEST_SERVER"
"""For the worker processes: the conninfo of the server that the first one started."""

TEMPLATE = "unghost_template"
ALLOWED_SKIPS: frozenset[str] = frozenset()
"""Reasons for which a test may be skipped where UNGHOST_CI or CI is set. Better none."""

LOCKED = "unghost_locked"
LOCKED_ROLES = f"local all +{LOCKED} scram-sha-256\n"
"""Members of this role need a password; all others are let in. Patterns exist since 16 only."""

QUICK_AND_UNSAFE = ("fsync", "synchronous_commit", "full_page_writes")


# --- the run -----------------------------------------------------------------------------------


def pytest_configure(config):
    """The first process makes the folder of the server; its workers inherit its name."""
    hear_interrupts()
    if HOME_VARIABLE not in os.environ:
        os.environ[HOME_VARIABLE] = str(open_folder())
        config.add_cleanup(remove_home)
        if programs := os.environ.get(PROGRAMS_VARIABLE):
            config.add_cleanup(start_other_server(Path(programs)).close)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """More than there are cores: many a test waits for a server, a browser, or a retry."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist itself reads how many somebody wants
    return (os.cpu_count() or 1) * 3 // 2


def hear_interrupts() -> None:
    """A shell makes what it runs in the background deaf to Ctrl-C, and children inherit that."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def open_folder() -> Path:
    """A folder with a short name (a socket's path is limited) that the server's account reaches."""
    folder = Path(tempfile.mkdtemp(prefix="unghost-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


def remove_home() -> None:
    shutil.rmtree(os.environ.pop(HOME_VARIABLE), ignore_errors=True)


def start_other_server(programs: Path) -> ExitStack:
    """The workers inherit where it is; closing stops it."""
    running = ExitStack()
    folder = Path(os.environ[HOME_VARIABLE]) / "other"
    os.environ[SERVER_VARIABLE] = running.enter_context(private_server(programs, folder))
    running.callback(os.environ.pop, SERVER_VARIABLE)
    return running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return unless_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return unless_skipped(report)


def unless_skipped(report):
    """Where nothing may be missing, a skipped test is a failed one."""
    strict = any(os.environ.get(name, "").lower() in {"1", "true"} for name in ("UNGHOST_CI", "CI"))
    if strict and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if reason.removeprefix("Skipped: ") not in ALLOWED_SKIPS:
            report.outcome = "failed"
            report.longrepr = f"skipped, and nothing may be skipped here: {reason}"
    return report


# --- the server --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Conninfo of the server's own database, for making others."""
    home = Path(os.environ[HOME_VARIABLE])
    with chosen_server(home) as conninfo:
        admin = make_conninfo(conninfo, dbname="postgres")
        with alone(home / "template.lock"):
            prepare(admin)
        yield admin


def chosen_server(home: Path) -> AbstractContextManager[str]:
    other = os.environ.get(SERVER_VARIABLE)
    return embedded_database(home) if other is None else nullcontext(other)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(admin: str) -> None:
    """Make the template once, and the server quick: what it holds is thrown away anyway."""
    with psycopg.connect(admin, autocommit=True) as connection:
        wanted = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(wanted, [TEMPLATE]).fetchone():
            return
        for name in QUICK_AND_UNSAFE:
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(LOCKED)))
        ((path,),) = connection.execute("SHOW hba_file").fetchall()
        rules = Path(path)
        rules.write_text(LOCKED_ROLES + rules.read_text(encoding="utf-8"), encoding="utf-8")
        connection.execute("SELECT pg_reload_conf()")
        unfinished = f"{TEMPLATE}_unfinished"
        create(connection, unfinished, template="template1")
        fill_template(make_conninfo(admin, dbname=unfinished))
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        connection.execute(rename.format(sql.Identifier(unfinished), sql.Identifier(TEMPLATE)))


def fill_template(conninfo: str) -> None:
    database = Database(conninfo)
    migrate(database)
    create_sample_orders(database)
    database.close()


def create(connection: psycopg.Connection, name: str, *, template: str) -> None:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


@contextmanager
def database_from(admin: str, template: str) -> Iterator[str]:
    """Conninfo of a database that exists as long as the block runs."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(admin, autocommit=True) as connection:
        create(connection, name, template=template)
    try:
        yield make_conninfo(admin, dbname=name)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


# --- for tests ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _logs_as_at_first() -> Iterator[None]:
    """A command that ran within a test sets the level for all that follow in its process."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def database_url(server) -> Iterator[str]:
    """Conninfo (key=value) of a database with our tables and an empty sample `orders`."""
    with database_from(server, TEMPLATE) as conninfo:
        yield conninfo


@pytest.fixture
def empty_database_url(server) -> Iterator[str]:
    """Conninfo of a database without any table."""
    with database_from(server, "template1") as conninfo:
        yield conninfo


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    """The database of this test."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def empty_database(empty_database_url) -> Iterator[Database]:
    """The empty database of this test."""
    opened = Database(empty_database_url)
    yield opened
    opened.close()


@pytest.fixture
def unghost_home() -> Iterator[Path]:
    """A folder to be UNGHOST_HOME: short, and open to the account that serves when root tests."""
    folder = open_folder()
    yield folder
    with suppress(OSError):
        shutil.rmtree(folder)


@pytest.fixture
def role(server) -> Iterator[str]:
    """A role without any rights. Its databases must be gone first: name it before `database`."""
    yield from made_role(server, f"role_{uuid4().hex[:12]}")


@pytest.fixture
def locked_role(server) -> Iterator[str]:
    """A role that the server lets in with the password `open sesame` only."""
    yield from made_role(
        server, f"locked_{uuid4().hex[:12]}", password="open sesame", member_of=(LOCKED,)
    )


def made_role(
    server: str, name: str, *, password: str | None = None, member_of: tuple[str, ...] = ()
) -> Iterator[str]:
    role = sql.Identifier(name)
    statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.format(role, sql.Literal(password)))
        for group in member_of:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
    yield name
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
