"""The state machine: a few examples in every run, as long as asked for by `make soak`."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import hypothesis
import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.cycle.wire import wire_to
from tests.proofs.machine import Machine, machine_on
from tests.proofs.quick import QuickBench, quick
from tests.proofs.results import Keeper

SOAK_SECONDS = int(os.environ.get("UNGHOST_SOAK_SECONDS", "0"))
PROFILE = settings(
    max_examples=20 if SOAK_SECONDS else 2,
    stateful_step_count=30 if SOAK_SECONDS else 14,
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
    with wire_to(quick_bench.service_url) as wire:
        yield machine_on(quick_bench, wire)


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
    if SOAK_SECONDS:
        soak(machine)
    else:
        run_state_machine_as_test(machine, settings=PROFILE)
    assert machine.steps >= PROFILE.max_examples


def soak(machine):
    """Seed after seed; what was found so far is kept after each."""
    begun, keeper = time.monotonic(), Keeper("soak")
    seed = first = int(os.environ.get("UNGHOST_SOAK_SEED", secrets.randbelow(1_000_000)))
    while True:
        chosen = hypothesis.seed(seed)(machine)
        try:
            run_state_machine_as_test(chosen, settings=PROFILE)
        except BaseException as error:
            if isinstance(error, Exception):
                keeper.keep(figures(machine, first, seed, begun), f"seed {seed}: {error}")
            raise
        keeper.keep(figures(machine, first, seed, begun))
        left = timedelta(seconds=max(0, int(SOAK_SECONDS - (time.monotonic() - begun))))
        sys.stderr.write(f"seed {seed}: {machine.steps} steps so far, {left} left\n")
        if not left:
            return
        seed += 1


def figures(machine, first: int, last: int, begun: float) -> dict:
    return {
        "seeds": [first, last],
        "steps": machine.steps,
        "examples": machine.examples,
        "rules": dict(sorted(machine.ran.items())),
        "seconds": int(time.monotonic() - begun),
    }
