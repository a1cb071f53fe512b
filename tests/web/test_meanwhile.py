"""While a cycle waits for the exchange, the service goes on answering."""

from __future__ import annotations

import threading

from tests.web.conftest import wait_for

HELD_SECONDS = 9
"""How long the exchange waits at most, less than the client's patience; the test ends it sooner."""


def test_the_status_is_told_while_a_cycle_waits_for_the_exchange(bench, service):
    bench.ghost("t-1")
    bench.pause()
    asked, go_on = threading.Event(), threading.Event()

    def hold(_world):
        asked.set()
        go_on.wait(HELD_SECONDS)

    bench.venue.before("positionRisk", hold)
    olga, bot = service("olga"), service(None)
    try:
        batch_id = olga.post("/api/v1/profiles/main/cycles", json={}).json()["batch_id"]
        assert asked.wait(HELD_SECONDS)
        told = [bot.get("/internal/trading/status") for _ in range(5)]
        batch = olga.get(f"/api/v1/batches/{batch_id}").json()["batch"]
        assert not go_on.is_set()
    finally:
        go_on.set()
    assert [(one.status_code, one.json()["status"]) for one in told] == [(200, "PAUSED")] * 5
    assert batch["status"] == "running"
    found = wait_for(olga, batch_id)
    assert (found["batch"]["status"], found["batch"]["counts"]) == ("finished", {"DRY_RUN": 1})
