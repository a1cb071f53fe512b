"""What the state machine has at hand, and how it looks at what its rules did."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine
from tests.cycle.wire import Wire
from tests.proofs.confirming import candidates
from tests.proofs.nursery import Nursery
from tests.proofs.quick import QuickBench
from tests.proofs.sight import Row, Sight, confirm_fresh, look
from tests.proofs.statements import StatementWire
from tests.proofs.street import Street

from unghost.cycle import CycleReport, Draft, draft_rulings
from unghost.desk import Desk
from unghost.model import Decision


def counted(step: Callable[..., None]) -> Callable[..., None]:
    """Count how often a rule is carried out, and how long that took in all."""

    @wraps(step)
    def run(self: Watching, *given: Any, **more: Any) -> None:
        self.ran[step.__name__] += 1
        words = [*map(repr, given), *(f"{name}={value!r}" for name, value in more.items())]
        self.way.append(f"{step.__name__}({', '.join(words)})")
        begun = time.perf_counter_ns()
        try:
            step(self, *given, **more)
        finally:
            self.nanoseconds[step.__name__] += time.perf_counter_ns() - begun

    return run


class Watching(RuleBasedStateMachine):
    """Rules come with the machine that is made of it; counts are those of its class."""

    bench: QuickBench
    wire: Wire
    deadly: StatementWire
    nursery: Nursery
    steps = 0
    examples = 0
    ran: Counter[str]
    nanoseconds: Counter[str]
    did: Counter[str]
    """What came of the rules, so that one which never does a thing is noticed."""

    way: list[str]
    """The steps of this example so far."""

    street: Street
    sight: Sight
    checked: Sight
    """How the invariants saw the books last."""
    written: dict[str, Row]
    """The rows of the bot, as it wrote them."""
    paused: bool
    lookback: int
    drafted: Draft
    looked_at: Any

    @staticmethod
    def after_example() -> None:
        """Called when an example has held."""

    @staticmethod
    def when_it_breaks(error: Exception, way: Sequence[str]) -> None:
        """Called when something did not hold, long before the shortest way there is found."""
        del error, way

    def look(self) -> Sight:
        """The books now."""
        self.sight = look(self.bench, self.checked.head)
        return self.sight

    def bot_wrote(self) -> None:
        """Nobody else may change it."""
        self.written = dict(self.look().bots)

    def worker(self, *, second: bool) -> Desk:
        """One of two, each with a client and connections of its own."""
        return self.bench.second_desk() if second else self.bench.desk

    def applies(self, desk: Desk | None = None, plan: str | None = None) -> CycleReport:
        return self.bench.apply(plan, desk=desk, lookback_hours=self.lookback)

    def watched_apply(self, plan: str | None = None, *, second: bool = False) -> CycleReport:
        desk = self.worker(second=second)
        report: CycleReport = self.watched("an apply wrote", lambda: self.applies(desk, plan))
        assert not self.sight.pending, "invariant 9: an apply left intents open"
        return report

    def watched(self, effect: str, run: Callable[[], Any]) -> Any:
        """No row appears while trading goes on, on a market that holds a position, or twice."""
        before = self.look()
        try:
            return run()
        finally:
            self.bench.be_silent()
            fresh = confirm_fresh(self.look(), before, self.street, paused=self.paused)
            self.did[effect] += bool(fresh)

    def would_write(self) -> bool:
        """An apply would write rows now, as far as was seen after the last step."""
        return bool(candidates(self.drafted.rulings))

    def draft(self) -> Draft:
        """What a cycle would decide now; nothing is recorded.

        Where neither the books nor the exchange nor the pause nor the rules have moved since the
        last look, the evidence is that of the last look.
        """
        now = (*self.sight.rows(), self.street.changes, self.paused, self.lookback)
        if now != self.looked_at:
            desk = self.bench.applying(self.bench.at(lookback_hours=self.lookback))
            self.drafted = draft_rulings(desk)
            self.looked_at = now
        return self.drafted


def planned(report: CycleReport) -> set[tuple[str, str | None]]:
    return {
        (str(row.backfill_order_id), row.fingerprint)
        for row in report.audit
        if row.decision is Decision.DRY_RUN
    }


def written_by(report: CycleReport) -> set[str]:
    return {str(row.backfill_order_id) for row in report.audit if row.decision is Decision.APPLIED}
