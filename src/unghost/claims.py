"""What was given, as claims on close orders, each with its share of the fees. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from unghost.flows import OrderFlow, new_money
from unghost.makers import maker
from unghost.model import Attribution, Claim, CloseOrder, LifecycleKey, Money, Rules
from unghost.pool import Pool
from unghost.quantities import last_place
from unghost.seekers import Seeker

_new_order = maker(CloseOrder)
_new_claim = maker(Claim)


def close_order(flow: OrderFlow) -> CloseOrder:
    """The order as the audit keeps it, without its parts."""
    accounted_by = sorted([row.order_id for row in flow.accounted_by]) if flow.accounted_by else ()
    return _new_order(
        market=flow.parts[0].fill.market,
        leg=flow.leg,
        exchange_order_id=flow.exchange_order_id,
        client_order_id=flow.client_order_id,
        filled=flow.filled,
        accounted=flow.accounted,
        price=flow.price(),
        fees=flow.fees(),
        first_fill_at=flow.first_at,
        last_fill_at=flow.last_at,
        fill_ids=tuple([part.fill.fill_id for part in flow.parts]),
        digest=flow.digest(),
        accounted_by=tuple(accounted_by),
    )


def claims_of(
    pool: Pool, orders: Iterable[CloseOrder], rules: Rules
) -> dict[str, tuple[Claim, ...]]:
    """The claims on `orders`, which are those of the pool, by exchange order id.

    Those of one order are in the order of their lifecycles.
    """
    place = last_place(rules.fee_scale)
    return {
        order.exchange_order_id: tuple(
            _claims_of_order(order, pool.given.get(order.exchange_order_id, {}), place)
        )
        for order in orders
    }


def _claims_of_order(
    order: CloseOrder, given: Mapping[Seeker, tuple[Decimal, Attribution]], place: Decimal
) -> list[Claim]:
    claims: list[Claim] = []
    offset = order.accounted
    for seeker in sorted(given, key=_key) if len(given) > 1 else given:
        quantity, tier = given[seeker]
        fees = split_fees(order.fees, whole=order.filled, offset=offset, part=quantity, place=place)
        claim = _new_claim(
            lifecycle=seeker.lifecycle.key,
            order=order,
            quantity=quantity,
            fees=fees,
            attribution=tier,
        )
        claims.append(claim)
        offset += quantity
    return claims


def _key(seeker: Seeker) -> LifecycleKey:
    return seeker.lifecycle.key


def split_fees(
    fees: tuple[Money, ...] | None,
    *,
    whole: Decimal,
    offset: Decimal,
    part: Decimal,
    place: Decimal,
) -> tuple[Money, ...] | None:
    """The share of `part`, lying after `offset`, in the fees of an order of quantity `whole`.

    Parts that lie side by side sum exactly to the whole, because each is the difference of two
    rounded running totals; no part is rounded on its own.
    """
    if fees is None:
        return None
    upto = offset + part
    return tuple(
        [
            new_money(
                currency=fee.currency,
                amount=_running(fee.amount, upto, whole, place)
                - _running(fee.amount, offset, whole, place),
            )
            for fee in fees
        ]
    )


def _running(amount: Decimal, upto: Decimal, whole: Decimal, place: Decimal) -> Decimal:
    if upto >= whole:
        return amount
    share = amount * upto
    return (share / whole if share else share).quantize(place, ROUND_HALF_EVEN)
