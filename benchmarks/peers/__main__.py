"""Side by side: nautilus_trader and freqtrade book missed exits, unghost decides as many ghosts.

    python -m benchmarks.peers [--small] [--json]

What is compared, on 50 symbols and one core, from an exchange that answers from memory, with every
ghost closed in the end:

- `LiveExecutionEngine.reconcile_execution_state` of nautilus_trader, which a live node calls when
  it starts, with its books in memory;
- `FreqtradeBot.startup_update_open_orders` of freqtrade, which the bot calls when it starts, with
  its books in its own SQLite file;
- deciding in unghost, in memory. To write it into PostgreSQL comes on top (see "Recording").

A ghost is a position whose exit the exchange has filled and the books have missed. The three do not
do the same: both bots know the exit order, ask whether it is filled, and book it at once in books
of their own, without a plan, a record or an undo. unghost attributes the fills of a market to
lifecycles of a foreign ledger, asks every gate and explains each row.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import deciding
from benchmarks.report import Chart, Figure, Report, Series, figure, main

COUNTS: Final = (100, 1_000, 10_000)
ROUNDS: Final = 3


@dataclass(frozen=True)
class Peer:
    """Another project, the version that is installed, and the script that runs inside it.

    From `once` ghosts on it has a single round, where three would take the better part of an hour.
    """

    name: str
    version: str
    once: int

    @property
    def pinned(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"

    @property
    def inside(self) -> Path:
        """The script that needs it."""
        return Path(__file__).with_name(f"inside_{self.name.partition('_')[0]}.py")

    def rounds(self, count: int) -> int:
        """How often so many ghosts are closed."""
        return 1 if count >= self.once else ROUNDS


PEERS: Final = (
    Peer("nautilus_trader", "1.221.0", once=100_000),
    Peer("freqtrade", "2026.9", once=10_000),
)


def _peer_seconds(peer: Peer, counts: Sequence[int]) -> dict[int, float]:
    """Medians of another one. Raises CalledProcessError where it cannot be installed or run."""
    with tempfile.TemporaryDirectory(prefix="unghost-peer-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", peer.pinned], check=True)
        return {count: _inside(peer, python, count) for count in counts}


def _inside(peer: Peer, python: str, count: int) -> float:
    command = [python, str(peer.inside), str(peer.rounds(count)), str(count)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # the last line alone: what came before it are the peer's own log lines
    return median(json.loads(told.splitlines()[-1])[str(count)])


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
    """Seconds of the processor by number of ghosts, of each."""
    counts, rounds = (COUNTS[:1], 1) if small else (COUNTS, ROUNDS)
    every = {peer.name: _peer_seconds(peer, counts) for peer in PEERS}
    every["unghost"] = _own_seconds(counts, rounds)
    return Report(
        name="peers",
        title="Side by side",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=tuple(one for name, taken in every.items() for one in _figures(name, taken)),
        charts=(
            Chart(
                key="seconds",
                title="Seconds of the processor to close ghosts, exchange in memory",
                across="ghosts",
                up="seconds",
                series=tuple(_series(name, taken) for name, taken in every.items()),
            ),
        ),
    )


if __name__ == "__main__":
    try:
        main(measure, __doc__)
    except subprocess.CalledProcessError as failed:
        told = (failed.stderr or "").strip() or "see above"
        command = " ".join(map(str, failed.cmd[1:]))
        sys.exit(f"a peer could not be installed or run here ({command}): {told}")
