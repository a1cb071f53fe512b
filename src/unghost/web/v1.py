"""The JSON API, `/api/v1`: looking is for viewers, planning for operators, writing for approvers.

Decimals are strings, times ISO 8601 in UTC. Errors are RFC 9457 problem details.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from unghost.cycle import GoNoGo
from unghost.documents import as_json
from unghost.model import AuditRow, Batch, Decision, Event
from unghost.rollback import UndoPreview
from unghost.settings import LONGEST_REASON
from unghost.web.access import Approver, Operator, Person, Role, Viewer, require_role
from unghost.web.exports import FILES, Form, exported
from unghost.web.internal import LARGEST_ID, Line, Service
from unghost.web.operations import REINSTATE, ROLLBACK
from unghost.web.problems import PROBLEMS, NotHereError, Problem
from unghost.web.runs import ProgressSeen
from unghost.web.versions import etag
from unghost.web.views import Explained, LifecycleDetail, OpenLifecycle, ProfileSeen

PRECONDITION_REQUIRED: Final = 428


router = APIRouter(prefix="/api/v1", tags=["v1"], responses=PROBLEMS)


Word = Annotated[Line, Query(max_length=200)]
Before = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="The `next` of a page.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


# --- actions -----------------------------------------------------------------------------------


class Body(BaseModel):
    """`seen` is the `version` of what the caller saw; instead of it, send its ETag as If-Match."""

    model_config = ConfigDict(extra="forbid")

    seen: Annotated[Line, Field(max_length=500)] = ""


class SwitchBody(Body):
    """Pause or resume, and why."""

    reason: Annotated[Line, Field(max_length=LONGEST_REASON)] = ""


class CycleBody(Body):
    """Without a plan: a dry run. With one: the apply of exactly that dry-run batch."""

    plan: Annotated[Line, Field(max_length=100)] | None = None
    allow_share: Annotated[Decimal, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="The share of the open lifecycles that the apply may close, as a fraction,"
        " where that is above RECON_EXIT_BACKFILL_MAX_SHARE: `share_to_allow` of the go/no-go that"
        " was seen. Above it the apply is refused all the same. Only with a plan.",
    )


class Started(BaseModel):
    """A batch to follow."""

    batch_id: str
    follow: str


class Changed(BaseModel):
    """How many rows changed their status."""

    batch_id: str
    changed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """The headers of an action."""

    key: str
    seen: str

    def by(self, person: Person, seen: str) -> Action:
        """The action of this person; the body's `seen` before the header's."""
        return Action(person=person, key=self.key, seen=seen or self.seen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """Who acts, once only under a key, and on what was seen."""

    person: Person
    key: str
    seen: str

    def require_seen(self) -> Action:
        """What changes the ledger needs the version of what was seen. Raises Problem 428."""
        if not self.seen:
            raise Problem(
                PRECONDITION_REQUIRED,
                "Say what you saw: the `version` of the batch as `seen`, or its ETag as If-Match.",
            )
        return self


def sent(
    idempotency_key: Annotated[
        Line, Header(max_length=200, description="Sent twice, it is done once.")
    ] = "",
    if_match: Annotated[
        Line, Header(max_length=500, description="The ETag of what was seen.")
    ] = "",
) -> Sent:
    """Read the headers of an action."""
    return Sent(key=idempotency_key, seen=if_match)


Headers = Annotated[Sent, Depends(sent)]


def _answer(value: object, *, version: str = "", status: int = 200, **headers: str) -> Response:
    told = {"Cache-Control": "no-store", **headers}
    if version:
        told["ETag"] = etag(version)
    return JSONResponse(as_json(value), status_code=status, headers=told)


# --- profiles ----------------------------------------------------------------------------------


class ProfileList(BaseModel):
    """Every profile."""

    profiles: list[ProfileSeen]


class LifecycleList(BaseModel):
    """What the ledger says is open."""

    profile_id: str
    lifecycles: list[OpenLifecycle]


@router.get("/me")
def me(person: Viewer) -> dict[str, str]:
    """Who is asking; `csrf` is what a browser's session sends as X-CSRF-Token."""
    return {"name": person.name, "role": person.role, "csrf": person.csrf}


@router.get("/profiles", response_model=ProfileList)
def profiles(service: Service, _person: Viewer) -> Response:
    """Every profile at a glance."""
    return _answer({"profiles": service.profiles()})


@router.get("/profiles/{profile_id}", response_model=ProfileSeen)
def profile(service: Service, _person: Viewer, profile_id: Line) -> Response:
    """One profile at a glance."""
    found = service.profile(profile_id)
    return _answer(found, version=found.version)


@router.get("/profiles/{profile_id}/lifecycles", response_model=LifecycleList)
async def lifecycles(service: Service, _person: Viewer, profile_id: Line) -> Response:
    """What the ledger says is open, with the last decision about it.

    Those who ask at once share one reading, which begins after each of them has asked.
    """
    found = await service.lifecycle_lists.read(service.known(profile_id))
    headers = {"Cache-Control": "no-store"}
    return Response(found, media_type="application/json", headers=headers)


@router.get("/profiles/{profile_id}/lifecycle", response_model=LifecycleDetail)
def lifecycle(
    service: Service, _person: Viewer, profile_id: Line, symbol: Word, trade_id: Word
) -> Response:
    """One lifecycle: its ledger rows, its history, and the last decision in sentences."""
    return _answer(service.lifecycle(profile_id, symbol, trade_id))


@router.get("/profiles/{profile_id}/evidence")
def evidence(service: Service, _person: Viewer, profile_id: Line, symbol: Word) -> Response:
    """The readings and claims for a symbol, read from the exchange now."""
    return _answer(service.evidence(profile_id, symbol))


@router.get("/profiles/{profile_id}/explain", response_model=Explained)
def explain(service: Service, _person: Viewer, profile_id: Line, trade_id: Word) -> Response:
    """Why a lifecycle got its latest decision."""
    return _answer(service.explain(profile_id, trade_id))


@router.post("/profiles/{profile_id}/pause", response_model=ProfileSeen)
def pause(
    service: Service, person: Operator, profile_id: Line, body: SwitchBody, headers: Headers
) -> Response:
    """Pause trading."""
    service.pause(profile_id, headers.by(person, body.seen), body.reason)
    return profile(service, person, profile_id)


@router.post("/profiles/{profile_id}/resume", response_model=ProfileSeen)
def resume(
    service: Service, person: Operator, profile_id: Line, body: SwitchBody, headers: Headers
) -> Response:
    """Let the bot trade again."""
    service.resume(profile_id, headers.by(person, body.seen), body.reason)
    return profile(service, person, profile_id)


@router.post("/profiles/{profile_id}/cycles", response_model=Started, status_code=202)
def cycles(
    service: Service, person: Operator, profile_id: Line, body: CycleBody, headers: Headers
) -> Response:
    """Start a dry run, or (role approver) the apply of a plan; answers with the batch to follow."""
    action = headers.by(person, body.seen)
    if body.plan is None:
        if body.allow_share is not None:
            raise Problem(422, "`allow_share` goes with a `plan`: a dry run needs no allowance.")
        batch_id = service.dry_run(profile_id, action)
    else:
        require_role(person, Role.APPROVER)
        _require_of(service.batch(body.plan), service.known(profile_id))
        batch_id = service.apply(body.plan, action.require_seen(), allow_share=body.allow_share)
    follow = f"/api/v1/batches/{batch_id}"
    return _answer({"batch_id": batch_id, "follow": follow}, status=202, Location=follow)


def _require_of(batch: Batch, profile_id: str) -> None:
    if batch.profile_id != profile_id:
        raise NotHereError(f"Batch {batch.batch_id} belongs to profile {batch.profile_id}.")


# --- batches -----------------------------------------------------------------------------------


class BatchList(BaseModel):
    """Batches, newest first."""

    batches: list[Batch]


class BatchSeen(BaseModel):
    """One batch. `cannot_apply` says why the one who asks may not apply it; empty if so."""

    batch: Batch
    version: str
    cannot_apply: str
    progress: ProgressSeen | None


class UndoSeen(BaseModel):
    """What an undo would change."""

    preview: UndoPreview
    version: str


@router.get("/profiles/{profile_id}/batches", response_model=BatchList)
def batches(service: Service, _person: Viewer, profile_id: Line, limit: Limit = 50) -> Response:
    """The latest batches of a profile."""
    return _answer({"batches": service.batches(profile_id, limit=limit)})


@router.get("/batches/{batch_id}", response_model=BatchSeen)
def batch(service: Service, person: Viewer, batch_id: Line) -> Response:
    """One batch, and how far it is while it runs."""
    found = service.batch(batch_id)
    version = service.batch_version(batch_id)
    content = {
        "batch": found,
        "version": version,
        "cannot_apply": service.cannot_apply(found, person),
        "progress": service.progress(batch_id),
    }
    return _answer(content, version=version)


@router.get("/batches/{batch_id}/go-no-go", response_model=GoNoGo)
def go_no_go(service: Service, _person: Viewer, batch_id: Line) -> Response:
    """Section 6 of the checklist, judged now."""
    return _answer(service.go_no_go(batch_id))


@router.get("/batches/{batch_id}/rollback", response_model=UndoSeen)
def rollback_preview(service: Service, _person: Viewer, batch_id: Line) -> Response:
    """What a rollback would change."""
    return _preview(service, ROLLBACK, batch_id)


@router.get("/batches/{batch_id}/reinstate", response_model=UndoSeen)
def reinstate_preview(service: Service, _person: Viewer, batch_id: Line) -> Response:
    """What a reinstate would change."""
    return _preview(service, REINSTATE, batch_id)


def _preview(service: Service, name: str, batch_id: str) -> Response:
    preview = service.undo_preview(name, batch_id)
    version = service.batch_version(batch_id)
    return _answer({"preview": preview, "version": version}, version=version)


@router.post("/batches/{batch_id}/rollback", response_model=Changed)
def rollback(
    service: Service, person: Approver, batch_id: Line, body: Body, headers: Headers
) -> Response:
    """Set the batch's rows to canceled: status only, nothing is deleted."""
    action = headers.by(person, body.seen).require_seen()
    changed = service.undo(ROLLBACK, batch_id, action)
    return _answer({"batch_id": batch_id, "changed": changed})


@router.post("/batches/{batch_id}/reinstate", response_model=Changed)
def reinstate(
    service: Service, person: Approver, batch_id: Line, body: Body, headers: Headers
) -> Response:
    """Take a rollback back; trading must be paused and the markets flat."""
    action = headers.by(person, body.seen).require_seen()
    changed = service.undo(REINSTATE, batch_id, action)
    return _answer({"batch_id": batch_id, "changed": changed})


# --- the record --------------------------------------------------------------------------------


class AuditPage(BaseModel):
    """Audit rows, newest first. `next` goes into `before` for older ones; None at the end."""

    rows: list[AuditRow]
    next: int | None


class EventPage(BaseModel):
    """Events, the same way."""

    rows: list[Event]
    next: int | None


def audit_filters(
    profile: Word = "",
    batch: Word = "",
    symbol: Word = "",
    trade: Word = "",
    decision: Decision | Literal[""] = "",
) -> dict[str, str]:
    """What audit rows are searched by."""
    return {
        "profile": profile,
        "batch": batch,
        "symbol": symbol,
        "trade": trade,
        "decision": decision,
    }


def event_filters(
    profile: Word = "",
    type: Word = "",  # noqa: A002 - the name that the address shows
    symbol: Word = "",
) -> dict[str, str]:
    """What events are searched by."""
    return {"profile": profile, "type": type, "symbol": symbol}


AuditFilters = Annotated[dict[str, str], Depends(audit_filters)]
EventFilters = Annotated[dict[str, str], Depends(event_filters)]


@router.get("/audit", response_model=AuditPage)
def audit(
    service: Service,
    _person: Viewer,
    wanted: AuditFilters,
    before: Before = None,
    limit: Limit = 100,
) -> Response:
    """Search the audit."""
    rows = service.audit(wanted, before=before, limit=limit)
    end = rows[-1].audit_id if len(rows) == limit else None
    return _answer({"rows": rows, "next": end})


@router.get("/events", response_model=EventPage)
def events(
    service: Service,
    _person: Viewer,
    wanted: EventFilters,
    before: Before = None,
    limit: Limit = 100,
) -> Response:
    """Search the events."""
    rows = service.events(wanted, before=before, limit=limit)
    end = rows[-1].event_id if len(rows) == limit else None
    return _answer({"rows": rows, "next": end})


@router.get("/audit/export", response_class=Response, responses=FILES)
def export_audit(
    service: Service, _person: Viewer, wanted: AuditFilters, form: Form = "csv"
) -> Response:
    """Every audit row that is found, as a file."""
    return exported("audit", form, AuditRow, "audit_id", service.audit, wanted)


@router.get("/events/export", response_class=Response, responses=FILES)
def export_events(
    service: Service, _person: Viewer, wanted: EventFilters, form: Form = "csv"
) -> Response:
    """Every event that is found, as a file."""
    return exported("events", form, Event, "event_id", service.events, wanted)
