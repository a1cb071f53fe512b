"""The application: what is mounted where, and what holds for every answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Final
from urllib.parse import SplitResult, urlsplit

from fastapi import FastAPI, Request, Response

from unghost import __version__
from unghost.web import health, internal, v1
from unghost.web.access import Seats, is_loopback
from unghost.web.operations import Operations
from unghost.web.problems import answer_errors, problem_answer

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
LARGEST_BODY_BYTES: Final = 64 * 1024
LONGEST_LENGTH: Final = 20
"""Digits of a Content-Length; what has more is no number that anybody needs to read."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CONSOLE: Final = ("unghost.web.console.login", "unghost.web.console.routes")
ERROR_PAGES: Final = "unghost.web.console.rendering"

Background = Callable[[], AbstractAsyncContextManager[None]]


def create_app(
    operations: Operations, seats: Seats, *, background: Background | None = None
) -> FastAPI:
    """API, metrics and console over one façade. `background` runs as long as the application."""

    @asynccontextmanager
    async def alive(_app: FastAPI) -> AsyncIterator[None]:
        if background is None:
            yield
            return
        async with background():
            yield

    app = FastAPI(
        title="unghost",
        version=__version__,
        summary="Ghost positions of a trading bot: found, repaired with evidence, reversible.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=alive,
    )
    app.state.operations = operations
    app.state.backstage = operations
    app.state.seats = seats
    for router in (internal.router, v1.router, health.router):
        app.include_router(router)
    _mount_console(app)
    answer_errors(app)
    app.middleware("http")(_guarded)
    return app


def _mount_console(app: FastAPI) -> None:
    """The pages, where they are installed."""
    for name in CONSOLE:
        if find_spec(name) is not None:
            app.include_router(import_module(name).router)
            app.state.page_for = import_module(ERROR_PAGES).answer_to


async def _guarded(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    refused = _refused(request)
    answer = refused if refused is not None else await call_next(request)
    for name, value in SECURITY_HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


def _refused(request: Request) -> Response | None:
    """What no route needs to see: other sites' requests, and bodies larger than any of ours."""
    seats: Seats = request.app.state.seats
    host = request.headers.get("host", "")
    if host and not _name_of(host):
        return problem_answer(request, 400, "The header Host holds no name of a host.")
    if seats.open_to_all and not is_loopback(_name_of(host)):
        return problem_answer(
            request, 421, "Without tokens the service answers to the names of loopback only."
        )
    if request.method in SAFE_METHODS:
        return None
    origin = request.headers.get("origin")
    if origin is not None and _parts_of(origin).netloc != host:
        return problem_answer(request, 403, "Another site sent this request: it is not answered.")
    return _refused_body(request)


def _refused_body(request: Request) -> Response | None:
    """A body is read whole before anybody asks who sent it: so its length comes first."""
    if "transfer-encoding" in request.headers:
        return problem_answer(request, 411, "Say with Content-Length how long the body is.")
    length = request.headers.get("content-length", "0")
    is_short = length.isdecimal() and len(length) <= LONGEST_LENGTH
    if not is_short or int(length) > LARGEST_BODY_BYTES:
        return problem_answer(request, 413, f"No body may exceed {LARGEST_BODY_BYTES} bytes.")
    return None


def _name_of(host: str) -> str:
    return _parts_of(f"//{host}").hostname or ""


def _parts_of(address: str) -> SplitResult:
    """The parts of an address; all empty for what is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
