"""Invariant 9: a crash at any statement loses nothing and doubles nothing; the next run converges.

A run of the tests takes every COMMIT, every write and a share of the rest; `make proof` all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.proofs.bystander import OPERATIONS
from tests.proofs.crash_points import Lab, points
from tests.proofs.statements import CrashPoint, Moment

SHARE = 20
"""One statement in so many, besides every COMMIT and every statement that writes."""


@pytest.fixture
def lab(own_bench) -> Iterator[Lab]:
    made = Lab(own_bench)
    yield made
    made.close()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_invariant_9_a_killed_process_is_made_good_by_the_next(lab, operation):
    statements, whole = lab.undisturbed(operation)
    chosen = [one for one in points(statements) if is_chosen(one, statements[one.number - 1])]
    assert any(text == "COMMIT" for text in statements)
    assert whole.applied != ()
    for point in chosen:
        assert lab.disturbed(operation, point) == whole, point


def is_chosen(point: CrashPoint, text: str) -> bool:
    """Between two statements that write nothing, an end is like any other."""
    if text == "COMMIT":
        return point.moment is Moment.AFTER
    writes = text.startswith(("INSERT", "UPDATE")) or "INSERT INTO orders" in text
    return (writes and point.moment is Moment.AFTER) or point.number % SHARE == 0
