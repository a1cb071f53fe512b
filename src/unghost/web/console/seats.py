"""Who sits before the browser: the person of a session, with the rights that an address asks for.

A token in a header is not taken here; programs have the API.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request

from unghost.web.access import COOKIE, UNAUTHORIZED, Person, Role, require_role, seats_of
from unghost.web.operations import Operations


def operations(request: Request) -> Operations:
    """The service behind the pages."""
    found: Operations = request.app.state.operations
    return found


def viewer(request: Request) -> Person:
    """Anybody who has signed in. Raises HTTPException 401."""
    person = seats_of(request).visitor(request.cookies.get(COOKIE, ""))
    if person is None:
        raise HTTPException(UNAUTHORIZED, "Sign in first.")
    request.state.person = person
    return person


def operator(person: Annotated[Person, Depends(viewer)]) -> Person:
    """Who may pause, resume and plan. Raises Problem 403."""
    return require_role(person, Role.OPERATOR)


def approver(person: Annotated[Person, Depends(viewer)]) -> Person:
    """Who may apply, roll back and reinstate. Raises Problem 403."""
    return require_role(person, Role.APPROVER)
