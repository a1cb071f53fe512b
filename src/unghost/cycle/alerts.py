"""What a cycle tells as events: markets that disagree with the ledger, rows that came late."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import structlog

from unghost.desk import Desk
from unghost.model import Event, Evidence, Flatness, OverClosed
from unghost.ports import MISMATCH_EVENT
from unghost.report import way_back

log = structlog.get_logger("unghost")

SUPERSEDED_EVENT = "BACKFILL_SUPERSEDED"


def emit_mismatches(desk: Desk, evidences: Sequence[Evidence]) -> tuple[Event, ...]:
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


def emit_superseded(desk: Desk) -> tuple[OverClosed, ...]:
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
