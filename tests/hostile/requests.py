"""HTTP requests that nobody should send, at the socket of the real service on a real database.

Most of them are almost right (known addresses, good tokens, real ids), so that they come far.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, quote_from_bytes, urlencode

import psycopg
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from hypothesis import strategies as st
from tests.hostile.harness import Check, Harness, assert_for_people
from tests.hostile.json_bodies import ODD_TEXTS, SCALARS, written
from tests.hostile.rooms import folder, own_database, served

from unghost.demo.venue import running_venue
from unghost.demo.world import World
from unghost.web import health, internal, v1
from unghost.web.access import COOKIE, Person, Role, login_line
from unghost.web.app import SECURITY_HEADERS
from unghost.web.console import login, routes
from unghost.web.internal import Done

TOKEN: Final = "token-of-anna-who-may-do-everything"
MARKUP: Final = "<script>alert(1)</script>"
KNOWN: Final = {"{profile}": "main", "{trade}": "t-1", "{symbol}": "BTCUSDT"}
"""What a sample may name; `{batch}` besides, which the service makes."""
ROUTERS: Final = (internal.router, v1.router, health.router, routes.router, login.router)
RIGHT: Final = {
    "profile_id": "{profile}",
    "profile": "{profile}",
    "batch_id": "{batch}",
    "batch": "{batch}",
    "symbol": "{symbol}",
    "trade": "{trade}",
    "trade_id": "{trade}",
    "before": "7",
    "limit": "5",
    "format": "csv",
    "name": "rollback",
    "down": "1",
}
"""What an address wants, by the name of its parameter."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """One address of the service with its method, and the names of its parameters."""

    method: str
    path: str
    names: tuple[str, ...]


def addresses() -> Iterator[Address]:
    """Every address there is."""
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute):
                names = tuple(parameters(route.dependant))
                for method in sorted(route.methods):
                    yield Address(method=method, path=route.path, names=names)


def parameters(of: Dependant) -> Iterator[str]:
    """Names of query parameters, those of dependencies too."""
    yield from (one.alias for one in of.query_params)
    for inner in of.dependencies:
        yield from parameters(inner)


ADDRESSES: Final = tuple(addresses())
MEMBERS: Final = (
    *("seen", "reason", "plan", "allow_share", "profile", "csrf", "key", "confirmation", "back"),
    *("token", "next", "x"),
)
HTTP_SECONDS: Final = 60

WORDS: Final = st.one_of(
    st.sampled_from(("{csrf}", "{profile}", "{batch}", "{trade}", "{symbol}", "csv", "1", "yes")),
    st.sampled_from((*ODD_TEXTS, MARKUP, "../..", "a\x00b", "\r\nX-Y: z", "9" * 30, "-1", "1e5")),
    st.sampled_from(
        ("http://[", "//[", "/\\x", "javascript:alert(1)", "'\"><img src=x>", "%s{}{0}")
    ),
    st.text(max_size=12),
)
ODD_SEGMENTS: Final = st.one_of(
    WORDS.map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="{}")),
    st.sampled_from(
        ("%ff", "%ED%A0%80", "%00", "..", "%2e%2e%2f", "%", "%zz", "", "a;b", "a%0d%0a")
    ),
    st.binary(max_size=6).map(quote_from_bytes),
)
HEADERS: Final = st.tuples(
    st.sampled_from(
        (
            *("Idempotency-Key", "If-Match", "Content-Type", "Accept", "Origin", "X-CSRF-Token"),
            *("Host", "Authorization", "Cookie", "X-Forwarded-For", "Range"),
        )
    ),
    st.one_of(
        st.sampled_from(
            (
                *("", " ", "*", "x" * 5000, "null", "http://[", "[", "//", "bytes=0-", "\x7f", '"'),
                *(
                    "application/json; charset=utf-7",
                    "multipart/form-data",
                    "Bearer ",
                    "Basic eDp5",
                ),
                *(f"{COOKIE}=", f"{COOKIE}=x; {COOKIE}=y", "text/plain", "{batch}", "9" * 5000),
                *("application/x-www-form-urlencoded; charset=nothing", "Bearer \xe9"),
            )
        ),
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=12),
    ),
)
OBJECTS: Final = st.dictionaries(st.sampled_from(MEMBERS), st.one_of(WORDS, SCALARS), max_size=4)
JSON_BODIES: Final = OBJECTS.map(lambda told: written(told).encode("utf-8", "surrogatepass"))
FORM_BODIES: Final = st.dictionaries(st.sampled_from(MEMBERS), WORDS, max_size=6).map(
    lambda told: urlencode(
        {name: text.encode("utf-8", "surrogatepass") for name, text in told.items()}, safe="{}"
    ).encode()
)
RAW_BODIES: Final = st.one_of(
    st.sampled_from(
        (b"", b"{", b"[" * 60_000, b"null", b"[]", b'{"seen": 1e400}', b"\xff", b"--x\r\n\r\n")
    ),
    st.binary(max_size=64),
)
FORM: Final = "application/x-www-form-urlencoded"
BODIES: Final = st.one_of(
    st.tuples(st.just("application/json"), JSON_BODIES),
    st.tuples(st.just(FORM), FORM_BODIES),
    st.tuples(
        st.sampled_from(
            ("application/json", FORM, "text/plain", "multipart/form-data; boundary=x", "")
        ),
        RAW_BODIES,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. `{batch}` and its kin are filled in where it is sent."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    content_type: str
    credentials: str
    """`session`, `token`, or neither."""


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One that is right in most of its parts."""
    address = draw(st.sampled_from(ADDRESSES))
    segments = re.split(r"\{([^}]*)\}", address.path)
    for number in range(1, len(segments), 2):
        right = RIGHT.get(segments[number], "x")
        segments[number] = draw(st.one_of(st.just(right), st.just(right), ODD_SEGMENTS))
    query = {name: draw(st.one_of(st.just(RIGHT.get(name, "")), WORDS)) for name in address.names}
    query |= draw(st.dictionaries(st.sampled_from(("part", "told", "x")), WORDS, max_size=1))
    told = {name: text.encode("utf-8", "surrogatepass") for name, text in query.items() if text}
    content_type, body = draw(BODIES)
    return Request(
        method=address.method,
        target="".join(segments) + (f"?{urlencode(told, safe='{}')}" if told else ""),
        headers=draw(st.lists(HEADERS, max_size=2).map(tuple)),
        body=body,
        content_type=content_type,
        credentials=draw(st.sampled_from(("session", "token", "session", "token", ""))),
    )


SAMPLES: Final = requests()


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back. `status` 0: the connection was closed without a word."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass(kw_only=True)
class Stage:
    """The service at its address, and what a session needs."""

    address: tuple[str, int]
    known: dict[str, str] = field(default_factory=lambda: dict(KNOWN))
    session: str = ""

    def try_(self, request: Request) -> None:
        """Send it, and hold the answer against what is promised of every answer."""
        answer = self.ask(self.wire(request))
        assert answer.status < 500, (answer.status, answer.text[:500])
        if answer.status == 0 or "x-frame-options" not in answer.headers:
            # The server itself refused what is no HTTP, before the application saw it.
            assert answer.status in {0, 400, 431}, answer
            return
        self._check(answer)

    def _check(self, answer: Response) -> None:
        for name in SECURITY_HEADERS:
            assert name.lower() in answer.headers, name
        kind = answer.headers.get("content-type", "")
        if answer.status >= 400 and "problem+json" in kind:
            assert_for_people(str(json.loads(answer.text)["detail"]), longest=20_000)
        if "text/html" in kind:
            assert MARKUP not in answer.text
        assert "Traceback" not in answer.text

    def wire(self, request: Request) -> bytes:
        """The request as bytes."""
        body = self.filled(request.body) if request.method not in {"GET", "HEAD"} else b""
        headers = {
            "Host": f"{self.address[0]}:{self.address[1]}",
            "Connection": "close",
            "Content-Type": request.content_type,
            "Content-Length": str(len(body)),
            **self.credentials(request.credentials),
            **dict(request.headers),
        }
        lines = [f"{request.method} {request.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value or name == "Host"]
        head = "\r\n".join(lines).encode("latin-1", "replace")
        return self.filled(head) + b"\r\n\r\n" + body

    def credentials(self, which: str) -> dict[str, str]:
        if which == "session":
            return {"Cookie": f"{COOKIE}={self.session}", "X-CSRF-Token": "{csrf}"}
        return {"Authorization": f"Bearer {TOKEN}"} if which == "token" else {}

    def filled(self, content: bytes) -> bytes:
        for mark, text in self.known.items():
            content = content.replace(mark.encode(), text.encode())
        return content

    def ask(self, content: bytes) -> Response:
        """Send bytes, read until the other side closes."""
        with socket.create_connection(self.address, timeout=HTTP_SECONDS) as line:
            line.settimeout(HTTP_SECONDS)
            received = bytearray()
            try:
                line.sendall(content)
                while more := line.recv(65_536):
                    received += more
            except (ConnectionResetError, BrokenPipeError):
                pass
        return parsed(bytes(received))

    def sign_in(self) -> None:
        """Open a session, as the form of the console does."""
        body = urlencode({"token": TOKEN})
        answer = self.ask(
            self.head("POST /login", f"Content-Type: {FORM}", f"Content-Length: {len(body)}")
            + body.encode()
        )
        self.session = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        page = self.ask(self.head("GET /profiles/main", f"Cookie: {COOKIE}={self.session}"))
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found is not None, page
        self.known["{csrf}"] = found[1]

    def head(self, first: str, *lines: str) -> bytes:
        """The head of a request that is right."""
        usual = (f"Host: {self.address[0]}:{self.address[1]}", "Connection: close")
        return "\r\n".join((f"{first} HTTP/1.1", *usual, *lines, "", "")).encode("latin-1")


def parsed(content: bytes) -> Response:
    """The first response of what came over the wire."""
    if not content:
        return Response(status=0, headers={}, text="")
    head, _, body = content.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return Response(
        status=int(first.split()[1]), headers=headers, text=body.decode(errors="replace")
    )


ENTRY: Final = """
INSERT INTO orders (order_id, profile_id, symbol, trade_id, action, side, status, quantity, qty,
    price, filled_at, created_at, updated_at)
VALUES ('bot-1', 'main', 'BTCUSDT', 't-1', 'ENTRY', 'buy', 'filled', 1, 1, 40000,
    %(at)s, %(at)s, %(at)s)
"""


@contextmanager
def opened() -> Iterator[Check]:
    with staged() as stage:
        yield stage.try_


@contextmanager
def staged() -> Iterator[Stage]:
    """The service with one profile, one ghost and one finished dry run."""
    at = datetime.now(UTC) - timedelta(hours=5)
    world = World()
    world.open_account("main")
    for side in ("buy", "sell"):
        world.execute(
            account="main",
            symbol="BTC/USDT:USDT",
            side=side,
            quantity=Decimal(1),
            price=Decimal(40_000),
            at=at + timedelta(hours=side == "sell"),
        )
    with running_venue(world) as venue, own_database() as conninfo, folder() as place:
        with psycopg.connect(conninfo) as connection:
            connection.execute(ENTRY, {"at": at})
        with served(variables(conninfo, venue.base_url, place)) as (door, operations):
            stage = Stage(address=("127.0.0.1", door.listener.getsockname()[1]))
            stage.sign_in()
            stage.known["{batch}"] = operations.dry_run(
                "main", Done(person=Person(name="anna", role=Role.APPROVER))
            )
            yield stage


def variables(conninfo: str, base_url: str, place: Any) -> dict[str, str]:
    """The environment of the service."""
    config = place / "unghost.toml"
    config.write_text(
        '[profiles.main]\nexchange = "binanceusdm"\nmarket = "swap"\napi_key_env = "MAIN_API_KEY"\n'
        f'secret_env = "MAIN_SECRET"\nbase_url = "{base_url}"\nrate_limit_ms = 1\n',
        encoding="utf-8",
    )
    return {
        "DATABASE_URL": conninfo,
        "UNGHOST_HOME": str(place),
        "UNGHOST_CONFIG": str(config),
        "MAIN_API_KEY": "main-key",
        "MAIN_SECRET": "main-secret",
        "ENABLE_RECON_EXIT_BACKFILL": "true",
        "UNGHOST_LOOP": "off",
        "UNGHOST_LOG_LEVEL": "error",
        "UNGHOST_TOKENS": login_line("anna", Role.APPROVER, TOKEN),
    }


HARNESS: Final = Harness(name="requests", samples=SAMPLES, opened=opened)
