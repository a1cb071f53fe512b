"""The console as an application of its own: pages, login, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from unghost.web.console import login, routes
from unghost.web.console.backstage import Backstage
from unghost.web.console.rendering import answer_to
from unghost.web.console.seats import Seats

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


def create_console(stage: Backstage, seats: Seats) -> FastAPI:
    """An application that serves the console; it holds no secret but the sessions."""
    app = FastAPI(title="unghost", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.backstage = stage
    app.state.seats = seats
    app.include_router(login.router)
    app.include_router(routes.router)
    app.middleware("http")(_with_headers)
    app.add_exception_handler(StarletteHTTPException, _nowhere)
    return app


async def _with_headers(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    answer = await call_next(request)
    for name, value in SECURITY_HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


async def _nowhere(request: Request, error: Exception) -> Response:
    """An address that no route has, or a method that it does not take."""
    status = error.status_code if isinstance(error, StarletteHTTPException) else 404
    return answer_to(request, HTTPException(status, "Nothing is at this address."))
