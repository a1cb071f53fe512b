"""Stage 4: write down what was decided, and in apply mode write the rows.

For each chunk: the intent is committed as PENDING_APPLY; then one transaction takes the account's
lock, checks pause, flatness and every row version again, inserts, reads back and settles the audit.
Whatever is not proven at that moment is not written. Chunks are whole markets, so that no chunk
moves the ground under the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from unghost.collector import collector_paused
from unghost.errors import CommitOutcomeUnknownError, DatabaseError
from unghost.gates import flat_doubt, pause_doubt
from unghost.model import (
    AuditEntry,
    AuditRow,
    Candidate,
    Decision,
    Evidence,
    InsertOutcome,
    LifecycleKey,
    Mode,
    PositionReading,
    ProfileRef,
    Reason,
    Rules,
    Ruling,
    Settlement,
    Skip,
)
from unghost.ports import Clock, Exchange, Ledger, PauseGate, Progress, WriteTransaction
from unghost.recheck import LedgerNow, ground_of, ledger_now, rows_now
from unghost.selection import evidence_digest

CHUNKS = 4
"""Into about how many chunks a batch is parted; a single market is never cut.

Each chunk looks through the ledger anew, so many small ones take long. In a large one a row of the
bot that comes meanwhile undoes more, and a resume waits longer for its commit.
"""

LEAST_ROWS, MOST_ROWS = 1_000, 10_000
"""Bounds of the rows after which a chunk is closed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pen:
    """What writing needs of the world. `own_pause` when the pause is kept in our own table."""

    profile: ProfileRef
    ledger: Ledger
    exchange: Exchange
    pause: PauseGate
    own_pause: bool
    rules: Rules
    clock: Clock
    actor: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chunk:
    """Whole markets with everything that is to be written for them."""

    evidences: tuple[Evidence, ...]
    intents: tuple[AuditEntry, ...]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(one.candidate for one in self.intents if one.candidate is not None)


class _LedgerMovedError(Exception):
    """The bot committed a row while ours were being written; the transaction is undone."""


# --- entries -----------------------------------------------------------------------------------


def entries(rulings: Iterable[Ruling], mode: Mode) -> tuple[AuditEntry, ...]:
    """The audit rows of the rulings: candidates, existing rows, refusals, in that order."""
    intended = Decision.DRY_RUN if mode is Mode.DRY_RUN else Decision.PENDING_APPLY
    return tuple(entry for ruling in rulings for entry in _of_ruling(ruling, intended))


def _of_ruling(ruling: Ruling, intended: Decision) -> Iterator[AuditEntry]:
    for candidate in ruling.candidates:
        yield _of_candidate(ruling, candidate, intended, candidate.reason)
    for skip in ruling.skips:
        yield _of_skip(ruling, skip)
    for refusal in ruling.refusals:
        yield AuditEntry(
            key=ruling.lifecycle.key,
            decision=Decision.NO_GO,
            reason=refusal.reason,
            filled_qty=None,
            open_qty=_finite_open(ruling),
            remainder_qty=refusal.quantity if refusal.quantity.is_finite() else None,
            candidate=None,
            backfill_order_id=refusal.order_id,
            fingerprint=None,
            evidence={**ruling.evidence, "sentence": refusal.sentence},
        )


def _finite_open(ruling: Ruling) -> Decimal | None:
    """The open quantity in units of the ledger; numeric columns of ours hold no NaN."""
    quantity = ruling.lifecycle.open_qty
    unit = Decimal(str(ruling.evidence.get("ledger_unit", "1")))
    return quantity / unit if quantity.is_finite() else None


def _of_candidate(
    ruling: Ruling, candidate: Candidate, decision: Decision, reason: Reason
) -> AuditEntry:
    return AuditEntry(
        key=candidate.key,
        decision=decision,
        reason=reason,
        filled_qty=candidate.quantity,
        open_qty=candidate.open_qty,
        remainder_qty=candidate.remainder_qty,
        candidate=candidate,
        backfill_order_id=candidate.order_id,
        fingerprint=candidate.fingerprint,
        evidence={
            **ruling.evidence,
            "basis": candidate.basis,
            "fees": _fees(candidate),
        },
    )


def _fees(candidate: Candidate) -> list[dict[str, str]] | None:
    if candidate.fees is None:
        return None
    return [{"currency": fee.currency, "amount": str(fee.amount)} for fee in candidate.fees]


def _of_skip(ruling: Ruling, skip: Skip) -> AuditEntry:
    entry = _of_candidate(ruling, skip.candidate, Decision.SKIP_EXISTING, skip.reason)
    return AuditEntry(
        key=entry.key,
        decision=entry.decision,
        reason=entry.reason,
        filled_qty=entry.filled_qty,
        open_qty=entry.open_qty,
        remainder_qty=entry.remainder_qty,
        candidate=entry.candidate,
        backfill_order_id=entry.backfill_order_id,
        fingerprint=entry.fingerprint,
        evidence={**entry.evidence, "sentence": skip.sentence},
    )


def planned_entry(row: AuditRow, decision: Decision, reason: Reason, sentence: str) -> AuditEntry:
    """An audit row for something that the plan held and the present does not."""
    return AuditEntry(
        key=LifecycleKey(profile_id=row.profile_id, symbol=row.symbol, trade_id=row.trade_id),
        decision=decision,
        reason=reason,
        filled_qty=row.filled_qty,
        open_qty=row.open_qty,
        remainder_qty=row.remainder_qty,
        candidate=None,
        backfill_order_id=row.backfill_order_id,
        fingerprint=row.fingerprint,
        evidence={"planned_in": row.batch_id, "sentence": sentence},
    )


# --- recording ---------------------------------------------------------------------------------


def record(
    batch_id: str,
    rulings: Sequence[Ruling],
    evidences: Sequence[Evidence],
    *,
    extra: Sequence[AuditEntry],
    pen: Pen,
    progress: Progress | None = None,
) -> None:
    """Write the audit of the batch, and in apply mode the rows.

    Raises DatabaseError when the audit cannot be written: then nothing was applied. The rows of a
    failed chunk are settled as NO_GO; chunks before it stand.
    """
    with collector_paused():
        every = (*entries(rulings, pen.rules.mode), *extra)
        _record(batch_id, every, evidences, pen, progress)


def _record(
    batch_id: str,
    every: Sequence[AuditEntry],
    evidences: Sequence[Evidence],
    pen: Pen,
    progress: Progress | None,
) -> None:
    settled = [one for one in every if one.decision is not Decision.PENDING_APPLY]
    intents = [one for one in every if one.decision is Decision.PENDING_APPLY]
    if settled:
        pen.ledger.write_audit(batch_id, actor=pen.actor, entries=settled)
    done = 0
    for chunk in _chunks(intents, evidences):
        _apply_chunk(batch_id, chunk, pen)
        done += len(chunk.intents)
        if progress is not None:
            progress.step("writing", done, len(intents))


def _chunks(intents: Sequence[AuditEntry], evidences: Sequence[Evidence]) -> Iterator[_Chunk]:
    market_of = {one.key: ev.symbol for ev in evidences for one in ev.lifecycles}
    by_market: dict[str, list[AuditEntry]] = defaultdict(list)
    for intent in intents:
        by_market[market_of[intent.key]].append(intent)
    enough = min(MOST_ROWS, max(LEAST_ROWS, len(intents) // CHUNKS))
    batch: list[Evidence] = []
    rows: list[AuditEntry] = []
    for evidence in evidences:
        if evidence.symbol not in by_market:
            continue
        batch.append(evidence)
        rows += by_market[evidence.symbol]
        if len(rows) >= enough:
            yield _Chunk(evidences=tuple(batch), intents=tuple(rows))
            batch, rows = [], []
    if rows:
        yield _Chunk(evidences=tuple(batch), intents=tuple(rows))


def _apply_chunk(batch_id: str, chunk: _Chunk, pen: Pen) -> None:
    ids = pen.ledger.write_audit(batch_id, actor=pen.actor, entries=chunk.intents)
    audit_ids = {one.order_id: id_ for one, id_ in zip(chunk.candidates, ids, strict=True)}
    try:
        asked = _ask_again(chunk, pen)
        with pen.ledger.writing(pen.profile.account) as transaction:
            _write(transaction, chunk, audit_ids, asked, pen)
    except _LedgerMovedError:
        _give_up(audit_ids, pen, Reason.LEDGER_CHANGED)
    except CommitOutcomeUnknownError:
        # The answer to COMMIT was lost: the record itself tells, and nothing is sent twice.
        _read_back(batch_id, audit_ids, pen)
        raise
    except DatabaseError:
        _give_up(audit_ids, pen, Reason.INTERRUPTED)
        raise


def _read_back(batch_id: str, audit_ids: Mapping[str, int], pen: Pen) -> None:
    wanted = set(audit_ids.values())
    rows = pen.ledger.audit_rows(batch_id=batch_id, decision=Decision.PENDING_APPLY)
    pending = {row.audit_id for row in rows} & wanted
    if pending:
        _give_up({str(one): one for one in pending}, pen, Reason.INTERRUPTED)


def _give_up(audit_ids: Mapping[str, int], pen: Pen, reason: Reason) -> None:
    """Settle the intent of a chunk that was rolled back; the next cycle does it where we cannot."""
    settlements = [
        Settlement(audit_id=one, decision=Decision.NO_GO, reason=reason)
        for one in audit_ids.values()
    ]
    try:
        with pen.ledger.writing(pen.profile.account) as transaction:
            transaction.settle(settlements)
    except DatabaseError:
        return


# --- the checks right before the write ---------------------------------------------------------

Doubts = dict[str, Reason]
"""Market symbol -> why nothing is written there any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What the outside world said last. Without a pause the positions are not asked for."""

    paused: Reason | None
    positions: Mapping[str, PositionReading]


def _ask_again(chunk: _Chunk, pen: Pen) -> _Asked:
    """Ask the outside world once more: the pause, and a third reading of every position."""
    paused = pause_doubt(pen.pause.read(pen.profile.profile_id), pen.rules)
    if paused is not None:
        return _Asked(paused=paused, positions={})
    markets = [evidence.market for evidence in chunk.evidences if evidence.market is not None]
    return _Asked(paused=None, positions=pen.exchange.positions(markets))


def _doubts(chunk: _Chunk, asked: _Asked, pen: Pen) -> Doubts:
    """What speaks against writing now: waiting for a lock may have made the answers too old."""
    now = pen.clock()
    found = {
        one.symbol: asked.paused or flat_doubt(asked.positions.get(one.symbol), pen.rules, now)
        for one in chunk.evidences
    }
    return {symbol: doubt for symbol, doubt in found.items() if doubt is not None}


# --- the write ---------------------------------------------------------------------------------


def _write(
    transaction: WriteTransaction,
    chunk: _Chunk,
    audit_ids: Mapping[str, int],
    asked: _Asked,
    pen: Pen,
) -> None:
    """Inside the transaction: check, insert, settle, check again. An exception undoes all of it."""
    own = frozenset(audit_ids)
    ground = ground_of(chunk.evidences, own=own, profile=pen.profile, exchange=pen.exchange)
    before = ledger_now(transaction, ground)
    resumed = _resumed(transaction, chunk, pen)
    refused = _changed(chunk, before, own) | _doubts(chunk, asked, pen) | resumed
    market_of = {one.key: ev.symbol for ev in chunk.evidences for one in ev.lifecycles}
    writable = [one for one in chunk.candidates if market_of[one.key] not in refused]
    outcomes = transaction.insert_backfills(writable) if writable else {}
    settlements = [
        _settlement(one, audit_ids[one.order_id], outcomes, refused.get(market_of[one.key]))
        for one in chunk.candidates
    ]
    _settle_all(transaction, settlements)
    # Pair of the check above: a row that was committed meanwhile undoes the chunk. It comes last,
    # because settling waits for every other writer of the record, and then theirs are seen too.
    if rows_now(transaction, ground) != before.rows:
        raise _LedgerMovedError


def _changed(chunk: _Chunk, now: LedgerNow, own: frozenset[str]) -> Doubts:
    """Markets whose ledger rows are no longer those that the evidence rests on."""
    return {
        one.symbol: Reason.LEDGER_CHANGED
        for one in chunk.evidences
        if evidence_digest(one, ignoring=own) != now.everything.get(one.symbol)
    }


def _resumed(transaction: WriteTransaction, chunk: _Chunk, pen: Pen) -> Doubts:
    """The pause once more, locked, so that a resume waits for this commit."""
    if not pen.own_pause:
        return {}
    paused = pause_doubt(transaction.pause_state(pen.profile.profile_id), pen.rules)
    return {} if paused is None else {one.symbol: paused for one in chunk.evidences}


def _settlement(
    candidate: Candidate,
    audit_id: int,
    outcomes: Mapping[str, InsertOutcome],
    refused: Reason | None,
) -> Settlement:
    if refused is not None:
        return Settlement(audit_id=audit_id, decision=Decision.NO_GO, reason=refused)
    match outcomes[candidate.order_id]:
        case InsertOutcome.INSERTED:
            decision, reason = Decision.APPLIED, candidate.reason
        case InsertOutcome.IDENTICAL:
            decision, reason = Decision.SKIP_EXISTING, Reason.BACKFILL_EXISTS
        case InsertOutcome.ROLLED_BACK:
            decision, reason = Decision.SKIP_EXISTING, Reason.BACKFILL_ROLLED_BACK
        case InsertOutcome.DIFFERENT:
            decision, reason = Decision.NO_GO, Reason.ORDER_ID_CONFLICT
        case never:
            assert_never(never)
    return Settlement(audit_id=audit_id, decision=decision, reason=reason)


def _settle_all(transaction: WriteTransaction, settlements: Sequence[Settlement]) -> None:
    """An intent that somebody else has settled means that this run is no longer the writer."""
    moved = transaction.settle(settlements)
    if moved != len(settlements):
        message = (
            f"{len(settlements) - moved} intents of this batch were settled by another run, or the"
            " batch was rolled back meanwhile; nothing of the chunk was written"
        )
        raise DatabaseError(message)
