"""One batch from its start to its end: what was drafted is recorded, told and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import structlog

from unghost.ceilings import Ceiling
from unghost.cycle.alerts import emit_mismatches, emit_superseded
from unghost.cycle.draft import Draft, detect_ghosts, gather_evidence
from unghost.cycle.outcome import CycleReport
from unghost.desk import Desk
from unghost.errors import UnghostError
from unghost.model import Batch, BatchStatus, CallLog, ChainHead, Event, Lifecycle, Mode
from unghost.ports import Progress
from unghost.record import Pen, record

log = structlog.get_logger("unghost")

BATCH_FINISHED_EVENT = "BATCH_FINISHED"


def only_detect(
    desk: Desk, progress: Progress | None, *, found: tuple[Lifecycle, ...] | None = None
) -> CycleReport:
    """What is open, and which markets disagree; no batch, nothing recorded.

    `found` are lifecycles that the loop has detected already.
    """
    lifecycles = detect_ghosts(desk) if found is None else found
    evidences = gather_evidence(desk, lifecycles=lifecycles, progress=progress, positions_only=True)
    return CycleReport(
        batch=None,
        lifecycles=lifecycles,
        events=emit_mismatches(desk, evidences),
        superseded=emit_superseded(desk),
        notes=("ENABLE_RECON_EXIT_BACKFILL is false: detected only, nothing recorded",),
    )


def alone(desk: Desk) -> AbstractContextManager[None]:
    """One apply per account at a time; dry runs need not wait."""
    if desk.rules.mode is Mode.APPLY:
        return desk.ledger.applying(desk.profile.account)
    return nullcontext()


def close_interrupted(desk: Desk) -> None:
    """Whatever runs of the account left behind when they died; those that live are left alone."""
    closed = desk.ledger.close_interrupted(desk.profile.account, desk.profile.account_profiles)
    for batch_id in closed.batch_ids:
        log.warning("the run of a batch had died: it is interrupted", batch_id=batch_id)


def run_batch(
    desk: Desk,
    drafted: Callable[[], Draft],
    *,
    actor: str,
    plan: str | None = None,
    progress: Progress | None = None,
    started: Callable[[str], None] | None = None,
) -> CycleReport:
    """Start a batch, record what is drafted then, and finish it.

    `drafted` is called once the batch is in the database; `started` hears its id before that.
    Whatever is raised marks the batch as failed, and is raised on.
    """
    before = desk.exchange.calls()
    running = desk.ledger.running_batch(
        profile_id=desk.profile.profile_id,
        mode=desk.rules.mode,
        actor=actor,
        settings=desk.settings_shown,
        plan_batch_id=plan,
        notes=_notes(desk),
    )
    with (
        running as batch_id,
        structlog.contextvars.bound_contextvars(
            batch_id=batch_id, profile_id=desk.profile.profile_id
        ),
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
    events = emit_mismatches(desk, draft.evidences)
    superseded = emit_superseded(desk)
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
    if desk.share_allowed:
        notes += [
            f"{one.name}: {one.value}, {desk.share_allowed}"
            for one in ceilings
            if one.allowable is not None
        ]
    return notes


def _notes(desk: Desk) -> tuple[str, ...]:
    if desk.rules.require_pause:
        return ()
    return ("RECON_EXIT_BACKFILL_REQUIRE_PAUSE is false: the pause gate is open by settings",)
