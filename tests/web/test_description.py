"""The API against its own description: no server error whatever is sent, and answers as told."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.web.conftest import TOKENS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = settings(
    max_examples=4,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_whatever_is_sent_is_answered_as_described(bench, service):
    bench.ghost("t-1")
    bench.pause()
    bench.dry_run()
    app = service(None).app
    schema = schemathesis.openapi.from_asgi(app.openapi_url, app)
    headers = {"Authorization": f"Bearer {TOKENS['anna'][1]}"}
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @EXAMPLES
        def check(case):
            answer = case.call(headers=headers, base_url="http://127.0.0.1")
            case.validate_response(answer, checks=CHECKS)

        check()
        tried += 1
    assert tried > 25


@pytest.mark.parametrize(
    "path",
    (
        "/api/v1/profiles/main",
        "/api/v1/profiles/main/lifecycles",
        "/api/v1/audit",
        "/api/v1/events",
        "/api/v1/profiles",
        "/api/v1/profiles/main/batches",
        "/api/v1/profiles/main/lifecycle?symbol=BTCUSDT&trade_id=t-1",
        "/api/v1/profiles/main/explain?trade_id=t-1",
    ),
)
def test_what_is_really_there_fits_the_description(bench, service, path):
    bench.ghost("t-1")
    bench.pause()
    bench.dry_run()
    client = service("vera")
    schema = schemathesis.openapi.from_asgi(client.app.openapi_url, client.app)
    template = path.partition("?")[0].replace("/main", "/{profile_id}")
    operation = schema[template]["GET"]
    answer = client.get(path)
    assert answer.status_code == 200
    operation.validate_response(schemathesis.Response.from_httpx(answer, verify=False))


@pytest.mark.parametrize("hostile", ("a%00b", "%ff", "%ED%A0%80", "..%2f..", "'%20OR%201=1", "%0a"))
def test_hostile_words_are_answered_without_a_server_error(service, hostile):
    client = service("anna")
    for path in (
        f"/api/v1/profiles/{hostile}",
        f"/api/v1/batches/{hostile}",
        f"/api/v1/audit?trade={hostile}",
        f"/api/v1/profiles/main/explain?trade_id={hostile}",
        f"/internal/trading/status?profile={hostile}",
    ):
        assert client.get(path).status_code < 500, path


@pytest.mark.parametrize(
    "body", (b'{"reason": "\\u0000"}', b'{"reason": "\\ud800"}', b"[]", b"{", b"null", b'{"x": 1}')
)
def test_hostile_bodies_are_answered_without_a_server_error(service, body):
    client = service("anna")
    for path in ("/api/v1/profiles/main/pause", "/internal/trading/pause"):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, (path, answer.text)
