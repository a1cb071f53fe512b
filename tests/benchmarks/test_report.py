"""What benchmarks tell: kept, printed, drawn, and never a failure by time."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from benchmarks.__main__ import names, write_page
from benchmarks.drawing import page, picture
from benchmarks.report import (
    Chart,
    Figure,
    Kept,
    Report,
    Series,
    Verdict,
    as_json,
    figure,
    from_json,
    kept_reports,
    table,
    this_machine,
)

HOUSE = Path(__file__).parents[2]


def told(**changes) -> Figure:
    known = {"name": "reading", "target": "at most 2", "value": Decimal(2), "limit": Decimal(2)}
    return Figure(**(known | changes))


def kept(*figures: Figure) -> Kept:
    points = tuple((Decimal(x), Decimal(x * x)) for x in (1, 10, 1000))
    chart = Chart(
        key="sizes",
        title="By <size>",
        across="rows",
        up="seconds",
        series=(Series(name="ours", points=points), Series(name="theirs", points=points[:2])),
    )
    report = Report(name="made", title="Made", text="How.", figures=figures, charts=(chart,))
    return Kept(report=report, machine=this_machine(), measured_on="2026-02-01", small=False)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    (
        ({}, Verdict.HOLDS),
        ({"value": Decimal("2.01")}, Verdict.MISSES),
        ({"at_least": True}, Verdict.HOLDS),
        ({"value": Decimal("1.99"), "at_least": True}, Verdict.MISSES),
        ({"limit": None, "value": Decimal(9)}, Verdict.TOLD),
    ),
)
def test_a_figure_holds_at_its_limit_and_misses_beyond_it(changes, verdict):
    assert told(**changes).verdict is verdict


def test_a_result_comes_back_from_its_json_as_it_was():
    one = kept(told(), told(limit=None, value=Decimal(1_000_000)))
    assert from_json(as_json(one)) == one
    assert json.loads(as_json(one))["report"]["figures"][0]["verdict"] == "holds"


def test_measured_numbers_keep_three_figures():
    assert [figure(value) for value in (0.123456, 98765.4)] == [Decimal("0.123"), Decimal(98800)]


def test_the_table_has_a_line_for_each_figure():
    lines = table([kept(told(), told(value=Decimal(3))).report]).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["holds", "misses"]


def test_a_picture_is_well_formed_and_loads_nothing():
    drawn = picture(kept(told()).report.charts[0])
    root = ET.fromstring(drawn)  # noqa: S314 - our own text
    assert root[0].text == "By <size>"
    assert drawn.replace("http://www.w3.org/2000/svg", "").count("://") == 0
    assert len(root.findall(".//{*}circle")) == 3 + 2 + 2


def test_the_page_names_what_misses_its_target():
    text = page([kept(told(), told(name="slow", value=Decimal(3), detail="It waits."))])
    missed = text.split("## What misses its target")[1].split("##")[0]
    assert missed.strip() == "- slow: 3 x, the target is at most 2. It waits."


def test_the_machine_is_told_without_a_name_or_a_path():
    shown = str(this_machine())
    assert os.uname().nodename not in shown
    assert "/" not in shown.replace("N/A", "")


def test_the_page_in_docs_is_what_the_results_make(tmp_path):
    write_page(kept_reports(), tmp_path)
    made = {path.relative_to(tmp_path): path.read_text("utf-8") for path in tmp_path.rglob("*.*")}
    drawn = {*(HOUSE / "docs").glob("images/performance-*.svg"), HOUSE / "docs/performance.md"}
    assert made == {path.relative_to(HOUSE / "docs"): path.read_text("utf-8") for path in drawn}


@pytest.mark.parametrize("name", sorted(names()))
def test_every_benchmark_runs_in_small_sizes(name, tmp_path):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--small", "--json"]
    command += ["--results", str(tmp_path)]
    ran = subprocess.run(
        command, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=110
    )
    assert ran.returncode == 0, ran.stderr
    one = from_json(ran.stdout)
    assert one.report.name == name
    assert one.report.figures
    assert kept_reports(tmp_path) == [one]
