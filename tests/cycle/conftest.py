"""One venue and one database for all tests of a process, emptied for each; and a bench upon them.

unghost works as the service role of `unghost grants` throughout; the tests themselves are the bot
and its owner. A test that alters a table takes `own_bench`, whose database nobody else sees.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.conftest import TEMPLATE, database_from, fill_template, open_folder
from tests.cycle.bench import Bench, grant, open_bench
from tests.cycle.pooler import Pooler, running_pooler
from tests.cycle.wire import Wire, wire_to
from tests.other_server import FragileServer

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.grants import Roles
from unghost.demo.venue import Venue, running_venue
from unghost.demo.world import World
from unghost.desk import Desk

RECORD = (
    "reconciliation_backfill_audit",
    "reconciliation_backfill_batch",
    "reconciliation_chain",
    "reconciliation_chain_head",
    "reconciliation_evidence",
)
WIPE = (
    *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in RECORD),
    """
    TRUNCATE orders, reconciliation_backfill_audit, reconciliation_backfill_batch,
        reconciliation_chain, reconciliation_evidence, reconciliation_event,
        reconciliation_file_fill, reconciliation_fill_file, reconciliation_account,
        trading_profile RESTART IDENTITY""",
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
def roles() -> Roles:
    """Three names of this process."""
    mark = uuid4().hex[:10]
    return Roles(owner=f"owner_{mark}", service=f"service_{mark}", reader=f"reader_{mark}")


@pytest.fixture(scope="session")
def shared_url(server: str, roles: Roles) -> Iterator[str]:
    """The roles can only go after the databases in which they have rights."""
    with database_from(server, TEMPLATE) as conninfo:
        yield conninfo
    with psycopg.connect(server, autocommit=True) as connection:
        for name in roles.named():
            connection.execute(f"DROP ROLE IF EXISTS {name}")


@pytest.fixture(scope="session")
def shared_service_url(shared_url: str, roles: Roles) -> str:
    grant(shared_url, roles)
    return make_conninfo(shared_url, user=roles.service)


@pytest.fixture
def exchange() -> str:
    """Whose protocol is spoken; a test may name another."""
    return "binanceusdm"


@pytest.fixture
def bench(
    shared_url: str, shared_service_url: str, roles: Roles, street: Venue, exchange: str
) -> Iterator[Bench]:
    with psycopg.connect(shared_url) as connection:
        for statement in WIPE:
            connection.execute(statement)
    database = Database(shared_service_url)
    opened = open_bench(shared_url, roles, database, street, exchange=exchange)
    yield opened
    opened.close()
    database.close()


@pytest.fixture(scope="session")
def pooler(server: str, shared_service_url: str, roles: Roles) -> Iterator[Pooler]:
    """PgBouncer in transaction mode before the server, with three connections for a role."""
    with running_pooler(server, ["postgres", *roles.named()]) as made:
        yield made


@pytest.fixture(params=("direct", "pooler"))
def raced(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench, at which unghost comes to the database directly, and once more by the pooler."""
    if request.param == "direct":
        yield bench
        return
    bench.way = request.getfixturevalue("pooler").before
    with closing(Database(bench.service_url)) as database:
        bench.database = database
        bench.desk = bench.new_desk(database=database)
        yield bench


@pytest.fixture
def own_bench(shared_url: str, database_url: str, roles: Roles, street: Venue) -> Iterator[Bench]:
    grant(database_url, roles)
    database = Database(make_conninfo(database_url, user=roles.service))
    opened = open_bench(database_url, roles, database, street)
    yield opened
    opened.close()
    database.close()


@pytest.fixture(scope="session")
def fragile_server() -> Iterator[FragileServer]:
    """A server of its own, which a test may end."""
    folder = open_folder()
    made = FragileServer(folder / "fragile")
    made.start()
    yield made
    made.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fragile_bench(fragile_server: FragileServer, roles: Roles, street: Venue) -> Iterator[Bench]:
    """A bench whose database is on the fragile server."""
    with database_from(fragile_server.conninfo, "template1") as conninfo:
        fill_template(conninfo)
        grant(conninfo, roles)
        with closing(Database(make_conninfo(conninfo, user=roles.service))) as database:
            opened = open_bench(conninfo, roles, database, street)
            yield opened
            opened.close()


@pytest.fixture
def wire(shared_service_url: str) -> Iterator[Wire]:
    with wire_to(shared_service_url) as made:
        yield made


@pytest.fixture
def wired(bench: Bench, wire: Wire) -> Iterator[Desk]:
    """A desk whose database hangs on a wire."""
    database = Database(wire.conninfo)
    yield bench.new_desk(database=database)
    database.close()
