"""What one ledger row says: its direction, its standing, its quantity. Pure; words as found.

The bot's spellings are many; the checklist's SQL counts only some of them. Everything that reads a
row's text goes through here, so that two stages can never understand the same row differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from unghost.ids import BACKFILL_PREFIX, is_dust_row
from unghost.model import (
    FILLED_STATUSES,
    FINAL_STATUSES,
    LedgerRow,
    PositionSide,
    Side,
    is_amount,
)

ENTRY = "ENTRY"
EXIT = "EXIT"

_DIRECTION_WORDS = {"long": PositionSide.LONG, "short": PositionSide.SHORT}
_SIDE_WORDS = {"buy": Side.BUY, "sell": Side.SELL}

_ZERO = Decimal(0)

NETTING_SPAN = timedelta(seconds=120)
"""How far a ledger row that no id links may lie from the order that explains it."""


class Standing(StrEnum):
    """What a status means for the lifecycle."""

    FILLED = "filled"
    FINAL = "final"
    BLOCKER = "blocker"


_FILLED = Standing.FILLED

_WORDS_KEPT = 1024
"""Spellings remembered with what they mean: a bot has a few, and each row is asked many times."""


@lru_cache(maxsize=_WORDS_KEPT)
def word(text: str | None) -> str:
    """A word without case and blanks."""
    return (text or "").strip().lower()


def status_of(row: LedgerRow) -> str:
    """The status without case and blanks."""
    return word(row.status)


def standing(row: LedgerRow) -> Standing:
    """Judge a status without case; what is neither filled nor final blocks (DESIGN section 4)."""
    return standing_of(row.status)


@lru_cache(maxsize=_WORDS_KEPT)
def standing_of(status: str | None) -> Standing:
    """The same of the status alone."""
    found = word(status)
    if found in FILLED_STATUSES:
        return Standing.FILLED
    return Standing.FINAL if found in FINAL_STATUSES else Standing.BLOCKER


def is_filled(row: LedgerRow) -> bool:
    """Whether the row stands for something executed, in any spelling of the case."""
    return standing_of(row.status) is _FILLED


def is_counted(row: LedgerRow) -> bool:
    """Whether the checklist's SQL counts the row: it compares the status exactly."""
    return row.status in FILLED_STATUSES


def action_of(row: LedgerRow) -> str:
    """The action without case and blanks; the exact spelling is judged by the detect stage."""
    return _action_word(row.action)


@lru_cache(maxsize=_WORDS_KEPT)
def _action_word(action: str | None) -> str:
    return (action or "").strip().upper()


def is_ours(row: LedgerRow) -> bool:
    """Whether we inserted the row."""
    return row.order_id.startswith(BACKFILL_PREFIX)


def is_dust(row: LedgerRow) -> bool:
    """Whether the row is a dust row of ours, which stands for no fill."""
    return is_ours(row) and is_dust_row(
        order_id=row.order_id,
        profile_id=row.profile_id,
        trade_id=row.trade_id,
        filled_at=row.filled_at,
    )


def usable_quantity(row: LedgerRow) -> Decimal | None:
    """The quantity if it is a finite number of sane size not below zero, else None."""
    quantity = row.quantity
    if quantity is None or not is_amount(quantity) or quantity < _ZERO:
        return None
    return quantity


def stated_directions(row: LedgerRow) -> frozenset[PositionSide]:
    """Every direction that `position_side` and `side` of the row speak for: none, one, or both.

    Both means that the row contradicts itself. Words long and short in `side` name the position,
    buy and sell name the order, which an EXIT row turns round.
    """
    return _directions_in(row.position_side, row.side, row.action)


@lru_cache(maxsize=_WORDS_KEPT)
def _directions_in(
    position_side: str | None, side_of_order: str | None, action: str | None
) -> frozenset[PositionSide]:
    found: set[PositionSide] = set()
    for text in (position_side, side_of_order):
        direction = _DIRECTION_WORDS.get(word(text))
        if direction is not None:
            found.add(direction)
    side = _SIDE_WORDS.get(word(side_of_order))
    if side is not None:
        found.add(_direction_of_side(side, _action_word(action)))
    return frozenset(found)


def _direction_of_side(side: Side, action: str) -> PositionSide:
    opens = action != EXIT
    is_long = (side is Side.BUY) == opens
    return PositionSide.LONG if is_long else PositionSide.SHORT


def stated_direction(row: LedgerRow) -> PositionSide | None:
    """The one direction the row speaks for, else None."""
    directions = stated_directions(row)
    return next(iter(directions)) if len(directions) == 1 else None


def linked_ids(row: LedgerRow) -> tuple[str, ...]:
    """The ids by which the row may name an exchange order, the surest first."""
    ids = (row.exchange_order_id, row.order_id, row.client_order_id)
    return tuple(dict.fromkeys(filter(None, ids)))


def defects(row: LedgerRow) -> Iterator[str]:
    """Why the row cannot be judged, in sentences; a final row says nothing and has none."""
    status = standing(row)
    if status is Standing.FINAL:
        return
    action = action_of(row)
    if action in {ENTRY, EXIT} and row.action != action:
        yield f"row {row.order_id} spells its action {row.action!r} where {action} is counted"
    if action not in {ENTRY, EXIT} and row.quantity:
        yield f"row {row.order_id} has the action {row.action!r}, neither ENTRY nor EXIT"
    if status is Standing.FILLED:
        yield from _filled_row_defects(row)


def misspelt_symbol(row: LedgerRow, symbol: str) -> Iterator[str]:
    """Why a row of the same trade_id may be of this very symbol, though the sums keep it apart.

    Other symbols may use a trade_id too; one that is told in another case, or not at all, is none.
    """
    if not row.quantity or standing(row) is Standing.FINAL:
        return
    if word(row.symbol) in {"", word(symbol)}:
        yield f"row {row.order_id} of the same trade_id spells its symbol {row.symbol!r}"


def _filled_row_defects(row: LedgerRow) -> Iterator[str]:
    if not is_counted(row):
        yield f"row {row.order_id} spells its status {row.status!r}, which is not counted as filled"
    if usable_quantity(row) is None:
        yield f"row {row.order_id} is filled with quantity {_shown(row)}"
    if row.at is None:
        yield f"row {row.order_id} has neither filled_at nor created_at"


def _shown(row: LedgerRow) -> str:
    return "NULL" if row.quantity is None else str(row.quantity)
