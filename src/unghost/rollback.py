"""Undo: a rollback sets our rows to canceled, a reinstate sets them back. Status only.

A rollback must work on the worst day, so no gate guards it. A reinstate makes rows count again: it
is a write like any other and asks for the pause and for flat markets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from unghost.errors import BatchNotFoundError, RefusedError, UsageError
from unghost.gates import flat_doubt, pause_doubt
from unghost.model import LifecycleKey, PauseReading, ProfileRef, Rules, StatusChange
from unghost.ports import Clock, Exchange, Ledger, PauseGate, WriteTransaction


@dataclass(frozen=True, kw_only=True, slots=True)
class UndoPreview:
    """What an undo would change.

    `from_earlier` are rows that an earlier batch inserted (SKIP_EXISTING here): the checklist's
    statement cancels them too. `reopens` are the lifecycles that become ghosts again.
    """

    changes: tuple[StatusChange, ...]
    from_earlier: tuple[StatusChange, ...]
    reopens: tuple[LifecycleKey, ...]
    warnings: tuple[str, ...] = ()


class UndoDesk(Protocol):
    """What undoing needs of the world; the desk of a cycle has it."""

    @property
    def profile(self) -> ProfileRef: ...  # noqa: D102 - named by its type
    @property
    def ledger(self) -> Ledger: ...  # noqa: D102 - named by its type
    @property
    def exchange(self) -> Exchange: ...  # noqa: D102 - named by its type
    @property
    def pause(self) -> PauseGate: ...  # noqa: D102 - named by its type
    @property
    def own_pause(self) -> bool: ...  # noqa: D102 - as in the desk of a cycle
    @property
    def rules(self) -> Rules: ...  # noqa: D102 - named by its type
    @property
    def clock(self) -> Clock: ...  # noqa: D102 - named by its type


def preview_rollback(
    desk: UndoDesk, batch_id: str, *, trade_id: str | None = None, order_id: str | None = None
) -> UndoPreview:
    """What `roll_back` would do. Raises BatchNotFoundError, UsageError for an unknown row."""
    ledger = desk.ledger
    _require_batch(ledger, batch_id)
    _require_rows(ledger, batch_id, trade_id=trade_id, order_id=order_id)
    changes = ledger.rollback_preview(batch_id, trade_id=trade_id, order_id=order_id)
    earlier = tuple(one for one in changes if one.first_batch_id != one.batch_id)
    return UndoPreview(
        changes=changes,
        from_earlier=earlier,
        reopens=tuple(sorted({one.key for one in changes})),
        warnings=_warn_of_earlier(earlier),
    )


def _warn_of_earlier(earlier: Sequence[StatusChange]) -> tuple[str, ...]:
    if not earlier:
        return ()
    batches = ", ".join(sorted({one.first_batch_id for one in earlier}))
    warning = (
        f"{len(earlier)} of these rows were inserted by an earlier batch ({batches}); this batch"
        " only found them there, and the checklist's statement cancels them too"
    )
    return (warning,)


def roll_back(
    desk: UndoDesk,
    batch_id: str,
    *,
    actor: str,
    trade_id: str | None = None,
    order_id: str | None = None,
) -> tuple[StatusChange, ...]:
    """Cancel the batch's rows; a second run changes nothing. One transaction."""
    _require_batch(desk.ledger, batch_id)
    _require_rows(desk.ledger, batch_id, trade_id=trade_id, order_id=order_id)
    return desk.ledger.rollback(batch_id, actor=actor, trade_id=trade_id, order_id=order_id)


def preview_reinstate(desk: UndoDesk, batch_id: str, *, trade_id: str | None = None) -> UndoPreview:
    """What `reinstate` would do, the gates aside."""
    ledger = desk.ledger
    _require_batch(ledger, batch_id)
    _require_rows(ledger, batch_id, trade_id=trade_id, order_id=None)
    changes = ledger.reinstate_preview(batch_id, trade_id=trade_id)
    return UndoPreview(
        changes=changes,
        from_earlier=tuple(one for one in changes if one.first_batch_id != one.batch_id),
        reopens=(),
    )


def reinstate(
    desk: UndoDesk, batch_id: str, *, actor: str, trade_id: str | None = None
) -> tuple[StatusChange, ...]:
    """Set the rows of a rolled-back batch to filled again.

    Raises RefusedError when the profile is not paused, a market is not proven flat, or a row would
    close more than its lifecycle holds.
    """
    preview = preview_reinstate(desk, batch_id, trade_id=trade_id)
    if not preview.changes:
        return ()
    _require_pause(desk, desk.pause.read(desk.profile.profile_id))
    _require_flat(desk, sorted({one.key.symbol for one in preview.changes}))
    with desk.ledger.writing(desk.profile.account) as transaction:
        _require_own_pause(desk, transaction)
        return transaction.reinstate(batch_id, actor=actor, trade_id=trade_id)


def _require_own_pause(desk: UndoDesk, transaction: WriteTransaction) -> None:
    if desk.own_pause:
        _require_pause(desk, transaction.pause_state(desk.profile.profile_id))


def _require_pause(desk: UndoDesk, reading: PauseReading) -> None:
    doubt = pause_doubt(reading, desk.rules)
    if doubt is not None:
        message = (
            f"profile {desk.profile.profile_id} is {reading.state} according to {reading.source}"
            f" ({doubt}): pause it first"
        )
        raise RefusedError(message)


def _require_flat(desk: UndoDesk, symbols: Sequence[str]) -> None:
    markets = desk.exchange.resolve(symbols)
    readings = desk.exchange.positions([one for one in markets.values() if one is not None])
    now = desk.clock()
    for symbol in symbols:
        market = markets.get(symbol)
        reading = readings.get(market.unified) if market is not None else None
        doubt = flat_doubt(reading, desk.rules, now)
        if doubt is not None:
            detail = f": {reading.detail}" if reading is not None and reading.detail else ""
            message = f"{symbol} is not proven flat ({doubt}{detail})"
            raise RefusedError(message)


def _require_batch(ledger: Ledger, batch_id: str) -> None:
    if ledger.batch(batch_id) is None:
        message = f"no batch {batch_id!r}: `unghost audit` lists the batches of a profile"
        raise BatchNotFoundError(message)


def _require_rows(
    ledger: Ledger, batch_id: str, *, trade_id: str | None, order_id: str | None
) -> None:
    rows = ledger.audit_rows(batch_id=batch_id)
    if trade_id is not None and all(row.trade_id != trade_id for row in rows):
        message = f"batch {batch_id} has no lifecycle {trade_id!r}"
        raise UsageError(message)
    if order_id is not None and all(row.backfill_order_id != order_id for row in rows):
        message = f"batch {batch_id} has no row {order_id!r}"
        raise UsageError(message)
