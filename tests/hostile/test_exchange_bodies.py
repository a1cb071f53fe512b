"""A spoiled answer of any exchange is a doubt, or is read as it stands; never anything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from tests.hostile.exchange_bodies import HARNESSES, SAMPLES
from tests.hostile.harness import Check, Harness, examples


@pytest.fixture(params=HARNESSES, ids=lambda one: one.name.rpartition(" ")[2], scope="module")
def check(request: pytest.FixtureRequest) -> Iterator[Check]:
    harness: Harness = request.param
    with harness.opened() as check:
        yield check


@given(sample=SAMPLES)
@examples(60)
def test_a_spoiled_answer_is_doubted_or_read_as_it_stands(check: Check, sample):
    check(sample)
