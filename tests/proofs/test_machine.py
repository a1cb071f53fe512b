"""The state machine: a few examples in every run, as long as asked for by `make soak`."""

from __future__ import annotations

import os
import secrets
import sys
import time
from datetime import timedelta

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.cycle.wire import wire_to
from tests.proofs.machine import machine_on

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


def test_the_invariants_hold_whatever_happens(own_bench):
    with wire_to(own_bench.service_url) as wire:
        machine = machine_on(own_bench, wire)
        if not SOAK_SECONDS:
            run_state_machine_as_test(machine, settings=PROFILE)
            assert machine.steps >= PROFILE.max_examples
            return
        soak(machine)


def soak(machine):
    """Seed after seed, each told before it is run."""
    end = time.monotonic() + SOAK_SECONDS
    first = int(os.environ.get("UNGHOST_SOAK_SEED", secrets.randbelow(1_000_000)))
    seed = first
    while time.monotonic() < end:
        chosen = hypothesis.seed(seed)(machine)
        run_state_machine_as_test(chosen, settings=PROFILE)
        seed += 1
        left = timedelta(seconds=int(max(0, end - time.monotonic())))
        sys.stderr.write(f"seed {seed - 1}: {machine.steps} steps so far, {left} left\n")
    sys.stderr.write(f"seeds {first} to {seed - 1}, {machine.steps} steps, no violation\n")
