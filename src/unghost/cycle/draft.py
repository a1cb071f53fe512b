"""The stages up to the decision: detect, gather, decide. Nothing is written here.

Dry run, apply and go/no-go share this one code path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unghost.ceilings import Ceiling, limit, load_of, measure
from unghost.confront import confront, pin
from unghost.decide import decide
from unghost.desk import Desk
from unghost.detect import detect
from unghost.gather import Question, gather
from unghost.model import (
    AuditEntry,
    AuditRow,
    Decision,
    Evidence,
    LedgerRow,
    Lifecycle,
    PauseReading,
    Reason,
    Ruling,
)
from unghost.ports import Progress
from unghost.record import planned_entry
from unghost.rowfacts import is_filled


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Decisions that nothing has been written of yet."""

    evidences: tuple[Evidence, ...]
    pause: PauseReading
    rulings: tuple[Ruling, ...]
    ceilings: tuple[Ceiling, ...]
    extra: tuple[AuditEntry, ...] = ()


def detect_ghosts(desk: Desk) -> tuple[Lifecycle, ...]:
    """The open lifecycles of the profile, by the checklist's section 1."""
    return detect(desk.ledger, (desk.profile.profile_id,))


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
    evidences = gather_evidence(desk, lifecycles=lifecycles, progress=progress)
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


def gather_evidence(
    desk: Desk,
    *,
    lifecycles: tuple[Lifecycle, ...],
    progress: Progress | None,
    read_all_fills: bool = False,
    positions_only: bool = False,
) -> tuple[Evidence, ...]:
    """What exchange and ledger say of the lifecycles' markets, one evidence for each market."""
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
