"""The account of a decision as the audit keeps it, JSON-ready. Pure.

It explains and decides nothing, so it is made when somebody reads it: when the decision is recorded
or shown. A cycle of the loop that finds everything as it was makes none.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from itertools import islice
from typing import Any

from unghost.allocate import Allocation
from unghost.gates import Case, plain
from unghost.model import Claim, CloseOrder, Evidence, GateResult, PositionReading
from unghost.quantities import PRECISION, rounded

ORDERS_SHOWN = 20
"""Close orders of a leg kept in the evidence of one lifecycle that did not claim them."""

ZERO = Decimal(0)


class Account(Mapping[str, Any]):
    """The account of one decision, made from the very nouns that it was made from.

    Those are frozen, so it says the same whenever it is read. What is the same for the whole
    market (`market_account`) is there at once; the rest is made once, when first asked for.
    """

    __slots__ = ("_allocation", "_case", "_gates", "_made", "_market", "_most", "_told")

    def __init__(
        self,
        market: Mapping[str, Any],
        case: Case,
        gates: Sequence[GateResult],
        allocation: Allocation,
        *,
        most: int,
        told: dict[GateResult, dict[str, Any]],
    ) -> None:
        """`told` are the gates of the market so far: most lifecycles pass the same."""
        self._market = market
        self._told = told
        self._case = case
        self._gates = gates
        self._allocation = allocation
        self._most = most
        self._made: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON
        return self._market[name] if name in self._market else self._whole()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def __repr__(self) -> str:
        return repr(self._whole())

    def keys(self) -> KeysView[str]:
        """The names, in the order in which they are kept."""
        return self._whole().keys()

    def _whole(self) -> dict[str, Any]:
        if self._made is None:
            with localcontext(prec=PRECISION):
                self._made = self._make()
        return self._made

    def _gate(self, gate: GateResult) -> dict[str, Any]:
        account = self._told.get(gate)
        if account is None:
            account = self._told[gate] = gate_account(gate, self._case.now)
        return account

    def _make(self) -> dict[str, Any]:
        case = self._case
        return {
            **self._market,
            "direction": case.direction,
            "gates": [self._gate(gate) for gate in self._gates],
            **leg_account(case, self._allocation, most=self._most),
        }


def market_account(evidence: Evidence) -> dict[str, Any]:
    """What is the same for all lifecycles of a market, told once and shared."""
    return {
        "as_of": evidence.as_of.isoformat(),
        "market": evidence.market.unified if evidence.market else None,
        "ledger_unit": plain(evidence.ledger_unit),
        "positions": [
            _position_account(evidence.position_before),
            _position_account(evidence.position_after),
        ],
        "fills": _fills_account(evidence),
    }


def gate_account(gate: GateResult, now: datetime) -> dict[str, Any]:
    """One gate, and how old its proof was at the decision, in seconds."""
    age = None if gate.as_of is None else round((now - gate.as_of).total_seconds(), 3)
    return {
        "name": gate.name,
        "verdict": gate.verdict,
        "value": gate.value,
        "source": gate.source,
        "age_seconds": age,
        "reason": gate.reason,
        "rule": gate.rule,
        "detail": gate.detail,
    }


def _position_account(reading: PositionReading) -> dict[str, Any]:
    return {
        "flatness": reading.flatness,
        "size": None if reading.size is None else plain(reading.size),
        "as_of": reading.as_of.isoformat(),
        "detail": reading.detail,
    }


def _fills_account(evidence: Evidence) -> dict[str, Any]:
    fills = evidence.fills
    return {
        "complete": fills.complete,
        "count": len(fills.fills),
        "pages": fills.pages,
        "source": fills.source,
        "window": [fills.window.start_at.isoformat(), fills.window.end_at.isoformat()],
        "detail": fills.detail,
    }


def leg_account(case: Case, allocation: Allocation, *, most: int) -> dict[str, Any]:
    """`most` close orders that it did not claim are told: they matter where something is left.

    A lifecycle that is closed whole has its own orders and the number of the others; a market of a
    thousand ghosts would else repeat its orders in each of their rows.
    """
    if case.direction is None:
        return {"orders": [], "doubts": []}
    leg = allocation.leg(case.direction)
    own = [claim.order for claim in allocation.claims_of(case.lifecycle.key)]
    names = {order.exchange_order_id for order in own}
    others = (order for order in leg.orders if order.exchange_order_id not in names)
    listed = [*own, *islice(others, most)]
    return {
        "leg": leg.leg,
        "kept_as_fee": plain(leg.withheld.get(case.lifecycle.key, ZERO)),
        "doubts": list(leg.doubts),
        "unexplained": plain(leg.unexplained),
        "orders": [
            _order_account(order, leg.claims_by_order.get(order.exchange_order_id, ()))
            for order in listed
        ],
        "orders_not_shown": len(leg.orders) - len(listed),
    }


def _order_account(order: CloseOrder, claims: Sequence[Claim]) -> dict[str, Any]:
    taken = sum((claim.quantity for claim in claims), ZERO)
    return {
        "exchange_order_id": order.exchange_order_id,
        "client_order_id": order.client_order_id,
        "filled": plain(order.filled),
        "price": plain(rounded(order.price, None)),
        "accounted": plain(order.accounted),
        "accounted_by": list(order.accounted_by[:ORDERS_SHOWN]),
        "first_fill_at": order.first_fill_at.isoformat(),
        "last_fill_at": order.last_fill_at.isoformat(),
        "fill_ids": list(order.fill_ids[:ORDERS_SHOWN]),
        "claims": [
            {
                "profile_id": claim.lifecycle.profile_id,
                "trade_id": claim.lifecycle.trade_id,
                "quantity": plain(claim.quantity),
                "attribution": claim.attribution,
            }
            for claim in claims
        ],
        "unclaimed": plain(order.claimable - taken),
    }
