"""The product on one screen: one reconciliation cycle, the go/no-go, the validation.

The only file that knows the order of the stages:

    detect -> gather -> decide -> record -> report

Each stage reads what the one before it handed over, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from enum import StrEnum

import structlog

from unghost import criteria
from unghost.allocate import allocate
from unghost.ceilings import Ceiling, limit, load_of, measure, with_share_allowed
from unghost.confront import confront, pin
from unghost.criteria import Criterion, Fresh
from unghost.decide import PRECISION, decide
from unghost.detect import detect
from unghost.errors import BatchNotFoundError, PlanError, RefusedError, UnghostError
from unghost.gather import Question, gather
from unghost.hints import MISSED_EVENT, Look, look
from unghost.model import (
    AuditEntry,
    AuditRow,
    Batch,
    BatchStatus,
    CallLog,
    ChainHead,
    Claim,
    CloseOrder,
    Decision,
    Event,
    Evidence,
    Flatness,
    GateVerdict,
    Hint,
    LedgerRow,
    Lifecycle,
    LifecycleKey,
    Mode,
    OverClosed,
    PauseReading,
    ProfileRef,
    Reason,
    Rules,
    Ruling,
)
from unghost.ports import (
    MISMATCH_EVENT,
    Clock,
    EventSink,
    Exchange,
    FillFiles,
    Ledger,
    PauseGate,
    Progress,
    SeenAccounts,
)
from unghost.record import Pen, planned_entry, record
from unghost.report import way_back
from unghost.rowfacts import is_filled

log = structlog.get_logger("unghost")

BATCH_FINISHED_EVENT = "BATCH_FINISHED"
SUPERSEDED_EVENT = "BACKFILL_SUPERSEDED"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Everything that one profile's cycle works with.

    `own_pause` when the pause is kept in `trading_profile`. `settings_shown` is what the batch
    records of the settings; it holds no secret.
    """

    profile: ProfileRef
    ledger: Ledger
    exchange: Exchange
    pause: PauseGate
    events: EventSink
    rules: Rules
    enabled: bool
    throttle_ms: int
    plan_ttl_minutes: int
    ledger_in_contracts: bool
    settings_shown: Mapping[str, str]
    clock: Clock
    own_pause: bool
    files: FillFiles | None = None
    """Imported files of fills; None where there are none to ask."""
    accounts: SeenAccounts | None = None
    """Which account each profile's key sees; None where nobody asks."""
    share_allowed_by: str = ""
    """Who has allowed any share of the open lifecycles, for one batch; empty: nobody."""


class Outcome(StrEnum):
    """How a cycle ended, for the exit code."""

    CLEAN = "clean"
    REMAINING = "remaining"
    REFUSED = "refused"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, kw_only=True)
class CycleReport:
    """What a cycle found and did. `batch` is None when the backfill is not enabled.

    `head` is where the chain of the record ended then; `ceilings` are what the batch would reach,
    also where it was refused for that. `superseded` are lifecycles in which a real EXIT came after
    rows of ours that still stand.
    """

    batch: Batch | None
    lifecycles: tuple[Lifecycle, ...]
    rulings: tuple[Ruling, ...] = ()
    audit: tuple[AuditRow, ...] = ()
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    head: ChainHead | None = None
    ceilings: tuple[Ceiling, ...] = ()
    superseded: tuple[OverClosed, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Environment before refusal before remains: the one that a person must see to first."""
        reasons = {row.reason for row in self.audit if row.decision is Decision.NO_GO}
        if reasons & _UNREADABLE or any(_is_unread(ruling) for ruling in self.rulings):
            return Outcome.ENVIRONMENT
        if reasons & _CLOSED_BY_PAUSE or Reason.LIMIT_EXCEEDED in reasons:
            return Outcome.REFUSED
        if self.batch is not None and self.batch.plan_batch_id and Reason.PLAN_DRIFT in reasons:
            return Outcome.REFUSED
        applied = self.batch is not None and self.batch.mode is Mode.APPLY
        rolled_back = any(row.reason is Reason.BACKFILL_ROLLED_BACK for row in self.audit)
        done = applied and not reasons and not rolled_back
        return Outcome.CLEAN if done or not self.lifecycles else Outcome.REMAINING


_UNREADABLE = {
    Reason.EXCHANGE_STATE_UNKNOWN,
    Reason.FILL_EVIDENCE_INCOMPLETE,
    Reason.PAUSE_STATUS_UNKNOWN,
}
_CLOSED_BY_PAUSE = {Reason.PROFILE_NOT_PAUSED}


def _is_unread(ruling: Ruling) -> bool:
    """Pause or position could not be read, even where an earlier gate names the reason."""
    return any(
        gate.verdict is GateVerdict.UNKNOWN and gate.reason in _UNREAD_GATES
        for gate in ruling.gates
    )


_UNREAD_GATES = {Reason.EXCHANGE_STATE_UNKNOWN, Reason.PAUSE_STATUS_UNKNOWN}


def detect_ghosts(desk: Desk) -> tuple[Lifecycle, ...]:
    """The open lifecycles of the profile, by the checklist's section 1."""
    return detect(desk.ledger, (desk.profile.profile_id,))


# --- one cycle ---------------------------------------------------------------------------------


def run_cycle(
    desk: Desk,
    *,
    actor: str,
    plan: str | None = None,
    progress: Progress | None = None,
    started: Callable[[str], None] | None = None,
) -> CycleReport:
    """Run one reconciliation cycle under the flags; with `plan`, write only what that batch held.

    `started` hears the batch's id as soon as the batch is in the database.
    Raises PlanError for a plan that cannot be used, DatabaseError when the record cannot be kept.
    """
    planned = _load_plan(desk, plan) if plan is not None else None
    if not desk.enabled:
        return _only_detect(desk, progress)
    with _alone(desk):
        if desk.rules.mode is Mode.APPLY:
            desk.ledger.close_interrupted(desk.profile.account_profiles)
        return _run_batch(
            desk,
            lambda: draft_rulings(desk, planned=planned, progress=progress),
            actor=actor,
            plan=plan,
            progress=progress,
            started=started,
        )


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a cycle of the loop found. `digest` is equal while nothing that matters has moved.

    `hint` is for the next one.
    """

    report: CycleReport
    digest: str
    hint: Hint


def watch(
    desk: Desk,
    *,
    actor: str,
    known: str,
    hint: Hint | None = None,
    full_every: timedelta = timedelta(),
) -> Watched:
    """Run one cycle of the loop: as `run_cycle`, but what was found before is not recorded again.

    Without this, a refusal that stands for a week would be written down once a minute. Where there
    is something to write to `orders`, the cycle runs always. `known` is the last digest.

    With a hint it looks only at lifecycles that were touched or open, and at everything each
    `full_every`. A market that is flat is never ruled upon anew by the hint: whose exit a fill is
    depends on every open lifecycle of the market.
    """
    if not desk.enabled:
        seen = _look(desk, (desk.profile.profile_id,), hint, full_every)
        report = _only_detect(desk, None, found=seen.lifecycles)
        digest = _digest(desk, report.lifecycles, ())
        return Watched(report=report, digest=digest, hint=seen.hint)
    with _alone(desk):
        if desk.rules.mode is Mode.APPLY:
            desk.ledger.close_interrupted(desk.profile.account_profiles)
        seen = _look(desk, desk.profile.account_profiles, hint, full_every)
        draft = draft_rulings(desk, lifecycles=seen.lifecycles)
        if not seen.full and _needs_all(desk, draft, known):
            seen = _look(desk, desk.profile.account_profiles, hint, timedelta())
            draft = draft_rulings(desk, lifecycles=seen.lifecycles)
        found = tuple(ruling.lifecycle for ruling in draft.rulings)
        digest = _digest(desk, found, draft.rulings)
        if digest == known and not _would_write(desk, draft):
            report = _as_before(desk, draft, found)
        else:
            report = _run_batch(desk, lambda: draft, actor=actor)
    return Watched(report=report, digest=digest, hint=seen.hint)


def _look(desk: Desk, profile_ids: Sequence[str], hint: Hint | None, full_every: timedelta) -> Look:
    """Look, and tell as an event what the hint would have missed."""
    seen = look(desk.ledger, profile_ids, hint=hint, every=full_every, now=desk.clock())
    if seen.missed:
        log.warning("the fast path had missed lifecycles", missed=seen.missed)
        desk.events.emit(
            Event(
                event_type=MISSED_EVENT,
                profile_id=desk.profile.profile_id,
                symbol=None,
                payload={"missed": list(seen.missed)},
            )
        )
    return seen


def _needs_all(desk: Desk, draft: Draft, known: str) -> bool:
    """Whether something would be ruled anew on a market that is flat."""
    found = tuple(ruling.lifecycle for ruling in draft.rulings)
    if not any(_is_flat(evidence) for evidence in draft.evidences):
        return False
    return _would_write(desk, draft) or _digest(desk, found, draft.rulings) != known


def _is_flat(evidence: Evidence) -> bool:
    return Flatness.FLAT in {
        evidence.position_before.flatness,
        evidence.position_after.flatness,
    }


def _would_write(desk: Desk, draft: Draft) -> bool:
    return desk.rules.mode is Mode.APPLY and any(ruling.candidates for ruling in draft.rulings)


def _as_before(desk: Desk, draft: Draft, found: tuple[Lifecycle, ...]) -> CycleReport:
    return CycleReport(
        batch=None,
        lifecycles=found,
        rulings=draft.rulings,
        events=_emit_mismatches(desk, draft.evidences),
        notes=("everything is as the last cycle of the loop recorded it: nothing recorded anew",),
    )


def _digest(desk: Desk, lifecycles: Sequence[Lifecycle], rulings: Sequence[Ruling]) -> str:
    """Of what a batch would record, times and ages left out."""
    parts: list[object] = [desk.enabled, desk.rules.mode]
    parts += sorted((one.key, one.open_qty) for one in lifecycles)
    for ruling in sorted(rulings, key=lambda one: one.lifecycle.key):
        parts.append(ruling.lifecycle.key)
        parts += sorted((one.order_id, one.fingerprint) for one in ruling.candidates)
        parts += sorted((one.candidate.order_id, one.reason) for one in ruling.skips)
        parts += sorted((one.reason, one.quantity) for one in ruling.refusals)
    text = "\n".join(map(str, parts))
    return hashlib.sha256(text.encode()).hexdigest()


def _alone(desk: Desk) -> AbstractContextManager[None]:
    """One apply per account at a time; dry runs need not wait."""
    if desk.rules.mode is Mode.APPLY:
        return desk.ledger.applying(desk.profile.account)
    return nullcontext()


def _only_detect(
    desk: Desk, progress: Progress | None, *, found: tuple[Lifecycle, ...] | None = None
) -> CycleReport:
    lifecycles = detect_ghosts(desk) if found is None else found
    evidences = _gather(desk, lifecycles=lifecycles, progress=progress, positions_only=True)
    return CycleReport(
        batch=None,
        lifecycles=lifecycles,
        events=_emit_mismatches(desk, evidences),
        superseded=_emit_superseded(desk),
        notes=("ENABLE_RECON_EXIT_BACKFILL is false: detected only, nothing recorded",),
    )


def _run_batch(
    desk: Desk,
    drafted: Callable[[], Draft],
    *,
    actor: str,
    plan: str | None = None,
    progress: Progress | None = None,
    started: Callable[[str], None] | None = None,
) -> CycleReport:
    batch_id = desk.ledger.start_batch(
        profile_id=desk.profile.profile_id,
        mode=desk.rules.mode,
        actor=actor,
        settings=desk.settings_shown,
        plan_batch_id=plan,
        notes=_notes(desk),
    )
    before = desk.exchange.calls()
    with structlog.contextvars.bound_contextvars(
        batch_id=batch_id, profile_id=desk.profile.profile_id
    ):
        try:
            if started is not None:
                started(batch_id)
            return _fill_batch(desk, batch_id, actor, drafted, progress=progress, before=before)
        except BaseException:
            _fail(desk, batch_id, before)
            raise


def _fill_batch(
    desk: Desk,
    batch_id: str,
    actor: str,
    drafted: Callable[[], Draft],
    *,
    progress: Progress | None,
    before: CallLog,
) -> CycleReport:
    draft = drafted()
    pen = Pen(
        profile=desk.profile,
        ledger=desk.ledger,
        exchange=desk.exchange,
        pause=desk.pause,
        own_pause=desk.own_pause,
        rules=desk.rules,
        clock=desk.clock,
        actor=actor,
    )
    record(batch_id, draft.rulings, draft.evidences, extra=draft.extra, pen=pen, progress=progress)
    events = _emit_mismatches(desk, draft.evidences)
    superseded = _emit_superseded(desk)
    batch = desk.ledger.finish_batch(
        batch_id,
        status=BatchStatus.FINISHED,
        calls=desk.exchange.calls().since(before),
        notes=_ceiling_notes(desk, draft.ceilings),
    )
    head = desk.ledger.chain_head()
    _tell_finished(desk, batch, head)
    return CycleReport(
        batch=batch,
        head=head,
        superseded=superseded,
        ceilings=draft.ceilings,
        lifecycles=tuple(ruling.lifecycle for ruling in draft.rulings),
        rulings=draft.rulings,
        audit=desk.ledger.audit_rows(batch_id=batch_id),
        events=events,
        notes=batch.notes,
    )


def _tell_finished(desk: Desk, batch: Batch, head: ChainHead) -> None:
    """In the log and as an event, with the chain's head: kept elsewhere, it proves the record."""
    log.info("batch finished", mode=batch.mode, head=str(head), **batch.counts)
    payload = {
        "batch_id": batch.batch_id,
        "mode": batch.mode.value,
        "counts": batch.counts,
        "head": str(head),
    }
    desk.events.emit(
        Event(
            event_type=BATCH_FINISHED_EVENT,
            profile_id=batch.profile_id,
            symbol=None,
            payload=payload,
        )
    )


def _fail(desk: Desk, batch_id: str, before: CallLog) -> None:
    """Mark the batch as failed where the database still answers; the cause is raised anyway."""
    try:
        desk.ledger.finish_batch(
            batch_id, status=BatchStatus.FAILED, calls=desk.exchange.calls().since(before)
        )
    except UnghostError as error:
        log.warning("the failed batch could not be marked", error=str(error))


def _ceiling_notes(desk: Desk, ceilings: Sequence[Ceiling]) -> list[str]:
    """What is exceeded, and what a person has allowed with the share that it came to."""
    notes = [f"{one.sentence}: {one.way_on}" for one in ceilings if one.exceeded]
    if desk.share_allowed_by:
        notes += [
            f"{one.name}: {one.value}, any allowed by {desk.share_allowed_by}"
            for one in ceilings
            if one.asks
        ]
    return notes


def allowing_share(desk: Desk, *, actor: str) -> Desk:
    """The desk for one batch that may close any share; the batch says by whose word."""
    return replace(
        desk,
        rules=with_share_allowed(desk.rules),
        settings_shown={**desk.settings_shown, "allow_share": f"allowed by {actor}"},
        share_allowed_by=actor,
    )


def _notes(desk: Desk) -> tuple[str, ...]:
    if desk.rules.require_pause:
        return ()
    return ("RECON_EXIT_BACKFILL_REQUIRE_PAUSE is false: the pause gate is open by settings",)


# --- the stages up to the decision -------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Decisions that nothing has been written of yet."""

    evidences: tuple[Evidence, ...]
    pause: PauseReading
    rulings: tuple[Ruling, ...]
    ceilings: tuple[Ceiling, ...]
    extra: tuple[AuditEntry, ...] = ()


def draft_rulings(
    desk: Desk,
    *,
    planned: Sequence[AuditRow] | None = None,
    lifecycles: tuple[Lifecycle, ...] | None = None,
    progress: Progress | None = None,
) -> Draft:
    """Detect, gather, decide: the one code path of dry run, apply and go/no-go.

    `lifecycles` are those that the loop has detected already.
    """
    if lifecycles is None:
        lifecycles = detect(desk.ledger, desk.profile.account_profiles)
    evidences = _gather(desk, lifecycles=lifecycles, progress=progress)
    pause = desk.pause.read(desk.profile.profile_id)
    rulings = decide(evidences, pause=pause, rules=desk.rules, now=desk.clock())
    existing = desk.ledger.rows_by_order_id(_ids(rulings, planned))
    rulings = confront(rulings, existing)
    extra: tuple[AuditEntry, ...] = ()
    if planned is not None:
        rulings, gone = pin(rulings, planned)
        extra = tuple(_gone_entry(row, existing) for row in gone)
    return Draft(
        evidences=evidences,
        pause=pause,
        rulings=limit(rulings, desk.rules),
        ceilings=measure(load_of(rulings), desk.rules),
        extra=extra,
    )


def _gather(
    desk: Desk,
    *,
    lifecycles: tuple[Lifecycle, ...],
    progress: Progress | None,
    read_all_fills: bool = False,
    positions_only: bool = False,
) -> tuple[Evidence, ...]:
    question = Question(
        profile=desk.profile,
        lifecycles=lifecycles,
        rules=desk.rules,
        ledger_in_contracts=desk.ledger_in_contracts,
        read_all_fills=read_all_fills,
        positions_only=positions_only,
    )
    return gather(
        question,
        ledger=desk.ledger,
        exchange=desk.exchange,
        clock=desk.clock,
        files=desk.files,
        accounts=desk.accounts,
        progress=progress,
    )


def _ids(rulings: Sequence[Ruling], planned: Sequence[AuditRow] | None) -> list[str]:
    ids = {one.order_id for ruling in rulings for one in ruling.candidates}
    ids |= {row.backfill_order_id for row in planned or () if row.backfill_order_id}
    return sorted(ids)


def _gone_entry(row: AuditRow, existing: Mapping[str, LedgerRow]) -> AuditEntry:
    """A planned row that is no candidate any more: written already, or overtaken by events."""
    standing = existing.get(row.backfill_order_id or "")
    if standing is None:
        sentence = (
            f"{row.trade_id} ({row.symbol}): planned, but no longer a candidate; the lifecycle is"
            " closed, or a gate is (see its own row)"
        )
        return planned_entry(row, Decision.NO_GO, Reason.PLAN_DRIFT, sentence)
    reason = Reason.BACKFILL_EXISTS if is_filled(standing) else Reason.BACKFILL_ROLLED_BACK
    words = "stands already" if is_filled(standing) else "was rolled back"
    sentence = f"{row.trade_id} ({row.symbol}): {row.backfill_order_id} {words}"
    return planned_entry(row, Decision.SKIP_EXISTING, reason, sentence)


# --- plans -------------------------------------------------------------------------------------


def _load_plan(desk: Desk, plan: str) -> tuple[AuditRow, ...]:
    batch = _plan_batch(desk, plan)
    if desk.rules.mode is Mode.DRY_RUN:
        message = (
            "RECON_EXIT_BACKFILL_DRY_RUN is true: set it to false to apply a plan, or leave --plan"
            " out for another dry run"
        )
        raise RefusedError(message)
    if not desk.enabled:
        message = "ENABLE_RECON_EXIT_BACKFILL is false: set it to true to apply a plan"
        raise RefusedError(message)
    stale = plan_problem(batch, desk.ledger.now(), desk.plan_ttl_minutes)
    if stale is not None:
        raise PlanError(stale)
    return _planned_rows(desk, plan)


def _planned_rows(desk: Desk, plan: str) -> tuple[AuditRow, ...]:
    return desk.ledger.audit_rows(batch_id=plan, decision=Decision.DRY_RUN)


def _plan_batch(desk: Desk, plan: str) -> Batch:
    batch = desk.ledger.batch(plan)
    if batch is None:
        message = f"There is no batch {plan!r}: `unghost status` lists the latest."
        raise BatchNotFoundError(message)
    if batch.profile_id != desk.profile.profile_id:
        message = (
            f"Batch {plan} belongs to profile {batch.profile_id},"
            f" not to {desk.profile.profile_id}: choose it with --profile."
        )
        raise BatchNotFoundError(message)
    return batch


def plan_problem(batch: Batch, now: datetime, ttl_minutes: int) -> str | None:
    """Why a batch cannot serve as a plan: not a finished dry run, or too old. None if it can."""
    if batch.mode is not Mode.DRY_RUN:
        return f"Batch {batch.batch_id} is an apply, not a dry run: only a dry run is a plan"
    if batch.status is not BatchStatus.FINISHED or batch.finished_at is None:
        return f"Batch {batch.batch_id} is {batch.status}, not finished: make another dry run"
    age = now - batch.finished_at
    if age > timedelta(minutes=ttl_minutes):
        minutes = int(age.total_seconds() // 60)
        return (
            f"Plan {batch.batch_id} is {minutes} minutes old and expired after {ttl_minutes}:"
            " make another dry run"
        )
    return None


# --- events ------------------------------------------------------------------------------------


def _emit_mismatches(desk: Desk, evidences: Sequence[Evidence]) -> tuple[Event, ...]:
    """One event per flat market on which the ledger has an open lifecycle, throttled."""
    events = [
        _mismatch(desk, evidence)
        for evidence in evidences
        if evidence.position_after.flatness is Flatness.FLAT
        and evidence.position_before.flatness is Flatness.FLAT
    ]
    stored = desk.events.emit_throttled(events, throttle_ms=desk.throttle_ms) if events else ()
    for event in stored:
        log.warning(
            MISMATCH_EVENT,
            profile_id=event.profile_id,
            symbol=event.symbol,
            lifecycles=event.payload["lifecycles"],
        )
    return stored


def _emit_superseded(desk: Desk) -> tuple[OverClosed, ...]:
    """A real EXIT that came after ours, told once for each set of rows (FAILURES 16)."""
    found = desk.ledger.superseded(desk.profile.profile_id)
    for event in desk.events.emit_once([_superseded(one) for one in found]):
        log.warning(
            SUPERSEDED_EVENT,
            profile_id=event.profile_id,
            symbol=event.symbol,
            trade_id=event.payload["trade_id"],
            way_back=event.payload["way_back"],
        )
    return found


def _superseded(over: OverClosed) -> Event:
    return Event(
        event_type=SUPERSEDED_EVENT,
        profile_id=over.key.profile_id,
        symbol=over.key.symbol,
        payload={
            "key": ":".join((over.key.trade_id, *sorted(row[0] for row in over.superseded))),
            "trade_id": over.key.trade_id,
            "entry_qty": str(over.entry_qty),
            "exit_qty": str(over.exit_qty),
            "rows": [
                {"order_id": order_id, "quantity": str(quantity), "batch_id": batch_id}
                for order_id, quantity, batch_id in over.superseded
            ],
            "way_back": way_back(over),
        },
    )


def _mismatch(desk: Desk, evidence: Evidence) -> Event:
    own = [one for one in evidence.lifecycles if one.key.profile_id == desk.profile.profile_id]
    return Event(
        event_type=MISMATCH_EVENT,
        profile_id=desk.profile.profile_id,
        symbol=evidence.symbol,
        payload={
            "lifecycles": [one.key.trade_id for one in own[:100]],
            "count": len(own),
            "open_qty": str(sum((one.open_qty for one in own), Decimal(0)) / evidence.ledger_unit),
            "exchange": evidence.position_after.detail,
        },
    )


# --- looking at one symbol ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SymbolReport:
    """The readings, close orders and claims of one market, as normalised (base units)."""

    evidence: Evidence
    pause: PauseReading
    rulings: tuple[Ruling, ...]
    orders: tuple[CloseOrder, ...]
    claims: tuple[Claim, ...]
    unclaimed: tuple[tuple[str, Decimal], ...]
    doubts: tuple[str, ...]
    calls: CallLog


def inspect_symbol(
    desk: Desk, symbol: str, *, progress: Progress | None = None
) -> SymbolReport | None:
    """All that is known about the symbol's open lifecycles; None when it has none."""
    lifecycles = detect(desk.ledger, desk.profile.account_profiles)
    wanted = desk.exchange.resolve((symbol,)).get(symbol)
    evidences = _gather(desk, lifecycles=lifecycles, progress=progress, read_all_fills=True)
    for evidence in evidences:
        if symbol in {evidence.symbol, *(one.key.symbol for one in evidence.lifecycles)} or (
            wanted is not None and evidence.market == wanted
        ):
            return _symbol_report(desk, evidence)
    return None


def _symbol_report(desk: Desk, evidence: Evidence) -> SymbolReport:
    pause = desk.pause.read(desk.profile.profile_id)
    with localcontext(prec=PRECISION):
        legs = allocate(evidence, desk.rules).legs
    return SymbolReport(
        evidence=evidence,
        pause=pause,
        rulings=decide((evidence,), pause=pause, rules=desk.rules, now=desk.clock()),
        orders=tuple(order for leg in legs for order in leg.orders),
        claims=tuple(claim for leg in legs for claim in leg.claims),
        unclaimed=tuple(rest for leg in legs for rest in leg.unclaimed),
        doubts=tuple(doubt for leg in legs for doubt in leg.doubts),
        calls=desk.exchange.calls(),
    )


# --- go / no-go --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GoNoGo:
    """Section 6 of the checklist. `held_back` counts lifecycles that the plan leaves alone."""

    batch: Batch
    go: bool
    held_back: int
    criteria: tuple[Criterion, ...]


def go_no_go(
    desk: Desk, batch_id: str, *, allow_partial: bool = False, progress: Progress | None = None
) -> GoNoGo:
    """Judge a plan against the present: everything is read again, nothing is written."""
    batch = _plan_batch(desk, batch_id)
    rows = desk.ledger.audit_rows(batch_id=batch_id)
    # The share is a criterion by itself; here it would only hide the others.
    unasked = replace(desk, rules=with_share_allowed(desk.rules))
    draft = draft_rulings(unasked, progress=progress)
    fresh = Fresh(
        batch=batch,
        plan_problem=plan_problem(batch, desk.ledger.now(), desk.plan_ttl_minutes),
        rows=rows,
        rulings=draft.rulings,
        evidences=draft.evidences,
        pause=draft.pause,
        rules=desk.rules,
        audit_writable=desk.ledger.audit_writable(),
        allow_partial=allow_partial,
        now=desk.clock(),
    )
    judged = tuple(judge(fresh) for judge in criteria.CRITERIA)
    return GoNoGo(
        batch=batch,
        go=all(one.verdict is not criteria.Verdict.NO_GO for one in judged),
        held_back=len(criteria.held_back(rows)),
        criteria=judged,
    )


# --- validation --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Section 8 of the checklist, and what came later than our rows."""

    ghosts: tuple[tuple[LifecycleKey, Decimal, Decimal], ...]
    decisions: Mapping[str, int]
    mismatch_events: int
    over_closed: tuple[OverClosed, ...]


def validate(desk: Desk) -> Validation:
    """Ghosts left, decisions by count, mismatch events, over-closed lifecycles."""
    profile_id = desk.profile.profile_id
    return Validation(
        ghosts=desk.ledger.ghosts_left(profile_id),
        decisions=desk.ledger.decision_counts(profile_id),
        mismatch_events=desk.events.counts(profile_id).get(MISMATCH_EVENT, 0),
        over_closed=desk.ledger.over_closed(profile_id),
    )
