"""Commands that come first: init and demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unghost.cli.numbers import counted
from unghost.cli.opened import prepared
from unghost.cli.options import JsonOption, ProfileOption
from unghost.cli.output import Output


def init(
    *,
    indexes: Annotated[
        bool,
        typer.Option(
            "--indexes",
            help="Also make the indexes on orders that doctor recommends, CONCURRENTLY.",
        ),
    ] = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Create or migrate the tables of unghost. Without --indexes, touches nothing of the bot's."""
    from unghost.assembly import initialise

    out = Output(as_json=as_json)
    settings, _ = prepared(out, profile=profile)
    done = initialise(settings, tell=out.tell, indexes=indexes)
    out.result(done)
    if done.applied:
        out.say(f"Applied {counted(len(done.applied), 'migration')}: {', '.join(done.applied)}.")
    else:
        out.say("Every table of unghost is there already.")
    if done.sample_created:
        out.say("The embedded database had no orders: it has a sample table now.")
    if indexes:
        names = ", ".join(done.indexes)
        out.say(f"Made on orders: {names}." if names else "Every index on orders is there already.")
    return 0


def demo(
    *,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Then open the console on the demo's data, until Ctrl-C."),
    ] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture of the output.")
    ] = None,
    profile: ProfileOption = None,  # noqa: ARG001 - every command takes it
    as_json: JsonOption = False,
) -> int:
    """Walk the whole checklist on the embedded database against the simulated venue."""
    from unghost.demo.walk import walk

    return walk(serve=serve, svg=svg, as_json=as_json)
