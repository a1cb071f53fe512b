"""Notices leave on their own, at most one of a kind in a span, and never hold anything up."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from apprise import Apprise
from tests.web.conftest import Visitor

from unghost.adapters.notifications import Notice, Notifier
from unghost.adapters.postgres.events import EventLog
from unghost.assembly import open_house
from unghost.web.access import Seats, read_logins
from unghost.web.app import create_app
from unghost.web.operations import Operations
from unghost.worker.cycles import run_profile

FOUND = Notice(kind="GHOSTS_FOUND", profile_id="main", text="BTCUSDT")


@pytest.fixture(scope="module", autouse=True)
def _apprise_is_there():
    """Its import alone may take longer on a busy machine than a close waits for what is left."""
    assert Apprise().add("json://127.0.0.1:9/")


class Post(HTTPServer):
    """A place to send notices to."""

    got: list[dict]


class Inbox(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        assert isinstance(self.server, Post)
        self.server.got.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def inbox():
    server = Post(("127.0.0.1", 0), Inbox)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_notice_is_sent_once_in_a_span_by_all_processes_together(database, inbox):
    address = f"json://127.0.0.1:{inbox.server_port}/"
    for _ in range(2):
        notifier = Notifier(address, EventLog(database), throttle_seconds=900)
        notifier.tell(FOUND)
        notifier.tell(FOUND)
        notifier.close()
    assert [(one["title"], one["message"]) for one in inbox.got] == [
        ("unghost: ghosts found (main)", "BTCUSDT")
    ]


def test_an_address_that_does_not_answer_is_logged_and_nothing_more(database):
    with structlog.testing.capture_logs() as logged:
        notifier = Notifier("json://127.0.0.1:9/", EventLog(database), throttle_seconds=0)
        notifier.tell(FOUND)
        notifier.close()
    assert "a notice was not delivered" in [line["event"] for line in logged]


def test_without_addresses_nothing_is_done(database):
    notifier = Notifier("", EventLog(database), throttle_seconds=0)
    notifier.tell(FOUND)
    notifier.close()
    assert EventLog(database).recent("main") == ()


# --- who is told of a cycle ---------------------------------------------------------------------


class Heard:
    """Stands where the notifier is, and keeps what it is told."""

    def __init__(self):
        self.notices: list[Notice] = []

    def tell(self, notice: Notice):
        self.notices.append(notice)

    @property
    def kinds(self) -> list[str]:
        return [one.kind for one in self.notices]


def by_the_loop(settings) -> list[str]:
    heard = Heard()
    with open_house(settings) as house:
        run_profile(house, "main", worker="w", notifier=heard)
    return heard.kinds


@contextmanager
def listened(settings):
    """A client of the service as anna, and what the service tells until it is closed."""
    heard = Heard()
    with open_house(settings) as house:
        operations = Operations(house, heard)
        app = create_app(operations, Seats(read_logins(settings), operator="machine"))
        yield Visitor(app, base_url="http://127.0.0.1").whose("anna"), heard
        operations.close()


def by_a_person(settings) -> list[str]:
    with listened(settings) as (anna, heard):
        anna.post("/api/v1/profiles/main/cycles", json={}).raise_for_status()
    return heard.kinds


@pytest.mark.parametrize("started", (by_the_loop, by_a_person))
def test_refusals_and_new_ghosts_are_told_whoever_started_the_cycle(bench, configured, started):
    bench.ghost("t-1")
    assert started(configured(UNGHOST_LOOP="dry_run")) == ["GHOSTS_FOUND", "NO_GO"]


@pytest.mark.parametrize("started", (by_the_loop, by_a_person))
def test_what_was_found_before_is_not_told_again(bench, configured, started):
    bench.ghost("t-1")
    bench.pause()
    bench.dry_run()
    assert started(configured(UNGHOST_LOOP="dry_run")) == []


def test_an_apply_is_told_whoever_started_it(bench, configured):
    bench.pause()
    settings = configured(UNGHOST_LOOP="flags")
    bench.ghost("t-1")
    assert by_the_loop(settings) == ["GHOSTS_FOUND", "BATCH_APPLIED"]
    bench.ghost("t-2", symbol="ETHUSDT")
    with listened(settings) as (anna, heard):
        plan = bench.dry_run().batch.batch_id
        version = anna.get(f"/api/v1/batches/{plan}").json()["version"]
        body = {"plan": plan, "seen": version}
        anna.post("/api/v1/profiles/main/cycles", json=body).raise_for_status()
    assert heard.kinds == ["BATCH_APPLIED"]
