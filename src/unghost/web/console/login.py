"""Signing in and out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, Response

from unghost.web.access import COOKIE, FORBIDDEN, UNAUTHORIZED, Person, Seats, right_csrf, seats_of
from unghost.web.console.forms import Short
from unghost.web.console.rendering import ConsoleRoute, leads_to, page
from unghost.web.console.seats import viewer

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

Here = Annotated[Seats, Depends(seats_of)]


@router.get("/login")
def ask(
    request: Request, here: Here, wanted: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """The form, unless nobody needs to sign in."""
    if here.open_to_all:
        return leads_to("/")
    return page(request, None, "login.html", next=_own(wanted), refused="")


@router.post("/login")
def sign_in(
    request: Request,
    here: Here,
    token: Annotated[str, Form(max_length=500)],
    wanted: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Open a session for a token; another site's form is refused by its origin."""
    session = here.sign_in(token, address=request.client.host if request.client else "")
    if session is None:
        refused = "Nobody has this token. Look whether it was copied whole."
        shown = {"next": _own(wanted), "refused": refused, "status": UNAUTHORIZED}
        return page(request, None, "login.html", **shown)
    answer = leads_to(_own(wanted))
    here.set_cookie(answer, session)
    return answer


@router.post("/logout")
def sign_out(
    request: Request, here: Here, person: Annotated[Person, Depends(viewer)], csrf: Short = ""
) -> Response:
    """End the session."""
    if not right_csrf(person, csrf):
        raise HTTPException(FORBIDDEN, "The form was not made for your session.")
    here.sign_out(request.cookies.get(COOKIE, ""))
    answer = leads_to("/login")
    answer.delete_cookie(COOKIE, path="/")
    return answer


def _own(address: str) -> str:
    """An address of the console itself; one of somebody else's leads to the overview."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    is_own = not parts.scheme and not parts.netloc and address.startswith("/")
    return address if is_own and not address.startswith(("//", "/\\")) else "/"
