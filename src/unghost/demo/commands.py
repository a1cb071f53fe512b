"""Running `unghost` as a user does: as a command of its own, bounded in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from unghost.errors import EnvironmentFailure

PATIENCE_SECONDS: Final = 90.0
"""How long one command may take."""

ENOUGH_SECONDS: Final = 5.0
"""How long a command that is stopped may take to end by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str
    seconds: float


def run_unghost(arguments: Sequence[str], environment: Mapping[str, str]) -> Ran:
    """Run one command to its end. Raises EnvironmentFailure where it does not end."""
    started_at = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "unghost", *arguments],
        env={**environment, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    with _stopped_at_last(process):
        try:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise EnvironmentFailure(
                f"`unghost {' '.join(arguments)}` did not end within {PATIENCE_SECONDS:.0f}"
                " seconds and was stopped."
            ) from None
    seconds = time.monotonic() - started_at
    return Ran(code=process.returncode, out=out, err=err, seconds=seconds)


@contextmanager
def _stopped_at_last(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave no command behind, whatever happens to us while it runs."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=ENOUGH_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Turn a request to end into an exception, so that what was started is stopped."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
