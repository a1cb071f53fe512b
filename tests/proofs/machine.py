"""A bot, an exchange and an operator that do anything at any time; the nine invariants hold always.

The machine knows the truth: what was traded, what the bot booked and when. Everything else is the
real thing: the database, the client, the simulated exchange over HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.cycle.bench import ETH, PROFILE, SYMBOL, batch_id, clear, hours_ago, told
from tests.cycle.conftest import WIPE
from tests.cycle.test_races import at_once
from tests.cycle.wire import Wire
from tests.proofs.confirming import confirm
from tests.proofs.quick import QuickBench

from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.cycle import CycleReport, Desk, draft_rulings, validate
from unghost.demo.venue import Fault, FaultKind
from unghost.errors import PlanError, RefusedError, UnghostError
from unghost.model import Decision
from unghost.rollback import reinstate, roll_back

MARKETS = (SYMBOL, ETH)
QUANTITIES = ("0.5", "1", "0.25", "0.0005")
BEGIN_HOURS_AGO = 66
STEP = timedelta(minutes=12)
FAULTS = (
    Fault(kind=FaultKind.HTML),
    Fault(kind=FaultKind.EMPTY_BODY),
    Fault(kind=FaultKind.STATUS, status=503),
)
ZERO = Decimal(0)

_LEDGER = """
    SELECT order_id LIKE 'BFILL-%' AS ours, order_id,
           CASE WHEN order_id LIKE 'BFILL-%' THEN to_jsonb(o) - '{status,updated_at}'::text[]
                ELSE to_jsonb(o) END,
           status, symbol, quantity
    FROM orders o
"""
_AUDIT_AND_LEDGER_DISAGREE = """
    SELECT a.backfill_order_id, o.order_id
    FROM (SELECT * FROM reconciliation_backfill_audit WHERE decision = 'APPLIED') AS a
    FULL JOIN (SELECT * FROM orders WHERE order_id LIKE 'BFILL-%') AS o
      ON o.order_id = a.backfill_order_id
    WHERE o.order_id IS NULL
       OR (a.audit_id IS NULL AND NOT EXISTS (
            SELECT FROM reconciliation_backfill_audit AS p
            WHERE p.backfill_order_id = o.order_id AND p.decision = 'PENDING_APPLY'))
       OR a.trade_id IS DISTINCT FROM o.trade_id OR a.filled_qty IS DISTINCT FROM o.quantity
"""
_TWO_IDS = """
    SELECT profile_id, trade_id, exchange_order_id, filled_at FROM reconciliation_backfill_audit
    WHERE backfill_order_id IS NOT NULL
    GROUP BY 1, 2, 3, 4 HAVING count(DISTINCT backfill_order_id) > 1
"""


def counted(step: Callable[..., None]) -> Callable[..., None]:
    """Count how often a rule is carried out."""

    @wraps(step)
    def run(self: Machine, *given: Any, **more: Any) -> None:
        self.ran[step.__name__] += 1
        step(self, *given, **more)

    return run


@dataclass
class Position:
    """One lifecycle in truth."""

    trade_id: str
    symbol: str
    quantity: Decimal
    close_order: str | None = None
    closed_at: datetime | None = None
    booked: bool = False


class Machine(RuleBasedStateMachine):
    """`bench` and `wire` are put in by `machine_on`; the bench is emptied for every example."""

    bench: QuickBench
    wire: Wire
    steps = 0
    examples = 0
    ran: Counter[str]

    @initialize()
    def begin(self) -> None:
        type(self).examples += 1
        with self.bench.books.transaction():
            for statement in WIPE:
                self.bench.run(statement)
        clear(self.bench.venue)
        self.wire.cut()
        self.wire.mend()
        self.moment = hours_ago(BEGIN_HOURS_AGO)
        self.positions: list[Position] = []
        self.written: dict[str, Any] = {}
        self.seen: dict[str, Any] = {}
        self.batches: list[str] = []
        self.plans: list[str] = []
        self.lookback = 72
        self.looked_at: Any = None
        for symbol, quantity in zip(MARKETS, QUANTITIES, strict=False):
            self.opens(symbol, quantity)
        self.closes(self.positions[0])
        self.pause()

    # --- the exchange and the bot --------------------------------------------------------------

    def next_moment(self) -> datetime:
        self.moment += STEP
        return self.moment

    def open_positions(self) -> list[Position]:
        return [one for one in self.positions if one.close_order is None]

    def lost(self) -> list[Position]:
        return [one for one in self.positions if one.close_order and not one.booked]

    def keep_written(self) -> None:
        """What the bot has written so far; nobody else may change it."""
        self.written = self.ledger()[0]

    @rule(
        symbol=st.sampled_from(MARKETS), quantity=st.sampled_from(QUANTITIES), linked=st.booleans()
    )
    @counted
    def bot_opens(self, symbol: str, quantity: str, linked: bool) -> None:
        more = {} if linked else {"exchange_order_id": None}
        self.opens(symbol, quantity, **more)

    def opens(self, symbol: str, quantity: str, **more: Any) -> None:
        trade_id = f"t-{len(self.positions) + 1}"
        self.bench.opened(trade_id, quantity, symbol=symbol, at=self.next_moment(), **more)
        self.positions.append(
            Position(trade_id=trade_id, symbol=symbol, quantity=Decimal(quantity))
        )
        self.keep_written()

    @precondition(lambda self: self.open_positions())
    @rule(data=st.data(), booked=st.booleans())
    @counted
    def position_closes(self, data: st.DataObject, booked: bool) -> None:
        one = data.draw(st.sampled_from(self.open_positions()))
        self.closes(one)
        if booked:
            self.book_exit(one)

    def closes(self, one: Position) -> None:
        one.closed_at = self.next_moment()
        one.close_order = self.bench.trade(
            "sell", one.quantity, symbol=one.symbol, at=one.closed_at, price="41000"
        )

    @precondition(lambda self: self.lost())
    @rule(data=st.data())
    @counted
    def a_real_exit_arrives_late(self, data: st.DataObject) -> None:
        self.book_exit(data.draw(st.sampled_from(self.lost())))

    def book_exit(self, one: Position) -> None:
        native = self.bench.native(one.symbol)
        self.bench.book(
            one.trade_id,
            "EXIT",
            one.quantity,
            symbol=native,
            exchange_order_id=one.close_order,
            at=one.closed_at,
        )
        one.booked = True
        self.keep_written()

    @rule(symbol=st.sampled_from(MARKETS))
    @counted
    def an_entry_that_never_filled_is_booked(self, symbol: str) -> None:
        trade_id = f"t-{len(self.positions) + 1}"
        native = self.bench.native(symbol)
        self.bench.book(trade_id, "ENTRY", "3", symbol=native, at=self.next_moment())
        self.positions.append(
            Position(
                trade_id=trade_id, symbol=symbol, quantity=ZERO, close_order="none", booked=True
            )
        )
        self.keep_written()

    # --- the operator --------------------------------------------------------------------------

    @rule()
    @counted
    def pause(self) -> None:
        self.bench.pause()
        self.paused = True

    @rule()
    @counted
    def resume(self) -> None:
        self.bench.resume()
        self.paused = False

    @rule(hours=st.sampled_from((72, 60, 48)))
    @counted
    def lookback_slides(self, hours: int) -> None:
        self.lookback = hours

    @rule()
    @counted
    def dry_run(self) -> None:
        before = self.bench.digest()
        report = self.bench.dry_run(lookback_hours=self.lookback)
        assert self.bench.digest() == before, "invariant 7: a dry run changed the ledger"
        again = self.bench.dry_run(lookback_hours=self.lookback)
        assert planned(again) == planned(report), "invariant 1: two dry runs differ"
        self.plans.append(batch_id(report))

    @rule()
    @counted
    def apply(self) -> None:
        self.watched_apply(lambda: self.bench.apply(lookback_hours=self.lookback))
        again = self.bench.apply(lookback_hours=self.lookback)
        assert not written_by(again), "invariant 5: a second apply wrote again"

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    @counted
    def apply_a_plan(self, data: st.DataObject) -> None:
        plan = data.draw(st.sampled_from(self.plans[-3:]))
        held = {
            row[0]
            for row in self.bench.rows(
                "SELECT backfill_order_id FROM reconciliation_backfill_audit"
                " WHERE batch_id = %s AND decision = 'DRY_RUN'",
                plan,
            )
        }
        with suppress(PlanError, RefusedError):
            report = self.watched_apply(
                lambda: self.bench.apply(plan, lookback_hours=self.lookback)
            )
            assert written_by(report) <= held, "a row outside the plan was written"

    @rule()
    @counted
    def two_workers_apply(self) -> None:
        desks = [self.bench.desk, self.bench.second_desk()]
        reports = self.watched(
            lambda: at_once(*(lambda desk=desk: self.bench.apply(desk=desk) for desk in desks))
        )
        ids = [one for report in reports for one in sorted(written_by(report))]
        assert len(ids) == len(set(ids)), "two workers wrote one row"

    @rule(fault=st.sampled_from(FAULTS), endpoint=st.sampled_from(("positionRisk", "userTrades")))
    @counted
    def the_exchange_fails_while_applying(self, fault: Fault, endpoint: str) -> None:
        before = self.ours()
        self.bench.venue.fault(replace_endpoint(fault, endpoint))
        with suppress(UnghostError):
            self.bench.apply(lookback_hours=self.lookback)
        self.bench.venue.clear_faults()
        assert self.ours() == before, "invariant 8: written without evidence"

    @rule(messages=st.integers(0, 60))
    @counted
    def the_connection_is_lost_while_applying(self, messages: int) -> None:
        with closing(Database(self.wire.conninfo)) as database:
            desk = self.bench.second_desk(database)
            self.wire.cut_after(messages)
            with suppress(UnghostError):
                self.watched(lambda: self.bench.apply(desk=desk, lookback_hours=self.lookback))
        self.wire.cut()
        self.wire.mend()

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    @counted
    def rollback(self, data: st.DataObject) -> None:
        roll_back(self.bench.desk, data.draw(st.sampled_from(self.batches)), actor="tester")

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    @counted
    def reinstate(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.batches))
        before = self.standing()
        desk: Desk = self.bench.applying()
        with suppress(RefusedError):
            reinstate(desk, batch, actor="tester")
        if not self.paused:
            assert self.standing() == before, "invariant 8: reinstated while trading"

    def at_lookback(self) -> Desk:
        return self.bench.at(lookback_hours=self.lookback)

    # --- looking -------------------------------------------------------------------------------

    def ledger(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The bot's rows and ours by order_id, as of one moment."""
        bots: dict[str, Any] = {}
        ours: dict[str, Any] = {}
        for is_ours, name, row, *rest in self.bench.rows(_LEDGER):
            if is_ours:
                ours[name] = (row, *rest)
            else:
                bots[name] = row
        return bots, ours

    def ours(self) -> dict[str, Any]:
        return self.ledger()[1]

    def standing(self) -> set[str]:
        return {name for name, (_, status, _, _) in self.ours().items() if status == "filled"}

    def watched_apply(self, run: Any) -> CycleReport:
        report = self.watched(run)
        self.batches.append(batch_id(report))
        assert told(report) is not None
        return report

    def watched(self, run: Any) -> Any:
        """No row appears while trading goes on, nor on a market that holds a position."""
        before = self.ours()
        try:
            return run()
        finally:
            fresh = {name: row for name, row in self.ours().items() if name not in before}
            assert self.paused or not fresh, "invariant 8: written while trading"
            held = {self.bench.native(symbol) for symbol in MARKETS if self.bench.held(symbol)}
            on_held = [name for name, (_, _, symbol, _) in fresh.items() if symbol in held]
            assert not on_held, "invariant 8: written on a market that is not flat"

    # --- the invariants ------------------------------------------------------------------------

    @invariant()
    def the_books_are_sound(self) -> None:
        """Invariants 3, 4, 6 and 8, by what the database holds after a step."""
        type(self).steps += 1
        bots, ours = self.ledger()
        assert bots == self.written, "a row of the bot was changed"
        self.of_our_rows_only_the_status_changes(ours)
        self.closed_by_us_never_exceeds_closed_by_the_exchange(ours)
        self.the_audit_agrees_with_the_ledger()

    @invariant()
    def what_would_be_decided_is_sound(self) -> None:
        """Invariants 1, 2, 4, 5, 7 and 8, by what a cycle would decide now; nothing is recorded.

        Where neither the books nor the exchange nor the pause nor the rules have moved since the
        last look, the evidence is that of the last look.
        """
        now = (self.ledger(), len(self.bench.world.fills(PROFILE)), self.paused, self.lookback)
        if now == self.looked_at:
            return
        self.looked_at = now
        draft = draft_rulings(self.bench.applying(self.at_lookback()))
        confirm(draft, self.bench.desk.rules, standing=self.standing(), paused=self.paused)

    def of_our_rows_only_the_status_changes(self, now: dict[str, Any]) -> None:
        assert set(self.seen) <= set(now), "invariant 6: a row of ours is gone"
        for name, (row, status, _, _) in now.items():
            assert self.seen.setdefault(name, row) == row, "invariant 6"
            assert status in ("filled", "canceled"), "invariant 6"

    def closed_by_us_never_exceeds_closed_by_the_exchange(self, ours: dict[str, Any]) -> None:
        """What the bot booked late counts only where we had nothing: that is found by validate."""
        closed = dict.fromkeys(MARKETS, Decimal("0.01") * (1 + len(self.positions)))
        for one in self.positions:
            closed[one.symbol] += one.quantity if one.closed_at else ZERO
        for symbol in MARKETS:
            native = self.bench.native(symbol)
            standing = [row for row in ours.values() if row[1:3] == ("filled", native)]
            assert sum((row[3] for row in standing), ZERO) <= closed[symbol], "invariant 3"

    def the_audit_agrees_with_the_ledger(self) -> None:
        assert self.bench.rows(_AUDIT_AND_LEDGER_DISAGREE) == [], "invariant 8"
        assert self.bench.rows(_TWO_IDS) == [], "invariant 4"

    def teardown(self) -> None:
        """After everything one apply converges, and what came too late is named."""
        if not hasattr(self, "positions"):
            return
        self.bench.venue.clear_faults()
        self.wire.mend()
        self.bench.apply()
        pending = "SELECT FROM reconciliation_backfill_audit WHERE decision = 'PENDING_APPLY'"
        assert self.bench.rows(pending) == [], "invariant 9"
        self.the_audit_agrees_with_the_ledger()
        found = {one.key.trade_id for one in validate(self.bench.desk).over_closed}
        assert found == self.over_closed(), "what came too late is not named"
        assert verify(self.bench.database).breaks == (), "the chain is broken"

    def over_closed(self) -> set[str]:
        rows = self.bench.rows(
            "SELECT trade_id FROM orders WHERE status = 'filled' GROUP BY trade_id"
            " HAVING sum(CASE action WHEN 'EXIT' THEN quantity ELSE -quantity END) > 0"
        )
        return {row[0] for row in rows}


def planned(report: CycleReport) -> set[tuple[str, str | None]]:
    return {
        (str(row.backfill_order_id), row.fingerprint)
        for row in report.audit
        if row.decision is Decision.DRY_RUN
    }


def written_by(report: CycleReport) -> set[str]:
    return {str(row.backfill_order_id) for row in report.audit if row.decision is Decision.APPLIED}


def replace_endpoint(fault: Fault, endpoint: str) -> Fault:
    return Fault(kind=fault.kind, status=fault.status, endpoint=endpoint)


def machine_on(bench: QuickBench, wire: Wire) -> type[Machine]:
    """A kind of machine that works at this bench."""
    return type("MachineAtBench", (Machine,), {"bench": bench, "wire": wire, "ran": Counter()})
