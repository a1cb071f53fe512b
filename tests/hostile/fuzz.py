"""Feed each harness of this folder for a while, led by coverage: `make fuzz SECONDS=300`.

Each runs in a process of its own under atheris, which instruments unghost alone. What it breaks is
told with the sample that did, and kept with the counts for the page of proofs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.proofs.results import HOUSE, Keeper

PART: Final = "hostile input"
MODULES: Final = (
    "tests.hostile.csv_files",
    "tests.hostile.settings_input",
    "tests.hostile.requests",
    "tests.hostile.ledger_rows",
    "tests.hostile.exchange_bodies",
)
HUNG_SECONDS: Final = 60
"""After so long with one sample, the fuzzer calls it hung."""
GRACE_SECONDS: Final = 300
LONGEST_BYTES: Final = 4096
COUNT_EVERY_SECONDS: Final = 1.0
LONGEST_SAMPLE: Final = 2000


def harnesses() -> dict[str, Any]:
    """Every harness by its name; imported here, so that a child can instrument what that loads."""
    from importlib import import_module

    from tests.hostile.harness import Harness

    found: dict[str, Any] = {}
    for module in MODULES:
        for value in vars(import_module(module)).values():
            listed = value if isinstance(value, tuple) else (value,)
            found |= {one.name: one for one in listed if isinstance(one, Harness)}
    return found


# --- the child ---------------------------------------------------------------------------------


class Tally:
    """How many samples were tried, and the one that broke something, in a file for the parent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self._written_at = 0.0

    def watched(self, check: Callable[[Any], None]) -> Callable[[Any], None]:
        """The check, counted."""

        def checked(sample: Any) -> None:
            self._count += 1
            if time.monotonic() - self._written_at > COUNT_EVERY_SECONDS:
                self._write("")
            try:
                check(sample)
            except Exception as error:
                self._write(f"{type(error).__name__}: {error} with {sample!r}"[:LONGEST_SAMPLE])
                raise

        return checked

    def _write(self, broken: str) -> None:
        self._path.write_text(json.dumps({"samples": self._count, "broken": broken}))
        self._written_at = time.monotonic()


def feed(name: str, seconds: int, told: Path) -> None:
    """Feed one harness; does not return: the fuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["unghost"]):
        harness = harnesses()[name]
    from hypothesis import HealthCheck, given, settings

    with harness.opened() as check:
        watched = Tally(told).watched(check)

        @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(sample=harness.samples)
        def fed(sample: Any) -> None:
            watched(sample)

        options = [f"-max_total_time={seconds}", f"-timeout={HUNG_SECONDS}", "-rss_limit_mb=3000"]
        options += [f"-max_len={LONGEST_BYTES}", f"-artifact_prefix={told.parent}/"]
        atheris.Setup([name, *options], fed.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]  # given with @given
        atheris.Fuzz()


# --- the parent --------------------------------------------------------------------------------


def run_one(name: str, seconds: int) -> tuple[int, str]:
    """Samples tried, and what broke, in words; empty where nothing did."""
    with tempfile.TemporaryDirectory(prefix="unghost-fuzz-") as made:
        told = Path(made) / "told.json"
        command = [sys.executable, "-m", "tests.hostile.fuzz", "--one", name]
        command += ["--seconds", str(seconds), "--told", str(told)]
        log = Path(made) / "log"
        with log.open("w") as stream:
            code = _ended(command, stream, seconds)
        found = json.loads(told.read_text()) if told.exists() else {"samples": 0, "broken": ""}
        if code == 0 and found["samples"]:
            return int(found["samples"]), ""
        last = log.read_text(errors="replace")[-LONGEST_SAMPLE:]
        return int(found["samples"]), str(found["broken"]) or f"it ended with {code}: {last}"


def _ended(command: Sequence[str], stream: Any, seconds: int) -> int:
    child = subprocess.Popen(command, cwd=HOUSE, stdout=stream, stderr=subprocess.STDOUT)
    try:
        return child.wait(seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def run_all(names: Sequence[str], seconds: int) -> bool:
    """Feed each for `seconds`; True where nothing broke. The server of databases is held here."""
    from tests.conftest import chosen_server
    from tests.hostile.rooms import home

    keeper = Keeper(PART)
    figures: dict[str, Any] = {"seconds for each harness": seconds}
    broken: list[str] = []
    with home() as folder, chosen_server(folder):
        for name in names:
            count, why = run_one(name, seconds)
            figures[f"samples of {name}"] = count
            broken += [f"{name}: {why}"] if why else []
            print(f"{name}: {count} samples{', broken: ' + why if why else ''}", flush=True)  # noqa: T201 - a program's output
            keeper.keep(figures, *broken)
    return not broken


def main(arguments: list[str] | None = None) -> int:
    """Feed the harnesses that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names of harnesses; default: all")
    parser.add_argument("--seconds", type=int, default=300, help="for each harness")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--told", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one:
        feed(asked.one, asked.seconds, asked.told)
        return 0
    names = [name for name in harnesses() if name.startswith(tuple(asked.names) or "")]
    if not names:
        parser.error(f"there is no such harness; there are {', '.join(harnesses())}")
    os.environ.setdefault("PYTHONHASHSEED", "0")
    return 0 if run_all(names, asked.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
