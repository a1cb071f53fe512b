"""What people see of the demo: on the terminal or in a log, and in a picture for the README."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from unghost.cli.output import console_on_stderr, console_on_stdout
from unghost.cli.words import DECISION_STYLES
from unghost.demo.cases import CASES, Case
from unghost.demo.steps import Step
from unghost.errors import ConfigurationError
from unghost.model import Decision

PICTURE_WIDTH: Final = 116
PICTURE_TITLE: Final = "unghost demo"
PICTURED_CASES: Final = frozenset(
    f"t-{number}" for number in (2001, 2004, 2006, 2007, 2008, 2012, 2013, 2015, 2017, 2022, 2027)
)
_FONT_FROM_AFAR: Final = re.compile(r"@font-face\s*\{[^}]*\}\s*")


@dataclass(kw_only=True, slots=True)
class Show:
    """The console, and the picture if one is wanted."""

    console: Console
    picture: Console | None = None

    @property
    def width(self) -> int:
        """Columns that a command's output may take."""
        return self.console.width if self.picture is None else PICTURE_WIDTH

    def put_cases(self) -> None:
        """Show all cases; in the picture, which must stay readable, some of them."""
        self.console.print(cases_table(CASES, "What happened, and what unghost says"))
        if self.picture is not None:
            some = [case for case in CASES if case.trade_id in PICTURED_CASES]
            title = f"What happened, and what unghost says ({len(some)} of {len(CASES)})"
            self.picture.print(cases_table(some, title))

    def tell(self, sentence: str) -> None:
        """One quiet line about what is going on."""
        self.console.print(Text(sentence, style="dim"))

    def put(self, *shown: RenderableType, pictured: bool = True) -> None:
        """Show something, in the picture too."""
        for console in (self.console, self.picture if pictured else None):
            if console is not None:
                console.print(*shown, sep="\n")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A sign of life on a terminal, while something takes its time."""
        moving = self.console.status(what) if self.console.is_terminal else nullcontext()
        with moving:
            yield


def open_show(*, svg: Path | None, as_json: bool) -> Show:
    """Show on stdout, with --json on stderr. Raises ConfigurationError for a bad `svg`."""
    picture = None
    if svg is not None:
        if not svg.expanduser().resolve().parent.is_dir():
            raise ConfigurationError(f"There is no folder {svg.parent} to write the picture into.")
        picture = Console(
            file=io.StringIO(),
            record=True,
            width=PICTURE_WIDTH,
            force_terminal=True,
            color_system="truecolor",
            highlight=False,
            emoji=False,
        )
    console = console_on_stderr() if as_json else console_on_stdout()
    return Show(console=console, picture=picture)


def write_picture(show: Show, svg: Path) -> None:
    """Write what was pictured. It needs no font from another machine."""
    if show.picture is None:
        return
    text = show.picture.export_svg(title=PICTURE_TITLE, unique_id="unghost-demo")
    svg.expanduser().write_text(_FONT_FROM_AFAR.sub("", text), encoding="utf-8")


# --- parts -------------------------------------------------------------------------------------


def heading(number: int, step: Step) -> RenderableType:
    """A line across, with the number, the name and the section of the checklist."""
    name = f"{number}. {step.title}"
    section = f" — {step.section}" if step.section else ""
    title = Text.assemble((name, "bold"), (section, "dim"))
    return Rule(title, align="left", style="dim")


def typed(arguments: Sequence[str], exports: Mapping[str, str]) -> Text:
    """What a user would type."""
    lines = [f"$ export {name}={shlex.quote(text)}" for name, text in exports.items()]
    if arguments:
        lines.append(f"$ unghost {shlex.join(arguments)}")
    return Text("\n".join(lines), style="bold cyan")


def output(text: str, most_lines: int | None = None) -> Text:
    """What a command printed, in its own colours; the first lines where not all are wanted."""
    lines = text.strip("\n").splitlines()
    shown = Text.from_ansi("\n".join(lines[:most_lines]))
    left_out = len(lines) - len(lines[:most_lines])
    if left_out:
        shown.append(f"\n… and {left_out} lines more, much as before", style="dim")
    return shown


def outcome(sentence: str) -> Text:
    """What came of a step."""
    return Text.assemble(("✓ ", "bold green"), (sentence, "green"))


def cases_table(cases: Sequence[Case], title: str) -> Table:
    """What really happened to each lifecycle, beside what unghost says of it."""
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    drawn.add_column("trade_id", no_wrap=True)
    drawn.add_column("symbol", no_wrap=True)
    drawn.add_column("side", no_wrap=True)
    drawn.add_column("what happened", ratio=3)
    drawn.add_column("decision and reason", ratio=2)
    for case in cases:
        drawn.add_row(case.trade_id, case.symbol, case.side, case.happened, _answer(case))
    return drawn


def _answer(case: Case) -> Text:
    decision = Decision.DRY_RUN if case.repaired else Decision.NO_GO
    style = DECISION_STYLES[decision]
    return Text("\n").join(
        Text.assemble((decision, f"bold {style}"), " ", (reason, style)) for reason in case.reasons
    )


def facts(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Names and values."""
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=False,
    )
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in rows:
        drawn.add_row(name, value)
    return drawn


def colours() -> Mapping[str, str]:
    """Commands print in colour whatever they print to: the console here decides what is kept."""
    return {} if "NO_COLOR" in os.environ else {"FORCE_COLOR": "1"}
