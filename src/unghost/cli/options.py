"""The options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        help="The profile; not needed while there is only one.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document to stdout, words to stderr.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]
