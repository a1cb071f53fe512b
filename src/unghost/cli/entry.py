"""From the arguments to the exit code. Nothing that goes wrong leaves here as a traceback."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import typer

from unghost.errors import UnghostError

BUG: Final = 70
INTERRUPTED: Final = 130
USAGE: Final = 2
PIPE_CLOSED: Final = 1
UNWRITABLE: Final = 3
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main() -> NoReturn:
    """Run `unghost` with the arguments of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code (DESIGN section 9)."""
    _open_what_is_closed()
    try:
        return _finished(arguments)
    except BrokenPipeError:
        return _quiet_pipe()
    except OSError as error:  # the words about another failure could not be written either
        return _unwritable(error)


def _finished(arguments: list[str]) -> int:
    try:
        code = _invoke(arguments)
    except BrokenPipeError:
        raise
    except BaseException as error:  # the edge: every failure has an exit code
        if _is_of_the_output(error):
            raise
        code = _failed(error, arguments)
    sys.stdout.flush()
    return code


def _open_what_is_closed() -> None:
    """A program that was started with a stream closed (`>&-`) writes that stream nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the very end
            setattr(sys, name, nowhere)


def _is_of_the_output(error: BaseException) -> bool:
    """Whether nothing more can be written, which no other words can be said about on stdout."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _NO_ROOM


def _invoke(arguments: list[str]) -> int:
    from unghost.cli.commands import build_app

    outcome = build_app()(args=arguments, prog_name="unghost", standalone_mode=False)
    return outcome if isinstance(outcome, int) else 0


def _failed(error: BaseException, arguments: list[str]) -> int:
    if _is_interrupt(error):
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else 0
        case UnghostError():
            return _tell(error, str(error), error.exit_code, arguments)
        case typer.TyperException():
            return _tell(error, _usage_words(error), USAGE, arguments)
        case _:
            return _bug(error, arguments)


def _is_interrupt(error: BaseException) -> bool:
    """Ctrl-C, or what broke while it was obeyed: it strikes our helpers at the same moment."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt | typer.Abort):
            return True
        cause = cause.__context__
    return False


def _usage_words(error: typer.TyperException) -> str:
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context else "unghost"
    words = error.format_message().strip().replace("Value error, ", "") or "A command is missing"
    stop = "" if words.endswith((".", "?")) else "."
    return f"{words}{stop} Try '{command} --help'."


def _bug(error: BaseException, arguments: list[str]) -> int:
    if "--debug" in arguments:
        from unghost.redaction import redactor

        sys.stderr.write(redactor.clean("".join(traceback.format_exception(error))))
    words = " ".join(f"{type(error).__name__}: {error}".split())
    hint = "" if "--debug" in arguments else " Run `unghost --debug ...` for the traceback."
    return _tell(error, f"A bug of unghost stopped it: {words}.{hint}", BUG, arguments)


def _tell(error: BaseException, words: str, code: int, arguments: list[str]) -> int:
    """Say what is wrong on stderr, and with --json in the document that a program awaits."""
    from unghost.documents import document_text
    from unghost.redaction import redactor

    words = redactor.clean(words)
    sys.stderr.write(f"unghost: {words}\n")
    if "--json" in arguments:
        told = {"kind": type(error).__name__, "message": words, "exit_code": code}
        sys.stdout.write(document_text({"error": told}) + "\n")
    return code


def _quiet_pipe() -> int:
    """The reader went away: leave nothing that the interpreter would try to flush at its end."""
    _write_nowhere()
    return PIPE_CLOSED


def _unwritable(error: OSError) -> int:
    """The disk behind stdout is full, or the like: whoever reads it must not take it for whole."""
    _write_nowhere()
    with suppress(OSError):
        sys.stderr.write(f"unghost: Nothing more can be written: {error.strerror or error}.\n")
        sys.stderr.flush()
    return UNWRITABLE


def _write_nowhere() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
