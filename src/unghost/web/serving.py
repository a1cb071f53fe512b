"""Listens, and runs the application under uvicorn."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from fastapi import FastAPI

STOPPING_SECONDS: Final = 30
BACKLOG: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """A socket that listens; with port 0 asked for, `shown` says which one was given."""

    listener: socket.socket
    shown: str


@contextmanager
def listening(host: str, port: int) -> Iterator[Door]:
    """Listen before anything is started. Raises OSError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        name = f"[{host}]" if ":" in host else host
        yield Door(listener=listener, shown=f"{name}:{listener.getsockname()[1]}")


def run_app(app: FastAPI, door: Door) -> None:
    """Serve until SIGTERM or SIGINT; requests that run are answered first."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOPPING_SECONDS,
    )
    with _signals_swallowed():
        uvicorn.Server(config).run(sockets=[door.listener])


@contextmanager
def _signals_swallowed() -> Iterator[None]:
    """Uvicorn stops at a signal and then raises it again: that would cut what is left to do."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
