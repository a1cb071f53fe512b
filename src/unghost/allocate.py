"""Whose exit is it: the closing fills of a leg are given to its open lifecycles. Pure.

Attribution runs over all open lifecycles of the account on the leg, also those that a gate will
stop, so that nobody is given another's fill. Most certain first (DESIGN section 4):

1. an id links order and lifecycle;
2. the claimable quantity of the order is the open quantity of exactly one lifecycle, and of no
   other order;
3. first in, first out, but only where that cannot go wrong in total.

Before all of these: what closed while one lifecycle alone was open is its own.

The tiers are gone through until none gives any more, so that the next run finds nothing new.

What cannot be given out with certainty is not given out, and `doubts` say why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from unghost.claims import claims_of, close_order
from unghost.doubts import (
    doubt_unknown_closings,
    doubt_unsound,
    doubts_of_names,
    doubts_of_shortage,
)
from unghost.fifo import give_first_in_first_out
from unghost.model import Claim, CloseOrder, Evidence, LifecycleKey, PositionSide, Rules
from unghost.netting import net
from unghost.pool import Pool, open_on, pool_of
from unghost.quantities import step_of
from unghost.seekers import ZERO, Seeker, Sided, exit_names, seekers_of, sided_of, sound_since
from unghost.tiers import (
    closings_are_missing,
    give_by_exact_quantity,
    give_by_id,
    give_to_the_only_one,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LegAllocation:
    """One leg with what was given to whom, what is left, and why no more was given."""

    leg: PositionSide
    orders: tuple[CloseOrder, ...]
    claims: tuple[Claim, ...]
    doubts: tuple[str, ...]
    unexplained: Decimal
    orphaned: Decimal
    claims_by_order: Mapping[str, tuple[Claim, ...]]
    unclaimed: tuple[tuple[str, Decimal], ...]
    """(exchange order id, quantity in base units) that stays unclaimed, zeros left out."""
    withheld: Mapping[LifecycleKey, Decimal] = field(default_factory=dict)
    """On spot: what of a lifecycle's booked quantity went as a fee in the asset itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allocation:
    """All legs of one market, and the direction that each lifecycle turned out to have."""

    legs: tuple[LegAllocation, ...]
    sided: Sided
    claims_by_lifecycle: Mapping[LifecycleKey, Sequence[Claim]]

    def leg(self, side: PositionSide) -> LegAllocation:
        """The allocation of one leg; a market has two."""
        one, other = self.legs
        return one if one.leg is side else other

    def claims_of(self, key: LifecycleKey) -> Sequence[Claim]:
        """The claims of one lifecycle, oldest close order first."""
        return self.claims_by_lifecycle.get(key, ())


def allocate(evidence: Evidence, rules: Rules) -> Allocation:
    """Give the closing fills of `evidence` to its open lifecycles; base units throughout.

    Whether the fills may be believed at all is a gate, not judged here.
    """
    netted = net(evidence, tolerance=rules.dust_abs_qty)
    sided = sided_of(evidence, netted)
    unsound = [(one, side) for one, side in sided if sound_since(one, side) is None]
    doubt_unsound(netted, unsound)
    seekers = {leg: seekers_of(evidence, sided, found, rules) for leg, found in netted.items()}
    doubt_unknown_closings(netted, seekers, unsound, rules.dust_abs_qty)
    foreign = frozenset(name for one, _ in unsound for name in exit_names(one, evidence))
    step = step_of(evidence, rules)
    legs = tuple(
        _allocate_leg(
            pool_of(
                leg,
                rules,
                step=step,
                foreign=foreign,
                open_qty=open_on(leg, sided),
            ),
            seekers[leg.leg],
            rules,
        )
        for leg in netted.values()
    )
    by_lifecycle: dict[LifecycleKey, list[Claim]] = {}
    for leg in legs:
        for claim in leg.claims:
            by_lifecycle.setdefault(claim.lifecycle, []).append(claim)
    return Allocation(
        legs=legs,
        sided=sided,
        claims_by_lifecycle=by_lifecycle,
    )


def _allocate_leg(pool: Pool, seekers: Sequence[Seeker], rules: Rules) -> LegAllocation:
    doubts = _give_out(pool, seekers, rules)
    leg = pool.leg
    orders = tuple([close_order(flow) for flow in leg.closing])
    by_order = claims_of(pool, orders, rules)
    return LegAllocation(
        leg=leg.leg,
        orders=orders,
        claims=tuple([claim for claims in by_order.values() for claim in claims]),
        doubts=tuple(doubts),
        unexplained=leg.unexplained,
        orphaned=leg.orphaned,
        claims_by_order=by_order,
        unclaimed=tuple([(name, left) for name, left in pool.left.items() if left > ZERO]),
        withheld={one.lifecycle.key: one.withheld for one in seekers if one.withheld},
    )


def _give_out(pool: Pool, seekers: Sequence[Seeker], rules: Rules) -> list[str]:
    """Go through the tiers until nothing more is given; return the doubts that stay."""
    large = [one for one in seekers if not one.small]
    small = [one for one in seekers if one.small]
    before = None
    while pool.budget > 0 and pool.budget != before:
        before = pool.budget
        pool.is_short = closings_are_missing(pool, seekers, rules)
        if not pool.leg.doubts:
            give_to_the_only_one(pool, seekers)
        give_by_id(pool, seekers)
        if not pool.leg.doubts:
            give_by_exact_quantity(pool, seekers, rules)
            give_first_in_first_out(pool, large, rules)
    doubts = [*pool.leg.doubts, *doubts_of_names(pool), *doubts_of_shortage(pool, large)]
    if not doubts:
        give_first_in_first_out(pool, small, rules)
    return doubts
