"""A process that has loaded everything already, and forks the one that is killed.

To start Python, import unghost and read a list of markets takes longer than all that a crash point
tries. The nursery does it once. It has one thread and no connection of its own, so that what it
forks has nothing to share with it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Final

import structlog
from tests.proofs import bystander

from unghost.errors import UnghostError

_PATIENCE_SECONDS: Final = 60
_GO = b"g"


class Nursery:
    """Forks children one after another. Each waits until it is told to go."""

    def __init__(self, base_url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_keep, args=(theirs, base_url), daemon=True)
        self._process.start()
        self._pid: int | None = None

    def fork(self, operation: str, batch_id: str, conninfo: str) -> int:
        """A child that will do the operation; its process id."""
        self._pipe.send((operation, batch_id, conninfo))
        self._pid = self._answer()
        return self._pid

    def go(self) -> int:
        """Let it run, and wait for its end; the exit code, -9 for one that was killed."""
        self._pipe.send(_GO)
        return self._answer()

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join(_PATIENCE_SECONDS)

    def _answer(self) -> int:
        if not self._pipe.poll(_PATIENCE_SECONDS):
            if self._pid is not None:
                os.kill(self._pid, signal.SIGTERM)
            raise AssertionError(f"nothing happened for {_PATIENCE_SECONDS} seconds")
        return int(self._pipe.recv())


def _keep(pipe: Connection, base_url: str) -> None:
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level, cache_logger_on_first_use=False)
    bystander.read_markets(base_url)
    while (order := pipe.recv()) is not None:
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_the_child(told, order, base_url)
        pipe.send(pid)
        os.write(tell, pipe.recv())
        _, status = os.waitpid(pid, 0)
        os.close(told)
        os.close(tell)
        pipe.send(os.waitstatus_to_exitcode(status))


def _be_the_child(told: int, order: tuple[str, str, str], base_url: str) -> None:
    code = 1
    try:
        os.read(told, len(_GO))
        bystander.run(*order, base_url)
        code = 0
    except UnghostError as refused:
        sys.stderr.write(f"{order[0]}: {refused}\n")
    except BaseException:  # noqa: BLE001 - whatever it is, this process must end here
        traceback.print_exc()
    finally:
        os._exit(code)
