"""What there is to give: a leg's close orders with what is left of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from unghost.flows import OrderFlow
from unghost.model import Attribution, Evidence, LifecycleKey, PositionSide, Rules
from unghost.netting import LegNetting
from unghost.seekers import ZERO, Seeker


@dataclass(kw_only=True, slots=True)
class Pool:
    """A leg while its fills are given out. `budget` is what conservation still allows in total.

    Given is what the ledger can hold: whole multiples of `step`, so that what is cut off one claim
    stays there for the next one, and not for the next run. `foreign` are ids in rows of lifecycles
    that cannot be judged. Of the orders that ids name, `reserved` are for nobody else, `contested`
    for several who need more than there is.
    """

    leg: LegNetting
    budget: Decimal
    step: Decimal | None
    left: dict[str, Decimal]
    foreign: frozenset[str]
    is_short: bool = False
    """The window shows more of these lifecycles opened than closings that they can have."""
    in_doubt: Decimal = ZERO
    """Recorded as closed without an order: it may be that of any order here."""
    reserved: set[str] = field(default_factory=set)
    contested: set[str] = field(default_factory=set)
    given: dict[tuple[str, LifecycleKey], tuple[Decimal, Attribution]] = field(default_factory=dict)

    def whole(self, quantity: Decimal) -> Decimal:
        """The quantity, cut to what the ledger can hold."""
        return quantity if self.step is None else quantity // self.step * self.step

    def offer(self, flow: OrderFlow) -> Decimal:
        """What of the order can still be given."""
        return self.whole(min(self.left[flow.exchange_order_id], self.budget))

    def give(self, flow: OrderFlow, seeker: Seeker, tier: Attribution) -> None:
        """Give as much of the order as is there, needed and allowed."""
        quantity = self.whole(min(self.offer(flow), seeker.most_by(tier)))
        if quantity <= 0:
            return
        self.left[flow.exchange_order_id] -= quantity
        self.budget -= quantity
        seeker.need -= quantity
        seeker.shown = max(ZERO, seeker.shown - quantity)
        seeker.bound -= quantity
        seeker.claimed = True
        key = (flow.exchange_order_id, seeker.lifecycle.key)
        before, _ = self.given.get(key, (ZERO, tier))
        self.given[key] = (before + quantity, tier)

    def open_orders(self) -> list[OrderFlow]:
        """Orders with something to give, oldest first."""
        return [flow for flow in self.leg.closing if self.offer(flow) > 0]

    def free_orders(self) -> list[OrderFlow]:
        """Those of them that no id keeps for somebody else."""
        return [one for one in self.open_orders() if one.exchange_order_id not in self.reserved]

    def is_contested(self, flow: OrderFlow) -> bool:
        """Whether ids give the order to more lifecycles than it covers."""
        return flow.exchange_order_id in self.contested


def pool_of(
    leg: LegNetting,
    rules: Rules,
    *,
    step: Decimal | None,
    foreign: frozenset[str],
    open_qty: Decimal,
) -> Pool:
    """The pool of a leg. `open_qty` is what its lifecycles say is open, in base units."""
    return Pool(
        leg=leg,
        budget=leg.claimable(open_qty, rules.dust_abs_qty),
        step=step,
        left={flow.exchange_order_id: flow.rest for flow in leg.closing},
        foreign=foreign,
        in_doubt=max(ZERO, leg.unexplained - rules.dust_abs_qty),
    )


def open_on(
    leg: LegNetting, evidence: Evidence, directions: Mapping[LifecycleKey, PositionSide]
) -> Decimal:
    """What the ledger says is open on the leg, in any profile; of unknown direction counts too."""
    quantities = (
        one.open_qty
        for one in evidence.lifecycles
        if directions.get(one.key, leg.leg) is leg.leg and one.open_qty.is_finite()
    )
    return sum(quantities, ZERO)
