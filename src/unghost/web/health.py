"""Whether the service lives, whether it can work, and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from unghost.adapters.postgres.migrations import pending_migrations
from unghost.adapters.postgres.queue import queue_beat
from unghost.documents import as_json
from unghost.errors import UnghostError
from unghost.settings import LoopMode
from unghost.web.access import Viewer
from unghost.web.internal import Service
from unghost.web.metrics import metrics_text
from unghost.web.operations import Operations
from unghost.web.problems import PROBLEMS

router = APIRouter(tags=["health"], responses=PROBLEMS)

BEAT_SECONDS: Final = 30
"""A process of the loop says every five seconds that it lives; six times missed is dead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that must work."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """All that must work, and whether it does."""

    ready: bool
    checks: tuple[Check, ...]


@router.get("/healthz", response_class=PlainTextResponse)
def healthz() -> str:
    """The process answers."""
    return "ok"


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Something does not work."}},
)
def readyz(service: Service) -> Response:
    """The database answers, its tables are those of this release, and the loop lives."""
    checks = _checks(service)
    ready = all(check.ok for check in checks)
    content = as_json(Readiness(ready=ready, checks=checks))
    headers = {"Cache-Control": "no-store"}
    return JSONResponse(content, status_code=200 if ready else 503, headers=headers)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(service: Service, _person: Viewer) -> Response:
    """Figures for Prometheus, taken from the database: the same from every process."""
    text, media_type = metrics_text(service)
    return Response(text, media_type=media_type)


def _checks(service: Operations) -> tuple[Check, ...]:
    try:
        pending = pending_migrations(service.house.database)
        beat = queue_beat(service.house.database)
    except UnghostError:
        # Not the cause: it may name hosts, and everybody may ask here. The log has it.
        return (Check(name="database", ok=False, detail="The database does not answer."),)
    migrated = f"{len(pending)} pending" if pending else "all applied"
    return (
        Check(name="database", ok=True, detail="answers"),
        Check(name="migrations", ok=not pending, detail=migrated),
        _loop_check(service.house.settings.loop, beat),
    )


def _loop_check(mode: LoopMode, beat: Decimal | None) -> Check:
    if mode is LoopMode.OFF:
        return Check(name="loop", ok=True, detail="UNGHOST_LOOP is off")
    if beat is None:
        return Check(name="loop", ok=False, detail="no process of the loop was ever heard of")
    alive = beat <= BEAT_SECONDS
    return Check(name="loop", ok=alive, detail=f"last heard of {beat:.0f} s ago")
