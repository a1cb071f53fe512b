"""Invariant 9: a crash at any statement loses nothing and doubles nothing; the next run converges.

A run of the tests takes the end of every transaction, every write and a share of the rest.
With UNGHOST_CRASH_POINTS=all, as `make proof` sets it, it is every statement, before and after, and
what was found is kept in `.proof/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.proofs.bystander import OPERATIONS
from tests.proofs.crash_points import Lab, points
from tests.proofs.results import Keeper
from tests.proofs.statements import CrashPoint, Moment

EVERY = os.environ.get("UNGHOST_CRASH_POINTS") == "all"
SHARE = 20
"""One statement in so many, besides every COMMIT and every statement that writes."""

BOUND_SECONDS = 3600 if EVERY else 300


@pytest.fixture
def lab(own_bench) -> Iterator[Lab]:
    made = Lab(own_bench)
    yield made
    made.close()


@pytest.mark.timeout(BOUND_SECONDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_invariant_9_a_killed_process_is_made_good_by_the_next(lab, operation):
    statements, whole = lab.undisturbed(operation)
    every = list(points(statements))
    chosen = [one for one in every if EVERY or is_chosen(one, statements[one.number - 1])]
    assert any(text == "COMMIT" for text in statements)
    assert whole.applied or whole.planned
    violations = [said for one in chosen if (said := violation(lab, operation, one, whole))]
    if EVERY:
        figures = {
            f"statements of a {operation}": len(statements),
            f"kills in a {operation}": len(chosen),
        }
        Keeper("crash points").keep(figures, *violations)
    assert violations == []


def violation(lab: Lab, operation: str, point: CrashPoint, whole: object) -> str:
    """What went wrong when a process ended at the point; nothing where nothing did."""
    try:
        found = lab.disturbed(operation, point)
    except Exception as error:  # noqa: BLE001 - the next run must not fail, whatever the reason
        return f"{operation}, {point}: {error}"
    return "" if found == whole else f"{operation}, {point}: {found} is not {whole}"


def is_chosen(point: CrashPoint, text: str) -> bool:
    """Between two statements that write nothing, an end is like any other."""
    if text == "COMMIT":
        return point.moment is Moment.AFTER
    writes = text.startswith(("INSERT", "UPDATE")) or "INSERT INTO orders" in text
    return (writes and point.moment is Moment.AFTER) or point.number % SHARE == 0
