"""Errors as RFC 9457 problem details: one shape for all, with a sentence for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from unghost.errors import (
    BatchNotFoundError,
    EnvironmentFailure,
    RefusedError,
    UnghostError,
    UsageError,
)
from unghost.redaction import redactor

log = structlog.get_logger("unghost")

MEDIA_TYPE: Final = "application/problem+json"
_DESCRIBED: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    number: {
        "description": "A problem (RFC 9457), with a sentence.",
        "content": {MEDIA_TYPE: {"schema": _DESCRIBED}},
    }
    for number in (400, 401, 403, 404, 409, 411, 413, 422, 428, 429, 500, 503)
}
"""What every address may answer besides what was asked for."""

_STATUSES: Final = (
    (BatchNotFoundError, HTTPStatus.NOT_FOUND),
    (UsageError, HTTPStatus.BAD_REQUEST),
    (RefusedError, HTTPStatus.CONFLICT),
    (EnvironmentFailure, HTTPStatus.SERVICE_UNAVAILABLE),
)


_OF_OURS: Final = "Value error, "
"""What pydantic puts before a sentence that a check of ours has given."""

PageFor = Callable[[Request, Exception], Response]
"""Draws an error for people: `app.state.page_for`, where the console is mounted."""
PROGRAMS: Final = ("/api/", "/internal/")
"""Addresses that answer in documents, whoever asks."""


class Problem(HTTPException):
    """An answer other than the one asked for; `more` are further members of the document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.more = more


class MovedError(RefusedError):
    """What you saw has moved since: nothing was done."""

    def __init__(self, sentences: Sequence[str]) -> None:
        told = " ".join(sentences)
        super().__init__(f"What you saw has moved since, so nothing was done. {told}")
        self.sentences = tuple(sentences)


class NotHereError(UsageError):
    """There is no such thing."""


def status_of(error: UnghostError) -> int:
    """The HTTP status of one of our errors."""
    if isinstance(error, NotHereError):
        return HTTPStatus.NOT_FOUND
    found = (number for kind, number in _STATUSES if isinstance(error, kind))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def document(status: int, detail: str, path: str, **more: object) -> dict[str, object]:
    """The members of RFC 9457."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": redactor.clean(detail),
        "instance": path,
        **more,
    }


def problem_answer(
    request: Request,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """The answer that carries it."""
    # Not from `request.url`: that one is built from the header Host, which may be anything.
    content = document(status, detail, str(request.scope["path"]), **more)
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def answer_to(request: Request, error: Exception) -> Response:
    """The answer to any error; a bug tells nothing but that there was one."""
    match error:
        case Problem():
            status, more = error.status_code, error.more
            return problem_answer(request, status, error.detail, headers=error.headers, **more)
        case HTTPException():
            detail = str(error.detail)
            return problem_answer(request, error.status_code, detail, headers=error.headers)
        case RequestValidationError():
            return _unfit(request, error)
        case MovedError():
            return problem_answer(
                request, HTTPStatus.CONFLICT, str(error), moved=list(error.sentences)
            )
        case UnghostError():
            return problem_answer(request, status_of(error), str(error), kind=type(error).__name__)
        case _:
            log.error("a request failed by a bug", path=request.url.path, exc_info=error)
            return problem_answer(
                request,
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "A bug of unghost stopped this request; the log of the service has more.",
            )


def _unfit(request: Request, error: RequestValidationError) -> Response:
    wrong: list[dict[str, Any]] = [
        {"where": ".".join(map(str, one["loc"])), "what": one["msg"].removeprefix(_OF_OURS)}
        for one in error.errors()
    ]
    told = "; ".join(f"{one['where']}: {one['what']}" for one in wrong)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return problem_answer(request, status, f"The request cannot be read: {told}.", errors=wrong)


def _is_lost_person(request: Request, error: Exception) -> bool:
    """Whether a browser asks for an address that nothing answers; programs get the document."""
    unknown = isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND
    for_programs = request.url.path.startswith(PROGRAMS)
    return unknown and not for_programs and "text/html" in request.headers.get("accept", "")


def answer_errors(app: FastAPI) -> None:
    """Let every error of the application be answered so."""

    async def answered(request: Request, error: Exception) -> Response:
        page_for: PageFor | None = getattr(app.state, "page_for", None)
        if page_for is not None and _is_lost_person(request, error):
            return page_for(request, error)
        return answer_to(request, error)

    for kind in (HTTPException, RequestValidationError, UnghostError, Exception):
        app.add_exception_handler(kind, answered)
