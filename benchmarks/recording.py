"""Recording: rows per second with intent, audit, chain and re-checks, beside one bare INSERT.

    python -m benchmarks.recording [--small] [--json]

The yardstick inserts the very rows that the apply wrote, by one `INSERT ... SELECT FROM unnest ...
ON CONFLICT DO NOTHING`, into a table like `orders`. Both run on one embedded server with its
usual durability, in turns; the figure is a ratio of medians. The exchange is in memory, because
only the record is measured.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.report import Chart, Figure, Report, Series, figure, main
from unghost.adapters.postgres.chain import verify
from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.events import EventLog
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.migrations import create_sample_orders, migrate
from unghost.adapters.postgres.profiles import TradingProfiles
from unghost.cycle import draft_rulings
from unghost.desk import Desk
from unghost.model import (
    CallLog,
    Fill,
    FillReading,
    Flatness,
    Market,
    Mode,
    Money,
    PositionReading,
    ProfileRef,
    Resolution,
    Rules,
    Side,
    Window,
)
from unghost.record import Pen, record

SIZES = ((1_000, 5, "0.30"), (10_000, 3, "0.30"), (100_000, 1, "0.25"))
"""Ghosts, rounds, and the least share of the yardstick's rows per second."""

PROFILE = """\
Processor time for each ghost, taken aside at 10 000 of them. The bare
statement: 9 us in the server, 12 in Python. Recording: about 90 in the server (36 for the intent
and its evidence, 15 of these for the hashes of the chain; 25 to compare the ledger before and
after; 13 for the INSERT, 4 to read it back; 10 to settle the intent) and about 60 in Python, mostly
to make the account of each decision and its JSON. These are six steps where the yardstick has one,
one after another: so the target is missed.
"""

SYMBOLS = 50
PRICE = Decimal("101.5")
COLUMNS = (
    "order_id, profile_id, symbol, trade_id, action, side, status, quantity, qty, price,"
    " exchange_order_id, position_side, fee, fee_currency, filled_at"
)
TYPES = ("text",) * 7 + ("numeric",) * 3 + ("text", "text", "numeric", "text", "timestamptz")


class FlatExchange:
    """Every market is flat, and each ghost was closed by one order of its own."""

    def __init__(self, ghosts: int, start: datetime) -> None:
        self.markets = [
            Market(
                unified=f"C{number}/USDT:USDT",
                native_id=f"C{number}USDT",
                base=f"C{number}",
                quote="USDT",
                spellings=(f"C{number}USDT",),
            )
            for number in range(SYMBOLS)
        ]
        self.by_name = {market.native_id: market for market in self.markets}
        self.executed = {market.unified: list[Fill]() for market in self.markets}
        for number in range(ghosts):
            for fill in _fills(number, self.markets[number % SYMBOLS], start):
                self.executed[fill.market].append(fill)

    def resolve(self, symbols: Collection[str]) -> Resolution:
        """All are known."""
        known = {market.unified: market for market in self.markets} | self.by_name
        return Resolution(markets={name: known[name] for name in symbols})

    def positions(self, markets: Collection[Market]) -> Mapping[str, PositionReading]:
        """Nothing is open."""
        now = datetime.now(UTC)
        flat = PositionReading(flatness=Flatness.FLAT, as_of=now, size=Decimal(0))
        return {market.unified: flat for market in markets}

    def fills(self, windows: Mapping[Market, Window]) -> Mapping[str, FillReading]:
        """All of them."""
        now = datetime.now(UTC)
        return {
            market.unified: FillReading(
                fills=tuple(self.executed[market.unified]), complete=True, window=window, as_of=now
            )
            for market, window in windows.items()
        }

    def client_order_ids(self, windows: Mapping[Market, Window]) -> Mapping[str, Mapping[str, str]]:
        """None are told."""
        return {market.unified: {} for market in windows}

    def calls(self) -> CallLog:
        """None are counted."""
        return CallLog()

    def close(self) -> None:
        """Nothing is open."""


def _fills(number: int, market: Market, start: datetime) -> Iterator[Fill]:
    for side, offset, price in ((Side.BUY, 0, Decimal(100)), (Side.SELL, 30, PRICE)):
        yield Fill(
            fill_id=f"{side}{number}",
            exchange_order_id=f"{side}-{number}",
            market=market.unified,
            side=side,
            quantity=_quantity(number),
            price=price,
            filled_at=start + timedelta(minutes=offset, milliseconds=number),
            fees=(Money(currency="USDT", amount=Decimal("0.04")),),
            digest=f"{side}{number}",
        )


def _quantity(number: int) -> Decimal:
    """Different within a market, so that each order fits one lifecycle."""
    return Decimal(1) + Decimal(number // SYMBOLS) / 1000


def _fill_ledger(conninfo: str, ghosts: int, start: datetime) -> None:
    names = (
        "order_id, profile_id, symbol, trade_id, action, side, status, quantity, qty, price,"
        " exchange_order_id, filled_at, created_at, updated_at"
    )
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY orders ({names}) FROM STDIN") as copy:
            for number in range(ghosts):
                at = start + timedelta(milliseconds=number)
                quantity = _quantity(number)
                row = (f"e-{number}", "main", f"C{number % SYMBOLS}USDT", f"t-{number}", "ENTRY")
                kept = (f"{Side.BUY}-{number}", at, at, at)
                copy.write_row((*row, "buy", "filled", quantity, quantity, Decimal(100), *kept))
        cursor.execute("ANALYZE orders")


def desk_at(
    database: Database, exchange: FlatExchange, *, profile_id: str = "main", mode: Mode = Mode.APPLY
) -> Desk:
    """A desk over an exchange in memory, that writes a million rows without asking."""
    rules = Rules(mode=mode, max_rows=10**6, reading_max_age_seconds=3600)
    return Desk(
        profile=ProfileRef(profile_id=profile_id, account="desk", account_profiles=(profile_id,)),
        ledger=PostgresLedger(database),
        exchange=exchange,
        pause=TradingProfiles(database),
        events=EventLog(database),
        rules=rules,
        enabled=True,
        throttle_ms=300_000,
        plan_ttl_minutes=60,
        ledger_in_contracts=False,
        settings_shown={},
        clock=lambda: datetime.now(UTC),
        own_pause=True,
    )


def _recorded(conninfo: str, ghosts: int) -> float:
    """Seconds that `record` takes for this many ghosts; everything before it is not measured."""
    start = datetime.now(UTC) - timedelta(hours=5)
    start = start.replace(microsecond=0)
    _fill_ledger(conninfo, ghosts, start)
    with closing(Database(conninfo)) as database:
        desk = desk_at(database, FlatExchange(ghosts, start))
        TradingProfiles(database).pause("main", actor="bench")
        draft = draft_rulings(desk)
        pen = Pen(
            profile=desk.profile,
            ledger=desk.ledger,
            exchange=desk.exchange,
            pause=desk.pause,
            own_pause=True,
            rules=replace(desk.rules),
            clock=desk.clock,
            actor="bench",
        )
        running = desk.ledger.running_batch(
            profile_id="main", mode=Mode.APPLY, actor="bench", settings={}, plan_batch_id=None
        )
        with running as batch_id:
            began = time.perf_counter()
            record(batch_id, draft.rulings, draft.evidences, extra=(), pen=pen)
            took = time.perf_counter() - began
        applied = desk.ledger.decision_counts("main").get("APPLIED", 0)
        if applied != ghosts or not verify(database).whole:
            raise SystemExit(f"{applied} of {ghosts} rows were applied, or the chain is broken")
    return took


def _bare(conninfo: str) -> float:
    """Seconds that one statement takes for the same rows, from Python's lists to the COMMIT."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM orders WHERE order_id LIKE 'BFILL-%' ORDER BY order_id"  # noqa: S608 - fixed names
        ).fetchall()
        connection.execute("CREATE TABLE bare (LIKE orders INCLUDING ALL)")
        connection.execute("INSERT INTO bare SELECT * FROM orders WHERE order_id LIKE 'e-%'")
        connection.commit()
        marks = ", ".join(f"%s::{name}[]" for name in TYPES)
        statement = (
            f"INSERT INTO bare ({COLUMNS}) SELECT * FROM unnest({marks})"  # noqa: S608 - fixed names
            " ON CONFLICT (order_id) DO NOTHING"
        )
        began = time.perf_counter()
        connection.execute(statement, [list(column) for column in zip(*rows, strict=True)])
        connection.commit()
        return time.perf_counter() - began


@contextmanager
def _database(admin: str, name: str) -> Iterator[str]:
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    conninfo = make_conninfo(admin, dbname=name)
    with closing(Database(conninfo)) as database:
        migrate(database)
        create_sample_orders(database)
    yield conninfo
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _both(ghosts: int, rounds: int) -> tuple[float, float]:
    """Medians of the seconds of both, each round in a database of its own."""
    ours, bare = [], []
    folder = Path(tempfile.mkdtemp(prefix="unghost-bench-"))
    folder.chmod(0o755)
    with embedded_database(folder) as conninfo:
        admin = make_conninfo(conninfo, dbname="postgres")
        for number in range(rounds):
            with _database(admin, f"round_{number}") as name:
                ours.append(_recorded(name, ghosts))
                bare.append(_bare(name))
    return median(ours), median(bare)


def _figure(ghosts: int, rounds: int, limit: str) -> tuple[Figure, Decimal, Decimal]:
    ours, bare = _both(ghosts, rounds)
    told = Figure(
        name=f"recording, {ghosts} ghosts",
        target=f"at least {limit} of the bare INSERT's rows per second",
        value=figure(bare / ours),
        limit=Decimal(limit),
        at_least=True,
        detail=f"{ghosts / ours:.0f} rows per second beside {ghosts / bare:.0f}, medians of"
        f" {rounds}",
    )
    return told, figure(ghosts / ours), figure(ghosts / bare)


def measure(*, small: bool) -> Report:
    """Rows per second of both, and their ratio, by number of ghosts."""
    sizes = ((200, 1, "0.30"),) if small else SIZES
    found = [_figure(*size) for size in sizes]
    counts = [Decimal(size[0]) for size in sizes]
    lines = (("recorded", [one[1] for one in found]), ("bare INSERT", [one[2] for one in found]))
    return Report(
        name="recording",
        title="Recording",
        text=(__doc__ or "").partition("[--json]")[2],
        profile=PROFILE,
        figures=tuple(one[0] for one in found),
        charts=(
            Chart(
                key="rows",
                title="Rows recorded per second",
                across="ghosts",
                up="rows per second",
                series=tuple(
                    Series(name=name, points=tuple(zip(counts, values, strict=True)))
                    for name, values in lines
                ),
            ),
        ),
    )


if __name__ == "__main__":
    main(measure, __doc__)
