"""The page holds what was kept, each figure of it, and tells what was not run."""

from __future__ import annotations

import json
import os

import pytest
from benchmarks.report import this_machine
from tests.proofs.pack import PAGE, RECORD, TESTS, counted, main, parts
from tests.proofs.page import WORDS, written
from tests.proofs.results import (
    FOLDER_VARIABLE,
    HOUSE,
    Keeper,
    Result,
    kept,
    lasting,
    recorded,
    write_down,
)


def result(part: str, *violations: str, commit: str = "abc", at="2026-02-01 12:00", **figures):
    return Result(
        part=part,
        commit=commit,
        at=at,
        machine=this_machine(),
        figures=figures,
        violations=violations,
    )


def test_steps_of_several_runs_are_added_and_each_names_its_commit():
    page = written(
        [
            result("soak", seeds=[5, 8], steps=70),
            result("soak", commit="def+", seeds=[1, 2], steps=30),
        ],
        ["soak"],
    )
    assert "Steps in all: 100." in page
    assert "`abc`" in page
    assert "`def+`" in page
    assert "seeds 5 to 8; steps 70 | 0 |" in page


def test_each_line_says_when_and_on_which_commit_and_the_latest_is_last():
    later = result("chain", commit="def", at="2026-02-02 08:30", tests=2)
    page = written([later, result("chain", tests=1)], ["chain"])
    first, last = [line for line in page.splitlines() if line.startswith("| 2026")]
    assert first.startswith("| 2026-02-01 12:00 | `abc` | ")
    assert last.startswith("| 2026-02-02 08:30 | `def` | ")


def test_steps_since_something_broke_are_counted_by_themselves():
    runs = [
        result("soak", at="2026-02-01 12:00", steps=10),
        result("soak", "seed 7: invariant 3", at="2026-02-02 12:00", steps=20),
        result("soak", at="2026-02-02 12:00", steps=30),
        result("soak", at="2026-02-03 12:00", steps=40),
    ]
    assert "Steps in all: 100. Since the last violation: 40." in written(runs, ["soak"])
    assert "Since the last" not in written(runs[2:], ["soak"])


def test_a_result_that_was_kept_before_it_told_its_time_has_that_of_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    kept_now = Keeper("soak").keep({"steps": 1})
    (path,) = tmp_path.glob("*.json")
    told = json.loads(path.read_text())
    assert told.pop("at") == kept_now.at
    path.write_text(json.dumps(told))
    os.utime(path, (0, 0))
    (found,) = kept(tmp_path)
    assert found.at == "1970-01-01 00:00"


def test_a_violation_is_told_and_a_part_that_did_not_run_too():
    page = written([result("soak", "seed 7: invariant\n3", steps=1)], ["soak", "chain"])
    assert "| 1 |" in page
    assert "- on `abc`: seed 7: invariant 3" in page
    assert page.endswith("Not run.\n")


def test_each_mutant_is_listed_with_the_test_that_catches_it():
    page = written([result("mutants", mutants={"a.py: x": "t::y", "a.py: z": None})], ["mutants"])
    assert "2 mutants, 1 caught" in page
    assert "- a.py: x: `t::y`" in page
    assert "- a.py: z: no test notices" in page


def test_what_a_keeper_keeps_is_read_back_and_only_its_last_word(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    keeper = Keeper("soak")
    keeper.keep({"steps": 1})
    last = keeper.keep({"steps": 2}, "seed 1: invariant 3")
    assert list(kept(tmp_path)) == [last]
    (tmp_path / "odd.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.json"):
        list(kept(tmp_path))


def test_the_page_tells_what_the_record_beside_it_holds_and_nothing_else():
    assert PAGE.read_text(encoding="utf-8") == written(recorded(RECORD), list(parts(1, 1)))


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    record = tmp_path / "proof.json"
    assert recorded(record) == []
    results = [result("soak", "seed 1: broke", steps=5), result("chain", tests=1)]
    write_down(results, record)
    assert recorded(record) == results


def test_a_part_that_ran_again_replaces_what_it_found_and_soaks_add_up():
    soaks = [result("soak", steps=5), result("soak", "broke", steps=5, commit="def")]
    old, new = result("chain", "broke", tests=1), result("chain", at="2026-02-02 12:00", tests=2)
    crashes = result("crash points", kills=1), result("crash points", crashes=1)
    told = lasting([new, *soaks, old, *crashes, soaks[0]])
    assert sorted(map(str, told)) == sorted(map(str, [new, *soaks, *crashes]))


def test_outcomes_are_counted_from_the_report():
    report = """<testsuites><testsuite>
        <testcase classname="a" name="b"/><testcase classname="a" name="c"><skipped/></testcase>
        <testcase classname="a" name="d"><failure/></testcase>
        <testcase classname="a" name="e"><error/></testcase></testsuite></testsuites>"""
    assert counted(report) == ({"tests": 4, "held": 1, "skipped": 1}, ["a::d", "a::e"])


def test_every_part_has_words_and_its_tests_are_there():
    assert set(parts(1, 1)) == set(WORDS)
    assert [path for paths in TESTS.values() for path in paths if not (HOUSE / path).exists()] == []


def test_a_part_that_nobody_knows_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["chains"])
    assert "no such part: chains" in capsys.readouterr().err
