"""Who is asking, and what that person may do: tokens, sessions, roles.

A program sends a token; a person signs in with one in the browser and gets a session, which this
process keeps: the cookie holds nothing but a random name. Of a token only the SHA-256 is kept
anywhere. Where no token is configured everybody is the operator of the machine, which is why such
a service only listens on loopback.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from secrets import compare_digest, token_urlsafe
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from unghost.errors import ConfigurationError
from unghost.settings import Settings
from unghost.settings.parsing import text_of_file
from unghost.web.problems import Problem

COOKIE: Final = "unghost_session"
SESSION_SECONDS: Final = 12 * 3600
SESSIONS_KEPT: Final = 1000
TRIES: Final = 10
TRIES_SECONDS: Final = 60
ADDRESSES_KEPT: Final = 1000

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
TOO_MANY: Final = 429


class Role(StrEnum):
    """What a person may do; each may do what the one before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


_RANK: Final = {role: number for number, role in enumerate(Role)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Who is asking. `csrf` is the hidden field of every form of that person's session."""

    name: str
    role: Role
    csrf: str = ""
    signed_in: bool = True

    def may(self, role: Role) -> bool:
        """Whether the person has the rights of this role."""
        return _RANK[self.role] >= _RANK[role]

    @property
    def may_operate(self) -> bool:
        """Pause, resume, dry run."""
        return self.may(Role.OPERATOR)

    @property
    def may_approve(self) -> bool:
        """Apply, roll back, reinstate."""
        return self.may(Role.APPROVER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A person who may come in, with the SHA-256 of the token in hexadecimal."""

    name: str
    role: Role
    digest: str


# --- tokens ------------------------------------------------------------------------------------

_LINE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9_.@+-]{1,100}):(?P<role>\w+):sha256:(?P<digest>[0-9a-f]{64})"
)
TOKEN_PREFIX: Final = "ughst_"  # noqa: S105 - no token, but what each starts with


def token_digest(token: str) -> str:
    """How a token is kept: it is random and long, so that a quick hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """A token that nobody can guess."""
    return TOKEN_PREFIX + token_urlsafe(32)


def login_line(name: str, role: Role, token: str) -> str:
    """What goes into UNGHOST_TOKENS or the file."""
    return f"{name}:{role}:sha256:{token_digest(token)}"


def read_logins(settings: Settings) -> tuple[Login, ...]:
    """Everybody who may come in. Raises ConfigurationError for a line that is none.

    The line itself is not told: somebody may have put a token there.
    """
    found = list(_from_environment(settings)) + list(_from_file(settings))
    for what in ("name", "digest"):
        values = [getattr(login, what) for login in found]
        if len(set(values)) != len(values):
            raise ConfigurationError(f"Two logins have the same {what}: each needs its own.")
    return tuple(found)


def _from_environment(settings: Settings) -> Iterable[Login]:
    if settings.tokens is None:
        return
    words = re.split(r"[\s,]+", settings.tokens.get_secret_value())
    for number, word in enumerate(filter(None, words), start=1):
        yield _login(word, f"entry {number} of UNGHOST_TOKENS")


def _from_file(settings: Settings) -> Iterable[Login]:
    if settings.tokens_file is None:
        return
    try:
        lines = text_of_file(settings.tokens_file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"UNGHOST_TOKENS_FILE {settings.tokens_file} cannot be read:"
            f" {getattr(error, 'strerror', None) or 'it is not text'}."
        ) from None
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _login(line.strip(), f"line {number} of {settings.tokens_file}")


def read_login(text: str) -> Login | None:
    """One login; None for a text that is none."""
    found = _LINE.fullmatch(text)
    if found is None or found["role"] not in set(Role):
        return None
    return Login(name=found["name"], role=Role(found["role"]), digest=found["digest"])


def _login(text: str, where: str) -> Login:
    found = read_login(text)
    if found is None:
        raise ConfigurationError(
            f"{where} is not NAME:ROLE:sha256:HASH with a role of {', '.join(Role)}:"
            " `unghost token NAME --role ROLE` makes one."
        )
    return found


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe(host: str, logins: tuple[Login, ...]) -> None:
    """Without logins, everybody who reaches the service may do everything: loopback only."""
    if not logins and not is_loopback(host):
        raise ConfigurationError(
            f"No tokens are configured, and UNGHOST_BIND is {host}: set UNGHOST_TOKENS or"
            " UNGHOST_TOKENS_FILE (`unghost token` makes one), or bind to 127.0.0.1."
        )


# --- sessions ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Session:
    person: Person
    until: float


class Seats:
    """The logins, the sessions, and a limit on trying. Safe to share between threads."""

    def __init__(self, logins: Iterable[Login], *, operator: str, secure: bool = False) -> None:
        self._logins = tuple(logins)
        self.secure: Final = secure
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()
        self._alone = Person(
            name=operator, role=Role.APPROVER, csrf=token_urlsafe(32), signed_in=False
        )

    @property
    def open_to_all(self) -> bool:
        """Whether nobody needs to sign in."""
        return not self._logins

    def holder(self, token: str, *, address: str = "") -> Person | None:
        """Who has this token; None where nobody has.

        Raises Problem 429 where an address has sent too many wrong ones.
        """
        given = token_digest(token.strip())
        now = time.monotonic()
        with self._lock:
            self._refuse_guessing(address, now)
            found = [one for one in self._logins if compare_digest(one.digest, given)]
            if not found:
                self._remember(address, now)
                return None
        return Person(name=found[0].name, role=found[0].role)

    def _refuse_guessing(self, address: str, now: float) -> None:
        tries = self._tries.get(address)
        if tries and len(tries) == TRIES and now - tries[0] < TRIES_SECONDS:
            raise Problem(
                TOO_MANY,
                "Too many wrong tokens came from your address: wait a minute.",
                headers={"Retry-After": str(TRIES_SECONDS)},
            )

    def _remember(self, address: str, now: float) -> None:
        self._tries.setdefault(address, deque(maxlen=TRIES)).append(now)
        self._tries.move_to_end(address)
        while len(self._tries) > ADDRESSES_KEPT:
            self._tries.popitem(last=False)

    def sign_in(self, token: str, *, address: str = "") -> str | None:
        """The name of a new session; None for a token that nobody has. Raises like `holder`."""
        person = self.holder(token, address=address)
        if person is None:
            return None
        name = token_urlsafe(32)
        seated = Person(name=person.name, role=person.role, csrf=token_urlsafe(32))
        with self._lock:
            self._sessions[token_digest(name)] = _Session(
                person=seated, until=time.monotonic() + SESSION_SECONDS
            )
            while len(self._sessions) > SESSIONS_KEPT:
                self._sessions.popitem(last=False)
        return name

    def sign_out(self, name: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(token_digest(name), None)

    def visitor(self, name: str) -> Person | None:
        """Who has this session; everybody where nobody needs to sign in."""
        if self.open_to_all:
            return self._alone
        with self._lock:
            session = self._sessions.get(token_digest(name))
        if session is None or session.until < time.monotonic():
            return None
        return session.person

    def set_cookie(self, answer: Response, session: str) -> None:
        """HttpOnly, SameSite=Strict, and Secure wherever others could listen."""
        answer.set_cookie(
            COOKIE,
            session,
            max_age=SESSION_SECONDS,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="strict",
        )


def right_csrf(person: Person, given: str) -> bool:
    """Whether a form was made for this session."""
    return bool(person.csrf) and compare_digest(given.encode(), person.csrf.encode())


# --- what routes depend on ---------------------------------------------------------------------
# Asynchronous though nothing is waited for: a plain function would cost a thread for each of them.


def seats_of(request: Request) -> Seats:
    """The seats of this service."""
    found: Seats = request.app.state.seats
    return found


async def asking(request: Request) -> Person | None:
    """Who is asking, by token or by session; None for a stranger.

    A session may act through the API only with its CSRF token in `X-CSRF-Token`.
    """
    seats = seats_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if seats.open_to_all:
        return seats.visitor("")
    if scheme:
        address = request.client.host if request.client else ""
        is_bearer = scheme.lower() == "bearer"
        return seats.holder(token, address=address) if is_bearer else None
    person = seats.visitor(request.cookies.get(COOKIE, ""))
    is_reading = request.method in {"GET", "HEAD", "OPTIONS"}
    csrf = request.headers.get("x-csrf-token", "")
    if person is not None and not is_reading and not right_csrf(person, csrf):
        raise Problem(FORBIDDEN, "The request lacks the X-CSRF-Token of your session.")
    return person


Asking = Annotated[Person | None, Depends(asking)]


async def viewer(request: Request, person: Asking) -> Person:
    """Anybody who is known."""
    if person is None:
        raise Problem(
            UNAUTHORIZED,
            "Send a token: Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": 'Bearer realm="unghost"'},
        )
    request.state.person = person
    return person


async def operator(person: Annotated[Person, Depends(viewer)]) -> Person:
    """Who may pause, resume and plan."""
    return require_role(person, Role.OPERATOR)


async def approver(person: Annotated[Person, Depends(viewer)]) -> Person:
    """Who may apply, roll back and reinstate."""
    return require_role(person, Role.APPROVER)


def require_role(person: Person, role: Role) -> Person:
    """Raises Problem 403 for a person of a lesser role."""
    if not person.may(role):
        raise Problem(FORBIDDEN, f"This needs the role {role}, and {person.name} is {person.role}.")
    return person


Viewer = Annotated[Person, Depends(viewer)]
Operator = Annotated[Person, Depends(operator)]
Approver = Annotated[Person, Depends(approver)]
