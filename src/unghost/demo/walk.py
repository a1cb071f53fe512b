"""`unghost demo`: the whole checklist, walked by the commands that a user types.

The database and the ledger are made anew each time and stay on disk afterwards; nothing is left
running, unless `--serve` asks for the console.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.text import Text

from unghost.demo import showing
from unghost.demo.cases import CASES
from unghost.demo.checks import Findings, StepFailed, usdt
from unghost.demo.commands import Ran, ending_in_order, run_unghost
from unghost.demo.house import House, bare_environment, open_house
from unghost.demo.serving import Served, served_console
from unghost.demo.showing import Show
from unghost.demo.steps import STEPS, Step
from unghost.documents import document_text
from unghost.errors import EnvironmentFailure
from unghost.logs import configure_logs
from unghost.settings import load_settings
from unghost.settings.variables import LogLevel

ENVIRONMENT: Final = EnvironmentFailure.exit_code
_MAY_WRITE: Final = {
    "ENABLE_RECON_EXIT_BACKFILL": "true",
    "RECON_EXIT_BACKFILL_DRY_RUN": "false",
}
"""For the console, where people start every cycle and type how many rows to write."""

INVARIANTS: Final = (
    "4. Same lifecycle, same close order: the apply used the ids that the dry run had named.",
    "5. Apply, then apply again: nothing new. What was applied is closed.",
    "6. Rollback and reinstate changed status and updated_at, and nothing else.",
    "7. The dry run left orders untouched, and held exactly what the apply wrote.",
    "8. Audit rows and written rows agree; no row of the bot's was changed.",
)


@dataclass(kw_only=True)
class Walk:
    """A walk under way. `done` is told with --json."""

    house: House
    show: Show
    findings: Findings
    exports: dict[str, str] = field(default_factory=dict)
    done: list[dict[str, object]] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    def environment(self) -> dict[str, str]:
        """What a command of the demo runs in."""
        return {
            **bare_environment(self.house.folder),
            **self.house.variables,
            **self.exports,
            **showing.colours(),
            "COLUMNS": str(self.show.width),
            "UNGHOST_LOG_LEVEL": "error",
        }


def walk(*, serve: bool = False, svg: Path | None = None, as_json: bool = False) -> int:
    """Walk the checklist and return 0; raise UnghostError where a step goes wrong.

    `serve` keeps database, venue and a console up until Ctrl-C. `svg` is the file of a picture.
    """
    show = showing.open_show(svg=svg, as_json=as_json)
    home = load_settings().home
    with ending_in_order(), open_house(home, tell=show.tell) as house:
        under_way = Walk(house=house, show=show, findings=Findings(house=house))
        _introduce(under_way)
        for number, step in enumerate(STEPS, start=1):
            _take(under_way, number, step)
        _sum_up(under_way, as_json=as_json)
        if svg is not None:
            showing.write_picture(show, svg)
        if serve:
            _serve(under_way)
    return 0


def _introduce(under_way: Walk) -> None:
    show = under_way.show
    show.put(
        Text("unghost demo", style="bold"),
        Text(
            "A sample bot lost some of its exits: its ledger counts positions that the exchange"
            " does not have. Here the rollout checklist is walked from detection to rollback, by"
            " the commands that you would type."
        ),
    )
    show.put(showing.typed((), under_way.house.variables), pictured=False)


# --- one step ----------------------------------------------------------------------------------


def _take(under_way: Walk, number: int, step: Step) -> None:
    show = under_way.show
    show.put("", showing.heading(number, step), Text(step.before), pictured=step.pictured)
    ran = _run(under_way, step) if step.arguments else None
    try:
        sentence = step.check(under_way.findings)
    except StepFailed as failed:
        raise StepFailed(_failed(under_way, number, step, str(failed))) from failed
    if step.shows_cases:
        show.put_cases()
    show.put(showing.outcome(sentence), pictured=step.pictured)
    under_way.done.append(_document(number, step, ran, sentence))


def _run(under_way: Walk, step: Step) -> Ran:
    """Type the command, show what it says, and insist on its exit code."""
    arguments = _arguments(step, under_way.findings)
    under_way.exports.update(step.exports)
    show = under_way.show
    show.put(showing.typed(arguments, step.exports), pictured=step.pictured)
    with show.waiting(f"unghost {arguments[0]}"):
        ran = run_unghost(arguments, under_way.environment())
    for text in (ran.out, ran.err):
        if text.strip():
            show.put(showing.output(text, step.most_lines), pictured=step.output_pictured)
    if ran.code != step.code:
        number = STEPS.index(step) + 1
        told = _failed(under_way, number, step, f"exit code {ran.code}, expected {step.code}")
        raise EnvironmentFailure(told) if ran.code == ENVIRONMENT else StepFailed(told)
    return ran


def _arguments(step: Step, findings: Findings) -> tuple[str, ...]:
    batches = {"{plan}": findings.plan, "{applied}": findings.applied}
    return tuple(batches.get(argument, argument) for argument in step.arguments)


def _failed(under_way: Walk, number: int, step: Step, why: str) -> str:
    return (
        f"The demo stopped at step {number} ({step.title}): {why}. What it has done so far is in"
        f" {under_way.house.folder}."
    )


def _document(number: int, step: Step, ran: Ran | None, sentence: str) -> dict[str, object]:
    return {
        "number": number,
        "title": step.title,
        "section": step.section or None,
        "command": ["unghost", *step.arguments] if step.arguments else None,
        "exit_code": None if ran is None else ran.code,
        "seconds": None if ran is None else f"{ran.seconds:.2f}",
        "outcome": sentence,
    }


# --- the end -----------------------------------------------------------------------------------


def _sum_up(under_way: Walk, *, as_json: bool) -> None:
    show = under_way.show
    show.put("", showing.facts("Summary", list(_summary(under_way.findings))))
    show.put(showing.facts("Invariants seen", [(one[:2], one[3:]) for one in INVARIANTS]))
    show.put(showing.facts("What now", list(_next(under_way.house))), pictured=False)
    seconds = time.monotonic() - under_way.started_at
    show.put(showing.outcome(f"All {len(STEPS)} steps ended as they must, in {seconds:.0f} s."))
    if as_json:
        sys.stdout.write(document_text(_whole_document(under_way)) + "\n")


def _summary(findings: Findings) -> Iterator[tuple[str, str]]:
    before, after = findings.exposures["before"], findings.exposures["reinstated"]
    yield "open in the ledger", f"{before.lifecycles} lifecycles before, {after.lifecycles} after"
    yield "exposure it counted", f"{usdt(before.usdt)} before, {usdt(after.usdt)} after"
    rows = sum(case.rows for case in CASES)
    repaired = sum(case.repaired for case in CASES)
    yield "repaired", f"{repaired} ghosts by {rows} EXIT rows"
    yield "rows changed or deleted", "0 of the bot's"
    for reason, count in sorted(findings.refusals.items(), key=lambda one: (-one[1], one[0])):
        yield f"refused {count}", reason


def _next(house: House) -> Iterator[tuple[str, str]]:
    yield "look around", f". {house.variables_file}; unghost status; unghost audit --limit 20"
    yield "the statements", "unghost sql lists them; unghost sql validate prints one"
    yield "your own ledger", "README.md, then docs/connect.md"
    yield "the procedure", "docs/runbook.md: the checklist's nine sections as commands"
    yield "the data", f"stays in {house.folder} until the next demo"
    yield "to remove it", f"rm -r {house.folder}"


def _whole_document(under_way: Walk) -> Mapping[str, object]:
    exposures = under_way.findings.exposures
    return {
        "ok": True,
        "folder": str(under_way.house.folder),
        "profile_id": "demo",
        "plan_batch_id": under_way.findings.plan,
        "applied_batch_id": under_way.findings.applied,
        "steps": under_way.done,
        "lifecycles_open": {name: one.lifecycles for name, one in exposures.items()},
        "exposure_usdt": {name: one.usdt for name, one in exposures.items()},
        "refusals": under_way.findings.refusals,
        "cases": _cases(),
    }


def _cases() -> Sequence[Mapping[str, object]]:
    return [
        {
            "trade_id": case.trade_id,
            "symbol": case.symbol,
            "name": case.name,
            "happened": case.happened,
            "repaired": case.repaired,
            "reasons": case.reasons,
        }
        for case in CASES
    ]


def _serve(under_way: Walk) -> None:
    """Keep everything up, and the console on it, until somebody ends it."""
    show, house = under_way.show, under_way.house
    configure_logs(load_settings().model_copy(update={"log_level": LogLevel.ERROR}))
    variables = {**house.variables, **_MAY_WRITE, "UNGHOST_LOG_LEVEL": "error"}
    with served_console(variables, tell=show.tell) as served:
        show.put("", showing.facts("Console", list(_console_facts(served))), pictured=False)
        show.tell(
            "Database and simulated exchange stay up too. In another terminal:"
            f" . {house.variables_file}; unghost status. Ctrl-C ends all of them."
        )
        try:
            signal.pause()
        except (KeyboardInterrupt, SystemExit):
            show.tell("Stopped.")


def _console_facts(served: Served) -> Iterator[tuple[str, str]]:
    yield "address", served.base_url
    for role, token in served.tokens.items():
        yield f"{role}'s token", token
    yield "they are", "made up at this start, and worth nothing after it"
