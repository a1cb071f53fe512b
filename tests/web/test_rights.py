"""Rights are enforced by the API, for everybody and on every address."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog
from tests.web.conftest import LOGINS, TOKENS, served

from unghost.errors import ConfigurationError
from unghost.settings import load_settings
from unghost.web.access import (
    Role,
    Seats,
    is_loopback,
    login_line,
    new_token,
    read_logins,
    require_safe,
)
from unghost.web.problems import Problem

READS = (
    "profiles",
    "profiles/main",
    "profiles/main/lifecycles",
    "profiles/main/batches",
    "audit",
    "events",
    "audit/export",
    "me",
)
OPERATES = ("profiles/main/pause", "profiles/main/resume", "profiles/main/cycles")
APPROVES = ("batches/x/rollback", "batches/x/reinstate")


@pytest.mark.parametrize("path", READS)
def test_strangers_read_nothing(service, path):
    answer = service(None).get(f"/api/v1/{path}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert service("vera").get(f"/api/v1/{path}").status_code == 200


@pytest.mark.parametrize(
    ("who", "path"),
    (
        *((None, path) for path in (*OPERATES, *APPROVES)),
        *(("vera", path) for path in (*OPERATES, *APPROVES)),
        *(("olga", path) for path in APPROVES),
    ),
)
def test_who_lacks_the_role_is_refused_and_nothing_is_done(bench, service, who, path):
    bench.ghost("t-1")
    before = bench.rows("SELECT * FROM trading_profile"), bench.digest()
    answer = service(who).post(f"/api/v1/{path}", json={"seen": "x"})
    assert answer.status_code == (401 if who is None else 403)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (bench.rows("SELECT * FROM trading_profile"), bench.digest()) == before
    assert bench.rows("SELECT count(*) FROM reconciliation_backfill_batch") == [(0,)]


def test_an_operator_may_plan_and_not_apply(bench, service):
    bench.ghost("t-1")
    bench.pause()
    plan = bench.dry_run().batch.batch_id
    answer = service("olga").post("/api/v1/profiles/main/cycles", json={"plan": plan, "seen": "x"})
    assert (answer.status_code, bench.backfills()) == (403, [])


def state_of(client: Any) -> Any:
    return client.app.state


def raising_a_secret():
    raise KeyError("the password is tulip")


# --- the bot's address -------------------------------------------------------------------------


def test_the_status_is_told_to_everybody_and_the_actor_to_those_known(bench, service):
    bench.pause()
    stranger = service(None).get("/internal/trading/status").json()
    assert (stranger["status"], stranger["actor"], stranger["reason"]) == ("PAUSED", None, None)
    known = service("vera").get("/internal/trading/status").json()
    assert (known["actor"], known["reason"]) == ("tester", "repair")
    text = service(None).get("/internal/trading/status", headers={"Accept": "text/plain"})
    assert (text.text, text.headers["content-type"][:10]) == ("PAUSED", "text/plain")


def test_the_bots_address_pauses_and_resumes_by_role(bench, service):
    assert service(None).post("/internal/trading/pause").status_code == 401
    assert service("vera").post("/internal/trading/pause").status_code == 403
    done = service("olga").post("/internal/trading/pause", json={"reason": "look"}).json()
    assert (done["status"], done["profile"], done["actor"]) == ("PAUSED", "main", "olga")
    assert service("olga").post("/internal/trading/resume").json()["status"] == "RUNNING"


def test_with_several_profiles_one_must_be_named(bench, configured):
    with served(configured(("main", "second"))) as service:
        client = service("olga")
        unnamed = client.get("/internal/trading/status")
        assert unnamed.status_code == 400
        assert "main, second" in unnamed.json()["detail"]
        url = "/internal/trading/status?profile="
        assert client.get(f"{url}second").json()["profile"] == "second"
        assert client.get(f"{url}third").status_code == 404
        assert client.post("/internal/trading/pause").status_code == 400


def test_a_status_that_nobody_can_tell_is_not_running(bench, configured, tmp_path):
    settings = configured()
    text = settings.config.read_text() + 'status_url = "http://127.0.0.1:9/status"\n'
    settings.config.write_text(text)
    with served(settings) as service:
        told = service(None).get("/internal/trading/status")
        assert told.status_code == 503
        assert told.json()["detail"] == "Nobody can say whether main trades."
        known = service("vera").get("/internal/trading/status").json()["detail"]
        assert "127.0.0.1:9/status" in known, "a stranger is not told where the bot is, others are"
        refused = service("olga").post("/internal/trading/resume")
        assert refused.status_code == 409
        assert "status_url" in refused.json()["detail"]


# --- without tokens ----------------------------------------------------------------------------


def test_without_tokens_only_loopback_is_served(bench, configured):
    with served(configured(UNGHOST_TOKENS="")) as service:
        client = service(None)
        assert client.get("/api/v1/me").json()["name"] == "machine"
        rebound = client.get("/api/v1/me", headers={"Host": "evil.example"})
        assert rebound.status_code == 421
    with pytest.raises(ConfigurationError, match="No tokens are configured"):
        require_safe("0.0.0.0", ())  # noqa: S104 - what must be refused


@pytest.mark.parametrize(
    ("host", "loopback"),
    (
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - what must be refused
        ("::", False),
        ("10.0.0.1", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ),
)
def test_what_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_another_site_cannot_act_even_without_tokens(bench, configured):
    with served(configured(UNGHOST_TOKENS="")) as service:
        client = service(None)
        for path in ("/internal/trading/resume", "/api/v1/profiles/main/pause"):
            answer = client.post(path, headers={"Origin": "http://evil.example"})
            assert answer.status_code == 403
        assert bench.rows("SELECT * FROM trading_profile") == []
        own = client.post("/internal/trading/pause", headers={"Origin": "http://127.0.0.1"})
        assert own.status_code == 200


# --- tokens and sessions -----------------------------------------------------------------------


def test_a_session_acts_only_with_its_csrf_token():
    token = new_token()
    line = login_line("anna", Role.APPROVER, token)
    seats = Seats(read_logins_of(line), operator="machine")
    name = seats.sign_in(token)
    person = seats.visitor(name)
    assert (person.name, person.may_approve, bool(person.csrf)) == ("anna", True, True)
    assert seats.visitor("another") is None
    seats.sign_out(name)
    assert seats.visitor(name) is None


def read_logins_of(line, **variables):
    import os
    from unittest import mock

    with mock.patch.dict(os.environ, {"UNGHOST_TOKENS": line, **variables}):
        return read_logins(load_settings())


def test_a_cookie_without_the_csrf_token_does_not_act(bench, configured):
    with served(configured()) as service:
        client = service(None)
        seats = state_of(client).seats
        client.cookies.set("unghost_session", seats.sign_in(TOKENS["olga"][1]))
        me = client.get("/api/v1/me").json()
        assert me["name"] == "olga"
        assert client.post("/api/v1/profiles/main/pause", json={}).status_code == 403
        headers = {"X-CSRF-Token": me["csrf"]}
        done = client.post("/api/v1/profiles/main/pause", json={}, headers=headers)
        assert done.status_code == 200


def test_guessing_is_slowed_down_for_the_one_who_guesses():
    seats = Seats(read_logins_of(LOGINS), operator="machine")
    for number in range(10):
        assert seats.holder(f"guess {number}", address="a") is None
    with pytest.raises(Problem) as refused:
        seats.holder(TOKENS["anna"][1], address="a")
    assert refused.value.status_code == 429
    assert seats.holder(TOKENS["anna"][1], address="b").name == "anna"


@pytest.mark.parametrize(
    "line",
    (
        "anna:approver:plaintoken",
        "anna:king:sha256:" + "0" * 64,
        "anna:viewer:sha256:123",
        "a b:viewer:sha256:" + "0" * 64,
        "ughst_secret",
    ),
)
def test_a_line_that_is_no_login_is_refused_without_being_shown(line):
    with pytest.raises(ConfigurationError) as refused:
        read_logins_of(line)
    assert "plaintoken" not in str(refused.value)
    assert "ughst_secret" not in str(refused.value)


def test_two_logins_may_not_share_a_name():
    twice = " ".join(login_line("anna", Role.VIEWER, new_token()) for _ in range(2))
    with pytest.raises(ConfigurationError, match="same name"):
        read_logins_of(twice)


def test_a_file_holds_more_logins(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("# people\n\n" + login_line("frank", Role.VIEWER, new_token()) + "\n")
    found = read_logins_of(LOGINS, UNGHOST_TOKENS_FILE=str(path))
    assert [login.name for login in found] == [*TOKENS, "frank"]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_logins_of(LOGINS, UNGHOST_TOKENS_FILE=str(tmp_path / "absent"))


# --- every answer ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ("/api/v1/me", "/healthz", "/nowhere", "/internal/trading/status"))
def test_every_answer_carries_the_security_headers(service, path):
    headers = service(None).get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    (
        ("/nowhere", "text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("/nowhere", "*/*", "application/problem+json"),
        ("/api/v1/nowhere", "text/html", "application/problem+json"),
        ("/internal/nowhere", "text/html", "application/problem+json"),
    ),
)
def test_a_browser_that_is_lost_gets_a_page_and_a_program_a_document(service, path, accept, kind):
    answer = service(None).get(path, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (404, kind)
    assert ("<h1>There is no such page</h1>" in answer.text) is kind.startswith("text/html")


def test_a_bug_tells_no_secret(bench, configured, monkeypatch):
    with served(configured()) as service:
        client = service("vera")
        monkeypatch.setattr(state_of(client).operations, "profiles", raising_a_secret)
        with structlog.testing.capture_logs() as logged:
            answer = client.get("/api/v1/profiles")
    assert [line["event"] for line in logged] == ["a request failed by a bug"]
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "tulip" not in answer.text


def test_a_body_that_is_too_large_is_not_read(service):
    answer = service("olga").post("/api/v1/profiles/main/pause", content=b"x" * 70_000)
    assert answer.status_code == 413


def test_an_address_and_a_body_that_name_two_profiles_change_neither(bench, configured):
    with served(configured(profiles=("main", "other"))) as client_of:
        olga = client_of("olga")
        refused = olga.post("/internal/trading/pause?profile=main", json={"profile": "other"})
        assert (refused.status_code, "'main'" in refused.text) == (400, True)
        for name in ("main", "other"):
            status = olga.get("/internal/trading/status", params={"profile": name}).json()
            assert status["status"] == "RUNNING"
        same = olga.post("/internal/trading/pause?profile=main", json={"profile": "main"})
        assert same.json()["status"] == "PAUSED"
        assert olga.post("/internal/trading/pause?profile=nowhere").status_code == 404


def test_a_request_that_cannot_be_read_is_told_in_our_words(service):
    answer = service("vera").get("/api/v1/profiles/main/explain", params={"trade_id": "\x07"})
    assert answer.status_code == 422
    assert "query.trade_id: give printable characters only" in answer.json()["detail"]


def test_the_record_comes_as_a_file(bench, service):
    bench.ghost("t-1")
    bench.dry_run()
    vera = service("vera")
    lines = vera.get("/api/v1/audit/export?format=jsonl").text.splitlines()
    assert [json.loads(line)["trade_id"] for line in lines] == ["t-1"]
    table = vera.get("/api/v1/audit/export?format=csv")
    assert table.text.splitlines()[0].startswith("audit_id,batch_id,profile_id")
    assert "attachment" in table.headers["content-disposition"]
    assert vera.get("/api/v1/audit/export?trade=t-2&format=jsonl").text == ""
    kinds = [
        json.loads(line)["event_type"]
        for line in vera.get("/api/v1/events/export?format=jsonl").text.splitlines()
    ]
    assert "EXCHANGE_STATE_MISMATCH" in kinds


def test_events_are_found_by_type_whatever_the_case(bench, service):
    bench.ghost("t-1")
    bench.dry_run()
    asked = {"type": "batch_finished", "symbol": ""}
    found = service("vera").get("/api/v1/events", params=asked).json()["rows"]
    assert [row["event_type"] for row in found] == ["BATCH_FINISHED"]


def test_what_a_spreadsheet_would_run_is_quoted():
    from unghost.web.exports import _cell

    for formula in ("=cmd()", "--5", "+-1", "-1.5.", "@x", "\n=1", "-\u0661", "-1+1"):
        assert _cell(formula) == f"'{formula}"
    assert _cell("-0.25") == "-0.25"
    assert _cell(None) == ""


def test_ready_and_figures(bench, service):
    bench.ghost("t-1")
    bench.dry_run()
    ready = service(None).get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert service(None).get("/metrics").status_code == 401
    figures = service("vera").get("/metrics").text
    assert 'unghost_open_lifecycles{profile="main",symbol="BTCUSDT"} 1.0' in figures
    assert 'unghost_open_notional{profile="main",symbol="BTCUSDT"} 20000.0' in figures
    assert 'unghost_audit_rows_total{decision="NO_GO",profile="main"' in figures
    assert 'unghost_paused{profile="main"} 0.0' in figures
