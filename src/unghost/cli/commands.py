"""All commands by name, and the options before them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from unghost import __version__
from unghost.cli import (
    doctoring,
    importing,
    looking,
    proving,
    repairing,
    serving,
    setting_up,
    trading,
)

COMMANDS: Final[tuple[tuple[str, str, Callable[..., int]], ...]] = (
    ("demo", "Start", setting_up.demo),
    ("init", "Start", setting_up.init),
    ("doctor", "Start", doctoring.doctor),
    ("detect", "Repair", looking.detect),
    ("evidence", "Repair", looking.evidence),
    ("import-fills", "Repair", importing.import_fills),
    ("cycle", "Repair", repairing.cycle),
    ("go-no-go", "Repair", repairing.go_no_go),
    ("validate", "Repair", looking.validate),
    ("rollback", "Undo", repairing.rollback),
    ("reinstate", "Undo", repairing.reinstate),
    ("audit", "Record", looking.audit),
    ("explain", "Record", looking.explain),
    ("sql", "Record", looking.sql),
    ("grants", "Record", proving.grants),
    ("pause", "Trading status", trading.pause),
    ("resume", "Trading status", trading.resume),
    ("status", "Trading status", trading.status),
    ("serve", "Service", serving.serve),
    ("worker", "Service", serving.worker),
    ("token", "Service", serving.token),
)
"""(name, heading in the help, function), in the order in which they are used."""

SUBCOMMANDS: Final[tuple[tuple[str, str, Callable[..., int]], ...]] = (
    ("audit", "verify", proving.verify),
)
"""(command, name behind it, function). The command alone keeps its own meaning."""


class GroupedCommands(TyperGroup):
    """Lists the commands under their headings, in the order in which they are used."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer does not export the types
        """Write one section for each heading."""
        for heading, commands in groupby(COMMANDS, key=itemgetter(1)):
            names = [name for name, _, _ in commands]
            with formatter.section(heading):
                formatter.write_dl([(name, self._summary(ctx, name)) for name in names])

    def _summary(self, ctx: typer.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=100) if command else ""


def build_app() -> typer.Typer:
    """The command line as typer knows it."""
    app = typer.Typer(
        name="unghost",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # drawing the help with rich takes longer than all the rest
        cls=GroupedCommands,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(unghost)
    groups = {group: _group(group) for group, _, _ in SUBCOMMANDS}
    for name, _, function in COMMANDS:
        if name in groups:
            groups[name].callback()(function)
            app.add_typer(groups[name], name=name)
        else:
            app.command(name)(function)
    return app


def _group(name: str) -> typer.Typer:
    """A command that has others behind it."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    for owner, word, function in SUBCOMMANDS:
        if owner == name:
            group.command(word)(function)
    return group


def unghost(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda asked: _print_version(asked=asked),
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of a bug of unghost.")
    ] = False,
) -> None:
    """Find ghost positions in a trading bot's ledger and close them with evidence.

    Exit codes: 0 clean or done, 1 ghosts or NO_GOs remain, 2 usage, 3 environment, 4 refused,
    70 a bug of unghost.
    """


def _print_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"unghost {__version__}")
        raise typer.Exit
