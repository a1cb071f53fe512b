"""What people and programs can do through the service: one façade for API and console.

Plain functions over the cycle, the undo and the record; HTTP is not known here. Every action takes
the person who acts, a key under which it is done once only, and the version of what was seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar, cast

from unghost.adapters.notifications import Notice, Notifier
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.adapters.postgres.service import LoopState, ServiceBooks
from unghost.assembly import House
from unghost.cycle import CycleReport, GoNoGo, SymbolReport, detect_ghosts, go_no_go, inspect_symbol
from unghost.desk import Desk
from unghost.documents import as_json
from unghost.errors import BatchNotFoundError, RefusedError
from unghost.model import AuditRow, Batch, Event, Mode, PauseReading, PauseState
from unghost.notices import notices
from unghost.report import explain_rows
from unghost.rollback import (
    UndoPreview,
    preview_reinstate,
    preview_rollback,
    reinstate,
    roll_back,
)
from unghost.web.problems import MovedError, NotHereError, Problem
from unghost.web.readings import SharedReadings
from unghost.web.runs import Order, ProgressSeen, Runs
from unghost.web.versions import moved, pause_words, version
from unghost.web.views import (
    ZERO,
    Explained,
    LifecycleDetail,
    OpenLifecycle,
    ProfileSeen,
    last_decision,
    open_lifecycle,
)

STATEMENTS: Final = {
    Mode.DRY_RUN: ("detect", "verify", "dry_run_rows", "account_rows"),
    Mode.APPLY: ("detect", "verify", "insert", "applied_rows", "rollback", "mark_reverted"),
}
STATUSES_AT_ONCE: Final = 32
"""A bot's own address may take seconds to answer."""

LISTS_AT_ONCE: Final = 4
"""Each takes time of this process, and connections that actions need too."""

_Answer = TypeVar("_Answer", str, int)
ROLLBACK, REINSTATE = "rollback", "reinstate"


class Acting(Protocol):
    """Who acts."""

    @property
    def name(self) -> str: ...  # noqa: D102 - named by its type
    @property
    def may_approve(self) -> bool: ...  # noqa: D102 - named by its type


class Act(Protocol):
    """An action: who, under which key, and on what was seen. An empty text means: none given."""

    @property
    def person(self) -> Acting: ...  # noqa: D102 - named by its type
    @property
    def key(self) -> str: ...  # noqa: D102 - named by its type
    @property
    def seen(self) -> str: ...  # noqa: D102 - named by its type


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """SQL that a batch ran, under the name by which `unghost sql` prints it."""

    name: str
    text: str


class Operations:
    """The service without HTTP. Raises UnghostError with a sentence for people."""

    def __init__(self, house: House, notifier: Notifier) -> None:
        self.house = house
        self.books = ServiceBooks(house.database)
        self._notifier = notifier
        self.pauses = SharedReadings(self.pause_state, at_once=STATUSES_AT_ONCE)
        self.lifecycle_lists = SharedReadings(self._lifecycle_list, at_once=LISTS_AT_ONCE)
        self._runs = Runs(house, finished=self._tell)

    def close(self) -> None:
        """Wait for what runs."""
        self._runs.close()
        self.pauses.close()
        self.lifecycle_lists.close()

    # profiles ----------------------------------------------------------------------------------

    def profile_ids(self) -> Sequence[str]:
        """The configured profiles, in order."""
        return self.house.names()

    def known(self, profile_id: str | None) -> str:
        """The profile that is meant. Raises Problem 400 naming all, NotHereError for an unknown."""
        names = self.profile_ids()
        if profile_id is None:
            if len(names) > 1:
                told = ", ".join(names)
                raise Problem(400, f"Name one of the profiles with ?profile=: {told}.")
            return names[0]
        if profile_id not in names:
            raise NotHereError(
                f"There is no profile {profile_id!r}; known are: {', '.join(names)}."
            )
        return profile_id

    def desk(self, profile_id: str, *, exchange: bool) -> AbstractContextManager[Desk]:
        """A desk to read at. Raises NotHereError."""
        return self.house.desk(self.known(profile_id), needs_exchange=exchange)

    def pause_state(self, profile_id: str) -> PauseReading:
        """The trading status now."""
        name = self.known(profile_id)
        return self.house.pause_gate(name).read(name)

    def profiles(self) -> tuple[ProfileSeen, ...]:
        """Every profile at a glance."""
        states = {one.profile_id: one for one in self.loop_states()}
        return tuple(self._profile(name, states.get(name)) for name in self.profile_ids())

    def profile(self, profile_id: str) -> ProfileSeen:
        """One profile at a glance."""
        name = self.known(profile_id)
        states = self.books.loop_states([name])
        return self._profile(name, states[0] if states else None)

    def _profile(self, name: str, state: LoopState | None) -> ProfileSeen:
        with self.desk(name, exchange=False) as desk:
            opened = tuple(open_lifecycle(one, desk) for one in detect_ghosts(desk))
            batches = desk.ledger.batches(name, limit=1)
            return ProfileSeen(
                profile_id=name,
                exchange=self.house.profiles.by_name[name].exchange,
                account=desk.profile.account,
                pause=desk.pause.read(name),
                own_pause=desk.own_pause,
                enabled=desk.enabled,
                mode=desk.rules.mode,
                open_lifecycles=len(opened),
                notional=sum((one.notional for one in opened if one.notional), start=ZERO),
                last_batch=batches[0] if batches else None,
                loop=state,
                version=self.version(name),
            )

    def loop_states(self) -> tuple[LoopState, ...]:
        """Where the loop stands with each profile."""
        return self.books.loop_states(self.profile_ids())

    # lifecycles --------------------------------------------------------------------------------

    def lifecycles(self, profile_id: str) -> tuple[OpenLifecycle, ...]:
        """What the ledger says is open, with the last decision about it."""
        with self.desk(profile_id, exchange=False) as desk:
            found = detect_ghosts(desk)
            last = self.books.last_decisions(profile_id, [one.key.trade_id for one in found])
            return tuple(
                open_lifecycle(one, desk, last.get((one.key.symbol, one.key.trade_id)))
                for one in found
            )

    def _lifecycle_list(self, profile_id: str) -> bytes:
        """The same as JSON: written once for all who ask for it at once."""
        found = {"profile_id": profile_id, "lifecycles": self.lifecycles(profile_id)}
        return json.dumps(as_json(found), ensure_ascii=False, separators=(",", ":")).encode()

    def lifecycle(self, profile_id: str, symbol: str, trade_id: str) -> LifecycleDetail:
        """One lifecycle from ledger and record; the exchange is not asked."""
        with self.desk(profile_id, exchange=False) as desk:
            found = [
                one
                for one in detect_ghosts(desk)
                if (one.key.symbol, one.key.trade_id) == (symbol, trade_id)
            ]
            history = desk.ledger.audit_rows(
                profile_id=profile_id, symbol=symbol, trade_id=trade_id
            )
            if not found and not history:
                raise NotHereError(f"Neither ledger nor record know {trade_id!r} on {symbol!r}.")
            last = last_decision(history[0]) if history else None
            return LifecycleDetail(
                open=open_lifecycle(found[0], desk, last) if found else None,
                rows=found[0].rows if found else (),
                history=history,
                sentences=explain_rows(_latest(history)),
            )

    def explain(self, profile_id: str, trade_id: str) -> Explained:
        """Why a lifecycle got its latest decision, in sentences."""
        with self.desk(profile_id, exchange=False) as desk:
            rows = desk.ledger.audit_rows(profile_id=profile_id, trade_id=trade_id)
        if not rows:
            raise NotHereError(f"Nothing is recorded about trade_id {trade_id!r}.")
        latest = _latest(rows)
        return Explained(trade_id=trade_id, sentences=explain_rows(latest), rows=latest)

    def evidence(self, profile_id: str, symbol: str) -> SymbolReport:
        """The exchange and the ledger are read now. Raises NotHereError."""
        with self.desk(profile_id, exchange=True) as desk:
            report = inspect_symbol(desk, symbol)
        if report is None:
            raise NotHereError(f"The ledger has no open lifecycle on {symbol!r}.")
        return report

    # batches -----------------------------------------------------------------------------------

    def batches(self, profile_id: str, *, limit: int) -> tuple[Batch, ...]:
        """The latest batches, newest first."""
        with self.desk(profile_id, exchange=False) as desk:
            return desk.ledger.batches(profile_id, limit=limit)

    def batch(self, batch_id: str) -> Batch:
        """One batch of a configured profile. Raises BatchNotFoundError."""
        found = PostgresLedger(self.house.database).batch(batch_id)
        if found is None or found.profile_id not in self.profile_ids():
            raise BatchNotFoundError(f"There is no batch {batch_id!r}.")
        return found

    def progress(self, batch_id: str) -> ProgressSeen | None:
        """How far it is, None where it is not running here."""
        return self._runs.progress(batch_id)

    def statements(self, batch: Batch) -> Sequence[Statement]:
        """The SQL behind a batch, with its values."""
        ledger = PostgresLedger(self.house.database)
        values = {"profile_id": batch.profile_id, "batch_id": batch.batch_id}
        names = STATEMENTS[batch.mode]
        return [Statement(name=name, text=ledger.statement(name, values)) for name in names]

    def go_no_go(self, batch_id: str) -> GoNoGo:
        """Judge a plan against the present: everything is read again."""
        with self.desk(self.batch(batch_id).profile_id, exchange=True) as desk:
            return go_no_go(desk, batch_id)

    def undo_preview(self, name: str, batch_id: str) -> UndoPreview:
        """What a rollback or reinstate would change."""
        preview = preview_rollback if name == ROLLBACK else preview_reinstate
        with self.desk(self.batch(batch_id).profile_id, exchange=False) as desk:
            return preview(desk, batch_id)

    # the record --------------------------------------------------------------------------------

    def audit(
        self, wanted: Mapping[str, str], *, before: int | None, limit: int
    ) -> Sequence[AuditRow]:
        """Audit rows newest first; `before` is the id at which the page before this one ended."""
        return self.books.audit_page(self.profile_ids(), wanted, before_id=before, limit=limit)

    def events(
        self, wanted: Mapping[str, str], *, before: int | None, limit: int
    ) -> Sequence[Event]:
        """Events newest first, the same way."""
        return self.books.event_page(self.profile_ids(), wanted, before_id=before, limit=limit)

    # versions ----------------------------------------------------------------------------------

    def version(self, profile_id: str) -> str:
        """Of the profile's trading status and newest apply."""
        pause = pause_words(self.pause_state(profile_id))
        return version(pause=pause, apply=self.books.newest_apply(profile_id))

    def batch_version(self, batch_id: str) -> str:
        """Of a batch: its status, rows rolled back, the newest apply, and the trading status."""
        batch = self.batch(batch_id)
        return version(
            status=batch.status,
            undone=self.books.undone(batch_id),
            apply=self.books.newest_apply(batch.profile_id),
            pause=pause_words(self.pause_state(batch.profile_id)),
        )

    # actions -----------------------------------------------------------------------------------

    def pause(self, profile_id: str, act: Act, reason: str) -> None:
        """Pause trading."""
        self._set_pause(profile_id, act, reason, PauseState.PAUSED)

    def resume(self, profile_id: str, act: Act, reason: str) -> None:
        """Let the bot trade again; waits for a backfill that is being written."""
        self._set_pause(profile_id, act, reason, PauseState.RUNNING)

    def _set_pause(self, profile_id: str, act: Act, reason: str, state: PauseState) -> None:
        name = self.known(profile_id)
        with self.desk(name, exchange=False) as desk:
            gate = desk.pause
        if not isinstance(gate, TradingProfiles):
            raise RefusedError(
                f"Profile {name} takes its trading status from the bot's status_url:"
                " pause or resume the bot itself."
            )
        change = gate.pause if state is PauseState.PAUSED else gate.resume

        def do() -> str:
            return str(change(name, actor=act.person.name, reason=reason or None).state)

        self._once(
            act, f"{state} {name} {reason}", lambda: self.version(name), do, rests_on=("pause",)
        )

    def dry_run(self, profile_id: str, act: Act) -> str:
        """Start a dry run, whatever RECON_EXIT_BACKFILL_DRY_RUN says; its batch id."""
        name = self.known(profile_id)
        self._require_enabled()

        def do() -> str:
            return self._runs.start(Order(profile_id=name, actor=act.person.name))

        return self._once(
            act, f"dry run {name}", lambda: self.version(name), do, rests_on=("pause",)
        )

    def apply(self, batch_id: str, act: Act, *, allow_share: Decimal | None = None) -> str:
        """Start an apply of exactly this plan; its batch id.

        `allow_share`: the share of the open lifecycles that the person saw, as a fraction; it may
        close up to that many of them, and the batch says by whose word.
        """
        plan = self.batch(batch_id)

        def do() -> str:
            refused = self.cannot_apply(plan, act.person)
            if refused:
                raise RefusedError(refused)
            order = Order(
                profile_id=plan.profile_id,
                actor=act.person.name,
                plan=batch_id,
                allow_share=allow_share,
            )
            return self._runs.start(order)

        return self._once(
            act,
            f"apply {batch_id}{'' if allow_share is None else f' up to {allow_share}'}",
            lambda: self.batch_version(batch_id),
            do,
            rests_on=("status", "apply", "pause"),
        )

    def cannot_apply(self, batch: Batch, person: Acting) -> str:
        """Why this person may not apply this plan; empty where nothing speaks against it."""
        settings = self.house.settings
        if not person.may_approve:
            return "Applying it needs the role approver."
        if batch.mode is not Mode.DRY_RUN:
            return "Only a dry run is a plan."
        if not settings.enabled:
            return "ENABLE_RECON_EXIT_BACKFILL is false where unghost was started."
        if settings.dry_run:
            return (
                "RECON_EXIT_BACKFILL_DRY_RUN is true where unghost was started: set it to false"
                " to apply, and UNGHOST_LOOP=dry_run if only people shall."
            )
        if settings.four_eyes and batch.actor == person.name:
            return (
                f"{person.name} made this plan, and UNGHOST_FOUR_EYES is true: another approver"
                " has to apply it."
            )
        return ""

    def undo(self, name: str, batch_id: str, act: Act) -> int:
        """Roll back or reinstate; how many rows changed."""
        profile_id = self.batch(batch_id).profile_id
        change = roll_back if name == ROLLBACK else reinstate

        def do() -> int:
            with self.desk(profile_id, exchange=name == REINSTATE) as desk:
                changed = change(desk, batch_id, actor=act.person.name)
            self._tell_undone(name, profile_id, batch_id, len(changed), act.person.name)
            return len(changed)

        return self._once(
            act,
            f"{name} {batch_id}",
            lambda: self.batch_version(batch_id),
            do,
            rests_on=("status", "undone"),
        )

    def _require_enabled(self) -> None:
        if not self.house.settings.enabled:
            raise RefusedError(
                "ENABLE_RECON_EXIT_BACKFILL is false: set it to true where unghost is started."
            )

    def _once(
        self,
        act: Act,
        what: str,
        now: Callable[[], str],
        do: Callable[[], _Answer],
        *,
        rests_on: tuple[str, ...],
    ) -> _Answer:
        """Do it once for each key, and only where what was seen has not moved."""
        with self._keyed(act, what) as kept:
            if kept.answer is not None:
                return cast("_Answer", kept.answer)
            sentences = moved(act.seen, now(), rests_on) if act.seen else ()
            if sentences:
                raise MovedError(sentences)
            kept.answer = answer = do()
            return answer

    @contextmanager
    def _keyed(self, act: Act, what: str) -> Iterator[_Kept]:
        kept = _Kept()
        if not act.key:
            yield kept
            return
        actor, key = act.person.name, act.key
        digest = hashlib.sha256(json.dumps([what, act.seen]).encode()).hexdigest()
        if not self.books.take_request(actor, key, digest):
            yield _Kept(answer=self._answered(actor, key, digest))
            return
        try:
            yield kept
        except BaseException:
            self.books.end_request(actor, key, state="failed")
            raise
        self.books.end_request(actor, key, state="answered", status=200, answer=kept.answer)

    def _answered(self, actor: str, key: str, digest: str) -> Any:  # noqa: ANN401 - as it was answered
        found = self.books.find_request(actor, key)
        if found is None or found.digest != digest:
            raise Problem(
                422, "This Idempotency-Key came with another request before: use a new one."
            )
        if found.state != "answered":
            raise RefusedError("The request with this Idempotency-Key is still being worked on.")
        return found.answer

    # notices -----------------------------------------------------------------------------------

    def _tell(self, profile_id: str, report: CycleReport) -> None:
        for notice in notices(profile_id, report):
            self._notifier.tell(notice)

    def _tell_undone(
        self, name: str, profile_id: str, batch_id: str, rows: int, actor: str
    ) -> None:
        told = f"{rows} rows of batch {batch_id}: {name} by {actor}"
        self._notifier.tell(Notice(kind=f"BATCH_{name.upper()}", profile_id=profile_id, text=told))


@dataclass(kw_only=True)
class _Kept:
    """The answer of a request, once there is one."""

    answer: Any = None


def _latest(rows: Sequence[AuditRow]) -> tuple[AuditRow, ...]:
    return tuple(row for row in rows if row.batch_id == rows[0].batch_id)
