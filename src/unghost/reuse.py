"""Whether others have used a rolled-back row's fills since: a fill is used once.

After a rollback its fills are free. Before the row counts again, all standing rows of its exchange
order are held against what that order filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from unghost import rowfacts
from unghost.errors import RefusedError
from unghost.gates import plain
from unghost.ids import DUST_ORDER
from unghost.model import AuditRow, LedgerRow, ProfileRef, StatusChange, is_amount
from unghost.ports import Exchange, Ledger, WriteTransaction
from unghost.rowfacts import NETTING_SPAN
from unghost.selection import spellings


class ReuseDesk(Protocol):
    """What this needs of the world; the desk of an undo has it."""

    @property
    def profile(self) -> ProfileRef: ...  # noqa: D102 - named by its type
    @property
    def ledger(self) -> Ledger: ...  # noqa: D102 - named by its type
    @property
    def exchange(self) -> Exchange: ...  # noqa: D102 - named by its type


@dataclass(frozen=True, kw_only=True, slots=True)
class _Proof:
    """What the record says that an exchange order closed; base units."""

    market: str | None
    leg: str | None
    exchange_order_id: str
    client_order_id: str | None
    filled: Decimal
    unit: Decimal
    first_at: datetime
    last_at: datetime
    explained: frozenset[str]
    """Rows (by order_id) that accounted for other orders when the row was decided."""

    @property
    def names(self) -> set[str]:
        """Every id by which a ledger row may name the order."""
        return {name for name in (self.exchange_order_id, self.client_order_id) if name}

    def used_by(self, row: LedgerRow) -> Decimal:
        """A row whose quantity cannot be read may hold all of it."""
        quantity = rowfacts.usable_quantity(row)
        return self.filled if quantity is None else quantity * self.unit


def require_unused(
    desk: ReuseDesk, transaction: WriteTransaction, changes: Sequence[StatusChange]
) -> None:
    """All standing rows of an exchange order together may hold no more than it filled.

    The rows of `changes` stand again already, in the transaction. Raises RefusedError where others
    hold what they rest on, or the record does not say how much an order filled (DESIGN section 4).
    """
    proofs = _proofs(desk.ledger, changes)
    if not proofs:
        return
    resolved = desk.exchange.resolve(sorted({one.key.symbol for one in changes}))
    symbols = sorted(spellings(one for one in resolved.values() if one is not None))
    rows = transaction.account_rows(
        desk.profile.account_profiles,
        symbols=symbols,
        start_at=min(proof.first_at for proof in proofs) - NETTING_SPAN,
        exchange_ids=sorted({name for proof in proofs for name in proof.names}),
    )
    rows += _strange_holders(desk, transaction, symbols, proofs)
    markets = desk.exchange.resolve(sorted({row.symbol for row in rows}))
    unified = {name: market.unified for name, market in markets.items() if market is not None}
    trades = {(one.key.profile_id, one.key.trade_id): one.key.symbol for one in changes}
    for proof in proofs:
        holders = [
            row
            for row in rows
            if _holds(row, proof, unified) or _may_hold(row, proof, unified, trades)
        ]
        used = sum((proof.used_by(row) for row in holders), Decimal(0))
        if used > proof.filled:
            raise RefusedError(_used_twice(proof, used, holders))


def _strange_holders(
    desk: ReuseDesk,
    transaction: WriteTransaction,
    symbols: Sequence[str],
    proofs: Sequence[_Proof],
) -> tuple[LedgerRow, ...]:
    """What profiles of other account names hold of the same orders: it is used all the same."""
    rows = transaction.rows_of_strangers(
        desk.profile.no_strangers,
        symbols=symbols,
        order_ids=sorted({proof.exchange_order_id for proof in proofs}),
    )
    return tuple(row for row in rows if rowfacts.is_filled(row))


def _proofs(ledger: Ledger, changes: Sequence[StatusChange]) -> list[_Proof]:
    """One proof per exchange order that the rows rest on; dust rests on none.

    Raises RefusedError where the record does not say what an order of theirs filled.
    """
    wanted = {one.order_id for one in changes}
    batches = sorted({name for one in changes for name in (one.batch_id, one.first_batch_id)})
    rows = [row for name in batches for row in ledger.audit_rows(batch_id=name)]
    named = [row for row in rows if row.backfill_order_id in wanted and _names_an_order(row)]
    found: dict[tuple[str | None, str], _Proof] = {}
    proven: set[str | None] = set()
    for row in named:
        proof = _proof(row)
        if proof is not None:
            found.setdefault((proof.market, proof.exchange_order_id), proof)
            proven.add(row.backfill_order_id)
    for row in named:
        if row.backfill_order_id not in proven:
            raise RefusedError(_unproven(row))
    return list(found.values())


def _names_an_order(row: AuditRow) -> bool:
    return row.exchange_order_id not in {None, DUST_ORDER}


def _unproven(row: AuditRow) -> str:
    return (
        f"Audit row {row.audit_id} does not say how much exchange order {row.exchange_order_id}"
        f" filled, on which {row.backfill_order_id} rests: `unghost audit verify` tells whether the"
        " record was changed"
    )


def _proof(row: AuditRow) -> _Proof | None:
    """What the row's own account says of its order; None where nobody can read that."""
    try:
        orders = row.evidence["orders"]
        name = row.exchange_order_id
        (order,) = [one for one in orders if one["exchange_order_id"] == name]
        others = [one for one in orders if one is not order]
        return _Proof(
            market=row.evidence.get("market"),
            leg=row.evidence.get("leg"),
            exchange_order_id=order["exchange_order_id"],
            client_order_id=row.exchange_client_order_id,
            filled=_amount(order["filled"]),
            unit=_amount(row.evidence.get("ledger_unit", "1")),
            first_at=_moment(order["first_fill_at"]),
            last_at=_moment(order["last_fill_at"]),
            explained=frozenset(held for one in others for held in one["accounted_by"]),
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _amount(told: str) -> Decimal:
    """Raises ValueError for what is no amount: NaN would compare with nothing."""
    found = Decimal(told)
    if not is_amount(found):
        raise ValueError(told)
    return found


def _moment(told: str) -> datetime:
    """Raises ValueError for a time without a zone: it would compare with nothing."""
    found = datetime.fromisoformat(told)
    if found.tzinfo is None:
        raise ValueError(told)
    return found


def _holds(row: LedgerRow, proof: _Proof, unified: Mapping[str, str]) -> bool:
    """Closings of that order; one order id was seen on two markets (FAILURES 9)."""
    is_here = unified.get(row.symbol, proof.market) == proof.market
    is_named = not proof.names.isdisjoint(rowfacts.linked_ids(row))
    return is_here and is_named and rowfacts.action_of(row) != rowfacts.ENTRY


def _may_hold(
    row: LedgerRow,
    proof: _Proof,
    unified: Mapping[str, str],
    trades: Mapping[tuple[str, str], str],
) -> bool:
    """A closing that names no order, but may record this one: netting would say so as well.

    It has no trade_id, or is of a lifecycle in question under another name of the market (the sums
    hold those of its own name), or is near in time.
    """
    if not _is_loose(row, proof, unified):
        return False
    if row.trade_id is None:
        return _may_be_of(row, proof)
    name = trades.get((row.profile_id, row.trade_id))
    if name is not None:
        return name != row.symbol
    return _may_be_of(row, proof) and _is_near(row, proof)


def _is_loose(row: LedgerRow, proof: _Proof, unified: Mapping[str, str]) -> bool:
    """Whether it is a closing of the bot on that market that no order is known to explain."""
    is_here = unified.get(row.symbol, proof.market) == proof.market
    is_named = row.exchange_order_id or not proof.names.isdisjoint(rowfacts.linked_ids(row))
    is_closing = rowfacts.action_of(row) != rowfacts.ENTRY and not rowfacts.is_ours(row)
    return is_here and is_closing and not is_named and row.order_id not in proof.explained


def _may_be_of(row: LedgerRow, proof: _Proof) -> bool:
    return rowfacts.stated_direction(row) in {None, proof.leg} or row.action != rowfacts.EXIT


def _is_near(row: LedgerRow, proof: _Proof) -> bool:
    first, last = proof.first_at - NETTING_SPAN, proof.last_at + NETTING_SPAN
    return row.at is None or first <= row.at <= last


def _used_twice(proof: _Proof, used: Decimal, holders: Iterable[LedgerRow]) -> str:
    named = ", ".join(sorted(row.order_id for row in holders))
    return (
        f"Exchange order {proof.exchange_order_id} closed {plain(proof.filled)}, and the ledger"
        f" would hold {plain(used)} of it ({named}): roll back or correct the other rows first; one"
        " of another order must name it by its exchange_order_id"
    )
