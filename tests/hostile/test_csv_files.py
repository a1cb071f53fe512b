"""An export of any making is taken as it stands, or refused whole in one sentence."""

from __future__ import annotations

from hypothesis import given
from tests.hostile.csv_files import SAMPLES, Sample, try_
from tests.hostile.harness import examples


@given(sample=SAMPLES)
@examples(500)
def test_a_file_is_taken_as_it_stands_or_refused_whole(sample: Sample):
    try_(sample)
