"""What people are shown of results, and the documents that differ from the nouns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from unghost.cli import tables
from unghost.cli.numbers import counted
from unghost.model import Batch, Lifecycle, OverClosed, PauseReading
from unghost.report import way_back

if TYPE_CHECKING:
    from unghost.cycle import GoNoGo, Validation
    from unghost.desk import Desk
    from unghost.rollback import UndoPreview


def lifecycle_document(lifecycle: Lifecycle) -> dict[str, object]:
    """The columns of the checklist's section 1, and what is known besides."""
    return {
        "profile_id": lifecycle.key.profile_id,
        "symbol": lifecycle.key.symbol,
        "trade_id": lifecycle.key.trade_id,
        "entry_qty": lifecycle.entry_qty,
        "exit_qty": lifecycle.exit_qty,
        "open_qty": lifecycle.open_qty,
        "direction": lifecycle.direction,
        "first_entry_at": lifecycle.first_entry_at,
        "defects": lifecycle.defects,
    }


# --- validation --------------------------------------------------------------------------------


def validation_document(found: Validation) -> dict[str, object]:
    """Section 8 of the checklist."""
    return {
        "ghosts": [
            {
                "profile_id": key.profile_id,
                "symbol": key.symbol,
                "trade_id": key.trade_id,
                "entry_qty": entry,
                "exit_qty": exited,
                "open_qty": entry - exited,
            }
            for key, entry, exited in found.ghosts
        ],
        "decisions": found.decisions,
        "mismatch_events": found.mismatch_events,
        "over_closed": found.over_closed,
    }


def validation_shown(found: Validation) -> Iterator[RenderableType]:
    """Tables of what is left, if anything is."""
    if found.ghosts:
        yield tables.table(
            "Still open in the ledger",
            ("symbol", [key.symbol for key, _, _ in found.ghosts]),
            ("trade_id", [key.trade_id for key, _, _ in found.ghosts]),
            ("entry_qty", [entry for _, entry, _ in found.ghosts]),
            ("exit_qty", [exited for _, _, exited in found.ghosts]),
            ("open_qty", [entry - exited for _, entry, exited in found.ghosts]),
        )
    if found.over_closed:
        yield tables.over_closed_table(found.over_closed)
    if found.decisions:
        yield decisions_table(found.decisions)


def decisions_table(counts: Mapping[str, int]) -> RenderableType:
    """Audit rows by decision."""
    names = sorted(counts)
    return tables.facts_table("Decisions so far", [(name, str(counts[name])) for name in names])


def validation_sentence(found: Validation) -> str:
    """The verdict of section 8, and what to do about it."""
    left = counted(len(found.ghosts), "lifecycle")
    told = [
        f"{left} still open in the ledger." if found.ghosts else "No lifecycle is left open.",
        f"{counted(found.mismatch_events, 'mismatch event')} so far.",
    ]
    told += [superseded_sentence(one) for one in found.over_closed if one.superseded]
    return "\n".join(told)


def superseded_sentence(one: OverClosed) -> str:
    """A real EXIT that came after ours, and the one command that takes ours back."""
    rows = ", ".join(order_id for order_id, _, _ in one.superseded)
    return (
        f"{one.key.trade_id} on {one.key.symbol} has a later EXIT of its own, so the backfill"
        f" ({rows}) is one too many: {way_back(one)}"
    )


# --- go or no-go -------------------------------------------------------------------------------


def go_no_go_shown(verdict: GoNoGo) -> Iterator[RenderableType]:
    """The criteria of section 6 with their verdicts, then the answer."""
    criteria = verdict.criteria
    yield tables.table(
        f"Go or no-go for batch {verdict.batch.batch_id}",
        ("criterion", [one.name for one in criteria]),
        ("verdict", [tables.styled(one.verdict, tables.VERDICT_STYLES) for one in criteria]),
        ("value", [str(one.value) for one in criteria]),
        ("", [one.detail for one in criteria]),
    )
    yield _answer(verdict)


def _answer(verdict: GoNoGo) -> Text:
    if not verdict.go:
        return Text("NO-GO: see the red criteria above; nothing has been changed.", style="red")
    held = f" ({verdict.held_back} held back)" if verdict.held_back else ""
    batch_id = verdict.batch.batch_id
    return Text(
        f"GO{held}. Next: set RECON_EXIT_BACKFILL_DRY_RUN=false and run"
        f" `unghost cycle --plan {batch_id}`.",
        style="green",
    )


# --- undo --------------------------------------------------------------------------------------


UNDO_WORDS = {"rollback": "roll back", "reinstate": "reinstate"}
OTHER_WAYS_BACK = (
    "Only rows that a rollback of this very batch canceled come back. One that went with the"
    " rollback of another batch comes back with that one's reinstate; for one that a person"
    " canceled, roll this batch back first."
)


def undo_shown(command: str, preview: UndoPreview) -> Iterator[RenderableType]:
    """What an undo would change, what it would take along, and what it would reopen."""
    if not preview.changes:
        yield Text(f"Nothing to {UNDO_WORDS[command]}: no row of this batch would change.")
        if command == "reinstate":
            yield Text(OTHER_WAYS_BACK)
    else:
        changed = counted(len(preview.changes), "row")
        yield tables.changes_table(f"{command} changes {changed}", preview.changes)
    for warning in preview.warnings:
        yield Text(f"Warning: {warning}", style="yellow")
    if preview.from_earlier:
        yield Text(
            f"Of these, {counted(len(preview.from_earlier), 'row')} stem from an earlier batch.",
            style="yellow",
        )
    if preview.reopens:
        names = ", ".join(f"{key.trade_id} ({key.symbol})" for key in preview.reopens)
        yield Text(f"{counted(len(preview.reopens), 'lifecycle')} open again: {names}")


# --- status ------------------------------------------------------------------------------------


def status_shown(
    desk: Desk, pause: PauseReading, batches: tuple[Batch, ...]
) -> Iterator[RenderableType]:
    """The trading status, the settings, the latest batches."""
    facts: list[tuple[str, str | Text]] = [
        ("trading", pause_words(pause)),
        ("account", desk.profile.account),
        *desk.settings_shown.items(),
    ]
    yield tables.facts_table(f"Profile {desk.profile.profile_id}", facts)
    yield batches_table(batches) if batches else Text("No batch so far.")


def pause_words(pause: PauseReading) -> Text:
    """The trading status with its source, its time and who set it."""
    word = tables.styled(pause.state, tables.PAUSE_STYLES)
    facts = [f"source {pause.source}"]
    if pause.since is not None:
        facts.append(f"since {tables.moment(pause.since)}")
    if pause.actor:
        facts.append(f"by {pause.actor}")
    detail = pause.detail if pause.since is None else ""  # it only says the same again
    facts += [text for text in (pause.note, detail) if text]
    return Text.assemble(word, "  ", (", ".join(facts), "dim"))


def batches_table(batches: tuple[Batch, ...]) -> RenderableType:
    """The latest batches, newest first."""
    return tables.table(
        "Latest batches",
        ("batch_id", [one.batch_id for one in batches]),
        ("mode", [one.mode for one in batches]),
        ("status", [one.status for one in batches]),
        ("started_at", [one.started_at for one in batches]),
        ("actor", [one.actor for one in batches]),
        ("decisions", [counts_words(one.counts) for one in batches]),
    )


def counts_words(counts: Mapping[str, int]) -> str:
    """`DRY_RUN 12, NO_GO 3`."""
    return ", ".join(f"{name} {counts[name]}" for name in sorted(counts)) or "none"
