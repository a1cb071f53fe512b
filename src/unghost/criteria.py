"""Section 6 of the checklist as functions: may this dry run be applied now? Pure.

A criterion looks at the plan and at the present, which has just been read again; its docstring is
the rule that people see. Lifecycles that the plan refused are left alone by an apply: they are
counted, not judged. Judged are the *targets*, the lifecycles that the plan would write to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from unghost.ceilings import Ceiling, load_of_plan, measure
from unghost.confront import pin
from unghost.gates import pause_doubt, plain
from unghost.model import (
    AuditRow,
    Batch,
    Decision,
    Evidence,
    LifecycleKey,
    PauseReading,
    Reason,
    Rules,
    Ruling,
)


class Verdict(StrEnum):
    """A note informs; only NO_GO stops."""

    GO = "go"
    NO_GO = "no_go"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """One criterion with what was found."""

    name: str
    verdict: Verdict
    value: str
    rule: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fresh:
    """The plan beside the present. `plan_problem` says why the batch cannot be a plan, if so."""

    batch: Batch
    plan_problem: str | None
    rows: tuple[AuditRow, ...]
    rulings: tuple[Ruling, ...]
    evidences: tuple[Evidence, ...]
    pause: PauseReading
    rules: Rules
    audit_writable: bool
    allow_partial: bool
    now: datetime


def _planned(rows: Iterable[AuditRow]) -> list[AuditRow]:
    return [row for row in rows if row.decision is Decision.DRY_RUN]


def _key(row: AuditRow) -> LifecycleKey:
    return LifecycleKey(profile_id=row.profile_id, symbol=row.symbol, trade_id=row.trade_id)


def _targets(fresh: Fresh) -> set[LifecycleKey]:
    return {_key(row) for row in _planned(fresh.rows)}


def held_back(rows: Iterable[AuditRow]) -> tuple[LifecycleKey, ...]:
    """Lifecycles (or their remainders) that the plan refuses."""
    return tuple(sorted({_key(row) for row in rows if row.decision is Decision.NO_GO}))


def _criterion(
    judge: Callable[[Fresh], Criterion], value: str, *, good: bool, detail: str = ""
) -> Criterion:
    return Criterion(
        name=judge.__name__,
        verdict=Verdict.GO if good else Verdict.NO_GO,
        value=value,
        rule=(judge.__doc__ or "").strip(),
        detail=detail,
    )


def plan_usable(fresh: Fresh) -> Criterion:
    """The batch is a finished dry run that has not expired."""
    good = fresh.plan_problem is None
    value = f"{fresh.batch.mode}, {fresh.batch.status}"
    return _criterion(plan_usable, value, good=good, detail=fresh.plan_problem or "")


def pause_confirmed(fresh: Fresh) -> Criterion:
    """Pause state confirmed."""
    doubt = pause_doubt(fresh.pause, fresh.rules)
    value = f"{fresh.pause.state} by {fresh.pause.source}"
    detail = fresh.pause.detail if doubt else ""
    return _criterion(pause_confirmed, value, good=doubt is None, detail=detail)


def candidates_found(fresh: Fresh) -> Criterion:
    """The dry run shows expected candidates."""
    planned = _planned(fresh.rows)
    counts = Counter(str(row.reason) for row in planned)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    detail = "" if planned else "the dry run holds nothing that could be applied"
    return _criterion(candidates_found, told or "none", good=bool(planned), detail=detail)


def targets_flat(fresh: Fresh) -> Criterion:
    """The exchange is flat for every target symbol."""
    return _no_refusals(
        targets_flat, fresh, {Reason.EXCHANGE_NOT_FLAT, Reason.EXCHANGE_STATE_UNKNOWN}
    )


def targets_unblocked(fresh: Fresh) -> Criterion:
    """No pending blocker row, and no recent activity, for a target trade_id."""
    return _no_refusals(
        targets_unblocked,
        fresh,
        {
            Reason.PENDING_LIFECYCLE_BLOCKER,
            Reason.RECENT_ACTIVITY,
            Reason.INVALID_LEDGER_ROW,
            Reason.LEDGER_CHANGED,
        },
    )


def _no_refusals(
    judge: Callable[[Fresh], Criterion], fresh: Fresh, reasons: set[Reason]
) -> Criterion:
    targets = _targets(fresh)
    found = [
        refusal
        for ruling in fresh.rulings
        if ruling.lifecycle.key in targets
        for refusal in ruling.refusals
        if refusal.reason in reasons
    ]
    value = f"{len(targets)} targets, {len(found)} refused"
    detail = _first(refusal.sentence for refusal in found)
    return _criterion(judge, value, good=not found, detail=detail)


def quantities_aligned(fresh: Fresh) -> Criterion:
    """Each candidate's quantity still aligns with exchange fills and ledger rows."""
    planned = _planned(fresh.rows)
    pinned, gone = pin(fresh.rulings, planned)
    targets = _targets(fresh)
    drifts = [
        refusal.sentence
        for ruling in pinned
        if ruling.lifecycle.key in targets
        for refusal in ruling.refusals
        if refusal.reason in {Reason.PLAN_DRIFT, Reason.FILL_EVIDENCE_INCOMPLETE}
    ]
    drifts += [f"{row.backfill_order_id} is no longer a candidate" for row in gone]
    total = sum((row.filled_qty or Decimal(0) for row in planned), Decimal(0))
    value = f"{len(planned)} rows, {plain(total)} units, {len(drifts)} moved"
    return _criterion(quantities_aligned, value, good=not drifts, detail=_first(drifts))


def no_large_remainder(fresh: Fresh) -> Criterion:
    """No target keeps a large unmatched remainder (missing_fill_evidence_for_large_remainder)."""
    targets = _targets(fresh)
    wanted = {Reason.MISSING_FILL_EVIDENCE, Reason.AMBIGUOUS_ATTRIBUTION}
    short = [
        row
        for row in fresh.rows
        if row.decision is Decision.NO_GO and row.reason in wanted and _key(row) in targets
    ]
    detail = _first(str(row.evidence.get("sentence", row.trade_id)) for row in short)
    if short and not fresh.allow_partial:
        detail += "; import its fills, or accept the partial close with --allow-partial"
    good = not short or fresh.allow_partial
    return _criterion(no_large_remainder, f"{len(short)} targets", good=good, detail=detail)


def within_limits(fresh: Fresh) -> Criterion:
    """The batch stays within the rows that one batch may write."""
    return _under(within_limits, _ceilings(fresh)["rows"])


def within_notional(fresh: Fresh) -> Criterion:
    """The batch stays within the notional that one batch may close."""
    return _under(within_notional, _ceilings(fresh)["notional"])


def within_share(fresh: Fresh) -> Criterion:
    """The batch closes no larger share of the open lifecycles than was allowed."""
    return _under(within_share, _ceilings(fresh)["share"])


def share_to_allow(fresh: Fresh) -> Decimal | None:
    """What a person would have to allow; None where nothing is to be allowed."""
    share = _ceilings(fresh)["share"]
    return share.allowable if share.exceeded else None


def _ceilings(fresh: Fresh) -> dict[str, Ceiling]:
    load = load_of_plan(_planned(fresh.rows), len(fresh.rulings))
    return {one.name: one for one in measure(load, fresh.rules)}


def _under(judge: Callable[[Fresh], Criterion], ceiling: Ceiling) -> Criterion:
    value = f"{ceiling.value}; at most {ceiling.most}"
    detail = ceiling.way_on if ceiling.exceeded else ""
    return _criterion(judge, value, good=not ceiling.exceeded, detail=detail)


def audit_writable(fresh: Fresh) -> Criterion:
    """Audit table writes succeed."""
    value = "writable" if fresh.audit_writable else "not writable"
    detail = "" if fresh.audit_writable else "run `unghost doctor`"
    return _criterion(audit_writable, value, good=fresh.audit_writable, detail=detail)


def others_held_back(fresh: Fresh) -> Criterion:
    """What the plan refuses stays as it is, each with its reason; look whether you expected it."""
    refused = [row for row in fresh.rows if row.decision is Decision.NO_GO]
    counts = Counter(str(row.reason) for row in refused)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return Criterion(
        name=others_held_back.__name__,
        verdict=Verdict.NOTE,
        value=told or "none",
        rule=(others_held_back.__doc__ or "").strip(),
    )


def _first(sentences: Iterable[str], most: int = 3) -> str:
    every = list(sentences)
    more = f" (and {len(every) - most} more)" if len(every) > most else ""
    return "; ".join(every[:most]) + more


CRITERIA: Sequence[Callable[[Fresh], Criterion]] = (
    plan_usable,
    pause_confirmed,
    candidates_found,
    targets_flat,
    targets_unblocked,
    quantities_aligned,
    no_large_remainder,
    within_limits,
    within_notional,
    within_share,
    audit_writable,
    others_held_back,
)
"""In the order of the checklist's section 6."""
