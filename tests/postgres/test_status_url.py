"""The bot's own word on whether it is paused, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from unghost.adapters.pause import LARGEST_ANSWER_BYTES, StatusUrlGate, shown_url
from unghost.model import PauseReading, PauseState


class Bot(ThreadingHTTPServer):
    """Answers every request with `code`, `body` and `headers`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.code = 200
        self.body = b"PAUSED"
        self.headers: dict[str, str] = {}
        self.silent = threading.Event()
        self.silent.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that has heard enough."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/internal/trading/status"


class Answer(BaseHTTPRequestHandler):
    server: Bot

    def do_GET(self) -> None:
        self.server.silent.wait()
        self.send_response(self.server.code)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bot() -> Iterator[Bot]:
    with Bot() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.silent.set()
        served.shutdown()
        thread.join()


def asked(bot: Bot, **settings: float) -> PauseReading:
    return StatusUrlGate(bot.url, **settings).read("main")


@pytest.mark.parametrize(
    "body",
    (b"PAUSED", b"  PAUSED\r\n", b"\xef\xbb\xbfPAUSED", b'{"status": "PAUSED", "since": 1}'),
)
def test_paused(bot, body):
    bot.body = body
    reading = asked(bot)
    assert reading.state is PauseState.PAUSED
    assert reading.source == bot.url
    assert reading.as_of.tzinfo is not None


@pytest.mark.parametrize(
    "body",
    (
        b"RUNNING",
        b"paused",
        b"NOT PAUSED",
        b'{"status": "paused"}',
        b'{"status": null}',
        b'{"state": "PAUSED"}',
        b'["PAUSED"]',
        b"<html>PAUSED</html>",
        b"0",
    ),
)
def test_whatever_else_is_well_formed_is_not_paused(bot, body):
    bot.body = body
    reading = asked(bot)
    assert reading.state is PauseState.RUNNING
    assert reading.detail == "The bot says that it is not paused."


@pytest.mark.parametrize(
    ("body", "why"),
    (
        (b"", "its answer is empty"),
        (b" \n", "its answer is empty"),
        (b"\xff\xfe", "its answer is not text"),
        (b'{"status": "PAUSED"', "its answer is broken JSON"),
        (b"[" * 60_000, "its answer is broken JSON"),
        (
            b'{"status": "RUNNING", "status": "PAUSED"}',
            "its answer tells the status more than once",
        ),
        (
            b'{"status": "PAUSED", "Status ": "running"}',
            "its answer tells the status more than once",
        ),
        (b"PAUSED" + b" " * LARGEST_ANSWER_BYTES, "its answer exceeds 64 KiB"),
    ),
)
def test_an_answer_that_cannot_be_believed_is_unknown(bot, body, why):
    bot.body = body
    reading = asked(bot)
    assert reading.state is PauseState.UNKNOWN
    assert reading.detail == f"{bot.url} does not tell whether trading is paused: {why}."


@pytest.mark.parametrize(
    "body",
    (
        b'{"status": "PAUSED", "state": "running"}',
        b'{"status": "PAUSED", "paused": false}',
        b'{"status": "PAUSED", "isRunning": true}',
        b'{"status": "PAUSED", "trading_paused": "False"}',
        b'{"paused": true, "state": "running"}',
        b'{"status": "PAUSED", "state": "PAUSED", "state": " RUNNING"}',
        b'{"status": "PAUSED", "states": ["PAUSED", "RUNNING"]}',
        b'["PAUSED", "RUNNING"]',
        b"PAUSED RUNNING",
        b"PAUSED\nRUNNING",
        b"running, not paused",
        b"<p>PAUSED</p><p>RUNNING</p>",
    ),
)
def test_an_answer_that_says_both_is_unknown(bot, body):
    bot.body = body
    reading = asked(bot)
    assert reading.state is PauseState.UNKNOWN
    assert "its answer says both that it is paused and that it is running" in reading.detail


@pytest.mark.parametrize(
    "body",
    (
        b'{"status": "PAUSED", "paused": true, "running": false, "tasks_running": 3}',
        b'{"status": "PAUSED", "profile": "running", "reason": "RUNNING", "actor": "Running"}',
        b'{"status": "PAUSED", "enabled": true, "note": "was running until noon"}',
        b'{"status": "PAUSED", "database": "running", "tasks": [{"state": "RUNNING"}]}',
    ),
)
def test_what_says_it_in_several_ways_or_of_something_else_is_paused(bot, body):
    bot.body = body
    assert asked(bot).state is PauseState.PAUSED


@pytest.mark.parametrize("code", (401, 404, 500, 503))
def test_an_error_status_is_unknown_even_when_it_says_paused(bot, code):
    bot.code = code
    reading = asked(bot)
    assert reading.state is PauseState.UNKNOWN
    assert f"HTTP status {code}" in reading.detail


@pytest.mark.parametrize("code", (301, 302, 307, 308))
def test_a_redirect_is_not_followed(bot, code):
    bot.code = code
    bot.headers = {"Location": "http://127.0.0.1:1/elsewhere?token=s3cret"}
    reading = asked(bot)
    assert reading.state is PauseState.UNKNOWN
    assert "s3cret" not in reading.detail


def test_an_answer_that_was_cut_short_is_unknown(bot):
    bot.headers = {"Content-Length": "60"}
    assert asked(bot).state is PauseState.UNKNOWN


def test_no_answer_in_time_is_unknown(bot):
    bot.silent.clear()
    reading = asked(bot, timeout_seconds=0.05)
    assert reading.state is PauseState.UNKNOWN
    assert "did not answer in time" in reading.detail


def test_nobody_there_is_unknown():
    reading = StatusUrlGate("http://127.0.0.1:1/status").read("main")
    assert reading.state is PauseState.UNKNOWN
    assert "nothing listens there" in reading.detail


@pytest.mark.parametrize(
    "url", ("file:///etc/hostname", "ftp://127.0.0.1/x", "nonsense", "http://[::1/x", "http://a b/")
)
def test_an_address_that_is_none_is_unknown(url):
    assert StatusUrlGate(url).read("main").state is PauseState.UNKNOWN


def test_secrets_of_an_address_are_not_shown():
    url = "http://ann:s3cret@127.0.0.1:1/status?token=s3cret#s3cret"
    reading = StatusUrlGate(url).read("main")
    assert shown_url(url) == reading.source == "http://127.0.0.1:1/status"
    assert "s3cret" not in repr(reading)


def test_a_proxy_of_the_environment_is_not_asked(bot, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert asked(bot).state is PauseState.PAUSED
