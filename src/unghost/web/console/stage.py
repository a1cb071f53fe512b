"""The service as the console sees it, over the desks of one process.

Reads share one desk for each profile; a cycle gets a desk of its own in a thread, so that looking
never waits for it. The same form sent twice acts once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from unghost.adapters.postgres.history import History
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.assembly import Tell, open_database, open_desk, require_migrated
from unghost.cycle import Desk, GoNoGo, go_no_go, run_cycle
from unghost.errors import BatchNotFoundError, RefusedError, UnghostError, UsageError
from unghost.model import AuditRow, Batch, Event, Mode, PauseReading, PauseState
from unghost.rollback import (
    UndoPreview,
    preview_reinstate,
    preview_rollback,
    reinstate,
    roll_back,
)
from unghost.settings import Settings, load_profiles
from unghost.web.console.backstage import Act, ProgressSeen, Statement, Visitor
from unghost.web.console.environment import batch_address, profile_address
from unghost.web.console.rendering import Moved
from unghost.web.console.versions import moved, version

log = structlog.get_logger("unghost")

START_SECONDS: Final = 30
KEYS_KEPT: Final = 1000
STATEMENTS: Final = {
    Mode.DRY_RUN: ("detect", "verify", "dry_run_rows", "account_rows"),
    Mode.APPLY: ("detect", "verify", "insert", "applied_rows", "rollback", "mark_reverted"),
}


class ProgressBoard:
    """How far each running batch of this process is; a `ports.Progress` for one of them."""

    def __init__(self) -> None:
        self._seen: dict[str, ProgressSeen] = {}

    def of(self, batch_id: str) -> ProgressSeen | None:
        """What was last told of a batch."""
        return self._seen.get(batch_id)

    def tell(self, batch_id: str, seen: ProgressSeen) -> None:
        """Keep what a batch tells."""
        self._seen[batch_id] = seen

    def forget(self, batch_id: str) -> None:
        """A batch has ended."""
        self._seen.pop(batch_id, None)


@dataclass(kw_only=True)
class Run:
    """One cycle in a thread. `started` is set once the batch is known, or it failed before."""

    board: ProgressBoard
    batch_id: str = ""
    trouble: UnghostError | None = None
    started: threading.Event = field(default_factory=threading.Event)

    def step(self, stage: str, done: int, total: int | None, detail: str = "") -> None:  # noqa: ARG002 - as the protocol has it
        """Called by the stages of the cycle, whose log lines carry the batch's id."""
        if not self.batch_id:
            self.begin(str(structlog.contextvars.get_contextvars().get("batch_id", "")))
        if self.batch_id:
            self.board.tell(self.batch_id, ProgressSeen(stage=stage, done=done, total=total))

    def begin(self, batch_id: str) -> None:
        """The batch is there: whoever waits for it may go on."""
        if batch_id:
            self.batch_id = batch_id
            self.started.set()


class Stage:
    """A `Backstage` for the profiles of one configuration."""

    def __init__(self, settings: Settings, desks: Mapping[str, Desk], history: History) -> None:
        self._settings = settings
        self._desks = desks
        self.history = history
        self._turns = {name: threading.Lock() for name in desks}
        self._board = ProgressBoard()
        self._done: OrderedDict[str, str] = OrderedDict()
        self._acting = threading.Lock()

    # reads -------------------------------------------------------------------------------------

    def profile_ids(self) -> Sequence[str]:
        """The configured profiles, in order."""
        return tuple(self._desks)

    @contextmanager
    def desk(self, profile_id: str, *, exchange: bool) -> Iterator[Desk]:
        """The profile's desk; who asks the exchange is alone at it."""
        desk = self._known(profile_id)
        if not exchange:
            yield desk
            return
        with self._turns[profile_id]:
            yield desk

    def _known(self, profile_id: str) -> Desk:
        desk = self._desks.get(profile_id)
        if desk is None:
            known = ", ".join(self._desks) or "none"
            raise UsageError(f"There is no profile {profile_id!r}; known are: {known}.")
        return desk

    def _pause(self, profile_id: str) -> PauseReading:
        return self._known(profile_id).pause.read(profile_id)

    def version(self, profile_id: str) -> str:
        """Of the profile's trading status."""
        return version(pause=_pause_words(self._pause(profile_id)))

    def batch_version(self, batch_id: str) -> str:
        """Of a batch: its status, rows rolled back, the newest apply, and the trading status."""
        batch = self.batch(batch_id)
        rows = self._known(batch.profile_id).ledger.audit_rows(batch_id=batch_id)
        return version(
            status=batch.status,
            undone=sum(row.reverted_at is not None for row in rows),
            apply=self.history.newest_apply(batch.profile_id),
            pause=_pause_words(self._pause(batch.profile_id)),
        )

    def batch(self, batch_id: str) -> Batch:
        """One batch of a configured profile."""
        for desk in self._desks.values():
            found = desk.ledger.batch(batch_id)
            if found is not None and found.profile_id in self._desks:
                return found
        raise BatchNotFoundError(f"There is no batch {batch_id!r}.")

    def progress(self, batch_id: str) -> ProgressSeen | None:
        """How far a batch of this process is."""
        return self._board.of(batch_id)

    def statements(self, batch: Batch) -> Sequence[Statement]:
        """What the batch ran, with its values."""
        ledger = self._known(batch.profile_id).ledger
        if not isinstance(ledger, PostgresLedger):
            return ()
        values = {"profile_id": batch.profile_id, "batch_id": batch.batch_id}
        return [
            Statement(name=name, text=ledger.statement(name, values))
            for name in STATEMENTS[batch.mode]
        ]

    def audit(
        self, wanted: Mapping[str, str], *, before: int | None, limit: int
    ) -> Sequence[AuditRow]:
        """Audit rows of the configured profiles."""
        return self.history.audit_page(self.profile_ids(), wanted, before_id=before, limit=limit)

    def events(
        self, wanted: Mapping[str, str], *, before: int | None, limit: int
    ) -> Sequence[Event]:
        """Events of the configured profiles."""
        return self.history.event_page(self.profile_ids(), wanted, before_id=before, limit=limit)

    def go_no_go(self, batch_id: str) -> GoNoGo:
        """Read everything again and judge."""
        profile_id = self.batch(batch_id).profile_id
        with self.desk(profile_id, exchange=True) as desk:
            return go_no_go(desk, batch_id)

    def cannot_apply(self, batch: Batch, person: Visitor) -> str:
        """Rights are enforced where the form arrives; this only says so beforehand."""
        if not person.may_approve:
            return "Applying it needs the role approver."
        return "" if batch.mode is Mode.DRY_RUN else "Only a dry run is a plan."

    def undo_preview(self, name: str, batch_id: str) -> UndoPreview:
        """What an undo would change."""
        with self.desk(self.batch(batch_id).profile_id, exchange=False) as desk:
            preview = preview_rollback if name == "rollback" else preview_reinstate
            return preview(desk, batch_id)

    # actions -----------------------------------------------------------------------------------

    def _once(self, act: Act, what: str, now: str, back: str, do: Callable[[], str]) -> str:
        """Do it, unless this very form was sent before; refuse where what it showed has moved."""
        with self._acting:
            name = f"{act.person.name}\n{what}\n{act.key}"
            if name in self._done:
                return self._done[name]
            sentences = moved(act.seen, now)
            if sentences:
                raise Moved(sentences, back)
            self._done[name] = result = do()
            while len(self._done) > KEYS_KEPT:
                self._done.popitem(last=False)
            return result

    def pause(self, profile_id: str, act: Act, reason: str) -> None:
        """Pause trading."""
        self._set_pause(profile_id, act, reason, TradingProfiles.pause)

    def resume(self, profile_id: str, act: Act, reason: str) -> None:
        """Resume trading; waits for a backfill that is being written."""
        self._set_pause(profile_id, act, reason, TradingProfiles.resume)

    def _set_pause(
        self, profile_id: str, act: Act, reason: str, setter: Callable[..., PauseReading]
    ) -> None:
        gate = self._known(profile_id).pause
        if not isinstance(gate, TradingProfiles):
            raise RefusedError(f"The bot of {profile_id} keeps its trading status itself.")

        def do() -> str:
            return setter(gate, profile_id, actor=act.person.name, reason=reason or None).state

        back = profile_address(profile_id)
        self._once(act, f"{setter.__name__} {profile_id}", self.version(profile_id), back, do)

    def dry_run(self, profile_id: str, act: Act) -> str:
        """Start a dry run in a thread."""

        def do() -> str:
            settings = self._settings.model_copy(update={"dry_run": True})
            return self._start(settings, profile_id, act.person.name, plan=None)

        back = profile_address(profile_id)
        return self._once(act, f"dry run {profile_id}", self.version(profile_id), back, do)

    def apply(self, batch_id: str, act: Act) -> str:
        """Start an apply of exactly this plan in a thread."""
        plan = self.batch(batch_id)
        refused = self.cannot_apply(plan, act.person)
        if refused:
            raise RefusedError(refused)

        def do() -> str:
            settings = self._settings.model_copy(update={"dry_run": False})
            return self._start(settings, plan.profile_id, act.person.name, plan=batch_id)

        back = batch_address(batch_id)
        return self._once(act, f"apply {batch_id}", self.batch_version(batch_id), back, do)

    def undo(self, name: str, batch_id: str, act: Act) -> int:
        """Roll back or reinstate."""
        profile_id = self.batch(batch_id).profile_id
        change = roll_back if name == "rollback" else reinstate

        def do() -> str:
            with self.desk(profile_id, exchange=True) as desk:
                return str(len(change(desk, batch_id, actor=act.person.name)))

        back = f"{batch_address(batch_id)}/{name}"
        return int(self._once(act, f"{name} {batch_id}", self.batch_version(batch_id), back, do))

    def _start(self, settings: Settings, profile_id: str, actor: str, *, plan: str | None) -> str:
        """Start a cycle; returns its batch as soon as that is in the database."""
        if not settings.enabled:
            raise RefusedError(
                "ENABLE_RECON_EXIT_BACKFILL is false: set it to true where unghost is started."
            )
        run = Run(board=self._board)
        arguments = (settings, profile_id, actor, plan, run)
        threading.Thread(target=_run, args=arguments, name="console-cycle", daemon=True).start()
        if not run.started.wait(START_SECONDS):
            raise RefusedError(f"The cycle did not start within {START_SECONDS} seconds.")
        if run.trouble is not None:
            raise run.trouble
        return run.batch_id


def _run(settings: Settings, profile_id: str, actor: str, plan: str | None, run: Run) -> None:
    """One cycle at a desk of its own. An error before the batch began is the starter's to tell."""
    try:
        with open_desk(settings, profile_id, needs_exchange=True) as desk:
            report = run_cycle(desk, actor=actor, plan=plan, progress=run)
            run.begin(report.batch.batch_id if report.batch else "")
    except UnghostError as error:
        run.trouble = error
        log.warning("the cycle ended", profile_id=profile_id, error=str(error))
    finally:
        run.board.forget(run.batch_id)
        run.started.set()


def _pause_words(pause: PauseReading) -> str:
    if pause.state is PauseState.UNKNOWN or pause.since is None:
        return str(pause.state)
    return f"{pause.state} since {pause.since:%Y-%m-%d %H:%M:%S} by {pause.actor}"


@contextmanager
def open_stage(settings: Settings, *, tell: Tell) -> Iterator[Stage]:
    """Open a desk for every configured profile, and the record."""
    profiles = load_profiles(settings)
    with ExitStack() as stack:
        database = stack.enter_context(open_database(settings, tell=tell))
        require_migrated(database)
        desks = {
            name: stack.enter_context(open_desk(settings, name, needs_exchange=True))
            for name in profiles.names()
        }
        yield Stage(settings, desks, History(database))
