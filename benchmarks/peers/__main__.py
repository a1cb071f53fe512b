"""Side by side: nautilus_trader reconciles, and unghost decides, the same number of ghosts.

    python -m benchmarks.peers [--small] [--json]

What is compared: `LiveExecutionEngine.reconcile_execution_state` of nautilus_trader, which a live
node calls when it starts, beside deciding in unghost. Both work in memory on one core, on 50
symbols, and both end with every ghost closed. A ghost is a position whose exit the exchange has
filled and the books have missed. They do not do the same: nautilus_trader is told by its venue
which order was filled and books it at once, in a cache of its own, without a plan, a record or an
undo. unghost attributes the fills of a market to lifecycles of a foreign ledger, asks every gate
and explains each row. To write them into PostgreSQL comes on top (see "Recording").

The other alternative, freqtrade, mends the orders of its own trades one by one, each with calls to
the exchange while the bot runs. It has no entry that takes a number of ghosts, so it is not timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from decimal import Decimal
from pathlib import Path
from statistics import median

from benchmarks import deciding
from benchmarks.report import Chart, Figure, Report, Series, figure, main

PEER = "nautilus_trader"
PINNED = f"{PEER}==1.221.0"
COUNTS = (100, 1_000, 10_000)
ROUNDS = 3
INSIDE = Path(__file__).with_name("inside_nautilus.py")


def _peer_seconds(counts: tuple[int, ...], rounds: int) -> dict[int, float]:
    """Medians of the other one. Raises CalledProcessError where it cannot be installed or run."""
    with tempfile.TemporaryDirectory(prefix="unghost-peer-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", PINNED], check=True)
        command = [python, str(INSIDE), str(rounds), *map(str, counts)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # the last line alone: what came before it are the peer's own log lines
    return {int(count): median(taken) for count, taken in json.loads(told.splitlines()[-1]).items()}


def _own_seconds(counts: tuple[int, ...], rounds: int) -> dict[int, float]:
    """Medians of deciding, with the account of each row, because that explains it."""
    given = {count: deciding.evidences(count) for count in counts}
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            one = deciding.timed(given[count], count)
            taken[count].append(one.deciding + one.explaining)
    return {count: median(seconds) for count, seconds in taken.items()}


def _figures(name: str, seconds: dict[int, float]) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            name=f"{name}, {count} ghosts",
            target="told",
            value=figure(taken),
            unit="s",
            detail=f"{taken / count * 1e6:.0f} microseconds per ghost",
        )
        for count, taken in seconds.items()
    )


def _series(name: str, seconds: dict[int, float]) -> Series:
    points = tuple((Decimal(count), figure(taken)) for count, taken in seconds.items())
    return Series(name=name, points=points)


def measure(*, small: bool) -> Report:
    """Seconds of the processor by number of ghosts, of both."""
    counts, rounds = (COUNTS[:1], 1) if small else (COUNTS, ROUNDS)
    both = {PEER: _peer_seconds(counts, rounds), "unghost": _own_seconds(counts, rounds)}
    return Report(
        name="peers",
        title="Side by side",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=tuple(one for name, taken in both.items() for one in _figures(name, taken)),
        charts=(
            Chart(
                key="seconds",
                title="Seconds to close ghosts in memory",
                across="ghosts",
                up="seconds",
                series=tuple(_series(name, taken) for name, taken in both.items()),
            ),
        ),
    )


if __name__ == "__main__":
    try:
        main(measure, __doc__)
    except subprocess.CalledProcessError as failed:
        told = (failed.stderr or "").strip() or "see above"
        sys.exit(f"{PINNED} could not be installed or run here: {told}")
