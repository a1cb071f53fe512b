"""The list of mutants fits the source that it breaks; `make mutants` runs them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.proofs.mutants import (
    MACHINE,
    MACHINE_FINDS,
    MUTANTS,
    SOURCE,
    for_the_machine,
    stale,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_breaks_what_is_there(mutant):
    text = (SOURCE / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    if mutant.file.endswith(".py"):
        compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")


def test_there_are_enough_of_them_and_no_two_are_the_same():
    assert len({(one.file, one.old, one.new) for one in MUTANTS}) == len(MUTANTS) >= 30


def test_the_machine_s_own_are_among_them():
    chosen = for_the_machine()
    assert {one.name for one in chosen} == MACHINE_FINDS
    assert {one.tests for one in chosen} == {MACHINE}


def test_a_mutant_whose_text_is_gone_is_told():
    gone = replace(MUTANTS[0], old="what nobody wrote")
    lost = replace(MUTANTS[0], file="nowhere.py")
    assert stale([MUTANTS[0]]) == []
    assert "stands there 0 times" in stale([gone])[0]
    assert len(stale([gone, lost])) == 2
