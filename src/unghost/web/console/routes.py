"""The console's addresses: pages to look at, and forms that act and lead back to a page.

Rights are not decided here but by what these functions depend on; a button that is not shown is a
courtesy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from unghost.adapters.postgres.history import History
from unghost.errors import RefusedError, UnghostError
from unghost.model import AuditRow, Batch, BatchStatus, Decision, LifecycleKey, Mode
from unghost.web.access import Person
from unghost.web.console import pages
from unghost.web.console.environment import batch_address, export_address, profile_address
from unghost.web.console.forms import Filled
from unghost.web.console.ghosts import SORTS, Sorting, Wanted, arranged
from unghost.web.console.pages import GoShown
from unghost.web.console.rendering import NOT_FOUND, ConsoleRoute, leads_to, page
from unghost.web.console.seats import approver, operations, operator, viewer
from unghost.web.internal import LARGEST_ID, Line, Storable
from unghost.web.operations import Operations
from unghost.web.problems import NotHereError

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

Viewer = Annotated[Person, Depends(viewer)]
Operator = Annotated[Person, Depends(operator)]
Approver = Annotated[Person, Depends(approver)]
Stage = Annotated[Operations, Depends(operations)]
Text = Annotated[Storable, Query(max_length=200)]
Before = Annotated[int | None, Query(ge=0, le=LARGEST_ID)]

PAGE_ROWS: Final = 50
UNDO_WORDS: Final = {
    "rollback": (
        "Roll back",
        "The rows of this batch are set to canceled. Nothing is deleted; it can be taken back.",
    ),
    "reinstate": (
        "Reinstate",
        "The rows of this batch count again. Trading must be paused, and the markets flat.",
    ),
}

_ASSETS: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@router.get("/console/{name}")
def asset(name: str) -> Response:
    """Style, script and icon; there are no others, and none from elsewhere."""
    if name not in _ASSETS:
        raise HTTPException(NOT_FOUND, f"There is no {name!r} here.")
    content = files("unghost.web.console").joinpath("static", name).read_bytes()
    headers = {"Cache-Control": "max-age=300"}
    return Response(content, media_type=_ASSETS[name], headers=headers)


# --- overview ----------------------------------------------------------------------------------


@router.get("/")
def overview(
    request: Request, person: Viewer, stage: Stage, part: Text = "", profile: Text = ""
) -> Response:
    """Every profile at a glance, and the ghosts over time."""
    if part == "card":
        return page(request, person, "parts/profile_card.html", card=_card(stage, profile))
    cards = [_card(stage, name) for name in stage.profile_ids()]
    lived = History(stage.house.database).lives(list(stage.profile_ids()))
    history = pages.ghosts_history(cards, lived, datetime.now(UTC))
    name = "parts/history.html" if part == "history" else "overview.html"
    return page(request, person, name, here="Overview", cards=cards, history=history)


def _card(stage: Operations, profile_id: Line) -> pages.ProfileCard:
    with stage.desk(profile_id, exchange=False) as desk:
        number = list(stage.profile_ids()).index(profile_id) + 1
        version = stage.version(profile_id)
        history = History(stage.house.database)
        loop = next(iter(stage.books.loop_states([profile_id])), None)
        return pages.profile_card(desk, history, number=number, loop=loop, version=version)


# --- profile -----------------------------------------------------------------------------------


@router.get("/profiles/{profile_id}")
def profile(  # noqa: PLR0917 - as many as the address may hold
    request: Request,
    person: Viewer,
    stage: Stage,
    profile_id: Line,
    q: Text = "",
    decision: Text = "",
    reason: Text = "",
    sort: Text = "symbol",
    down: int = 0,
    part: Text = "",
    check: int = 0,
) -> Response:
    """The ghosts of a profile, its plan, and its batches."""
    card = _card(stage, profile_id)
    with stage.desk(profile_id, exchange=False) as desk:
        batches = desk.ledger.batches(profile_id, limit=pages.BATCHES_SHOWN)
    if part == "batches":
        return page(request, person, "parts/batches.html", card=card, batches=batches)
    plan = pages.latest_plan(batches)
    path = profile_address(profile_id)
    key = sort if sort in SORTS else "symbol"
    wanted = Wanted(q=q, decision=decision, reason=reason)
    sorting = Sorting(key=key, down=bool(down), path=path, wanted=wanted)
    return page(
        request,
        person,
        "profile.html",
        here="Overview",
        card=card,
        batches=batches,
        plan=plan,
        can_plan=person.may_operate,
        offered=pages.reasons_of(card.ghosts),
        wanted=wanted,
        sorting=sorting,
        ghosts=arranged(card.ghosts, sorting),
        room=pages.rooms(open=[one.open_qty for one in card.ghosts]),
        **_go_shown(stage, person, plan, f"{path}?check=1", check=bool(check)),
    )


@router.post("/profiles/{profile_id}/pause")
def pause(profile_id: Line, person: Operator, stage: Stage, form: Filled) -> Response:
    """Pause trading."""
    stage.pause(profile_id, form.act(person), form.reason)
    return leads_to(f"{form.back_to(profile_id)}?told=paused")


@router.post("/profiles/{profile_id}/resume")
def resume(profile_id: Line, person: Operator, stage: Stage, form: Filled) -> Response:
    """Let the bot trade again."""
    stage.resume(profile_id, form.act(person), form.reason)
    return leads_to(f"{form.back_to(profile_id)}?told=resumed")


@router.post("/profiles/{profile_id}/dry-run")
def dry_run(profile_id: Line, person: Operator, stage: Stage, form: Filled) -> Response:
    """Start a dry run, and show how it goes."""
    return leads_to(batch_address(stage.dry_run(profile_id, form.act(person))))


# --- lifecycle ---------------------------------------------------------------------------------


@router.get("/profiles/{profile_id}/lifecycle")
def lifecycle(  # noqa: PLR0917 - the address and what answers it
    request: Request, person: Viewer, stage: Stage, profile_id: Line, symbol: Text, trade_id: Text
) -> Response:
    """One lifecycle: the ledger beside the exchange, and why it was decided so."""
    key = LifecycleKey(profile_id=profile_id, symbol=symbol, trade_id=trade_id)
    with stage.desk(profile_id, exchange=True) as desk:
        view = pages.lifecycle_page(desk, key)
    if view is None:
        raise NotHereError(f"Neither ledger nor record know {trade_id!r} on {symbol!r}.")
    room = pages.lifecycle_rooms(view)
    shown = {"key": key, "view": view, "chart": view.chart, "room": room}
    return page(request, person, "lifecycle.html", here="Overview", **shown)


# --- batch -------------------------------------------------------------------------------------


@router.get("/batches/{batch_id}")
def batch(  # noqa: PLR0917 - the address and what answers it
    request: Request,
    person: Viewer,
    stage: Stage,
    batch_id: Line,
    part: Text = "",
    check: int = 0,
) -> Response:
    """One batch: its progress while it runs, then its rows and what is behind them."""
    found = stage.batch(batch_id)
    running = found.status is BatchStatus.RUNNING
    state = {
        "batch": found,
        "running": running,
        "progress": stage.progress(batch_id) if running else None,
    }
    if part == "go":
        return page(request, person, "parts/go.html", go=_judged(stage, person, found))
    rows = () if running else stage.audit({"batch": batch_id}, before=None, limit=pages.ROWS_SHOWN)
    is_plan = found.mode is Mode.DRY_RUN and found.status is BatchStatus.FINISHED
    return page(
        request,
        person,
        "parts/batch_body.html" if part == "state" else "batch.html",
        here="Overview",
        rows=pages.in_reading_order(rows),
        more_rows=sum(found.counts.values()) if len(rows) == pages.ROWS_SHOWN else 0,
        room=pages.audit_rooms(rows),
        is_plan=is_plan and Decision.DRY_RUN in found.counts,
        undo=_undo_of(rows),
        statements=stage.statements(found),
        **state,
        **_go_shown(stage, person, found, f"{batch_address(batch_id)}?check=1", check=bool(check)),
    )


def _undo_of(rows: Iterable[AuditRow]) -> str:
    """Which way back there is from a batch that wrote; empty where it wrote nothing."""
    written = [row for row in rows if row.decision in {Decision.APPLIED, Decision.SKIP_EXISTING}]
    if not written:
        return ""
    return "reinstate" if all(row.reverted_at for row in written) else "rollback"


def _go_shown(
    stage: Operations, person: Person, plan: Batch | None, go_page: str, *, check: bool
) -> dict[str, Any]:
    """The go/no-go: judged now where it was asked for, else fetched by the script."""
    if plan is None:
        return {"go": None, "go_address": "", "go_page": ""}
    return {
        "go": _judged(stage, person, plan) if check else None,
        "go_address": f"{batch_address(plan.batch_id)}?part=go",
        "go_page": go_page,
    }


def _judged(stage: Operations, person: Person, plan: Batch) -> GoShown:
    """The verdict, or the sentence that says why there is none."""
    rows = plan.counts.get(Decision.DRY_RUN, 0)
    version = stage.batch_version(plan.batch_id)
    try:
        verdict = stage.go_no_go(plan.batch_id)
    except UnghostError as error:
        return GoShown(verdict=None, rows=rows, version=version, trouble=str(error))
    why_not = stage.cannot_apply(plan, person)
    return GoShown(verdict=verdict, rows=rows, version=version, why_not=why_not)


@router.post("/batches/{batch_id}/apply")
def apply(batch_id: Line, person: Approver, stage: Stage, form: Filled) -> Response:
    """Apply a plan; the number of its rows must have been typed."""
    plan = stage.batch(batch_id)
    rows = plan.counts.get(Decision.DRY_RUN, 0)
    if form.confirmation.strip() != str(rows):
        raise RefusedError(
            f"You typed {form.confirmation.strip()!r}, and the plan holds {rows} rows: nothing was"
            f" done. Type {rows} to apply it."
        )
    started = stage.apply(batch_id, form.act(person), allow_share=form.allow_share)
    return leads_to(batch_address(started))


@router.get("/batches/{batch_id}/{name}")
def undo_preview(
    request: Request, person: Viewer, stage: Stage, batch_id: Line, name: Line
) -> Response:
    """What a rollback or a reinstate would change."""
    title, words = _undo_words(name)
    preview = stage.undo_preview(name, batch_id)
    return page(
        request,
        person,
        "undo.html",
        here="Overview",
        batch=stage.batch(batch_id),
        name=name,
        title=title,
        words=words,
        preview=preview,
        seen=stage.batch_version(batch_id),
        room=pages.undo_rooms(preview),
    )


@router.post("/batches/{batch_id}/{name}")
def undo(batch_id: Line, name: Line, person: Approver, stage: Stage, form: Filled) -> Response:
    """Roll back, or reinstate."""
    _undo_words(name)
    stage.undo(name, batch_id, form.act(person))
    told = "rolled-back" if name == "rollback" else "reinstated"
    return leads_to(f"{batch_address(batch_id)}?told={told}")


def _undo_words(name: str) -> tuple[str, str]:
    if name not in UNDO_WORDS:
        raise HTTPException(NOT_FOUND, f"A batch has no page {name!r}.")
    return UNDO_WORDS[name]


# --- the record --------------------------------------------------------------------------------


@router.get("/audit")
def audit(  # noqa: PLR0917 - as many as people search by
    request: Request,
    person: Viewer,
    stage: Stage,
    profile: Text = "",
    batch: Text = "",
    symbol: Text = "",
    trade: Text = "",
    decision: Text = "",
    before: Before = None,
) -> Response:
    """Search the audit."""
    wanted = {
        "profile": profile.strip(),
        "batch": batch.strip(),
        "symbol": symbol.strip(),
        "trade": trade.strip(),
        "decision": decision,
    }
    rows = stage.audit(wanted, before=before, limit=PAGE_ROWS + 1)
    last = rows[PAGE_ROWS - 1].audit_id if len(rows) > PAGE_ROWS else None
    return page(
        request,
        person,
        "audit.html",
        here="Audit",
        rows=rows[:PAGE_ROWS],
        room=pages.audit_rooms(rows),
        decisions=list(Decision),
        **_searched("/audit", wanted, last, before),
    )


@router.get("/events")
def events(  # noqa: PLR0917 - as many as people search by
    request: Request,
    person: Viewer,
    stage: Stage,
    profile: Text = "",
    type: Text = "",  # noqa: A002 - the name that the address shows
    symbol: Text = "",
    before: Before = None,
) -> Response:
    """Search the events."""
    wanted = {"profile": profile.strip(), "type": type.strip(), "symbol": symbol.strip()}
    found = stage.events(wanted, before=before, limit=PAGE_ROWS + 1)
    last = found[PAGE_ROWS - 1].event_id if len(found) > PAGE_ROWS else None
    return page(
        request,
        person,
        "events.html",
        here="Events",
        events=found[:PAGE_ROWS],
        **_searched("/events", wanted, last, before),
    )


def _searched(
    path: str, wanted: Mapping[str, str], last: int | None, before: int | None
) -> dict[str, Any]:
    """What was searched for, the way to older rows, and the files that hold all of them."""
    named = {name: text for name, text in wanted.items() if text}
    older = f"{path}?{urlencode({**named, 'before': last})}" if last is not None else ""
    newest = f"{path}?{urlencode(named)}".rstrip("?") if before is not None else ""
    return {
        "wanted": wanted,
        "wanted_any": bool(named),
        "older_address": older,
        "newest_address": newest,
        "csv_address": export_address(path.strip("/"), "csv", **named),
        "jsonl_address": export_address(path.strip("/"), "jsonl", **named),
    }
