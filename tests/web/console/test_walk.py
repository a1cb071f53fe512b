"""The operator's whole way, in a browser, on the sample's ledger and the simulated venue."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from unghost.adapters.postgres.sample_rows import orders_state
from unghost.demo.cases import CASES

ROWS = sum(case.rows for case in CASES)
REPAIRED = sum(case.repaired for case in CASES)
LIFECYCLE = "/profiles/demo/lifecycle?symbol=BTCUSDT&trade_id=t-2001"


def backfills(scene) -> int:
    database = scene.database()
    try:
        return orders_state(database).backfill_rows
    finally:
        database.close()


def pause(page: Page) -> None:
    page.get_by_role("switch", name="Trading of demo is paused").click()
    expect(page.get_by_role("status")).to_contain_text("Trading is paused.")


def test_an_approver_walks_the_whole_way(sit, fresh_scene):
    seat = sit(fresh_scene, "approver")
    page = seat.page
    expect(page.locator(".figures").first).to_contain_text(f"{len(CASES)}lifecycles")
    expect(page.get_by_text("No cycle has run yet")).to_be_visible()
    pause(page)

    # dry run, and reading the plan
    page.get_by_role("link", name="demo", exact=True).click()
    page.get_by_role("button", name="Dry run").click()
    page.wait_for_url("**/batches/*")
    expect(page.get_by_text("finished", exact=True)).to_be_visible()
    plan = page.url.rpartition("/")[2]
    expect(page.locator(".figures")).to_contain_text(f"DRY_RUN{ROWS}")
    expect(page.locator("#go .lamp").first).to_have_text("GO")
    assert backfills(fresh_scene) == 0

    # one row of it, explained
    page.get_by_role("link", name="t-2001").first.click()
    expect(page.locator("svg.chart.wide text.label")).to_have_text("lost exit")
    expect(page.locator("tr.marked")).to_contain_text("lost")
    expect(page.get_by_text("0.25 used here")).to_be_visible()

    # apply, with the number of rows typed
    page.goto(f"{seat.scene.base_url}/profiles/demo")
    page.get_by_label("Type").fill(str(ROWS))
    page.get_by_role("button", name="Apply this plan").click()
    page.wait_for_url("**/batches/*")
    expect(page.locator(".figures")).to_contain_text(f"APPLIED{ROWS}")
    expect(page.locator("p.lead")).to_contain_text(plan)
    assert backfills(fresh_scene) == ROWS
    applied = page.url

    # the ghosts are gone
    seat.go("/")
    left = len(CASES) - REPAIRED
    expect(page.locator(".figures").first).to_contain_text(f"{left}lifecycles")
    seat.go(LIFECYCLE)
    expect(page.locator("p.lead").first).to_contain_text("APPLIED")
    expect(page.locator("svg.chart.wide .apart")).to_have_count(0)

    # and back again
    page.goto(applied)
    page.get_by_role("link", name="Roll back").click()
    expect(page.get_by_role("heading", name=f"{ROWS} rows would change")).to_be_visible()
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status")).to_contain_text("nothing was deleted")
    expect(page.get_by_role("link", name="Reinstate")).to_be_visible()
    seat.go("/")
    expect(page.locator(".figures").first).to_contain_text(f"{len(CASES)}lifecycles")
    assert backfills(fresh_scene) == ROWS  # canceled, and still there


def focused(page: Page) -> str:
    return page.evaluate(
        "(document.activeElement.getAttribute('aria-label')"
        " || document.activeElement.labels?.[0]?.textContent"
        " || document.activeElement.textContent || '').trim()"
    )


def tab_to(page: Page, name: str, *, most: int = 120) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"{name!r} is not reached with the keyboard; last was {focused(page)!r}")


def test_a_keyboard_is_enough(sit, fresh_scene):
    seat = sit(fresh_scene)
    page = seat.go("/login")
    page.keyboard.type(fresh_scene.served.tokens["approver"])  # the field has the focus
    page.keyboard.press("Enter")
    page.wait_for_url(f"{fresh_scene.base_url}/")

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    tab_to(page, "Trading of demo is paused", most=3)  # the bar was skipped
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_contain_text("Trading is paused.")

    tab_to(page, "demo")
    page.keyboard.press("Enter")
    page.wait_for_url("**/profiles/demo")
    tab_to(page, "Dry run")
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/*")
    page.get_by_label("Type").wait_for()
    tab_to(page, "Type")
    page.keyboard.type(str(ROWS))
    page.keyboard.press("Enter")
    expect(page.locator(".figures")).to_contain_text(f"APPLIED{ROWS}")
    assert backfills(fresh_scene) == ROWS


def test_everything_but_live_updates_works_without_script(sit, fresh_scene):
    seat = sit(fresh_scene, "approver", java_script_enabled=False)
    page = seat.page
    pause(page)
    seat.go("/profiles/demo")
    page.get_by_role("button", name="Dry run").click()
    batch = page.url
    while not page.get_by_text("finished", exact=True).count():
        page.goto(batch)
    page.get_by_role("link", name="Show the criteria").click()
    page.get_by_label("Type").fill(str(ROWS))
    page.get_by_role("button", name="Apply this plan").click()
    batch = page.url
    while not page.get_by_text("finished", exact=True).count():
        page.goto(batch)
    page.get_by_role("link", name="Roll back").click()
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status")).to_contain_text("nothing was deleted")


def test_a_page_that_is_out_of_date_is_told_what_moved(sit, fresh_scene):
    early = sit(fresh_scene, "approver", may_complain=True)  # a 409 is an error to the console
    late = sit(fresh_scene, "operator")
    early.go("/profiles/demo")
    pause(late.page)
    late.go("/profiles/demo")
    early.page.get_by_role("button", name="Dry run").click()
    expect(early.page.get_by_role("heading", name="The page was out of date")).to_be_visible()
    expect(early.page.get_by_role("listitem").filter(has_text="Trading was")).to_contain_text(
        "RUNNING, and is PAUSED since"
    )
    early.page.get_by_role("link", name="Look again").click()
    expect(early.page.get_by_text("PAUSED", exact=True)).to_be_visible()

    # a plan that somebody else applies while it is being read
    late.page.get_by_role("button", name="Dry run").click()
    late.page.wait_for_url("**/batches/*")
    plan = late.page.url
    early.page.goto(plan)
    early.page.get_by_label("Type").fill(str(ROWS))
    other = sit(fresh_scene, "approver")
    other.page.goto(plan)
    other.page.get_by_label("Type").fill(str(ROWS))
    other.page.get_by_role("button", name="Apply this plan").click()
    expect(other.page.locator(".figures")).to_contain_text(f"APPLIED{ROWS}")
    early.page.get_by_role("button", name="Apply this plan").click()
    expect(early.page.get_by_role("listitem").filter(has_text="newest apply")).to_be_visible()
    assert backfills(fresh_scene) == ROWS


@pytest.fixture
def low_ceiling(monkeypatch):
    """A share counts from the first lifecycle on, and a tenth of them is the most."""
    monkeypatch.setattr("unghost.ceilings.SHARE_COUNTS_FROM", 1)
    monkeypatch.setenv("RECON_EXIT_BACKFILL_MAX_SHARE", "0.1")


def test_a_large_share_is_applied_when_the_box_is_ticked_too(low_ceiling, sit, fresh_scene):
    page = sit(fresh_scene, "approver").page
    pause(page)
    page.get_by_role("link", name="demo", exact=True).click()
    page.get_by_role("button", name="Dry run").click()
    page.wait_for_url("**/batches/*")
    expect(page.locator("#go .lamp").first).to_have_text("NO-GO")
    box = page.get_by_role("checkbox", name=f"{REPAIRED} of {len(CASES)} open lifecycles")
    expect(box).not_to_be_checked()
    page.get_by_label("Type").fill(str(ROWS))
    page.get_by_role("button", name="Apply this plan").click()  # the browser asks for the box
    assert backfills(fresh_scene) == 0
    box.check()
    page.get_by_role("button", name="Apply this plan").click()
    expect(page.locator(".figures")).to_contain_text(f"APPLIED{ROWS}")
    expect(page.get_by_text("(46.5 %), up to 46.5 % allowed by approver")).to_be_visible()
    assert backfills(fresh_scene) == ROWS
