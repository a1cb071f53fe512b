"""What each page shows, gathered from a desk and the record. Reads only, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from unghost.adapters.postgres.history import History, Lived
from unghost.adapters.postgres.service import LoopState
from unghost.criteria import Verdict, within_share
from unghost.cycle import GoNoGo, detect_ghosts
from unghost.desk import Desk
from unghost.model import (
    AuditRow,
    Batch,
    BatchStatus,
    Decision,
    LifecycleKey,
    Mode,
    PauseReading,
    Reason,
)
from unghost.rollback import UndoPreview
from unghost.web.console import figures
from unghost.web.console.charts import Chart
from unghost.web.console.ghosts import Ghost, exposure, ghosts
from unghost.web.console.lamps import GateLamp, gate_lamps
from unghost.web.console.leg import read_leg
from unghost.web.console.lifecycle import LifecycleView, lifecycle_view
from unghost.web.console.lives import Life, ghosts_chart

BATCHES_SHOWN: Final = 10
ROWS_SHOWN: Final = 500
"""More rows of a batch than people read; the audit pages and exports hold all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileCard:
    """A profile at a glance. `version` is what a form sends back as seen."""

    profile_id: str
    anchor: str
    pause: PauseReading
    own_pause: bool
    ghosts: tuple[Ghost, ...]
    batch: Batch | None
    gates: tuple[GateLamp, ...]
    loop: LoopState | None
    version: str

    @property
    def open_count(self) -> int:
        """How many lifecycles the ledger says are open."""
        return len(self.ghosts)

    @property
    def notional(self) -> Decimal:
        """What the bot counts for all of them."""
        return exposure(self.ghosts)[0]

    @property
    def currency(self) -> str:
        """The currency of `notional`, as far as the record knows it."""
        return exposure(self.ghosts)[1]


def profile_card(
    desk: Desk, history: History, *, number: int, loop: LoopState | None, version: str
) -> ProfileCard:
    """Read one profile; `number` makes its anchor on the page."""
    profile_id = desk.profile.profile_id
    batch = next(iter(desk.ledger.batches(profile_id, limit=1)), None)
    seen = history.gates(batch.batch_id) if batch else ()
    return ProfileCard(
        profile_id=profile_id,
        anchor=f"profile-{number}",
        pause=desk.pause.read(profile_id),
        own_pause=desk.own_pause,
        ghosts=ghosts(detect_ghosts(desk), history.last_decisions(profile_id)),
        batch=batch,
        gates=gate_lamps(seen, desk.clock()),
        loop=loop,
        version=version,
    )


def ghosts_history(
    cards: Iterable[ProfileCard], lived: Iterable[Lived], now: datetime
) -> Chart | None:
    """The chart of the overview: a ghost lives until it is closed, and anew from a rollback on."""
    open_now = {ghost.key for card in cards for ghost in card.ghosts}
    lives = [life for one in lived for life in lives_of(one, is_open=one.key in open_now)]
    return ghosts_chart(lives, now)


def lives_of(one: Lived, *, is_open: bool) -> Iterator[Life]:
    """One life, and one more for each closing that stands rolled back."""
    began_at = one.began_at
    for closing in one.closings:
        if closing.reverted_at is not None and closing.applied_at > began_at:
            yield Life(began_at=began_at, ended_at=closing.applied_at)
            began_at = closing.reverted_at
    yield Life(began_at=began_at, ended_at=None if is_open else max(began_at, _last(one)))


def _last(one: Lived) -> datetime:
    """When it was closed for good; where the bot did so itself, when it was seen last."""
    standing = [closing.applied_at for closing in one.closings if closing.reverted_at is None]
    return max(standing, default=one.seen_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class GoShown:
    """The go/no-go of a plan. `trouble` says why there is no verdict, `why_not` who may not act."""

    verdict: GoNoGo | None
    rows: int
    version: str
    trouble: str = ""
    why_not: str = ""

    @property
    def may_apply(self) -> bool:
        """Whether the form is shown."""
        return self.verdict is not None and self.may_go and not self.why_not

    @property
    def may_go(self) -> bool:
        """Whether it is a go, or would be if a person allowed the share."""
        return self.verdict is not None and (self.verdict.go or bool(self.share_asked))

    @property
    def share_asked(self) -> str:
        """The share that somebody has to allow, where nothing else speaks against the plan."""
        criteria = self.verdict.criteria if self.verdict is not None else ()
        against = [one for one in criteria if one.verdict is Verdict.NO_GO]
        only_share = [one.name for one in against] == [within_share.__name__]
        return against[0].value if only_share else ""


def latest_plan(batches: Iterable[Batch]) -> Batch | None:
    """The newest finished dry run, unless something was applied since."""
    newest = next((one for one in batches if one.status is BatchStatus.FINISHED), None)
    return newest if newest is not None and newest.mode is Mode.DRY_RUN else None


# --- lifecycle ---------------------------------------------------------------------------------


def lifecycle_page(desk: Desk, key: LifecycleKey) -> LifecycleView | None:
    """Read one lifecycle and its leg; None where neither ledger nor record know it."""
    rows = desk.ledger.rows_of_trades([(key.profile_id, key.trade_id)])[
        key.profile_id, key.trade_id
    ]
    record = desk.ledger.audit_rows(
        profile_id=key.profile_id, symbol=key.symbol, trade_id=key.trade_id
    )
    own = [row for row in rows if row.symbol == key.symbol]
    if not own and not record:
        return None
    times = [row.at for row in own if row.at is not None]
    reading = read_leg(desk, key, min(times, default=None))
    return lifecycle_view(key, rows, record, reading)


# --- rooms for decimal places ------------------------------------------------------------------


def rooms(**columns: Sequence[Decimal | None]) -> Mapping[str, int]:
    """How many decimal places each column needs, so that the points stand in line."""
    return {name: figures.places(values) for name, values in columns.items()}


def audit_rooms(rows: Sequence[AuditRow]) -> Mapping[str, int]:
    """The same for a table of audit rows."""
    return rooms(
        filled=[row.filled_qty for row in rows],
        price=[row.price for row in rows],
        remainder=[row.remainder_qty for row in rows],
    )


def lifecycle_rooms(view: LifecycleView) -> Mapping[str, int]:
    """The same for the page of a lifecycle."""
    return rooms(
        quantity=[
            *(row.quantity for row in view.rows),
            *(order.quantity for order in view.orders),
        ],
        row_price=[row.price for row in view.rows],
        fill_price=[order.price for order in view.orders],
        exit=[row.filled_qty for row in view.history],
    )


def undo_rooms(preview: UndoPreview) -> Mapping[str, int]:
    """The same for the preview of an undo."""
    return rooms(quantity=[one.quantity for one in preview.changes])


def in_reading_order(rows: Iterable[AuditRow]) -> tuple[AuditRow, ...]:
    """Rows of a batch as people read them: what is written first, then by market."""
    order = {Decision.NO_GO: 1}
    return tuple(
        sorted(
            rows,
            key=lambda row: (order.get(row.decision, 0), row.symbol, row.trade_id, row.audit_id),
        )
    )


def reasons_of(found: Iterable[Ghost]) -> Mapping[str, Sequence[Any]]:
    """What the filters of the table offer."""
    found = tuple(found)
    return {
        "decisions": sorted({one.decision for one in found if one.decision}),
        "reasons": sorted({reason for one in found for reason in one.reasons}, key=Reason),
    }
