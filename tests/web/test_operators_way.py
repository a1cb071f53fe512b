"""The operator's whole way through the API: pause, plan, judge, apply, roll back, reinstate."""

from __future__ import annotations

import pytest
from tests.web.conftest import served, wait_for


def dry_run(client, profile="main", **body):
    answer = client.post(f"/api/v1/profiles/{profile}/cycles", json=body)
    assert answer.status_code == 202, answer.text
    return wait_for(client, answer.json()["batch_id"])


def paused(client):
    answer = client.post("/api/v1/profiles/main/pause", json={"reason": "repair"})
    assert answer.status_code == 200, answer.text


def test_a_ghost_is_closed_rolled_back_and_closed_again(bench, service):
    bench.ghost("t-1")
    olga, anna = service("olga"), service("anna")
    paused(olga)
    plan = dry_run(olga)
    assert plan["batch"]["counts"] == {"DRY_RUN": 1}
    assert plan["batch"]["actor"] == "olga"
    assert bench.backfills() == []
    batch_id = plan["batch"]["batch_id"]
    judged = anna.get(f"/api/v1/batches/{batch_id}/go-no-go").json()
    assert judged["go"] is True

    applied = dry_run(anna, plan=batch_id, seen=plan["version"])
    assert applied["batch"]["mode"] == "apply"
    assert [row[2] for row in bench.backfills()] == ["filled"]
    assert anna.get("/api/v1/profiles/main/lifecycles").json()["lifecycles"] == []

    url = f"/api/v1/batches/{applied['batch']['batch_id']}"
    for name, status in (("rollback", "canceled"), ("reinstate", "filled")):
        preview = anna.get(f"{url}/{name}")
        assert len(preview.json()["preview"]["changes"]) == 1
        done = anna.post(f"{url}/{name}", json={}, headers={"If-Match": preview.headers["etag"]})
        assert done.json()["changed"] == 1, done.text
        assert [row[2] for row in bench.backfills()] == [status]


UNREADABLE = """
INSERT INTO reconciliation_backfill_audit
    (batch_id, profile_id, symbol, trade_id, decision, reason, actor)
VALUES (%s, 'main', 'BTCUSDT', 't-odd', 'NO_GO', 'no reason of ours', 'nobody')
"""


def test_a_row_of_the_record_that_nobody_can_read_stops_no_rollback(bench, service):
    bench.ghost("t-1")
    anna = service("anna")
    paused(anna)
    plan = dry_run(anna)
    applied = dry_run(anna, plan=plan["batch"]["batch_id"], seen=plan["version"])
    url = f"/api/v1/batches/{applied['batch']['batch_id']}"
    bench.run(UNREADABLE, applied["batch"]["batch_id"])
    preview = anna.get(f"{url}/rollback").json()
    assert len(preview["preview"]["changes"]) == 1
    done = anna.post(f"{url}/rollback", json={"seen": preview["version"]})
    assert done.json()["changed"] == 1, done.text
    assert [row[2] for row in bench.backfills()] == ["canceled"]


def test_who_acted_is_in_every_audit_row(bench, service):
    bench.ghost("t-1")
    anna = service("anna")
    paused(anna)
    dry_run(anna)
    rows = anna.get("/api/v1/audit").json()["rows"]
    assert {row["actor"] for row in rows} == {"anna"}


def test_a_search_for_a_decision_that_does_not_exist_is_refused_by_name(service):
    anna = service("anna")
    refused = anna.get("/api/v1/audit?decision=APLIED")
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert "APPLIED" in refused.text
    for told in ("?decision=", "?decision=APPLIED", ""):
        assert anna.get(f"/api/v1/audit{told}").status_code == 200


def test_the_same_request_sent_twice_is_done_once(bench, service):
    olga = service("olga")
    headers = {"Idempotency-Key": "one"}
    first, second = (
        olga.post("/api/v1/profiles/main/cycles", json={}, headers=headers) for _ in range(2)
    )
    assert first.json() == second.json()
    wait_for(olga, first.json()["batch_id"])
    other = olga.post("/api/v1/profiles/main/pause", json={}, headers=headers)
    assert other.status_code == 422
    assert bench.rows("SELECT count(*) FROM reconciliation_backfill_batch") == [(1,)]


def test_a_stale_page_is_told_what_moved(bench, service):
    bench.ghost("t-1")
    olga, anna = service("olga"), service("anna")
    paused(olga)
    plan = dry_run(olga)
    olga.post("/api/v1/profiles/main/resume", json={})
    body = {"plan": plan["batch"]["batch_id"], "seen": plan["version"]}
    told = anna.post("/api/v1/profiles/main/cycles", json=body)
    assert told.status_code == 409
    assert told.headers["content-type"] == "application/problem+json"
    assert "Trading was PAUSED" in told.json()["moved"][0]
    assert bench.backfills() == []


def test_what_writes_needs_to_say_what_was_seen(bench, service):
    bench.ghost("t-1")
    anna = service("anna")
    paused(anna)
    plan = dry_run(anna)["batch"]["batch_id"]
    for path, body in (
        ("profiles/main/cycles", {"plan": plan}),
        (f"batches/{plan}/rollback", {}),
        (f"batches/{plan}/reinstate", {}),
    ):
        assert anna.post(f"/api/v1/{path}", json=body).status_code == 428


def test_with_four_eyes_another_approver_applies(bench, configured):
    bench.ghost("t-1")
    with served(configured(UNGHOST_FOUR_EYES="true")) as service:
        anna, adam = service("anna"), service("adam")
        paused(anna)
        plan = dry_run(anna)
        body = {"plan": plan["batch"]["batch_id"], "seen": plan["version"]}
        refused = anna.post("/api/v1/profiles/main/cycles", json=body)
        assert (refused.status_code, bench.backfills()) == (409, [])
        assert "another approver" in refused.json()["detail"]
        dry_run(adam, **body)
        assert len(bench.backfills()) == 1


@pytest.mark.parametrize(
    "variables",
    ({"ENABLE_RECON_EXIT_BACKFILL": "false"}, {"RECON_EXIT_BACKFILL_DRY_RUN": "true"}),
)
def test_the_flags_hold_for_the_service_too(bench, configured, variables):
    bench.ghost("t-1")
    bench.pause()
    plan = bench.dry_run().batch.batch_id
    with served(configured(**variables)) as service:
        anna = service("anna")
        version = anna.get(f"/api/v1/batches/{plan}").json()["version"]
        body = {"plan": plan, "seen": version}
        refused = anna.post("/api/v1/profiles/main/cycles", json=body)
        assert refused.status_code == 409
        assert next(iter(variables)) in refused.json()["detail"]
    assert bench.backfills() == []
