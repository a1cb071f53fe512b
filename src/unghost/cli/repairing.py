"""Commands that decide and write: cycle, go-no-go, rollback, reinstate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from unghost.cli.numbers import counted
from unghost.cli.opened import opened_desk
from unghost.cli.options import (
    AllowShareOption,
    BatchArgument,
    JsonOption,
    ProfileOption,
    YesOption,
)
from unghost.cli.output import Output
from unghost.errors import UsageError

if TYPE_CHECKING:
    from unghost.desk import Desk
    from unghost.rollback import UndoPreview

OUTCOME_CODES: Final = {"clean": 0, "remaining": 1, "refused": 4, "environment": 3}
NO_GO: Final = 4
DECLINED: Final = 4

TradeOption = Annotated[
    str | None, typer.Option("--trade", metavar="ID", help="Only rows of this trade_id.")
]


def cycle(
    *,
    plan: Annotated[
        str | None,
        typer.Option(metavar="BATCH", help="Write only what this dry-run batch held."),
    ] = None,
    allow_share: AllowShareOption = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run one reconciliation cycle under the flags."""
    from unghost.cli import cycle_view
    from unghost.cycle import run_cycle

    out = Output(as_json=as_json)
    with opened_desk(out, profile, needs_exchange=True) as at, out.progress() as progress:
        desk = _allowing(at.desk, at.actor, allow_share=allow_share)
        report = run_cycle(desk, actor=at.actor, plan=plan, progress=progress)
    out.result(cycle_view.document(desk, report), *cycle_view.shown(desk, report))
    return OUTCOME_CODES[report.outcome]


def go_no_go(
    *,
    batch: BatchArgument,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Go although some candidates are held back.")
    ] = False,
    allow_share: AllowShareOption = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Judge a dry-run batch by section 6 of the checklist, criterion by criterion."""
    from unghost.cli import views
    from unghost.cycle import go_no_go as judged

    out = Output(as_json=as_json)
    with opened_desk(out, profile, needs_exchange=True) as at, out.progress() as progress:
        desk = _allowing(at.desk, at.actor, allow_share=allow_share)
        verdict = judged(desk, batch, allow_partial=allow_partial, progress=progress)
    out.result(verdict, *views.go_no_go_shown(verdict))
    return 0 if verdict.go else NO_GO


def _allowing(desk: Desk, actor: str, *, allow_share: bool) -> Desk:
    from unghost.desk import allowing_share

    return allowing_share(desk, actor=actor) if allow_share else desk


def rollback(
    *,
    batch: BatchArgument,
    trade: TradeOption = None,
    order: Annotated[
        str | None, typer.Option("--order", metavar="BFILL-...", help="Only this backfill row.")
    ] = None,
    yes: YesOption = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Set the backfill rows of a batch to canceled. Shows what will change, then asks."""
    from unghost.rollback import preview_rollback, roll_back

    out = Output(as_json=as_json)
    _require_yes_from_a_program(out, "rollback", yes=yes)
    with opened_desk(out, profile) as at:
        preview = preview_rollback(at.desk, batch, trade_id=trade, order_id=order)
        if not _agreed(out, "rollback", preview, yes=yes):
            return DECLINED
        done = roll_back(at.desk, batch, actor=at.actor, trade_id=trade, order_id=order)
    out.result({"batch_id": batch, "preview": preview, "changed": done})
    out.say(f"Rolled back {counted(len(done), 'row')}: status only, nothing was deleted.")
    return 0


def reinstate(
    *,
    batch: BatchArgument,
    trade: TradeOption = None,
    yes: YesOption = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take a rollback back: the rows count again. Shows what will change, then asks."""
    from unghost.rollback import preview_reinstate
    from unghost.rollback import reinstate as reinstated

    out = Output(as_json=as_json)
    _require_yes_from_a_program(out, "reinstate", yes=yes)
    with opened_desk(out, profile, needs_exchange=True) as at:
        preview = preview_reinstate(at.desk, batch, trade_id=trade)
        if not _agreed(out, "reinstate", preview, yes=yes):
            return DECLINED
        done = reinstated(at.desk, batch, actor=at.actor, trade_id=trade)
    out.result({"batch_id": batch, "preview": preview, "changed": done})
    out.say(f"Reinstated {counted(len(done), 'row')}: status only.")
    return 0


def _require_yes_from_a_program(out: Output, command: str, *, yes: bool) -> None:
    """Refuse before anything is opened where nobody could answer and a program reads."""
    if out.as_json and not yes:
        raise UsageError(f"{command} asks before it changes anything: with --json give --yes too.")


def _agreed(out: Output, command: str, preview: UndoPreview, *, yes: bool) -> bool:
    """Show the preview and get an answer; nothing to change needs none."""
    from unghost.cli import views

    out.show(*views.undo_shown(command, preview))
    if yes or not (preview.changes):
        return True
    if not out.can_ask():
        raise UsageError(
            f"Nothing was changed: {command} asks first, and there is no terminal to answer from;"
            " give --yes."
        )
    if typer.confirm(f"Do the {command}?", err=True):
        return True
    out.say("Nothing was changed.")
    return False
