"""Tables for people, drawn by rich: words in colour, numbers in line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from unghost.cli.numbers import NOTHING, aligned
from unghost.cli.words import DECISION_STYLES
from unghost.model import (
    AuditRow,
    Decision,
    GateVerdict,
    Lifecycle,
    OverClosed,
    PauseState,
    Reason,
    StatusChange,
)

GATE_STYLES = {
    GateVerdict.OPEN: "green",
    GateVerdict.CLOSED: "red",
    GateVerdict.UNKNOWN: "yellow",
}
PAUSE_STYLES = {
    PauseState.PAUSED: "green",
    PauseState.RUNNING: "red",
    PauseState.UNKNOWN: "yellow",
}
VERDICT_STYLES = {
    "ok": "green",
    "pass": "green",
    "go": "green",
    "warn": "yellow",
    "note": "yellow",
    "fail": "red",
    "no_go": "red",
}

Word = TypeVar("Word", bound=str)

Column = tuple[str, Sequence[str | Text | Decimal | datetime | None]]


def table(title: str, *columns: Column) -> Table:
    """A table out of named columns; a column of numbers is aligned at the decimal point."""
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    cells = []
    for name, values in columns:
        is_number = any(isinstance(value, Decimal) for value in values)
        header = Text(name, justify="right" if is_number else "left")
        drawn.add_column(header, overflow="fold")
        cells.append(_numbers(name, values) if is_number else [_cell(one) for one in values])
    for row in zip(*cells, strict=True):
        drawn.add_row(*row)
    return drawn


def _numbers(name: str, values: Sequence[object]) -> list[Text]:
    """Cells as wide as the column: rich would strip the spaces that align them on the right."""
    numbers = [value if isinstance(value, Decimal) else None for value in values]
    return [Text(text, no_wrap=True) for text in aligned(numbers, width=len(name))]


def _cell(value: object) -> Text:
    match value:
        case Text():
            return value
        case None:
            return Text(NOTHING, style="dim")
        case datetime():
            return Text(moment(value), no_wrap=True)
        case _:
            return Text(str(value))


def moment(value: datetime | None) -> str:
    """A time to the second, in UTC."""
    return NOTHING if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def styled(word: Word, styles: Mapping[Word, str]) -> Text:
    """A status word in its colour."""
    return Text(word, style=styles.get(word, ""), no_wrap=True)


def decision_word(decision: Decision) -> Text:
    """A decision in its colour."""
    return Text(decision, style=DECISION_STYLES[decision], no_wrap=True)


def lifecycles_table(lifecycles: Sequence[Lifecycle]) -> Table:
    """The result of the checklist's section 1, with what is known of each."""
    return table(
        "Open lifecycles",
        ("profile_id", [one.key.profile_id for one in lifecycles]),
        ("symbol", [one.key.symbol for one in lifecycles]),
        ("trade_id", [one.key.trade_id for one in lifecycles]),
        ("side", [one.direction for one in lifecycles]),
        ("entry_qty", [one.entry_qty for one in lifecycles]),
        ("exit_qty", [one.exit_qty for one in lifecycles]),
        ("open_qty", [one.open_qty for one in lifecycles]),
        ("first entry", [one.first_entry_at for one in lifecycles]),
        ("cannot be judged because", ["; ".join(one.defects) for one in lifecycles]),
    )


def audit_table(title: str, rows: Sequence[AuditRow]) -> Table:
    """Rows of the audit."""
    return table(
        title,
        ("decision", [decision_word(row.decision) for row in rows]),
        ("resting on", [_basis(row) for row in rows]),
        ("symbol", [row.symbol for row in rows]),
        ("trade_id", [row.trade_id for row in rows]),
        ("filled_qty", [row.filled_qty for row in rows]),
        ("price", [row.price for row in rows]),
        ("filled_at", [row.filled_at for row in rows]),
        ("backfill_order_id", [row.backfill_order_id for row in rows]),
    )


def _basis(row: AuditRow) -> str:
    """The reason; of fill evidence the tier of its attribution, which tells more."""
    is_evidence = row.reason is Reason.FILL_EVIDENCE and row.attribution is not None
    return f"fills, {row.attribution}" if is_evidence else row.reason


def record_table(rows: Sequence[AuditRow]) -> Table:
    """The audit as the checklist's verification shows it, newest first."""
    return table(
        "Audit, newest first",
        ("batch_id", [row.batch_id for row in rows]),
        ("created_at", [row.created_at for row in rows]),
        ("symbol", [row.symbol for row in rows]),
        ("trade_id", [row.trade_id for row in rows]),
        ("decision", [decision_word(row.decision) for row in rows]),
        ("reason", [row.reason for row in rows]),
        ("filled_qty", [row.filled_qty for row in rows]),
        ("backfill_order_id", [row.backfill_order_id for row in rows]),
        ("reverted_at", [row.reverted_at for row in rows]),
    )


def changes_table(title: str, changes: Sequence[StatusChange]) -> Table:
    """What an undo changes, row by row."""
    return table(
        title,
        ("order_id", [one.order_id for one in changes]),
        ("symbol", [one.key.symbol for one in changes]),
        ("trade_id", [one.key.trade_id for one in changes]),
        ("quantity", [one.quantity for one in changes]),
        ("status", [f"{one.status_before} -> {one.status_after}" for one in changes]),
        ("written by batch", [one.first_batch_id for one in changes]),
    )


def over_closed_table(found: Sequence[OverClosed]) -> Table:
    """Lifecycles with more EXIT than ENTRY, and the rows of ours that are one too many."""
    return table(
        "Closed more than once",
        ("symbol", [one.key.symbol for one in found]),
        ("trade_id", [one.key.trade_id for one in found]),
        ("entry_qty", [one.entry_qty for one in found]),
        ("exit_qty", [one.exit_qty for one in found]),
        ("backfill row", [_superseded(one) for one in found]),
    )


def _superseded(one: OverClosed) -> str:
    return "\n".join(order_id for order_id, _, _ in one.superseded) or "none of ours"


def facts_table(title: str, facts: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values, without a header."""
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        show_header=False,
    )
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in facts:
        drawn.add_row(name, value if isinstance(value, Text) else Text(value))
    return drawn
