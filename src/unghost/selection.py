"""Which ledger rows concern a market, and whether they have moved since. Pure.

Gathering reads by these rules, and the write transaction reads again by the same ones: a rule that
was written twice would one day differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from unghost import rowfacts
from unghost.model import Evidence, Fill, LedgerRow, Lifecycle, Market, Window

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


def evidence_digest(evidence: Evidence, *, ignoring: Collection[str]) -> str:
    """The digest of everything in the ledger that the evidence rests on."""
    return rows_digest(evidence.lifecycles, evidence.ledger_rows, ignoring=ignoring)


def rows_digest(
    lifecycles: Iterable[Lifecycle], rows: Iterable[LedgerRow], *, ignoring: Collection[str]
) -> str:
    """Equal digests: no row was added, changed or removed, and the same lifecycles are open.

    The rows of each lifecycle count for themselves: an EXIT booked after the lifecycles were read
    but before the other rows were is among the rows both times, and yet the lifecycle has changed.
    `ignoring` holds the ids of the batch's own rows, which may stand already or are being written.
    """
    lines = [
        f"{one.key.profile_id}|{one.key.symbol}|{one.key.trade_id}|{row.order_id}|{row.version}"
        for one in lifecycles
        for row in one.rows
        if row.order_id not in ignoring
    ]
    lines += [f"|||{row.order_id}|{row.version}" for row in rows if row.order_id not in ignoring]
    lines.sort()
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
