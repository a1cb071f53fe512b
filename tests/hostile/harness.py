"""What every kind of hostile input shares: how many examples are tried, and what a harness is.

A harness is used twice: by a property test of this folder, with few examples, and by the fuzzer
(`make fuzz`), which feeds it for as long as it is told to. So what one finds, the other repeats.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis.strategies import SearchStrategy

EXAMPLES_VARIABLE: Final = "UNGHOST_HOSTILE_EXAMPLES"
"""How many examples each property test tries; unset, as many as are cheap enough for the suite."""

LONGEST_SENTENCE: Final = 1000
LONGEST_LINE: Final = 400
NOT_FOR_PEOPLE: Final = ("Traceback", "signature=", 'File "')

Check = Callable[[Any], None]
"""Puts one sample in; AssertionError where a promise was broken, anything else is a defect too."""


@dataclass(frozen=True, kw_only=True)
class Harness:
    """One kind of input. `opened` holds whatever the real code needs, for many samples."""

    name: str
    samples: SearchStrategy[Any]
    opened: Callable[[], AbstractContextManager[Check]]


def examples(usual: int) -> settings:
    """`usual` examples, the same ones in every run; more, and new ones, where it was asked for."""
    asked = int(os.environ.get(EXAMPLES_VARIABLE, "0"))
    return settings(
        max_examples=asked or usual,
        derandomize=not asked,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def assert_for_people(words: str, *, longest: int = LONGEST_SENTENCE) -> None:
    """What is said about a refusal: something, with an end, and nothing of the inside."""
    assert words.strip(), "nothing is said"
    assert len(words) <= longest, f"{len(words)} characters: {words[:200]!r}"
    assert not any(inside in words for inside in NOT_FOR_PEOPLE), words
