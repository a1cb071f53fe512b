"""The console as people meet it: a served one on the sample, and a browser before it.

One server, one browser for the whole run; each test that writes gets its own database behind it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.conftest import TEMPLATE, database_from

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sample_rows import load_orders
from unghost.demo.house import API_KEY_VARIABLE, QUIET_SECONDS, SECRET_VARIABLE, profile_file
from unghost.demo.sample import ACCOUNT, Sample, build_sample
from unghost.demo.serving import Served, served_console
from unghost.demo.venue import running_venue

PATIENCE_MS = 30_000
"""Far more than any page takes: a busy machine is no reason to fail."""

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Scene:
    """A served console, and the database behind it."""

    served: Served
    conninfo: str
    sample: Sample

    @property
    def base_url(self) -> str:
        return self.served.base_url

    def database(self) -> Database:
        return Database(self.conninfo)


@contextmanager
def open_scene(server: str, folder: Path) -> Iterator[Scene]:
    sample = build_sample(datetime.now(UTC))
    keys = sample.world.account(ACCOUNT)
    with database_from(server, TEMPLATE) as conninfo, running_venue(sample.world) as venue:
        database = Database(conninfo)
        load_orders(database, sample.rows())
        database.close()
        config = folder / "unghost.toml"
        config.write_text(profile_file(venue.base_url), encoding="utf-8")
        variables = {
            "DATABASE_URL": conninfo,
            "UNGHOST_CONFIG": str(config),
            "UNGHOST_HOME": str(folder),
            "ENABLE_RECON_EXIT_BACKFILL": "true",
            "RECON_EXIT_BACKFILL_DRY_RUN": "false",
            "UNGHOST_LOOP": "off",
            "RECON_EXIT_BACKFILL_QUIET_SECONDS": str(QUIET_SECONDS),
            API_KEY_VARIABLE: keys.api_key,
            SECRET_VARIABLE: keys.secret,
        }
        with served_console(variables, tell=lambda _: None) as served:
            yield Scene(served=served, conninfo=conninfo, sample=sample)


@pytest.fixture(scope="session")
def scene(server, tmp_path_factory) -> Iterator[Scene]:
    """The sample as the bot has left it when the run begins; tests share it, in order."""
    with open_scene(server, tmp_path_factory.mktemp("console")) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, headless. What drives it keeps an event loop running in this thread, and
    tests of other modules want one of their own: so it ends with the module.
    """
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium on PATH: apt-get install chromium")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=alone)
        yield opened
        opened.close()


@dataclass
class Seat:
    """A browser window of one person. `noise` is what its console and network complained of."""

    page: Page
    scene: Scene
    noise: list[str]
    hosts: set[str]

    def sign_in(self, role: str) -> Seat:
        self.page.goto(f"{self.scene.base_url}/")
        self.page.get_by_label("Token").fill(self.scene.served.tokens[role])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.scene.base_url}/")
        return self

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.scene.base_url}{path}")
        return self.page


@contextmanager
def seated(browser: Browser, scene: Scene, **how) -> Iterator[Seat]:
    context: BrowserContext = browser.new_context(**how)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    seat = Seat(page=page, scene=scene, noise=[], hosts=set())
    page.on("console", lambda said: seat.noise.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: seat.noise.append(str(error)))
    context.on("request", lambda asked: seat.hosts.add(asked.url.split("/")[2]))
    try:
        yield seat
    finally:
        context.close()


@pytest.fixture
def fresh_scene(server, tmp_path) -> Iterator[Scene]:
    """The same, and nobody else's."""
    with open_scene(server, tmp_path) as opened:
        yield opened


@pytest.fixture
def sit(browser):
    """Seats people before a scene; nothing may complain, and nothing may come from elsewhere."""
    with ExitStack() as stack:
        taken: list[tuple[Seat, bool]] = []

        def seat(
            scene: Scene, role: str | None = None, *, may_complain: bool = False, **how
        ) -> Seat:
            opened = stack.enter_context(seated(browser, scene, **how))
            taken.append((opened, may_complain))
            return opened.sign_in(role) if role else opened

        yield seat
        for one, may_complain in taken:
            assert one.hosts <= {one.scene.base_url.split("/")[2]}
            assert may_complain or one.noise == []
