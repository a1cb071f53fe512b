"""Evidence that an owner has changed into what is none of ours is told of, wherever it is shown."""

from __future__ import annotations

import json

import pytest
from tests.web.conftest import TOKENS, wait_for

MANGLED = """
ALTER TABLE reconciliation_backfill_audit DISABLE TRIGGER USER;
UPDATE reconciliation_backfill_audit SET evidence = evidence || \
"""
GUARDED_AGAIN = """
DO $$
DECLARE guard name;
BEGIN
    FOR guard IN SELECT tgname FROM pg_trigger
        WHERE tgrelid = 'reconciliation_backfill_audit'::regclass AND NOT tgisinternal
    LOOP
        EXECUTE format('ALTER TABLE reconciliation_backfill_audit ENABLE ALWAYS TRIGGER %I', guard);
    END LOOP;
END $$
"""
TOLD = "not as unghost writes it"


def mangle(bench, changes):
    """As the owner of the tables can, and nobody else."""
    bench.run(MANGLED + json.dumps(changes).join(("'", "'")) + "::jsonb")
    bench.run(GUARDED_AGAIN)


@pytest.fixture
def judged(bench, service):
    """Somebody who looks, after a dry run of one ghost."""
    bench.ghost("t-1")
    bench.pause()
    client = service("olga")
    wait_for(client, client.post("/api/v1/profiles/main/cycles", json={}).json()["batch_id"])
    client.post("/login", data={"token": TOKENS["olga"][1]})
    return client


@pytest.mark.parametrize(
    "changes",
    (
        {"gates": 3},
        {"gates": ["pause"]},
        {"gates": [{"name": "pause"}]},
        {"gates": [{"name": "x", "verdict": "x", "value": 1, "source": 1, "age_seconds": "old"}]},
        {"fills": [1]},
        {"fills": {"window": []}},
        {"doubts": 1},
        {"orders": True},
        {"orders": ["1"]},
        {"orders": [{"exchange_order_id": "1"}]},
        {"orders": [{"exchange_order_id": "1", "claims": [{"trade_id": "t-1"}]}]},
    ),
    ids=str,
)
def test_a_lifecycle_is_shown_though_its_evidence_is_mangled(bench, judged, changes):
    mangle(bench, changes)
    explained = judged.get("/api/v1/profiles/main/explain?trade_id=t-1")
    assert explained.status_code == 200, explained.text
    assert TOLD in " ".join(explained.json()["sentences"])
    page = judged.get("/profiles/main/lifecycle?symbol=BTCUSDT&trade_id=t-1")
    assert page.status_code == 200, page.text
    assert TOLD in page.text


@pytest.mark.parametrize(
    "changes", ({"direction": []}, {"direction": "up"}, {"sentence": 7}), ids=str
)
def test_a_word_that_is_none_of_ours_hinders_nobody_who_looks(bench, judged, changes):
    mangle(bench, changes)
    for address in (
        "/api/v1/profiles/main/explain?trade_id=t-1",
        "/profiles/main/lifecycle?symbol=BTCUSDT&trade_id=t-1",
        "/audit",
    ):
        found = judged.get(address)
        assert found.status_code == 200, found.text
