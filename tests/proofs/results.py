"""What the proofs found, as they keep it: one JSON file for each run, in `.proof/`.

A file is written whole or not at all, and anew while its run goes on: what ends early still counts.
What the page tells is kept beside it, in `docs/proof.json`, so that it outlives the checkout in
which it was found, and anybody can write the page anew.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from benchmarks.report import Machine, this_machine

HOUSE: Final = Path(__file__).resolve().parents[2]
FOLDER_VARIABLE: Final = "UNGHOST_PROOF"


@dataclass(frozen=True, kw_only=True)
class Result:
    """`figures` are numbers or texts of the run; `violations` says each in words, none is best.

    `commit` ends in `+` where files of the project differed from it. `at` is the minute of the last
    figure, UTC.
    """

    part: str
    commit: str
    at: str
    machine: Machine
    figures: dict[str, Any]
    violations: tuple[str, ...] = ()


def folder() -> Path:
    """Where results are kept; made where it is missing."""
    made = Path(os.environ.get(FOLDER_VARIABLE) or HOUSE / ".proof")
    made.mkdir(parents=True, exist_ok=True)
    return made


def _git(*words: str) -> str:
    run = subprocess.run(
        ["git", *words], cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60
    )
    return run.stdout.strip() if run.returncode == 0 else ""


def commit() -> str:
    """The commit that runs, in 12 characters; `unknown` outside a checkout."""
    head = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    return f"{head}+" if _git("status", "--porcelain") else head


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


class Keeper:
    """Keeps one run's result under one name, from its first figure to its last."""

    def __init__(self, part: str) -> None:
        self.part = part
        self._commit = commit()
        self._path = folder() / f"{part}-{uuid4().hex[:12]}.json"

    def keep(self, figures: dict[str, Any], *violations: str) -> Result:
        result = Result(
            part=self.part,
            commit=self._commit,
            at=_minute(datetime.now(UTC)),
            machine=this_machine(),
            figures=figures,
            violations=violations,
        )
        unfinished = self._path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
        unfinished.replace(self._path)
        return result


def kept(where: Path) -> Iterator[Result]:
    """Every result in a folder. Raises ValueError for a file that is none."""
    for path in sorted(where.glob("*.json")):
        try:
            yield _result(json.loads(path.read_text(encoding="utf-8")), path)
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{path.name} is no result of a proof: {error}") from error


def _result(told: dict[str, Any], path: Path) -> Result:
    told["machine"] = Machine(**told["machine"])
    told["violations"] = tuple(told["violations"])
    told.setdefault("at", _minute(datetime.fromtimestamp(path.stat().st_mtime, UTC)))
    return Result(**told)


def recorded(record: Path) -> list[Result]:
    """The results that a page was written from; none where there is no record yet."""
    if not record.exists():
        return []
    return [_result(told, record) for told in json.loads(record.read_text(encoding="utf-8"))]


def write_down(results: Iterable[Result], record: Path) -> None:
    """Keep the results that a page is written from."""
    told = json.dumps([asdict(one) for one in results], indent=1, ensure_ascii=False)
    record.write_text(told + "\n", encoding="utf-8")


def lasting(results: Iterable[Result]) -> list[Result]:
    """The latest result of each part, and every soak, each once; by part and time.

    A part that was run again replaces what it found before. Steps of the state machine add up, and
    what they broke on the way stays told.
    """
    latest: dict[Hashable, Result] = {}
    for one in sorted(results, key=lambda one: (one.part, one.at, one.commit, str(one.figures))):
        again = tuple(one.figures) if one.part != "soak" else str(one)
        latest[one.part, again] = one
    return list(latest.values())
