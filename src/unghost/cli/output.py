"""Where the words go: data to stdout, and with `--json` everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from unghost.documents import document_text
from unghost.redaction import redactor

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from unghost.ports import Progress

WIDTH_OF_A_FILE: Final = 160
"""Columns of a table that does not go to a terminal; COLUMNS overrules it."""


class Output:
    """The two streams of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, data: object, *shown: RenderableType) -> None:
        """Print the data of a command: one JSON document, or what people are shown of it."""
        if self.as_json:
            sys.stdout.write(redactor.clean(document_text(data)) + "\n")
            return
        console = console_on_stdout()
        for one in shown:
            console.print(one)

    def show(self, *shown: RenderableType) -> None:
        """Print words that belong to the result: to stdout, with --json to stderr."""
        console = console_on_stderr() if self.as_json else console_on_stdout()
        for one in shown:
            console.print(one)

    def say(self, sentence: str) -> None:
        """Print one plain sentence where the words go, unwrapped and unmarked."""
        stream = sys.stderr if self.as_json else sys.stdout
        stream.write(redactor.clean(sentence) + "\n")

    def tell(self, sentence: str) -> None:
        """Say on stderr what is going on meanwhile."""
        sys.stderr.write(redactor.clean(sentence) + "\n")

    def warn(self, sentence: str) -> None:
        """Print a warning to stderr."""
        sys.stderr.write(f"warning: {redactor.clean(sentence)}\n")

    def can_ask(self) -> bool:
        """Whether somebody is there to answer a question."""
        return not self.as_json and sys.stdin.isatty()

    @contextmanager
    def progress(self) -> Iterator[Progress | None]:
        """Tell how far a long stage is: on a terminal's stderr, else not at all."""
        if not sys.stderr.isatty():
            yield None
            return
        from unghost.cli.progress import shown_progress

        with shown_progress(console_on_stderr()) as progress:
            yield progress


def console_on_stdout() -> Console:
    """A console for data."""
    return _console(stderr=False)


def console_on_stderr() -> Console:
    """A console for words."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    narrow = stream.isatty() or "COLUMNS" in os.environ
    return Console(
        stderr=stderr,
        width=None if narrow else WIDTH_OF_A_FILE,
        highlight=False,
        emoji=False,
    )
