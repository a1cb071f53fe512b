"""Scripted faults: what a venue does wrong, to which endpoint, on which calls.

A fault is a value, so a test can list them and a running server can be sent one. Calls are
counted per fault, from the moment it is put on: `on_call(2)` is the second matching call from
now, `since_call(2)` leaves the first page whole and spoils the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock
from typing import Final

from unghost.demo.venue.protocol import Answer, Json
from unghost.demo.world import STRICT, Execution, Override, World

HTML_PAGE: Final = (
    b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Soon</body></html>"
)


class FaultKind(StrEnum):
    """What goes wrong. The fields of `Fault` that a kind reads are named beside it."""

    HTML = "html"  # a web page with status 200
    EMPTY_BODY = "empty_body"  # status 200 and nothing
    NULL = "null"  # status 200 and `null`
    EMPTY_OBJECT = "empty_object"  # status 200 and `{}`
    EMPTY_LIST = "empty_list"  # status 200 and `[]`
    CUT_JSON = "cut_json"  # status 200 and the first half of the true body
    WRONG_CONTENT_TYPE = "wrong_content_type"  # the true body as text/html
    NO_CONTENT = "no_content"  # status 204
    STATUS = "status"  # `status`, `retry_after_seconds`, `body`
    DELAY = "delay"  # `delay_ms`, then the true answer
    RESET = "reset"  # the connection is torn down without an answer
    SKEW = "skew"  # the venue's clock is `skew_ms` off for this call
    EDIT_WORLD = "edit_world"  # `executions` and `overrides` happen just before the answer
    DROP_FIELD = "drop_field"  # row `row` (None: every row) comes without `field_name`
    SET_FIELD = "set_field"  # row `row` (None: every row) has `field_name` set to `value`
    DUPLICATE_ROW = "duplicate_row"  # row `row` comes twice, identical
    CONTRADICT_ROW = "contradict_row"  # as DUPLICATE_ROW, the second with `field_name` changed
    KEEP_ROWS = "keep_rows"  # only the first `rows_kept` rows come


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One scripted fault.

    `endpoint` is the end of the path (`positionRisk`, `execution/list`) or `*`; `face` is the
    CCXT id of the one exchange it strikes, or None for each; `where` are parameters the call
    must carry, as sent. `last_call` None means for ever.
    """

    __pydantic_config__ = STRICT
    kind: FaultKind
    endpoint: str = "*"
    face: str | None = None
    first_call: int = 1
    last_call: int | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    status: int = 503
    retry_after_seconds: int | None = None
    body: str = ""
    delay_ms: int = 60_000
    skew_ms: int = 0
    row: int | None = 0
    field_name: str = ""
    value: str | int | None = None
    rows_kept: int = 0
    executions: tuple[Execution, ...] = ()
    overrides: tuple[Override, ...] = ()

    def on_call(self, call: int) -> Fault:
        """The same fault on the n-th matching call only (the first is 1)."""
        return replace(self, first_call=call, last_call=call)

    def since_call(self, call: int) -> Fault:
        """The same fault from the n-th matching call on."""
        return replace(self, first_call=call, last_call=None)

    def matches(self, face: str, path: str, params: Mapping[str, str]) -> bool:
        """Whether a call is one that this fault counts."""
        here = self.endpoint == "*" or path.endswith("/" + self.endpoint)
        theirs = self.face in (None, face)
        return (
            here and theirs and all(params.get(name) == value for name, value in self.where.items())
        )

    def is_due(self, call: int) -> bool:
        """Whether the n-th matching call is spoiled."""
        return self.first_call <= call and (self.last_call is None or call <= self.last_call)


Action = Callable[[World], None]
Remake = Callable[[Fault, Answer], Answer]
RowChange = Callable[[Fault, list[Json]], None]


@dataclass(kw_only=True)
class _Armed:
    fault: Fault
    action: Action | None
    seen: int = 0


@dataclass(frozen=True, kw_only=True)
class DueFault:
    """A fault that strikes now, with the action a test attached to it."""

    fault: Fault
    action: Action | None


class FaultBook:
    """The faults put on a running venue, and how often each has been passed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._armed: list[_Armed] = []

    def put(self, fault: Fault, action: Action | None = None) -> None:
        """Arm a fault; faults due together strike in the order they were put."""
        with self._lock:
            self._armed.append(_Armed(fault=fault, action=action))

    def clear(self) -> None:
        """Disarm everything."""
        with self._lock:
            self._armed.clear()

    def listed(self) -> tuple[Fault, ...]:
        """The armed faults."""
        with self._lock:
            return tuple(armed.fault for armed in self._armed)

    def due(self, face: str, path: str, params: Mapping[str, str]) -> tuple[DueFault, ...]:
        """Count this call on every fault it matches and return those that strike."""
        with self._lock:
            return tuple(
                DueFault(fault=armed.fault, action=armed.action)
                for armed in self._armed
                if armed.fault.matches(face, path, params) and self._passes(armed)
            )

    def _passes(self, armed: _Armed) -> bool:
        armed.seen += 1
        return armed.fault.is_due(armed.seen)


def edit(due: DueFault, world: World) -> None:
    """Make the world change that a fault carries, if it carries one."""
    for execution in due.fault.executions:
        world.apply(execution)
    for override in due.fault.overrides:
        world.override(override)
    if due.action is not None:
        due.action(world)


def spoil(fault: Fault, answer: Answer, rows: list[Json] | None) -> Answer:
    """The answer as the fault leaves it. `rows` is the list within `answer.body`, changed in place.

    Row faults leave an answer without rows, or without that row, as it is; the kinds that do not
    concern the answer (DELAY, RESET, SKEW, EDIT_WORLD) leave every answer as it is.
    """
    remake = _REMAKES.get(fault.kind)
    if remake is not None:
        return remake(fault, answer)
    change = _ROW_CHANGES.get(fault.kind)
    if change is not None and rows is not None:
        change(fault, rows)
    return answer


def _instead(raw: bytes, content_type: str = "application/json", status: int = 200) -> Remake:
    """Send this and nothing of the true body."""

    def remake(_: Fault, answer: Answer) -> Answer:
        return replace(answer, status=status, raw=raw, content_type=content_type)

    return remake


def _cut(_: Fault, answer: Answer) -> Answer:
    whole = answer.content()
    return replace(answer, raw=whole[: len(whole) // 2])


def _mistyped(_: Fault, answer: Answer) -> Answer:
    return replace(answer, content_type="text/html")


def _refused(fault: Fault, answer: Answer) -> Answer:
    retry = fault.retry_after_seconds
    extra = {} if retry is None else {"Retry-After": str(retry)}
    headers = {**answer.headers, **extra}
    return replace(answer, status=fault.status, raw=fault.body.encode(), headers=headers)


def _drop_field(fault: Fault, rows: list[Json]) -> None:
    for row in _chosen(fault, rows):
        row.pop(fault.field_name, None)


def _set_field(fault: Fault, rows: list[Json]) -> None:
    for row in _chosen(fault, rows):
        row[fault.field_name] = fault.value


def _chosen(fault: Fault, rows: list[Json]) -> list[dict[str, Json]]:
    return [
        row
        for number, row in enumerate(rows)
        if isinstance(row, dict) and fault.row in (None, number)
    ]


def _duplicate(fault: Fault, rows: list[Json]) -> None:
    at = fault.row or 0
    rows[at + 1 : at + 1] = [dict(row) for row in rows[at : at + 1] if isinstance(row, dict)]


def _contradict(fault: Fault, rows: list[Json]) -> None:
    before = len(rows)
    _duplicate(fault, rows)
    if len(rows) > before:
        _set_field(replace(fault, row=(fault.row or 0) + 1), rows)


def _keep(fault: Fault, rows: list[Json]) -> None:
    del rows[fault.rows_kept :]


_REMAKES: Final[Mapping[FaultKind, Remake]] = {
    FaultKind.HTML: _instead(HTML_PAGE, "text/html"),
    FaultKind.EMPTY_BODY: _instead(b""),
    FaultKind.NULL: _instead(b"null"),
    FaultKind.EMPTY_OBJECT: _instead(b"{}"),
    FaultKind.EMPTY_LIST: _instead(b"[]"),
    FaultKind.NO_CONTENT: _instead(b"", status=204),
    FaultKind.CUT_JSON: _cut,
    FaultKind.WRONG_CONTENT_TYPE: _mistyped,
    FaultKind.STATUS: _refused,
}
_ROW_CHANGES: Final[Mapping[FaultKind, RowChange]] = {
    FaultKind.DROP_FIELD: _drop_field,
    FaultKind.SET_FIELD: _set_field,
    FaultKind.DUPLICATE_ROW: _duplicate,
    FaultKind.CONTRADICT_ROW: _contradict,
    FaultKind.KEEP_ROWS: _keep,
}


def overdue(due: tuple[DueFault, ...]) -> int:
    """Milliseconds by which the faults of one call delay its answer."""
    return sum(d.fault.delay_ms for d in due if d.fault.kind is FaultKind.DELAY)


def skew(due: tuple[DueFault, ...]) -> int:
    """Milliseconds by which the faults of one call shift the venue's clock."""
    return sum(d.fault.skew_ms for d in due if d.fault.kind is FaultKind.SKEW)


def is_reset(due: tuple[DueFault, ...]) -> bool:
    """Whether the connection is torn down."""
    return any(d.fault.kind is FaultKind.RESET for d in due)
