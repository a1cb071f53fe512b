"""Secrets are taken out of log lines and of everything that is shown."""

import json
import os
import subprocess
import sys

import pytest

from unghost.redaction import MASK, Redactor


@pytest.mark.parametrize(
    "text",
    (
        "postgresql://bot:hunter2000@db:5432/x",
        "GET /fapi/v1/userTrades?timestamp=1&signature=hunter2000&x=1",
        "password=hunter2000 host=db",
        "https://x/?api_key=hunter2000",
        "wss://u:hunter2000@x",
    ),
)
def test_what_is_shaped_like_a_secret_is_masked(text):
    cleaned = Redactor().clean(text)
    assert "hunter2000" not in cleaned
    assert MASK in cleaned


def test_a_known_secret_is_masked_wherever_it_is():
    redactor = Redactor()
    redactor.learn(["hunter2000", "hunter2000-and-more", "x"])
    assert redactor.clean("a hunter2000-and-more b hunter2000 x") == f"a {MASK} b {MASK} x"


@pytest.mark.parametrize(
    "spelled",
    ("a b/c=d&e+fg", "a%20b%2Fc%3Dd%26e%2Bfg", "a+b%2Fc%3Dd%26e%2Bfg", "YSBiL2M9ZCZlK2Zn"),
)
def test_a_known_secret_is_masked_in_every_spelling(spelled):
    redactor = Redactor()
    redactor.learn(["a b/c=d&e+fg"])
    assert redactor.clean(f"<{spelled}>") == f"<{MASK}>"


def test_values_are_cleaned_as_deep_as_they_go():
    redactor = Redactor()
    redactor.learn(["hunter2000"])
    event = {
        "event": "hunter2000",
        "api_key": "whatever",
        "api_key_env": "MAIN_API_KEY",
        "nested": {"list": ["hunter2000", 1, None], "secret": {"a": 1}},
        "error": ValueError("hunter2000"),
    }
    assert redactor.clean_event(event) == {
        "event": MASK,
        "api_key": MASK,
        "api_key_env": "MAIN_API_KEY",
        "nested": {"list": [MASK, 1, None], "secret": MASK},
        "error": f"ValueError: {MASK}",
    }


def logged(**environment: str) -> subprocess.CompletedProcess[str]:
    code = """
import structlog
from unghost.logs import bind_logs, configure_logs
from unghost.redaction import redactor
from unghost.settings import load_settings
configure_logs(load_settings())
redactor.learn(["hunter2000"])
bind_logs(profile_id="main", batch_id="b-1")
log = structlog.get_logger()
log.debug("quiet")
log.warning("loud", url="postgresql://bot:hunter2000@db/x", found="hunter2000")
try:
    raise ValueError("hunter2000")
except ValueError:
    log.exception("failed")
"""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize("form", ("console", "json"))
def test_logs_go_to_stderr_without_secrets_and_with_what_is_bound(form):
    run = logged(UNGHOST_LOG_FORMAT=form)
    assert run.stdout == ""
    assert "hunter2000" not in run.stderr
    assert "quiet" not in run.stderr
    for word in ("loud", "failed", "main", "b-1", "ValueError"):
        assert word in run.stderr


def test_json_logs_are_one_document_a_line():
    lines = [json.loads(line) for line in logged(UNGHOST_LOG_FORMAT="json").stderr.splitlines()]
    assert [line["event"] for line in lines] == ["loud", "failed"]
    assert lines[0]["level"] == "warning"
    assert lines[0]["timestamp"].endswith("Z")


def test_logs_elsewhere_than_on_a_terminal_are_json():
    assert json.loads(logged().stderr.splitlines()[0])["batch_id"] == "b-1"
