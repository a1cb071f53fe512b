"""The steps of the demo, in the order of the checklist: what is typed, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from unghost.adapters.postgres.sample_rows import load_orders
from unghost.demo import checks
from unghost.demo.checks import Findings
from unghost.demo.sample import PROFILE

DONE: Final = 0
SOMETHING_REMAINS: Final = 1

APPLIED_EXAMPLE: Final = "t-2009"
REFUSED_EXAMPLE: Final = "t-2017"

_CHOICE = ("--profile", PROFILE)

Check = Callable[[Findings], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step. Without `arguments` nothing is typed: the check itself is the step.

    `exports` are set before the command and stay set. In `arguments`, `{plan}` and `{applied}`
    stand for the ids of the batches. `most_lines` of its output are shown, where it says what an
    earlier step has said already. `pictured` and `output_pictured` say what the picture shows.
    """

    title: str
    before: str
    check: Check
    arguments: Sequence[str] = ()
    exports: Mapping[str, str] = field(default_factory=dict)
    code: int = DONE
    section: str = ""
    shows_cases: bool = False
    pictured: bool = False
    output_pictured: bool = False
    most_lines: int | None = None


def _sample_loaded(findings: Findings) -> str:
    """Stands in for a bot that has kept its ledger for a week."""
    sample = findings.house.sample
    loaded = load_orders(findings.house.database, sample.rows())
    trades = {line.trade_id for line in sample.lines} - {None}
    symbols = {line.symbol for line in sample.lines}
    return (
        f"A sample bot's week was loaded: {loaded} orders of {len(trades)} lifecycles on"
        f" {len(symbols)} symbols."
    )


def _says(sentence: str) -> Check:
    """A check of the exit code alone."""
    return lambda _: sentence


STEPS: Final[tuple[Step, ...]] = (
    Step(
        title="Init",
        before="The tables of unghost are made beside the bot's own; the bot's are not touched.",
        arguments=("init",),
        check=_sample_loaded,
    ),
    Step(
        title="Doctor",
        before="Every requirement is looked at before anything rests on it.",
        arguments=("doctor", *_CHOICE),
        check=_says("Database, record, exchange and pause source can be relied upon."),
    ),
    Step(
        title="Detect",
        section="checklist section 1",
        before="Which lifecycles does the ledger believe to be open?",
        arguments=("detect", *_CHOICE),
        code=SOMETHING_REMAINS,
        check=checks.ghosts_detected,
        pictured=True,
    ),
    Step(
        title="Pause trading",
        section="checklist section 2",
        before="Nothing is ever written while the bot trades.",
        arguments=("pause", *_CHOICE, "--reason", "closing ghosts"),
        check=_says("Paused, with who, why and when."),
    ),
    Step(
        title="Dry run",
        section="checklist section 5",
        before="One cycle under the safe flags: it reads the exchange, decides, and writes down"
        " what it would do.",
        exports={
            "ENABLE_RECON_EXIT_BACKFILL": "true",
            "RECON_EXIT_BACKFILL_DRY_RUN": "true",
            "RECON_EXIT_BACKFILL_REQUIRE_PAUSE": "true",
        },
        arguments=("cycle", *_CHOICE),
        code=SOMETHING_REMAINS,
        check=checks.dry_run_recorded,
        shows_cases=True,
        pictured=True,
    ),
    Step(
        title="Proof that orders is unchanged",
        section="checklist section 5, point 5",
        before="The rows of orders are counted and digested again.",
        check=checks.orders_unchanged,
        pictured=True,
    ),
    Step(
        title="Go or no-go",
        section="checklist section 6",
        before="The plan is judged against the present: ledger and exchange are read again.",
        arguments=("go-no-go", "{plan}", *_CHOICE),
        check=checks.nothing_written,
        pictured=True,
        output_pictured=True,
    ),
    Step(
        title="Apply",
        section="checklist section 7",
        before="Still paused. Only what that dry run held may be written, row for row.",
        exports={"RECON_EXIT_BACKFILL_DRY_RUN": "false"},
        arguments=("cycle", "--plan", "{plan}", *_CHOICE),
        code=SOMETHING_REMAINS,
        check=checks.plan_applied,
        pictured=True,
    ),
    Step(
        title="Validate",
        section="checklist section 8",
        before="What does the ledger believe now?",
        arguments=("validate", *_CHOICE),
        code=SOMETHING_REMAINS,
        check=checks.ghosts_closed,
        pictured=True,
    ),
    Step(
        title="Explain a repaired lifecycle",
        before=f"Why was {APPLIED_EXAMPLE} closed? One manual order had closed it and another.",
        arguments=("explain", APPLIED_EXAMPLE, *_CHOICE),
        check=_says("Every gate with its value, its source and its age, and every fill used."),
    ),
    Step(
        title="Explain a refused lifecycle",
        before=f"And why was {REFUSED_EXAMPLE} left alone?",
        arguments=("explain", REFUSED_EXAMPLE, *_CHOICE),
        check=_says("Doubt never writes: a person can decide what the fills cannot tell."),
    ),
    Step(
        title="Apply again",
        section="checklist section 3",
        before="The same plan once more. Ids follow from the fills, so every row is recognised.",
        arguments=("cycle", "--plan", "{plan}", *_CHOICE),
        most_lines=8,
        code=SOMETHING_REMAINS,
        check=checks.nothing_new,
        pictured=True,
    ),
    Step(
        title="Roll back",
        section="checklist section 9",
        before="Everything can be taken back: a status changes, nothing is deleted.",
        arguments=("rollback", "{applied}", *_CHOICE, "--yes"),
        check=checks.rolled_back,
        pictured=True,
    ),
    Step(
        title="Reinstate",
        before="And forward again, after asking for the pause and for flat markets once more.",
        arguments=("reinstate", "{applied}", *_CHOICE, "--yes"),
        most_lines=8,
        check=checks.reinstated,
        pictured=True,
    ),
    Step(
        title="Validate once more",
        section="checklist section 8",
        before="The final state, which stays on disk.",
        arguments=("validate", *_CHOICE),
        code=SOMETHING_REMAINS,
        check=checks.ghosts_closed,
    ),
)
