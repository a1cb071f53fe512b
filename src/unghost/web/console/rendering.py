"""Turns what a page shows into an answer, and what went wrong into a page of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from markupsafe import Markup
from starlette.exceptions import HTTPException

from unghost.errors import UnghostError
from unghost.redaction import redactor
from unghost.web.access import FORBIDDEN, UNAUTHORIZED, Person
from unghost.web.console.environment import templates
from unghost.web.problems import MovedError, status_of

SEE_OTHER: Final = 303
BAD_REQUEST, NOT_FOUND, CONFLICT = 400, 404, 409
UNPROCESSABLE, TOO_MANY, UNAVAILABLE = 422, 429, 503

_TITLES: Final = {
    UNAUTHORIZED: "You are not signed in",
    FORBIDDEN: "You may not do that",
    NOT_FOUND: "There is no such page",
    CONFLICT: "It was not done",
    UNPROCESSABLE: "That cannot be read",
    BAD_REQUEST: "That cannot be read",
    TOO_MANY: "Wait a moment",
    UNAVAILABLE: "Something that unghost needs does not answer",
}

TOLD: Final = {
    "paused": "Trading is paused.",
    "resumed": "Trading runs again.",
    "rolled-back": "Rolled back: the rows are canceled, and nothing was deleted.",
    "reinstated": "Reinstated: the rows count again.",
}
"""What a page may say about the action that led to it; the address holds only the word."""


def page(request: Request, person: Person | None, name: str, /, **shown: Any) -> HTMLResponse:  # noqa: ANN401 - a template takes what it names
    """Draw a template. `here` names the entry of the navigation, `status` the answer's code."""
    context = {
        "csrf": person.csrf if person else "",
        "here": "",
        "now": datetime.now(UTC),
        "person": person,
        "told": TOLD.get(request.query_params.get("told", ""), ""),
        **shown,
    }
    context["hidden_csrf"] = _hidden_csrf(str(context["csrf"]))
    text = templates().get_template(name).render(context)
    headers = {"Cache-Control": "no-store"}
    return HTMLResponse(text, status_code=int(shown.get("status", 200)), headers=headers)


def _hidden_csrf(token: str) -> Markup:
    return Markup('<input type="hidden" name="csrf" value="{}">').format(token)


def leads_to(address: str) -> RedirectResponse:
    """After an action: a page that can be loaded again without acting again."""
    return RedirectResponse(address, status_code=SEE_OTHER)


# --- what went wrong ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """An answer that is not the page that was asked for."""

    status: int
    detail: str
    title: str = ""
    moved: tuple[str, ...] = ()
    back: str = "/"


def trouble_of(error: Exception, path: str = "/") -> Trouble | None:
    """What people are told of an error; None for one that is a bug."""
    if isinstance(error, MovedError):
        return Trouble(
            status=CONFLICT,
            title="The page was out of date",
            detail="What you saw has moved since: nothing was done. Look again, and decide anew.",
            moved=error.sentences,
            back=path.rpartition("/")[0] or "/",
        )
    if isinstance(error, HTTPException):
        return Trouble(status=error.status_code, detail=str(error.detail))
    if isinstance(error, RequestValidationError):
        return Trouble(status=UNPROCESSABLE, detail=_first_problem(error))
    if not isinstance(error, UnghostError) or status_of(error) not in _TITLES:
        return None
    return Trouble(status=status_of(error), detail=redactor.clean(str(error)))


def _first_problem(error: RequestValidationError) -> str:
    one = error.errors()[0]
    return f"{one['loc'][-1]}: {one['msg']}."


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ConsoleRoute(APIRoute):
    """A route whose errors are pages; without a login it leads to the login."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler that FastAPI makes."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (HTTPException, RequestValidationError, UnghostError) as error:
                return answer_to(request, error)

        return handled


def answer_to(request: Request, error: Exception) -> Response:
    """The page for an error; raises it again where it is a bug."""
    trouble = trouble_of(error, request.url.path)
    if trouble is None:
        raise error
    if trouble.status == UNAUTHORIZED and request.method == "GET" and not _is_fragment(request):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return leads_to(f"/login?next={quote(wanted, safe='')}")
    person: Person | None = getattr(request.state, "person", None)
    return page(
        request,
        person,
        "problem.html",
        status=trouble.status,
        title=trouble.title or _TITLES.get(trouble.status, "That did not work"),
        detail=trouble.detail,
        moved=trouble.moved,
        back=trouble.back,
        back_words=_back_words(trouble),
    )


def _back_words(trouble: Trouble) -> str:
    if trouble.status == UNAUTHORIZED:
        return "Sign in"  # where the overview leads who is not
    return "Look again" if trouble.moved else "Overview"


def _is_fragment(request: Request) -> bool:
    return "part" in request.query_params
