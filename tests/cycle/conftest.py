"""One venue and one database for all tests of a process, emptied for each; and a bench upon them.

A test that alters a table takes `own_bench`, whose database nobody else sees.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from tests.conftest import TEMPLATE, database_from
from tests.cycle.bench import Bench, open_bench
from tests.cycle.wire import Wire, wire_to

from unghost.adapters.postgres.connection import Database
from unghost.cycle import Desk
from unghost.demo.venue import Venue, running_venue
from unghost.demo.world import World

RECORD = (
    "reconciliation_backfill_audit",
    "reconciliation_backfill_batch",
    "reconciliation_chain",
    "reconciliation_chain_head",
)
WIPE = (
    *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in RECORD),
    """
    TRUNCATE orders, reconciliation_backfill_audit, reconciliation_backfill_batch,
        reconciliation_chain, reconciliation_event, trading_profile RESTART IDENTITY""",
    "UPDATE reconciliation_chain_head SET seq = 0, hash = repeat('0', 64)",
    """
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT tgname, tgrelid::regclass AS of_table FROM pg_trigger
                   WHERE NOT tgisinternal AND tgenabled = 'D' LOOP
            EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', one.of_table, one.tgname);
        END LOOP;
    END $$""",
)
"""Not even a test may empty the record while its triggers watch."""


@pytest.fixture(scope="session")
def street() -> Iterator[Venue]:
    """A simulated venue that is served for the whole run; a bench puts its own world into it."""
    with running_venue(World()) as venue:
        yield venue


@pytest.fixture(scope="session")
def shared_url(server: str) -> Iterator[str]:
    with database_from(server, TEMPLATE) as conninfo:
        yield conninfo


@pytest.fixture
def bench(shared_url: str, street: Venue) -> Iterator[Bench]:
    with psycopg.connect(shared_url) as connection:
        for statement in WIPE:
            connection.execute(statement)
    database = Database(shared_url)
    opened = open_bench(shared_url, database, street)
    yield opened
    opened.close()
    database.close()


@pytest.fixture
def own_bench(database_url: str, database: Database, street: Venue) -> Iterator[Bench]:
    opened = open_bench(database_url, database, street)
    yield opened
    opened.close()


@pytest.fixture
def wire(shared_url: str) -> Iterator[Wire]:
    with wire_to(shared_url) as made:
        yield made


@pytest.fixture
def wired(bench: Bench, wire: Wire) -> Iterator[Desk]:
    """A desk whose database hangs on a wire."""
    database = Database(wire.conninfo)
    yield bench.new_desk(database=database)
    database.close()
