"""What each step of the demo must have brought about, read from the database and not from words.

A check returns the sentence that people are told, or raises StepFailed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.sample_rows import OrdersState, orders_state
from unghost.cli.numbers import counted
from unghost.demo.cases import CASES
from unghost.demo.house import House
from unghost.demo.sample import PROFILE
from unghost.errors import UnghostError
from unghost.model import AuditRow, Batch, Decision, Lifecycle, Mode, Reason


class StepFailed(UnghostError):
    """A step of the demo did not have the outcome that it must have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """What the ledger believes to be open. `usdt` is at entry prices, both sides added up."""

    lifecycles: int
    usdt: Decimal


@dataclass(kw_only=True, slots=True)
class Findings:
    """What the steps so far have found out, for the steps that follow."""

    house: House
    ledger: PostgresLedger = field(init=False)
    plan: str = ""
    applied: str = ""
    states: dict[str, OrdersState] = field(default_factory=dict)
    exposures: dict[str, Exposure] = field(default_factory=dict)
    refusals: Counter[Reason] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.ledger = PostgresLedger(self.house.database)

    def remember(self, moment: str) -> OrdersState:
        """Keep what `orders` holds and what the ledger counts as open, under a name."""
        self.states[moment] = orders_state(self.house.database)
        self.exposures[moment] = _exposure(self.ledger.open_lifecycles((PROFILE,)))
        return self.states[moment]


def require(held: object, otherwise: str) -> None:
    """Raise StepFailed unless it holds."""
    if not held:
        raise StepFailed(otherwise)


def _exposure(lifecycles: Sequence[Lifecycle]) -> Exposure:
    usdt = sum((one.open_qty * _entry_price(one) for one in lifecycles), Decimal(0))
    return Exposure(lifecycles=len(lifecycles), usdt=usdt)


def _entry_price(lifecycle: Lifecycle) -> Decimal:
    """The price of the last ENTRY that has one."""
    prices = [row.price for row in lifecycle.rows if row.action == "ENTRY" and row.price]
    return prices[-1] if prices else Decimal(0)


def _latest(findings: Findings, mode: Mode) -> Batch:
    batch = next(iter(findings.ledger.batches(PROFILE, limit=1)), None)
    if batch is None or batch.mode is not mode:
        raise StepFailed(f"no {mode} batch was recorded")
    return batch


def _rows(findings: Findings, batch_id: str, decision: Decision) -> tuple[AuditRow, ...]:
    return findings.ledger.audit_rows(batch_id=batch_id, decision=decision)


def _ids(rows: Iterable[AuditRow]) -> set[str | None]:
    return {row.backfill_order_id for row in rows}


# --- detect ------------------------------------------------------------------------------------


def ghosts_detected(findings: Findings) -> str:
    """Section 1 finds each case, and nothing but the cases."""
    before = findings.remember("before")
    found = {one.key.trade_id for one in findings.ledger.open_lifecycles((PROFILE,))}
    require(found == {case.trade_id for case in CASES}, f"detected: {', '.join(sorted(found))}")
    open_now = findings.exposures["before"]
    return (
        f"{before.rows} rows, and {counted(open_now.lifecycles, 'lifecycle')} that the ledger"
        f" believes to be open: {usdt(open_now.usdt)} of exposure."
    )


def usdt(amount: Decimal) -> str:
    """`12,345 USDT`."""
    return f"{amount:,.0f} USDT"


# --- dry run -----------------------------------------------------------------------------------


def dry_run_recorded(findings: Findings) -> str:
    """Each case got the decision that it must get."""
    batch = _latest(findings, Mode.DRY_RUN)
    findings.plan = batch.batch_id
    rows = findings.ledger.audit_rows(batch_id=batch.batch_id)
    require_cases(rows, Decision.DRY_RUN)
    findings.refusals = Counter(row.reason for row in rows if row.decision is Decision.NO_GO)
    would, not_now = batch.counts["DRY_RUN"], batch.counts["NO_GO"]
    return f"{would} rows would be written, {not_now} are refused, each with its reason."


def require_cases(rows: Iterable[AuditRow], written: Decision) -> None:
    """Raise StepFailed unless the rows are exactly those that the cases promise."""
    found: Mapping[str, list[AuditRow]] = defaultdict(list)
    for row in rows:
        found[row.trade_id].append(row)
    for case in CASES:
        expected = [(written if case.repaired else Decision.NO_GO, one) for one in case.reasons]
        got = sorted((row.decision, row.reason) for row in found.get(case.trade_id, ()))
        require(
            got == expected,
            f"{case.trade_id} ({case.name}): expected {_told(expected)}, got {_told(got)}",
        )
    strangers = found.keys() - {case.trade_id for case in CASES}
    require(not strangers, f"nobody expected {', '.join(sorted(strangers))}")


def _told(decided: Collection[tuple[Decision, Reason]]) -> str:
    return ", ".join(f"{decision} {reason}" for decision, reason in decided) or "nothing"


def orders_unchanged(findings: Findings) -> str:
    """A dry run leaves `orders` as it was (section 5, point 5)."""
    before, after = findings.states["before"], findings.remember("dry run")
    require(after.backfill_rows == 0, f"{after.backfill_rows} backfill rows after a dry run")
    require(after.digest == before.digest, "orders changed during a dry run")
    return (
        f"dry_run_backfill_rows = {after.backfill_rows}; {after.rows} rows with the digest"
        f" {after.digest[:12]}…, before as after."
    )


def nothing_written(findings: Findings) -> str:
    """Judging writes nothing."""
    require(orders_state(findings.house.database) == findings.states["dry run"], "orders changed")
    return "Go: every criterion of the checklist's section 6 was judged on fresh readings."


# --- apply -------------------------------------------------------------------------------------


def plan_applied(findings: Findings) -> str:
    """Exactly what the dry run held was written, and the audit agrees with the ledger."""
    batch = _latest(findings, Mode.APPLY)
    findings.applied = batch.batch_id
    require_cases(findings.ledger.audit_rows(batch_id=batch.batch_id), Decision.APPLIED)
    planned = _rows(findings, findings.plan, Decision.DRY_RUN)
    applied = _rows(findings, batch.batch_id, Decision.APPLIED)
    require(_ids(applied) == _ids(planned), "what was applied is not what was planned")
    now = findings.remember("applied")
    require(now.backfill_rows == len(applied), "audit and orders do not agree")
    before = findings.states["before"]
    require(now.digest_of_the_bots == before.digest_of_the_bots, "a row of the bot's was changed")
    return (
        f"{len(applied)} EXIT rows written, the same as planned, to the last id;"
        " no row of the bot's was touched."
    )


def ghosts_closed(findings: Findings) -> str:
    """What could be repaired is closed; the rest is open, and named."""
    left = {one.key.trade_id for one in findings.ledger.open_lifecycles((PROFILE,))}
    refused = {case.trade_id for case in CASES if not case.repaired}
    require(left == refused, f"open after the apply: {', '.join(sorted(left))}")
    closed = len(CASES) - len(refused)
    return f"{closed} ghosts are gone; {len(refused)} lifecycles stay open until a person decides."


def nothing_new(findings: Findings) -> str:
    """Applying again finds every row there already."""
    batch = _latest(findings, Mode.APPLY)
    require(batch.batch_id != findings.applied, "the second apply recorded no batch")
    existing = _rows(findings, batch.batch_id, Decision.SKIP_EXISTING)
    applied = _rows(findings, findings.applied, Decision.APPLIED)
    require(not _rows(findings, batch.batch_id, Decision.APPLIED), "something was written twice")
    require(_ids(existing) == _ids(applied), "a written row was not recognised")
    now = orders_state(findings.house.database)
    require(now == findings.states["applied"], "orders changed")
    return f"Nothing new: all {len(existing)} rows were found standing already."


# --- undo --------------------------------------------------------------------------------------


def rolled_back(findings: Findings) -> str:
    """The ledger counts what it counted before, and only statuses differ."""
    now = findings.remember("rolled back")
    applied = findings.states["applied"]
    require(now.rows == applied.rows, "a row was removed")
    require(
        now.digest_without_status == applied.digest_without_status, "more than a status changed"
    )
    require(
        findings.exposures["rolled back"] == findings.exposures["before"],
        "the ledger does not count what it counted before",
    )
    return "As before the apply: the rows are still there, canceled, and the ghosts count again."


def reinstated(findings: Findings) -> str:
    """The ledger counts what it counted after the apply."""
    now, applied = findings.remember("reinstated"), findings.states["applied"]
    require(
        now.digest_without_status == applied.digest_without_status, "more than a status changed"
    )
    before = findings.states["before"]
    require(now.digest_of_the_bots == before.digest_of_the_bots, "a row of the bot's was changed")
    require(
        findings.exposures["reinstated"] == findings.exposures["applied"],
        "the ledger does not count what it counted after the apply",
    )
    return f"{now.backfill_rows} rows count again; status and updated_at are all that ever changed."


def _require_only_statuses_differ(one: OrdersState, other: OrdersState) -> None:
    same = one.digest_without_status == other.digest_without_status
    require(same, "more than status and updated_at changed")
