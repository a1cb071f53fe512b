"""Every point at which a process may end: before and after each statement that it sends.

A process of its own does one operation (`nursery.py`), and its wire to the database kills it
(SIGKILL) at the chosen point (`statements.py`). Then the next run comes, and the books must be what
an undisturbed run makes of them. The same points serve for the end of the server.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from psycopg.conninfo import make_conninfo
from tests.cycle.bench import Bench
from tests.proofs.bystander import OPERATIONS
from tests.proofs.nursery import Nursery
from tests.proofs.staging import EndState, Stage
from tests.proofs.statements import CrashPoint, Moment

from unghost.adapters.postgres.connection import Database
from unghost.errors import UnghostError

_KILLED = "unghost that is killed"
_STILL_CONNECTED = """
    SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s
"""
_SILENCE_SECONDS = 30


class Kills:
    """A process that does one operation ends at a point."""

    def __init__(self, bench: Bench) -> None:
        self.stage = Stage(bench)
        self._nursery = Nursery(bench.venue.base_url)

    def close(self) -> None:
        self.stage.close()
        self._nursery.close()

    def undisturbed(self, operation: str) -> tuple[list[str], EndState]:
        """The statements of a whole run, and what it leaves."""
        assert self._run(operation, self.stage.set(operation), None) == 0, operation
        return list(self.stage.wire.statements), self.stage.end_state()

    def disturbed(self, operation: str, point: CrashPoint) -> EndState:
        """End the process at the point, run the operation again, and tell what is left.

        Raises AssertionError where the process was not killed, or the record has loose ends.
        """
        batch = self.stage.set(operation)
        code = self._run(operation, batch, point)
        assert code == -signal.SIGKILL, f"the process was not killed: it ended with {code}"
        self._await_silence()
        return self.stage.made_good(operation, batch)

    def _await_silence(self) -> None:
        """Until the server has heard that the process is gone: only then are its locks free."""
        deadline = time.monotonic() + _SILENCE_SECONDS
        while self.stage.bench.rows(_STILL_CONNECTED, _KILLED):
            assert time.monotonic() < deadline, "the server keeps the connections of a dead process"

    def _run(self, operation: str, batch: str, point: CrashPoint | None) -> int:
        conninfo = make_conninfo(self.stage.wire.conninfo, application_name=_KILLED)
        pid = self._nursery.fork(operation, batch, conninfo)
        self.stage.wire.watch(partial(os.kill, pid, signal.SIGKILL), point)
        return self._nursery.go()


class Outages:
    """The database ends at a point and comes back, and the process that spoke to it lives on."""

    def __init__(self, bench: Bench, outage: Callable[[], object]) -> None:
        self.stage = Stage(bench)
        self._outage = outage

    def close(self) -> None:
        self.stage.close()

    def undisturbed(self, operation: str) -> tuple[list[str], EndState]:
        """The statements of a whole run, and what it leaves."""
        assert self._run(operation, self.stage.set(operation), None) is None
        return list(self.stage.wire.statements), self.stage.end_state()

    def disturbed(self, operation: str, point: CrashPoint) -> EndState:
        """Let the outage come at the point, and the next run after it.

        Raises AssertionError where it did not come, where more than a sentence was said of it, or
        where the record has loose ends.
        """
        batch = self.stage.set(operation)
        said = self._run(operation, batch, point)
        assert self.stage.wire.struck, f"the run was over before: {said}"
        assert said is None or "\n" not in str(said), said
        return self.stage.made_good(operation, batch)

    def _run(self, operation: str, batch: str, point: CrashPoint | None) -> UnghostError | None:
        self.stage.wire.watch(self._outage, point)
        bench = self.stage.bench
        with closing(Database(self.stage.wire.conninfo)) as database:
            desk = bench.new_desk(database=database, account=bench.accounts[0])
            try:
                OPERATIONS[operation](desk, batch)
            except UnghostError as error:
                return error
        return None


def points(statements: list[str]) -> Iterator[CrashPoint]:
    """Before and after each."""
    for number in range(1, len(statements) + 1):
        for moment in Moment:
            yield CrashPoint(number=number, moment=moment)


def chosen_points(statements: list[str], share: int) -> list[CrashPoint]:
    """Those after which something is different, and one in `share` of the others."""
    return [one for one in points(statements) if _matters(one, statements[one.number - 1], share)]


def _matters(point: CrashPoint, text: str, share: int) -> bool:
    """Between two statements that write nothing, an end is like any other."""
    if text == "COMMIT":
        return point.moment is Moment.AFTER
    writes = text.startswith(("INSERT", "UPDATE")) or "INSERT INTO orders" in text
    return (writes and point.moment is Moment.AFTER) or point.number % share == 0
