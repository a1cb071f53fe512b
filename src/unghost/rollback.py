"""Undo: a rollback sets our rows to canceled, a reinstate sets them back. Status only.

A rollback must work on the worst day, so no gate guards it. A reinstate makes rows count again: it
is a write like any other and asks for the pause and for flat markets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from unghost import reuse, rowfacts
from unghost.errors import BatchNotFoundError, RefusedError, UsageError
from unghost.gates import activity_doubt, flat_doubt, pause_doubt
from unghost.model import (
    Batch,
    LedgerRow,
    LifecycleKey,
    PauseReading,
    PositionReading,
    Reason,
    Rules,
    StatusChange,
)
from unghost.ports import Clock, Ledger, PauseGate, WriteTransaction


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


class UndoDesk(reuse.ReuseDesk, Protocol):
    """What undoing needs of the world; the desk of a cycle has it."""

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
    require_batch(desk, batch_id)
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
    require_batch(desk, batch_id)
    _require_rows(desk.ledger, batch_id, trade_id=trade_id, order_id=order_id)
    return desk.ledger.rollback(batch_id, actor=actor, trade_id=trade_id, order_id=order_id)


def preview_reinstate(desk: UndoDesk, batch_id: str, *, trade_id: str | None = None) -> UndoPreview:
    """What `reinstate` would do, the gates aside."""
    ledger = desk.ledger
    require_batch(desk, batch_id)
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

    Raises RefusedError when the profile is not paused, a market is not proven flat, the bot is at
    work on a lifecycle, a row would close more than its lifecycle holds, or its fills have been
    used by other rows since.
    """
    preview = preview_reinstate(desk, batch_id, trade_id=trade_id)
    if not preview.changes:
        return ()
    _require_pause(desk, desk.pause.read(desk.profile.profile_id))
    flat = {one.key.symbol for one in preview.changes}
    seen = _look(desk, sorted(flat))
    _require_flat(desk, seen)
    with desk.ledger.writing(desk.profile.account) as transaction:
        # Waiting for another writer may have made the readings too old, as for an apply.
        _require_flat(desk, seen)
        _require_own_pause(desk, transaction)
        changes = transaction.reinstate(batch_id, actor=actor, trade_id=trade_id)
        # A refusal from here on undoes the statement above: it saw what nobody had looked at.
        _require_seen(changes, flat)
        _require_calm(desk, transaction, changes)
        reuse.require_unused(desk, transaction, changes)
        return changes


def _require_seen(changes: Sequence[StatusChange], flat: set[str]) -> None:
    strange = sorted({one.key.symbol for one in changes} - flat)
    if strange:
        raise RefusedError(f"Rows of {', '.join(strange)} were rolled back just now: try again.")


def _require_calm(
    desk: UndoDesk, transaction: WriteTransaction, changes: Sequence[StatusChange]
) -> None:
    """What is on its way would close the lifecycle by itself, and what cannot be judged may have
    closed it: the sums count only what is spelt as the checklist spells it (checklist 2).
    """
    keys = {one.key for one in changes}
    rows = transaction.rows_of_trades({(key.profile_id, key.trade_id) for key in keys})
    now = desk.clock()
    for key in sorted(keys):
        own = rows[key.profile_id, key.trade_id]
        doubt = activity_doubt(own, desk.rules, now)
        if doubt is not None:
            raise RefusedError(f"The bot is at work on lifecycle {key.trade_id} ({doubt}).")
        defects = [one for row in own for one in _defects(row, key)]
        if defects:
            told = f"{'; '.join(defects)} ({Reason.INVALID_LEDGER_ROW})"
            raise RefusedError(f"Lifecycle {key.trade_id} cannot be judged: {told}.")


def _defects(row: LedgerRow, key: LifecycleKey) -> Iterator[str]:
    """As the stage of detection finds them."""
    if row.symbol == key.symbol:
        yield from rowfacts.defects(row)
    else:
        yield from rowfacts.misspelt_symbol(row, key.symbol)


def _require_own_pause(desk: UndoDesk, transaction: WriteTransaction) -> None:
    if desk.own_pause:
        _require_pause(desk, transaction.pause_state(desk.profile.profile_id))


def _require_pause(desk: UndoDesk, reading: PauseReading) -> None:
    doubt = pause_doubt(reading, desk.rules)
    if doubt is not None:
        message = (
            f"Profile {desk.profile.profile_id} is {reading.state} according to {reading.source}"
            f" ({doubt}): pause it first."
        )
        raise RefusedError(message)


Seen = Mapping[str, tuple[PositionReading | None, str]]
"""Each symbol with what the exchange says of its position, and why it says nothing."""


def _look(desk: UndoDesk, symbols: Sequence[str]) -> Seen:
    markets = desk.exchange.resolve(symbols)
    readings = desk.exchange.positions([one for one in markets.values() if one is not None])
    seen: dict[str, tuple[PositionReading | None, str]] = {}
    for symbol in symbols:
        market = markets.get(symbol)
        reading = readings.get(market.unified) if market is not None else None
        detail = reading.detail if reading is not None else ""
        seen[symbol] = reading, detail if market is not None else markets.why_not(symbol)
    return seen


def _require_flat(desk: UndoDesk, seen: Seen) -> None:
    now = desk.clock()
    for symbol, (reading, detail) in seen.items():
        doubt = flat_doubt(reading, desk.rules, now)
        if doubt is not None:
            message = f"{symbol} is not proven flat ({doubt}{f': {detail}' if detail else ''})"
            raise RefusedError(message)


def require_batch(desk: UndoDesk, batch_id: str) -> Batch:
    """The batch of that id. Raises BatchNotFoundError where the desk's profile has none.

    Another profile's batch is refused: its pause and its account are not those of this desk.
    """
    batch = desk.ledger.batch(batch_id)
    if batch is None:
        message = f"There is no batch {batch_id!r}: `unghost status` lists the latest."
        raise BatchNotFoundError(message)
    if batch.profile_id != desk.profile.profile_id:
        message = (
            f"Batch {batch_id} belongs to profile {batch.profile_id},"
            f" not to {desk.profile.profile_id}: choose it with --profile."
        )
        raise BatchNotFoundError(message)
    return batch


def _require_rows(
    ledger: Ledger, batch_id: str, *, trade_id: str | None, order_id: str | None
) -> None:
    if trade_id is not None and not ledger.batch_holds(batch_id, trade_id=trade_id):
        message = f"Batch {batch_id} has no lifecycle {trade_id!r}: see `unghost audit --batch`."
        raise UsageError(message)
    if order_id is not None and not ledger.batch_holds(batch_id, order_id=order_id):
        message = f"Batch {batch_id} has no row {order_id!r}: see `unghost audit --batch`."
        raise UsageError(message)
