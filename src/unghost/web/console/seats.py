"""Who is asking: tokens, sessions, and what each role may do.

A person signs in with a token and gets a session, kept by this process; its cookie holds nothing
but a random name. Where no token is configured everybody is the operator of the machine, which is
why such a console only ever listens on loopback.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from secrets import compare_digest, token_urlsafe
from typing import Annotated, Final

from fastapi import Depends, HTTPException, Request

from unghost.web.console.backstage import Backstage, Visitor
from unghost.web.console.rendering import FORBIDDEN, UNAUTHORIZED

COOKIE: Final = "unghost_session"
SESSION_SECONDS: Final = 12 * 3600
SESSIONS_KEPT: Final = 1000
TRIES: Final = 10
TRIES_SECONDS: Final = 60


class Role(StrEnum):
    """What a person may do; each may do what the one before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


_RANK: Final = {role: number for number, role in enumerate(Role)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A person who may sign in. Only the digest of the token is kept."""

    name: str
    role: Role
    token_digest: str


def digest(token: str) -> str:
    """How a token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Session:
    login: Login
    csrf: str
    until: float


class Seats:
    """The logins, the sessions, and a limit on trying. Safe to share between threads."""

    def __init__(self, logins: Mapping[str, Login], *, operator: str) -> None:
        self._logins = tuple(logins.values())
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._tries: deque[float] = deque(maxlen=TRIES)
        self._lock = threading.Lock()
        self._alone = Visitor(
            name=operator,
            role="no login configured",
            csrf=token_urlsafe(32),
            may_operate=True,
            may_approve=True,
            signed_in=False,
        )

    @property
    def open_to_all(self) -> bool:
        """Whether nobody needs to sign in."""
        return not self._logins

    def sign_in(self, token: str) -> str | None:
        """The name of a new session, None for a token that nobody has. Raises HTTPException 429."""
        now = time.monotonic()
        with self._lock:
            if len(self._tries) == TRIES and now - self._tries[0] < TRIES_SECONDS:
                raise HTTPException(429, "Too many wrong tokens. Wait a minute.")
            given = digest(token.strip())
            found = [one for one in self._logins if compare_digest(one.token_digest, given)]
            if not found:
                self._tries.append(now)
                return None
            return self._open(found[0], now)

    def _open(self, login: Login, now: float) -> str:
        name = token_urlsafe(32)
        self._sessions[digest(name)] = _Session(
            login=login, csrf=token_urlsafe(32), until=now + SESSION_SECONDS
        )
        while len(self._sessions) > SESSIONS_KEPT:
            self._sessions.popitem(last=False)
        return name

    def sign_out(self, name: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(digest(name), None)

    def visitor(self, name: str) -> Visitor | None:
        """Who has this session."""
        if self.open_to_all:
            return self._alone
        with self._lock:
            session = self._sessions.get(digest(name))
        if session is None or session.until < time.monotonic():
            return None
        rank = _RANK[session.login.role]
        return Visitor(
            name=session.login.name,
            role=session.login.role.value,
            csrf=session.csrf,
            may_operate=rank >= _RANK[Role.OPERATOR],
            may_approve=rank >= _RANK[Role.APPROVER],
            signed_in=True,
        )


# --- what routes depend on ---------------------------------------------------------------------


def seats(request: Request) -> Seats:
    """The seats of this service."""
    found = request.app.state.seats
    if not isinstance(found, Seats):
        raise TypeError("the console was opened without seats")
    return found


def backstage(request: Request) -> Backstage:
    """The service behind the pages."""
    found: Backstage = request.app.state.backstage
    return found


def viewer(request: Request, here: Annotated[Seats, Depends(seats)]) -> Visitor:
    """Anybody who has signed in."""
    visitor = here.visitor(request.cookies.get(COOKIE, ""))
    if visitor is None:
        raise HTTPException(UNAUTHORIZED, "Sign in first.")
    request.state.visitor = visitor
    return visitor


def operator(visitor: Annotated[Visitor, Depends(viewer)]) -> Visitor:
    """Who may pause, resume and plan."""
    if not visitor.may_operate:
        raise HTTPException(FORBIDDEN, _needs(Role.OPERATOR, visitor))
    return visitor


def approver(visitor: Annotated[Visitor, Depends(viewer)]) -> Visitor:
    """Who may apply and roll back."""
    if not visitor.may_approve:
        raise HTTPException(FORBIDDEN, _needs(Role.APPROVER, visitor))
    return visitor


def _needs(role: Role, visitor: Visitor) -> str:
    return f"This needs the role {role}, and {visitor.name} is {visitor.role}. Nothing was done."
