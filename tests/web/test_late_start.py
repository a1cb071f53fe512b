"""A cycle that was refused because it did not begin in time never writes afterwards."""

from __future__ import annotations

import threading

import pytest
from tests.web.conftest import wait_for

from unghost.assembly import open_house
from unghost.errors import RefusedError
from unghost.web.runs import Order, Runs


@pytest.mark.parametrize("planned", (True, False), ids=["apply", "dry run"])
def test_a_cycle_that_is_given_up_writes_nothing_when_it_gets_so_far(
    bench, service, configured, planned
):
    bench.ghost("t-1")
    bench.pause()
    olga = service("olga")
    plan = olga.post("/api/v1/profiles/main/cycles", json={}).json()["batch_id"]
    wait_for(olga, plan)
    finished = threading.Event()
    with open_house(configured()) as house:
        runs = Runs(house, finished=lambda *_: finished.set(), start_seconds=0)
        with pytest.raises(RefusedError, match="given up: nothing is written"):
            runs.start(Order(profile_id="main", actor="anna", plan=plan if planned else None))
        runs.close()
    assert not finished.is_set()
    assert bench.backfills() == []
    late = bench.rows(
        "SELECT status FROM reconciliation_backfill_batch WHERE batch_id <> %s ORDER BY started_at",
        plan,
    )
    assert [row[0] for row in late] == ["failed"]
    assert bench.rows(
        "SELECT count(*) FROM reconciliation_backfill_audit WHERE actor = 'anna'"
    ) == [(0,)]
