"""The service over the real database and the simulated venue, spoken to by HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.cycle.bench import Bench, grant
from tests.cycle.conftest import (  # noqa: F401 - fixtures
    bench,
    exchange,
    roles,
    shared_service_url,
    shared_url,
    street,
)

from unghost.adapters.notifications import Notifier
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.events import EventLog
from unghost.adapters.postgres.queue import install_queue
from unghost.assembly import open_house
from unghost.settings import Settings, load_settings
from unghost.web.access import Role, Seats, login_line, read_logins
from unghost.web.app import create_app
from unghost.web.operations import Operations

TOKENS = {
    "vera": (Role.VIEWER, "token-of-vera"),
    "olga": (Role.OPERATOR, "token-of-olga"),
    "anna": (Role.APPROVER, "token-of-anna"),
    "adam": (Role.APPROVER, "token-of-adam"),
}
LOGINS = " ".join(login_line(name, role, token) for name, (role, token) in TOKENS.items())
PROFILE = """
[profiles.{name}]
exchange = "binanceusdm"
market = "swap"
api_key_env = "MAIN_API_KEY"
secret_env = "MAIN_SECRET"
base_url = "{base_url}"
account = "{account}"
"""


@pytest.fixture(scope="session")
def markets_home(tmp_path_factory) -> Path:
    """The list of markets is read once for all tests."""
    return Path(tmp_path_factory.mktemp("home"))


@pytest.fixture
def configured(bench: Bench, tmp_path: Path, markets_home: Path, monkeypatch):  # noqa: F811 - a fixture
    """A function that makes settings as the environment would: profiles, and variables."""
    bench.run("TRUNCATE reconciliation_loop, reconciliation_request, reconciliation_figure")

    def make(profiles=("main",), **variables: str) -> Settings:
        config = tmp_path / "unghost.toml"
        base_url = bench.venue.base_url
        config.write_text(
            "".join(PROFILE.format(name=one, base_url=base_url, account=one) for one in profiles)
        )
        wanted = {
            "DATABASE_URL": bench.service_url,
            "UNGHOST_HOME": str(markets_home),
            "UNGHOST_CONFIG": str(config),
            "MAIN_API_KEY": "main-key",
            "MAIN_SECRET": "main-secret",
            "ENABLE_RECON_EXIT_BACKFILL": "true",
            "RECON_EXIT_BACKFILL_DRY_RUN": "false",
            "UNGHOST_LOOP": "off",
            "UNGHOST_ACTOR": "machine",
            "UNGHOST_TOKENS": LOGINS,
        } | variables
        for name, value in wanted.items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        return load_settings()

    return make


QUEUE_TABLES = "procrastinate_jobs, procrastinate_workers, procrastinate_periodic_defers"


@pytest.fixture(scope="session")
def queue_installed(shared_url, shared_service_url, roles):  # noqa: F811 - fixtures
    database = Database(shared_url)
    assert install_queue(database)
    assert not install_queue(database)
    database.close()
    grant(shared_url, roles)


@pytest.fixture
def queue(queue_installed, bench: Bench) -> Bench:  # noqa: F811 - a fixture
    bench.run(f"TRUNCATE {QUEUE_TABLES} CASCADE")
    return bench


class Visitor(TestClient):
    """A client that is somebody: every request carries the token."""

    def whose(self, name: str) -> Visitor:
        self.headers["Authorization"] = f"Bearer {TOKENS[name][1]}"
        return self


@contextmanager
def served(settings: Settings, **client: object) -> Iterator[Callable[[str | None], Visitor]]:
    """The service; call it with a name to be that person."""
    with open_house(settings) as house:
        notifier = Notifier("", EventLog(house.database), throttle_seconds=0)
        operations = Operations(house, notifier)
        seats = Seats(read_logins(settings), operator=settings.actor)
        app = create_app(operations, seats)

        def client_of(name: str | None) -> Visitor:
            visitor = Visitor(
                app, base_url="http://127.0.0.1", raise_server_exceptions=False, **client
            )
            return visitor.whose(name) if name else visitor

        yield client_of
        operations.close()


@pytest.fixture
def service(configured) -> Iterator[Callable[[str | None], Visitor]]:
    with served(configured()) as found:
        yield found


def wait_for(client: Visitor, batch_id: str) -> dict:
    """The batch once it is finished; a cycle here takes a fraction of a second."""
    import time

    for _ in range(600):
        found = client.get(f"/api/v1/batches/{batch_id}").json()
        if found["batch"]["status"] != "running":
            return found
        time.sleep(0.05)
    raise AssertionError("the batch does not end")
