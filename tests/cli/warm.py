"""`unghost` in a process of its own, forked from one that has done the imports already.

Most of what a short command takes is its imports, and the tests run many hundred commands. A kept
process does them once; each command is a fork of it, with arguments, environment, folder, and
streams of its own, in which `python -m unghost` runs from its first line to its end. Where a test
is about starting itself (what is loaded, signals, closed streams, a shell), it starts Python anew.
`UNGHOST_TEST_COLD=1` starts Python anew for every command.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 100
"""No command of a test takes longer."""
LENGTH_BYTES = 8
STREAMS = 3
COLD = "UNGHOST_TEST_COLD"


def run_unghost(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str | None
) -> subprocess.CompletedProcess[str]:
    """What `python -m unghost ARGUMENTS` says, and how it ends. Without `stdin` ours is read."""
    if os.environ.get(COLD):
        return subprocess.run(
            [sys.executable, "-m", "unghost", *arguments],
            cwd=cwd,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    request = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}
    with tempfile.TemporaryFile("w+") as given, _stream() as out, _stream() as err:
        given.write(stdin or "")
        given.seek(0)
        source = 0 if stdin is None else given.fileno()
        code = kept().run(request, (source, out.fileno(), err.fileno()))
        return subprocess.CompletedProcess(arguments, code, _read(out), _read(err))


def _stream() -> Any:
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def _read(stream: Any) -> str:
    stream.seek(0)
    return str(stream.read())


class Kept:
    """The process that commands are forked from."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        command = [sys.executable, __file__, str(its.fileno())]
        self._process = subprocess.Popen(
            command,
            pass_fds=[its.fileno()],
            cwd="/",
            stdin=subprocess.DEVNULL,  # none is a terminal: Python buffers them as it does pipes
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        its.close()
        ours.settimeout(LIMIT_SECONDS)
        self._socket = ours

    def close(self) -> None:
        """Wait until it has ended, and with it the measuring of what it has imported."""
        self._socket.close()
        self._process.wait(LIMIT_SECONDS)

    def run(self, request: Mapping[str, Any], streams: Sequence[int]) -> int:
        """The exit code; negative for a signal. Raises TimeoutError."""
        body = json.dumps(request).encode()
        socket.send_fds(self._socket, [len(body).to_bytes(LENGTH_BYTES, "big")], streams)
        self._socket.sendall(body)
        try:
            return int.from_bytes(_exactly(self._socket, LENGTH_BYTES), "big", signed=True)
        except TimeoutError:  # nor may a later answer be taken for that of the next command
            os.killpg(self._process.pid, signal.SIGKILL)
            raise


@cache
def kept() -> Kept:
    """The one of this process; it is started by the first command, and is to be closed."""
    return Kept()


def close_kept() -> None:
    """End what no command may ever have started."""
    if kept.cache_info().currsize:
        kept().close()
        kept.cache_clear()


def _exactly(connection: socket.socket, length: int) -> bytes:
    body = bytearray()
    while len(body) < length:
        part = connection.recv(length - len(body))
        if not part:
            raise EOFError("the process that commands are forked from has ended")
        body += part
    return bytes(body)


# --- in the kept process -----------------------------------------------------------------------


def serve(connection: socket.socket) -> None:
    """Fork a command for each request, until nobody asks any more."""
    _import_all()
    while True:
        head, streams, _, _ = socket.recv_fds(connection, LENGTH_BYTES, STREAMS)
        if not head:
            return
        request = json.loads(_exactly(connection, int.from_bytes(head, "big")))
        child = os.fork()
        if child == 0:
            connection.close()
            _become(request, streams)
            runpy.run_module("unghost", run_name="__main__", alter_sys=True)
            return
        for stream in streams:
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(code.to_bytes(LENGTH_BYTES, "big", signed=True))


def _import_all() -> None:
    """Every module of ours, and with them what they import where it is needed."""
    import unghost

    for module in pkgutil.walk_packages(unghost.__path__, "unghost."):
        if module.name != "unghost.__main__":
            __import__(module.name)
    gc.freeze()  # else a fork that collects garbage touches, and so copies, all that was imported


def _become(request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Nothing of what the kept process was started with is seen by the command."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    tempfile.tempdir = None
    sys.path[0] = request["cwd"]
    sys.argv = ["unghost", *request["arguments"]]


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
