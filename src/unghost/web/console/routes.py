"""The console's addresses: pages to look at, and forms that act and lead back to a page.

Rights are not decided here but by what these functions depend on; a button that is not shown is a
courtesy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, Response

from unghost.errors import RefusedError, UnghostError, UsageError
from unghost.model import Batch, BatchStatus, Decision, LifecycleKey, Mode
from unghost.web.console import pages
from unghost.web.console.backstage import Act, Backstage, Visitor
from unghost.web.console.environment import export_address, profile_address
from unghost.web.console.ghosts import SORTS, Sorting, Wanted, arranged
from unghost.web.console.rendering import NOT_FOUND, ConsoleRoute, leads_to, page
from unghost.web.console.seats import approver, backstage, operator, viewer

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

Viewer = Annotated[Visitor, Depends(viewer)]
Operator = Annotated[Visitor, Depends(operator)]
Approver = Annotated[Visitor, Depends(approver)]
Stage = Annotated[Backstage, Depends(backstage)]
Text = Annotated[str, Query(max_length=200)]
Before = Annotated[int | None, Query(ge=0)]

PAGE_ROWS: Final = 50
UNDO_WORDS: Final = {
    "rollback": (
        "Roll back",
        "The rows that this batch wrote are set to canceled. Nothing is deleted, and it can be"
        " taken back.",
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
    lived = stage.history.lives(list(stage.profile_ids()))
    history = pages.ghosts_history(cards, lived, datetime.now(UTC))
    name = "parts/history.html" if part == "history" else "overview.html"
    return page(request, person, name, here="Overview", cards=cards, history=history)


def _card(stage: Backstage, profile_id: str) -> pages.ProfileCard:
    with stage.desk(profile_id, exchange=False) as desk:
        number = list(stage.profile_ids()).index(profile_id) + 1
        version = stage.version(profile_id)
        return pages.profile_card(desk, stage.history, number=number, version=version)


# --- profile -----------------------------------------------------------------------------------


@router.get("/profiles/{profile_id}")
def profile(  # noqa: PLR0917 - as many as the address may hold
    request: Request,
    person: Viewer,
    stage: Stage,
    profile_id: str,
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
def pause(
    profile_id: str,
    person: Operator,
    stage: Stage,
    form: Annotated[dict[str, str], Depends(lambda: {})],
) -> Response:
    """Pause trading."""
    raise NotImplementedError
