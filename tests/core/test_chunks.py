"""In how large parts a batch is written: whole markets, few parts, none without bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.core.builders import buy, entry, evidence, ruled, sell

from unghost import record
from unghost.model import AuditEntry, Evidence, Mode


def market(name: str, ghosts: int) -> tuple[Evidence, list[AuditEntry]]:
    """A market with so many intents: one lifecycle that is closed, told so many times."""
    rows = [replace(entry(f"{name}-e", "1"), trade_id=f"{name}-t")]
    found = evidence(rows, fills=[buy("o", "1", 0), sell("c", "1", 60)])
    found = replace(found, symbol=name)
    (one,) = record.entries(ruled(found), Mode.APPLY)
    return found, [one] * ghosts


@pytest.mark.parametrize(
    ("ghosts", "parts"),
    (
        ([1], [1]),
        ([400] * 5, [1200, 800]),
        ([600] * 20, [3000] * 4),
        ([30_000, 1], [30_000, 1]),
        ([9_000] * 6, [18_000] * 3),
    ),
    ids=["one", "not too small", "about four", "never cut", "not too large"],
)
def test_a_batch_is_parted_into_few_chunks_of_whole_markets(ghosts, parts):
    found = [market(f"M{number}", count) for number, count in enumerate(ghosts)]
    evidences = [one for one, _ in found]
    intents = [intent for _, several in found for intent in several]
    chunks = list(record._chunks(intents, evidences))
    assert [len(chunk.intents) for chunk in chunks] == parts
    assert [one for chunk in chunks for one in chunk.evidences] == evidences
