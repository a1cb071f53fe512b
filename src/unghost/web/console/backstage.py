"""What the console needs of the service behind it: reads, actions, and who is asking.

The pages know nothing else of the service. Every action takes the person who acts, an idempotency
key, and the version of what that person saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from unghost.adapters.postgres.history import History
from unghost.cycle import Desk, GoNoGo
from unghost.model import AuditRow, Batch, Event
from unghost.rollback import UndoPreview


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Who is asking, and what that person may do; `csrf` is the hidden field of every form."""

    name: str
    role: str
    csrf: str
    may_operate: bool
    may_approve: bool
    signed_in: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """An action as a form sends it: who, once only, and on what was seen."""

    person: Visitor
    key: str
    seen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressSeen:
    """How far a running batch is; `total` is None where nobody knows yet."""

    stage: str
    done: int
    total: int | None

    @property
    def words(self) -> str:
        """`fills, 3 of 12`."""
        return self.stage if self.total is None else f"{self.stage}, {self.done} of {self.total}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """SQL that a batch ran, under the name by which `unghost sql` prints it."""

    name: str
    text: str


class Backstage(Protocol):
    """The service, as the console sees it. Raises UnghostError with a sentence for people."""

    @property
    def history(self) -> History:
        """The record looked back upon."""
        ...

    def profile_ids(self) -> Sequence[str]:
        """The configured profiles, in order."""
        ...

    def desk(self, profile_id: str, *, exchange: bool) -> AbstractContextManager[Desk]:
        """A desk to read at. Raises UsageError for a profile that is not there."""
        ...

    def version(self, profile_id: str) -> str:
        """Of the profile's pause state and newest batch."""
        ...

    def batch_version(self, batch_id: str) -> str:
        """Of a batch and its rows' standing."""
        ...

    def batch(self, batch_id: str) -> Batch:
        """One batch. Raises BatchNotFoundError."""
        ...

    def progress(self, batch_id: str) -> ProgressSeen | None:
        """How far it is, None where it is not running here."""
        ...

    def statements(self, batch: Batch) -> Sequence[Statement]:
        """The SQL behind a batch, with its values."""
        ...

    def pause(self, profile_id: str, act: Act, reason: str) -> None:
        """Pause trading."""
        ...

    def resume(self, profile_id: str, act: Act, reason: str) -> None:
        """Resume trading."""
        ...

    def dry_run(self, profile_id: str, act: Act) -> str:
        """Start a dry run; its batch id."""
        ...

    def apply(self, batch_id: str, act: Act) -> str:
        """Start an apply of a plan; its batch id."""
        ...

    def go_no_go(self, batch_id: str) -> GoNoGo:
        """Judge a plan against the present."""
        ...

    def cannot_apply(self, batch: Batch, person: Visitor) -> str:
        """Why this person may not apply this plan; empty where nothing speaks against it."""
        ...

    def undo_preview(self, name: str, batch_id: str) -> UndoPreview:
        """What a rollback or reinstate would change."""
        ...

    def undo(self, name: str, batch_id: str, act: Act) -> int:
        """Roll back or reinstate; how many rows changed."""
        ...

    def audit(
        self, wanted: Mapping[str, str], *, before: int | None, limit: int
    ) -> Sequence[AuditRow]:
        """Audit rows newest first; `before` is the id at which the page before this one ended."""
        ...

    def events(
        self, wanted: Mapping[str, str], *, before: int | None, limit: int
    ) -> Sequence[Event]:
        """Events newest first, the same way."""
        ...
