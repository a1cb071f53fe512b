"""The account of a decision as the audit keeps it, JSON-ready. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from unghost.allocate import Allocation
from unghost.gates import Case, plain
from unghost.model import Claim, CloseOrder, Evidence, GateResult, PositionReading
from unghost.quantities import rounded

ORDERS_SHOWN = 20
"""Close orders of a leg kept in the evidence of one lifecycle that did not claim them."""

ZERO = Decimal(0)


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
