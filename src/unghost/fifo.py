"""First in, first out, only where that cannot go wrong in total. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from unghost.flows import OrderFlow
from unghost.model import Attribution, AttributionPolicy, Rules
from unghost.pool import Pool
from unghost.seekers import ZERO, Seeker, may_take


def give_first_in_first_out(pool: Pool, seekers: Sequence[Seeker], rules: Rules) -> None:
    """Tier 3.

    Orders are taken in time. As long as one lifecycle alone is eligible, the order can be nobody
    else's. Where several are, nothing is given until the orders seen so far cover all of them: then
    all are closed in full, and only which order serves which is a convention, not a guess in total.
    """
    queue = _Queue(pool=pool, later=deque(one for one in seekers if not one.served))
    for flow in pool.free_orders():
        queue.admit(flow)
        if len(queue.waiting) == 1 and not pool.is_contested(flow):
            queue.serve(queue.shares_of_one(flow))
        elif rules.attribution is AttributionPolicy.FIFO:
            queue.serve(queue.shares())


@dataclass(kw_only=True, slots=True)
class _Queue:
    """Orders held back and lifecycles that wait, both in time, with their totals."""

    pool: Pool
    later: deque[Seeker]
    held: list[OrderFlow] = field(default_factory=list)
    waiting: list[Seeker] = field(default_factory=list)
    stock: Decimal = ZERO
    owed: Decimal = ZERO

    def admit(self, flow: OrderFlow) -> None:
        """Let an order in, and the lifecycles that were open by then."""
        self.held.append(flow)
        self.stock += self.pool.left[flow.exchange_order_id]
        while self.later and may_take(flow, self.later[0]):
            self.waiting.append(self.later.popleft())
            self.owed += self.waiting[-1].owed

    def shares_of_one(self, flow: OrderFlow) -> list[tuple[OrderFlow, Seeker]]:
        """What the only one that waits may take: the order, or what is surely nobody's else.

        A closing recorded without its order may stand for any order so far.
        """
        (one,) = self.waiting
        if self.pool.in_doubt <= 0:
            return [(flow, one)]
        sure = min(self.stock - self.pool.in_doubt, self.pool.budget)
        taking = _Taking(pool=self.pool, held=self.held, budget=sure)
        taking.serve(one)
        return taking.shares

    def shares(self) -> list[tuple[OrderFlow, Seeker]]:
        """Who takes from which order, in turn, so that all are served; nothing where not all are.

        Who came first may take what is oldest, and what is too old for one is so for all after it:
        both lists are gone through once.
        """
        sure = min(self.stock - self.pool.in_doubt, self.pool.budget)
        if sure < self.owed:
            return []
        taking = _Taking(pool=self.pool, held=self.held, budget=self.pool.budget)
        served = all(taking.serve(one) for one in self.waiting)
        return taking.shares if served else []

    def serve(self, shares: Sequence[tuple[OrderFlow, Seeker]]) -> None:
        """Give, and drop what is used up."""
        if not shares:
            return
        for flow, one in shares:
            self.pool.give(flow, one, Attribution.FIFO)
        self.held = [flow for flow in self.held if self.pool.offer(flow) > 0]
        self.waiting = [one for one in self.waiting if not one.served]
        self.stock = sum((self.pool.left[flow.exchange_order_id] for flow in self.held), ZERO)
        self.owed = sum((one.owed for one in self.waiting), ZERO)


@dataclass(kw_only=True, slots=True)
class _Taking:
    """A trial: it changes nothing but itself."""

    pool: Pool
    held: Sequence[OrderFlow]
    budget: Decimal
    place: int = 0
    used: Decimal = ZERO
    shares: list[tuple[OrderFlow, Seeker]] = field(default_factory=list)

    def serve(self, seeker: Seeker) -> bool:
        """Take until the lifecycle's remainder is dust; whether that came about."""
        owed, need = seeker.owed, seeker.most_by(Attribution.FIFO)
        while owed > 0 and self.place < len(self.held):
            taken = self._take(seeker, need)
            owed -= taken
            need -= taken
            if owed > 0:
                self.place, self.used = self.place + 1, ZERO
        return owed <= 0

    def _take(self, seeker: Seeker, need: Decimal) -> Decimal:
        flow = self.held[self.place]
        if not may_take(flow, seeker):
            return ZERO
        left = self.pool.left[flow.exchange_order_id] - self.used
        taken = self.pool.whole(min(left, need, self.budget))
        if taken > 0:
            self.shares.append((flow, seeker))
            self.used += taken
            self.budget -= taken
        return taken
