"""The state machine: a few examples in every run, as long as asked for by `make soak`."""

from __future__ import annotations

import ast
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import hypothesis
import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from tests.cycle.wire import wire_to
from tests.proofs.machine import Machine, machine_on
from tests.proofs.nursery import Nursery
from tests.proofs.quick import QuickBench, quick
from tests.proofs.results import Keeper
from tests.proofs.statements import StatementWire

SOAK_SECONDS = int(os.environ.get("UNGHOST_SOAK_SECONDS", "0"))
SOAK_WAY = os.environ.get("UNGHOST_SOAK_WAY")
PHASES = [Phase.generate]
if os.environ.get("UNGHOST_SOAK_SHRINK") != "no":
    PHASES.append(Phase.shrink)
PROFILE = settings(
    phases=PHASES,
    max_examples=60 if SOAK_SECONDS else 2,
    stateful_step_count=50 if SOAK_SECONDS else 14,
    deadline=None,
    derandomize=not SOAK_SECONDS,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def quick_bench(own_bench) -> Iterator[QuickBench]:
    made = quick(own_bench)
    yield made
    made.leave()


@pytest.fixture
def machine(quick_bench) -> Iterator[type[Machine]]:
    with (
        wire_to(quick_bench.service_url) as wire,
        closing(StatementWire(quick_bench.service_url)) as deadly,
        closing(Nursery(quick_bench.venue.base_url)) as nursery,
    ):
        yield machine_on(quick_bench, wire=wire, deadly=deadly, nursery=nursery)


@pytest.fixture
def _quiet() -> Iterator[None]:
    """What a hundred thousand steps log, nobody reads."""
    chosen = structlog.get_config()
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level, cache_logger_on_first_use=False)
    yield
    structlog.configure(**chosen)


@pytest.mark.usefixtures("_quiet")
def test_the_invariants_hold_whatever_happens(machine):
    if SOAK_WAY:
        go(machine(), Path(SOAK_WAY).read_text(encoding="utf-8").splitlines())
        return
    if SOAK_SECONDS:
        soak(machine)
    else:
        run_state_machine_as_test(machine, settings=PROFILE)
    assert machine.steps >= PROFILE.max_examples


def soak(machine):
    """Seed after seed; what was found so far is kept after each example."""
    begun, keeper = time.monotonic(), Keeper("soak")
    seed = first = int(os.environ.get("UNGHOST_SOAK_SEED", secrets.randbelow(1_000_000)))
    while True:
        machine.after_example = staticmethod(
            lambda now=seed: keeper.keep(figures(machine, first, now, begun))
        )
        broken: list[str] = []
        machine.when_it_breaks = staticmethod(partial(remember, broken))
        chosen = hypothesis.seed(seed)(machine)
        try:
            run_state_machine_as_test(chosen, settings=PROFILE)
        except BaseException as error:
            sys.stderr.writelines(f"seed {seed}: {one:.300}\n" for one in (*broken, repr(error)))
            # Processes and time pass as they like, so a run may not go the same way again, and then
            # hypothesis gives the seed up. That is no violation unless something did not hold.
            if broken or not isinstance(error, FlakyStrategyDefinition):
                if isinstance(error, Exception):
                    found = [f"seed {seed}: {one:.300}" for one in (*broken, str(error))]
                    keeper.keep(figures(machine, first, seed, begun), *found)
                raise
        left = timedelta(seconds=max(0, int(SOAK_SECONDS - (time.monotonic() - begun))))
        sys.stderr.write(f"seed {seed}: {machine.steps} steps so far, {left} left\n")
        if not left:
            return
        seed += 1


def remember(broken: list[str], error: Exception, way: Sequence[str]) -> None:
    """What broke, and the first way that led there: to look for a shorter one takes minutes."""
    if isinstance(error, FlakyStrategyDefinition):
        return
    if not broken:
        sys.stderr.writelines(f"{line}\n" for line in ("the first way there:", *way))
    broken.append(repr(error))


def go(machine: Machine, way: Sequence[str]) -> None:
    """Take the steps that a soak printed, as far as each can still be taken."""
    rules = {one.function.__name__: one.preconditions for one in machine.rules}
    try:
        for line in way:
            step = ast.parse(line, mode="eval").body
            assert isinstance(step, ast.Call)
            assert isinstance(step.func, ast.Name)
            given = {one.arg: ast.literal_eval(one.value) for one in step.keywords}
            if all(holds(machine) for holds in rules.get(step.func.id, ())):
                getattr(machine, step.func.id)(**given)
                machine.the_books_are_sound()
                machine.what_would_be_decided_is_sound()
    finally:
        machine.teardown()


def figures(machine, first: int, last: int, begun: float) -> dict:
    return {
        "seeds": [first, last],
        "steps": machine.steps,
        "examples": machine.examples,
        "rules": dict(sorted(machine.ran.items())),
        "milliseconds of rules": {
            name: spent // 1_000_000 for name, spent in sorted(machine.nanoseconds.items())
        },
        "effects": dict(sorted(machine.did.items())),
        "seconds": int(time.monotonic() - begun),
    }
