"""What a write reads again of `orders`: of most rows no more than shows whether they moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from psycopg.rows import tuple_row

from unghost.adapters.postgres import arrays
from unghost.adapters.postgres.reading import Session, filled_words, ledger_row
from unghost.adapters.postgres.statements import compose, compose_open
from unghost.model import HeldRows, LedgerRow, Sought, TradeVersion

__all__ = ["held_rows", "open_versions"]

_BEFORE_THE_ROW: Final = 4
"""`sure`, symbol, id and version stand before the columns of a row that is told as a whole."""


def open_versions(
    session: Session, profile_ids: Sequence[str], symbols: Collection[str]
) -> list[TradeVersion]:
    """Each row of the open lifecycles of these symbols: id and version, one statement."""
    statement = compose_open(session.shape, len(profile_ids), name="open_versions")
    parameters = {"profile_ids": list(profile_ids), "symbols": arrays.texts(sorted(symbols))}
    with session.conn.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def held_rows(
    session: Session, profile_ids: Sequence[str], sought: Sought, ignoring: Collection[str]
) -> HeldRows:
    """The rows that concern some markets, one statement; see `Sought`."""
    parameters = {
        "profile_ids": list(profile_ids),
        "filled": filled_words(),
        "names": arrays.texts(sought.sure),
        "starts": arrays.times(sought.sure.values()),
        "symbols": arrays.texts(sorted({*sought.sure, *sought.doubtful})),
        "start_at": sought.start_at,
        "exchange_ids": arrays.texts(sorted(sought.ids)),
        "ignoring": arrays.texts(sorted(ignoring)),
    }
    sure: list[tuple[str, str, str]] = []
    others: list[LedgerRow] = []
    with session.conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(compose("ledger", "held_rows", session.shape), parameters)
        columns = [column.name for column in cursor.description or ()][_BEFORE_THE_ROW:]
        for found in cursor:
            if found[0]:
                sure.append(found[1:_BEFORE_THE_ROW])
            else:
                others.append(_whole(columns, found))
    return HeldRows(sure=tuple(sure), others=tuple(others))


def _whole(columns: Sequence[str], found: Sequence[Any]) -> LedgerRow:
    return ledger_row(dict(zip(columns, found[_BEFORE_THE_ROW:], strict=True)))
