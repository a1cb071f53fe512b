"""Ledgers of any length, made by COPY: 4 profiles, 50 symbols, one lifecycle in 2 000 a ghost.

A lifecycle is an ENTRY and an EXIT; a ghost lacks the EXIT. Every twentieth order was canceled.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psycopg

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.embedded import embedded_database
from unghost.adapters.postgres.migrations import create_sample_orders, migrate

PROFILES = 4
SYMBOLS = 50
GHOST_IN = 2_000
CANCELED_IN = 20
_LINES = 20_000
_COLUMNS = (
    "order_id, profile_id, symbol, trade_id, action, side, status, quantity, qty, price,"
    " exchange_order_id, fee, fee_currency, filled_at, created_at, updated_at"
)


def profiles() -> list[str]:
    """Their names."""
    return [f"p{number}" for number in range(PROFILES)]


@contextmanager
def empty_ledger() -> Iterator[str]:
    """A server of its own with the tables of unghost and an empty `orders` as the sample has it.

    Its indexes are the key and one on (profile_id, trade_id), as a bot that looks its own orders up
    has it.
    """
    folder = Path(tempfile.mkdtemp(prefix="unghost-bench-"))
    folder.chmod(0o755)
    try:
        with embedded_database(folder) as conninfo:
            _prepare(conninfo)
            yield conninfo
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # gigabytes


def _prepare(conninfo: str) -> None:
    with closing(Database(conninfo)) as database:
        migrate(database)
        create_sample_orders(database)


def fill(
    conninfo: str,
    rows: int,
    *,
    first: int = 0,
    newest: datetime | None = None,
    vacuum: bool = True,
) -> None:
    """Append `rows` rows, lifecycles numbered from `first`, the last one touched at `newest`.

    A lifecycle comes each second, so that a longer ledger reaches further back.
    """
    end = newest or datetime.now(UTC) - timedelta(hours=1)
    count = rows // 2
    start = end - timedelta(seconds=count)
    with (
        psycopg.connect(conninfo) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY orders ({_COLUMNS}) FROM STDIN") as copy,
    ):
        for block in _blocks(first, count, start):
            copy.write(block)
    run(conninfo, "VACUUM (ANALYZE) orders" if vacuum else "ANALYZE orders")


def _blocks(first: int, count: int, start: datetime) -> Iterator[str]:
    lines: list[str] = []
    for number in range(count):
        lines += _lifecycle(first + number, (start + timedelta(seconds=number)).isoformat())
        if len(lines) >= _LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _lifecycle(number: int, at: str) -> Iterator[str]:
    profile, symbol = number % PROFILES, number // PROFILES % SYMBOLS
    quantity = f"{1 + number % 997}.5"
    head = f"p{profile}\tC{symbol}USDT\tt-{number}"
    tail = f"{quantity}\t{quantity}\t100.5"
    ends = f"0.04\tUSDT\t{at}\t{at}\t{at}\n"
    yield f"e-{number}\t{head}\tENTRY\tbuy\tfilled\t{tail}\tbuy-{number}\t{ends}"
    if number % GHOST_IN == number // GHOST_IN * 37 % GHOST_IN:  # spread over all markets
        yield f"c-{number}\t{head}\tEXIT\tsell\tcanceled\t{tail}\tsell-{number}\t{ends}"
        return
    if number % CANCELED_IN == 0:
        yield f"c-{number}\t{head}\tEXIT\tsell\tcanceled\t{tail}\tgone-{number}\t{ends}"
    yield f"x-{number}\t{head}\tEXIT\tsell\tfilled\t{tail}\tsell-{number}\t{ends}"


def run(conninfo: str, *statements: str) -> None:
    """Run each by itself, outside a transaction."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def in_turns(rounds: int, *measured: Callable[[], object]) -> list[float]:
    """The median seconds of each; they run one after another, so that a slow minute hits all."""
    took: list[list[float]] = [[] for _ in measured]
    for _ in range(rounds):
        for times, one in zip(took, measured, strict=True):
            began = time.perf_counter()
            one()
            times.append(time.perf_counter() - began)
    return [median(times) for times in took]


def ghosts(rows: int) -> int:
    """How many lifecycles of such a ledger are ghosts, over all profiles."""
    return rows // 2 // GHOST_IN
