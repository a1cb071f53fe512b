"""Try to break unghost in every way at hand, and write down what held: `make proof`.

Each part is a run of its own that leaves a result in `.proof/`. `docs/proof.md` is written from
those results, the earlier ones in `docs/proof.json`, and nothing else; both are kept together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from tests.proofs.page import written
from tests.proofs.results import HOUSE, Keeper, folder, kept, lasting, recorded, write_down

PAGE: Final = HOUSE / "docs" / "proof.md"
RECORD: Final = PAGE.with_suffix(".json")
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "fault matrix": (
        "tests/cycle/test_fault_matrix.py",
        "tests/cycle/test_faults.py",
        "tests/cycle/test_database_faults.py",
    ),
    "races": (
        "tests/cycle/test_races.py",
        "tests/cycle/test_pooled.py",
        "tests/cycle/test_interrupted.py",
    ),
    "chain": ("tests/postgres/test_chain.py",),
    "rights": ("tests/postgres/test_grants.py", "tests/postgres/test_tricks.py"),
    "hostile input": (
        "tests/exchange/test_faults_are_doubt.py",
        "tests/exchange/test_strict.py",
        "tests/fills_file",
        "tests/cli/test_settings.py",
        "tests/cli/test_redaction.py",
        "tests/web/test_description.py",
        "tests/cycle/test_hostile_ledger.py",
        "tests/hostile",
    ),
}
"""Parts that are tests, by the name under which they are told."""


def counted(report: str) -> tuple[dict[str, int], list[str]]:
    """Tests of a JUnit report by their outcome, and the names of those that failed."""
    counts, failed = {"tests": 0, "held": 0, "skipped": 0}, []
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        counts["tests"] += 1
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            counts["skipped" if case.find("skipped") is not None else "held"] += 1
    return counts, failed


def _thorough() -> dict[str, str]:
    """Where a run of the tests takes a share, a proof takes all."""
    return {**os.environ, "UNGHOST_CRASH_POINTS": "all"}


def run_tests(part: str) -> bool:
    """Run a part's tests and keep what came of them; True where all held."""
    keeper = Keeper(part)
    with tempfile.TemporaryDirectory(prefix="unghost-proof-") as made:
        report = Path(made) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--no-cov", "-n", "2", "-o"]
        command += ["junit_logging=no", f"--junit-xml={report}", *TESTS[part]]
        code = subprocess.run(command, cwd=HOUSE, check=False, env=_thorough()).returncode
        counts, failed = counted(report.read_text(encoding="utf-8"))
    if code != 0 and not failed:
        failed = [f"the tests ended with {code}"]
    keeper.keep(counts, *failed)
    return not failed


def run_worlds(lifecycles: int) -> bool:
    """Hold decisions against the truth of made-up worlds (`make fidelity`)."""
    keeper = Keeper("fidelity")
    command = [sys.executable, "-m", "tests.worlds", "--json", "--lifecycles", str(lifecycles)]
    run = subprocess.run(command, cwd=HOUSE, check=False, stdout=subprocess.PIPE, text=True)
    told = json.loads(run.stdout)
    failed = [f"the world of seed {seed}" for seed in told["failed seeds"]]
    if run.returncode != 0 and not failed:
        failed = [f"the worlds ended with {run.returncode}"]
    keeper.keep({name: told[name] for name in told if name != "failed seeds"}, *failed)
    return not failed


def run_crash_points() -> bool:
    """Kill a process before and after every statement; each operation keeps its own result."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-cov", "-n", "2"]
    command.append("tests/proofs/test_crash_points.py")
    return subprocess.run(command, cwd=HOUSE, check=False, env=_thorough()).returncode == 0


def run_mutants() -> bool:
    """Break each guard in a copy (`make mutants`); it keeps its own result."""
    command = [sys.executable, "-m", "tests.proofs.mutants"]
    return subprocess.run(command, cwd=HOUSE, check=False).returncode == 0


def run_machine(seconds: int) -> bool:
    """Let the state machine run; it keeps its own results."""
    environment = {**os.environ, "UNGHOST_SOAK_SECONDS": str(seconds)}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "--no-cov", "--timeout", "0"]
    command.append("tests/proofs/test_machine.py")
    return subprocess.run(command, cwd=HOUSE, check=False, env=environment).returncode == 0


def parts(seconds: int, lifecycles: int) -> dict[str, Callable[[], bool]]:
    """Every part by its name, in the order in which they run."""
    tests = {part: lambda part=part: run_tests(part) for part in TESTS}
    return {
        "crash points": run_crash_points,
        **tests,
        "fidelity": lambda: run_worlds(lifecycles),
        "soak": lambda: run_machine(seconds),
        "mutants": run_mutants,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that were asked for, then write the page; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.pack", description=__doc__)
    parser.add_argument("parts", nargs="*", help="names of parts; default: all")
    parser.add_argument("--seconds", type=int, default=600, help="how long the state machine runs")
    parser.add_argument("--lifecycles", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="only write what is kept")
    asked = parser.parse_args(arguments)
    known = parts(asked.seconds, asked.lifecycles)
    if unknown := set(asked.parts) - set(known):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = [] if asked.write else asked.parts or list(known)
    held = [known[part]() for part in chosen]
    results = lasting([*recorded(RECORD), *kept(folder())])
    write_down(results, RECORD)
    PAGE.write_text(written(results, list(known)), encoding="utf-8")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
