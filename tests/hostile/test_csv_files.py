"""An export of any making is taken as it stands, or refused whole in one sentence."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from tests.hostile.csv_files import SAMPLES, Sample, numbers, try_
from tests.hostile.harness import examples


@given(sample=SAMPLES)
@examples(500)
def test_a_file_is_taken_as_it_stands_or_refused_whole(sample: Sample):
    try_(sample)


def test_a_cell_that_is_no_number_at_all_is_no_size():
    """Fuzzing found that the harness itself fell over a signaling NaN."""
    assert set(numbers({"sNaN", "NaN", "-1.5", "word"})) == {Decimal("1.5")}
