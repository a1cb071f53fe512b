"""Imported files of fills: tables `reconciliation_fill_file` and `reconciliation_file_fill`."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg.rows import DictRow

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import RefusedError
from unghost.filefills import FileFill, FillFile
from unghost.model import Money, PositionSide, Side, Window

if TYPE_CHECKING:
    from unghost.adapters.fills_file import ParsedFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """Who brings a file, and what that person states: the window it covers whole, and the mode."""

    profile_id: str
    file_name: str
    actor: str
    window: Window | None
    one_way: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What became of a file: rows added, and whether a statement about it is a new one."""

    added: int
    restated: bool


class FillFiles:
    """A `ports.FillFiles`. Every method raises DatabaseError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, parsed: ParsedFile, statement: Statement) -> Kept:
        """Keep a file whole, in one transaction. The same file again adds nothing.

        What is stated about a file that is kept already replaces what was; without a statement
        nothing changes. RefusedError where its times were read in another zone then.
        """
        values = _statement_values(parsed, statement)
        with self._database.transaction() as connection:
            added = connection.execute(block("fill_files", "keep_file"), values).fetchall()
            if not added:
                return Kept(added=0, restated=_restate(connection, parsed, statement, values))
            _keep_fills(connection, added[0]["file_id"], parsed.fills)
        return Kept(added=len(parsed.fills), restated=False)

    def covering(
        self, profile_ids: Sequence[str], *, symbols: Collection[str]
    ) -> tuple[FillFile, ...]:
        """The files of the profiles, each with its rows of `symbols`, oldest import first."""
        wanted = {"profile_ids": list(profile_ids), "symbols": sorted(symbols)}
        with self._database.transaction(read_only=True) as connection:
            rows = connection.execute(block("fill_files", "covering"), wanted).fetchall()
        groups = groupby(rows, key=itemgetter("file_id"))
        return tuple(_file(list(group)) for _, group in groups)


def _statement_values(parsed: ParsedFile, statement: Statement) -> dict[str, Any]:
    window = statement.window
    return {
        "profile_id": statement.profile_id,
        "file_name": statement.file_name,
        "sha256": parsed.sha256,
        "kind": parsed.kind,
        "zone": parsed.zone,
        "actor": statement.actor,
        "window_from": window.start_at if window else None,
        "window_to": window.end_at if window else None,
        "one_way": statement.one_way,
    }


def _restate(
    connection: Connection[DictRow],
    parsed: ParsedFile,
    statement: Statement,
    values: dict[str, Any],
) -> bool:
    (kept,) = connection.execute(block("fill_files", "kept_file"), values).fetchall()
    if kept["zone"] != parsed.zone:
        raise RefusedError(
            f"{statement.file_name} was imported before with times in {kept['zone']}, not in"
            f" {parsed.zone}; what was imported stays as it is."
        )
    if statement.window is None and not statement.one_way:
        return False
    window = (values["window_from"], values["window_to"])
    if statement.window is None:
        window = (kept["window_from"], kept["window_to"])
    one_way = statement.one_way or kept["one_way"]
    if (*window, one_way) == (kept["window_from"], kept["window_to"], kept["one_way"]):
        return False
    connection.execute(
        block("fill_files", "restate"),
        {
            "file_id": kept["file_id"],
            "window_from": window[0],
            "window_to": window[1],
            "one_way": one_way,
            "actor": statement.actor,
        },
    )
    return True


def _keep_fills(connection: Connection[DictRow], file_id: int, fills: Sequence[FileFill]) -> None:
    connection.execute(
        block("fill_files", "keep_fills"),
        {
            "file_id": file_id,
            "lines": [one.line for one in fills],
            "symbols": [one.symbol for one in fills],
            "sides": [one.side.value for one in fills],
            "position_sides": [one.position_side and one.position_side.value for one in fills],
            "quantities": [one.quantity for one in fills],
            "in_contracts": [one.in_contracts for one in fills],
            "prices": [one.price for one in fills],
            "fees": [_fees_text(one.fees) for one in fills],
            "filled_at": [one.filled_at for one in fills],
            "fill_ids": [one.fill_id for one in fills],
            "exchange_order_ids": [one.exchange_order_id for one in fills],
            "digests": [one.digest for one in fills],
        },
    )


def _fees_text(fees: tuple[Money, ...] | None) -> str | None:
    """Amounts as text: JSON numbers would pass through a float on their way."""
    if fees is None:
        return None
    return json.dumps([[fee.currency, str(fee.amount)] for fee in fees])


def _fees(text: str | None) -> tuple[Money, ...] | None:
    if text is None:
        return None
    told = json.loads(text)
    return tuple(Money(currency=currency, amount=Decimal(amount)) for currency, amount in told)


def _file(rows: Sequence[DictRow]) -> FillFile:
    first = rows[0]
    window = None
    if first["window_from"] is not None:
        window = Window(start_at=first["window_from"], end_at=first["window_to"])
    return FillFile(
        file_name=first["file_name"],
        sha256=first["sha256"],
        kind=first["kind"],
        actor=first["actor"],
        imported_at=first["imported_at"],
        window=window,
        one_way=first["one_way"],
        fills=tuple(_fill(row) for row in rows),
    )


def _fill(row: DictRow) -> FileFill:
    return FileFill(
        line=row["line"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        position_side=PositionSide(row["position_side"]) if row["position_side"] else None,
        quantity=row["quantity"],
        in_contracts=row["in_contracts"],
        price=row["price"],
        fees=_fees(row["fees"]),
        filled_at=row["filled_at"],
        fill_id=row["fill_id"],
        exchange_order_id=row["exchange_order_id"],
        digest=row["digest"],
    )
