"""Reads of the bot's `orders`: the same questions inside and outside of a write transaction.

A ledger is other people's table: NaN, Infinity, NULL and years beyond the calendar are answers
here, never exceptions. Judging them is the business of the stages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from sys import intern
from typing import Any, Final

from psycopg import Connection, capabilities

from unghost.adapters.postgres import arrays
from unghost.adapters.postgres.indexes import can_hint
from unghost.adapters.postgres.known import Kept, KnownLifecycles, Trade
from unghost.adapters.postgres.schema import LedgerShape
from unghost.adapters.postgres.sql_blocks import block
from unghost.adapters.postgres.statements import compose, compose_named, compose_open
from unghost.model import FILLED_STATUSES, Hint, LedgerRow, Lifecycle, LifecycleKey, Seen

__all__ = ["Reader", "Session", "filled_words", "ledger_row", "utc_or_none"]

Judge = Callable[[Lifecycle], Lifecycle]
"""Fills in what the stage of detection finds in the rows of a lifecycle."""

OVERLAP: Final = timedelta(minutes=2)
"""How far the fast path looks back before where it last looked: a transaction that commits late, or
a bot whose clock is behind, is seen as long as it is not later than this."""

_CHUNK: Final = 1000 if capabilities.has_stream_chunked() else 1
"""Rows that the driver hands over at a time; older client libraries know one by one alone."""

_FEW_WORDS: Final = (
    "profile_id",
    "symbol",
    "action",
    "status",
    "side",
    "position_side",
    "fee_currency",
)
"""Columns in which thousands of rows say the same: one text is kept for all of them."""

_KEPT_NUMBERS: Final = 16_384

_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """An open transaction, and the shape of the table that it reads."""

    conn: Connection[dict[str, Any]]
    shape: LedgerShape

    def rows(self, stem: str, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Run a block that is fitted to the table, and return what it answers."""
        return self.conn.execute(compose(stem, name, self.shape), parameters).fetchall()

    def ledger_rows(self, stem: str, name: str, **parameters: object) -> Iterator[LedgerRow]:
        """Run a block that answers rows of `orders`, and make each as it comes.

        A market that is busy has a hundred thousand rows in its window: the driver's own copies of
        them are not kept beside ours.
        """
        with self.conn.cursor() as cursor:
            statement = compose(stem, name, self.shape)
            yield from map(ledger_row, cursor.stream(statement, parameters, size=_CHUNK))

    def run(self, stem: str, name: str, **parameters: object) -> None:
        """Run a block that is fitted to the table and answers nothing."""
        self.conn.execute(compose(stem, name, self.shape), parameters)


def filled_words() -> list[str]:
    """The filled statuses as a parameter; they are lower case already."""
    return list(FILLED_STATUSES)


class Reader(ABC):
    """`ports.LedgerReader` over whatever transaction `_session` opens or holds."""

    known: KnownLifecycles

    @abstractmethod
    def _session(self) -> AbstractContextManager[Session]:
        """Yield a transaction to read in."""

    def _session_to_detect(self) -> AbstractContextManager[Session]:
        """The same, after a look at whether every row is still to be seen."""
        return self._session()

    def now(self) -> datetime:
        """The clock of the database, aware UTC."""
        with self._session() as session:
            return _now(session)

    def open_lifecycles(
        self, profile_ids: Sequence[str], *, symbols: Collection[str] | None = None
    ) -> tuple[Lifecycle, ...]:
        """Lifecycles open by section 1 of the checklist, by profile, symbol and trade_id.

        Two statements, whatever their number. A NaN sum counts as open, as it does in the
        checklist, and comes through as Decimal NaN. Each holds every row of its trade_id.
        """
        if not profile_ids or (symbols is not None and not symbols):
            return ()
        with self._session_to_detect() as session:
            return _with_rows(session, _open_sums(session, profile_ids, symbols))

    def look(
        self, profile_ids: Sequence[str], *, hint: Hint | None, full: bool, judge: Judge
    ) -> Seen:
        """Open lifecycles by a hint, by a full scan, or by both out of one snapshot.

        The hint is followed where it is for these profiles and the table has the indexes for it:
        the lifecycles that it knows to be open, and those touched since, are read exactly. Those
        of which every row is the very version that this process read last are not read again.
        """
        with self._session_to_detect() as session:
            as_of = _now(session)
            by_hint = None
            if hint is not None and can_hint(session.conn, session.shape):
                trades = dict.fromkeys((*hint.trades, *_touched(session, profile_ids, hint)))
                by_hint = _by_trades(session, trades, self.known, judge)
            whole = None
            if full or by_hint is None:
                read = _with_rows(session, _open_sums(session, profile_ids, None))
                whole = tuple(map(judge, read))
        return Seen(as_of=as_of, by_hint=by_hint, full=whole)

    def account_rows(
        self,
        profile_ids: Sequence[str],
        *,
        symbols: Collection[str],
        start_at: datetime,
        exchange_ids: Collection[str],
    ) -> tuple[LedgerRow, ...]:
        """Filled rows in the window or without a time, and any linked by id; by order_id."""
        with self._session() as session:
            found = session.ledger_rows(
                "ledger",
                "account_rows",
                profile_ids=list(profile_ids),
                filled=filled_words(),
                symbols=sorted(symbols),
                start_at=start_at,
                exchange_ids=sorted(exchange_ids),
            )
            return tuple(sorted(found, key=lambda row: row.order_id))

    def rows_of_strangers(
        self, no_strangers: Sequence[str], *, symbols: Collection[str], order_ids: Collection[str]
    ) -> tuple[LedgerRow, ...]:
        """Rows of all other profiles that name one of the exchange's orders; by order_id."""
        if not symbols or not order_ids:
            return ()
        with self._session() as session:
            found = session.rows(
                "ledger",
                "rows_of_strangers",
                no_strangers=list(no_strangers),
                symbols=sorted(symbols),
                order_ids=arrays.texts(sorted(order_ids)),
            )
        return tuple(sorted(map(ledger_row, found), key=lambda row: row.order_id))

    def rows_of_trades(self, keys: Collection[Trade]) -> Mapping[Trade, tuple[LedgerRow, ...]]:
        """Every row of the given (profile_id, trade_id), oldest first; a trade may have none."""
        if not keys:
            return {}
        with self._session() as session:
            rows = _rows_of_trades(session, "rows_of_trades", set(keys))
        return {key: tuple(rows[key]) for key in keys}

    def entry_sides(self, keys: Collection[Trade]) -> Mapping[Trade, tuple[LedgerRow, ...]]:
        """ENTRY rows (case aside) of the given (profile_id, trade_id); a trade may have none."""
        if not keys:
            return {}
        with self._session() as session:
            rows = _rows_of_trades(session, "entry_rows", set(keys))
        return {key: tuple(rows[key]) for key in keys}

    def rows_by_order_id(self, order_ids: Collection[str]) -> Mapping[str, LedgerRow]:
        """The rows that hold these order ids; ids that nobody holds are left out."""
        if not order_ids:
            return {}
        with self._session() as session:
            found = session.rows("ledger", "rows_by_order_id", order_ids=sorted(order_ids))
        return {row.order_id: row for row in map(ledger_row, found)}


def _now(session: Session) -> datetime:
    row = session.conn.execute(block("books", "now")).fetchone()
    return _utc((row or {})["now"])


def _with_rows(session: Session, found: Sequence[Mapping[str, Any]]) -> tuple[Lifecycle, ...]:
    rows = _rows_of_trades(session, "rows_of_trades", {_trade_of(sums) for sums in found})
    return tuple(_lifecycle(sums, rows) for sums in found)


def _by_trades(
    session: Session, trades: Collection[Trade], known: KnownLifecycles, judge: Judge
) -> tuple[Lifecycle, ...]:
    """The open lifecycles of these trades, in no order; known ones only where none has moved.

    What was touched is mostly closed: of that nothing is asked but its sums. All answers are of one
    snapshot, so that the rows that are kept are those of the mark.
    """
    kept = known.of(session.shape, trades)
    moved = _moved(session, {trade: one.mark for trade, one in kept.items()})
    read: dict[Trade, list[Lifecycle]] = {
        trade: [] for trade in trades if trade in moved or trade not in kept
    }
    for one in _with_rows(session, _sums_of_trades(session, read)):
        read[one.key.profile_id, one.key.trade_id].append(judge(one))
    marks = _moved(session, {trade: "" for trade, found in read.items() if found})
    fresh = {
        trade: Kept(mark=marks.get(trade, ""), lifecycles=tuple(found))
        for trade, found in read.items()
    }
    known.keep(session.shape, fresh)
    return tuple(one for each in ({**kept, **fresh}).values() for one in each.lifecycles)


def _moved(session: Session, marks: Mapping[Trade, str]) -> dict[Trade, str]:
    """Those that are not as these marks say, with the mark of now; none has the mark of ""."""
    if not marks:
        return {}
    found = session.rows(
        "ledger", "moved_trades", **_arrays(marks), marks=arrays.texts(marks.values())
    )
    return {_trade_of(row): row["mark"] for row in found}


def _arrays(trades: Collection[Trade]) -> dict[str, str]:
    """The parameters that name these trades."""
    return {
        "profile_ids": arrays.texts(profile_id for profile_id, _ in trades),
        "trade_ids": arrays.texts(trade_id for _, trade_id in trades),
    }


def _touched(session: Session, profile_ids: Sequence[str], hint: Hint) -> set[Trade]:
    since = hint.as_of - OVERLAP
    found = session.rows("ledger", "touched_trades", profile_ids=list(profile_ids), since=since)
    return {_trade_of(row) for row in found}


def _sums_of_trades(session: Session, trades: Collection[Trade]) -> list[dict[str, Any]]:
    if not trades:
        return []
    parameters = {**_arrays(sorted(trades)), "symbols": None}
    statement = compose_named(session.shape)
    return session.conn.execute(statement, parameters).fetchall()


def _open_sums(
    session: Session, profile_ids: Sequence[str], symbols: Collection[str] | None
) -> list[dict[str, Any]]:
    parameters = {
        "profile_ids": list(profile_ids),
        "symbols": None if symbols is None else sorted(symbols),
    }
    statement = compose_open(session.shape, len(profile_ids))
    return session.conn.execute(statement, parameters).fetchall()


def _rows_of_trades(
    session: Session, name: str, trades: Collection[Trade]
) -> Mapping[Trade, list[LedgerRow]]:
    if not trades:
        return {}
    return _by_trade(session.ledger_rows("ledger", name, **_arrays(sorted(trades))))


def _by_trade(rows: Iterable[LedgerRow]) -> Mapping[Trade, list[LedgerRow]]:
    grouped: dict[Trade, list[LedgerRow]] = defaultdict(list)
    for row in sorted(rows, key=_oldest_first):
        grouped[row.profile_id, row.trade_id or ""].append(row)
    return grouped


def _oldest_first(row: LedgerRow) -> tuple[datetime, str]:
    """Rows without a time come last: nothing may seem to have begun with them."""
    return (row.at or _LATEST, row.order_id)


def _trade_of(sums: Mapping[str, Any]) -> Trade:
    return sums["profile_id"], sums["trade_id"]


def _lifecycle(sums: Mapping[str, Any], rows: Mapping[Trade, list[LedgerRow]]) -> Lifecycle:
    key = LifecycleKey(
        profile_id=sums["profile_id"], symbol=sums["symbol"], trade_id=sums["trade_id"]
    )
    return Lifecycle(
        key=key,
        entry_qty=Decimal(sums["entry_qty"]),
        exit_qty=Decimal(sums["exit_qty"]),
        open_qty=Decimal(sums["open_qty"]),
        rows=tuple(rows.get(_trade_of(sums), ())),
    )


def ledger_row(found: Mapping[str, Any]) -> LedgerRow:
    """One row of `orders` as the block `row_columns` tells it."""
    numbers = {name: _decimal(found[name]) for name in ("quantity", "price", "fee")}
    times = _times(found)
    words = {name: found[name] and intern(found[name]) for name in _FEW_WORDS}
    return LedgerRow(**{**found, **numbers, **times, **words})


def _times(found: Mapping[str, Any]) -> dict[str, datetime | None]:
    """A bot often stamps a row with the same moment twice: one object is kept for both."""
    same: dict[datetime, datetime] = {}
    told = {name: found[name] for name in ("filled_at", "created_at", "updated_at")}
    return {
        name: None if moment is None else same.setdefault(moment, _utc(moment))
        for name, moment in told.items()
    }


@lru_cache(maxsize=_KEPT_NUMBERS)
def _decimal(text: str | None) -> Decimal | None:
    """Sizes, prices and fees recur from row to row; as with words, one object is kept for each."""
    return None if text is None else Decimal(text)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def utc_or_none(moment: datetime | None) -> datetime | None:
    """The same moment in UTC; the driver tells times in the zone of its session."""
    return None if moment is None else _utc(moment)
