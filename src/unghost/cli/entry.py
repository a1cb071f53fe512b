"""From the arguments to the exit code. Nothing that goes wrong leaves here as a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final, NoReturn

import typer

from unghost.errors import UnghostError

BUG: Final = 70
INTERRUPTED: Final = 130
USAGE: Final = 2
PIPE_CLOSED: Final = 1


def main() -> NoReturn:
    """Run `unghost` with the arguments of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code (DESIGN section 9)."""
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _quiet_pipe()
    except BaseException as error:  # noqa: BLE001 - the edge: every failure has an exit code
        return _failed(error, arguments)
    return code


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
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED
