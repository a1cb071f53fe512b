"""Nothing is written unless somebody said PAUSED: unghost's own table, or the bot over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.cycle.bench import Bench, told

from unghost.adapters.pause import StatusUrlGate
from unghost.cycle import Outcome, go_no_go, run_cycle
from unghost.desk import Desk
from unghost.errors import RefusedError
from unghost.model import Decision, Mode, Reason
from unghost.ports import MISMATCH_EVENT
from unghost.rollback import reinstate, roll_back

APPLIED = [("t-1", Decision.APPLIED, Reason.FILL_EVIDENCE)]
NOT_PAUSED = [("t-1", Decision.NO_GO, Reason.PROFILE_NOT_PAUSED)]
UNKNOWN = [("t-1", Decision.NO_GO, Reason.PAUSE_STATUS_UNKNOWN)]


# --- our own table -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", tuple(Mode))
def test_a_profile_that_was_never_paused_is_left_alone(bench, mode):
    bench.ghost("t-1")
    report = run_cycle(bench.at(mode=mode), actor="tester")
    assert told(report) == NOT_PAUSED
    assert report.outcome is Outcome.REFUSED
    assert bench.backfills() == []


def test_a_profile_that_runs_again_is_left_alone(bench):
    bench.ghost("t-1")
    bench.pause()
    bench.resume()
    assert told(bench.apply()) == NOT_PAUSED


def test_the_pause_of_another_profile_is_no_pause(bench):
    bench.ghost("t-1")
    bench.pause("other")
    assert told(bench.apply()) == NOT_PAUSED


def test_the_gate_tells_who_paused_and_when(bench):
    bench.ghost("t-1")
    bench.pause()
    gate = bench.dry_run().audit[0].evidence["gates"][0]
    assert (gate["name"], gate["verdict"], gate["source"]) == (
        "profile_paused",
        "open",
        "trading_profile",
    )
    assert "by tester" in gate["detail"]


def test_a_pause_that_is_not_required_is_noted_in_every_batch(bench):
    bench.ghost("t-1")
    for report in (bench.dry_run(require_pause=False), bench.apply(require_pause=False)):
        assert report.batch is not None
        assert "RECON_EXIT_BACKFILL_REQUIRE_PAUSE is false" in report.batch.notes[0]
        gate = report.audit[0].evidence["gates"][0]
        assert gate["source"] == "RECON_EXIT_BACKFILL_REQUIRE_PAUSE=false"
    assert bench.closed_by_us() == Decimal("0.5")
    assert bench.apply(require_pause=True).batch.notes == ()


def test_a_pause_table_that_cannot_be_read_is_unknown(own_bench):
    own_bench.ghost("t-1")
    own_bench.pause()
    own_bench.run("ALTER TABLE trading_profile RENAME TO hidden")
    report = own_bench.apply()
    assert told(report) == UNKNOWN
    assert report.outcome is Outcome.ENVIRONMENT


# --- the bot's own status ----------------------------------------------------------------------


@dataclass
class Bot:
    """A bot that tells its status over HTTP; `before` is called with the number of the question."""

    url: str = ""
    status: int = 200
    body: bytes = b"PAUSED"
    silent: bool = False
    asked: int = 0
    before: Callable[[int], object] = lambda _: None


@pytest.fixture
def bot() -> Iterator[Bot]:
    told_by = Bot()
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told_by.asked += 1
            told_by.before(told_by.asked)
            if told_by.silent:
                done.wait(timeout=10)
                return
            self.send_response(told_by.status)
            self.send_header("Content-Length", str(len(told_by.body)))
            self.end_headers()
            self.wfile.write(told_by.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told_by.url = f"http://127.0.0.1:{server.server_port}/internal/trading/status?token=s3cret"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield told_by
    done.set()
    server.shutdown()
    server.server_close()


def asking(bench: Bench, bot: Bot) -> Desk:
    gate = StatusUrlGate(bot.url, timeout_seconds=0.3)
    return replace(bench.desk, pause=gate, own_pause=False)


@pytest.mark.parametrize(
    "body", (b"PAUSED", b"PAUSED\n", b'{"status": "PAUSED"}', b'{"status":"PAUSED","since":1}')
)
def test_a_bot_that_says_paused_opens_the_gate(bench, bot, body):
    bench.ghost("t-1")
    bot.body = body
    assert told(bench.apply(desk=asking(bench, bot))) == APPLIED


@pytest.mark.parametrize(
    "body",
    (
        b"RUNNING",
        b'{"status": "RUNNING"}',
        b"NOT PAUSED",
        b"paused",
        b'{"paused": true}',
        b'["PAUSED"]',
        b"<html>PAUSED</html>",
        b'{"state": "PAUSED"}',
    ),
)
def test_a_bot_that_says_anything_else_is_not_paused(bench, bot, body):
    bench.ghost("t-1")
    bot.body = body
    report = bench.apply(desk=asking(bench, bot))
    assert told(report) == NOT_PAUSED
    assert report.outcome is Outcome.REFUSED


@pytest.mark.parametrize("status", (204, 302, 401, 404, 500, 503))
def test_an_http_status_is_no_answer(bench, bot, status):
    bench.ghost("t-1")
    bot.status = status
    bot.body = b"" if status == 204 else b"PAUSED"
    report = bench.apply(desk=asking(bench, bot))
    assert told(report) == UNKNOWN
    assert report.outcome is Outcome.ENVIRONMENT


@pytest.mark.parametrize("body", (b"", b"   ", b'{"status": "PAU', b"\xff\xfe\x00"))
def test_a_body_that_cannot_be_read_is_no_answer(bench, bot, body):
    bench.ghost("t-1")
    bot.body = body
    assert told(bench.apply(desk=asking(bench, bot))) == UNKNOWN


def test_no_answer_at_all_is_unknown_and_shows_no_secret(bench, bot):
    bench.ghost("t-1")
    bot.silent = True
    report = bench.apply(desk=asking(bench, bot))
    assert told(report) == UNKNOWN
    words = report.audit[0].evidence["sentence"]
    assert "did not answer in time" in words
    assert "s3cret" not in str(report.audit[0].evidence)


def test_nobody_listening_is_unknown(bench):
    bench.ghost("t-1")
    gate = StatusUrlGate("http://127.0.0.1:9/status", timeout_seconds=0.3)
    report = bench.apply(desk=replace(bench.desk, pause=gate, own_pause=False))
    assert told(report) == UNKNOWN


def test_our_own_table_is_not_asked_where_the_bot_is(bench, bot):
    bench.ghost("t-1")
    bench.pause()
    bot.body = b"RUNNING"
    assert told(bench.apply(desk=asking(bench, bot))) == NOT_PAUSED


@pytest.mark.parametrize(("then", "expected"), ((b"RUNNING", NOT_PAUSED), (b"", UNKNOWN)))
def test_the_bot_is_asked_once_more_before_the_write(bench, bot, then, expected):
    bench.ghost("t-1")

    def change(number: int) -> None:
        if number == 2:
            bot.body = then

    bot.before = change
    assert told(bench.apply(desk=asking(bench, bot))) == expected
    assert bench.backfills() == []
    assert bot.asked == 2


def test_a_bot_that_went_on_is_a_no_go_and_cannot_have_rows_reinstated(bench, bot):
    bench.ghost("t-1")
    desk = asking(bench, bot)
    plan = bench.dry_run(desk).batch.batch_id
    applied = bench.apply(plan=plan, desk=desk).batch.batch_id
    bot.body = b"RUNNING"
    stops = [one.name for one in go_no_go(desk, plan).criteria if one.verdict == "no_go"]
    assert "pause_confirmed" in stops
    roll_back(desk, applied, actor="tester")
    with pytest.raises(RefusedError, match="RUNNING"):
        reinstate(desk, applied, actor="tester")


# --- the flag ----------------------------------------------------------------------------------


def test_without_the_flag_a_cycle_only_detects_and_tells(bench):
    bench.ghost("t-1")
    bench.pause()
    before = bench.digest()
    report = run_cycle(replace(bench.at(mode=Mode.APPLY), enabled=False), actor="tester")
    assert report.batch is None
    assert [one.key.trade_id for one in report.lifecycles] == ["t-1"]
    assert [one.event_type for one in report.events] == [MISMATCH_EVENT]
    assert report.outcome is Outcome.REMAINING
    assert bench.digest() == before
    for table in ("reconciliation_backfill_audit", "reconciliation_backfill_batch"):
        assert bench.rows(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - named above
    assert bench.asked("userTrades") == 0


def test_without_the_flag_a_clean_ledger_is_clean(bench):
    report = run_cycle(replace(bench.desk, enabled=False), actor="tester")
    assert report.outcome is Outcome.CLEAN
    assert bench.venue.requests() == ()
