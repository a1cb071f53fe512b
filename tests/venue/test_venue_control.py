"""The control endpoints, and the venue as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
import requests

from unghost.demo.venue import (
    ControlRefusedError,
    Fault,
    FaultKind,
    Venue,
    VenueControl,
    running_venue,
    spawned_venue,
)
from unghost.demo.world import Execution, Override, PositionMode, Side, World

BTC = "BTC/USDT:USDT"
BUY = Execution(
    account="main", symbol=BTC, side=Side.BUY, quantity=Decimal("0.5"), price=Decimal(9)
)


@pytest.fixture
def control(venue: Venue) -> VenueControl:
    return VenueControl(venue.base_url)


@pytest.fixture
def started(world: World, tmp_path: Path) -> Iterator[Any]:
    """Start `python -m unghost.demo.venue` with more arguments; what still runs is ended."""
    file = tmp_path / "world.json"
    file.write_text(world.to_json(), encoding="utf-8")
    processes: list[subprocess.Popen[str]] = []

    def start(*more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "unghost.demo.venue", "--world", str(file), *more]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def is_listening(base_url: str) -> bool:
    try:
        return requests.get(f"{base_url}/fapi/v1/ping", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_an_execution_can_be_posted(control: VenueControl, world: World) -> None:
    (fill,) = control.apply(BUY)
    assert world.fills("main") == (fill,)
    assert fill.quantity == Decimal("0.5")


def test_a_position_can_be_overridden_and_let_go(control: VenueControl, world: World) -> None:
    control.override(Override(account="main", symbol=BTC, quantity=Decimal(-2)))
    assert [each.quantity for each in world.positions("main")] == [Decimal(-2)]
    control.clear_overrides()
    assert world.positions("main") == ()


def test_the_mode_and_the_clock_can_be_changed(control: VenueControl, world: World) -> None:
    control.set_mode("main", PositionMode.HEDGE)
    assert world.account("main").mode is PositionMode.HEDGE
    control.skew(-90_000)
    assert world.clock.offset_ms == -90_000


def test_faults_travel_whole(control: VenueControl, venue: Venue) -> None:
    fault = Fault(
        kind=FaultKind.EDIT_WORLD,
        endpoint="positionRisk",
        where={"symbol": "BTCUSDT"},
        executions=(BUY,),
        value=7,
    ).on_call(3)
    control.fault(fault)
    assert control.faults() == venue.faults() == (fault,)
    control.clear_faults()
    assert venue.faults() == ()


def test_the_world_can_be_read(control: VenueControl, world: World) -> None:
    control.apply(BUY)
    assert control.world().state() == world.state()


def test_the_log_can_be_read_and_cleared(control: VenueControl, ask: Any, venue: Venue) -> None:
    ask(lambda client: client.fetch_time())
    ask(lambda client: client.fetch_positions())
    assert control.requests() == venue.requests()
    assert [line.endpoint for line in control.requests("time")] == ["time"]
    control.clear_requests()
    assert control.requests() == ()


def test_the_rate_limit_can_be_switched(control: VenueControl, ask: Any) -> None:
    control.limit_weight(1)
    with pytest.raises(ccxt.DDoSProtection):
        ask(lambda client: client.fetch_positions())
    control.limit_weight(None)
    assert ask(lambda client: client.fetch_positions()) == []


def test_what_makes_no_sense_is_refused_in_words(control: VenueControl, venue: Venue) -> None:
    with pytest.raises(ControlRefusedError, match="nobody"):
        control.apply(Execution(**{**vars(BUY), "account": "nobody"}))
    answer = requests.post(f"{venue.base_url}/_sim/faults", json={"kind": "typo"}, timeout=5)
    assert (answer.status_code, "typo" in answer.json()["error"]) == (400, True)
    answer = requests.get(f"{venue.base_url}/_sim/elsewhere", timeout=5)
    assert answer.status_code == 404


@pytest.mark.parametrize("headers", ({"Origin": "http://a.example"}, {"Host": "a.example"}))
def test_a_page_in_a_browser_gets_nothing(venue: Venue, headers: dict[str, str]) -> None:
    answer = requests.get(f"{venue.base_url}/_sim/world", headers=headers, timeout=5)
    assert answer.status_code == 403


def test_shutdown_ends_the_venue(control: VenueControl) -> None:
    assert is_listening(control.base_url)
    control.shutdown()
    until = time.monotonic() + 10
    while is_listening(control.base_url) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_listening(control.base_url)


def test_a_delayed_answer_does_not_hold_up_the_end(world: World) -> None:
    with running_venue(world) as venue:
        venue.fault(Fault(kind=FaultKind.DELAY, delay_ms=60_000))
        with pytest.raises(requests.Timeout):
            requests.get(f"{venue.base_url}/fapi/v1/ping", timeout=0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def test_a_port_that_is_taken_is_an_error(venue: Venue) -> None:
    port = int(venue.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), running_venue(World(), port=port):
        pass


def test_a_spawned_venue_answers_and_ends(world: World) -> None:
    with spawned_venue(world) as control:
        assert [each.name for each in control.world().accounts] == ["main", "hedged"]
        control.apply(BUY)
        assert world.fills("main") == ()
        address = control.base_url
        assert is_listening(address)
    assert not is_listening(address)


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_a_process_announces_itself_and_stops_on_a_signal(
    started: Any, tmp_path: Path, number: signal.Signals
) -> None:
    announced = tmp_path / "announced.json"
    process = started("--announce", str(announced))
    line = json.loads(process.stdout.readline())
    assert line == {"base_url": line["base_url"], "pid": process.pid}
    assert is_listening(line["base_url"])
    assert line["base_url"].startswith("http://127.0.0.1:")
    process.send_signal(number)
    assert process.wait(timeout=10) == 0
    assert json.loads(announced.read_text(encoding="utf-8")) == line
    assert process.stderr.read() == ""


def test_a_process_ends_after_its_longest_life(started: Any) -> None:
    assert started("--max-life", "1").wait(timeout=15) == 0


def test_a_process_ends_when_its_parent_is_gone(world: World, tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    announced = tmp_path / "announced.json"
    file.write_text(world.to_json(), encoding="utf-8")
    arguments = ["-m", "unghost.demo.venue", "--world", str(file), "--announce", str(announced)]
    code = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, *{arguments!r}], stdout=subprocess.DEVNULL)\n"
        f"while not os.path.exists({str(announced)!r}): time.sleep(0.05)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, env=environment())
    address = json.loads(announced.read_text(encoding="utf-8"))["base_url"]
    until = time.monotonic() + 15
    while is_listening(address) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_listening(address)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    (
        (["--max-life", "0"], 2, "between 1 and"),
        (["--world", "no-such-file"], 3, "no-such-file"),
        (["--world", "pyproject.toml"], 3, "Invalid JSON"),
    ),
)
def test_a_process_says_why_it_does_not_start(
    started: Any, arguments: list[str], code: int, complaint: str
) -> None:
    process = started(*arguments)
    _, said = process.communicate(timeout=15)
    assert process.returncode == code
    assert complaint in said
