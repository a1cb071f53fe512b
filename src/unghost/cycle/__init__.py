"""The product: one reconciliation cycle, the go/no-go, the validation.

The only package that knows the order of the stages:

    detect -> gather -> decide -> record -> report

Each stage reads what the one before it handed over, and nothing else.
"""

from unghost.cycle.alerts import SUPERSEDED_EVENT
from unghost.cycle.batches import BATCH_FINISHED_EVENT
from unghost.cycle.draft import Draft, detect_ghosts, draft_rulings
from unghost.cycle.gonogo import GoNoGo, go_no_go
from unghost.cycle.inspecting import SymbolReport, inspect_symbol
from unghost.cycle.outcome import CycleReport, Outcome
from unghost.cycle.plans import plan_problem
from unghost.cycle.running import run_cycle
from unghost.cycle.validation import Validation, validate
from unghost.cycle.watching import Watched, watch

__all__ = [
    "BATCH_FINISHED_EVENT",
    "SUPERSEDED_EVENT",
    "CycleReport",
    "Draft",
    "GoNoGo",
    "Outcome",
    "SymbolReport",
    "Validation",
    "Watched",
    "detect_ghosts",
    "draft_rulings",
    "go_no_go",
    "inspect_symbol",
    "plan_problem",
    "run_cycle",
    "validate",
    "watch",
]
