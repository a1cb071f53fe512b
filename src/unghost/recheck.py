"""What the evidence rests on in the ledger, read again within the write.

Once before the rows are inserted, to compare it with the evidence, and once after, so that a row
which anybody committed meanwhile undoes the write. Of most rows only id and version are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unghost.model import Evidence, LedgerRow, ProfileRef, Sought
from unghost.ports import Exchange, WriteTransaction
from unghost.selection import (
    RowFilter,
    digest_of,
    names_an_order,
    order_names,
    row_filter,
    row_line,
    row_lines,
    rows_by_market,
    sought,
    trade_line,
)

Digests = Mapping[str, str]
"""Market symbol -> digest."""

_Lines = dict[str, list[str]]
"""Market symbol -> one line for each row that concerns it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """The markets of a write, and which rows concern them. `own` are the ids of its own rows."""

    evidences: tuple[Evidence, ...]
    filters: Mapping[str, RowFilter]
    sought: Sought
    own: frozenset[str]
    profile: ProfileRef
    exchange: Exchange

    @property
    def names(self) -> list[str]:
        """Every name under which the ledger may hold one of the markets."""
        return sorted({name for one in self.filters.values() for name in one.names})


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerNow:
    """The ledger as the write transaction sees it: its rows alone, and with the open lifecycles."""

    rows: Digests
    everything: Digests


def ground_of(
    evidences: Sequence[Evidence],
    *,
    own: frozenset[str],
    profile: ProfileRef,
    exchange: Exchange,
) -> Ground:
    """How to read again what these evidences rest on. At least one of them has a market."""
    filters = {
        one.symbol: row_filter(one.market, one.fills.window, one.fills.fills)
        for one in evidences
        if one.market is not None
    }
    names = sorted({name for one in filters.values() for name in one.names})
    return Ground(
        evidences=tuple(evidences),
        filters=filters,
        sought=sought(filters, exchange.resolve(names)),
        own=own,
        profile=profile,
        exchange=exchange,
    )


def ledger_now(transaction: WriteTransaction, ground: Ground) -> LedgerNow:
    """Read what the evidence rests on, and what may not be there: rows of strangers."""
    open_now = _lifecycle_lines(transaction, ground)
    rows = _row_lines(transaction, ground)
    everything = {
        symbol: [line for name in one.names for line in open_now.get(name, ())] + rows[symbol]
        for symbol, one in ground.filters.items()
    }
    return LedgerNow(rows=_digests(rows), everything=_digests(everything))


def rows_now(transaction: WriteTransaction, ground: Ground) -> Digests:
    """Read the rows once more."""
    return _digests(_row_lines(transaction, ground))


def _digests(lines: Mapping[str, Iterable[str]]) -> Digests:
    return {symbol: digest_of(found) for symbol, found in lines.items()}


def _lifecycle_lines(transaction: WriteTransaction, ground: Ground) -> _Lines:
    """By the name under which the ledger holds the lifecycle."""
    found: _Lines = defaultdict(list)
    versions = transaction.open_versions(ground.profile.account_profiles, symbols=ground.names)
    for profile_id, symbol, trade_id, order_id, version in versions:
        if order_id not in ground.own:
            found[symbol].append(trade_line(profile_id, symbol, trade_id, order_id, version))
    return found


def _row_lines(transaction: WriteTransaction, ground: Ground) -> _Lines:
    """The rows that concern each market, by the market's symbol."""
    held = transaction.held_rows(
        ground.profile.account_profiles, sought=ground.sought, ignoring=ground.own
    )
    strange = _strangers(transaction, ground)
    resolved = ground.exchange.resolve(sorted({row.symbol for row in held.others}))
    others = rows_by_market(held.others, ground.filters, resolved)
    surely: _Lines = defaultdict(list)
    for symbol, order_id, version in held.sure:
        surely[symbol].append(row_line(order_id, version))
    return {
        symbol: [line for name in one.names for line in surely.get(name, ())]
        + row_lines(others[symbol] + strange[symbol], ground.own)
        for symbol, one in ground.filters.items()
    }


def _strangers(transaction: WriteTransaction, ground: Ground) -> dict[str, list[LedgerRow]]:
    """Rows of profiles of other accounts that name an order of the evidence, by market.

    When the evidence was gathered there were none, else its fills would not have been believed.
    """
    orders = {name for one in ground.evidences for name in order_names(one.fills.fills)}
    rows = transaction.rows_of_strangers(
        ground.profile.no_strangers, symbols=ground.names, order_ids=sorted(orders)
    )
    return {
        one.symbol: [row for row in rows if names_an_order(row, one.market, one.fills.fills)]
        for one in ground.evidences
        if one.market is not None
    }
