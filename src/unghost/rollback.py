"""Undo: a rollback sets our rows to canceled, a reinstate sets them back. Status only.

A rollback must work on the worst day, so no gate guards it. A reinstate makes rows count again: it
is a write like any other and asks for the pause and for flat markets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from unghost import rowfacts
from unghost.errors import BatchNotFoundError, RefusedError, UsageError
from unghost.gates import activity_doubt, flat_doubt, pause_doubt, plain
from unghost.ids import DUST_ORDER
from unghost.model import (
    AuditRow,
    Batch,
    LedgerRow,
    LifecycleKey,
    PauseReading,
    PositionReading,
    ProfileRef,
    Reason,
    Rules,
    StatusChange,
    is_amount,
)
from unghost.ports import Clock, Exchange, Ledger, PauseGate, WriteTransaction
from unghost.rowfacts import NETTING_SPAN
from unghost.selection import spellings


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
        _require_unused(desk, transaction, changes)
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


# --- a fill is used once -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Proof:
    """What the record says that an exchange order closed; base units."""

    market: str | None
    leg: str | None
    exchange_order_id: str
    client_order_id: str | None
    filled: Decimal
    unit: Decimal
    first_at: datetime
    last_at: datetime
    explained: frozenset[str]
    """Rows (by order_id) that accounted for other orders when the row was decided."""

    @property
    def names(self) -> set[str]:
        """Every id by which a ledger row may name the order."""
        return {name for name in (self.exchange_order_id, self.client_order_id) if name}

    def used_by(self, row: LedgerRow) -> Decimal:
        """A row whose quantity cannot be read may hold all of it."""
        quantity = rowfacts.usable_quantity(row)
        return self.filled if quantity is None else quantity * self.unit


def _require_unused(
    desk: UndoDesk, transaction: WriteTransaction, changes: Sequence[StatusChange]
) -> None:
    """After a rollback the fills were free for others: all standing rows of an exchange order
    together may hold no more than it filled (DESIGN section 4).
    """
    proofs = _proofs(desk.ledger, changes)
    if not proofs:
        return
    resolved = desk.exchange.resolve(sorted({one.key.symbol for one in changes}))
    symbols = sorted(spellings(one for one in resolved.values() if one is not None))
    rows = transaction.account_rows(
        desk.profile.account_profiles,
        symbols=symbols,
        start_at=min(proof.first_at for proof in proofs) - NETTING_SPAN,
        exchange_ids=sorted({name for proof in proofs for name in proof.names}),
    )
    rows += _strange_holders(desk, transaction, symbols, proofs)
    markets = desk.exchange.resolve(sorted({row.symbol for row in rows}))
    unified = {name: market.unified for name, market in markets.items() if market is not None}
    trades = {(one.key.profile_id, one.key.trade_id): one.key.symbol for one in changes}
    for proof in proofs:
        holders = [
            row
            for row in rows
            if _holds(row, proof, unified) or _may_hold(row, proof, unified, trades)
        ]
        used = sum((proof.used_by(row) for row in holders), Decimal(0))
        if used > proof.filled:
            raise RefusedError(_used_twice(proof, used, holders))


def _strange_holders(
    desk: UndoDesk,
    transaction: WriteTransaction,
    symbols: Sequence[str],
    proofs: Sequence[_Proof],
) -> tuple[LedgerRow, ...]:
    """What profiles of other account names hold of the same orders: it is used all the same."""
    rows = transaction.rows_of_strangers(
        desk.profile.no_strangers,
        symbols=symbols,
        order_ids=sorted({proof.exchange_order_id for proof in proofs}),
    )
    return tuple(row for row in rows if rowfacts.is_filled(row))


def _proofs(ledger: Ledger, changes: Sequence[StatusChange]) -> list[_Proof]:
    """One proof per exchange order that the rows rest on; dust rests on none.

    Raises RefusedError where the record does not say what an order of theirs filled.
    """
    wanted = {one.order_id for one in changes}
    batches = sorted({name for one in changes for name in (one.batch_id, one.first_batch_id)})
    rows = [row for name in batches for row in ledger.audit_rows(batch_id=name)]
    named = [row for row in rows if row.backfill_order_id in wanted and _names_an_order(row)]
    found: dict[tuple[str | None, str], _Proof] = {}
    proven: set[str | None] = set()
    for row in named:
        proof = _proof(row)
        if proof is not None:
            found.setdefault((proof.market, proof.exchange_order_id), proof)
            proven.add(row.backfill_order_id)
    for row in named:
        if row.backfill_order_id not in proven:
            raise RefusedError(_unproven(row))
    return list(found.values())


def _names_an_order(row: AuditRow) -> bool:
    return row.exchange_order_id not in {None, DUST_ORDER}


def _unproven(row: AuditRow) -> str:
    return (
        f"Audit row {row.audit_id} does not say how much exchange order {row.exchange_order_id}"
        f" filled, on which {row.backfill_order_id} rests: `unghost audit verify` tells whether the"
        " record was changed"
    )


def _proof(row: AuditRow) -> _Proof | None:
    """What the row's own account says of its order; None where nobody can read that."""
    try:
        orders = row.evidence["orders"]
        name = row.exchange_order_id
        (order,) = [one for one in orders if one["exchange_order_id"] == name]
        others = [one for one in orders if one is not order]
        return _Proof(
            market=row.evidence.get("market"),
            leg=row.evidence.get("leg"),
            exchange_order_id=order["exchange_order_id"],
            client_order_id=row.exchange_client_order_id,
            filled=_amount(order["filled"]),
            unit=_amount(row.evidence.get("ledger_unit", "1")),
            first_at=_moment(order["first_fill_at"]),
            last_at=_moment(order["last_fill_at"]),
            explained=frozenset(held for one in others for held in one["accounted_by"]),
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _amount(told: str) -> Decimal:
    """Raises ValueError for what is no amount: NaN would compare with nothing."""
    found = Decimal(told)
    if not is_amount(found):
        raise ValueError(told)
    return found


def _moment(told: str) -> datetime:
    """Raises ValueError for a time without a zone: it would compare with nothing."""
    found = datetime.fromisoformat(told)
    if found.tzinfo is None:
        raise ValueError(told)
    return found


def _holds(row: LedgerRow, proof: _Proof, unified: Mapping[str, str]) -> bool:
    """Closings of that order; one order id was seen on two markets (FAILURES 9)."""
    is_here = unified.get(row.symbol, proof.market) == proof.market
    is_named = not proof.names.isdisjoint(rowfacts.linked_ids(row))
    return is_here and is_named and rowfacts.action_of(row) != rowfacts.ENTRY


def _may_hold(
    row: LedgerRow,
    proof: _Proof,
    unified: Mapping[str, str],
    trades: Mapping[tuple[str, str], str],
) -> bool:
    """A closing that names no order, but may record this one: netting would say so as well.

    It has no trade_id, or is of a lifecycle in question under another name of the market (the sums
    hold those of its own name), or is near in time.
    """
    if not _is_loose(row, proof, unified):
        return False
    if row.trade_id is None:
        return _may_be_of(row, proof)
    name = trades.get((row.profile_id, row.trade_id))
    if name is not None:
        return name != row.symbol
    return _may_be_of(row, proof) and _is_near(row, proof)


def _is_loose(row: LedgerRow, proof: _Proof, unified: Mapping[str, str]) -> bool:
    """Whether it is a closing of the bot on that market that no order is known to explain."""
    is_here = unified.get(row.symbol, proof.market) == proof.market
    is_named = row.exchange_order_id or not proof.names.isdisjoint(rowfacts.linked_ids(row))
    is_closing = rowfacts.action_of(row) != rowfacts.ENTRY and not rowfacts.is_ours(row)
    return is_here and is_closing and not is_named and row.order_id not in proof.explained


def _may_be_of(row: LedgerRow, proof: _Proof) -> bool:
    return rowfacts.stated_direction(row) in {None, proof.leg} or row.action != rowfacts.EXIT


def _is_near(row: LedgerRow, proof: _Proof) -> bool:
    first, last = proof.first_at - NETTING_SPAN, proof.last_at + NETTING_SPAN
    return row.at is None or first <= row.at <= last


def _used_twice(proof: _Proof, used: Decimal, holders: Iterable[LedgerRow]) -> str:
    named = ", ".join(sorted(row.order_id for row in holders))
    return (
        f"Exchange order {proof.exchange_order_id} closed {plain(proof.filled)}, and the ledger"
        f" would hold {plain(used)} of it ({named}): roll back or correct the other rows first; one"
        " of another order must name it by its exchange_order_id"
    )
