"""Rows of a bot that went mad, in a real ledger whose columns limit nothing.

What PostgreSQL takes is read, ruled on, applied and shown: no wrong close, no markup that lives, no
formula in an export. One ghost with proof lies among the odd rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
from hypothesis import strategies as st
from tests.cycle.bench import PROFILE, Bench, open_bench
from tests.cycle.conftest import WIPE
from tests.hostile import requests
from tests.hostile.harness import Check, Harness, assert_for_people
from tests.hostile.json_bodies import ODD_TEXTS
from tests.hostile.requests import MARKUP, Stage
from tests.hostile.rooms import folder, own_database, served

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.grants import Roles
from unghost.cycle import detect_ghosts
from unghost.demo.venue import running_venue
from unghost.demo.world import World
from unghost.model import Decision, Reason

NUMERICS: Final = ("quantity", "qty", "price", "fee")
UNLIMITED: Final = [f"ALTER TABLE orders ALTER {name} TYPE numeric" for name in NUMERICS]
FORMULAS: Final = ("=1+1", "+1+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1")
TEXTS: Final = st.one_of(
    st.sampled_from((*FORMULAS, MARKUP, '"><img src=x onerror=alert(1)>', "[red]x[/red]")),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=12),
)
NUMBERS: Final = st.one_of(
    st.sampled_from(("NaN", "Infinity", "-Infinity", "0", "-1", "1e-400", "1e400", "1e30000")),
    st.decimals().map(str),
)
TIMES: Final = st.one_of(
    st.none(),
    st.sampled_from(
        (
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-12))),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00 BC",
            "200000-01-01 00:00:00",
        )
    ),
    st.datetimes(timezones=st.just(UTC)),
)
USUAL: Final[dict[str, st.SearchStrategy[Any]]] = {
    "symbol": st.sampled_from(("ETHUSDT", "BTCUSDT")),
    "trade_id": st.sampled_from(("odd-1", "odd-2", "t-good")),
    "action": st.sampled_from(("ENTRY", "EXIT")),
    "side": st.sampled_from(("buy", "sell", None)),
    "status": st.sampled_from(("filled", "partially_filled", "new", "canceled")),
    "exchange_order_id": st.sampled_from((None, "880001", "880002", "880003")),
    "client_order_id": st.none(),
    "fee_currency": st.none(),
    "quantity": st.sampled_from(("1", "0.5", "0.0005")),
    "qty": st.none(),
    "price": st.just("40000"),
    "fee": st.none(),
    "filled_at": st.just(datetime(2026, 2, 1, tzinfo=UTC)),
    "created_at": st.just(datetime(2026, 2, 1, tzinfo=UTC)),
}
ODD: Final = {
    name: NUMBERS if name in NUMERICS else TIMES if name.endswith("_at") else TEXTS
    for name in USUAL
}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row as bots write them, save for one to three columns."""
    changed = draw(st.sets(st.sampled_from(sorted(USUAL)), min_size=1, max_size=3))
    return {name: draw(ODD[name] if name in changed else USUAL[name]) for name in USUAL}


SAMPLES: Final = st.lists(rows(), min_size=1, max_size=4)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A bench, and the service on the same ledger."""

    bench: Bench
    service: Stage

    def try_(self, odd: list[dict[str, Any]]) -> None:
        """Book the rows that PostgreSQL takes beside a proven ghost; look, apply, look again."""
        bench = self.bench
        with psycopg.connect(bench.database_url) as connection:
            for statement in WIPE:
                connection.execute(statement)
        bench.venue.world = World()
        bench.world.open_account(PROFILE, api_key="main-key", secret="main-secret")
        bench.numbers = 0
        bench.ghost("t-good")
        bench.pause()
        for row in odd:
            with suppress(psycopg.DataError, UnicodeEncodeError):
                bench.insert({"order_id": f"odd-{bench.number()}", "profile_id": PROFILE, **row})
        detect_ghosts(bench.desk)
        bench.dry_run()
        report = bench.apply()
        for told in report.audit:
            assert_for_people(str(told.evidence.get("sentence", "-")), longest=20_000)
        self._assert_no_wrong_close()
        self._assert_shown_safely(odd)

    def _assert_no_wrong_close(self) -> None:
        """Half a coin was sold on the exchange; whatever else was closed is dust."""
        written = self.bench.rows(
            "SELECT a.reason, a.symbol, a.filled_qty, o.quantity"
            " FROM orders AS o JOIN reconciliation_backfill_audit AS a"
            " ON a.backfill_order_id = o.order_id AND a.decision = %s",
            Decision.APPLIED,
        )
        proven = [row for row in written if row[0] == Reason.FILL_EVIDENCE]
        assert {row[1] for row in proven} <= {"BTCUSDT", "BTC/USDT:USDT"}, proven
        assert sum((row[2] for row in proven), Decimal(0)) <= Decimal("0.5"), proven
        assert all(row[2] == row[3] > 0 for row in written), written
        others = {row[0] for row in written} - {Reason.FILL_EVIDENCE}
        assert others <= {Reason.DUST_REMAINDER}, written
        assert len(written) == len(self.bench.backfills())

    def _assert_shown_safely(self, odd: list[dict[str, Any]]) -> None:
        shown = ["/", "/profiles/main", "/audit", "/events"]
        for row in odd:
            told = {name: str(row[name] or "").encode("utf-8", "replace") for name in KEY}
            shown.append(f"/profiles/main/lifecycle?{urlencode(told)}")
        for address in shown:
            answer = self._page(address)
            assert answer.status < 500, (address, answer.text[-600:])
            assert MARKUP not in answer.text
            assert "<img src=x" not in answer.text
        table = self._page("/api/v1/audit/export?format=csv")
        assert table.status == 200, table
        for cells in csv.reader(io.StringIO(table.text, newline="")):
            assert not any(is_formula(cell) for cell in cells), cells

    def _page(self, address: str) -> requests.Response:
        cookie = self.service.credentials("session")["Cookie"]
        return self.service.ask(self.service.head(f"GET {address}", f"Cookie: {cookie}"))


KEY: Final = ("symbol", "trade_id")


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would reckon with a cell: it begins so, and is no number."""
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return False
    try:
        return not Decimal(cell).is_finite()
    except InvalidOperation:
        return True


@contextmanager
def opened() -> Iterator[Check]:
    """A bench and a service, for many samples."""
    with running_venue(World()) as venue, own_database() as conninfo, folder() as place:
        with psycopg.connect(conninfo) as connection:
            for statement in UNLIMITED:
                connection.execute(statement)
        database = Database(conninfo)
        bench = open_bench(conninfo, Roles(), database, venue)
        variables = requests.variables(conninfo, venue.base_url, place)
        with served(variables) as (door, _):
            stage = Stage(address=("127.0.0.1", door.listener.getsockname()[1]))
            stage.sign_in()
            yield Floor(bench=bench, service=stage).try_
        bench.close()
        database.close()


HARNESS: Final = Harness(name="ledger rows", samples=SAMPLES, opened=opened)
