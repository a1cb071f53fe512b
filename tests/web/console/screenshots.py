"""`make screenshots`: every page of the console at two widths, on the sample's data.

A script and not a test: its pictures are looked at by people, and differ from run to run by times.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg.conninfo import make_conninfo
from tests.conftest import open_folder, prepare
from tests.web.console.conftest import Scene, open_scene, seated

from unghost.adapters.postgres.embedded import embedded_database
from unghost.demo.cases import CASES

MOST_BYTES = 200_000
ROWS = sum(case.rows for case in CASES)
WIDTHS = {"wide": {"width": 1280, "height": 1000}, "narrow": {"width": 390, "height": 844}}
LIFECYCLE = "/profiles/demo/lifecycle?symbol=BTCUSDT&trade_id=t-2001"


def main(folder: Path) -> int:
    """Walk the way once, and take every picture on it in both widths."""
    home = open_folder()
    try:
        with embedded_database(home) as conninfo:
            admin = make_conninfo(conninfo, dbname="postgres")
            prepare(admin)
            with (
                tempfile.TemporaryDirectory() as own,
                open_scene(admin, Path(own)) as scene,
                sync_playwright() as playwright,
            ):
                alone = ["--disable-lcd-text"] + ["--no-sandbox"] * (os.geteuid() == 0)
                program = shutil.which("chromium")
                browser = playwright.chromium.launch(executable_path=program, args=alone)
                photograph(browser, scene, folder)
                browser.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


def photograph(browser: Browser, scene: Scene, folder: Path) -> None:
    with (
        seated(browser, scene, viewport=WIDTHS["wide"]) as wide,
        seated(browser, scene, viewport=WIDTHS["narrow"], color_scheme="dark") as narrow,
    ):
        shots = Shots(folder=folder, pages={"wide": wide.page, "narrow": narrow.page}, scene=scene)
        shots.take("login", "/login")
        wide.sign_in("approver")
        narrow.sign_in("approver")
        page = wide.page
        page.get_by_role("switch").click()
        expect(page.get_by_role("status")).to_contain_text("paused")
        wide.go("/profiles/demo")
        page.get_by_role("button", name="Dry run").click()
        page.get_by_label("Type").wait_for()
        plan = page.url.removeprefix(scene.base_url)
        shots.take("overview", "/")
        shots.take("profile", "/profiles/demo", wait_for_go=True)
        shots.take("lifecycle", LIFECYCLE)
        page.goto(f"{scene.base_url}{plan}")
        page.get_by_label("Type").fill(str(ROWS))
        page.get_by_role("button", name="Apply this plan").click()
        page.get_by_role("link", name="Roll back").wait_for()
        applied = page.url.removeprefix(scene.base_url)
        shots.take("batch", applied)
        shots.take("rollback", f"{applied}/rollback")
        shots.take("audit", "/audit?symbol=nearusdt")
        shots.take("events", "/events?type=batch_finished")


class Shots:
    """Takes a page in every width."""

    def __init__(self, *, folder: Path, pages: dict[str, Page], scene: Scene) -> None:
        self.folder = folder
        self.pages = pages
        self.scene = scene

    def take(self, name: str, path: str, *, wait_for_go: bool = False) -> None:
        for width, page in self.pages.items():
            page.goto(f"{self.scene.base_url}{path}")
            if wait_for_go:
                page.get_by_label("Type").wait_for()
            page.mouse.move(0, 0)
            target = self.folder / f"console-{name}-{width}.png"
            page.screenshot(path=target, animations="disabled")
            size = target.stat().st_size
            if size > MOST_BYTES:
                raise SystemExit(f"{target} has {size} bytes, more than {MOST_BYTES}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
