"""What there is to give: a leg's close orders with what is left of each. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from unghost.flows import OrderFlow
from unghost.model import Attribution, Rules
from unghost.netting import LegNetting
from unghost.seekers import ZERO, Seeker, Sided


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
    given: dict[str, dict[Seeker, tuple[Decimal, Attribution]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """Of each order, who was given how much and by which tier."""
    _open: list[OrderFlow] = field(init=False)
    _given_since: bool = field(init=False, default=True)
    """Whether something was given since `_open` was looked through."""

    def __post_init__(self) -> None:
        """At first any order may have something to give."""
        self._open = self.leg.closing

    def whole(self, quantity: Decimal) -> Decimal:
        """The quantity, cut to what the ledger can hold."""
        return quantity if self.step is None else quantity // self.step * self.step

    def offer(self, flow: OrderFlow) -> Decimal:
        """What of the order can still be given."""
        left = self.left[flow.exchange_order_id]
        offered = left if left <= self.budget else self.budget
        return offered if self.step is None else self.whole(offered)

    def give(self, flow: OrderFlow, seeker: Seeker, tier: Attribution) -> None:
        """Give as much of the order as is there, needed and allowed."""
        offered, most = self.offer(flow), seeker.most_by(tier)
        quantity = offered if offered <= most else self.whole(most)
        if quantity <= ZERO:
            return
        self.left[flow.exchange_order_id] -= quantity
        self.budget -= quantity
        seeker.take(quantity)
        self._given_since = True
        takers = self.given[flow.exchange_order_id]
        before, _ = takers.get(seeker, (ZERO, tier))
        takers[seeker] = (before + quantity, tier)

    def open_orders(self) -> list[OrderFlow]:
        """Orders with something to give, oldest first.

        What is left only gets less: an order that has nothing is not looked at again.
        """
        if self._given_since:
            is_left = self.budget > ZERO
            self._open = [flow for flow in self._open if is_left and self.offer(flow) > ZERO]
            self._given_since = False
        return self._open

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


def open_on(leg: LegNetting, sided: Sided) -> Decimal:
    """What the ledger says is open on the leg, in any profile; of unknown direction counts too."""
    own = [one.open_qty for one, side in sided if side is leg.leg or side is None]
    return sum([quantity for quantity in own if quantity.is_finite()], ZERO)
