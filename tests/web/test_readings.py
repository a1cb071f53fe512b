"""A trading status is read once for a crowd, and never before the question."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import closing

import httpx
import pytest
from fastapi import FastAPI
from tests.cycle.bench import PROFILE

from unghost.adapters.notifications import Notifier
from unghost.adapters.postgres.events import EventLog
from unghost.assembly import open_house
from unghost.errors import RefusedError
from unghost.model import PauseReading, PauseState
from unghost.web.access import Seats
from unghost.web.app import create_app
from unghost.web.operations import Operations
from unghost.web.readings import SharedReadings

PATIENCE_SECONDS = 20


class Held:
    """Reads the true status; holds the answer back until it is let go."""

    def __init__(self, profiles) -> None:
        self.profiles = profiles
        self.count = 0
        self.begun, self.go_on = threading.Event(), threading.Event()

    def read(self, profile_id: str) -> PauseReading:
        self.count += 1
        found = self.profiles.read(profile_id)
        self.begun.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return found


async def begun(held: Held) -> None:
    assert await asyncio.to_thread(held.begun.wait, PATIENCE_SECONDS)


def test_a_pause_is_told_to_whoever_asks_after_it_while_an_older_reading_runs(bench):
    held = Held(bench.profiles)

    async def asked(readings: SharedReadings) -> list[PauseState]:
        early = asyncio.create_task(readings.read(PROFILE))
        await begun(held)
        await asyncio.to_thread(bench.pause)
        late = [asyncio.create_task(readings.read(PROFILE)) for _ in range(50)]
        await asyncio.sleep(0)
        held.go_on.set()
        return [one.state for one in await asyncio.gather(early, *late)]

    with closing(SharedReadings(held.read, at_once=2)) as readings:
        states = asyncio.run(asked(readings))
    assert states == [PauseState.RUNNING, *[PauseState.PAUSED] * 50]
    assert held.count == 2


def test_nothing_is_kept_for_later(bench):
    held = Held(bench.profiles)
    held.go_on.set()
    with closing(SharedReadings(held.read, at_once=2)) as readings:
        for change, state in ((bench.pause, "PAUSED"), (bench.resume, "RUNNING")):
            change()
            assert asyncio.run(readings.read(PROFILE)).state == state
    assert held.count == 2


def test_one_who_goes_away_takes_the_reading_from_nobody(bench):
    held = Held(bench.profiles)

    async def asked(readings: SharedReadings) -> PauseState:
        impatient, patient = (asyncio.create_task(readings.read(PROFILE)) for _ in range(2))
        await begun(held)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        held.go_on.set()
        return (await patient).state

    with closing(SharedReadings(held.read, at_once=2)) as readings:
        assert asyncio.run(asked(readings)) == PauseState.RUNNING
    assert held.count == 1


def test_what_goes_wrong_is_told_to_all_and_not_to_the_next():
    answers = iter((RefusedError("no"), RefusedError("still no")))

    def read(_profile_id: str) -> PauseReading:
        raise next(answers)

    async def asked(readings: SharedReadings) -> list[str]:
        both = (readings.read(PROFILE), readings.read(PROFILE))
        first = await asyncio.gather(*both, return_exceptions=True)
        with pytest.raises(RefusedError) as later:
            await readings.read(PROFILE)
        return [*map(str, first), str(later.value)]

    with closing(SharedReadings(read, at_once=2)) as readings:
        assert asyncio.run(asked(readings)) == ["no", "no", "still no"]


def test_a_crowd_that_asks_for_the_open_lifecycles_costs_two_readings(bench, configured):
    bench.ghost("t-1")
    bench.dry_run()
    with open_house(configured()) as house:
        notifier = Notifier("", EventLog(house.database), throttle_seconds=0)
        with closing(Operations(house, notifier)) as operations:
            count = itertools.count()
            true = operations.lifecycle_lists._read
            operations.lifecycle_lists._read = lambda name: (next(count), true(name))[1]
            app = create_app(operations, Seats((), operator="machine"))
            answers = asyncio.run(crowd(app, "/api/v1/profiles/main/lifecycles", 50))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    (found,) = answers[0].json()["lifecycles"]
    assert (found["trade_id"], found["last"]["reason"]) == ("t-1", "profile_not_paused")
    assert "evidence" not in found["last"]
    assert next(count) <= 2


async def crowd(app: FastAPI, path: str, size: int) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await asyncio.gather(*(client.get(path) for _ in range(size)))
