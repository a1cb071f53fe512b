"""Why no more of a leg's closing fills is given out, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from unghost.model import PositionSide
from unghost.netting import LegNetting, some
from unghost.pool import Pool
from unghost.seekers import ENTRY_SKEW, ZERO, Seeker, Sided


def doubt_unsound(netted: Mapping[PositionSide, LegNetting], unsound: Sided) -> None:
    """A lifecycle that cannot be judged may own any fill of its leg (or of both)."""
    ordered = sorted(unsound, key=lambda pair: pair[0].key)
    for side, leg in netted.items():
        names = [
            f"{one.key.trade_id} of profile {one.key.profile_id}"
            for one, own_side in ordered
            if own_side is side or own_side is None
        ]
        if names:
            leg.doubts.append(
                f"lifecycles that cannot be judged ({some(names)}), so any fill of this leg may be"
                " the exit of one of them"
            )


def doubt_unknown_closings(
    netted: Mapping[PositionSide, LegNetting],
    seekers: Mapping[PositionSide, Sequence[Seeker]],
    unsound: Sided,
    tolerance: Decimal,
) -> None:
    """In one-way mode a buy that closes a short nobody had may as well have opened a long.

    The backward replay knows of the position before the window only what the fills tell it: with a
    fill missing, an unknown opening looks like a closing of the other side. And where an ENTRY of a
    long bought back what somebody held short, the short's other closings may be theirs too.
    """
    for side, leg in netted.items():
        owned = _owned(leg, seekers[side], unsound)
        unclaimed = sum([flow.rest for flow in leg.closing if not flow.is_hedged], ZERO)
        held = _held_before(leg)
        excess = min(held, unclaimed - owned)
        if excess > tolerance:
            netted[side.opposite].doubts.append(
                f"the exchange closed {excess.normalize():f} {side} that the ledger does"
                f" not know, which may have opened {side.opposite} instead"
            )
        shared = min(held, leg.entered, unclaimed + leg.entered - owned)
        if shared > tolerance:
            leg.doubts.append(
                f"ENTRY orders of the other side closed {shared.normalize():f} {side} that was held"
                " before and that the ledger does not know, so the closing fills may be of that"
            )


def _owned(leg: LegNetting, seekers: Sequence[Seeker], unsound: Sided) -> Decimal:
    """What was opened on a leg and no EXIT row closed: by open lifecycles, each no more than it can
    have held, and by orders of the window that the ledger does not know.

    The order of a lifecycle that cannot be judged may be among the latter: the larger one counts.
    """
    open_qty = [one.open_qty for one, side in unsound if side is leg.leg]
    unjudged = sum([quantity for quantity in open_qty if quantity.is_finite()], ZERO)
    unknown = sum([flow.rest for flow in leg.opening if not flow.is_hedged], ZERO)
    return max(unjudged, unknown) + sum([min(one.need, one.bound) for one in seekers], ZERO)


def _held_before(leg: LegNetting) -> Decimal:
    """The position of a one-way leg when the window begins: what it closed more than it opened."""
    closed = sum([flow.filled for flow in leg.closing if not flow.is_hedged], ZERO)
    return closed - sum([flow.filled for flow in leg.opening if not flow.is_hedged], ZERO)


def doubts_of_names(pool: Pool) -> list[str]:
    """Rows name an order, and not clearly."""
    kept = pool.reserved | pool.contested
    names = [one.exchange_order_id for one in pool.open_orders() if one.exchange_order_id in kept]
    if not names:
        return []
    return [f"ledger rows name orders ({some(names)}) without telling whose exit they are"]


def doubts_of_shortage(pool: Pool, seekers: Sequence[Seeker]) -> list[str]:
    """Why something is held back: there are takers, and nothing tells which of them it is."""
    latest = max((flow.first_at for flow in pool.open_orders()), default=None)
    if latest is None:
        return []
    waiting = {
        one.lifecycle.key.trade_id
        for one in seekers
        if not one.served and one.first_entry_at <= latest + ENTRY_SKEW
    }
    if not waiting:
        return []
    quantity, names = f"{pool.budget.normalize():f}", some(sorted(waiting))
    whose = (
        f"any of {len(waiting)} lifecycles ({names}), and nothing tells which"
        if len(waiting) > 1
        else f"{names}, and nothing proves it"
    )
    return [f"{quantity} of the leg's closing fills may belong to {whose}"]
