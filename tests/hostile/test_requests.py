"""Whatever is sent to the service: an answer below 500, for people, and never anybody's markup."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from tests.hostile.harness import examples
from tests.hostile.requests import SAMPLES, TOKEN, Stage, staged


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@given(sample=SAMPLES)
@examples(400)
def test_no_request_brings_the_service_down(stage: Stage, sample):
    stage.try_(sample)


def head(first: str, *lines: str) -> bytes:
    """A request by somebody who may do everything."""
    usual = ("Connection: close", f"Authorization: Bearer {TOKEN}")
    return "\r\n".join((f"{first} HTTP/1.1", *usual, *lines, "", "")).encode("latin-1")


HOST = "Host: 127.0.0.1"
PAUSE = "POST /api/v1/profiles/main/pause"


@pytest.mark.parametrize(
    ("content", "status", "says"),
    (
        (head(PAUSE, HOST, "Content-Length: 0", "Origin: http://["), 403, "Another site"),
        (head("GET /api/v1/nowhere", "Host: ["), 400, "no name of a host"),
        (head(PAUSE, HOST, "Content-Length: 70000"), 413, "65536 bytes"),
        (head(PAUSE, HOST, f"Content-Length: {'9' * 19}"), 413, "65536 bytes"),
        (head(PAUSE, HOST, "Transfer-Encoding: chunked"), 411, "Content-Length"),
        (head("GET /api/v1/batches/a%00b", HOST), 422, "printable"),
        (head("GET /api/v1/audit?before=9223372036854775808", HOST), 422, "less than or equal"),
    ),
    ids=("origin", "host", "length", "longest length", "chunks", "NUL", "number"),
)
def test_what_was_found_is_refused_in_words(stage: Stage, content, status, says):
    """A body in chunks has no length: its end is not waited for, and nothing of it is read."""
    answer = stage.ask(content)
    assert answer.status == status
    assert says in json.loads(answer.text)["detail"]


@pytest.mark.parametrize(
    "path",
    (
        "/audit?decision=a%00b",
        "/audit?before=9223372036854775808",
        "/events?symbol=%00",
        "/profiles/main/lifecycle?symbol=%00&trade_id=t-1",
        "/batches/a%00b",
    ),
)
def test_a_page_tells_what_cannot_be_read(stage: Stage, path):
    cookie = stage.credentials("session")["Cookie"]
    answer = stage.ask(head(f"GET {path}", HOST, f"Cookie: {cookie}"))
    assert answer.status == 422
    assert "That cannot be read" in answer.text


def test_an_odd_way_on_leads_home(stage: Stage):
    answer = stage.ask(head("GET /login?next=http%3A//%5B", HOST))
    assert answer.status == 200
    assert 'name="next" value="/"' in answer.text
