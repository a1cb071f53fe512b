"""The list of mutants fits the source that it breaks; `make mutants` runs them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.proofs.mutants import (
    MACHINE,
    MACHINE_FINDS,
    MUTANTS,
    SOURCE,
    Mutant,
    for_the_machine,
    judge,
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


PREFIX = Mutant(
    name="rows are named otherwise",
    file="ids.py",
    old='BACKFILL_PREFIX = "BFILL-"',
    new='BACKFILL_PREFIX = "OTHER-"',
)


@pytest.mark.parametrize(("asserted", "is_caught"), (('== "BFILL-"', True), ("", False)))
def test_a_mutant_is_caught_by_what_fails_with_it_alone(tmp_path, asserted, is_caught):
    file = tmp_path / "test_prefix.py"
    file.write_text(
        "from unghost.ids import BACKFILL_PREFIX\n\n\n"
        f"def test_it():\n    assert BACKFILL_PREFIX {asserted}\n"
    )
    caught = judge(replace(PREFIX, tests=(str(file),))).caught_by
    assert (caught is not None and caught.endswith("test_prefix.py::test_it")) is is_caught


def test_a_test_that_fails_by_itself_catches_nothing(tmp_path):
    file = tmp_path / "test_broken.py"
    file.write_text("def test_it():\n    assert False\n")
    with pytest.raises(RuntimeError, match="fails without it too"):
        judge(replace(PREFIX, tests=(str(file),)))
