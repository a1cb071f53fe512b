"""Cycles that people start: each in a thread, so that whoever started it gets the batch at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import structlog

from unghost.adapters.postgres.figures import Starter
from unghost.assembly import House
from unghost.cycle import CycleReport, run_cycle
from unghost.desk import Desk, allowing_share
from unghost.errors import RefusedError, UnghostError

log = structlog.get_logger("unghost")

START_SECONDS: Final = 40
"""An apply waits up to 30 s for another one of the account before it has a batch."""


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
class Order:
    """What somebody wants run. `allow_share`: up to which share the actor has allowed it."""

    profile_id: str
    actor: str
    plan: str | None = None
    allow_share: Decimal | None = None


@dataclass(kw_only=True)
class _Run:
    """One cycle. `started` is set once the batch is known, or it failed before."""

    order: Order
    batch_id: str = ""
    given_up: bool = False
    trouble: UnghostError | None = None
    seen: ProgressSeen | None = None
    started: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def step(self, stage: str, done: int, total: int | None, detail: str = "") -> None:  # noqa: ARG002 - as the protocol has it
        """Keep what the stages tell."""
        self.seen = ProgressSeen(stage=stage, done=done, total=total)

    def begin(self, batch_id: str) -> None:
        """Whoever waits for the batch may go on. Raises RefusedError where nobody does."""
        with self._turn:
            if self.given_up:
                raise RefusedError(
                    "The cycle began too late: whoever asked was told that it did not."
                )
            self.batch_id = batch_id
        self.started.set()

    def give_up(self) -> bool:
        """Forbid a late beginning: what was refused must not write. False where it has begun."""
        with self._turn:
            self.given_up = not self.batch_id
        return self.given_up


def _allowed(desk: Desk, order: Order) -> Desk:
    if order.allow_share is None:
        return desk
    return allowing_share(desk, actor=order.actor, share=order.allow_share)


class Runs:
    """The cycles that run in this process on behalf of people."""

    def __init__(
        self,
        house: House,
        *,
        finished: Callable[[str, CycleReport], None],
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._house = house
        self._finished = finished
        self._start_seconds = start_seconds
        self._running: dict[threading.Thread, _Run] = {}
        self._closed = False
        self._lock = threading.Lock()

    def start(self, order: Order) -> str:
        """Start a dry run, or the apply of a plan; its batch id. Raises UnghostError.

        What is refused for not having begun in time does not begin later.
        """
        run = _Run(order=order)
        thread = threading.Thread(target=self._run, args=(run,), name=f"cycle {order.profile_id}")
        with self._lock:
            if self._closed:
                raise RefusedError("The service is being stopped: nothing new is started.")
            self._running[thread] = run
        thread.start()
        if not run.started.wait(self._start_seconds) and run.give_up():
            raise RefusedError(
                f"The cycle did not start within {self._start_seconds:g} seconds, and was given up:"
                " nothing is written. See that database and exchange answer, then try again."
            )
        if run.trouble is not None:
            raise run.trouble
        return run.batch_id

    def progress(self, batch_id: str) -> ProgressSeen | None:
        """How far it is; None where it does not run here."""
        with self._lock:
            running = list(self._running.values())
        return next((run.seen for run in running if run.batch_id == batch_id), None)

    def close(self) -> None:
        """Start nothing any more, and wait for what runs: an apply is finished, not cut."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for thread in running:
            thread.join()

    def _run(self, run: _Run) -> None:
        try:
            self._finished(run.order.profile_id, self._cycle(run))
        except UnghostError as error:
            run.trouble = error
            log.warning("the cycle ended", profile_id=run.order.profile_id, error=str(error))
        except Exception as error:
            run.trouble = UnghostError("A bug of unghost stopped the cycle; the log has more.")
            log.exception("a bug stopped the cycle", exc_info=error)
        finally:
            run.started.set()
            with self._lock:
                self._running.pop(threading.current_thread(), None)

    def _cycle(self, run: _Run) -> CycleReport:
        order = run.order
        with (
            structlog.contextvars.bound_contextvars(profile_id=order.profile_id),
            self._house.figures.timing(order.profile_id, Starter.PERSON),
            self._house.desk(
                order.profile_id, needs_exchange=True, dry_run=order.plan is None
            ) as desk,
        ):
            return run_cycle(
                _allowed(desk, order),
                actor=order.actor,
                plan=order.plan,
                progress=run,
                started=run.begin,
            )
