"""One venue for all tests of a process, and a bench with a database of its own for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cycle.bench import Bench, open_bench

from unghost.adapters.postgres.connection import Database
from unghost.demo.venue import Venue, running_venue
from unghost.demo.world import World


@pytest.fixture(scope="session")
def street() -> Iterator[Venue]:
    """A simulated venue that is served for the whole run; a bench puts its own world into it."""
    with running_venue(World()) as venue:
        yield venue


@pytest.fixture
def bench(database_url: str, database: Database, street: Venue) -> Iterator[Bench]:
    opened = open_bench(database_url, database, street)
    yield opened
    opened.close()
