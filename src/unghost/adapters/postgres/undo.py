"""Taking a batch back and forward again: `status`, `updated_at`, `reverted_at`, nothing else.

The rows are those of section 9 of the checklist: every row whose id an audit row of the batch
names as APPLIED or SKIP_EXISTING. So a batch that skipped an earlier batch's row cancels that row
too; `StatusChange.first_batch_id` tells whose it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, Final

from psycopg import errors

from unghost.adapters.postgres.books import require_batch
from unghost.adapters.postgres.reading import Session
from unghost.errors import DatabaseError, LedgerSchemaError, RefusedError
from unghost.ids import is_backfill_id
from unghost.model import Decision, LifecycleKey, StatusChange

__all__ = [
    "holds",
    "preview_reinstate",
    "preview_rollback",
    "reinstate",
    "require_way_back",
    "rollback",
]

CANCELED: Final = "canceled"
FILLED: Final = "filled"
_CANCELED_WORDS = frozenset({"canceled", "cancelled"})

ROLLED_BACK_EVENT: Final = "BACKFILL_ROLLED_BACK"
REINSTATED_EVENT: Final = "BACKFILL_REINSTATED"


# --- rollback ----------------------------------------------------------------------------------


def preview_rollback(
    session: Session, batch_id: str, *, trade_id: str | None, order_id: str | None
) -> tuple[StatusChange, ...]:
    """Rows that section 9 would cancel now; canceled ones are left out, by order_id.

    Raises BatchNotFoundError, and RefusedError for an id that is not one of ours.
    """
    found = _batch_rows(session, batch_id, trade_id=trade_id, order_id=order_id)
    return tuple(_change(row, CANCELED) for row in found if not _is_canceled(row))


def rollback(
    session: Session,
    batch_id: str,
    *,
    actor: str,
    trade_id: str | None,
    order_id: str | None,
) -> tuple[StatusChange, ...]:
    """Cancel the rows and mark the audit rows; once more changes nothing and returns ().

    An apply of the batch that still runs writes nothing more. Raises as `preview_rollback`;
    LedgerSchemaError where the ledger has no status `canceled`.
    """
    session.run("undo", "lock_undoing")
    session.run("undo", "hold_batch", batch_id=batch_id)
    changes = preview_rollback(session, batch_id, trade_id=trade_id, order_id=order_id)
    _set_status(session, changes, CANCELED)
    limits = {"trade_id": trade_id, "order_id": order_id}
    changed = [change.order_id for change in changes]
    session.run("undo", "mark", batch_id=batch_id, changed=changed, **limits)
    _tell(session, ROLLED_BACK_EVENT, batch_id, actor, changed)
    return changes


def require_way_back(session: Session, inserted: Collection[str]) -> None:
    """Cancel one of the rows just inserted, and take that back: what holds for one holds for all.

    A check, a trigger or a lacking right may stand in the way of a rollback alone; that is not to
    be found out on the day of one. Raises DatabaseError.
    """
    if not inserted:
        return
    one = min(inserted)
    try:
        with session.conn.transaction(force_rollback=True):
            found = _statuses_set(session, [one], CANCELED)
            stands = [row["status"].strip() for row in found]
    except errors.DatabaseError as refused:
        if session.conn.closed:
            raise
        raise DatabaseError(_no_way_back(refused.diag.message_primary or str(refused))) from refused
    if stands != [CANCELED]:
        raise DatabaseError(_no_way_back(f"the status of {one} does not change"))


def _no_way_back(why: str) -> str:
    return (
        "nothing was written, because the EXIT rows could not be rolled back again: setting the"
        f" status of one to {CANCELED!r} was tried, and orders refused ({why}); see the checks and"
        " triggers of orders, and the rights of whoever runs them"
    )


# --- reinstate ---------------------------------------------------------------------------------


def preview_reinstate(
    session: Session, batch_id: str, *, trade_id: str | None
) -> tuple[StatusChange, ...]:
    """Rows of the batch that its rollback canceled and that still are, by order_id.

    Raises BatchNotFoundError.
    """
    found = _batch_rows(session, batch_id, trade_id=trade_id, order_id=None)
    undone = (row for row in found if _is_canceled(row) and row["reverted"])
    return tuple(_change(row, FILLED) for row in undone)


def reinstate(
    session: Session, batch_id: str, *, trade_id: str | None, actor: str | None
) -> tuple[StatusChange, ...]:
    """Fill the rows again and take their marks away.

    Raises BatchNotFoundError; RefusedError naming the lifecycles whose EXITs would exceed their
    ENTRYs, because a real exit may have arrived since. Nothing is changed then.
    """
    session.run("undo", "lock_undoing")
    changes = preview_reinstate(session, batch_id, trade_id=trade_id)
    if not changes:
        return ()
    _refuse_over_closing(session, changes)
    _set_status(session, changes, FILLED)
    changed = [change.order_id for change in changes]
    session.run("undo", "unmark", batch_id=batch_id, trade_id=trade_id, changed=changed)
    _tell(session, REINSTATED_EVENT, batch_id, actor, changed)
    return changes


def _refuse_over_closing(session: Session, changes: Sequence[StatusChange]) -> None:
    order_ids = [change.order_id for change in changes]
    found = session.rows("undo", "would_over_close", order_ids=order_ids)
    if found:
        sentences = "; ".join(_over_closing_sentence(row, changes) for row in found)
        raise RefusedError(
            f"filling these rows again would close more than was opened: {sentences}"
        )


def _over_closing_sentence(row: dict[str, Any], changes: Sequence[StatusChange]) -> str:
    trade = (row["profile_id"], row["trade_id"])
    rows = [change for change in changes if (change.key.profile_id, change.key.trade_id) == trade]
    named = ", ".join(change.order_id for change in rows)
    return (
        f"{row['symbol']} {row['trade_id']} entered {row['entry_qty']}"
        f" and would have left {row['exit_qty']} ({named})"
    )


def holds(session: Session, batch_id: str, *, trade_id: str | None, order_id: str | None) -> bool:
    """Whether the batch has a row of this trade_id, or of this id of ours."""
    limits = {"trade_id": trade_id, "order_id": order_id}
    (found,) = session.rows("undo", "holds", batch_id=batch_id, **limits)
    return bool(found["holds"])


# --- both --------------------------------------------------------------------------------------


def _batch_rows(
    session: Session, batch_id: str, *, trade_id: str | None, order_id: str | None
) -> list[dict[str, Any]]:
    require_batch(session.conn, batch_id)
    named = [] if order_id is None else [order_id]
    limits = {"trade_id": trade_id, "order_id": order_id}
    found = session.rows("undo", "batch_rows", batch_id=batch_id, **limits)
    _refuse_rows_of_others([*named, *(row["order_id"] for row in found)])
    return found


def _refuse_rows_of_others(order_ids: Sequence[str]) -> None:
    """An audit row may name anything; only rows that we inserted may change their status."""
    others = [order_id for order_id in order_ids if not is_backfill_id(order_id)]
    if others:
        raise RefusedError(f"not rows of unghost: {', '.join(others)}")


def _is_canceled(row: dict[str, Any]) -> bool:
    return row["status_before"].strip().lower() in _CANCELED_WORDS


def _change(row: dict[str, Any], status_after: str) -> StatusChange:
    key = LifecycleKey(profile_id=row["profile_id"], symbol=row["symbol"], trade_id=row["trade_id"])
    return StatusChange(
        audit_id=row["audit_id"],
        order_id=row["order_id"],
        key=key,
        quantity=Decimal(row["quantity"]),
        decision=Decision(row["decision"]),
        status_before=row["status_before"],
        status_after=status_after,
        batch_id=row["batch_id"],
        first_batch_id=row["first_batch_id"],
    )


def _set_status(session: Session, changes: Sequence[StatusChange], status: str) -> None:
    """Change exactly these rows, and believe it only when the database says so."""
    if not changes:
        return
    wanted = {change.order_id for change in changes}
    try:
        found = _statuses_set(session, sorted(wanted), status)
    except errors.InvalidTextRepresentation as unknown:
        type_name = session.shape.columns["status"].type_name
        message = f"the ledger's status type {type_name} has no value {status!r}"
        raise LedgerSchemaError(message) from unknown
    done = {row["order_id"] for row in found if row["status"].strip() == status}
    if done != wanted:
        missing = ", ".join(sorted(wanted - done))
        raise DatabaseError(f"the status of these rows could not be changed: {missing}")


def _statuses_set(
    session: Session, order_ids: Sequence[str], status: str
) -> Sequence[dict[str, Any]]:
    (way,) = session.rows("undo", "has_function")
    if way["has_function"]:
        return session.rows("undo", "set_by_function", order_ids=order_ids, status=status)
    return session.rows("undo", f"set_{status}", order_ids=order_ids)


def _tell(
    session: Session, event_type: str, batch_id: str, actor: str | None, changed: Sequence[str]
) -> None:
    if changed:
        session.run(
            "undo",
            "tell",
            event_type=event_type,
            batch_id=batch_id,
            actor=actor,
            changed=list(changed),
        )
