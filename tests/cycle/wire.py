"""A wire between unghost and its database that can be cut: bytes go through it unchanged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CHUNK_BYTES = 1 << 16
COMMIT = b"COMMIT\0"
"""The whole statement, as the protocol ends it: BEGIN may speak of READ COMMITTED."""


class Wire:
    """Forwards TCP to the server's own socket, as long as it is whole."""

    def __init__(self, conninfo: str) -> None:
        parts = conninfo_to_dict(conninfo)
        self._target = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._whole = True
        self._left: int | None = None
        self._swallow = False
        self.sent = 0
        """Messages of the client since the wire was made or mended."""
        self.conninfo = make_conninfo(
            conninfo,
            host="127.0.0.1",
            port=str(self._listener.getsockname()[1]),
            sslmode="disable",
            gssencmode="disable",
        )
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    # --- what a test does to it ----------------------------------------------------------------

    def cut(self) -> None:
        """Nothing gets through any more, and what is connected is lost."""
        with self._lock:
            self._whole = False
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(pair)

    def mend(self) -> None:
        """New connections get through again."""
        self._whole, self._left, self._swallow, self.sent = True, None, False, 0

    def cut_after(self, messages: int) -> None:
        """Let so many messages of the client through, and then cut."""
        self._left = messages

    def swallow_the_next_commit(self) -> None:
        """The next COMMIT takes effect, and its answer never arrives."""
        self._swallow = True

    # --- inside --------------------------------------------------------------------------------

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        with self._lock:
            if not self._whole:
                client.close()
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            pair = (client, server)
            self._pairs.append(pair)
        threading.Thread(target=self._upwards, args=pair, daemon=True).start()
        threading.Thread(target=self._downwards, args=(server, client), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(CHUNK_BYTES):
                if self._is_over():
                    self.cut()
                    return
                swallowed = self._swallow and COMMIT in data
                if swallowed:
                    self._swallow = False
                    client.shutdown(socket.SHUT_RDWR)  # before the answer can go through
                server.sendall(data)
        # What was sent is still answered to nobody: the server ends by itself.
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _is_over(self) -> bool:
        with self._lock:
            self.sent += 1
            if self._left is None:
                return False
            self._left -= 1
            return self._left < 0

    def _downwards(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK_BYTES):
                client.sendall(data)
        _close((client, server))

    def close(self) -> None:
        self.cut()
        self._listener.close()


def _close(pair: tuple[socket.socket, socket.socket]) -> None:
    for one in pair:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def wire_to(conninfo: str) -> Iterator[Wire]:
    wire = Wire(conninfo)
    yield wire
    wire.close()
