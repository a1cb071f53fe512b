"""What one cycle tells: whether orders were touched, gates, rows, refusals, and what is next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import RenderableType
from rich.text import Text

from unghost.cli import tables
from unghost.cli.numbers import counted
from unghost.cli.views import lifecycle_document, superseded_sentence
from unghost.model import AuditRow, Decision, GateResult, GateVerdict, Mode, Reason, Ruling
from unghost.report import REASONS, WHAT_TO_DO

if TYPE_CHECKING:
    from unghost.cycle import CycleReport
    from unghost.desk import Desk

MOST_ROWS_SHOWN: Final = 60
"""More rows than people read; `unghost audit --batch` shows all."""

SENTENCES_SHOWN: Final = 3


def document(desk: Desk, report: CycleReport) -> dict[str, object]:
    """The batch as it was recorded, and what it rests on."""
    return {
        "profile_id": desk.profile.profile_id,
        "outcome": report.outcome,
        "orders_touched": orders_touched(report),
        "batch": report.batch,
        "head": str(report.head) if report.head else None,
        "ceilings": report.ceilings,
        "lifecycles": [lifecycle_document(one) for one in report.lifecycles],
        "gates": [_gate_document(name, results) for name, results in _by_gate(report.rulings)],
        "audit": report.audit,
        "events": report.events,
        "superseded": report.superseded,
        "notes": report.notes,
    }


def orders_touched(report: CycleReport) -> int:
    """How many rows this cycle wrote into `orders`."""
    return sum(row.decision is Decision.APPLIED for row in report.audit)


def shown(desk: Desk, report: CycleReport) -> Iterator[RenderableType]:
    """Everything for people, the most important line first."""
    yield _first_line(desk, report)
    yield tables.facts_table("", _facts(desk, report))
    if report.rulings:
        yield _gates_table(report.rulings)
    yield from _rows(report)
    yield from _refusals(report.audit)
    for over in report.superseded:
        yield Text(superseded_sentence(over), style="red")
    for note in report.notes:
        yield Text(note, style="yellow")
    yield from _next(desk, report)


def _first_line(desk: Desk, report: CycleReport) -> Text:
    written = orders_touched(report)
    if written:
        return Text(f"APPLY: {counted(written, 'row')} written to orders.", style="bold green")
    if not desk.enabled:
        return Text("DETECT ONLY: orders untouched, no backfill is enabled.", style="bold cyan")
    mode = "DRY RUN" if desk.rules.mode is Mode.DRY_RUN else "APPLY"
    return Text(f"{mode}: orders untouched, no row was written.", style="bold cyan")


def _facts(desk: Desk, report: CycleReport) -> Iterator[tuple[str, str | Text]]:
    yield "profile", desk.profile.profile_id
    if report.batch is not None:
        yield "batch", report.batch.batch_id
        if report.batch.plan_batch_id:
            yield "plan", report.batch.plan_batch_id
        calls = ", ".join(f"{name} {count}" for name, count in sorted(report.batch.calls.items()))
        yield "calls", f"{sum(report.batch.calls.values())} to the exchange: {calls or 'none'}"
    if report.head is not None:
        yield "record ends at", str(report.head)
    yield "pause", "required" if desk.rules.require_pause else Text("NOT REQUIRED", style="red")
    for ceiling in report.ceilings:
        words = f"{ceiling.value}; at most {ceiling.most}"
        yield f"ceiling: {ceiling.name}", Text(words, style="red" if ceiling.exceeded else "")
    yield "open in the ledger", counted(len(report.lifecycles), "lifecycle")
    yield "events", counted(len(report.events), "mismatch event")


# --- gates -------------------------------------------------------------------------------------


def _by_gate(rulings: Sequence[Ruling]) -> list[tuple[str, list[GateResult]]]:
    found: dict[str, list[GateResult]] = defaultdict(list)
    for ruling in rulings:
        for gate in ruling.gates:
            found[gate.name].append(gate)
    return list(found.items())


def _gate_document(name: str, results: Sequence[GateResult]) -> dict[str, object]:
    verdicts = Counter(result.verdict for result in results)
    return {
        "name": name,
        "rule": results[0].rule,
        **{verdict.value: verdicts[verdict] for verdict in GateVerdict},
    }


def _gates_table(rulings: Sequence[Ruling]) -> RenderableType:
    gates = _by_gate(rulings)
    counts = [Counter(result.verdict for result in results) for _, results in gates]
    return tables.table(
        "Gates, by lifecycle",
        ("gate", [name for name, _ in gates]),
        *(
            (verdict.value, [_count(count[verdict], verdict) for count in counts])
            for verdict in GateVerdict
        ),
        ("rule", [results[0].rule for _, results in gates]),
    )


def _count(number: int, verdict: GateVerdict) -> Text:
    return Text(str(number), style=tables.GATE_STYLES[verdict] if number else "dim")


# --- rows --------------------------------------------------------------------------------------


def _rows(report: CycleReport) -> Iterator[RenderableType]:
    rows = sorted(
        (row for row in report.audit if row.decision is not Decision.NO_GO),
        key=lambda row: (row.symbol, row.trade_id, row.audit_id),
    )
    if not rows:
        return
    yield tables.audit_table("Rows", rows[:MOST_ROWS_SHOWN])
    left_out = len(rows) - MOST_ROWS_SHOWN
    if left_out > 0 and report.batch is not None:
        yield Text(f"... and {left_out} more: unghost audit --batch {report.batch.batch_id}")


def _refusals(audit: Sequence[AuditRow]) -> Iterator[RenderableType]:
    by_reason: dict[Reason, list[AuditRow]] = defaultdict(list)
    for row in reversed(audit):  # the record is newest first, people read oldest first
        if row.decision is Decision.NO_GO:
            by_reason[row.reason].append(row)
    if not by_reason:
        return
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    yield tables.table(
        "Not closed",
        ("reason", [Text(reason, style="red") for reason, _ in ordered]),
        ("rows", [str(len(rows)) for _, rows in ordered]),
        ("why", [f"{REASONS[reason]}\n{_why(rows)}" for reason, rows in ordered]),
        ("what to do", [WHAT_TO_DO[reason] for reason, _ in ordered]),
    )


def _why(rows: Sequence[AuditRow]) -> str:
    told = [sentence_of(row) for row in rows[:SENTENCES_SHOWN]]
    if len(rows) > SENTENCES_SHOWN:
        told.append(f"... and {len(rows) - SENTENCES_SHOWN} more")
    return "\n".join(told)


def sentence_of(row: AuditRow) -> str:
    """Why one row was refused, as the record tells it."""
    sentence = row.evidence.get("sentence")
    return str(sentence) if sentence else f"{row.trade_id} on {row.symbol}"


# --- next --------------------------------------------------------------------------------------


def _next(desk: Desk, report: CycleReport) -> Iterator[RenderableType]:
    decisions = {row.decision for row in report.audit}
    if not desk.enabled and report.lifecycles:
        yield Text("Next: set ENABLE_RECON_EXIT_BACKFILL=true for a dry run.")
    elif report.batch is not None and Decision.DRY_RUN in decisions:
        batch_id = report.batch.batch_id
        allowed = " --allow-share" if any(one.exceeded for one in report.ceilings) else ""
        yield Text(
            f"Next: unghost go-no-go {batch_id}{allowed}, then with"
            f" RECON_EXIT_BACKFILL_DRY_RUN=false unghost cycle --plan {batch_id}{allowed}"
        )
    elif report.batch is not None and Decision.APPLIED in decisions:
        yield Text(
            f"Next: unghost validate. To take it back: unghost rollback {report.batch.batch_id}"
        )
