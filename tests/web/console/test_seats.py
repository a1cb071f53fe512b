"""Who may do what, and how a page behaves that somebody is using."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import expect

from unghost.adapters.postgres.service import ServiceBooks

ACTIONS = (
    "/profiles/demo/pause",
    "/profiles/demo/resume",
    "/profiles/demo/dry-run",
    "/batches/20260101T000000Z-00000000/apply",
    "/batches/20260101T000000Z-00000000/rollback",
    "/batches/20260101T000000Z-00000000/reinstate",
)
PATIENCE_SECONDS = 60  # a page that reads the exchange loads what speaks to it first
READS = ("/", "/profiles/demo", "/audit", "/events")


@contextmanager
def signed_in(scene, role: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=scene.base_url, timeout=PATIENCE_SECONDS) as client:
        answer = client.post("/login", data={"token": scene.served.tokens[role], "next": "/"})
        assert answer.status_code == 303
        yield client


def csrf_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]


def sent(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    filled = {"csrf": csrf_of(client), "seen": "", "key": uuid4().hex} | fields
    return client.post(path, data=filled)


# --- rights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ACTIONS)
def test_a_viewer_may_do_nothing(scene, path):
    with signed_in(scene, "viewer") as client:
        answer = sent(client, path)
    assert answer.status_code == 403
    assert "viewer is viewer." in answer.text


@pytest.mark.parametrize("path", ACTIONS[3:])
def test_an_operator_may_neither_apply_nor_roll_back(scene, path):
    with signed_in(scene, "operator") as client:
        assert sent(client, path).status_code == 403


@pytest.mark.parametrize("path", ACTIONS)
def test_nobody_acts_without_signing_in(scene, path):
    answer = httpx.post(scene.base_url + path, data={"csrf": "", "seen": "", "key": "k"})
    assert answer.status_code == 401
    assert "You are not signed in" in answer.text
    assert ">Sign in</a>" in answer.text


@pytest.mark.parametrize("path", READS)
def test_nobody_reads_without_signing_in(scene, path):
    answer = httpx.get(scene.base_url + path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize("csrf", ("", "somebody else's"))
def test_a_form_of_another_session_is_refused(scene, csrf):
    with signed_in(scene, "operator") as client:
        answer = sent(client, "/profiles/demo/pause", csrf=csrf)
        assert answer.status_code == 403
        assert "not made for your session" in answer.text
        assert client.post("/logout", data={"csrf": csrf}).status_code == 403


def test_a_viewer_who_tries_is_told_in_the_browser(sit, scene):
    seat = sit(scene, "viewer", may_complain=True)  # a 403 is an error to the browser's console
    seat.page.get_by_role("switch").click()
    expect(seat.page.get_by_role("heading", name="You may not do that")).to_be_visible()
    expect(seat.page.get_by_text("This needs the role operator")).to_be_visible()


# --- signing in --------------------------------------------------------------------------------


def test_a_session_is_kept_from_scripts_and_other_sites(scene):
    answer = httpx.post(
        f"{scene.base_url}/login", data={"token": scene.served.tokens["viewer"], "next": "/audit"}
    )
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert answer.headers["location"] == "/audit"


@pytest.mark.parametrize(
    "address", ("https://example.com/", "//example.com", "/\\example.com", "x")
)
def test_a_login_never_leads_elsewhere(scene, address):
    token = scene.served.tokens["viewer"]
    answer = httpx.post(f"{scene.base_url}/login", data={"token": token, "next": address})
    assert answer.headers["location"] == "/"


def test_after_signing_out_the_session_is_worth_nothing(scene):
    with signed_in(scene, "viewer") as client:
        kept = dict(client.cookies)
        assert client.post("/logout", data={"csrf": csrf_of(client)}).status_code == 303
    with httpx.Client(cookies=kept) as later:
        assert later.get(scene.base_url).headers["location"].startswith("/login")


def test_wrong_tokens_are_refused_and_then_slowed_down(fresh_scene):
    answers = [
        httpx.post(f"{fresh_scene.base_url}/login", data={"token": f"wrong {number}"}).status_code
        for number in range(12)
    ]
    assert answers == [401] * 10 + [429] * 2


# --- answers -----------------------------------------------------------------------------------


def test_every_answer_carries_a_strict_policy(scene):
    for path in ("/login", "/console/console.css", "/nowhere", "/"):
        headers = httpx.get(scene.base_url + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"),
    (
        ("/profiles/nobody", 404),
        ("/batches/none", 404),
        ("/batches/none/rollback", 404),
        ("/batches/none/elsewhere", 404),
        ("/profiles/demo/lifecycle?symbol=BTCUSDT&trade_id=none", 404),
        ("/profiles/demo/lifecycle", 422),
        ("/profiles/demo?sort=nothing&down=7", 200),
        ("/profiles/demo?q=%3Cscript%3E", 200),
        ("/audit?before=x", 422),
        ("/audit?decision=NOTHING", 200),
        ("/console/nothing.css", 404),
        ("/nowhere", 404),
    ),
)
def test_what_is_not_there_is_told_on_a_page(scene, path, status):
    with signed_in(scene, "viewer") as client:
        answer = client.get(path)
    assert answer.status_code == status
    assert "<script>" not in answer.text
    assert "Traceback" not in answer.text


def test_a_plan_is_not_applied_without_the_right_number(scene):
    with signed_in(scene, "approver") as client:
        answer = sent(client, "/batches/none/apply", confirmation="14")
        assert answer.status_code == 404


def test_a_form_without_what_was_seen_does_nothing(scene):
    with signed_in(scene, "approver") as client:
        assert sent(client, "/profiles/demo/pause", seen="").status_code == 422


@pytest.mark.parametrize("kind", ("audit", "events"))
def test_the_page_leads_to_the_same_rows_as_a_file(scene, kind):
    with signed_in(scene, "viewer") as client:
        found = re.search(r'href="([^"]+format=csv[^"]*)"', client.get(f"/{kind}?symbol=x").text)
        assert found is not None
        answer = client.get(html.unescape(found[1]))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")


def test_when_the_loop_looked_last_is_told(fresh_scene):
    database = fresh_scene.database()
    books = ServiceBooks(database)
    books.begin_cycle("demo", worker="w")
    books.end_cycle("demo", outcome="environment", digest="", detail="no answer", failed=True)
    database.close()
    with signed_in(fresh_scene, "viewer") as client:
        page = client.get("/").text
    assert re.search(r"The loop looked \d+ s ago: environment, no answer\.", page)


# --- live regions ------------------------------------------------------------------------------


def seen_at_a_turn(page, holds):
    """Lets turns of the page's clock pass until ``holds(milliseconds to wait)`` does.

    One turn is not enough for certain: the next is planned only when an answer has been read whole,
    and a clock moved before that passes nothing.
    """
    for _ in range(10):
        page.clock.run_for(6_000)
        try:
            holds(1_000)
        except AssertionError:
            continue
        return
    holds(5_000)


def test_what_others_do_is_seen_without_reloading_but_never_under_ones_hands(sit, fresh_scene):
    watcher = sit(fresh_scene)
    page = watcher.page
    page.clock.install()
    watcher.sign_in("viewer")
    state = page.locator("#profile-1 .pause .lamp")
    expect(state).to_have_text("RUNNING")

    with signed_in(fresh_scene, "operator") as client:
        seen = re.search(r'name="seen" value="([^"]+)"', client.get("/").text)
        assert seen is not None
        sent(client, "/profiles/demo/pause", seen=seen[1], reason="looking")
    seen_at_a_turn(page, lambda wait: expect(state).to_have_text("PAUSED", timeout=wait))

    page.get_by_role("switch").focus()
    with signed_in(fresh_scene, "operator") as client:
        seen = re.search(r'name="seen" value="([^"]+)"', client.get("/").text)
        assert seen is not None
        sent(client, "/profiles/demo/resume", seen=seen[1])
    page.clock.run_for(20_000)
    expect(state).to_have_text("PAUSED")
    page.evaluate("document.activeElement.blur()")
    seen_at_a_turn(page, lambda wait: expect(state).to_have_text("RUNNING", timeout=wait))


def test_a_page_that_cannot_be_fetched_anew_says_why(sit, fresh_scene):
    seat = sit(fresh_scene, "viewer", may_complain=True)
    page = seat.page
    page.clock.install()
    page.reload()
    silent = page.get_by_text("The server does not answer.")
    stranger = page.get_by_text("You are not signed in any more")
    expect(silent.or_(stranger)).to_have_count(2)
    expect(silent).to_be_hidden()
    expect(stranger).to_be_hidden()

    seat.page.context.set_offline(True)
    seen_at_a_turn(page, lambda wait: expect(silent).to_be_visible(timeout=wait))
    expect(stranger).to_be_hidden()

    seat.page.context.set_offline(False)
    seen_at_a_turn(page, lambda wait: expect(silent).to_be_hidden(timeout=wait))

    seat.page.context.clear_cookies()
    seen_at_a_turn(page, lambda wait: expect(stranger).to_be_visible(timeout=wait))
    expect(silent).to_be_hidden()


HASTY = """
const patient = AbortSignal.timeout;
AbortSignal.timeout = (milliseconds) => patient.call(AbortSignal, milliseconds / 100);
"""
"""A minute of the script's patience passes in 0.6 s."""


def test_a_server_that_takes_the_question_and_never_answers_is_told(sit, fresh_scene):
    page = sit(fresh_scene, "viewer", may_complain=True).page
    page.clock.install()
    page.reload()
    page.evaluate(HASTY)
    silent = page.get_by_text("The server does not answer.")
    page.route("**/*", lambda route: None)
    seen_at_a_turn(page, lambda wait: expect(silent).to_be_visible(timeout=wait))
    page.unroute_all(behavior="ignoreErrors")
    seen_at_a_turn(page, lambda wait: expect(silent).to_be_hidden(timeout=wait))
