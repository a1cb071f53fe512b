"""Figures: the same from every process, and everything that ops/ looks at is there."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families
from tests.web.conftest import served, wait_for
from tests.web.test_loop import opened

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.figures import (
    CYCLE_BOUNDS,
    ENDLESS,
    Figure,
    Figures,
    Starter,
    buckets,
)
from unghost.demo.venue.faults import Fault, FaultKind
from unghost.worker.cycles import run_profile

OPS = Path(__file__).resolve().parents[2] / "ops"
CYCLES = "/api/v1/profiles/main/cycles"
POSITIONS = "/fapi/v3/positionRisk"
ONE_FAILURE = Fault(kind=FaultKind.STATUS, endpoint="positionRisk", status=503).on_call(1)


class Scraped:
    """What Prometheus would keep of one scrape."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    @property
    def names(self) -> set[str]:
        return {sample.name for sample in self._samples}

    def of(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name with these labels; 0 where there are none."""
        wanted = labels.items()
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and wanted <= sample.labels.items()
        )


def scraped(client) -> Scraped:
    return Scraped(client.get("/metrics").text)


def cycles_of(found: Scraped, starter: str) -> float:
    return found.of("unghost_cycle_duration_seconds_count", profile="main", starter=starter)


def test_a_cycle_of_a_person_is_counted_with_its_calls_and_errors(bench, service):
    bench.ghost("t-1")
    bench.venue.fault(ONE_FAILURE)
    olga = service("olga")
    before = scraped(olga)
    wait_for(olga, olga.post(CYCLES, json={}).json()["batch_id"])
    olga.app.state.operations.close()  # what is counted at the end of a cycle is counted now
    after = scraped(olga)

    calls = [
        found.of("unghost_exchange_calls_total", endpoint=POSITIONS) for found in (before, after)
    ]
    asked = [one for one in bench.venue.requests() if one.path == POSITIONS]
    assert calls == [0, len(asked)]
    wrong = {"exchange": "binanceusdm", "profile": "main", "kind": "unavailable"}
    assert before.of("unghost_exchange_errors_total") == 0
    assert after.of("unghost_exchange_errors_total", **wrong) == 1
    assert after.of("unghost_exchange_errors_total") == 1
    assert (cycles_of(before, "person"), cycles_of(after, "person")) == (0, 1)
    assert after.of("unghost_cycle_duration_seconds_sum", starter="person") > 0


def test_looking_at_evidence_is_counted_too(bench, service):
    bench.ghost("t-1")
    vera = service("vera")
    vera.get("/api/v1/profiles/main/evidence", params={"symbol": "BTCUSDT"}).raise_for_status()
    found = scraped(vera)
    assert found.of("unghost_exchange_calls_total") == len(bench.venue.requests())
    assert cycles_of(found, "person") == 0


def test_cycles_of_the_loop_in_another_process_are_counted_as_such(bench, configured):
    bench.ghost("t-1")
    settings = configured(UNGHOST_LOOP="dry_run")
    with opened(settings) as (house, notifier):
        for _ in range(2):
            run_profile(house, "main", worker="w", notifier=notifier)
    with served(settings) as client_of:
        found = scraped(client_of("vera"))
    assert (cycles_of(found, "loop"), cycles_of(found, "person")) == (2, 0)
    assert found.of("unghost_exchange_calls_total") == len(bench.venue.requests())


def test_a_cycle_that_fails_is_counted(bench, configured, monkeypatch):
    monkeypatch.setattr("unghost.worker.cycles.FIRST_WAIT_SECONDS", 0)
    settings = configured(UNGHOST_LOOP="dry_run")
    monkeypatch.delenv("MAIN_SECRET")
    with opened(settings) as (house, notifier):
        run_profile(house, "main", worker="w", notifier=notifier)
        numbers = house.figures.of(["main"])["main"]
    assert dict(buckets(Starter.LOOP, numbers)[0])[ENDLESS] == 1


@pytest.mark.parametrize(
    ("seconds", "bound"), (("0.5", "0.5"), ("0.51", "1"), ("60", "60"), ("601", "+Inf"))
)
def test_a_cycle_is_in_the_bucket_of_its_length_and_in_all_wider_ones(database, seconds, bound):
    figures = Figures(database)
    figures.took("main", Starter.LOOP, Decimal(seconds))
    figures.took("main", Starter.PERSON, Decimal(1))
    counts, total = buckets(Starter.LOOP, figures.of(["main"])["main"])
    bounds = [*map(str, CYCLE_BOUNDS), ENDLESS]
    first = bounds.index(bound)
    assert dict(counts) == {one: int(at >= first) for at, one in enumerate(bounds)}
    assert total == Decimal(seconds)


def test_bounds_of_another_release_stay_and_what_it_alone_counts_is_passed_over(database):
    figures = Figures(database)
    figures.took("main", Starter.LOOP, Decimal(1))
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO reconciliation_figure (profile_id, figure, label, part, number)"
            " VALUES ('main', 'cycle_seconds', 'loop', '45', 2), ('main', 'new', 'x', '', 1)"
        )
    numbers = figures.of(["main", "other"])
    assert numbers["other"] == {}
    assert {figure for figure, _, _ in numbers["main"]} == {Figure.CYCLE_SECONDS}
    counts, _ = buckets(Starter.LOOP, numbers["main"])
    assert [count for bound, count in counts if bound in {"30", "45", "60"}] == [1, 3, 3]


def test_what_cannot_be_counted_stops_nothing():
    gone = Database("host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    with Figures(gone).timing("main", Starter.PERSON):
        done = True
    gone.close()
    assert done


# --- ops/ --------------------------------------------------------------------------------------


def expressions() -> list[str]:
    board = json.loads((OPS / "grafana" / "unghost.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load((OPS / "alerts" / "unghost.yaml").read_text(encoding="utf-8"))
    return [
        *(target["expr"] for panel in board["panels"] for target in panel["targets"]),
        *(rule["expr"] for group in rules["groups"] for rule in group["rules"]),
    ]


def test_every_metric_that_ops_looks_at_is_there(queue, configured):
    queue.ghost("t-1")
    queue.run("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    settings = configured(UNGHOST_LOOP="dry_run")
    with opened(settings) as (house, notifier):
        run_profile(house, "main", worker="w", notifier=notifier)
    with served(settings) as client_of:
        names = scraped(client_of("vera")).names
    looked_at = {name for one in expressions() for name in re.findall(r"\bunghost_\w+", one)}
    assert len(looked_at) > 10
    assert looked_at <= names
