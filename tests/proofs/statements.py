"""A wire to the database that knows where a statement begins and where its answer ends.

It numbers the statements of a client, and strikes before or after a chosen one: what happens there,
the end of the client or of the server, is the test's to say.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_CHUNK_BYTES = 1 << 16
_HEADER = 5
_ENDS_A_STATEMENT = frozenset(b"QS")
"""Query, and Sync of the extended protocol: with them the server begins to answer."""

_READY = b"Z"
_GIVE_ROWS = b"G"
"""What the server says to a COPY FROM STDIN before the rows are sent."""


class Moment(StrEnum):
    """When a process ends, as the statement sees it."""

    BEFORE = "before"
    """The statement never reaches the server."""

    AFTER = "after"
    """The server has done it and answered, and nobody hears the answer."""


@dataclass(frozen=True, kw_only=True)
class CrashPoint:
    """The end of a process at its statement `number`, counted from 1."""

    number: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} statement {self.number}"


class StatementWire:
    """Forwards one client at a time; `statements` are those that it sent, by their first words."""

    def __init__(self, conninfo: str) -> None:
        parts = conninfo_to_dict(conninfo)
        self._target = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._point: CrashPoint | None = None
        self._strike: Callable[[], object] | None = None
        self.statements: list[str] = []
        self.struck = False
        self.conninfo = make_conninfo(
            conninfo,
            host="127.0.0.1",
            port=str(self._listener.getsockname()[1]),
            sslmode="disable",
            gssencmode="disable",
        )
        threading.Thread(target=self._accept, name="statements", daemon=True).start()

    def watch(self, strike: Callable[[], object], point: CrashPoint | None) -> None:
        """Begin to count anew; call `strike` at the point, once."""
        with self._lock:
            self._strike, self._point = strike, point
            self.statements = []
            self.struck = False

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        with client, server, suppress(OSError):
            _pass_startup(client, server)
            _Conversation(self, client, server).run()

    def count(self, text: str) -> tuple[CrashPoint | None, int]:
        """Number a statement; the point, if this is where the process ends."""
        with self._lock:
            self.statements.append(text)
            number = len(self.statements)
            point = self._point
        return (point if point is not None and point.number == number else None), number

    def strike(self) -> None:
        with self._lock:
            strike, self._strike = self._strike, None
        if strike is not None:
            self.struck = True
            strike()


class _Conversation:
    """Both directions of one connection, in one thread: what is held back is held back surely."""

    def __init__(self, wire: StatementWire, client: socket.socket, server: socket.socket) -> None:
        self._wire, self._client, self._server = wire, client, server
        self._upwards = bytearray()
        self._texts: list[str] = []
        self._ending = False
        self._downwards = bytearray()
        self._held = b""

    def run(self) -> None:
        while True:
            ready, _, _ = select.select([self._client, self._server], [], [])
            if self._server in ready and not self._answer():
                return
            if self._client in ready and not self._ask():
                return

    def _ask(self) -> bool:
        data = self._client.recv(_CHUNK_BYTES)
        if not data:
            return False
        self._upwards += data
        while (message := _first_message(self._upwards)) is not None:
            if not self._forward(message):
                return False
        return True

    def _forward(self, message: bytes) -> bool:
        kind = message[0]
        if kind in b"QP":
            self._texts.append(_sql_of(message))
        if kind in _ENDS_A_STATEMENT and self._texts:
            point, _ = self._wire.count(" ; ".join(self._texts))
            self._texts = []
            if point is not None and point.moment is Moment.BEFORE:
                self._wire.strike()
                return False
            self._ending = point is not None
        self._server.sendall(message)
        return True

    def _answer(self) -> bool:
        data = self._server.recv(_CHUNK_BYTES)
        if not data:
            return False
        if not self._ending:
            self._client.sendall(data)
            return True
        self._downwards += data
        while (message := _first_message(self._downwards)) is not None:
            self._held += message
            if message[:1] == _READY:
                self._wire.strike()
                return False
            if message[:1] == _GIVE_ROWS:  # not the answer yet: without the rows there is none
                self._client.sendall(self._held)
                self._held = b""
        return True


def _pass_startup(client: socket.socket, server: socket.socket) -> None:
    """Up to the first ReadyForQuery; nothing of it is a statement of ours."""
    server.sendall(client.recv(_CHUNK_BYTES))
    buffer = bytearray()
    while True:
        data = server.recv(_CHUNK_BYTES)
        if not data:
            return
        client.sendall(data)
        buffer += data
        while (message := _first_message(buffer)) is not None:
            if message[:1] == _READY:
                return


def _first_message(buffer: bytearray) -> bytes | None:
    """Take the first whole message out of the buffer; None where there is none yet."""
    if len(buffer) < _HEADER:
        return None
    length = 1 + int.from_bytes(buffer[1:_HEADER], "big")
    if len(buffer) < length:
        return None
    message = bytes(buffer[:length])
    del buffer[:length]
    return message


def _sql_of(message: bytes) -> str:
    """The text of a Query or a Parse without its comments, in one line and cut."""
    body = message[_HEADER:]
    if message[:1] == b"P":
        body = body[body.index(b"\0") + 1 :]
    text = body[: body.index(b"\0")].decode(errors="replace")
    lines = (line.strip() for line in text.splitlines())
    return " ".join(" ".join(one for one in lines if not one.startswith("--")).split())[:100]
