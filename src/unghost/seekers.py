"""Who may claim: the open lifecycles of a leg, and what each of them needs. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from unghost import rowfacts
from unghost.flows import OrderFlow
from unghost.makers import maker
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

_ID_LINK = Attribution.ID_LINK

_EARLIEST = datetime.min.replace(tzinfo=UTC) + ENTRY_SKEW
"""A ledger may be stamped with year 1: what comes before that cannot be told."""

ZERO = Decimal(0)


@dataclass(kw_only=True, slots=True, eq=False)
class Seeker:
    """An open lifecycle that looks for its exit. What changes is changed by `take` alone."""

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
    """That, and what was held when the window began, where its ENTRY is that old: more cannot have
    been closed of it.
    """
    small: bool
    """All of it is dust: it is closed in any case, so it takes only what nobody else needs."""
    withheld: Decimal = ZERO
    """Booked, but never held: it went as a fee in the asset itself, so no order sold it."""
    claimed: bool = False
    owed: Decimal = field(init=False)
    """What it lacks until its remainder is dust: the least that a serving must give."""
    served: bool = field(init=False)
    """A lifecycle whose remainder is dust claims no more."""
    order: tuple[datetime, LifecycleKey] = field(init=False)
    """First in, first out; ties by key, so that input order is nothing."""

    def __post_init__(self) -> None:
        """Reckon what the rest tells."""
        self.order = (self.first_entry_at, self.lifecycle.key)
        self._reckon()

    def _reckon(self) -> None:
        """A small one that has claimed nothing yet wants its fill, for the price is the fill's
        (FAILURES 17).
        """
        self.owed = self.need if self.small and not self.claimed else self.need - self.dust
        self.served = self.owed <= ZERO

    def take(self, quantity: Decimal) -> None:
        """Claim so much."""
        self.need -= quantity
        shown = self.shown - quantity
        self.shown = shown if shown > ZERO else ZERO
        self.bound -= quantity
        self.claimed = True
        self._reckon()

    def most_by(self, tier: Attribution) -> Decimal:
        """What it may be given: all that it needs and may have had only where an id tells.

        What it is owed beyond that still counts against its rivals: to leave that out would be more
        repair on less evidence (invariant 2).
        """
        most = self.need if self.need <= self.bound else self.bound
        if tier is _ID_LINK:
            return most
        if self.disputed:
            most = min(most, self.need - self.disputed)
        return most if most > ZERO else ZERO


_new_seeker = maker(Seeker)


def may_take(flow: OrderFlow, seeker: Seeker) -> bool:
    """Whether the lifecycle was open by then."""
    return seeker.first_entry_at <= flow.first_at + ENTRY_SKEW


Sided = Sequence[tuple[Lifecycle, PositionSide | None]]
"""The open lifecycles of a market, each with its direction; None where nothing tells."""


def seekers_of(evidence: Evidence, sided: Sided, leg: LegNetting, rules: Rules) -> list[Seeker]:
    """The sound lifecycles of the leg that are to be closed, in the order of their entry."""
    scale = _Scale(
        leg=leg,
        names=market_names(evidence),
        start_at=evidence.fills.window.start_at,
        begun_at=evidence.fills.window.start_at + ENTRY_SKEW,
        held=_held_when_it_began(leg),
        rules=rules,
    )
    seekers = [
        scale.seeker(lifecycle, entered_at)
        for lifecycle, side in sided
        if side is leg.leg and (entered_at := sound_since(lifecycle, side)) is not None
    ]
    return sorted(seekers, key=attrgetter("order"))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scale:
    """What the lifecycles of one leg are weighed by. `held` when the window began.

    The window begins at `start_at`; what is stamped before `begun_at` may have been entered before.
    """

    leg: LegNetting
    names: frozenset[str]
    start_at: datetime
    begun_at: datetime
    held: Decimal
    rules: Rules

    def seeker(self, lifecycle: Lifecycle, first_entry_at: datetime) -> Seeker:
        """Who looks for an exit, and for how much."""
        own = _own_rows(lifecycle, self.names)
        entries, others = _parted(own)
        ids, done_ids = _exit_ids(others) if others else (_NO_IDS, _NO_IDS)
        withheld = self._withheld(own) if self.leg.withheld else ZERO
        need = lifecycle.open_qty - withheld
        shown = self._shown(entries)
        if others:
            shown -= self._closed_within(others)
        bound = shown + (self._held_of(entries) if self.held else self.held)
        dust = dust_threshold(lifecycle.open_qty, self.rules)
        return _new_seeker(
            lifecycle=lifecycle,
            first_entry_at=first_entry_at,
            need=need if need > ZERO else ZERO,
            withheld=withheld,
            dust=dust,
            small=lifecycle.open_qty <= dust,
            ids=ids,
            done_ids=done_ids,
            shown=shown if shown > ZERO else ZERO,
            disputed=self._disputed(first_entry_at) if self.leg.orphans else ZERO,
            bound=bound if bound > ZERO else ZERO,
        )

    def _withheld(self, own: Sequence[LedgerRow]) -> Decimal:
        names = sorted({row.order_id for row in own if rowfacts.is_counted(row)})
        return sum([self.leg.withheld.get(name, ZERO) for name in names], ZERO)

    def _shown(self, entries: Sequence[LedgerRow]) -> Decimal:
        """What orders of the window show as opened of these rows.

        An ENTRY whose order never filled, or not in full, was given somebody else's exit elsewhere
        (FAILURES 10).
        """
        shown, proven = ZERO, self.leg.proven_entries
        for row in entries:
            shown += proven.get(row.order_id, ZERO)
        return shown

    def _held_of(self, entries: Sequence[LedgerRow]) -> Decimal:
        """What of the position that was held when the window began may be of these rows.

        That is what they say was opened before the window, or may have been: what is entered later
        is no part of it. A window that reaches back to the first ENTRY begins just the skew before
        it, so that the fills of that ENTRY are within: one that has none there was not held.
        """
        quantities = [
            rowfacts.usable_quantity(row) or ZERO
            for row in entries
            if row.at is None or row.at < self.begun_at
        ]
        return min(self.held, sum(quantities, ZERO))

    def _closed_within(self, others: Sequence[LedgerRow]) -> Decimal:
        """What EXIT rows of the lifecycle say was closed within the window."""
        quantities = [
            rowfacts.usable_quantity(row) or ZERO
            for row in others
            if rowfacts.action_of(row) == rowfacts.EXIT
            and rowfacts.is_filled(row)
            and not rowfacts.is_dust(row)
            and (row.at is None or row.at >= self.start_at)
        ]
        return sum(quantities, ZERO)

    def _disputed(self, first_entry_at: datetime) -> Decimal:
        disputed = self.leg.orphaned_since(max(first_entry_at, _EARLIEST) - ENTRY_SKEW)
        return disputed if disputed > self.rules.dust_abs_qty else ZERO


def sound_since(lifecycle: Lifecycle, side: PositionSide | None) -> datetime | None:
    """When it was entered, if it can be judged: no defects, a direction, an ENTRY with a time."""
    return None if lifecycle.defects or side is None else lifecycle.first_entry_at


def sided_of(evidence: Evidence, netted: Mapping[PositionSide, LegNetting]) -> Sided:
    """From the ledger; on spot (not margin) long; else from fills that its ENTRY rows link to."""
    market, names = evidence.market, market_names(evidence)
    if market is not None and market.spot and not market.margin:
        return [(one, one.direction or PositionSide.LONG) for one in evidence.lifecycles]
    if all(one.direction for one in evidence.lifecycles):
        return [(one, one.direction) for one in evidence.lifecycles]
    opened = _sides_opened(netted)
    return [
        (one, one.direction or _linked_direction(one, names, opened)) for one in evidence.lifecycles
    ]


def _sides_opened(netted: Mapping[PositionSide, LegNetting]) -> Mapping[str, set[PositionSide]]:
    """The legs that each order (by its ids) opened."""
    found: dict[str, set[PositionSide]] = defaultdict(set)
    for side, leg in netted.items():
        for flow in leg.opening:
            for name in flow.names:
                found[name].add(side)
    return found


def _linked_direction(
    lifecycle: Lifecycle, names: frozenset[str], opened: Mapping[str, set[PositionSide]]
) -> PositionSide | None:
    if lifecycle.defects:
        return None
    own = _own_rows(lifecycle, names)
    entries = [row for row in own if rowfacts.action_of(row) == rowfacts.ENTRY]
    linked = {side for name in _names_in(entries) for side in opened.get(name, ())}
    return linked.pop() if len(linked) == 1 else None


def exit_names(lifecycle: Lifecycle, evidence: Evidence) -> frozenset[str]:
    """Ids by which the bot's own rows, whatever their status, tie a close order to it."""
    own = _own_rows(lifecycle, market_names(evidence))
    return _names_in([row for row in own if _may_name_an_exit(row)])


def market_names(evidence: Evidence) -> frozenset[str]:
    """The names under which the ledger may hold the market."""
    market = evidence.market
    if market is None:
        return frozenset()
    return frozenset({market.unified, market.native_id, *market.spellings})


def _own_rows(lifecycle: Lifecycle, names: frozenset[str]) -> list[LedgerRow]:
    """`rows` holds other symbols of the trade_id too, and one order id may be on two of them."""
    symbol = lifecycle.key.symbol
    return [row for row in lifecycle.rows if row.symbol == symbol or row.symbol in names]


def _parted(own: Sequence[LedgerRow]) -> tuple[list[LedgerRow], list[LedgerRow]]:
    """The ENTRY rows that count, and all rows that are no ENTRY in any spelling."""
    entries: list[LedgerRow] = []
    others: list[LedgerRow] = []
    for row in own:
        if row.action == rowfacts.ENTRY:
            if rowfacts.is_counted(row):
                entries.append(row)
        elif rowfacts.action_of(row) != rowfacts.ENTRY:
            others.append(row)
    return entries, others


def _may_name_an_exit(row: LedgerRow) -> bool:
    return rowfacts.action_of(row) != rowfacts.ENTRY and not rowfacts.is_ours(row)


def _exit_ids(rows: Sequence[LedgerRow]) -> tuple[frozenset[str], frozenset[str]]:
    """Ids in the bot's own EXIT rows that still wait for their order, and in those that do not."""
    exits = [row for row in rows if _may_name_an_exit(row)]
    done = [row for row in exits if _has_had_its_part(row)]
    waiting = [row for row in exits if not _has_had_its_part(row)]
    return _names_in(waiting), _names_in(done)


_NO_IDS: frozenset[str] = frozenset()


def _names_in(rows: Sequence[LedgerRow]) -> frozenset[str]:
    return frozenset([name for row in rows for name in rowfacts.linked_ids(row)])


def _has_had_its_part(row: LedgerRow) -> bool:
    """A filled EXIT row took of its order what it says; the rest may be another lifecycle's.

    An order that closes two lifecycles and loses one of its rows looks just like a row that is
    short of its order. Only a row that is filled in part says that more is to come.
    """
    return rowfacts.is_filled(row) and "partial" not in (row.status or "").lower()


def _held_when_it_began(leg: LegNetting) -> Decimal:
    """The position of the leg when the window begins: what it closed more than it opened."""
    closed = sum([flow.filled for flow in leg.closing], ZERO)
    return max(ZERO, closed - sum([flow.filled for flow in leg.opening], ZERO))
