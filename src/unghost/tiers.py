"""What is surely whose: the only one that was open, the one that an id names, the one that an
order equals. Pure.

The tiers' order, and what they are for, is in `allocate`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

from unghost.flows import OrderFlow
from unghost.model import Attribution, Rules
from unghost.pool import Pool
from unghost.seekers import ENTRY_SKEW, ZERO, Seeker, may_take

_EXACT = Attribution.EXACT_QUANTITY


def give_to_the_only_one(pool: Pool, seekers: Sequence[Seeker]) -> None:
    """What closed while one lifecycle alone was open is its own, whatever else might fit later.

    Left to the other tiers are orders that an id gives to somebody, and a lifecycle that some order
    equals: its other orders are surely not all its own.
    """
    if pool.in_doubt > 0:
        return
    known = [names for one in seekers for names in (one.ids, one.done_ids) if names]
    named = pool.foreign.union(*known)
    latest = _latest_of(pool, named)
    waiting = deque(one for one in seekers if not one.served and not one.small)
    alone: Seeker | None = None
    suited = False
    for flow in pool.open_orders():
        while waiting and may_take(flow, waiting[0]):
            if alone is not None and not alone.served:
                return
            alone = waiting.popleft()
            suited = _has_an_order_of_its_own(alone, latest)
        if alone is not None and not suited and named.isdisjoint(flow.names):
            pool.give(flow, alone, Attribution.FIFO)


_Latest = tuple[Mapping[Decimal, datetime], Mapping[str, OrderFlow]]


def _latest_of(pool: Pool, named: frozenset[str]) -> _Latest:
    """When the last order of each quantity began; and the orders by name, of those `named`."""
    orders = pool.open_orders()
    begun = {pool.left[flow.exchange_order_id]: flow.first_at for flow in orders}
    if not named:
        return begun, {}
    return begun, {name: flow for flow in orders for name in flow.names if name in named}


def _has_an_order_of_its_own(seeker: Seeker, latest: _Latest) -> bool:
    """Whether some order is just what it needs, or is named by it and no more than that."""
    begun, by_name = latest
    equal = begun.get(seeker.need)
    if equal is not None and seeker.first_entry_at <= equal + ENTRY_SKEW:
        return True
    named = (by_name[name] for name in seeker.ids if name in by_name)
    return any(flow.rest <= seeker.need and may_take(flow, seeker) for flow in named)


def give_by_id(pool: Pool, seekers: Sequence[Seeker]) -> None:
    """Tier 1. Where one order names several lifecycles they must all be covered by it.

    An order that is named, but not clearly, is nobody else's either.
    """
    pool.reserved.clear()
    pool.contested.clear()
    sure, done = _by_name(seekers, "ids"), _by_name(seekers, "done_ids")
    rivals = _Rivals(seekers if done else ())
    named = pool.foreign.union(sure, done)
    for flow in pool.open_orders() if named else ():
        if named.isdisjoint(flow.names):
            continue
        linked = _linked(flow, sure) or _linked_by_rest(pool, flow, _linked(flow, done), rivals)
        if not pool.foreign.isdisjoint(flow.names) or not all(
            may_take(flow, one) for one in linked
        ):
            pool.reserved.add(flow.exchange_order_id)
        elif len(linked) > 1 and _needed(linked) > pool.left[flow.exchange_order_id]:
            pool.contested.add(flow.exchange_order_id)
        else:
            for one in linked:
                pool.give(flow, one, Attribution.ID_LINK)


def _by_name(
    seekers: Iterable[Seeker], which: Literal["ids", "done_ids"]
) -> dict[str, list[Seeker]]:
    named: dict[str, list[Seeker]] = defaultdict(list)
    for one in seekers:
        ids = one.ids if which == "ids" else one.done_ids
        for name in () if one.served else ids:
            named[name].append(one)
    return named


class _Rivals:
    """Those who wait, to be found by time and by need without looking at all of them.

    Also those of nothing but dust: what is left of an order may be just their exit.
    """

    def __init__(self, seekers: Iterable[Seeker]) -> None:
        waiting = [one for one in seekers if not one.served]
        self._by_entry = deque(waiting)
        self._by_need = sorted(waiting, key=lambda one: one.need)
        self._needs = [one.need for one in self._by_need]

    def beside(self, linked: Sequence[Seeker], flow: OrderFlow) -> bool:
        """Whether anybody else who waits may take the order."""
        while self._by_entry and self._by_entry[0].served:
            self._by_entry.popleft()
        tied = {one.order for one in linked}
        others = (one for one in self._by_entry if not one.served and one.order not in tied)
        first = next(others, None)
        return first is not None and may_take(flow, first)

    def alike(self, linked: Sequence[Seeker], flow: OrderFlow, left: Decimal) -> bool:
        """Whether the order has left just what somebody else needs."""
        tied = {one.order for one in linked}
        span = max(one.dust for one in linked) * 2
        first, last = bisect_left(self._needs, left - span), bisect_right(self._needs, left + span)
        return any(
            not one.served
            and one.order not in tied
            and may_take(flow, one)
            and _suits(left, one.need, [one])
            for one in self._by_need[first:last]
        )


def _linked_by_rest(
    pool: Pool, flow: OrderFlow, linked: list[Seeker], rivals: _Rivals
) -> list[Seeker]:
    """Rows that have had their part speak for the rest of the order only if nothing else does.

    Either nobody else can take it, or the rest is just what is still needed and suits nobody else.
    Where the ledger does not know who opened, the rest may be theirs.
    """
    if not linked or pool.in_doubt > 0 or pool.leg.doubts:
        return []
    if not rivals.beside(linked, flow):
        return linked
    left = pool.left[flow.exchange_order_id]
    if pool.is_short or not _suits(left, _needed(linked), linked):
        return []
    return [] if rivals.alike(linked, flow, left) else linked


def _suits(left: Decimal, need: Decimal, seekers: Iterable[Seeker]) -> bool:
    return abs(left - need) <= max(one.dust for one in seekers)


def _linked(flow: OrderFlow, named: Mapping[str, Sequence[Seeker]]) -> list[Seeker]:
    """The lifecycles that still need something and that an id ties to the order, oldest first."""
    linked = {one.order: one for name in flow.names for one in named.get(name, ())}
    return [linked[order] for order in sorted(linked) if not linked[order].served]


def _needed(seekers: Iterable[Seeker]) -> Decimal:
    return sum((one.need for one in seekers), ZERO)


def give_by_exact_quantity(pool: Pool, seekers: Sequence[Seeker], rules: Rules) -> None:
    """Tier 2."""
    if closings_are_missing(pool, seekers, rules) or _may_be_recorded(pool, seekers):
        return
    for flow, one in _exact_pairs(pool, seekers):
        left = pool.left[flow.exchange_order_id]
        if left <= pool.budget and left <= one.most_by(_EXACT):
            pool.give(flow, one, _EXACT)


def closings_are_missing(pool: Pool, seekers: Sequence[Seeker], rules: Rules) -> bool:
    """The window shows these lifecycles opened, the market is flat, yet it shows fewer closings.

    Then fills are missing from the answer, and an order that happens to equal a lifecycle may be
    the rest of another order: with a fill taken away, more would be closed (invariant 2). A single
    lifecycle is exempt, because there is nobody else whose exit it could be.
    """
    waiting = [one for one in seekers if not one.served and not one.small]
    if len(waiting) <= 1:
        return False
    proven = sum([one.need if one.need < one.shown else one.shown for one in waiting], ZERO)
    return proven > pool.budget + rules.dust_abs_qty


def _may_be_recorded(pool: Pool, seekers: Sequence[Seeker]) -> bool:
    """An order that equals a lifecycle may be the one that a closing without an order records.

    It does no harm where the fills cover all lifecycles and those closings too.
    """
    if pool.in_doubt <= 0:
        return False
    owed = sum([one.owed for one in seekers if not one.served and not one.small], ZERO)
    return pool.budget < owed


def _exact_pairs(pool: Pool, seekers: Sequence[Seeker]) -> list[tuple[OrderFlow, Seeker]]:
    """Pairs of equal quantity where neither the order nor the lifecycle has a second partner."""
    orders: dict[Decimal, list[OrderFlow]] = defaultdict(list)
    for flow in pool.free_orders():
        if flow.exchange_order_id not in pool.contested:
            orders[pool.left[flow.exchange_order_id]].append(flow)
    waiting: dict[Decimal, list[Seeker]] = defaultdict(list)
    for one in seekers:
        if not one.served:
            waiting[one.need].append(one)
    pairs = (_only_pair(orders.get(need, ()), equals) for need, equals in waiting.items())
    return [pair for pair in pairs if pair is not None]


def _only_pair(
    orders: Sequence[OrderFlow], seekers: Sequence[Seeker]
) -> tuple[OrderFlow, Seeker] | None:
    """The one pair among orders and lifecycles of one quantity, if there is just one.

    Lifecycles are in the order of their entry: an order that any may take, the first may take.
    """
    if not orders:
        return None
    taken = [flow for flow in orders if may_take(flow, seekers[0])]
    if len(taken) != 1 or (len(seekers) > 1 and may_take(taken[0], seekers[1])):
        return None
    return taken[0], seekers[0]
