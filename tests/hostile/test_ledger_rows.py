"""Whatever rows a ledger holds: no wrong close, and pages and exports that harm nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from tests.hostile.harness import Check, examples
from tests.hostile.ledger_rows import HARNESS, SAMPLES


@pytest.fixture(scope="module")
def check() -> Iterator[Check]:
    with HARNESS.opened() as check:
        yield check


@given(sample=SAMPLES)
@examples(25)
def test_no_row_brings_a_wrong_close_or_harms_who_looks(check: Check, sample):
    check(sample)
