"""Secrets are planted in every place that holds some; nothing that is written holds one of them.

The exchange of these tests is as indiscreet as can be: it repeats what it was sent, signature and
headers too. What is searched: both streams of every command and process, each answer of the service
with its headers, and every row of every table.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from psycopg.conninfo import make_conninfo
from tests.cli.conftest import Place, Run, lose_an_exit, profile_text

from unghost.cli.commands import COMMANDS as ALL_COMMANDS
from unghost.demo.venue import running_venue
from unghost.demo.venue.binanceusdm import BinanceUsdm
from unghost.demo.venue.protocol import Answer, Call
from unghost.demo.world import World
from unghost.web.access import COOKIE, Role, login_line

KEY = "planted/Api+Key=0123456789"
SECRET = "planted/Secret+of=9876543210"
PASSPHRASE = "planted pass&phrase=24680"
DATABASE = "planted:data@base/pass%word"
PROXY, NOTIFY, TOKEN = "planted-proxy-pass-1", "planted-notify-pass-2", "planted-token-of-anna-3"
PLANTED = (KEY, SECRET, PASSPHRASE, DATABASE, PROXY, NOTIFY, TOKEN)
SIGNED = re.compile(r"signature[\"']?\s*[=:]\s*[\"']?[0-9A-Za-z+/]{12,}")
START_SECONDS = 30
COMMANDS = (
    ("doctor",),
    ("detect",),
    ("evidence", "BTCUSDT"),
    ("cycle",),
    ("validate",),
    ("audit",),
    ("audit", "verify"),
    ("explain", "t-1"),
    ("status",),
    ("pause",),
    ("resume",),
    ("go-no-go", "no-such-batch"),
    ("rollback", "no-such-batch", "--yes"),
    ("reinstate", "no-such-batch", "--yes"),
    ("sql", "detect"),
    ("token", "vera"),
    ("grants",),
    ("init",),
    ("import-fills", "unghost.toml"),
)
ELSEWHERE = {"demo", "serve", "worker"}
"""The demo has accounts of its own and takes no secret; the others stay, and are watched below."""


class Attentive:
    """A face that answers as it should, and remembers the signatures that it saw."""

    name = "attentive"

    def __init__(self) -> None:
        self._face = BinanceUsdm()
        self.signatures: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._face, name)

    def answer(self, world: World, call: Call) -> Answer:
        if "signature" not in call.params:
            return self._face.answer(world, call)
        self.signatures.add(call.params["signature"])
        return self.answer_signed(world, call)

    def answer_signed(self, world: World, call: Call) -> Answer:
        return self._face.answer(world, call)


class Indiscreet(Attentive):
    """A face that answers questions about the account with all that came with them."""

    name = "indiscreet"

    def __init__(self, status: int, *, as_json: bool) -> None:
        super().__init__()
        self._status, self._as_json = status, as_json

    def answer_signed(self, world: World, call: Call) -> Answer:
        told = f"no: {call.path}?{call.query} {call.body} {dict(call.headers)}"
        told += f" you are {KEY}, {SECRET}, {quote(SECRET)}"
        if self._as_json:
            return Answer(
                status=self._status, raw=json.dumps({"code": -9999, "msg": told}).encode()
            )
        return Answer(status=self._status, raw=told.encode(), content_type="text/html")


FACES = {
    "in JSON": (400, True),
    "in JSON as if all were well": (200, True),
    "in a page": (502, False),
}


@dataclass
class Search:
    """All that was written, by where it was found."""

    written: dict[str, str] = field(default_factory=dict)

    def add(self, where: str, text: str) -> None:
        self.written[f"{where} ({len(self.written)})"] = text

    def assert_clean(self, more: tuple[str, ...] = ()) -> None:
        """Nothing planted, in no spelling, and no signature."""
        assert self.written
        for where, text in self.written.items():
            for secret in (*PLANTED, *more):
                found = [one for one in spellings(secret) if one in text]
                assert not found, (where, found, around(text, found[0]))
            signed = SIGNED.search(text)
            assert signed is None, (where, signed)


def around(text: str, found: str) -> str:
    at = text.index(found)
    return text[max(0, at - 200) : at + len(found) + 50]


def spellings(secret: str) -> set[str]:
    """As it is, as addresses and as HTTP's basic credentials spell it, and inside JSON."""
    raw = secret.encode()
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        raw.hex(),
        json.dumps(secret)[1:-1],
    }


def dumped(place: Place) -> str:
    """Every row of every table as text."""
    named = place.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [place.sql(f'SELECT to_jsonb(t)::text FROM "{name}" AS t') for (name,) in named]  # noqa: S608 - names of the catalogue
    return "\n".join(str(found) for found in rows)


@contextmanager
def planted(place: Place, face: Attentive) -> Iterator[Search]:
    """A profile at an indiscreet exchange, with every secret set; the tables are searched last."""
    world = World()
    world.open_account("main", api_key=KEY, secret=SECRET)
    with running_venue(world, faces=[face]) as venue:
        place.configure(profile_text(venue.base_url, more='password_env = "MAIN_PASSWORD"\n'))
        lose_an_exit(place, world, "t-1")
        place.environment |= environment(place)
        search = Search()
        yield search
    search.add("tables", dumped(place))
    search.assert_clean(tuple(face.signatures))


def environment(place: Place) -> Mapping[str, str]:
    return {
        "DATABASE_URL": make_conninfo(place.database_url, password=DATABASE),
        "MAIN_API_KEY": KEY,
        "MAIN_SECRET": SECRET,
        "MAIN_PASSWORD": PASSPHRASE,
        "HTTP_PROXY": f"http://user:{PROXY}@127.0.0.1:9",
        "HTTPS_PROXY": f"http://user:{PROXY}@127.0.0.1:9",
        "NO_PROXY": "",
        "UNGHOST_NOTIFY": f"json://user:{NOTIFY}@127.0.0.1:9/{NOTIFY}",
        "UNGHOST_TOKENS": login_line("anna", Role.APPROVER, TOKEN),
        "UNGHOST_LOG_LEVEL": "debug",
        "ENABLE_RECON_EXIT_BACKFILL": "true",
        "RECON_EXIT_BACKFILL_DRY_RUN": "false",
        "UNGHOST_HTTP_TIMEOUT_SECONDS": "2",
    }


def run(place: Place, search: Search, *words: str, **more: str) -> Run:
    ran = place.run("--debug", *words, **more)
    search.add(" ".join(words), ran.out + ran.err)
    return ran


@pytest.mark.parametrize("face", FACES)
def test_an_exchange_that_repeats_everything_is_not_repeated(books, face):
    status, as_json = FACES[face]
    talker = Indiscreet(status, as_json=as_json)
    with planted(books, talker) as search:
        for command in ("doctor", "evidence BTCUSDT", "cycle --json"):
            run(books, search, *command.split())
    assert talker.signatures


def test_no_command_is_left_out():
    assert {words[0] for words in COMMANDS} | ELSEWHERE == {name for name, _, _ in ALL_COMMANDS}


def test_no_command_writes_what_was_planted(books):
    """Good runs, and those that fail for want of a batch, of pause, of an export."""
    with planted(books, Indiscreet(400, as_json=True)) as search:
        for words in COMMANDS:
            run(books, search, *words)


def test_a_whole_repair_writes_nothing_that_was_planted(books):
    """Dry run, judgement, apply, undo and back again, at an exchange that answers as it should."""
    with planted(books, Attentive()) as search:
        assert run(books, search, "pause").code == 0
        planned = run(books, search, "cycle", "--json", RECON_EXIT_BACKFILL_DRY_RUN="true")
        plan = planned.data["batch"]["batch_id"]
        assert run(books, search, "go-no-go", plan).code == 0
        applied = run(books, search, "cycle", "--plan", plan, "--json").data["batch"]["batch_id"]
        for words in ("rollback", "reinstate"):
            assert run(books, search, words, applied, "--yes").code == 0
        for words in ("validate", "audit", "audit verify", "explain t-1", "status"):
            assert run(books, search, *words.split()).code == 0
        assert [status for *_, status in books.backfills()] == ["filled"]


@pytest.mark.parametrize(
    "changes",
    (
        {"host": "127.0.0.1", "port": "1"},
        {"dbname": "nowhere"},
        {"user": "nobody-at-all"},
        {"connect_timeout": "soon"},
    ),
    ids=("no server", "no database", "no role", "no conninfo"),
)
def test_a_database_that_refuses_tells_no_password(books, changes):
    with planted(books, Indiscreet(400, as_json=True)) as search:
        conninfo = make_conninfo(books.database_url, **{**changes, "password": DATABASE})
        for command in ("doctor", "cycle --json"):
            run(books, search, *command.split(), DATABASE_URL=conninfo)


def test_a_proxy_that_refuses_tells_no_password(books):
    """An exchange elsewhere is reached through the proxy, at which nobody listens."""
    with planted(books, Indiscreet(400, as_json=True)) as search:
        books.configure(profile_text("https://exchange.invalid"))
        for command in ("doctor", "evidence BTCUSDT"):
            run(books, search, *command.split())


# --- what stays --------------------------------------------------------------------------------


@contextmanager
def staying(place: Place, search: Search, command: str, **more: str) -> Iterator[None]:
    """A process of unghost for the length of the block; what it wrote is searched."""
    environment = {**place.environment, **more}
    process = subprocess.Popen(
        [sys.executable, "-m", "unghost", "--debug", command],
        cwd=place.folder,
        env=environment_of_commands(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=START_SECONDS)
        search.add(command, out)
    assert process.returncode == 0, out


def environment_of_commands(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **more}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


ADDRESSES = (
    *("/", "/profiles/main", "/profiles/main?check=1", "/audit", "/events", "/nowhere", "/login"),
    *("/profiles/main/lifecycle?symbol=BTCUSDT&trade_id=t-1", "/healthz", "/readyz", "/metrics"),
    *("/api/v1/profiles", "/api/v1/profiles/main", "/api/v1/profiles/main/evidence?symbol=BTCUSDT"),
    *("/api/v1/audit", "/api/v1/events", "/api/v1/audit/export?format=csv", "/api/v1/me"),
    *("/api/v1/events/export?format=jsonl", "/internal/trading/status", "/api/v1/openapi.json"),
    *("/api/v1/batches/no-such", "/api/v1/profiles/main/explain?trade_id=t-1"),
)


def test_the_service_answers_without_what_was_planted(books):
    """As a stranger, with a wrong token, with the right one, and with a session."""
    port = free_port()
    initialised(books)
    talker = Indiscreet(400, as_json=True)
    with planted(books, talker) as search:
        variables = {"UNGHOST_BIND": f"127.0.0.1:{port}", "UNGHOST_LOOP_SECONDS": "1"}
        base = f"http://127.0.0.1:{port}"
        with staying(books, search, "serve", **variables), client(base) as visitor:
            cookie = visitor.post("/login", data={"token": TOKEN}).cookies[COOKIE]
            visitor.cookies.clear()
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Bearer {TOKEN}"},
                {"Cookie": f"{COOKIE}={cookie}"},
            ):
                for address in ADDRESSES:
                    answer = visitor.get(address, headers=headers)
                    search.add(address, f"{answer.status_code} {answer.headers} {answer.text}")
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            for path, body in (("cycles", {}), ("pause", {"reason": "x"}), ("cycles", {"x": 1})):
                answer = visitor.post(f"/api/v1/profiles/main/{path}", json=body, headers=bearer)
                search.add(path, f"{answer.headers} {answer.text}")
            time.sleep(2.5)  # two beats of the loop, whose readings fail
        search.assert_clean((cookie,))
    assert talker.signatures


@contextmanager
def client(base: str) -> Iterator[httpx.Client]:
    """One that waits until the service answers, and goes through no proxy."""
    with httpx.Client(base_url=base, trust_env=False, timeout=30) as visitor:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                visitor.get("/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield visitor


def test_the_worker_writes_nothing_that_was_planted(books):
    initialised(books)
    talker = Indiscreet(502, as_json=False)
    with (
        planted(books, talker) as search,
        staying(books, search, "worker", UNGHOST_LOOP_SECONDS="1"),
    ):
        until = time.monotonic() + START_SECONDS
        while not talker.signatures and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1)
    assert talker.signatures


def initialised(place: Place) -> Place:
    """The same, with the tables of the loop's queue."""
    assert place.run("init").code == 0
    return place


@pytest.mark.parametrize("secret", PLANTED)
def test_the_search_finds_each_secret_in_each_spelling(secret):
    for spelled in spellings(secret):
        search = Search()
        search.add("a log", f"GET /x?y={spelled} HTTP/1.1")
        with pytest.raises(AssertionError, match="a log"):
            search.assert_clean()


def test_the_search_finds_a_signature():
    search = Search()
    search.add("a log", "GET /fapi/v1/userTrades?timestamp=1&signature=0123456789abcdef")
    with pytest.raises(AssertionError, match="signature"):
        search.assert_clean()
