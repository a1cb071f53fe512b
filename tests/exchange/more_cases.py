"""Cases of venues whose faces live in the tests."""

from __future__ import annotations

from tests.exchange.venue_case import VenueCase

MORE_CASES: tuple[VenueCase, ...] = ()
