"""A bot, an exchange and an operator that do anything at any time; the nine invariants hold always.

The machine knows the truth: what was traded, what the bot booked and when (`street`). Everything
else is the real thing: the database, the client, the simulated exchange over HTTP.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from contextlib import closing, suppress
from datetime import datetime
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from tests.cycle.bench import batch_id, clear
from tests.cycle.conftest import WIPE
from tests.cycle.test_races import at_once
from tests.cycle.wire import Wire
from tests.proofs.bystander import OPERATIONS
from tests.proofs.confirming import Known, Truth, candidates, confirm
from tests.proofs.nursery import Nursery
from tests.proofs.quick import QuickBench
from tests.proofs.sight import confirm_books, confirm_claims, confirm_legs, look
from tests.proofs.statements import CrashPoint, Moment, StatementWire
from tests.proofs.street import MARKETS, Street, pick
from tests.proofs.watching import Watching, counted, planned, written_by

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.cycle import Draft, validate
from unghost.demo.venue import Fault, FaultKind
from unghost.desk import Desk
from unghost.errors import PlanError, RefusedError, UnghostError
from unghost.model import LifecycleKey
from unghost.rollback import reinstate, roll_back

SIDES = ("buy", "sell")
QUANTITIES = ("0.5", "1", "0.25", "0.0005")
FAULTS = tuple(
    kind.value
    for kind in (
        FaultKind.HTML,
        FaultKind.EMPTY_BODY,
        FaultKind.STATUS,
        FaultKind.CUT_JSON,
        FaultKind.NULL,
        FaultKind.RESET,
    )
)
"""Words, as all that a rule is given: what was done can be read back from what is printed."""
POSITIONS, FILLS = "positionRisk", "userTrades"
STATEMENTS = {"dry run": 80, "apply": 100, "pinned apply": 100, "reinstate": 40, "rollback": 16}
"""How many each sends, roughly: where it is killed is drawn from them."""


any_one = st.integers(0, 59)
"""Which of those that there are."""


class Machine(Watching):
    """`bench` and the wires are put in by `machine_on`; the bench is emptied for every example."""

    @initialize(hedged=st.booleans(), strangers=st.booleans())
    def begin(self, hedged: bool, strangers: bool) -> None:
        """Openings that no ledger knows, and entries that no exchange does, make all that follows
        doubtful: without strangers more is written.
        """
        type(self).examples += 1
        self.way = [f"begin(hedged={hedged}, strangers={strangers})"]
        with self.bench.books.transaction():
            for statement in WIPE:
                self.bench.run(statement)
        clear(self.bench.venue)
        self.wire.cut()
        self.wire.mend()
        self.street = Street(self.bench, hedged=hedged)
        self.checked = self.sight = look(self.bench)
        self.written = {}
        self.strangers = strangers
        self.plans: list[str] = []
        self.lookback = 72
        self.looked_at = None
        self.known: Known = {}
        for symbol, quantity in zip(MARKETS, QUANTITIES, strict=False):
            self.street.opens(symbol, quantity)
        self.street.closes(self.street.positions[0])
        self.bench.pause()
        self.paused = True
        self.bot_wrote()

    # --- the exchange and the bot --------------------------------------------------------------

    @rule(
        symbol=st.sampled_from(MARKETS),
        quantity=st.sampled_from(QUANTITIES),
        side=st.sampled_from(SIDES),
        linked=st.booleans(),
    )
    @counted
    def position_opens(self, symbol: str, quantity: str, side: str, linked: bool) -> None:
        more = {} if linked else {"exchange_order_id": None}
        self.street.opens(symbol, quantity, side, **more)
        self.bot_wrote()

    @precondition(lambda self: self.street.open())
    @rule(one=any_one, booked=st.sampled_from((False, False, True)), parts=st.sampled_from((1, 2)))
    @counted
    def position_closes(self, one: int, booked: bool, parts: int) -> None:
        chosen = pick(self.street.open(), one)
        self.street.closes(chosen, parts=parts)
        if booked:
            self.street.books_exit(chosen)
            self.bot_wrote()

    @precondition(lambda self: self.street.is_anything_held())
    @rule(booked=st.booleans())
    @counted
    def all_markets_go_flat(self, booked: bool) -> None:
        """The bot books none of it, or all but the last."""
        held = self.street.open()
        for one in (*held, *self.street.held_by_hand()):
            self.street.closes(one)
        for one in self.street.late():
            self.street.fills_arrive(one)
        if booked:
            for one in held[:-1]:
                self.street.books_exit(one)
            self.bot_wrote()

    @precondition(lambda self: self.street.open())
    @rule(one=any_one)
    @counted
    def position_closes_and_its_fills_are_late(self, one: int) -> None:
        self.street.closes(pick(self.street.open(), one), late=True)

    @precondition(lambda self: self.street.late())
    @rule(one=any_one)
    @counted
    def late_fills_arrive(self, one: int) -> None:
        self.street.fills_arrive(pick(self.street.late(), one))

    @precondition(lambda self: self.street.lost())
    @rule(one=any_one, linked=st.booleans(), share=st.sampled_from((1, 1, 2)))
    @counted
    def a_real_exit_arrives_late(self, one: int, linked: bool, share: int) -> None:
        self.street.books_exit(pick(self.street.lost(), one), linked=linked, share=share)
        self.bot_wrote()

    @precondition(lambda self: self.strangers)
    @rule(symbol=st.sampled_from(MARKETS), side=st.sampled_from(SIDES))
    @counted
    def an_entry_that_never_filled_is_booked(self, symbol: str, side: str) -> None:
        self.street.books_what_never_filled(symbol, side)
        self.bot_wrote()

    @precondition(lambda self: self.strangers and not self.street.held_by_hand())
    @rule(symbol=st.sampled_from(MARKETS), side=st.sampled_from(SIDES))
    @counted
    def somebody_opens_by_hand(self, symbol: str, side: str) -> None:
        self.street.opens_by_hand(symbol, "0.25", side)

    @precondition(lambda self: self.street.held_by_hand())
    @rule(one=any_one)
    @counted
    def somebody_closes_by_hand(self, one: int) -> None:
        self.street.closes(pick(self.street.held_by_hand(), one))

    @precondition(lambda self: self.street.idle() and not self.street.working())
    @rule(one=any_one)
    @counted
    def an_order_of_the_bot_is_at_work(self, one: int) -> None:
        self.street.places_an_order(pick(self.street.idle(), one))
        self.bot_wrote()

    @precondition(lambda self: self.street.working())
    @rule(one=any_one)
    @counted
    def the_order_of_the_bot_ends(self, one: int) -> None:
        self.street.order_ends(pick(self.street.working(), one))
        self.bot_wrote()

    # --- the operator --------------------------------------------------------------------------

    @precondition(lambda self: not self.paused)
    @rule()
    @counted
    def pause(self) -> None:
        self.bench.pause()
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule()
    @counted
    def resume(self) -> None:
        self.resumes()

    def resumes(self) -> None:
        self.bench.resume()
        self.paused = False

    @rule(hours=st.sampled_from((72, 60, 48)))
    @counted
    def lookback_slides(self, hours: int) -> None:
        self.lookback = hours

    @rule(second=st.booleans())
    @counted
    def dry_run(self, second: bool) -> None:
        before = self.sight.rows()
        report = self.bench.dry_run(self.worker(second=second), lookback_hours=self.lookback)
        assert self.look().rows() == before, "invariant 7: a dry run changed the ledger"
        would = {(one.order_id, one.fingerprint) for one in candidates(self.draft().rulings)}
        assert planned(report) == would, "invariant 7: an apply would write something else"
        if would or not self.plans:
            self.plans.append(batch_id(report))
        self.did["a dry run planned rows"] += bool(would)

    @rule(second=st.booleans())
    @counted
    def apply(self, second: bool) -> None:
        report = self.watched_apply(second=second)
        if written_by(report):
            again = self.watched_apply(second=not second)
            assert not written_by(again), "invariant 5: a second apply wrote again"

    @precondition(lambda self: self.plans)
    @rule(one=any_one)
    @counted
    def apply_a_plan(self, one: int) -> None:
        plan = pick(self.plans[-3:], one)
        held = {
            row[0]
            for row in self.bench.rows(
                "SELECT backfill_order_id FROM reconciliation_backfill_audit"
                " WHERE batch_id = %s AND decision = 'DRY_RUN'",
                plan,
            )
        }
        try:
            report = self.watched_apply(plan)
        except (PlanError, RefusedError):
            self.did["a plan was refused"] += 1
        else:
            assert written_by(report) <= held, "a row outside the plan was written"
            self.did["a plan wrote rows"] += bool(written_by(report))

    @precondition(lambda self: self.would_write())
    @rule()
    @counted
    def two_workers_apply(self) -> None:
        desks = [self.bench.desk, self.bench.second_desk()]
        reports = self.watched(
            "two workers wrote rows",
            lambda: at_once(*(lambda desk=desk: self.applies(desk) for desk in desks)),
        )
        ids = [one for report in reports for one in sorted(written_by(report))]
        assert len(ids) == len(set(ids)), "two workers wrote one row"

    @precondition(lambda self: self.sight.batches and self.would_write())
    @rule(one=any_one)
    @counted
    def a_rollback_meets_an_apply(self, one: int) -> None:
        batch = pick(self.sight.batches, one)
        desk = self.bench.second_desk()
        self.watched(
            "a rollback met an apply that wrote",
            lambda: at_once(self.applies, lambda: roll_back(desk, batch, actor="tester")),
        )

    @precondition(lambda self: self.would_write())
    @rule(
        kind=st.sampled_from(FAULTS),
        endpoint=st.sampled_from((POSITIONS, FILLS)),
        call=st.integers(1, 3),
    )
    @counted
    def the_exchange_fails_while_applying(self, kind: str, endpoint: str, call: int) -> None:
        """Positions of all markets come in one answer; fills of each, and so all must fail."""
        since = call if endpoint == POSITIONS else 1
        before = self.sight
        venue = self.bench.venue
        venue.clear_requests()
        fault = Fault(kind=FaultKind(kind), status=503, endpoint=endpoint)
        venue.fault(fault.since_call(since))
        with suppress(UnghostError):
            self.watched("an apply wrote in spite of faults", self.applies)
        venue.clear_faults()
        if any(one.faults for one in venue.requests()):
            self.did["the exchange failed"] += 1
            assert not self.sight.fresh(before), "invariant 8: written without evidence"

    @precondition(lambda self: self.would_write())
    @rule(what=st.sampled_from(("resume", "reopen", "exit", "rollback")), call=st.integers(1, 3))
    @counted
    def something_happens_while_applying(self, what: str, call: int) -> None:
        """Just before a reading of positions is answered; the third one is right before a write."""
        happened: list[str] = []

        def happen(_: object) -> None:
            self.happens(what)
            happened.append(what)

        self.bench.venue.before(POSITIONS, happen, call=call)
        with suppress(UnghostError):
            self.watched(f"an apply wrote although: {what}", self.applies)
        self.bench.venue.clear_faults()
        self.did[f"while applying: {what}"] += len(happened)

    def happens(self, what: str) -> None:
        if what == "resume" or (what == "rollback" and not self.sight.batches):
            self.resumes()
        elif what == "rollback":
            roll_back(self.bench.second_desk(), self.sight.batches[-1], actor="tester")
        elif what == "exit" and self.street.lost():
            self.street.books_exit(self.street.lost()[-1])
            self.bot_wrote()
        else:
            self.street.opens(MARKETS[0], "0.25")
            self.bot_wrote()

    @precondition(lambda self: self.would_write())
    @rule(messages=st.integers(0, 90))
    @counted
    def the_connection_is_lost_while_applying(self, messages: int) -> None:
        with closing(Database(self.wire.conninfo)) as database:
            desk = self.bench.second_desk(database)
            self.wire.cut_after(messages)
            try:
                self.watched("an apply lost its connection and wrote", lambda: self.applies(desk))
            except UnghostError:
                self.did["an apply lost its connection"] += 1
        self.wire.cut()
        self.wire.mend()

    @precondition(lambda self: self.would_write() or self.sight.canceled())
    @rule(
        operation=st.sampled_from(sorted(OPERATIONS)),
        number=st.integers(0, 99),
        moment=st.sampled_from([one.value for one in Moment]),
        one=any_one,
    )
    @counted
    def the_process_is_killed(self, operation: str, number: int, moment: str, one: int) -> None:
        """A real process and a real SIGKILL, before or after one of its statements."""
        about = self.plans if operation == "pinned apply" else self.sight.batches
        if not about:
            operation = "apply"
        batch = pick(about, one) if about else ""
        point = CrashPoint(number=1 + number % STATEMENTS[operation], moment=Moment(moment))
        pid = self.nursery.fork(operation, batch, self.deadly.conninfo)
        self.deadly.watch(partial(os.kill, pid, signal.SIGKILL), point)
        code = self.watched(f"a process wrote: {operation}", self.nursery.go)
        self.did[f"killed: {operation}"] += code == -signal.SIGKILL

    @precondition(lambda self: self.sight.batches and self.sight.standing)
    @rule(one=any_one)
    @counted
    def rollback(self, one: int) -> None:
        changed = roll_back(self.bench.desk, pick(self.sight.batches, one), actor="tester")
        self.did["a rollback canceled rows"] += bool(changed)

    @precondition(lambda self: self.sight.batches and self.sight.canceled())
    @rule(one=any_one)
    @counted
    def reinstate(self, one: int) -> None:
        batch = pick(self.sight.batches, one)
        desk: Desk = self.bench.applying()
        try:
            self.watched("a reinstate filled rows", lambda: reinstate(desk, batch, actor="tester"))
        except RefusedError:
            self.did["a reinstate was refused"] += 1

    @precondition(lambda self: self.sight.over_closed() & self.sight.repaired())
    @rule()
    @counted
    def what_was_superseded_is_taken_back(self) -> None:
        """`validate` names the rows that a real EXIT made superfluous; each is rolled back."""
        for over in validate(self.bench.desk).over_closed:
            for row, _, batch in over.superseded:
                if batch is not None:
                    roll_back(self.bench.desk, batch, actor="tester", order_id=row)
        left = [one for one in validate(self.bench.desk).over_closed if one.superseded]
        assert not left, "what was taken back is still named"
        self.did["what was superseded was taken back"] += 1

    # --- the invariants ------------------------------------------------------------------------

    @invariant()
    def the_books_are_sound(self) -> None:
        """Invariants 3, 4, 6 and 8, by what the database holds after a step."""
        type(self).steps += 1
        confirm_books(self.look(), self.checked, self.written, self.street)
        self.checked = self.sight

    @invariant()
    def what_would_be_decided_is_sound(self) -> None:
        """Invariants 1 to 5, 7 and 8, by what a cycle would decide now."""
        known = self.looked_at
        draft = self.draft()
        if self.looked_at is not known:
            self.known = confirm(
                draft,
                self.bench.desk.rules,
                set(self.sight.standing),
                paused=self.paused,
                truth=self.truth(),
                known=self.known,
            )
            confirm_claims(candidates(draft.rulings), self.sight, self.street)

    def truth(self) -> Truth:
        """What closed whose, as the exchange has told it."""
        strange = self.street.closed_by_strangers() & self.street.filled.keys()
        return Truth(
            own=self.street.filled.keys() - strange,
            strange=strange,
            one_sided=self.street.one_sided(),
            within=lambda claims: confirm_legs(claims, self.sight, self.street),
        )

    def teardown(self) -> None:
        """Bring it to rest where all held so far; tell of what broke, then or now."""
        try:
            if sys.exception() is None and hasattr(self, "drafted"):
                self.comes_to_rest()
        finally:
            if isinstance(error := sys.exception(), Exception):
                self.when_it_breaks(error, getattr(self, "way", ()))

    def comes_to_rest(self) -> None:
        """After everything one apply converges, and what came too late is named."""
        self.bench.venue.clear_faults()
        self.wire.mend()
        while self.moves_a_window():
            pass
        found = {one.key.trade_id for one in validate(self.bench.desk).over_closed}
        assert found == self.sight.over_closed(), "what came too late is not named"
        assert verify(self.bench.database).breaks == (), "the chain is broken"
        self.after_example()

    def moves_a_window(self) -> bool:
        """Apply once: whatever is left then was out of reach before.

        Where the oldest lifecycle of a market was closed, its next window begins later, and what
        strangers did before that is a doubt no more.
        """
        before = _windows(self.draft())
        self.watched_apply()
        draft = self.draft()
        left = {one.key for one in candidates(draft.rulings)}
        moved = {key for key, start_at in _windows(draft).items() if start_at > before[key]}
        assert left <= moved, f"invariant 9: one apply did not converge, and left {left - moved}"
        return bool(left)


def _windows(draft: Draft) -> dict[LifecycleKey, datetime]:
    """When the fills begin that each lifecycle was judged by."""
    return {
        one.key: evidence.fills.window.start_at
        for evidence in draft.evidences
        for one in evidence.lifecycles
    }


def machine_on(
    bench: QuickBench, *, wire: Wire, deadly: StatementWire, nursery: Nursery
) -> type[Machine]:
    """A kind of machine that works at this bench."""
    made = {"bench": bench, "wire": wire, "deadly": deadly, "nursery": nursery}
    counters = {name: Counter() for name in ("ran", "nanoseconds", "did")}
    return type("MachineAtBench", (Machine,), {**made, **counters})
