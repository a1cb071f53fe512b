"""Notices leave on their own, at most one of a kind in a span, and never hold anything up."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from apprise import Apprise

from unghost.adapters.notifications import Notice, Notifier
from unghost.adapters.postgres.events import EventLog

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
