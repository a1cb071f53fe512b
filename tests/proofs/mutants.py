"""Broken copies of the guards, each of which the tests must notice: `make mutants`.

A mutant replaces one piece of text in a copy of the source; the copy is then tested, the project
itself is never touched. What no test notices is a guard that nobody guards.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from tests.proofs.results import FOLDER_VARIABLE, Keeper

HOUSE: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = HOUSE / "src" / "unghost"
CORE: Final = ("tests/core",)
CYCLE: Final = (
    "tests/cycle/test_races.py",
    "tests/cycle/test_pause.py",
    "tests/cycle/test_repair.py",
)
PLANS: Final = tuple(f"tests/cycle/test_{name}.py" for name in ("plans", "failures", "repair"))
INTERRUPTED: Final = ("tests/cycle/test_interrupted.py",)
WRITING: Final = ("tests/postgres/test_ledger_writing.py",)
UNDO: Final = ("tests/cycle/test_undo.py",)
MACHINE: Final = ("tests/proofs/test_machine.py",)
MACHINE_FINDS: Final = frozenset(
    {
        "a running profile counts as paused",
        "pending rows do not block",
        "any remainder is dust",
        "a unit may be given twice",
        "what the ledger has booked may be claimed again",
        "the ledger's versions are not compared",
        "a reinstate does not ask whether the bot is at work",
    }
)
"""What the state machine finds by itself within one seed: `make mutants ARGS=--machine`."""

_SEEDED: Final = {
    "UNGHOST_SOAK_SECONDS": "1",
    "UNGHOST_SOAK_SEED": "1",
    "UNGHOST_SOAK_SHRINK": "no",
}
"""One seed of the state machine; its shortest way to a failure is nobody's question here."""

_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_PATIENCE_SECONDS: Final = 900


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`old` stands exactly once in the file."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = CORE


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`caught_by` is the first test that failed, None where none did."""

    name: str
    file: str
    caught_by: str | None


def _m(file: str, name: str, old: str, new: str, tests: tuple[str, ...] = CORE) -> Mutant:
    return Mutant(name=name, file=file, old=old, new=new, tests=tests)


MUTANTS: Final = (
    # gates
    _m("gates.py", "a running profile counts as paused",
       "PauseState.RUNNING: (GateVerdict.CLOSED, Reason.PROFILE_NOT_PAUSED)",
       "PauseState.RUNNING: (GateVerdict.OPEN, None)"),
    _m("gates.py", "an unknown pause counts as paused",
       "PauseState.UNKNOWN: (GateVerdict.UNKNOWN, Reason.PAUSE_STATUS_UNKNOWN)",
       "PauseState.UNKNOWN: (GateVerdict.OPEN, None)"),
    _m("gates.py", "only the second position reading counts",
       "worst = max((before, after), key=lambda reading: _DOUBT[reading.flatness])",
       "worst = after"),
    _m("gates.py", "an unknown position counts as flat",
       "elif worst.flatness is Flatness.UNKNOWN or stale:", "elif stale:"),
    _m("gates.py", "a stale reading counts",
       "return case.now - reading.as_of > timedelta(seconds=case.rules.reading_max_age_seconds)",
       "return False"),
    _m("gates.py", "pending rows do not block",
       "return [row for row in rows if _blocks(row.status, blockers)]", "return []"),
    _m("gates.py", "there is no quiet period",
       "now - latest < _seconds(rules.quiet_seconds)", "now - latest < timedelta(0)"),
    _m("gates.py", "rows that cannot be judged are let through",
       "defects = list(case.lifecycle.defects)", "defects: list[str] = []"),
    _m("gates.py", "incomplete fills count as complete",
       "complete = fills.complete and not odd", "complete = not odd"),
    _m("gates.py", "the pause is not asked for again before the write",
       "    if reading.state is PauseState.RUNNING:\n        return Reason.PROFILE_NOT_PAUSED\n",
       "    if reading.state is PauseState.RUNNING:\n        return None\n", CYCLE),
    _m("gates.py", "the third position reading may be open",
       "if reading is not None and reading.flatness is Flatness.OPEN:",
       "if reading is not None and reading.flatness is Flatness.OPEN and False:", CORE),
    # decide
    _m("decide.py", "a closed gate does not stop the claims",
       "if closed is not None or case.direction is None:", "if case.direction is None:"),
    _m("decide.py", "any remainder is dust",
       "is_dust = remainder <= small", "is_dust = True"),
    _m("decide.py", "dust at the threshold stays open",
       "is_dust = remainder <= small", "is_dust = remainder < small"),
    _m("decide.py", "several fee currencies are booked as the first",
       "if fees is None or len(fees) != 1:", "if not fees:"),
    _m("decide.py", "the row is on the side of the entry",
       "side, moment = direction.closing_side,", "side, moment = direction.opening_side,"),
    _m("confront.py", "two candidates may share an id",
       "if counts[candidate.order_id] > 1:", "if counts[candidate.order_id] > 2:"),
    _m("confront.py", "a row of other content is taken for ours",
       "elif not is_same_row(row, candidate):", "elif False:"),
    _m("confront.py", "a plan need not hold the fingerprint",
       "if row.fingerprint == candidate.fingerprint:", "if row is not None:"),
    _m("confront.py", "a candidate need not be in the plan",
       '        return f"{candidate.order_id} is not in the plan"\n', "        return None\n",
        PLANS),
    _m("ceilings.py", "there is no row limit",
       "exceeded=load.rows > rules.max_rows,", "exceeded=False,",
       ("tests/core", "tests/cycle/test_repair.py")),
    _m("ceilings.py", "what exceeds a ceiling is written all the same",
       "return rules.mode is Mode.APPLY or ceiling.allowable is None", "return False",
       ("tests/core", "tests/cycle/test_repair.py")),
    # allocate
    _m("seekers.py", "an order before the entry may close it",
       "return seeker.first_entry_at <= flow.first_at + ENTRY_SKEW", "return True"),
    _m("seekers.py", "what was held when the window began may be anybody's",
       "return min(self.held, sum(quantities, ZERO))", "return self.held"),
    _m("seekers.py", "an entry that the window begins with may have been held before it",
       "row.at < self.begun_at", "row.at <= self.begun_at"),
    _m("fifo.py", "first in, first out though the fills fall short",
       "        if sure < self.owed:\n            return []\n"
       "        taking = _Taking(pool=self.pool, held=self.held, budget=self.pool.budget)\n"
       "        served = all(taking.serve(one) for one in self.waiting)\n"
       "        return taking.shares if served else []\n",
       "        del sure\n"
       "        taking = _Taking(pool=self.pool, held=self.held, budget=self.pool.budget)\n"
       "        [taking.serve(one) for one in self.waiting]\n"
       "        return taking.shares\n"),
    _m("fifo.py", "strict attribution is the same as fifo",
       "elif rules.attribution is AttributionPolicy.FIFO:", "else:"),
    _m("allocate.py", "doubts about the leg are not heeded",
       "        if not pool.leg.doubts:\n            give_by_exact",
       "        if True:\n            give_by_exact"),
    _m("pool.py", "a unit may be given twice",
       "        self.left[flow.exchange_order_id] -= quantity\n", ""),
    _m("pool.py", "conservation does not limit what is given",
       "        self.budget -= quantity\n        seeker.take", "        seeker.take"),
    _m("claims.py", "fees are not split",
       "    if upto >= whole:\n        return amount\n",
       "    if whole:\n        return amount * (upto > 0)\n"),
    _m("tiers.py", "equal quantities need not be unique",
       "if len(taken) != 1 or (len(seekers) > 1 and may_take(taken[0], seekers[1])):",
       "if not taken:"),
    _m("tiers.py", "an order named by several goes to the first",
       "elif len(linked) > 1 and _needed(linked) > pool.left[flow.exchange_order_id]:",
       "elif False:"),
    _m("tiers.py", "a recorded exit claims what a person closed",
       "if not linked or pool.in_doubt > 0 or pool.leg.doubts:",
       "if not linked or pool.in_doubt > 0:"),
    _m("tiers.py", "a recorded exit claims the exit of a lifecycle of dust",
       "waiting = [one for one in seekers if not one.served]\n        self._by_entry",
       "waiting = [one for one in seekers if not one.served and not one.small]\n"
       "        self._by_entry"),
    # netting
    _m("flows.py", "the opening part of a crossing fill closes too",
       "most = reduced if reduced < quantity else quantity",
       "most = reduced if reduced <= ZERO else quantity"),
    _m("flows.py", "what the ledger has booked may be claimed again",
       "self.rest = rest if rest > ZERO else ZERO", "self.rest = self.filled"),
    _m("netting.py", "recorded closings without a fill do not count",
       "most = [rest, rest - self.unexplained + tolerance]", "most = [rest]"),
    _m("netting.py", "unknown openings raise no doubt", "if total > tolerance:", "if False:"),
    _m("doubts.py", "what was closed and nobody knows may not have opened the other side",
       "if excess > tolerance:", "if False:"),
    _m("doubts.py", "what longs bought back of strangers' shorts raises no doubt",
       "if shared > tolerance:", "if False:"),
    _m("netting.py", "a filled row without quantity accounts for nothing",
       "        flow.take(row, flow.rest)\n", "        pass\n"),
    # imported files
    _m("filefills.py", "a file joins over a gap",
       "if _stated(one).start_at <= begin < _seam(one, window)]",
       "if begin < _seam(one, window)]"),
    _m("filefills.py", "a second that has only begun counts as covered",
       "return max(window.start_at, end.replace(microsecond=0))",
       "return max(window.start_at, end)"),
    _m("filefills.py", "files that differ are believed",
       "not twice and not choice.clashes", "not twice"),
    _m("filefills.py", "a fill told at two times is believed",
       "after.complete and not twice and", "after.complete and"),
    _m("flows.py", "the opening part of a crossing fill pays no fee",
       "return of_closed if self.closing else amount - of_closed",
       "return of_closed if self.closing else ZERO"),
    # gather
    _m("gather.py", "one position reading stands for both",
       "    told = world.exchange.positions(list(windows))\n    now = world.clock()\n",
       "    told: dict[str, PositionReading] = {}\n    now = world.clock()\n", CYCLE),
    _m("gather.py", "trading while it is read goes unnoticed",
       "return replace(fills, complete=False, detail=detail)", "return fills",
       ("tests/cycle/test_faults.py",)),
    _m("gather.py", "the window does not reach back to the entry",
       "return Window(start_at=first - ENTRY_MARGIN, end_at=now + END_MARGIN)",
       "return Window(start_at=now, end_at=now + END_MARGIN)", CYCLE),
    # record
    _m("cycle/watching.py", "a flat market is ruled upon by what the fast path saw",
       "if not seen.full and _needs_all(desk, draft, known):", "if False:",
       ("tests/cycle/test_fast_path.py",)),
    _m("hints.py", "the fast path never looks at everything",
       "or now - known.full_at >= every or", "or", ("tests/cycle/test_fast_path.py",)),
    _m("record.py", "the ledger's versions are not compared",
       "if evidence_digest(one, ignoring=own) != now.everything.get(one.symbol)", "if False",
       CYCLE),
    _m("record.py", "a row that comes between insert and commit goes unnoticed",
       "if rows_now(transaction, ground) != before.rows:", "if False:", CYCLE),
    _m("record.py", "a resume just before the write goes unnoticed",
       "return {} if paused is None else {one.symbol: paused for one in chunk.evidences}",
       "return {}", CYCLE),
    _m("record.py", "the second reading stands for the third",
       "positions=pen.exchange.positions(markets))",
       "positions={one.symbol: one.position_after for one in chunk.evidences})", CYCLE),
    _m("record.py", "intents settled by another run are not noticed",
       "if moved != len(settlements):", "if False:", ("tests/cycle/test_races.py",)),
    _m("record.py", "a refused chunk stays pending",
       "            transaction.settle(settlements)\n    except", "            pass\n    except",
       CYCLE),
    # what the outside world says
    _m("adapters/postgres/statements.py", "row security may hide rows",
       "    if shape.hiding:\n", "    if False:\n", ("tests/postgres/test_requirements.py",)),
    _m("adapters/pause.py", "of two statuses the last is believed",
       "if names[_STATUS] > 1:", "if False:", ("tests/postgres/test_status_url.py",)),
    _m("cli/serving.py", "where two people are wanted a loop applies alone",
       "if settings.four_eyes and applies:", "if False:", ("tests/web/test_loop.py",)),
    # what a dead run left
    _m("adapters/postgres/living.py", "an apply that lives is taken for dead",
       "no_apply_lives = guarded or is_the_only_apply(session.conn, account)",
       "no_apply_lives = True", INTERRUPTED),
    _m("adapters/postgres/living.py", "a dry run does not show that it lives",
       '    conn.execute(block("ledger", "lock"), {"key": _BATCH_KEY + batch_id})\n',
       "    del conn, batch_id\n", INTERRUPTED),
    _m("adapters/postgres/living.py", "what a dead apply left stays pending",
       "settled = _settle(session, account, names) if no_apply_lives else ()", "settled = ()",
       INTERRUPTED),
    _m("sql/books.sql", "a batch may end twice",
       "WHERE b.batch_id = %(batch_id)s\n  AND b.status = 'running'\nRETURNING b.*;",
       "WHERE b.batch_id = %(batch_id)s\nRETURNING b.*;", INTERRUPTED),
    # what is read of the ledger and of the record
    _m("rowfacts.py", "another spelling of the symbol is another symbol",
       '    if word(row.symbol) in {"", word(symbol)}:\n', "    if False:\n",
       ("tests/cycle/test_ledger_as_found.py",)),
    _m("adapters/postgres/ledger.py", "rows that are hidden while a process runs are not missed",
       "            if hiding:\n", "            if False:\n",
       ("tests/postgres/test_requirements.py",)),
    _m("adapters/postgres/books.py", "what we never wrote is read as ours",
       "    if why:\n", "    if False:\n", UNDO),
    _m("worker/cycles.py", "the loop applies alone though two people are wanted",
       "only_plans = house.settings.loop is LoopMode.DRY_RUN or house.settings.four_eyes",
       "only_plans = house.settings.loop is LoopMode.DRY_RUN", ("tests/web/test_loop.py",)),
    _m("sql/grants.sql", "functions that nothing is said of stay everybody's",
       "aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner)))", "aclexplode(p.proacl)",
       ("tests/postgres/test_grants.py",)),
    _m("sql/books.sql", "an apply whose batch was rolled back goes on",
       "  AND (s.decision = 'NO_GO'\n", "  AND (TRUE\n", ("tests/cycle/test_races.py",)),
    _m("sql/undo.sql", "a rollback does not wait for what its batch is writing",
       "WHERE batch_id = %(batch_id)s\nFOR NO KEY UPDATE;", "WHERE batch_id = %(batch_id)s;",
       ("tests/cycle/test_races.py",)),
    # command line
    _m("cli/entry.py", "a full disk behind the output is taken for a bug",
       "error.filename is None and error.errno in _NO_ROOM", "False", ("tests/cli/test_edges.py",)),
    # rollback
    _m("rollback.py", "a reinstate does not ask for the pause",
       '    if doubt is not None:\n        message = (\n            f"Profile',
       '    if False:\n        message = (\n            f"Profile', UNDO),
    _m("rollback.py", "a reinstate does not ask for flat markets",
       '        if doubt is not None:\n            message = f"{symbol}',
       '        if False:\n            message = f"{symbol}', UNDO),
    _m("rollback.py", "a reading that grew old while a reinstate waited counts",
       "an apply.\n        _require_flat(desk, seen)\n", "an apply.\n", UNDO),
    _m("rollback.py", "a reinstate does not ask whether a row is left out of the sums",
       "        if defects:\n", "        if False:\n", UNDO),
    _m("rollback.py", "a reinstate does not ask whether the bot is at work",
       "        _require_calm(desk, transaction, changes)\n", "", UNDO),
    _m("reuse.py", "a reinstate may use fills that others have used since",
       "if used > proof.filled:", "if False:", UNDO),
    _m("reuse.py", "a reinstate needs no proof of a row",
       "        if row.backfill_order_id not in proven:\n", "        if False:\n", UNDO),
    _m("reuse.py", "a closing that names no order uses no fill",
       "if _holds(row, proof, unified) or _may_hold(row, proof, unified, trades)",
       "if _holds(row, proof, unified)", UNDO),
    _m("reuse.py", "a fill that profiles of other account names hold is free",
       "    rows += _strange_holders(desk, transaction, symbols, proofs)\n", "",
       ("tests/cycle/test_one_account_two_names.py",)),
    _m("reuse.py", "a closing whose quantity cannot be read holds nothing",
       "return self.filled if quantity is None else", "return Decimal(0) if quantity is None else",
       UNDO),
    _m("adapters/postgres/writing.py", "what could not be rolled back is written",
       "    undo.require_way_back(session, inserted)\n", "", WRITING),
    _m("adapters/postgres/writing.py", "what changes at COMMIT is not seen",
       '    session.run("ledger", "fire_deferred")\n', "", WRITING),
    _m("adapters/postgres/schema.py", "two spellings of a profile are one",
       "if column is not None and column.folds:", "if False:", ("tests/postgres/test_schema.py",)),
    _m("web/runs.py", "what was given up begins later",
       "            if self.given_up:\n", "            if False:\n",
       ("tests/web/test_late_start.py",)),
    _m("rollback.py", "another profile's batch may be rolled back",
       "if batch.profile_id != desk.profile.profile_id:", "if False:", UNDO),
)  # fmt: skip


def broken_copies(mutant: Mutant, folder: Path) -> None:
    """Copy the source into `folder`, with the mutant in it. Raises ValueError where it is stale."""
    shutil.copytree(SOURCE, folder / "unghost", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "unghost" / mutant.file
    path.write_text(broken(mutant, path.read_text(encoding="utf-8")), encoding="utf-8")


def broken(mutant: Mutant, text: str) -> str:
    """The text of its file with the mutant in it. Raises ValueError where it is stale."""
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.file}: {mutant.name}: its text stands there {text.count(mutant.old)} times"
        )
    return text.replace(mutant.old, mutant.new)


def stale(mutants: Sequence[Mutant]) -> list[str]:
    """A sentence for each mutant that no longer fits the source."""
    found = []
    for mutant in mutants:
        try:
            broken(mutant, (SOURCE / mutant.file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            found.append(str(error))
    return found


def judge(mutant: Mutant) -> Verdict:
    """Test the broken copy until the first failure, which the sound copy must not have.

    Raises RuntimeError where the tests do not run, or fail without the mutant.
    """
    with tempfile.TemporaryDirectory(prefix="unghost-mutant-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        broken_copies(mutant, folder)
        caught = first_failure(mutant, folder, mutant.tests)
        if caught is not None:
            shutil.copy2(SOURCE / mutant.file, folder / "unghost" / mutant.file)
            if first_failure(mutant, folder, (caught,)) is not None:
                raise RuntimeError(f"{mutant.name}: {caught} fails without it too")
    return Verdict(name=mutant.name, file=mutant.file, caught_by=caught)


def first_failure(mutant: Mutant, folder: Path, tests: Sequence[str]) -> str | None:
    """The first test that fails with the copy in `folder`; None where all hold."""
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "--no-cov", "-p", "no:cacheprovider",
        "-p", "no:randomly", *tests,
    ]  # fmt: skip
    run = subprocess.run(
        command,
        cwd=HOUSE,
        env={
            **_unmeasured(os.environ),
            **_SEEDED,
            FOLDER_VARIABLE: str(folder / "results"),
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    found = _FAILED.search(run.stdout)
    if run.returncode not in (0, 1) and found is None:
        raise RuntimeError(f"{mutant.name}: the tests did not run\n{run.stdout}{run.stderr}")
    return found.group(1) if found else None


def _unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """What runs in a copy would count as source that is gone by the time of the report."""
    return {name: value for name, value in environment.items() if "COVERAGE" not in name}


def judge_all(mutants: Sequence[Mutant], jobs: int) -> Iterator[Verdict]:
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(judge, mutants)


def for_the_machine() -> list[Mutant]:
    """Those that the state machine must find by itself, with it as their only test."""
    chosen = [one for one in MUTANTS if one.name in MACHINE_FINDS]
    return [replace(one, tests=MACHINE) for one in chosen]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Print each mutant with the test that catches it; exit 1 where one survives, 2 where unfit."""
    parser = argparse.ArgumentParser(description="Break each guard and see whether a test notices.")
    parser.add_argument("names", nargs="*", help="parts of names; default: all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--machine", action="store_true", help="let the state machine alone find a handful"
    )
    asked = parser.parse_args()
    every = for_the_machine() if asked.machine else MUTANTS
    chosen = [one for one in every if not asked.names or any(n in one.name for n in asked.names)]
    if unfit := stale(chosen):
        sys.stderr.write("\n".join([*unfit, ""]))
        return 2
    part = "mutants of the machine" if asked.machine else "mutants"
    # the page tells of all of them: a few that were named do not stand for them
    verdicts, keeper = [], Keeper(f"some {part}" if asked.names else part)
    for verdict in judge_all(chosen, asked.jobs):
        verdicts.append(verdict)
        keeper.keep(
            {
                "asked for": len(chosen),
                "mutants": {f"{one.file}: {one.name}": one.caught_by for one in verdicts},
            },
            *(f"{one.name}: no test notices" for one in verdicts if one.caught_by is None),
        )
        if not asked.json:
            words = f"caught by {verdict.caught_by}" if verdict.caught_by else "SURVIVED"
            _say(f"{verdict.file:12} {verdict.name}: {words}")
    survivors = [one for one in verdicts if one.caught_by is None]
    if asked.json:
        _say(json.dumps([asdict(one) for one in verdicts], indent=2))
    else:
        _say(f"{len(verdicts)} mutants, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
