"""What must hold after an apply (section 8 of the checklist), asked of the database itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from psycopg import Connection

from unghost.adapters.postgres.reading import Session
from unghost.adapters.postgres.sql_blocks import block
from unghost.model import LifecycleKey, OverClosed

__all__ = ["decision_counts", "ghosts_left", "over_closed", "superseded", "try_the_record"]


def ghosts_left(
    session: Session, profile_id: str
) -> tuple[tuple[LifecycleKey, Decimal, Decimal], ...]:
    """(key, entry_qty, exit_qty) of lifecycles open by more than 0.000001, in ledger units."""
    found = session.rows("validation", "ghosts_left", profile_id=profile_id)
    return tuple((_key(row), Decimal(row["entry_qty"]), Decimal(row["exit_qty"])) for row in found)


def decision_counts(conn: Connection[dict[str, Any]], profile_id: str) -> Mapping[str, int]:
    """Audit rows by decision, of every batch of the profile."""
    parameters = {"profile_id": profile_id}
    found = conn.execute(block("validation", "decisions"), parameters).fetchall()
    return {row["decision"]: row["rows"] for row in found}


def over_closed(session: Session, profile_id: str) -> tuple[OverClosed, ...]:
    """Lifecycles with more EXIT than ENTRY, and our standing rows in them, latest first."""
    found = session.rows("validation", "over_closed", profile_id=profile_id)
    return tuple(_over_closed(tuple(rows)) for _, rows in groupby(found, _key))


def superseded(session: Session, profile_id: str) -> tuple[OverClosed, ...]:
    """The over-closed lifecycles that hold rows of ours; those of the bot alone are left out."""
    found = session.rows("validation", "superseded", profile_id=profile_id)
    return tuple(_over_closed(tuple(rows)) for _, rows in groupby(found, _key))


def _over_closed(rows: Sequence[Mapping[str, Any]]) -> OverClosed:
    first = rows[0]
    return OverClosed(
        key=_key(first),
        entry_qty=Decimal(first["entry_qty"]),
        exit_qty=Decimal(first["exit_qty"]),
        superseded=tuple(_superseded(rows)),
    )


def _superseded(
    rows: Iterable[Mapping[str, Any]],
) -> Iterable[tuple[str, Decimal, str | None]]:
    for row in rows:
        if row["order_id"] is not None:
            yield row["order_id"], Decimal(row["quantity"] or 0), row["batch_id"]


def _key(row: Mapping[str, Any]) -> LifecycleKey:
    return LifecycleKey(
        profile_id=row["profile_id"], symbol=row["symbol"], trade_id=row["trade_id"]
    )


def try_the_record(conn: Connection[dict[str, Any]]) -> None:
    """Write a batch, evidence, an intent and its settlement; the caller takes it all back.

    Raises what the database raises.
    """
    parameters = {"batch_id": f"try-{secrets.token_hex(8)}"}
    for name in ("try_batch", "try_evidence", "try_audit", "try_settle"):
        conn.execute(block("validation", name), parameters)
