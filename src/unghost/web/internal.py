"""`/internal/trading`: what the bot asks before it trades, and the switch of the admin page.

The status is for everybody who reaches the service: the bot sends no token. Who paused it and why
is told only to people who are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from unghost.documents import as_json
from unghost.model import PauseReading, PauseState
from unghost.settings import LONGEST_REASON
from unghost.web.access import Asking, Operator, Person
from unghost.web.operations import Operations
from unghost.web.problems import PROBLEMS, Problem

router = APIRouter(prefix="/internal/trading", tags=["internal"], responses=PROBLEMS)

LARGEST_ID: Final = 2**63 - 1
ALSO_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


async def operations_of(request: Request) -> Operations:
    """The service behind the addresses."""
    found: Operations = request.app.state.operations
    return found


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("give printable characters only")
    return text


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("no row can hold a character NUL")
    return text


Line = Annotated[str, AfterValidator(_printable)]
Storable = Annotated[str, AfterValidator(_storable)]
"""What a row of the ledger may hold, line breaks too: a page must be able to ask for it."""
Service = Annotated[Operations, Depends(operations_of)]
ProfileQuery = Annotated[
    Line | None,
    Query(alias="profile", max_length=100, description="May be left out while there is one."),
]


class StatusAnswer(BaseModel):
    """The trading status of a profile."""

    status: PauseState
    profile: str
    since: datetime | None = None
    actor: str | None = None
    reason: str | None = None


class SwitchBody(BaseModel):
    """Why, for the record."""

    model_config = ConfigDict(extra="forbid")

    profile: Line | None = Field(default=None, max_length=100)
    reason: Line = Field(default="", max_length=LONGEST_REASON)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """An action: who, once only under a key, and on what was seen."""

    person: Person
    key: str = ""
    seen: str = ""


@router.get("/status", response_model=StatusAnswer, responses=ALSO_TEXT)
async def status(
    request: Request, service: Service, person: Asking, profile: ProfileQuery = None
) -> Response:
    """Whether the profile may trade: `PAUSED` or `RUNNING`; as text where Accept asks for it.

    Answers 503 where nobody can say: not being able to tell is not the same as running.
    """
    name = service.known(profile)
    return _told(request, name, await service.pauses.read(name), person)


@router.post("/pause", response_model=StatusAnswer, responses=ALSO_TEXT)
def pause(
    request: Request,
    service: Service,
    person: Operator,
    body: SwitchBody | None = None,
    profile: ProfileQuery = None,
) -> Response:
    """Pause trading of the profile."""
    name, reason = _meant(service, body, profile)
    service.pause(name, Done(person=person), reason)
    return _told(request, name, service.pause_state(name), person)


@router.post("/resume", response_model=StatusAnswer, responses=ALSO_TEXT)
def resume(
    request: Request,
    service: Service,
    person: Operator,
    body: SwitchBody | None = None,
    profile: ProfileQuery = None,
) -> Response:
    """Let the bot trade again; waits for a backfill that is being written."""
    name, reason = _meant(service, body, profile)
    service.resume(name, Done(person=person), reason)
    return _told(request, name, service.pause_state(name), person)


def _meant(service: Operations, body: SwitchBody | None, profile: str | None) -> tuple[str, str]:
    given = body or SwitchBody()
    if profile is not None and given.profile not in {None, profile}:
        raise Problem(400, f"The address names {profile!r}, and the body {given.profile!r}.")
    return service.known(profile or given.profile), given.reason


def _told(request: Request, name: str, reading: PauseReading, person: Person | None) -> Response:
    known = person is not None
    if reading.state is PauseState.UNKNOWN:
        # The cause names hosts and addresses, and everybody may ask here.
        cause = f": {reading.detail}" if known else "."
        raise Problem(503, f"Nobody can say whether {name} trades{cause}")
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if _wants_text(request):
        return PlainTextResponse(reading.state, headers=headers)
    content = {
        "status": reading.state,
        "profile": name,
        "since": reading.since,
        "actor": reading.actor if known else None,
        "reason": reading.note if known else None,
    }
    return JSONResponse(as_json(content), headers=headers)


def _wants_text(request: Request) -> bool:
    """Text only where it is named first and JSON is not."""
    accepted = request.headers.get("accept", "")
    return "text/plain" in accepted and "application/json" not in accepted
