"""Which ledger rows concern a market, and whether they have moved since. Pure.

Gathering reads by these rules, and the write transaction reads again by the same ones: a rule that
was written twice would one day differ.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from unghost import rowfacts
from unghost.model import Evidence, Fill, LedgerRow, Lifecycle, Market, Sought, Window

Resolved = Mapping[str, Market | None]


def spellings(markets: Iterable[Market]) -> set[str]:
    """All names under which a ledger may hold these markets."""
    return {
        name for market in markets for name in (*market.spellings, market.unified, market.native_id)
    }


def exchange_ids(fills: Iterable[Fill]) -> set[str]:
    """Every id by which a ledger row may name the order of one of the fills."""
    ids: set[str] = set()
    for fill in fills:
        ids.add(fill.exchange_order_id)
        if fill.client_order_id:
            ids.add(fill.client_order_id)
    return ids


def order_names(fills: Iterable[Fill]) -> set[str]:
    """The exchange's own ids of the fills' orders. Client ids are left out: bots of different
    accounts may count alike.
    """
    return {fill.exchange_order_id for fill in fills}


def names_an_order(row: LedgerRow, market: Market, fills: Iterable[Fill]) -> bool:
    """Whether a row of the market names the order of one of its fills by the exchange's id."""
    named = {row.order_id, row.exchange_order_id} & order_names(fills)
    return row.symbol in spellings((market,)) and bool(named)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFilter:
    """The rows of one market: its own in the window or timeless, and those linked by id."""

    names: frozenset[str]
    ids: frozenset[str]
    start_at: datetime

    def holds(self, row: LedgerRow, resolved: Resolved) -> bool:
        """Whether the row concerns the market.

        One order id was seen on two symbols (FAILURES 9): a row of another market is no link. A
        symbol that does not resolve may be this market, so its link counts.
        """
        is_linked = any(name in self.ids for name in rowfacts.linked_ids(row))
        if row.symbol in self.names:
            return is_linked or row.at is None or row.at >= self.start_at
        return is_linked and resolved.get(row.symbol) is None


def row_filter(market: Market, span: Window, fills: Iterable[Fill]) -> RowFilter:
    """The filter for one market, its window and its fills."""
    return RowFilter(
        names=frozenset(spellings((market,))),
        ids=frozenset(exchange_ids(fills)),
        start_at=span.start_at,
    )


def rows_by_market(
    rows: Iterable[LedgerRow], filters: Mapping[str, RowFilter], resolved: Resolved
) -> dict[str, list[LedgerRow]]:
    """For each filter the rows that it holds; a row is only held against filters that may.

    A row of a known symbol can concern only markets that go by that name, any other row all.
    """
    named: dict[str, list[str]] = {}
    for key, one in filters.items():
        for name in one.names:
            named.setdefault(name, []).append(key)
    found: dict[str, list[LedgerRow]] = {key: [] for key in filters}
    for row in rows:
        keys = named.get(row.symbol, ()) if resolved.get(row.symbol) is not None else filters
        for key in keys:
            if filters[key].holds(row, resolved):
                found[key].append(row)
    return found


def sought(filters: Mapping[str, RowFilter], resolved: Resolved) -> Sought:
    """What to read for these filters; `resolved` holds the market of every name in them."""
    named = Counter(name for one in filters.values() for name in one.names)
    sure = {
        name: one.start_at
        for one in filters.values()
        for name in one.names
        if named[name] == 1 and resolved.get(name) is not None
    }
    return Sought(
        sure=sure,
        doubtful=frozenset(named.keys() - sure.keys()),
        ids=frozenset(identity for one in filters.values() for identity in one.ids),
        start_at=min(one.start_at for one in filters.values()),
    )


def evidence_digest(evidence: Evidence, *, ignoring: Collection[str]) -> str:
    """The digest of everything in the ledger that the evidence rests on."""
    lines = lifecycle_lines(evidence.lifecycles, ignoring) + row_lines(
        evidence.ledger_rows, ignoring
    )
    return digest_of(lines)


def lifecycle_lines(lifecycles: Iterable[Lifecycle], ignoring: Collection[str]) -> list[str]:
    """The rows of each lifecycle, which count for themselves: an EXIT booked after the lifecycles
    were read but before the other rows were is among the rows both times, and yet the lifecycle
    has changed.
    """
    return [
        trade_line(key.profile_id, key.symbol, key.trade_id, row.order_id, row.version)
        for one in lifecycles
        for key in (one.key,)
        for row in one.rows
        if row.order_id not in ignoring
    ]


def row_lines(rows: Iterable[LedgerRow], ignoring: Collection[str]) -> list[str]:
    """The rows of a market. `ignoring` holds the ids of the batch's own rows, which may stand
    already or are being written.
    """
    return [row_line(row.order_id, row.version) for row in rows if row.order_id not in ignoring]


def trade_line(profile_id: str, symbol: str, trade_id: str, order_id: str, version: str) -> str:
    """One row of a lifecycle, as digests see it."""
    return f"{profile_id}|{symbol}|{trade_id}|{order_id}|{version}"


def row_line(order_id: str, version: str) -> str:
    """One row of a market, as digests see it."""
    return f"|||{order_id}|{version}"


def digest_of(lines: Iterable[str]) -> str:
    """Equal digests: no row was added, changed or removed, and the same lifecycles are open."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
