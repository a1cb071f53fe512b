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
AllowShareOption = Annotated[
    bool,
    typer.Option(
        "--allow-share",
        help="Allow it to close more than RECON_EXIT_BACKFILL_MAX_SHARE of the open lifecycles.",
    ),
]
BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]
