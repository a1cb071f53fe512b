"""Commands for those who must not simply believe: audit verify, grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from unghost.cli.numbers import counted
from unghost.cli.opened import prepared
from unghost.cli.options import JsonOption, ProfileOption
from unghost.cli.output import Output

if TYPE_CHECKING:
    from unghost.adapters.postgres.chain import Verification

BROKEN = 1


def verify(
    *,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="SEQ:HASH",
            help="A head from a batch's log line or event: the chain must still hold it.",
        ),
    ] = None,
    profile: ProfileOption = None,  # noqa: ARG001 - every command takes --profile, and the chain is one for all
    as_json: JsonOption = False,
) -> int:
    """Verify the chain over the record. Exits with 1 and names the first break, if there is one."""
    from unghost.assembly import verify_record

    out = Output(as_json=as_json)
    settings, _ = prepared(out)
    found = verify_record(settings, kept_head=head, tell=out.tell)
    out.result({"whole": found.whole, "head": str(found.head), "found": found})
    out.say(_sentence(found))
    return 0 if found.whole else BROKEN


def grants(
    *,
    owner: Annotated[str, typer.Option(help="The role that owns our tables.")] = "unghost_owner",
    service: Annotated[
        str, typer.Option(help="The role that unghost works as.")
    ] = "unghost_service",
    reader: Annotated[str, typer.Option(help="The role that only looks.")] = "unghost_reader",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the SQL for three roles with no more rights than they need. Changes nothing."""
    from unghost.assembly import grants_script

    out = Output(as_json=as_json)
    settings, _ = prepared(out, profile=profile)
    names = {"owner": owner, "service": service, "reader": reader}
    script = grants_script(settings, **names, tell=out.tell)
    out.result({"roles": names, "sql": script})
    if not as_json:
        out.say(script.rstrip())
    return 0


def _sentence(found: Verification) -> str:
    told = f"{counted(found.rows, 'audit row')} in {counted(found.links, 'link')}"
    if found.whole:
        return f"The record is whole: {told}; head {found.head}."
    first, *others = found.breaks
    more = "".join(f"\n  then: {one}" for one in others)
    return f"THE RECORD IS BROKEN: {first}.{more}\nLooked at: {told}; head {found.head}."
