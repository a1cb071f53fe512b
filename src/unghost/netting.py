"""What of the exchange's orders the ledger already accounts for, leg by leg. Pure.

Ledger rows are set against the flows of the orders: by an id that names the order, else by time
and quantity. Source of the rule: DESIGN section 4, "A fill is used once". How fills become flows
is in `flows`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from unghost import rowfacts
from unghost.flows import ZERO, FillPart, OrderFlow, flows, split
from unghost.makers import maker
from unghost.model import Evidence, LedgerRow, PositionSide
from unghost.rowfacts import NETTING_SPAN

__all__ = [
    "NETTING_SPAN",
    "FillPart",
    "LegNetting",
    "OrderFlow",
    "flows",
    "net",
    "some",
    "split",
]

_LEGS = (PositionSide.LONG, PositionSide.SHORT)
_ALONE = {leg: frozenset({leg}) for leg in _LEGS}

# --- the legs ----------------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class LegNetting:
    """One leg with what speaks against attributing its fills by anything but ids.

    `unexplained` are recorded closings beyond what the orders of the window explain; they count
    against the leg. `doubts` are sentences.
    """

    leg: PositionSide
    closing: list[OrderFlow]
    opening: list[OrderFlow]
    unexplained: Decimal = ZERO
    entered: Decimal = ZERO
    """What ENTRY rows account for of its closings: in one-way mode they are of the other leg."""
    orphans: list[tuple[datetime | None, Decimal]] = field(default_factory=list)
    """Times and quantities of EXIT rows without a trade_id; ENTRY rows without one count below
    zero. Whose exit such a row records, nobody can tell: it may be any open lifecycle's."""
    unusable: list[str] = field(default_factory=list)
    """Filled rows (by order_id) without a usable quantity."""
    doubts: list[str] = field(default_factory=list)
    proven_entries: dict[str, Decimal] = field(default_factory=dict)
    """Quantity of each ENTRY row (by order_id) that orders of the window show as filled."""
    withheld: dict[str, Decimal] = field(default_factory=dict)
    """Of each row (by order_id) that names its order: what went as a fee in the asset itself."""

    @property
    def orphaned(self) -> Decimal:
        """What rows without a trade_id closed more than they opened."""
        return max(ZERO, sum((quantity for _, quantity in self.orphans), ZERO))

    def orphaned_since(self, start_at: datetime) -> Decimal:
        """The part of it that a lifecycle opened at this time may have had."""
        if not self.orphans:
            return ZERO
        since = (size for at, size in self.orphans if size > 0 and (at is None or at >= start_at))
        return min(self.orphaned, sum(since, ZERO))

    def claimable(self, open_qty: Decimal, tolerance: Decimal) -> Decimal:
        """What new rows may close at most: conservation, up to `tolerance` of rounding.

        Closed by the exchange less everything that the ledger recorded as closed (invariant 3). And
        of the leg's `open_qty` only what no EXIT row without a trade_id can have closed already.
        """
        rest = sum([flow.rest for flow in self.closing], ZERO)
        most = [rest, rest - self.unexplained + tolerance]
        if self.orphaned > 0:
            most.append(open_qty - self.orphaned + tolerance)
        return max(ZERO, min(most))


@dataclass(kw_only=True, slots=True)
class _Pending:
    """A ledger row on its way to being explained."""

    row: LedgerRow
    rest: Decimal
    leg: PositionSide | None
    is_entry: bool


_new_pending = maker(_Pending)


def net(evidence: Evidence, *, tolerance: Decimal) -> Mapping[PositionSide, LegNetting]:
    """Set the account's ledger rows against the orders of the window, leg by leg.

    `tolerance` is the quantity (base units) below which an unknown opening is rounding.
    """
    base = evidence.market.base if evidence.market and evidence.market.spot else None
    parts = split(evidence.fills.fills, evidence.position_after, spot=base is not None)
    found = flows(parts, base=base)
    legs = {leg: _leg(leg, found) for leg in _LEGS}
    named = _by_identity(found)
    pending = _pending_rows(evidence, legs, named)
    unlinked = [one for one in pending if not _settle_by_id(one, named, legs)]
    _settle_by_time(unlinked, legs)
    edge = evidence.fills.window.start_at + NETTING_SPAN
    for one in unlinked:
        _count_unexplained(one, legs, edge)
    _count_orphans(evidence.ledger_rows, legs)
    for leg in legs.values():
        _withhold(leg)
        _doubt_unusable_rows(leg)
        _doubt_unknown_openings(leg, tolerance)
    return legs


def _leg(leg: PositionSide, found: Iterable[OrderFlow]) -> LegNetting:
    own = [flow for flow in found if flow.leg is leg]
    return LegNetting(
        leg=leg,
        closing=[flow for flow in own if flow.closing],
        opening=[flow for flow in own if not flow.closing],
    )


_Named = Mapping[str, Sequence[OrderFlow]]


def _by_identity(found: Sequence[OrderFlow]) -> _Named:
    """The flows by every id that a ledger row may call their order by."""
    named: dict[str, list[OrderFlow]] = defaultdict(list)
    for flow in found:
        for identity in flow.names:
            named[identity].append(flow)
    return named


def _pending_rows(
    evidence: Evidence, legs: Mapping[PositionSide, LegNetting], named: _Named
) -> list[_Pending]:
    directions = _directions(evidence)
    fallback = PositionSide.LONG if evidence.market and evidence.market.spot else None
    pending: list[_Pending] = []
    for row in sorted(evidence.ledger_rows, key=attrgetter("order_id")):
        if not rowfacts.is_filled(row) or rowfacts.is_dust(row):
            continue
        stated = directions.get((row.profile_id, row.trade_id)) or rowfacts.stated_direction(row)
        leg = stated or fallback
        quantity = rowfacts.usable_quantity(row)
        if quantity is None:
            _distrust(row, leg, legs, named)
            continue
        is_entry = rowfacts.action_of(row) == rowfacts.ENTRY
        pending.append(_new_pending(row=row, rest=quantity, leg=leg, is_entry=is_entry))
    return pending


def _directions(evidence: Evidence) -> dict[tuple[str, str | None], PositionSide]:
    """The direction of each lifecycle in sight, so that its EXIT rows need none of their own.

    A trade_id that was used for both directions tells nothing: there each row speaks for itself.
    """
    stated: dict[tuple[str, str | None], frozenset[PositionSide]] = {}
    for lifecycle in evidence.lifecycles:
        if lifecycle.direction is not None:
            name, sides = (
                (lifecycle.key.profile_id, lifecycle.key.trade_id),
                _ALONE[lifecycle.direction],
            )
            stated[name] = stated[name] | sides if name in stated else sides
    for row in evidence.ledger_rows:
        if row.trade_id is not None and rowfacts.action_of(row) == rowfacts.ENTRY:
            name, sides = (row.profile_id, row.trade_id), rowfacts.stated_directions(row)
            if name not in stated:
                stated[name] = sides
            elif stated[name] != sides:
                stated[name] |= sides
    return {name: next(iter(sides)) for name, sides in stated.items() if len(sides) == 1}


def _distrust(
    row: LedgerRow,
    leg: PositionSide | None,
    legs: Mapping[PositionSide, LegNetting],
    named: _Named,
) -> None:
    """A filled row without a usable quantity may account for anything: believe only the worst."""
    for flow in _named_flows(row, named):
        flow.take(row, flow.rest)
    for name in _LEGS if leg is None else (leg,):
        legs[name].unusable.append(row.order_id)


# by id -----------------------------------------------------------------------------------------


def _named_flows(row: LedgerRow, named: _Named) -> Sequence[OrderFlow]:
    """The flows of the exchange order that the row names by its surest id (`linked_ids`)."""
    for identity in (row.exchange_order_id, row.order_id, row.client_order_id):
        if identity is not None and identity in named:
            return named[identity]
    return ()


def _settle_by_id(one: _Pending, named: _Named, legs: Mapping[PositionSide, LegNetting]) -> bool:
    """Account a row to the order it names: an ENTRY to its opening first, an EXIT to its closing.

    What an EXIT holds beyond the closing part of its order has no fill: it counts against the leg,
    and makes no opening known.
    """
    own = _named_flows(one.row, named)
    if not own:
        return False
    if len(own) > 1:
        own = sorted(own, key=lambda flow: flow.closing is one.is_entry)
    total = one.rest
    for flow in own:
        if one.is_entry or flow.closing:
            taken = flow.take(one.row, one.rest)
            flow.linked[one.row.order_id] = taken
            one.rest -= taken
            if one.is_entry and flow.closing and not flow.is_hedged:
                legs[flow.leg].entered += taken
    leg = legs[one.leg or own[0].leg]
    if one.is_entry:
        leg.proven_entries[one.row.order_id] = total - one.rest
    else:
        leg.unexplained += one.rest
    return True


# by time and quantity --------------------------------------------------------------------------


def _settle_by_time(unlinked: Sequence[_Pending], legs: Mapping[PositionSide, LegNetting]) -> None:
    astray = [one for one in unlinked if not one.is_entry and one.leg is None]
    copies = {leg: [replace(one) for one in astray] for leg in _LEGS}
    for leg in _LEGS:
        entries = [one for one in unlinked if one.is_entry and one.leg is leg]
        exits = [one for one in unlinked if not one.is_entry and one.leg is leg]
        before = {one.row.order_id: one.rest for one in entries}
        _match(entries, legs[leg].opening)
        _match([*exits, *copies[leg]], legs[leg].closing)
        # In one-way mode an entry of this leg is an order of the other leg's closing side.
        other = legs[leg.opposite]
        other.entered += _match(entries, other.closing, one_way_only=True)
        for one in entries:
            legs[leg].proven_entries[one.row.order_id] = before[one.row.order_id] - one.rest
    # An EXIT of unknown leg may be either's: it takes from both, and is explained by one.
    for one, *rests in zip(astray, *copies.values(), strict=True):
        one.rest = min(copy.rest for copy in rests)


def _match(
    rows: Sequence[_Pending], orders: Sequence[OrderFlow], *, one_way_only: bool = False
) -> Decimal:
    """Exact quantity first, then nearest in time; ties by id, so that input order is nothing.

    Returns how much was matched.
    """
    matched = ZERO
    if not rows:
        return matched
    timetable = _Timetable(flow for flow in orders if not (one_way_only and flow.is_hedged))
    near = [
        (_distance(one.row.at, flow), flow.exchange_order_id, one.row.order_id, one, flow)
        for one in rows
        if one.row.at is not None and one.rest
        for flow in timetable.around(one.row.at)
    ]
    near.sort(key=lambda pair: pair[:3])
    for exact in (True, False):
        for *_, one, flow in near:
            if one.rest and flow.rest and (not exact or one.rest == flow.rest):
                taken = flow.take(one.row, one.rest)
                one.rest -= taken
                matched += taken
    return matched


class _Timetable:
    """Orders that have something left, to be found by time without looking at all of them."""

    def __init__(self, orders: Iterable[OrderFlow]) -> None:
        self._orders = sorted((flow for flow in orders if flow.rest), key=lambda one: one.first_at)
        self._starts = [flow.first_at for flow in self._orders]
        lengths = (flow.last_at - flow.first_at for flow in self._orders)
        self._longest = max(lengths, default=timedelta(0))

    def around(self, at: datetime) -> list[OrderFlow]:
        """The orders within the netting span of a time."""
        first = bisect_left(self._starts, _shifted(at, -NETTING_SPAN - self._longest))
        last = bisect_right(self._starts, _shifted(at, NETTING_SPAN))
        return [flow for flow in self._orders[first:last] if _distance(at, flow) <= NETTING_SPAN]


def _shifted(at: datetime, by: timedelta) -> datetime:
    """The calendar ends somewhere, and a ledger may hold its last day."""
    try:
        return at + by
    except OverflowError:
        return at


def _distance(at: datetime, flow: OrderFlow) -> timedelta:
    if flow.first_at <= at <= flow.last_at:
        return timedelta(0)
    return min(abs(at - flow.first_at), abs(at - flow.last_at))


# what stays ------------------------------------------------------------------------------------


def _count_unexplained(
    one: _Pending, legs: Mapping[PositionSide, LegNetting], edge: datetime
) -> None:
    """A recorded closing without its order counts against the leg; of unknown leg, against both.

    Not so near the start of the window: a row stamped there late records an order before it.
    """
    if one.is_entry or (one.row.at is not None and one.row.at < edge):
        return
    for leg in _LEGS if one.leg is None else (one.leg,):
        legs[leg].unexplained += one.rest


def _withhold(leg: LegNetting) -> None:
    """Share the fees that were taken in the asset out to the rows that name their orders."""
    for flow in (*leg.opening, *leg.closing):
        if flow.base is None:
            continue
        kept = flow.kept()
        for name, taken in flow.linked.items() if kept else ():
            if taken:
                share = kept * taken / flow.accounted
                leg.withheld[name] = leg.withheld.get(name, ZERO) + share


def _count_orphans(rows: Iterable[LedgerRow], legs: Mapping[PositionSide, LegNetting]) -> None:
    for row in rows:
        if row.trade_id is None and rowfacts.is_filled(row):
            sign = -1 if rowfacts.action_of(row) == rowfacts.ENTRY else 1
            stated = rowfacts.stated_direction(row)
            quantity = sign * (rowfacts.usable_quantity(row) or ZERO)
            for leg in _LEGS if stated is None else (stated,):
                legs[leg].orphans.append((row.at, quantity))


def _doubt_unusable_rows(leg: LegNetting) -> None:
    if leg.unusable:
        leg.doubts.append(
            f"ledger rows that are filled without a usable quantity: {some(leg.unusable)}"
        )


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _doubt_unknown_openings(leg: LegNetting, tolerance: Decimal) -> None:
    # A ledger may book what a buy brought in after its fee: the fee is no unknown opening.
    unknown = [flow for flow in leg.opening if flow.rest > flow.base_fee()]
    total = sum((flow.rest - flow.base_fee() for flow in unknown), ZERO)
    if total > tolerance:
        names = some([flow.exchange_order_id for flow in unknown])
        leg.doubts.append(
            f"the exchange opened {total.normalize():f} {leg.leg} by orders that the ledger does"
            f" not know ({names}), so its closing fills may belong to somebody else"
        )
