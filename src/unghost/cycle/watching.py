"""The loop's cycle: what was found before is not recorded again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from unghost.cycle.alerts import emit_mismatches
from unghost.cycle.batches import alone, close_interrupted, only_detect, run_batch
from unghost.cycle.draft import Draft, draft_rulings
from unghost.cycle.outcome import CycleReport
from unghost.desk import Desk
from unghost.hints import MISSED_EVENT, Look, look
from unghost.model import Event, Evidence, Flatness, Hint, Lifecycle, Mode, Ruling

log = structlog.get_logger("unghost")


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
        report = only_detect(desk, None, found=seen.lifecycles)
        digest = _digest(desk, report.lifecycles, ())
        return Watched(report=report, digest=digest, hint=seen.hint)
    with alone(desk):
        close_interrupted(desk)
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
            report = run_batch(desk, lambda: draft, actor=actor)
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
        events=emit_mismatches(desk, draft.evidences),
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
