"""Commands that only look: detect, evidence, validate, audit, explain, sql."""

from __future__ import annotations

from typing import Annotated

import typer

from unghost.cli.numbers import counted
from unghost.cli.opened import opened_desk, prepared
from unghost.cli.options import JsonOption, ProfileOption
from unghost.cli.output import Output
from unghost.errors import BatchNotFoundError, UsageError
from unghost.model import Decision

MOST_ROWS = 100_000


def detect(*, profile: ProfileOption = None, as_json: JsonOption = False) -> int:
    """List the lifecycles that the ledger says are open. Exits with 1 where there are any."""
    from unghost.cli import tables, views
    from unghost.cycle import detect_ghosts

    out = Output(as_json=as_json)
    with opened_desk(out, profile) as at:
        found = detect_ghosts(at.desk)
    data = {
        "profile_id": at.profile_id,
        "lifecycles": [views.lifecycle_document(one) for one in found],
    }
    out.result(data, *([tables.lifecycles_table(found)] if found else []))
    out.say(f"{counted(len(found), 'lifecycle')} open in the ledger.")
    return 1 if found else 0


def evidence(
    *,
    symbol: Annotated[
        str, typer.Argument(metavar="SYMBOL", help="As the ledger or the exchange spells it.")
    ],
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show the readings and claims for a symbol, as normalised. Writes nothing."""
    from unghost.cli import evidence_view
    from unghost.cycle import inspect_symbol

    out = Output(as_json=as_json)
    with opened_desk(out, profile, needs_exchange=True) as at, out.progress() as progress:
        report = inspect_symbol(at.desk, symbol, progress=progress)
    if report is None:
        raise UsageError(
            f"The ledger has no open lifecycle on {symbol!r}: `unghost detect` lists the symbols."
        )
    out.result(evidence_view.document(report), *evidence_view.shown(report))
    return 0


def validate(*, profile: ProfileOption = None, as_json: JsonOption = False) -> int:
    """Check what a backfill left: ghosts, decisions, mismatch events, over-closed lifecycles."""
    from unghost.cli import views
    from unghost.cycle import validate as validated

    out = Output(as_json=as_json)
    with opened_desk(out, profile) as at:
        found = validated(at.desk)
    out.result(views.validation_document(found), *views.validation_shown(found))
    out.say(views.validation_sentence(found))
    return 1 if found.ghosts or found.over_closed else 0


def audit(
    *,
    context: typer.Context,
    profile: ProfileOption = None,
    batch: Annotated[str | None, typer.Option(metavar="BATCH", help="Only this batch.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    trade: Annotated[str | None, typer.Option(metavar="ID", help="Only this trade_id.")] = None,
    decision: Annotated[
        Decision | None, typer.Option(help="Only this decision.", case_sensitive=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="The latest so many rows.")] = (
        200
    ),
    as_json: JsonOption = False,
) -> int:
    """Show the record: every decision, newest first."""
    from unghost.cli import tables

    if context.invoked_subcommand is not None:
        return 0
    out = Output(as_json=as_json)
    with opened_desk(out, profile) as at:
        if batch is not None and at.desk.ledger.batch(batch) is None:
            raise BatchNotFoundError(
                f"There is no batch {batch!r}: `unghost status` lists the latest."
            )
        rows = at.desk.ledger.audit_rows(
            profile_id=at.profile_id,
            batch_id=batch,
            symbol=symbol,
            trade_id=trade,
            decision=decision,
            limit=limit,
        )
    out.result({"rows": rows}, *([tables.record_table(rows)] if rows else []))
    out.say(f"{counted(len(rows), 'audit row')}.")
    return 0


def explain(
    *,
    trade_id: Annotated[str, typer.Argument(metavar="TRADE_ID", help="The lifecycle.")],
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Tell in sentences why a lifecycle got its latest decision."""
    from unghost.report import explain_rows

    out = Output(as_json=as_json)
    with opened_desk(out, profile) as at:
        rows = at.desk.ledger.audit_rows(profile_id=at.profile_id, trade_id=trade_id)
    if not rows:
        raise UsageError(
            f"Nothing is recorded about trade_id {trade_id!r} in profile"
            f" {at.profile_id}: run `unghost cycle` first, or check the id."
        )
    latest = [row for row in rows if row.batch_id == rows[0].batch_id]
    sentences = explain_rows(latest)
    out.result({"trade_id": trade_id, "sentences": sentences, "rows": latest})
    if not as_json:
        for sentence in sentences:
            out.say(sentence)
    return 0


def sql(
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The statement; without it, all names.")
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print a statement that a command runs, fitted to the ledger that is there."""
    from unghost.assembly import printable_statement, statement_names

    out = Output(as_json=as_json)
    if name is None:
        if profile is not None:
            prepared(out, profile=profile)
        out.result({"names": statement_names()})
        if not as_json:
            out.say("\n".join(statement_names()))
        return 0
    settings, profiles = prepared(out)
    statement = printable_statement(settings, profiles, name, profile, tell=out.tell)
    out.result({"name": name, "statement": statement})
    if not as_json:
        out.say(statement)
    return 0
