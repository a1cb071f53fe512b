"""A venue may be given other faces than its own, which get calls, faults and the log alike."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from unghost.demo.venue import Fault, FaultKind, running_venue
from unghost.demo.venue.protocol import Answer, Call, Excess, Json
from unghost.demo.world import World


class Echo:
    """Answers with what it was asked."""

    name = "echo"

    def owns(self, path: str) -> bool:
        return path == "/info"

    def weight(self, _: Call) -> int:
        return 1

    def meter_headers(self, used: int) -> Mapping[str, str]:
        return {"X-Used": str(used)}

    def too_many(self, _: Call, __: Excess) -> Answer:
        return Answer(status=429, body={})

    def answer(self, _: World, call: Call) -> Answer:
        return Answer(body=[{"asked": call.params.get("type", "")}])

    def rows(self, body: Json) -> list[Json] | None:
        return body if isinstance(body, list) else None


def test_a_body_of_json_has_parameters_by_which_a_fault_can_strike() -> None:
    with running_venue(World(), faces=[Echo()]) as venue:
        venue.fault(Fault(kind=FaultKind.NULL, endpoint="info", where={"type": "fills"}))
        url = f"{venue.base_url}/info"
        told = [
            requests.post(url, json={"type": kind, "n": 1, "deep": {}}, timeout=5).json()
            for kind in ("positions", "fills")
        ]
        assert told == [[{"asked": "positions"}], None]
        assert [each.params["type"] for each in venue.requests("info")] == ["positions", "fills"]


def test_a_venue_with_other_faces_has_lost_its_own() -> None:
    with running_venue(World(), faces=[Echo()]) as venue:
        told = requests.get(f"{venue.base_url}/fapi/v1/ping", timeout=5)
        assert (told.status_code, venue.requests()) == (404, ())
        assert requests.get(f"{venue.base_url}/info", timeout=5).headers["X-Used"] == "1"
