"""The sample on real parts: its ledger in PostgreSQL, its exchange served over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.conftest import TEMPLATE, database_from

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.events import EventLog
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.adapters.postgres.sample_rows import load_orders
from unghost.cycle import CycleReport, run_cycle
from unghost.demo.house import QUIET_SECONDS
from unghost.demo.sample import ACCOUNT, PROFILE, Sample, build_sample
from unghost.demo.venue import running_venue
from unghost.desk import Desk
from unghost.model import Mode, ProfileRef, Rules

CHECKLIST = (Path(__file__).parent / "checklist.md").read_text(encoding="utf-8")


class Checklist:
    """The statements of the checklist, word for word, with the placeholders filled in."""

    def __init__(self, text: str) -> None:
        self._sections: dict[str, list[str]] = {}
        for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
            statements = re.findall(r"^```sql\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
            self._sections[part.split(".")[0]] = statements

    def statement(self, section: str, **names: str) -> str:
        """`5` is the first statement of section 5, `5b` the second."""
        number, letter = section[0], section[1:] or "a"
        text = self._sections[number]["ab".index(letter)]
        for name, value in names.items():
            text = text.replace(f"<<{name.upper()}>>", value)
        assert "<<" not in text
        return text


@dataclass(frozen=True)
class Scene:
    """The sample's ledger and exchange, and a desk at which its profile is paused."""

    conninfo: str
    sample: Sample
    desk: Desk
    checklist: Checklist

    def dry_run(self) -> CycleReport:
        return run_cycle(self.desk, actor="tester")

    def apply(self, plan: str | None = None) -> CycleReport:
        rules = replace(self.desk.rules, mode=Mode.APPLY)
        return run_cycle(replace(self.desk, rules=rules), actor="tester", plan=plan)

    def ask(self, section: str, **names: str) -> list[dict[str, Any]]:
        """Run a statement of the checklist as it stands there."""
        statement = self.checklist.statement(section, profile_id=PROFILE, **names)
        with psycopg.connect(self.conninfo, row_factory=dict_row) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.conninfo) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture(scope="session")
def checklist() -> Checklist:
    return Checklist(CHECKLIST)


@contextmanager
def open_scene(conninfo: str, checklist: Checklist) -> Iterator[Scene]:
    sample = build_sample(datetime.now(UTC))
    database = Database(conninfo)
    load_orders(database, sample.rows())
    TradingProfiles(database).pause(PROFILE, actor="tester", reason="closing ghosts")
    with running_venue(sample.world) as venue:
        account = open_account(sample, venue.base_url)
        desk = open_desk(database, account)
        yield Scene(conninfo=conninfo, sample=sample, desk=desk, checklist=checklist)
        account.close()
    database.close()


def open_account(sample: Sample, base_url: str) -> ExchangeAccount:
    keys = sample.world.account(ACCOUNT)
    return ExchangeAccount(
        ConnectionSpec(
            exchange="binanceusdm",
            market_type="swap",
            api_key=keys.api_key,
            secret=keys.secret,
            base_url=base_url,
            account="desk",
            timeout_seconds=10,
        )
    )


def open_desk(database: Database, account: ExchangeAccount) -> Desk:
    ledger = PostgresLedger(database)
    shape = ledger.shape()
    return Desk(
        profile=ProfileRef(profile_id=PROFILE, account="desk", account_profiles=(PROFILE,)),
        ledger=ledger,
        exchange=account,
        pause=TradingProfiles(database),
        events=EventLog(database),
        rules=Rules(
            quiet_seconds=QUIET_SECONDS,
            quantity_scale=shape.quantity_scale,
            price_scale=shape.price_scale,
            fee_scale=shape.fee_scale,
        ),
        enabled=True,
        throttle_ms=300_000,
        plan_ttl_minutes=60,
        ledger_in_contracts=False,
        settings_shown={},
        clock=lambda: datetime.now(UTC),
        own_pause=True,
    )


@pytest.fixture
def scene(database_url, checklist) -> Iterator[Scene]:
    """The sample as a bot has left it; nothing has been repaired."""
    with open_scene(database_url, checklist) as opened:
        yield opened


@dataclass(frozen=True)
class Story:
    """One scene, after a dry run, an apply of that plan, and another apply."""

    scene: Scene
    planned: CycleReport
    applied: CycleReport
    again: CycleReport


@pytest.fixture(scope="module")
def story(server, checklist) -> Iterator[Story]:
    with database_from(server, TEMPLATE) as conninfo, open_scene(conninfo, checklist) as scene:
        planned = scene.dry_run()
        plan = planned.batch.batch_id
        yield Story(
            scene=scene, planned=planned, applied=scene.apply(plan), again=scene.apply(plan)
        )
