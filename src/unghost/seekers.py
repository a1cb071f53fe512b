"""Who may claim: the open lifecycles of a leg, and what each of them needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from unghost import rowfacts
from unghost.flows import OrderFlow
from unghost.model import (
    Attribution,
    Evidence,
    LedgerRow,
    Lifecycle,
    LifecycleKey,
    PositionSide,
    Rules,
)
from unghost.netting import LegNetting
from unghost.quantities import dust_threshold

ENTRY_SKEW = timedelta(seconds=10)
"""How much later than a close order's first fill the first ENTRY may be stamped."""

_EARLIEST = datetime.min.replace(tzinfo=UTC) + ENTRY_SKEW
"""A ledger may be stamped with year 1: what comes before that cannot be told."""

ZERO = Decimal(0)


@dataclass(kw_only=True, slots=True)
class Seeker:
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


def may_take(flow: OrderFlow, seeker: Seeker) -> bool:
    """Whether the lifecycle was open by then."""
    return seeker.first_entry_at <= flow.first_at + ENTRY_SKEW


def seekers_of(
    evidence: Evidence,
    directions: Mapping[LifecycleKey, PositionSide],
    leg: LegNetting,
    rules: Rules,
) -> list[Seeker]:
    """The sound lifecycles of the leg that are to be closed, in the order of their entry."""
    own = (one for one in evidence.lifecycles if directions.get(one.key) is leg.leg)
    held = _held_when_it_began(leg)
    sound = (one for one in own if is_sound(one, directions))
    seekers = [_seeker(one, evidence, leg, rules, held) for one in sound]
    return sorted((one for one in seekers if one is not None), key=lambda one: one.order)


def _seeker(
    lifecycle: Lifecycle, evidence: Evidence, leg: LegNetting, rules: Rules, held: Decimal
) -> Seeker | None:
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
    disputed = leg.orphaned_since(max(lifecycle.first_entry_at, _EARLIEST) - ENTRY_SKEW)
    return Seeker(
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


def is_sound(lifecycle: Lifecycle, directions: Mapping[LifecycleKey, PositionSide]) -> bool:
    """Whether it can be judged: no defects, a direction, and an ENTRY with a time."""
    return (
        not lifecycle.defects
        and lifecycle.key in directions
        and lifecycle.first_entry_at is not None
    )


def directions_of(
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


def exit_names(lifecycle: Lifecycle, evidence: Evidence) -> frozenset[str]:
    """Ids by which the bot's own rows, whatever their status, tie a close order to it."""
    return _names_in(_exit_rows(lifecycle, evidence))


def _entry_names(lifecycle: Lifecycle, evidence: Evidence) -> frozenset[str]:
    return frozenset(
        name
        for row in _own_rows(lifecycle, evidence)
        if rowfacts.action_of(row) == rowfacts.ENTRY
        for name in rowfacts.linked_ids(row)
    )


def _own_rows(lifecycle: Lifecycle, evidence: Evidence) -> list[LedgerRow]:
    """`rows` holds other symbols of the trade_id too, and one order id may be on two of them."""
    names = {lifecycle.key.symbol}
    if evidence.market is not None:
        market = evidence.market
        names |= {market.unified, market.native_id, *market.spellings}
    return [row for row in lifecycle.rows if row.symbol in names]


def _exit_rows(lifecycle: Lifecycle, evidence: Evidence) -> list[LedgerRow]:
    return [
        row
        for row in _own_rows(lifecycle, evidence)
        if rowfacts.action_of(row) != rowfacts.ENTRY and not rowfacts.is_ours(row)
    ]


def _names_in(rows: Iterable[LedgerRow]) -> frozenset[str]:
    return frozenset(name for row in rows for name in rowfacts.linked_ids(row))


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
