"""Turns what a page shows into an answer, and what went wrong into a page of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from markupsafe import Markup

from unghost.errors import EnvironmentFailure, RefusedError, UnghostError, UsageError
from unghost.web.console.backstage import Visitor
from unghost.web.console.environment import templates

SEE_OTHER: Final = 303
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 401, 403, 404, 409
UNPROCESSABLE, UNAVAILABLE, BROKEN = 422, 503, 500

_TITLES: Final = {
    FORBIDDEN: "You may not do that",
    NOT_FOUND: "There is no such page",
    CONFLICT: "It was not done",
    UNPROCESSABLE: "That cannot be read",
    UNAVAILABLE: "Something that unghost needs does not answer",
}

TOLD: Final = {
    "paused": "Trading is paused.",
    "resumed": "Trading runs again.",
    "rolled-back": "Rolled back: the rows are canceled, and nothing was deleted.",
    "reinstated": "Reinstated: the rows count again.",
}
"""What a page may say about the action that led to it; the address holds only the word."""


def page(request: Request, visitor: Visitor | None, name: str, /, **shown: Any) -> HTMLResponse:  # noqa: ANN401 - a template takes what it names
    """Draw a template. `here` names the entry of the navigation, `status` the answer's code."""
    context = {
        "csrf": visitor.csrf if visitor else "",
        "here": "",
        "now": datetime.now(UTC),
        "person": visitor,
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


class Moved(RefusedError):
    """What you saw has moved since; nothing was done."""

    def __init__(self, sentences: Sequence[str], back: str) -> None:
        super().__init__()
        self.sentences = tuple(sentences)
        self.back = back


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """An answer that is not the page that was asked for."""

    status: int
    detail: str
    title: str = ""
    moved: tuple[str, ...] = ()
    back: str = "/"


def trouble_of(error: Exception) -> Trouble | None:
    """What people are told of an error; None for one that is a bug."""
    if isinstance(error, Moved):
        return Trouble(
            status=CONFLICT,
            title="The page was out of date",
            detail=f"{error} Look at it again, and decide anew.",
            moved=error.sentences,
            back=error.back,
        )
    if isinstance(error, HTTPException):
        return Trouble(status=error.status_code, detail=str(error.detail))
    if isinstance(error, RequestValidationError):
        return Trouble(status=UNPROCESSABLE, detail=_first_problem(error))
    return _trouble_of_ours(error) if isinstance(error, UnghostError) else None


def _trouble_of_ours(error: UnghostError) -> Trouble | None:
    statuses = (
        (UsageError, NOT_FOUND),
        (RefusedError, CONFLICT),
        (EnvironmentFailure, UNAVAILABLE),
    )
    status = next((number for kind, number in statuses if isinstance(error, kind)), None)
    return None if status is None else Trouble(status=status, detail=str(error))


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
    trouble = trouble_of(error)
    if trouble is None:
        raise error
    if trouble.status == UNAUTHORIZED and request.method == "GET" and not _is_fragment(request):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return leads_to(f"/login?next={quote(wanted, safe='')}")
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    return page(
        request,
        visitor,
        "problem.html",
        status=trouble.status,
        title=trouble.title or _TITLES.get(trouble.status, "That did not work"),
        detail=trouble.detail,
        moved=trouble.moved,
        back=trouble.back,
        back_words="Look again" if trouble.moved else "Overview",
    )


def _is_fragment(request: Request) -> bool:
    return "part" in request.query_params
