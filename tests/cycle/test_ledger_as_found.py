"""Ledgers as they are found, through whole cycles: what is odd refuses itself and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow
from tests.cycle.bench import ACCOUNT, PROFILE, Bench, batch_id, desk_at, hours_ago, sentence, told
from tests.ledger_tables import FIT

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount
from unghost.adapters.postgres.connection import Database
from unghost.desk import Desk
from unghost.model import Decision, Reason
from unghost.rollback import reinstate, roll_back

HALF = Decimal("0.5")
FINE = {"t-linked", "t-elsewhere"}
ELSEWHERE = "ETH/USDT:USDT"


@pytest.fixture
def stage(bench: Bench) -> Bench:
    bench.pause()
    return bench


# --- odd rows ----------------------------------------------------------------------------------

ODD: dict[str, dict[str, Any]] = {
    "negative": {"action": "EXIT", "quantity": "-0.1"},
    "null": {"action": "EXIT", "quantity": None},
    "nan": {"action": "ENTRY", "quantity": "NaN"},
    "other side": {"action": "ENTRY", "quantity": "0.1", "side": "sell"},
    "contradiction": {"action": "ENTRY", "quantity": "0.1", "position_side": "short"},
    "no time": {
        "action": "EXIT",
        "quantity": "0.1",
        "filled_at": None,
        "created_at": None,
        "updated_at": None,
    },
    "endless time": {
        "action": "EXIT",
        "quantity": "0.1",
        "filled_at": "infinity",
        "created_at": None,
        "updated_at": None,
    },
    "lower case": {"action": "exit", "quantity": "0.1"},
    "blanks": {"action": " EXIT", "quantity": "0.1"},
    "another word": {"action": "REDUCE", "quantity": "0.1"},
    "no action": {"action": None, "quantity": "0.1"},
    "status in capitals": {"action": "EXIT", "quantity": "0.1", "status": "FILLED"},
    "symbol in lower case": {"action": "EXIT", "quantity": "0.5", "symbol": "btcusdt"},
    "symbol with a blank": {"action": "EXIT", "quantity": "0.5", "symbol": "BTCUSDT "},
    "no symbol": {"action": "EXIT", "quantity": "0.5", "symbol": None},
}
SAID = {
    "negative": "is filled with quantity -0.1",
    "null": "is filled with quantity NULL",
    "nan": "is filled with quantity NaN",
    "other side": "its ENTRY rows speak for both sides",
    "contradiction": "its ENTRY rows speak for both sides",
    "no time": "has neither filled_at nor created_at",
    "endless time": "has neither filled_at nor created_at",
    "lower case": "spells its action 'exit' where EXIT is counted",
    "blanks": "spells its action ' EXIT' where EXIT is counted",
    "another word": "has the action 'REDUCE', neither ENTRY nor EXIT",
    "no action": "has the action None, neither ENTRY nor EXIT",
    "status in capitals": "spells its status 'FILLED', which is not counted as filled",
    "symbol in lower case": "of the same trade_id spells its symbol 'btcusdt'",
    "symbol with a blank": "of the same trade_id spells its symbol 'BTCUSDT '",
    "no symbol": "of the same trade_id spells its symbol ''",
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_row_refuses_its_own_lifecycle(stage, odd):
    """On the same market what an id links goes on; on others everything does."""
    stage.opened("t-odd")
    row = dict(ODD[odd])
    stage.book("t-odd", row.pop("action"), row.pop("quantity"), **row)
    _, close = stage.ghost("t-linked", "0.3", opened=hours_ago(4))
    intent = {"status": "canceled", "exchange_order_id": close}
    stage.book("t-linked", "EXIT", "0", at=hours_ago(3), **intent)
    stage.trade("sell", "0.5", at=hours_ago(2))
    stage.ghost("t-elsewhere", "2", symbol=ELSEWHERE)

    report = stage.apply()
    assert told(report) == [
        ("t-elsewhere", Decision.APPLIED, Reason.FILL_EVIDENCE),
        ("t-linked", Decision.APPLIED, Reason.FILL_EVIDENCE),
        ("t-odd", Decision.NO_GO, Reason.INVALID_LEDGER_ROW),
    ]
    assert SAID[odd] in sentence(report, "t-odd")
    assert {trade_id for trade_id, _, _ in stage.backfills()} == FINE
    again = stage.apply()
    assert told(again) == [("t-odd", Decision.NO_GO, Reason.INVALID_LEDGER_ROW)]


def test_exits_without_an_entry_disturb_nobody_elsewhere(stage):
    """By the checklist's sums 0 - NaN is more than nothing and so is 0 - -1; 0 - NULL is not."""
    for number, quantity in enumerate(("NaN", None, "-1")):
        trade_id = f"t-{number}"
        stage.book(trade_id, "EXIT", quantity, symbol="ETHUSDT", at=hours_ago(4))
    stage.ghost("t-fine")
    assert told(stage.apply()) == [
        ("t-0", Decision.NO_GO, Reason.INVALID_LEDGER_ROW),
        ("t-2", Decision.NO_GO, Reason.INVALID_LEDGER_ROW),
        ("t-fine", Decision.APPLIED, Reason.FILL_EVIDENCE),
    ]


def test_an_unreadable_row_on_the_market_takes_the_certainty_from_it(stage):
    stage.book("t-closed", "EXIT", None, at=hours_ago(3))
    stage.ghost("t-1")
    report = stage.apply()
    assert told(report) == [("t-1", Decision.NO_GO, Reason.AMBIGUOUS_ATTRIBUTION)]
    assert "filled without a usable quantity" in sentence(report)


def test_a_symbol_that_nobody_knows_refuses_itself(stage):
    stage.book("t-odd", "ENTRY", "1", symbol="NOSUCHUSDT", at=hours_ago(4))
    stage.book("t-none", "ENTRY", "1", symbol=None, at=hours_ago(4))
    stage.ghost("t-fine")
    report = stage.apply()
    assert sorted(told(report)) == [
        ("t-fine", Decision.APPLIED, Reason.FILL_EVIDENCE),
        ("t-none", Decision.NO_GO, Reason.EXCHANGE_STATE_UNKNOWN),
        ("t-odd", Decision.NO_GO, Reason.EXCHANGE_STATE_UNKNOWN),
    ]
    assert "binanceusdm has no linear perpetual of that name" in sentence(report, "t-odd")


def test_two_spellings_of_a_market_are_one_market(stage):
    """Both lifecycles wait for one close: neither gets it for being alone under its name."""
    stage.opened("t-native", "0.5", at=hours_ago(5))
    stage.opened("t-unified", "0.5", at=hours_ago(4), symbol="BTC/USDT:USDT")
    stage.run("UPDATE orders SET symbol = 'BTC/USDT:USDT' WHERE trade_id = 't-unified'")
    stage.trade("sell", "1", at=hours_ago(3))
    strict = stage.dry_run(attribution="strict")
    assert {reason for _, _, reason in told(strict)} == {Reason.AMBIGUOUS_ATTRIBUTION}
    assert {row.symbol for row in stage.apply().audit} == {"BTCUSDT", "BTC/USDT:USDT"}
    assert stage.rows(
        "SELECT symbol, quantity FROM orders WHERE order_id LIKE 'BFILL-%' ORDER BY symbol DESC"
    ) == [("BTCUSDT", HALF), ("BTC/USDT:USDT", HALF)]


# --- the ids that a bot keeps ------------------------------------------------------------------


def test_a_ledger_of_client_ids_alone(stage):
    """What is booked is known by its client id, and only the lost exit is written."""
    for number, is_lost in enumerate((False, True, False)):
        trade_id, hours = f"t-{number}", 20 - 5 * number
        entry = stage.trade("buy", HALF, at=hours_ago(hours))
        close = stage.trade("sell", HALF, at=hours_ago(hours - 2))
        booked = {"at": hours_ago(hours - 4)}  # hours late: nothing but the id links it
        stage.book(trade_id, "ENTRY", HALF, at=hours_ago(hours), client_order_id=f"sim-{entry}")
        if not is_lost:
            stage.book(trade_id, "EXIT", HALF, client_order_id=f"sim-{close}", **booked)
    assert told(stage.apply()) == [("t-1", Decision.APPLIED, Reason.FILL_EVIDENCE)]
    ((written, client, audited),) = stage.rows(
        "SELECT o.exchange_order_id, o.client_order_id, a.exchange_client_order_id"
        " FROM orders o JOIN reconciliation_backfill_audit a ON a.backfill_order_id = o.order_id"
    )
    assert written is not None
    assert audited == f"sim-{written}"
    assert client in (None, audited)
    assert stage.apply().audit == ()


def test_a_ledger_without_any_ids(stage):
    """Rows are set against orders by time and quantity."""
    stage.opened("t-kept", "0.5", at=hours_ago(20), exchange_order_id=None)
    stage.trade("sell", "0.5", at=hours_ago(18))
    stage.book("t-kept", "EXIT", "0.5", at=hours_ago(18))
    stage.opened("t-lost", "0.5", at=hours_ago(5), exchange_order_id=None)
    stage.trade("sell", "0.5", at=hours_ago(3))
    assert told(stage.apply()) == [("t-lost", Decision.APPLIED, Reason.FILL_EVIDENCE)]
    assert stage.apply().audit == ()


# --- tables of every shape ---------------------------------------------------------------------


class Found:
    """A ledger of another shape: only the columns that it has are written."""

    def __init__(self, bench: Bench, ddl: str) -> None:
        self.bench = bench
        bench.run("DROP TABLE orders")
        with psycopg.connect(bench.database_url) as connection:
            connection.execute(ddl)
        bench.grant()
        found = bench.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''"
        )
        self.columns = {name for (name,) in found}

    def book(self, order_id: str, trade_id: str, action: str, at: datetime, **more: Any) -> None:
        row = {
            "order_id": order_id,
            "profile_id": PROFILE,
            "symbol": "BTCUSDT",
            "trade_id": trade_id,
            "action": action,
            "status": "filled",
            "side": "buy" if action == "ENTRY" else "sell",
            "position_side": "long",
            "quantity": 2,
            "qty": 2,
            "price": 40_000,
            "filled_at": at,
            "created_at": at,
            "updated_at": at,
            "venue": "binance",
            "strategy": "trend",
        } | more
        self.bench.insert({name: row[name] for name in row if name in self.columns})

    def ghost(self, trade_id: str, hours: float, **more: Any) -> None:
        """The bot keeps the exchange's own id as its order_id."""
        entry = self.bench.trade("buy", 2, at=hours_ago(hours))
        self.bench.trade("sell", 2, at=hours_ago(hours - 1), price="41000")
        self.book(entry, trade_id, "ENTRY", hours_ago(hours), **more)

    def kept(self, trade_id: str, hours: float) -> None:
        entry = self.bench.trade("buy", 2, at=hours_ago(hours))
        close = self.bench.trade("sell", 2, at=hours_ago(hours - 1))
        self.book(entry, trade_id, "ENTRY", hours_ago(hours))
        self.book(close, trade_id, "EXIT", hours_ago(hours - 1))


@pytest.mark.parametrize("shape", FIT)
def test_the_whole_way_on_a_ledger_of_this_shape(own_bench, shape):
    """Dry run, plan, apply, nothing new, undo and redo, whatever columns there are."""
    found = Found(own_bench, FIT[shape])
    found.kept("t-kept", 30)
    found.ghost("t-lost", 20)
    own_bench.pause()
    before = own_bench.digest()

    plan = own_bench.dry_run()
    assert told(plan) == [("t-lost", Decision.DRY_RUN, Reason.FILL_EVIDENCE)]
    assert own_bench.digest() == before

    applied = own_bench.apply(plan=batch_id(plan))
    assert told(applied) == [("t-lost", Decision.APPLIED, Reason.FILL_EVIDENCE)]
    ((name, row),) = [
        (name, row) for name, row in own_bench.orders().items() if name.startswith("BFILL-")
    ]
    assert name == plan.audit[0].backfill_order_id
    assert {row[one] for one in ("quantity", "qty") if one in row} == {2}
    assert (row["price"], row["action"], row["trade_id"]) == (41_000, "EXIT", "t-lost")
    assert own_bench.apply().audit == ()

    roll_back(own_bench.desk, batch_id(applied), actor="tester")
    assert own_bench.orders()[name]["status"] == "canceled"
    reinstate(own_bench.desk, batch_id(applied), actor="tester")
    assert own_bench.orders()[name]["status"] == "filled"
    assert own_bench.apply().audit == ()


def test_a_database_that_takes_null_in_an_array_for_a_word_is_written_to_as_any_other(stage):
    """A dust row has no fee, and so a NULL among the fees of the batch."""
    stage.ghost("t-1")
    stage.opened("t-2", "0.5", symbol=ELSEWHERE)
    stage.trade("sell", "0.4995", symbol=ELSEWHERE, at=hours_ago(3))
    stage.world.override_position(account=PROFILE, symbol=ELSEWHERE, quantity=Decimal(0))
    odd = make_conninfo(stage.service_url, options="-c array_nulls=off")
    with closing(Database(odd)) as database:
        report = stage.apply(desk=stage.new_desk(database=database))
    assert {row.decision for row in report.audit} == {Decision.APPLIED}
    assert [row[1] for row in stage.backfills()] == [HALF, Decimal("0.0005"), Decimal("0.4995")]


def test_failures_12_naive_times_are_utc_wherever_the_server_lives(own_bench):
    """Read as local times of Tokyo they would lie nine hours before the fills, outside of all."""
    ((name,),) = own_bench.rows("SELECT current_database()")
    own_bench.run(f"ALTER DATABASE {name} SET timezone TO 'Asia/Tokyo'")
    found = Found(
        own_bench,
        """
        CREATE TABLE orders (
            order_id text PRIMARY KEY, profile_id text, symbol text, trade_id text, action text,
            status text, side text, quantity numeric, price numeric,
            filled_at timestamp, created_at timestamp
        )
        """,
    )
    entry = own_bench.trade("buy", 2, at=hours_ago(5))
    own_bench.trade("sell", 2, at=hours_ago(4))
    naive = hours_ago(5).replace(tzinfo=None)
    found.book(entry, "t-1", "ENTRY", hours_ago(5), filled_at=naive, created_at=naive)
    desk = own_bench.new_desk(database=Database(own_bench.service_url))
    own_bench.pause()
    own_bench.venue.clear_requests()
    assert told(own_bench.apply(desk=desk)) == [("t-1", Decision.APPLIED, Reason.FILL_EVIDENCE)]

    (asked, *_) = own_bench.venue.requests("userTrades")
    assert hours_ago(5.1) < moment(asked.params["startTime"]) < hours_ago(4.9)
    ((filled_at, zone),) = own_bench.rows(
        "SELECT filled_at, current_setting('TimeZone') FROM orders WHERE order_id LIKE 'BFILL-%'"
    )
    assert zone == "Asia/Tokyo"
    assert hours_ago(4.1).replace(tzinfo=None) < filled_at < hours_ago(3.9).replace(tzinfo=None)


def moment(milliseconds: str) -> datetime:
    return hours_ago(0).fromtimestamp(int(milliseconds) / 1000, tz=hours_ago(0).tzinfo)


# --- contracts ---------------------------------------------------------------------------------


@pytest.fixture
def okx(bench: Bench) -> Desk:
    """A desk at an exchange whose contract is a hundredth of a bitcoin; the ledger counts those."""
    spec = ConnectionSpec(
        exchange="okx",
        market_type="swap",
        api_key=f"{PROFILE}-key",
        secret=f"{PROFILE}-secret",
        password=f"{PROFILE}-password",
        base_url=bench.venue.base_url,
        account=ACCOUNT,
    )
    account = ExchangeAccount(spec)
    bench.accounts.append(account)
    return replace(desk_at(bench.database, account), ledger_in_contracts=True)


def test_a_ledger_kept_in_contracts_is_read_and_written_in_contracts(bench, okx):
    size = bench.world.market("BTC/USDT:USDT").listing("okx").contract_size
    assert size != 1
    base = 12 * size
    entry = bench.trade("buy", base, at=hours_ago(5))
    bench.trade("sell", base, at=hours_ago(3), price="41000")
    row = {"symbol": "BTC-USDT-SWAP", "exchange_order_id": entry}
    bench.book("t-1", "ENTRY", "12", at=hours_ago(5), **row)
    bench.pause()
    report = bench.apply(desk=okx)
    assert told(report) == [("t-1", Decision.APPLIED, Reason.FILL_EVIDENCE)]
    assert bench.backfills() == [("t-1", Decimal(12), "filled")]
    (order,) = report.audit[0].evidence["orders"]
    assert Decimal(order["filled"]) == base
    assert report.audit[0].price == 41_000
    assert bench.apply(desk=okx).audit == ()


# --- what a cycle costs ------------------------------------------------------------------------


class CountingDatabase(Database):
    """Counts what is sent, whoever sends it."""

    sent = 0

    @contextmanager
    def transaction(self, **options: Any) -> Iterator[psycopg.Connection[DictRow]]:
        database = self

        class Counting(psycopg.Cursor[DictRow]):
            def execute(self, *arguments: Any, **more: Any) -> Any:
                database.sent += 1
                return super().execute(*arguments, **more)

            def executemany(self, *arguments: Any, **more: Any) -> Any:
                database.sent += 1
                return super().executemany(*arguments, **more)

        with super().transaction(**options) as conn:
            kept, conn.cursor_factory = conn.cursor_factory, Counting
            try:
                yield conn
            finally:  # a connection is used again, also for what is not counted
                conn.cursor_factory = kept


def cost_of(bench: Bench, database: CountingDatabase, ghosts: int) -> tuple[int, int, int, int]:
    """Statements and calls of a dry run, and of an apply, with so many ghosts on one market."""
    desk = bench.new_desk(database=database)
    for number in range(ghosts):
        bench.ghost(f"t-{number}", opened=hours_ago(40 - number), closed=hours_ago(39.5 - number))
    costs = []
    for run in (bench.dry_run, bench.apply):
        database.sent = 0
        bench.venue.clear_requests()
        report = run(desk=desk)
        assert len(report.audit) == ghosts
        assert {row.decision for row in report.audit} <= {Decision.DRY_RUN, Decision.APPLIED}
        costs += [database.sent, len(bench.venue.requests())]
    bench.run("TRUNCATE orders")
    for fill in bench.world.fills(PROFILE):
        bench.world.forget_fill(fill)
    return (costs[0], costs[1], costs[2], costs[3])


def test_statements_and_calls_are_counted_by_cycle_and_not_by_lifecycle(stage):
    database = CountingDatabase(stage.database_url)
    cost_of(stage, database, 1)  # what is read once in a life: the shape of the tables
    few, many = cost_of(stage, database, 1), cost_of(stage, database, 30)
    database.close()
    assert few == many
    assert min(few) > 2  # it does count
