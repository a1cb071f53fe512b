"""Invariant 9: a crash at any statement loses nothing and doubles nothing; the next run converges.

It is the process that crashes, killed by SIGKILL, or the server under it.

A run of the tests takes the end of every transaction, every write and a share of the rest.
With UNGHOST_CRASH_POINTS=all, as `make proof` sets it, it is every statement, before and after, and
what was found is kept in `.proof/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.cycle.bench import Bench
from tests.other_server import FragileServer
from tests.proofs.bystander import OPERATIONS
from tests.proofs.crash_points import Kills, Outages, chosen_points, points
from tests.proofs.results import Keeper
from tests.proofs.statements import CrashPoint

EVERY = os.environ.get("UNGHOST_CRASH_POINTS") == "all"
SHARE = 20
"""One statement in so many, besides every COMMIT and every statement that writes."""

OUTAGE_SHARE = 3
"""And of these so many for the end of the server, which takes longer than that of a process."""

BOUND_SECONDS = 3600 if EVERY else 300


@pytest.fixture
def kills(own_bench) -> Iterator[Kills]:
    made = Kills(own_bench)
    yield made
    made.close()


@pytest.mark.timeout(BOUND_SECONDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_invariant_9_a_killed_process_is_made_good_by_the_next(kills, operation):
    statements, whole = kills.undisturbed(operation)
    chosen = list(points(statements)) if EVERY else chosen_points(statements, SHARE)
    assert any(text == "COMMIT" for text in statements)
    assert whole.applied or whole.planned
    violations = [said for one in chosen if (said := violation(kills, operation, one, whole))]
    if EVERY:
        figures = {
            f"statements, {operation}": len(statements),
            f"kills, {operation}": len(chosen),
        }
        Keeper("crash points").keep(figures, *violations)
    assert violations == []


@pytest.fixture
def outages(fragile_bench: Bench, fragile_server: FragileServer) -> Iterator[Outages]:
    made = Outages(fragile_bench, fragile_server.restart)
    yield made
    made.close()


@pytest.mark.timeout(BOUND_SECONDS)
@pytest.mark.parametrize("operation", ("dry run", "apply", "rollback"))
def test_invariant_9_a_server_that_crashes_and_comes_back_is_made_good_by_the_next(
    outages, operation
):
    """What it answered to a COMMIT is in its log; all else is gone."""
    statements, whole = outages.undisturbed(operation)
    chosen = list(points(statements)) if EVERY else chosen_points(statements, SHARE)[::OUTAGE_SHARE]
    violations = [said for one in chosen if (said := violation(outages, operation, one, whole))]
    if EVERY:
        Keeper("crash points").keep(
            {f"crashes of the server, {operation}": len(chosen)}, *violations
        )
    assert violations == []


def violation(lab: Kills | Outages, operation: str, point: CrashPoint, whole: object) -> str:
    """What went wrong when there was an end at the point; nothing where nothing did."""
    try:
        found = lab.disturbed(operation, point)
    except Exception as error:  # noqa: BLE001 - the next run must not fail, whatever the reason
        return f"{operation}, {point}: {error}"
    return "" if found == whole else f"{operation}, {point}: {found} is not {whole}"
