"""Start-up: how long a command takes from nothing to its answer, as a process of its own.

    python -m benchmarks.start_up [--small] [--json]

The yardstick is the same interpreter with nothing to do, run in turns with the commands. `status`
reads the trading status of a profile from an embedded server that runs already. Seconds by the
clock grow with whatever else the machine does; those of the processor are what the command costs,
and what the clock shows where a core is free. Nearly all of `status` is to load code: the profile
tells whose, from one run of it. What must not be imported for `--version` and
`--help` is a test, not a figure.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from statistics import median

from benchmarks.report import Figure, Report, figure, main
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.migrations import create_sample_orders, migrate

ROUNDS = 15
UNGHOST = (sys.executable, "-m", "unghost")
NOTHING = "nothing"
COMMANDS: Mapping[str, Sequence[str]] = {
    NOTHING: (sys.executable, "-c", ""),
    "unghost --version": (*UNGHOST, "--version"),
    "unghost --help": (*UNGHOST, "--help"),
    "unghost status": (*UNGHOST, "status", "--profile", "main", "--json"),
}
_IMPORTED = "import time:"
SHOWN = 10
"""Packages in the profile."""

LIMITS = {"unghost --version": "0.3", "unghost --help": "0.3", "unghost status": "0.6"}


def _seconds(
    command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> tuple[float, float]:
    """By the clock, and of the processor."""
    begun, before = time.perf_counter(), _of_the_processor()
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=folder)
    return time.perf_counter() - begun, _of_the_processor() - before


def _of_the_processor() -> float:
    """All that ended processes of ours have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _loading(environment: Mapping[str, str], folder: Path) -> str:
    """What `status` loads, by package; standard library is whatever is not installed."""
    _, *command = COMMANDS["unghost status"]
    run = subprocess.run(
        (sys.executable, "-X", "importtime", *command),
        check=True, capture_output=True, text=True, env=environment, cwd=folder,
    )  # fmt: skip
    spent: Counter[str] = Counter()
    told = (line for line in run.stderr.splitlines() if line.startswith(_IMPORTED))
    for line in told:
        own, _, module = line.removeprefix(_IMPORTED).split("|")
        if own.strip().isdigit():
            package = module.strip().partition(".")[0]
            inside = package in sys.stdlib_module_names
            spent["the standard library" if inside else package] += int(own)
    whole = spent.total()
    shares = "\n".join(f"{us / whole:6.1%}  {name}" for name, us in spent.most_common(SHOWN))
    return f"loading code for `unghost status`: {whole / 1e6:.2f} s\n\n{shares}"


def _taken(rounds: int) -> tuple[dict[str, tuple[float, float]], str]:
    """Medians of both, all commands in turns; and the profile. The first round is not counted."""
    folder = Path(tempfile.mkdtemp(prefix="unghost-bench-"))
    folder.chmod(0o755)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with embedded_database(folder) as conninfo:
        with closing(Database(conninfo)) as database:
            create_sample_orders(database)
            migrate(database)
        known = {"DATABASE_URL": conninfo, "EXCHANGE": "binanceusdm"}
        environment = os.environ | known
        for number in range(rounds + 1):
            for name, command in COMMANDS.items():
                seconds = _seconds(command, environment, folder)
                if number:
                    taken[name].append(seconds)
        profile = _loading(environment, folder)
    medians = {
        name: (median(one[0] for one in seconds), median(one[1] for one in seconds))
        for name, seconds in taken.items()
    }
    return medians, profile


def _figures(name: str, taken: tuple[float, float], bare: tuple[float, float]) -> Iterator[Figure]:
    for seconds, alone, by in zip(taken, bare, ("the clock", "the processor"), strict=True):
        yield Figure(
            name=f"{name}, by {by}",
            target=f"under {LIMITS[name]} s",
            value=figure(seconds),
            unit="s",
            limit=Decimal(LIMITS[name]),
            detail=f"{seconds / alone:.1f} times the interpreter alone ({alone:.3f} s)",
        )


def measure(*, small: bool) -> Report:
    """Seconds of each command, beside the bare interpreter."""
    taken, profile = _taken(1 if small else ROUNDS)
    bare = taken.pop(NOTHING)
    return Report(
        name="start_up",
        title="Start-up",
        text=(__doc__ or "").partition("[--json]")[2],
        profile=profile,
        figures=tuple(one for name in taken for one in _figures(name, taken[name], bare)),
    )


if __name__ == "__main__":
    main(measure, __doc__)
