"""The HTTP side of the simulated venue: faces, faults, the request log and the rate limit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Lock
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from unghost.demo.venue.binance_spot import BinanceSpot
from unghost.demo.venue.binanceusdm import BinanceUsdm
from unghost.demo.venue.bybit import Bybit
from unghost.demo.venue.faults import (
    Action,
    DueFault,
    Fault,
    FaultBook,
    FaultKind,
    edit,
    is_reset,
    overdue,
    skew,
    spoil,
)
from unghost.demo.venue.okx import Okx
from unghost.demo.venue.protocol import Answer, Call, Excess, Face
from unghost.demo.world import STRICT, World

FACES: Final[tuple[Face, ...]] = (BinanceUsdm(), BinanceSpot(), Bybit(), Okx())
"""The faces that every venue has; a test may bring others."""
MAX_RECORDS: Final = 100_000
SECRET_PARAMS: Final = frozenset({"signature"})


@dataclass(frozen=True, kw_only=True)
class Request:
    """One line of the request log. `status` 0: the connection was torn down instead."""

    __pydantic_config__ = STRICT
    method: str
    path: str
    params: Mapping[str, str]
    status: int
    at: int
    faults: tuple[FaultKind, ...] = ()

    @property
    def endpoint(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class WeightMeter:
    """Request weight used in the current minute of this machine's clock."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self.used = 0
        self._minute = 0

    def add(self, weight: int) -> int:
        """Charge a call and return the minute's total with it."""
        minute = time.time_ns() // 60_000_000_000
        if minute != self._minute:
            self._minute, self.used = minute, 0
        self.used += weight
        return self.used

    def is_over(self) -> bool:
        """Whether the limit, where one is set, is exceeded."""
        return self.limit is not None and self.used > self.limit

    @staticmethod
    def seconds_left() -> int:
        """Seconds until the next minute starts, at least one."""
        return max(1, 60 - (time.time_ns() // 1_000_000_000) % 60)


class Venue:
    """A running venue, as tests hold it: the world, the faults, the log and the address.

    Every method may be called from another thread than the server's.
    """

    def __init__(self, world: World, *, faces: Sequence[Face] = FACES) -> None:
        self.world = world
        self.faces = tuple(faces)
        self.base_url = ""
        self.meters = {face.name: WeightMeter() for face in faces}
        self._book = FaultBook()
        self._log: deque[Request] = deque(maxlen=MAX_RECORDS)
        self._lock = Lock()

    def fault(self, fault: Fault) -> None:
        """Put a fault on; its calls are counted from now."""
        self._book.put(fault)

    def faults(self) -> tuple[Fault, ...]:
        """The faults put on."""
        return self._book.listed()

    def clear_faults(self) -> None:
        """Take all faults off."""
        self._book.clear()

    def before(self, endpoint: str, action: Action, *, call: int = 1) -> None:
        """Let `action` change the world just before the n-th call of an endpoint is answered."""
        fault = Fault(kind=FaultKind.EDIT_WORLD, endpoint=endpoint).on_call(call)
        self._book.put(fault, action)

    def skew(self, offset_ms: int) -> None:
        """Set how far the venue's clock runs ahead of this machine's (below zero: behind)."""
        self.world.clock.offset_ms = offset_ms

    def limit_weight(self, per_minute: int | None) -> None:
        """Switch rate limiting on, or off with None; what was used so far is forgotten.

        Each face counts for itself.
        """
        for meter in self.meters.values():
            meter.limit, meter.used = per_minute, 0

    def requests(self, endpoint: str | None = None) -> tuple[Request, ...]:
        """The calls so far, oldest first; of one endpoint (the end of its path) where named."""
        with self._lock:
            told = tuple(self._log)
        if endpoint is None:
            return told
        return tuple(each for each in told if each.path.endswith("/" + endpoint))

    def clear_requests(self) -> None:
        """Forget the calls so far."""
        with self._lock:
            self._log.clear()

    def record(self, request: Request) -> None:
        """Write a line into the log."""
        with self._lock:
            self._log.append(request)

    def due(self, face: Face, call: Call) -> tuple[DueFault, ...]:
        """The faults that strike this call."""
        return self._book.due(face.name, call.path, call.params)

    def answer(self, face: Face, call: Call, due: tuple[DueFault, ...]) -> Answer:
        """The answer to a call: the face's, the rate limit's, and then what faults make of it."""
        used = self.meters[face.name].add(face.weight(call))
        answer = self._true_answer(face, call, used)
        answer = replace(answer, headers={**answer.headers, **face.meter_headers(used)})
        for each in due:
            answer = spoil(each.fault, answer, face.rows(answer.body))
        return answer

    def _true_answer(self, face: Face, call: Call, used: int) -> Answer:
        meter = self.meters[face.name]
        if meter.is_over():
            excess = Excess(used=used, limit=meter.limit or 0, seconds_left=meter.seconds_left())
            return face.too_many(call, excess)
        return face.answer(self.world, call)


VENUE_KEY: Final = web.AppKey("venue", Venue)


def add_faces(app: web.Application) -> None:
    """Let the application answer every path no other route has, by the face that owns it."""
    app.router.add_route("*", "/{path:.*}", _serve)


async def _serve(request: web.Request) -> web.StreamResponse:
    venue = request.app[VENUE_KEY]
    call = await _read(request, venue.world.clock.now_ms())
    face = next((each for each in venue.faces if each.owns(call.path)), None)
    if face is None:
        return web.json_response({"error": "no venue has this path"}, status=404)
    due = venue.due(face, call)
    for each in due:
        edit(each, venue.world)
    call = replace(call, now_ms=call.now_ms + skew(due))
    answer = venue.answer(face, call, due)
    venue.record(_line(call, answer, due))
    return await _send(request, answer, due)


async def _read(request: web.Request, now_ms: int) -> Call:
    # The raw target: what is signed is the text as sent, not as a URL library would respell it.
    path, _, query = request.raw_path.partition("?")
    return Call(
        method=request.method,
        path=unquote(path),
        query=query,
        body=await request.text(),
        headers=request.headers,
        now_ms=now_ms,
    )


def _line(call: Call, answer: Answer, due: tuple[DueFault, ...]) -> Request:
    return Request(
        method=call.method,
        path=call.path,
        params={k: v for k, v in call.params.items() if k not in SECRET_PARAMS},
        status=0 if is_reset(due) else answer.status,
        at=call.now_ms,
        faults=tuple(each.fault.kind for each in due),
    )


async def _send(
    request: web.Request, answer: Answer, due: tuple[DueFault, ...]
) -> web.StreamResponse:
    delay = overdue(due)
    if delay:
        await asyncio.sleep(timedelta(milliseconds=delay).total_seconds())
    if is_reset(due) and request.transport is not None:
        request.transport.abort()
    return web.Response(
        status=answer.status,
        body=answer.content(),
        headers={**answer.headers, "Content-Type": answer.content_type},
    )
