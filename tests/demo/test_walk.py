"""`unghost demo` as a command: it ends well twice in a row, and leaves nothing running."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from unghost.adapters.postgres.embedded import embedded_database
from unghost.demo import commands, walk
from unghost.demo.cases import CASES
from unghost.demo.checks import StepFailed
from unghost.demo.sample import PROFILE
from unghost.demo.serving import served_console
from unghost.demo.steps import STEPS
from unghost.errors import EnvironmentFailure
from unghost.settings.variables import OUR_PREFIXES

PATIENCE_SECONDS = 200
"""For a whole demo, while other tests keep the machine busy."""

REFUSED = {case.trade_id for case in CASES if not case.repaired}
WRITTEN = sum(case.rows for case in CASES)

pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


def environment(home, **more):
    """An empty HOME, and settings that would lead the demo astray if it heeded them."""
    empty = home / "empty"
    empty.mkdir(exist_ok=True)
    kept = {name: text for name, text in os.environ.items() if not name.startswith(OUR_PREFIXES)}
    return kept | {
        "HOME": str(empty),
        "UNGHOST_HOME": str(home),
        "DATABASE_URL": "postgresql://bot:secret@127.0.0.1:1/none",
        "RECON_EXIT_BACKFILL_REQUIRE_PAUSE": "false",
        **more,
    }


@contextmanager
def started(home, *arguments) -> Iterator[subprocess.Popen[str]]:
    """A demo in a process group of its own; stopped where a test fails."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "unghost", "demo", *arguments],
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield demo
    finally:
        if demo.poll() is None:
            demo.terminate()
        demo.wait(timeout=60)
        for stream in (demo.stdout, demo.stderr):
            stream.close()


def run_demo(home, *arguments):
    with started(home, *arguments) as demo:
        out, err = demo.communicate(timeout=PATIENCE_SECONDS)
        assert still_running(home, demo.pid) == []
    assert "Traceback" not in out + err
    return demo.returncode, out, err


def still_running(home, group):
    """Commands of the demo's process group, and servers whose data is in its home."""
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pgid=,stat=,command="], capture_output=True, text=True, check=True
    ).stdout
    processes = [line.split(None, 2) for line in listed.splitlines()]
    return [
        command
        for pgid, stat, command in (one for one in processes if len(one) == 3)
        if not stat.startswith("Z") and (int(pgid) == group or f"{home}/" in command)
    ]


def left_running(home, group):
    """What has not ended after a while: a server that is being stopped needs a moment for it."""
    deadline = time.monotonic() + 30
    while (found := still_running(home, group)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def asked(home, statement):
    """Ask the database that the demo has left."""
    with (
        embedded_database(home / "demo") as conninfo,
        psycopg.connect(conninfo, row_factory=dict_row) as connection,
    ):
        return connection.execute(statement).fetchall()


def test_it_ends_well_twice_in_a_row_and_leaves_its_data(unghost_home, checklist):
    code, out, err = run_demo(unghost_home)
    assert (code, "All 15 steps ended as they must" in out) == (0, True), out[-2000:] + err
    assert "\x1b" not in out
    assert [step.title for step in STEPS if step.title not in out] == []
    assert [case.trade_id for case in CASES if case.happened.split(maxsplit=1)[0] not in out] == []

    picture = unghost_home / "demo.svg"
    code, out, err = run_demo(unghost_home, "--json", "--svg", str(picture))
    told = json.loads(out)
    assert (code, told["ok"]) == (0, True), err[-2000:]
    assert told["lifecycles_open"]["before"] == len(CASES)
    assert told["lifecycles_open"]["reinstated"] == len(REFUSED)
    check_picture(picture.read_text(encoding="utf-8"), str(unghost_home))
    check_what_is_left(unghost_home, checklist, told["applied_batch_id"])
    check_that_one_can_look_around(unghost_home)


def check_picture(svg, home):
    assert svg.startswith("<svg")
    assert "Go&#160;or&#160;no-go" in svg
    assert "@font-face" not in svg
    assert home not in svg
    assert not re.search(r"[ (\"'&;=]/(?!f?api|svg|/)\w+/", re.sub(r"</?\w[^>]*>", "", svg))


def check_what_is_left(home, checklist, batch_id):
    """The final state: applied, rolled back, reinstated."""
    for section in ("1", "8"):
        rows = asked(home, checklist.statement(section, profile_id=PROFILE))
        assert {row["trade_id"] for row in rows} == REFUSED
    verified = asked(home, checklist.statement("5", profile_id=PROFILE))
    assert batch_id in {row["batch_id"] for row in verified}
    count = asked(home, checklist.statement("5b", profile_id=PROFILE))
    assert count == [{"dry_run_backfill_rows": WRITTEN}]
    written = asked(home, checklist.statement("7", profile_id=PROFILE))
    assert [row["status"] for row in written] == ["filled"] * WRITTEN
    decisions = asked(home, checklist.statement("8b", profile_id=PROFILE))
    assert {row["decision"]: row["rows"] for row in decisions} == {
        "APPLIED": WRITTEN,
        "DRY_RUN": WRITTEN,
        "NO_GO": 3 * len(REFUSED),
        "SKIP_EXISTING": WRITTEN,
    }


def check_that_one_can_look_around(home):
    """By the file of variables that the demo names at its end."""
    script = f'unset DATABASE_URL; . "{home}/demo/environment"; exec "$0" -m unghost status --json'
    ran = subprocess.run(
        ["sh", "-c", script, sys.executable],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert json.loads(ran.stdout)["pause"]["state"] == "PAUSED", ran.stderr


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_it_leaves_nothing_running_when_it_is_ended(unghost_home, number):
    with started(unghost_home) as demo:
        wait_for(demo, "2. Doctor")
        os.killpg(demo.pid, number) if number == signal.SIGINT else demo.send_signal(number)
        _, err = demo.communicate(timeout=60)
        assert demo.returncode == 128 + number
        assert "Traceback" not in err
        assert left_running(unghost_home, demo.pid) == []
    with open(unghost_home / "demo" / "demo.lock", "rb") as lock:  # noqa: PTH123 - to be locked
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for(demo, words):
    deadline = time.monotonic() + PATIENCE_SECONDS
    for line in demo.stdout:
        if words in line:
            return
        assert time.monotonic() < deadline
    pytest.fail(f"the demo ended before it said {words!r}: {demo.stderr.read()}")


def test_with_serve_it_stays_until_it_is_told_to_end(unghost_home, monkeypatch):
    monkeypatch.setattr(walk, "STEPS", STEPS[:1])
    monkeypatch.setattr(walk, "_sum_up", lambda *_, **__: None)
    monkeypatch.setattr(walk, "served_console", console := Watched(served_console))
    refusals = []

    def look_and_end() -> None:
        refusals.append(why_no_plan_can_be_applied(console.served))
        raise KeyboardInterrupt

    monkeypatch.setattr(signal, "pause", look_and_end)
    monkeypatch.setenv("UNGHOST_HOME", str(unghost_home))
    assert walk.walk(serve=True) == 0
    assert refusals == [""]


class Watched:
    """The true console, and where it was served."""

    def __init__(self, serve):
        self._serve = serve
        self.served = None

    @contextmanager
    def __call__(self, *args, **more):
        with self._serve(*args, **more) as self.served:
            yield self.served


def why_no_plan_can_be_applied(served) -> str:
    """What an approver is told of a plan that was just made; empty where it may be applied."""
    headers = {"Authorization": f"Bearer {served.tokens['approver']}"}
    with httpx.Client(base_url=served.base_url, headers=headers, timeout=60) as client:
        batch_id = client.post("/api/v1/profiles/demo/cycles", json={}).json()["batch_id"]
        return client.get(f"/api/v1/batches/{batch_id}").json()["cannot_apply"]


def test_two_at_once_are_told(unghost_home):
    folder = unghost_home / "demo"
    folder.mkdir()
    with (folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = run_demo(unghost_home)
    assert code == 4
    assert "Another demo is running" in err


def test_a_step_that_goes_wrong_is_told_and_leaves_nothing_running(unghost_home, monkeypatch):
    wrong = (STEPS[0], replace(STEPS[3], code=9))
    monkeypatch.setattr(walk, "STEPS", wrong)
    monkeypatch.setenv("UNGHOST_HOME", str(unghost_home))
    with pytest.raises(StepFailed, match=r"step 2 \(Pause trading\): exit code 0, expected 9"):
        walk.walk()
    assert servers_of(unghost_home) == []


def test_an_outcome_that_is_not_the_promised_one_is_told(unghost_home, monkeypatch):
    monkeypatch.setattr(walk, "STEPS", (STEPS[0], replace(STEPS[3], check=STEPS[4].check)))
    monkeypatch.setenv("UNGHOST_HOME", str(unghost_home))
    with pytest.raises(StepFailed, match="no dry_run batch was recorded"):
        walk.walk()
    assert servers_of(unghost_home) == []


def servers_of(home):
    return [command for command in still_running(home, -1) if "postgres" in command]


def test_a_command_that_hangs_is_stopped(unghost_home, monkeypatch):
    monkeypatch.setattr(commands, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(EnvironmentFailure, match="did not end within"):
        commands.run_unghost(["detect"], environment(unghost_home))


def test_a_folder_that_cannot_be_used_is_told(unghost_home):
    (unghost_home / "demo").write_text("a file is in the way")
    code, _, err = run_demo(unghost_home)
    assert code == 3
    assert "UNGHOST_HOME" in err


def test_a_picture_without_a_folder_is_refused_before_anything_starts(unghost_home):
    code, _, err = run_demo(unghost_home, "--svg", str(unghost_home / "none" / "demo.svg"))
    assert code == 3
    assert "no folder" in err
    assert not (unghost_home / "demo").exists()
