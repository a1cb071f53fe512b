"""A share of the open lifecycles above the ceiling needs the explicit word of an approver."""

from __future__ import annotations

import re

import pytest
from tests.cycle.bench import ETH
from tests.cycle.test_plans import many_ghosts
from tests.web.conftest import TOKENS, served, wait_for

from unghost.ceilings import SHARE_COUNTS_FROM

CYCLES = "/api/v1/profiles/main/cycles"


@pytest.fixture
def wary(bench, configured):
    """The service over twenty ghosts that are all to be closed, where half of them is the most."""
    many_ghosts(bench)
    with served(configured(RECON_EXIT_BACKFILL_MAX_SHARE="0.5")) as found:
        yield found


def planned(client) -> dict:
    return wait_for(client, client.post(CYCLES, json={}).json()["batch_id"])


def apply(client, plan: dict, **body):
    body = {"plan": plan["batch"]["batch_id"], "seen": plan["version"], **body}
    return client.post(CYCLES, json=body)


def test_the_api_applies_a_large_share_only_where_it_is_allowed(bench, wary):
    anna = wary("anna")
    plan = planned(anna)
    refused = wait_for(anna, apply(anna, plan).json()["batch_id"])
    assert refused["batch"]["counts"] == {"NO_GO": SHARE_COUNTS_FROM}
    assert bench.backfills() == []

    plan = planned(anna)
    done = wait_for(anna, apply(anna, plan, allow_share="1.000").json()["batch_id"])["batch"]
    assert done["counts"] == {"APPLIED": SHARE_COUNTS_FROM}
    assert done["settings"]["allow_share"] == "up to 100 % allowed by anna"
    assert "share: 20 of 20 open lifecycles (100 %), up to 100 % allowed by anna" in str(
        done["notes"]
    )
    assert len(bench.backfills()) == SHARE_COUNTS_FROM


@pytest.mark.parametrize(("who", "status"), ((None, 401), ("vera", 403), ("olga", 403)))
def test_only_approvers_allow_a_share(bench, wary, who, status):
    plan = planned(wary("anna"))
    assert apply(wary(who), plan, allow_share="1.000").status_code == status
    assert bench.backfills() == []


def test_no_larger_share_is_closed_than_was_seen(bench, wary):
    """What else was open when the share was shown has been closed since."""
    for number in range(5):
        bench.opened(f"held-{number}", symbol=ETH)
    anna = wary("anna")
    plan = planned(anna)
    batch_id = plan["batch"]["batch_id"]
    seen = anna.get(f"/api/v1/batches/{batch_id}/go-no-go").json()["share_to_allow"]
    assert seen == "0.800"
    bench.run("UPDATE orders SET status = 'canceled' WHERE trade_id LIKE 'held-%'")
    refused = wait_for(anna, apply(anna, plan, allow_share=seen).json()["batch_id"])
    assert refused["batch"]["counts"] == {"NO_GO": SHARE_COUNTS_FROM}
    assert bench.backfills() == []
    rows = anna.get("/api/v1/audit", params={"batch": refused["batch"]["batch_id"]}).json()["rows"]
    both = "20 of 20 open lifecycles (100 %) of at most 80 %"
    assert all(both in str(row["evidence"]) for row in rows)
    assert "up to 80 % allowed by anna" in str(refused["batch"]["notes"])

    seen = anna.get(f"/api/v1/batches/{batch_id}/go-no-go").json()["share_to_allow"]
    wait_for(anna, apply(anna, planned(anna), allow_share=seen).json()["batch_id"])
    assert len(bench.backfills()) == SHARE_COUNTS_FROM


@pytest.mark.parametrize("word", (True, "yes", "true", 0, "1.001", 2, "NaN", -1, []))
def test_an_allowance_is_a_share_and_nothing_like_it(bench, wary, word):
    anna = wary("anna")
    assert apply(anna, planned(anna), allow_share=word).status_code == 422
    assert bench.backfills() == []


def test_a_dry_run_needs_no_allowance(wary):
    refused = wary("anna").post(CYCLES, json={"allow_share": "1"})
    assert (refused.status_code, "goes with a `plan`" in refused.text) == (422, True)


def test_the_same_key_without_the_allowance_is_another_request(bench, wary):
    anna = wary("anna")
    plan = planned(anna)
    anna.headers["Idempotency-Key"] = "one"
    wait_for(anna, apply(anna, plan).json()["batch_id"])
    assert apply(anna, plan, allow_share="1.000").status_code == 422
    assert bench.backfills() == []


# --- the console -------------------------------------------------------------------------------


def fields_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


def test_the_console_asks_with_the_share_written_out(bench, wary):
    anna = wary(None)
    anna.cookies.set("unghost_session", anna.app.state.seats.sign_in(TOKENS["anna"][1]))
    batch_id = planned(wary("anna"))["batch"]["batch_id"]
    go = anna.get(f"/batches/{batch_id}?part=go").text
    assert "NO-GO" in go
    assert 'name="allow_share" value="1.000" required' in go
    assert "20 of 20 open lifecycles (100 %); at most 50 %" in go

    form = fields_of(go.partition("/apply")[2])
    url = f"/batches/{batch_id}/apply"
    untyped = anna.post(url, data=form | {"allow_share": "1.000", "confirmation": "19"})
    assert (untyped.status_code, bench.backfills()) == (409, [])
    done = anna.post(url, data=form | {"allow_share": "1.000", "confirmation": "20"})
    wait_for(wary("anna"), done.url.path.rpartition("/")[2])
    assert len(bench.backfills()) == SHARE_COUNTS_FROM
    assert "up to 100 % allowed by anna" in anna.get(done.url.path).text


def test_the_console_shows_an_operator_no_form_and_refuses_one(bench, wary):
    olga = wary(None)
    olga.cookies.set("unghost_session", olga.app.state.seats.sign_in(TOKENS["olga"][1]))
    batch_id = planned(wary("olga"))["batch"]["batch_id"]
    go = olga.get(f"/batches/{batch_id}?part=go").text
    assert ('name="allow_share"' in go, "role approver" in go) == (False, True)
    form = {"csrf": olga.get("/api/v1/me").json()["csrf"], "seen": "x", "key": "k"}
    url = f"/batches/{batch_id}/apply"
    refused = olga.post(url, data=form | {"allow_share": "1.000", "confirmation": "20"})
    assert (refused.status_code, bench.backfills()) == (403, [])
