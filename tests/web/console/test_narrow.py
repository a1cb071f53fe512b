"""At phone width nothing is scrolled for sideways, and nothing that a wide page tells is lost."""

from __future__ import annotations

import httpx
import pytest

PHONE = {"width": 360, "height": 780}
LIFECYCLE = "/profiles/demo/lifecycle?symbol=BTCUSDT&trade_id=t-2001"
SIDEWAYS = """
    () => [document.documentElement, ...document.querySelectorAll(".scroll")]
        .filter((one) => one.scrollWidth > one.clientWidth + 1)
        .map((one) => `${one.getAttribute("aria-label")}: ${one.scrollWidth}`)
"""


@pytest.fixture
def planned(fresh_scene) -> str:
    """The address of a plan on the page of its batch."""
    token = fresh_scene.served.tokens["operator"]
    with httpx.Client(
        base_url=fresh_scene.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=60
    ) as client:
        client.post("/api/v1/profiles/demo/pause", json={}).raise_for_status()
        batch_id = client.post("/api/v1/profiles/demo/cycles", json={}).json()["batch_id"]
        while client.get(f"/api/v1/batches/{batch_id}").json()["batch"]["status"] == "running":
            pass
    return f"/batches/{batch_id}"


def test_no_page_is_wider_than_a_phone(sit, fresh_scene, planned):
    seat = sit(fresh_scene, "approver", viewport=PHONE)
    pages = ("/", "/profiles/demo", planned, LIFECYCLE, "/audit", "/events", f"{planned}/rollback")
    for path in pages:
        page = seat.go(path)
        if path in {"/profiles/demo", planned}:
            page.get_by_label("Type").wait_for()
        assert page.evaluate(SIDEWAYS) == [], path


def test_a_verdict_stands_before_its_criterion_and_what_was_found_below(sit, fresh_scene, planned):
    page = sit(fresh_scene, "approver", viewport=PHONE).go(planned)
    page.get_by_label("Type").wait_for()
    row = page.get_by_role("region", name="Criteria").get_by_role("row").nth(2)
    rule, verdict, found = (row.locator("td").nth(at).bounding_box() for at in range(3))
    assert verdict["x"] + verdict["width"] <= rule["x"]
    assert found["y"] >= rule["y"] + rule["height"] - 1
    assert found["x"] + found["width"] <= PHONE["width"]


def test_figures_carry_the_name_of_their_column(sit, fresh_scene, planned):
    page = sit(fresh_scene, "approver", viewport=PHONE).go(planned)
    label = page.evaluate(
        "() => getComputedStyle(document.querySelector('td[data-label=exit]'), '::before').content"
    )
    assert "exit" in label
