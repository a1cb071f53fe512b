"""What people shall hear of after a cycle, whoever started it: the loop, or a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from unghost.adapters.notifications import Notice
from unghost.cycle import CycleReport
from unghost.model import Decision

KINDS: Final = ((Decision.APPLIED, "BATCH_APPLIED"), (Decision.NO_GO, "NO_GO"))


def notices(profile_id: str, report: CycleReport) -> Iterator[Notice]:
    """Ghosts that were noticed, rows written, refusals recorded."""
    if report.events:
        symbols = ", ".join(sorted({event.symbol or "" for event in report.events}))
        text = f"The ledger is open where the exchange is flat: {symbols}."
        yield Notice(kind="GHOSTS_FOUND", profile_id=profile_id, text=text)
    if (batch := report.batch) is None:
        return
    for decision, kind in KINDS:
        rows = batch.counts.get(decision, 0)
        if rows:
            text = f"{rows} rows of batch {batch.batch_id} are {decision}."
            yield Notice(kind=kind, profile_id=profile_id, text=text)
