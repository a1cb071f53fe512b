"""The control endpoints under `/_sim/`, and a client for them.

They exist for tests and the demo: a person on this machine changes the world and the faults of a
venue that runs in another process. Only loopback is answered, and no page in a browser.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from unghost.demo.venue.faults import Fault
from unghost.demo.venue.server import VENUE_KEY, Request, Venue
from unghost.demo.world import (
    STRICT,
    Charge,
    Execution,
    Fill,
    Funding,
    Override,
    PositionMode,
    World,
)

PREFIX: Final = "/_sim"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
LOCAL_NAMES: Final = LOOPBACK | {"localhost", "[::1]"}
CALL_SECONDS: Final = 10

STOP_KEY: Final = web.AppKey("stop", asyncio.Event)


@dataclass(frozen=True, kw_only=True)
class ModeChange:
    """Body of POST mode."""

    __pydantic_config__ = STRICT
    account: str
    mode: PositionMode


@dataclass(frozen=True, kw_only=True)
class Skew:
    """Body of POST clock: how far the venue runs ahead, in milliseconds."""

    __pydantic_config__ = STRICT
    offset_ms: int


@dataclass(frozen=True, kw_only=True)
class WeightLimit:
    """Body of POST rate-limit: the weight allowed per minute, null for no limit."""

    __pydantic_config__ = STRICT
    per_minute: int | None


_FAULT = TypeAdapter(Fault)
_FAULTS = TypeAdapter(tuple[Fault, ...])
_EXECUTION = TypeAdapter(Execution)
_FILLS = TypeAdapter(tuple[Fill, ...])
_CHARGE = TypeAdapter(Charge)
_FUNDING = TypeAdapter(Funding)
_OVERRIDE = TypeAdapter(Override)
_REQUESTS = TypeAdapter(tuple[Request, ...])
_MODE = TypeAdapter(ModeChange)
_SKEW = TypeAdapter(Skew)
_LIMIT = TypeAdapter(WeightLimit)

Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_control(app: web.Application, stop: asyncio.Event) -> None:
    """Add the `/_sim/` routes; `stop` is set by POST shutdown."""
    app[STOP_KEY] = stop
    for method, path, handler in _ROUTES:
        app.router.add_route(method, f"{PREFIX}/{path}", _guarded(handler))


def _guarded(handler: Handler) -> Handler:
    """Refuse what is not local (403) and say what is wrong with a body (400)."""

    async def guarded(request: web.Request) -> web.Response:
        if not _is_local(request):
            return web.json_response({"error": "loopback only"}, status=403)
        try:
            return await handler(request)
        except (ValidationError, ValueError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return guarded


def _is_local(request: web.Request) -> bool:
    # A browser tells its Origin, and a rebound name is in Host: neither has a reason to be here.
    name = urlsplit(f"//{request.host}").hostname or ""
    return request.remote in LOOPBACK and name in LOCAL_NAMES and "Origin" not in request.headers


def _venue(request: web.Request) -> Venue:
    return request.app[VENUE_KEY]


def _told(text: bytes) -> web.Response:
    return web.Response(body=text, content_type="application/json")


def _done() -> web.Response:
    return _told(b"{}")


async def _get_world(request: web.Request) -> web.Response:
    return _told(_venue(request).world.to_json().encode())


async def _get_faults(request: web.Request) -> web.Response:
    return _told(_FAULTS.dump_json(_venue(request).faults()))


async def _post_fault(request: web.Request) -> web.Response:
    _venue(request).fault(_FAULT.validate_json(await request.read()))
    return _done()


async def _delete_faults(request: web.Request) -> web.Response:
    _venue(request).clear_faults()
    return _done()


async def _post_execution(request: web.Request) -> web.Response:
    execution = _EXECUTION.validate_json(await request.read())
    return _told(_FILLS.dump_json(_venue(request).world.apply(execution)))


async def _post_funding(request: web.Request) -> web.Response:
    charge = _CHARGE.validate_json(await request.read())
    return _told(_FUNDING.dump_json(_venue(request).world.charge(charge)))


async def _post_override(request: web.Request) -> web.Response:
    _venue(request).world.override(_OVERRIDE.validate_json(await request.read()))
    return _done()


async def _delete_overrides(request: web.Request) -> web.Response:
    _venue(request).world.clear_overrides()
    return _done()


async def _post_mode(request: web.Request) -> web.Response:
    change = _MODE.validate_json(await request.read())
    _venue(request).world.set_mode(change.account, change.mode)
    return _done()


async def _post_clock(request: web.Request) -> web.Response:
    _venue(request).skew(_SKEW.validate_json(await request.read()).offset_ms)
    return _done()


async def _post_rate_limit(request: web.Request) -> web.Response:
    _venue(request).limit_weight(_LIMIT.validate_json(await request.read()).per_minute)
    return _done()


async def _get_requests(request: web.Request) -> web.Response:
    return _told(_REQUESTS.dump_json(_venue(request).requests(request.query.get("endpoint"))))


async def _delete_requests(request: web.Request) -> web.Response:
    _venue(request).clear_requests()
    return _done()


async def _post_shutdown(request: web.Request) -> web.Response:
    request.app[STOP_KEY].set()
    return _done()


_ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "world", _get_world),
    ("GET", "faults", _get_faults),
    ("POST", "faults", _post_fault),
    ("DELETE", "faults", _delete_faults),
    ("POST", "executions", _post_execution),
    ("POST", "fundings", _post_funding),
    ("POST", "overrides", _post_override),
    ("DELETE", "overrides", _delete_overrides),
    ("POST", "mode", _post_mode),
    ("POST", "clock", _post_clock),
    ("POST", "rate-limit", _post_rate_limit),
    ("GET", "requests", _get_requests),
    ("DELETE", "requests", _delete_requests),
    ("POST", "shutdown", _post_shutdown),
)


class ControlRefusedError(Exception):
    """A control endpoint answered with an error; the message is its own."""


class VenueControl:
    """A venue in another process, by the same method names as `Venue` where both have them.

    Every method raises ControlRefusedError where the venue refuses, and OSError where there is
    no venue.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._address = urlsplit(base_url).netloc

    def world(self) -> World:
        """A copy of the world as it is now."""
        return World.from_json(self._call("GET", "world"))

    def fault(self, fault: Fault) -> None:
        """Put a fault on; its calls are counted from now."""
        self._call("POST", "faults", _FAULT.dump_json(fault))

    def faults(self) -> tuple[Fault, ...]:
        """The faults put on."""
        return _FAULTS.validate_json(self._call("GET", "faults"))

    def clear_faults(self) -> None:
        """Take all faults off."""
        self._call("DELETE", "faults")

    def apply(self, execution: Execution) -> tuple[Fill, ...]:
        """Make an execution happen and return its fills."""
        return _FILLS.validate_json(
            self._call("POST", "executions", _EXECUTION.dump_json(execution))
        )

    def charge(self, charge: Charge) -> Funding:
        """Make a funding payment happen."""
        return _FUNDING.validate_json(self._call("POST", "fundings", _CHARGE.dump_json(charge)))

    def override(self, override: Override) -> None:
        """Report a position whatever the fills say."""
        self._call("POST", "overrides", _OVERRIDE.dump_json(override))

    def clear_overrides(self) -> None:
        """Let positions follow from the fills again."""
        self._call("DELETE", "overrides")

    def set_mode(self, account: str, mode: PositionMode) -> None:
        """Switch an account between one-way and hedge."""
        self._call("POST", "mode", _MODE.dump_json(ModeChange(account=account, mode=mode)))

    def skew(self, offset_ms: int) -> None:
        """Set how far the venue's clock runs ahead, in milliseconds."""
        self._call("POST", "clock", _SKEW.dump_json(Skew(offset_ms=offset_ms)))

    def limit_weight(self, per_minute: int | None) -> None:
        """Switch rate limiting on, or off with None."""
        self._call("POST", "rate-limit", _LIMIT.dump_json(WeightLimit(per_minute=per_minute)))

    def requests(self, endpoint: str | None = None) -> tuple[Request, ...]:
        """The calls so far, oldest first; of one endpoint where named."""
        query = "" if endpoint is None else f"?endpoint={endpoint}"
        return _REQUESTS.validate_json(self._call("GET", f"requests{query}"))

    def clear_requests(self) -> None:
        """Forget the calls so far."""
        self._call("DELETE", "requests")

    def shutdown(self) -> None:
        """Stop the venue."""
        self._call("POST", "shutdown")

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = HTTPConnection(self._address, timeout=CALL_SECONDS)
        try:
            connection.request(method, f"{PREFIX}/{path}", body=body)
            response = connection.getresponse()
            told = response.read()
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise ControlRefusedError(_reason(told))
        return told


def _reason(told: bytes) -> str:
    try:
        return str(json.loads(told)["error"])
    except (ValueError, KeyError, TypeError):
        return told.decode(errors="replace")
