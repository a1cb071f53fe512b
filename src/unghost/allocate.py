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

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from unghost import rowfacts
from unghost.model import (
    Attribution,
    AttributionPolicy,
    Claim,
    CloseOrder,
    Evidence,
    LedgerRow,
    Lifecycle,
    LifecycleKey,
    Money,
    PositionSide,
    Rules,
)
from unghost.netting import LegNetting, OrderFlow, net, some

ENTRY_SKEW = timedelta(seconds=10)
"""How much later than a close order's first fill the first ENTRY may be stamped."""

DEFAULT_SCALE = 18
"""Decimal places kept where the ledger's column sets no limit."""

MAX_SCALE = 36
"""Decimal places that the arithmetic has room for beside the largest amount."""

ZERO = Decimal(0)


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
    directions: Mapping[LifecycleKey, PositionSide]
    claims_by_lifecycle: Mapping[LifecycleKey, tuple[Claim, ...]]

    def leg(self, side: PositionSide) -> LegAllocation:
        """The allocation of one leg."""
        return next(leg for leg in self.legs if leg.leg is side)

    def claims_of(self, key: LifecycleKey) -> tuple[Claim, ...]:
        """The claims of one lifecycle, oldest close order first."""
        return self.claims_by_lifecycle.get(key, ())


def dust_threshold(open_qty: Decimal, rules: Rules) -> Decimal:
    """`MAX(dust_abs_qty, open_qty * dust_rel_pct)` in base units (checklist section 4)."""
    return max(rules.dust_abs_qty, open_qty * rules.dust_rel_pct)


def last_place(scale: int | None) -> Decimal:
    """One unit of the last decimal place that a column of this scale holds."""
    return Decimal(1).scaleb(-min(DEFAULT_SCALE if scale is None else scale, MAX_SCALE))


def allocate(evidence: Evidence, rules: Rules) -> Allocation:
    """Give the closing fills of `evidence` to its open lifecycles; base units throughout.

    Whether the fills may be believed at all is a gate, not judged here.
    """
    netted = net(evidence, tolerance=rules.dust_abs_qty)
    directions = _directions(evidence, netted)
    unsound = [one for one in evidence.lifecycles if not _is_sound(one, directions)]
    _doubt_unsound(netted, unsound, directions)
    _doubt_unknown_closings(netted, evidence, directions, rules.dust_abs_qty)
    foreign = frozenset(name for one in unsound for name in _exit_names(one, evidence))
    step = _step(evidence, rules)
    legs = tuple(
        _allocate_leg(
            _pool(
                leg,
                rules,
                step=step,
                foreign=foreign,
                open_qty=_open_on(leg, evidence, directions),
            ),
            _seekers(evidence, directions, leg, rules),
            rules,
        )
        for leg in netted.values()
    )
    by_lifecycle: dict[LifecycleKey, list[Claim]] = defaultdict(list)
    for leg in legs:
        for claim in leg.claims:
            by_lifecycle[claim.lifecycle].append(claim)
    return Allocation(
        legs=legs,
        directions=directions,
        claims_by_lifecycle={key: tuple(claims) for key, claims in by_lifecycle.items()},
    )


def _step(evidence: Evidence, rules: Rules) -> Decimal | None:
    """The smallest quantity that the ledger can hold, in base units; None where it holds any."""
    if rules.quantity_scale is None and evidence.ledger_unit == 1:
        return None
    return evidence.ledger_unit * last_place(rules.quantity_scale)


# --- who may claim -----------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class _Seeker:
    """An open lifecycle that looks for its exit."""

    lifecycle: Lifecycle
    first_entry_at: datetime
    need: Decimal
    dust: Decimal
    ids: frozenset[str]
    """Ids in rows that still wait for (part of) their order."""
    done_ids: frozenset[str]
    """Ids in EXIT rows that are filled: they have had their part of the order."""
    shown: Decimal
    """What of `need` the window shows as opened."""
    disputed: Decimal
    """Closed since it opened by EXIT rows without a trade_id, which may be rows of its own."""
    bound: Decimal
    """That, and all that was held when the window began: more cannot have been closed of it."""
    entry_ids: frozenset[str]
    withheld: Decimal = ZERO
    """Booked, but never held: it went as a fee in the asset itself, so no order sold it."""
    claimed: bool = False

    @property
    def most(self) -> Decimal:
        """What it may be given. What it is owed beyond that still counts against its rivals: to
        leave that out would be more repair on less evidence (invariant 2).
        """
        return min(self.need, self.bound)

    def most_by(self, tier: Attribution) -> Decimal:
        """What it may be given: all of `most` only where an id tells."""
        if tier is Attribution.ID_LINK:
            return self.most
        return max(ZERO, min(self.most, self.need - self.disputed))

    @property
    def small(self) -> bool:
        """All of it is dust: it is closed in any case, so it takes only what nobody else needs."""
        return self.lifecycle.open_qty <= self.dust

    @property
    def owed(self) -> Decimal:
        """What it lacks until its remainder is dust: the least that a serving must give.

        A small one that has claimed nothing yet wants its fill, for the price is the fill's
        (FAILURES 17).
        """
        return self.need if self.small and not self.claimed else self.need - self.dust

    @property
    def served(self) -> bool:
        """A lifecycle whose remainder is dust claims no more."""
        return self.owed <= 0

    @property
    def order(self) -> tuple[datetime, LifecycleKey]:
        """First in, first out; ties by key, so that input order is nothing."""
        return (self.first_entry_at, self.lifecycle.key)


def _directions(
    evidence: Evidence, netted: Mapping[PositionSide, LegNetting]
) -> dict[LifecycleKey, PositionSide]:
    """From the ledger; on spot (not margin) long; else from fills that its ENTRY rows link to."""
    found: dict[LifecycleKey, PositionSide] = {}
    for lifecycle in evidence.lifecycles:
        direction = lifecycle.direction or _fallback_direction(lifecycle, evidence, netted)
        if direction is not None:
            found[lifecycle.key] = direction
    return found


def _fallback_direction(
    lifecycle: Lifecycle, evidence: Evidence, netted: Mapping[PositionSide, LegNetting]
) -> PositionSide | None:
    market = evidence.market
    if market is not None and market.spot and not market.margin:
        return PositionSide.LONG
    if lifecycle.defects:
        return None
    names = _entry_names(lifecycle, evidence)
    linked = {
        side
        for side, leg in netted.items()
        for flow in leg.opening
        if names & {flow.exchange_order_id, flow.client_order_id}
    }
    return linked.pop() if len(linked) == 1 else None


def _own_rows(lifecycle: Lifecycle, evidence: Evidence) -> list[LedgerRow]:
    """`rows` holds other symbols of the trade_id too, and one order id may be on two of them."""
    names = {lifecycle.key.symbol}
    if evidence.market is not None:
        market = evidence.market
        names |= {market.unified, market.native_id, *market.spellings}
    return [row for row in lifecycle.rows if row.symbol in names]


def _entry_names(lifecycle: Lifecycle, evidence: Evidence) -> frozenset[str]:
    return frozenset(
        name
        for row in _own_rows(lifecycle, evidence)
        if rowfacts.action_of(row) == rowfacts.ENTRY
        for name in rowfacts.linked_ids(row)
    )


def _exit_names(lifecycle: Lifecycle, evidence: Evidence) -> frozenset[str]:
    """Ids by which the bot's own rows, whatever their status, tie a close order to it."""
    return _names_in(_exit_rows(lifecycle, evidence))


def _exit_rows(lifecycle: Lifecycle, evidence: Evidence) -> list[LedgerRow]:
    return [
        row
        for row in _own_rows(lifecycle, evidence)
        if rowfacts.action_of(row) != rowfacts.ENTRY and not rowfacts.is_ours(row)
    ]


def _names_in(rows: Iterable[LedgerRow]) -> frozenset[str]:
    return frozenset(name for row in rows for name in rowfacts.linked_ids(row))


def _doubt_unsound(
    netted: Mapping[PositionSide, LegNetting],
    unsound: Iterable[Lifecycle],
    directions: Mapping[LifecycleKey, PositionSide],
) -> None:
    """A lifecycle that cannot be judged may own any fill of its leg (or of both)."""
    ordered = sorted(unsound, key=lambda one: one.key)
    for side, leg in netted.items():
        names = [
            f"{one.key.trade_id} of profile {one.key.profile_id}"
            for one in ordered
            if directions.get(one.key, side) is side
        ]
        if names:
            leg.doubts.append(
                f"lifecycles that cannot be judged ({some(names)}), so any fill of this leg may be"
                " the exit of one of them"
            )


def _doubt_unknown_closings(
    netted: Mapping[PositionSide, LegNetting],
    evidence: Evidence,
    directions: Mapping[LifecycleKey, PositionSide],
    tolerance: Decimal,
) -> None:
    """In one-way mode a buy that closes a short nobody had may as well have opened a long.

    The backward replay knows of the position before the window only what the fills tell it: with a
    fill missing, an unknown opening looks like a closing of the other side.
    """
    for side, leg in netted.items():
        other = netted[side.opposite]
        own = (one for one in evidence.lifecycles if directions.get(one.key) is side.opposite)
        known = sum((one.open_qty for one in own if one.open_qty.is_finite()), ZERO)
        unclaimed = sum((flow.rest for flow in other.closing if not flow.is_hedged), ZERO)
        excess = min(_held_before(other), unclaimed - known)
        if excess > tolerance:
            leg.doubts.append(
                f"the exchange closed {excess.normalize():f} {side.opposite} that the ledger does"
                f" not know, which may have opened {side} instead"
            )


def _held_before(leg: LegNetting) -> Decimal:
    """The position of a one-way leg when the window begins: what it closed more than it opened."""
    closed = sum((flow.filled for flow in leg.closing if not flow.is_hedged), ZERO)
    return closed - sum((flow.filled for flow in leg.opening if not flow.is_hedged), ZERO)


def _is_sound(lifecycle: Lifecycle, directions: Mapping[LifecycleKey, PositionSide]) -> bool:
    return (
        not lifecycle.defects
        and lifecycle.key in directions
        and lifecycle.first_entry_at is not None
    )


def _seekers(
    evidence: Evidence,
    directions: Mapping[LifecycleKey, PositionSide],
    leg: LegNetting,
    rules: Rules,
) -> list[_Seeker]:
    own = (one for one in evidence.lifecycles if directions.get(one.key) is leg.leg)
    held = _held_when_it_began(leg)
    sound = (one for one in own if _is_sound(one, directions))
    seekers = [_seeker(one, evidence, leg, rules, held) for one in sound]
    return sorted((one for one in seekers if one is not None), key=lambda one: one.order)


def _seeker(
    lifecycle: Lifecycle, evidence: Evidence, leg: LegNetting, rules: Rules, held: Decimal
) -> _Seeker | None:
    if lifecycle.first_entry_at is None:
        return None
    own = {row.order_id for row in _own_rows(lifecycle, evidence) if rowfacts.is_counted(row)}
    withheld = sum((leg.withheld.get(name, ZERO) for name in sorted(own)), ZERO)
    exits = _exit_rows(lifecycle, evidence)
    entries = [
        row
        for row in _own_rows(lifecycle, evidence)
        if rowfacts.is_counted(row) and row.action == rowfacts.ENTRY
    ]
    shown = _shown(entries, leg) - _closed_within(evidence, lifecycle)
    disputed = leg.orphaned_since(lifecycle.first_entry_at - ENTRY_SKEW)
    return _Seeker(
        lifecycle=lifecycle,
        first_entry_at=lifecycle.first_entry_at,
        need=max(ZERO, lifecycle.open_qty - withheld),
        withheld=withheld,
        dust=dust_threshold(lifecycle.open_qty, rules),
        ids=_names_in(row for row in exits if not _has_had_its_part(row)),
        done_ids=_names_in(row for row in exits if _has_had_its_part(row)),
        shown=max(ZERO, shown),
        disputed=disputed if disputed > rules.dust_abs_qty else ZERO,
        bound=max(ZERO, shown + held),
        entry_ids=frozenset(row.order_id for row in entries),
    )


def _has_had_its_part(row: LedgerRow) -> bool:
    """A filled EXIT row took of its order what it says; the rest may be another lifecycle's.

    An order that closes two lifecycles and loses one of its rows looks just like a row that is
    short of its order. Only a row that is filled in part says that more is to come.
    """
    return rowfacts.is_filled(row) and "partial" not in (row.status or "").lower()


def _shown(entries: Sequence[LedgerRow], leg: LegNetting) -> Decimal:
    """What orders of the window show as opened of these rows.

    An ENTRY whose order never filled, or not in full, was given somebody else's exit elsewhere
    (FAILURES 10).
    """
    return sum((leg.proven_entries.get(row.order_id, ZERO) for row in entries), ZERO)


def _closed_within(evidence: Evidence, lifecycle: Lifecycle) -> Decimal:
    """What EXIT rows of the lifecycle say was closed within the window."""
    start_at = evidence.fills.window.start_at
    quantities = (
        rowfacts.usable_quantity(row) or ZERO
        for row in _own_rows(lifecycle, evidence)
        if rowfacts.action_of(row) == rowfacts.EXIT
        and rowfacts.is_filled(row)
        and not rowfacts.is_dust(row)
        and (row.at is None or row.at >= start_at)
    )
    return sum(quantities, ZERO)


def _held_when_it_began(leg: LegNetting) -> Decimal:
    """The position of the leg when the window begins: what it closed more than it opened."""
    closed = sum((flow.filled for flow in leg.closing), ZERO)
    return max(ZERO, closed - sum((flow.filled for flow in leg.opening), ZERO))


# --- giving out --------------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class _Pool:
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

    def give(self, flow: OrderFlow, seeker: _Seeker, tier: Attribution) -> None:
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


def _open_on(
    leg: LegNetting, evidence: Evidence, directions: Mapping[LifecycleKey, PositionSide]
) -> Decimal:
    """What the ledger says is open on the leg, in any profile; of unknown direction counts too."""
    quantities = (
        one.open_qty
        for one in evidence.lifecycles
        if directions.get(one.key, leg.leg) is leg.leg and one.open_qty.is_finite()
    )
    return sum(quantities, ZERO)


def _pool(
    leg: LegNetting,
    rules: Rules,
    *,
    step: Decimal | None,
    foreign: frozenset[str],
    open_qty: Decimal,
) -> _Pool:
    return _Pool(
        leg=leg,
        budget=leg.claimable(open_qty, rules.dust_abs_qty),
        step=step,
        left={flow.exchange_order_id: flow.rest for flow in leg.closing},
        foreign=foreign,
        in_doubt=max(ZERO, leg.unexplained - rules.dust_abs_qty),
    )


def _allocate_leg(pool: _Pool, seekers: Sequence[_Seeker], rules: Rules) -> LegAllocation:
    doubts = _give_out(pool, seekers, rules)
    by_order = _claims(pool, rules)
    leg = pool.leg
    return LegAllocation(
        leg=leg.leg,
        orders=tuple(_close_order(flow) for flow in leg.closing),
        claims=tuple(claim for claims in by_order.values() for claim in claims),
        doubts=tuple(doubts),
        unexplained=leg.unexplained,
        orphaned=leg.orphaned,
        claims_by_order=by_order,
        unclaimed=tuple((name, left) for name, left in pool.left.items() if left > 0),
        withheld={one.lifecycle.key: one.withheld for one in seekers if one.withheld},
    )


def _give_out(pool: _Pool, seekers: Sequence[_Seeker], rules: Rules) -> list[str]:
    """Go through the tiers until nothing more is given; return the doubts that stay."""
    large = [one for one in seekers if not one.small]
    small = [one for one in seekers if one.small]
    before = None
    while pool.budget != before:
        before = pool.budget
        pool.is_short = _closings_are_missing(pool, seekers, rules)
        if not pool.leg.doubts:
            _give_to_the_only_one(pool, seekers)
        _give_by_id(pool, seekers)
        if not pool.leg.doubts:
            _give_by_exact_quantity(pool, seekers, rules)
            _give_first_in_first_out(pool, large, rules)
    doubts = [*pool.leg.doubts, *_kept_back(pool), *_shortage(pool, large)]
    if not doubts:
        _give_first_in_first_out(pool, small, rules)
    return doubts


def _may_take(flow: OrderFlow, seeker: _Seeker) -> bool:
    """Whether the lifecycle was open by then."""
    return seeker.first_entry_at <= flow.first_at + ENTRY_SKEW


# to the only one -------------------------------------------------------------------------------


def _give_to_the_only_one(pool: _Pool, seekers: Sequence[_Seeker]) -> None:
    """What closed while one lifecycle alone was open is its own, whatever else might fit later.

    Left to the other tiers are orders that an id gives to somebody, and a lifecycle that some order
    equals: its other orders are surely not all its own.
    """
    if pool.in_doubt > 0:
        return
    named = pool.foreign.union(*(one.ids | one.done_ids for one in seekers))
    latest = _latest_of(pool)
    waiting = deque(one for one in seekers if not one.served and not one.small)
    alone: _Seeker | None = None
    suited = False
    for flow in pool.open_orders():
        while waiting and _may_take(flow, waiting[0]):
            if alone is not None and not alone.served:
                return
            alone = waiting.popleft()
            suited = _has_an_order_of_its_own(alone, latest)
        if alone is not None and not suited and not _names(flow) & named:
            pool.give(flow, alone, Attribution.FIFO)


_Latest = tuple[Mapping[Decimal, datetime], Mapping[str, OrderFlow]]


def _latest_of(pool: _Pool) -> _Latest:
    """When the last order of each quantity began; and the orders by name."""
    orders = pool.open_orders()
    begun = {pool.left[flow.exchange_order_id]: flow.first_at for flow in orders}
    return begun, {name: flow for flow in orders for name in _names(flow)}


def _has_an_order_of_its_own(seeker: _Seeker, latest: _Latest) -> bool:
    """Whether some order is just what it needs, or is named by it and no more than that."""
    begun, by_name = latest
    equal = begun.get(seeker.need)
    if equal is not None and seeker.first_entry_at <= equal + ENTRY_SKEW:
        return True
    named = (by_name[name] for name in seeker.ids if name in by_name)
    return any(flow.rest <= seeker.need and _may_take(flow, seeker) for flow in named)


# by id -----------------------------------------------------------------------------------------


def _give_by_id(pool: _Pool, seekers: Sequence[_Seeker]) -> None:
    """Tier 1. Where one order names several lifecycles they must all be covered by it.

    An order that is named, but not clearly, is nobody else's either.
    """
    pool.reserved.clear()
    pool.contested.clear()
    sure, done = _by_name(seekers, "ids"), _by_name(seekers, "done_ids")
    rivals = _Rivals(seekers)
    for flow in pool.open_orders():
        linked = _linked(flow, sure) or _linked_by_rest(pool, flow, _linked(flow, done), rivals)
        if _names(flow) & pool.foreign or not all(_may_take(flow, one) for one in linked):
            pool.reserved.add(flow.exchange_order_id)
        elif len(linked) > 1 and _needed(linked) > pool.left[flow.exchange_order_id]:
            pool.contested.add(flow.exchange_order_id)
        else:
            for one in linked:
                pool.give(flow, one, Attribution.ID_LINK)


def _by_name(
    seekers: Iterable[_Seeker], which: Literal["ids", "done_ids"]
) -> dict[str, list[_Seeker]]:
    named: dict[str, list[_Seeker]] = defaultdict(list)
    for one in seekers:
        for name in () if one.served else getattr(one, which):
            named[name].append(one)
    return named


class _Rivals:
    """Those who wait, to be found by time and by need without looking at all of them."""

    def __init__(self, seekers: Iterable[_Seeker]) -> None:
        waiting = [one for one in seekers if not one.served and not one.small]
        self._by_entry = deque(waiting)
        self._by_need = sorted(waiting, key=lambda one: one.need)
        self._needs = [one.need for one in self._by_need]

    def beside(self, linked: Sequence[_Seeker], flow: OrderFlow) -> bool:
        """Whether anybody else who waits may take the order."""
        while self._by_entry and self._by_entry[0].served:
            self._by_entry.popleft()
        tied = {one.order for one in linked}
        others = (one for one in self._by_entry if not one.served and one.order not in tied)
        first = next(others, None)
        return first is not None and _may_take(flow, first)

    def alike(self, linked: Sequence[_Seeker], flow: OrderFlow, left: Decimal) -> bool:
        """Whether the order has left just what somebody else needs."""
        tied = {one.order for one in linked}
        span = max(one.dust for one in linked) * 2
        first, last = bisect_left(self._needs, left - span), bisect_right(self._needs, left + span)
        return any(
            not one.served
            and one.order not in tied
            and _may_take(flow, one)
            and _suits(left, one.need, [one])
            for one in self._by_need[first:last]
        )


def _linked_by_rest(
    pool: _Pool, flow: OrderFlow, linked: list[_Seeker], rivals: _Rivals
) -> list[_Seeker]:
    """Rows that have had their part speak for the rest of the order only if nothing else does.

    Either nobody else can take it, or the rest is just what is still needed and suits nobody else.
    """
    if not linked or pool.in_doubt > 0:
        return []
    if not rivals.beside(linked, flow):
        return linked
    left = pool.left[flow.exchange_order_id]
    if pool.leg.doubts or pool.is_short or not _suits(left, _needed(linked), linked):
        return []
    return [] if rivals.alike(linked, flow, left) else linked


def _suits(left: Decimal, need: Decimal, seekers: Iterable[_Seeker]) -> bool:
    return abs(left - need) <= max(one.dust for one in seekers)


def _names(flow: OrderFlow) -> set[str]:
    return {name for name in (flow.exchange_order_id, flow.client_order_id) if name}


def _linked(flow: OrderFlow, named: Mapping[str, Sequence[_Seeker]]) -> list[_Seeker]:
    """The lifecycles that still need something and that an id ties to the order, oldest first."""
    linked = {one.order: one for name in _names(flow) for one in named.get(name, ())}
    return [linked[order] for order in sorted(linked) if not linked[order].served]


def _kept_back(pool: _Pool) -> list[str]:
    kept = pool.reserved | pool.contested
    names = [one.exchange_order_id for one in pool.open_orders() if one.exchange_order_id in kept]
    if not names:
        return []
    return [f"ledger rows name orders ({some(names)}) without telling whose exit they are"]


def _needed(seekers: Iterable[_Seeker]) -> Decimal:
    return sum((one.need for one in seekers), ZERO)


# by quantity -----------------------------------------------------------------------------------


def _give_by_exact_quantity(pool: _Pool, seekers: Sequence[_Seeker], rules: Rules) -> None:
    """Tier 2."""
    if _closings_are_missing(pool, seekers, rules) or _may_be_recorded(pool, seekers):
        return
    for flow, one in _exact_pairs(pool, seekers):
        if pool.left[flow.exchange_order_id] <= min(
            pool.budget, one.most_by(Attribution.EXACT_QUANTITY)
        ):
            pool.give(flow, one, Attribution.EXACT_QUANTITY)


def _closings_are_missing(pool: _Pool, seekers: Sequence[_Seeker], rules: Rules) -> bool:
    """The window shows these lifecycles opened, the market is flat, yet it shows fewer closings.

    Then fills are missing from the answer, and an order that happens to equal a lifecycle may be
    the rest of another order: with a fill taken away, more would be closed (invariant 2). A single
    lifecycle is exempt, because there is nobody else whose exit it could be.
    """
    waiting = [one for one in seekers if not one.served and not one.small]
    proven = sum((min(one.need, one.shown) for one in waiting), ZERO)
    return len(waiting) > 1 and proven > pool.budget + rules.dust_abs_qty


def _may_be_recorded(pool: _Pool, seekers: Sequence[_Seeker]) -> bool:
    """An order that equals a lifecycle may be the one that a closing without an order records.

    It does no harm where the fills cover all lifecycles and those closings too.
    """
    owed = sum((one.owed for one in seekers if not one.served and not one.small), ZERO)
    return pool.in_doubt > 0 and pool.budget < owed


def _exact_pairs(pool: _Pool, seekers: Sequence[_Seeker]) -> list[tuple[OrderFlow, _Seeker]]:
    """Pairs of equal quantity where neither the order nor the lifecycle has a second partner."""
    orders: dict[Decimal, list[OrderFlow]] = defaultdict(list)
    for flow in pool.free_orders():
        if pool.is_contested(flow):
            continue
        orders[pool.left[flow.exchange_order_id]].append(flow)
    waiting: dict[Decimal, list[_Seeker]] = defaultdict(list)
    for one in seekers:
        if not one.served:
            waiting[one.need].append(one)
    pairs = (_only_pair(orders.get(need, ()), equals) for need, equals in waiting.items())
    return [pair for pair in pairs if pair is not None]


def _only_pair(
    orders: Sequence[OrderFlow], seekers: Sequence[_Seeker]
) -> tuple[OrderFlow, _Seeker] | None:
    """The one pair among orders and lifecycles of one quantity, if there is just one.

    Lifecycles are in the order of their entry: an order that any may take, the first may take.
    """
    taken = [flow for flow in orders if _may_take(flow, seekers[0])]
    if len(taken) != 1 or (len(seekers) > 1 and _may_take(taken[0], seekers[1])):
        return None
    return taken[0], seekers[0]


# first in, first out ---------------------------------------------------------------------------


def _give_first_in_first_out(pool: _Pool, seekers: Sequence[_Seeker], rules: Rules) -> None:
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

    pool: _Pool
    later: deque[_Seeker]
    held: list[OrderFlow] = field(default_factory=list)
    waiting: list[_Seeker] = field(default_factory=list)
    stock: Decimal = ZERO
    owed: Decimal = ZERO

    def admit(self, flow: OrderFlow) -> None:
        """Let an order in, and the lifecycles that were open by then."""
        self.held.append(flow)
        self.stock += self.pool.left[flow.exchange_order_id]
        while self.later and _may_take(flow, self.later[0]):
            self.waiting.append(self.later.popleft())
            self.owed += self.waiting[-1].owed

    def shares_of_one(self, flow: OrderFlow) -> list[tuple[OrderFlow, _Seeker]]:
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

    def shares(self) -> list[tuple[OrderFlow, _Seeker]]:
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

    def serve(self, shares: Sequence[tuple[OrderFlow, _Seeker]]) -> None:
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

    pool: _Pool
    held: Sequence[OrderFlow]
    budget: Decimal
    place: int = 0
    used: Decimal = ZERO
    shares: list[tuple[OrderFlow, _Seeker]] = field(default_factory=list)

    def serve(self, seeker: _Seeker) -> bool:
        """Take until the lifecycle's remainder is dust; whether that came about."""
        owed, need = seeker.owed, seeker.most_by(Attribution.FIFO)
        while owed > 0 and self.place < len(self.held):
            taken = self._take(seeker, need)
            owed -= taken
            need -= taken
            if owed > 0:
                self.place, self.used = self.place + 1, ZERO
        return owed <= 0

    def _take(self, seeker: _Seeker, need: Decimal) -> Decimal:
        flow = self.held[self.place]
        if not _may_take(flow, seeker):
            return ZERO
        left = self.pool.left[flow.exchange_order_id] - self.used
        taken = self.pool.whole(min(left, need, self.budget))
        if taken > 0:
            self.shares.append((flow, seeker))
            self.used += taken
            self.budget -= taken
        return taken


def _shortage(pool: _Pool, seekers: Sequence[_Seeker]) -> list[str]:
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


# --- results -----------------------------------------------------------------------------------


def _close_order(flow: OrderFlow) -> CloseOrder:
    return CloseOrder(
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
        fill_ids=tuple(part.fill.fill_id for part in flow.parts),
        digest=flow.digest(),
        accounted_by=tuple(sorted(row.order_id for row in flow.accounted_by)),
    )


def _claims(pool: _Pool, rules: Rules) -> dict[str, tuple[Claim, ...]]:
    place = last_place(rules.fee_scale)
    by_order: dict[str, list[tuple[LifecycleKey, Decimal, Attribution]]] = defaultdict(list)
    for (name, key), (quantity, tier) in pool.given.items():
        by_order[name].append((key, quantity, tier))
    return {
        flow.exchange_order_id: tuple(
            _claims_of_order(flow, sorted(by_order[flow.exchange_order_id]), place)
        )
        for flow in pool.leg.closing
    }


def _claims_of_order(
    flow: OrderFlow, given: Sequence[tuple[LifecycleKey, Decimal, Attribution]], place: Decimal
) -> Iterator[Claim]:
    order = _close_order(flow)
    offset = flow.accounted
    for key, quantity, tier in given:
        yield Claim(
            lifecycle=key,
            order=order,
            quantity=quantity,
            fees=split_fees(
                order.fees, whole=order.filled, offset=offset, part=quantity, place=place
            ),
            attribution=tier,
        )
        offset += quantity


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
    return tuple(
        Money(
            currency=fee.currency,
            amount=_running(fee.amount, offset + part, whole, place)
            - _running(fee.amount, offset, whole, place),
        )
        for fee in fees
    )


def _running(amount: Decimal, upto: Decimal, whole: Decimal, place: Decimal) -> Decimal:
    if upto >= whole:
        return amount
    return (amount * upto / whole).quantize(place, rounding=ROUND_HALF_EVEN)
