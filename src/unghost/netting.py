"""What the exchange did on each leg, and what of it the ledger already accounts for. Pure.

The first half of the allocate stage: fills become opening and closing flows of the legs (`split`),
flows of one exchange order become one `OrderFlow`, and ledger rows are set against them (`net`).
Sources of the rules: DESIGN section 4, "Only fills that bring the position nearer to zero" and
"A fill is used once".
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from unghost import rowfacts
from unghost.model import (
    Evidence,
    Fill,
    Flatness,
    LedgerRow,
    Money,
    PositionReading,
    PositionSide,
    Side,
)

NETTING_SPAN = timedelta(seconds=120)
"""How far a ledger row that no id links may lie from the order that explains it."""

_ID_DIGITS = re.compile(r"[0-9]{1,40}")
"""A fill id that counts upwards."""

ZERO = Decimal(0)
_LEGS = (PositionSide.LONG, PositionSide.SHORT)

# --- fills to flows ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class FillPart:
    """The part of a fill that opens or closes one leg; a fill that crosses zero has two."""

    fill: Fill
    leg: PositionSide
    closing: bool
    quantity: Decimal


def fill_order(fill: Fill) -> tuple[datetime, int, str, str, Side]:
    """Sort key: time, then the exchange's own sequence (ids of one market count upwards).

    A self-trade shares its fill id (FAILURES 9), so order and side come last: no two are equal.
    """
    digits = fill.fill_id if _ID_DIGITS.fullmatch(fill.fill_id) else "0"
    return (fill.filled_at, int(digits), fill.fill_id, fill.exchange_order_id, fill.side)


def split(fills: Sequence[Fill], position: PositionReading, *, spot: bool) -> tuple[FillPart, ...]:
    """Say of each fill what it closed and what it opened, oldest first.

    Hedge mode and spot tell by themselves, and so does an exchange that says how much of a fill
    closed. In one-way mode the signed position is replayed backwards from the reading (zero where
    it is flat), because only the position before a fill says whether the fill reduced it. A fill
    that is no execution (quantity 0, NaN) moved nothing.
    """
    fills = [fill for fill in fills if fill.is_execution]
    hedged = [fill for fill in fills if fill.position_side is not None or spot]
    untold = [fill for fill in fills if fill.position_side is None and not spot]
    told = [(fill, fill.closed) for fill in untold if fill.closed is not None]
    one_way = [fill for fill in untold if fill.closed is None]
    parts = [_sided(fill) for fill in hedged]
    parts += [part for fill, closed in told for part in _parts(fill, closed)]
    parts += _replayed(sorted(one_way, key=fill_order), _signed(position))
    return tuple(sorted(parts, key=lambda part: (fill_order(part.fill), not part.closing)))


def _sided(fill: Fill) -> FillPart:
    leg = fill.position_side or PositionSide.LONG
    return FillPart(
        fill=fill, leg=leg, closing=fill.side is leg.closing_side, quantity=fill.quantity
    )


def _signed(position: PositionReading) -> Decimal:
    if position.flatness is not Flatness.OPEN:
        return ZERO
    return sum((leg.quantity for leg in position.legs if leg.position_side is None), ZERO)


def _replayed(fills: Sequence[Fill], after: Decimal) -> list[FillPart]:
    parts: list[FillPart] = []
    for fill in reversed(fills):
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        before = after - signed
        parts += _crossing(fill, signed, before)
        after = before
    return parts


def _crossing(fill: Fill, signed: Decimal, before: Decimal) -> Iterator[FillPart]:
    closed = min(abs(signed), abs(before)) if signed * before < 0 else ZERO
    return _parts(fill, closed)


def _parts(fill: Fill, closed: Decimal) -> Iterator[FillPart]:
    """What a fill closed, and what it opened: the two are of opposite legs."""
    opened_leg = PositionSide.LONG if fill.side is Side.BUY else PositionSide.SHORT
    if closed:
        yield FillPart(fill=fill, leg=opened_leg.opposite, closing=True, quantity=closed)
    if closed != fill.quantity:
        yield FillPart(fill=fill, leg=opened_leg, closing=False, quantity=fill.quantity - closed)


# --- flows of one order ------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class OrderFlow:
    """One exchange order on one leg, closing or opening, while ledger rows are set against it."""

    leg: PositionSide
    closing: bool
    side: Side
    exchange_order_id: str
    client_order_id: str | None
    parts: tuple[FillPart, ...]
    filled: Decimal
    accounted: Decimal = ZERO
    accounted_by: list[LedgerRow] = field(default_factory=list)
    base: str | None = None
    """On spot the asset itself: a fee taken in it shortens what was held."""
    linked: dict[str, Decimal] = field(default_factory=dict)
    """What each ledger row (by order_id) that names the order has of it."""

    @property
    def rest(self) -> Decimal:
        """What no ledger row accounts for yet."""
        return max(ZERO, self.filled - self.accounted)

    @property
    def is_hedged(self) -> bool:
        """Whether the exchange itself told the leg."""
        fill = self.parts[0].fill
        return fill.position_side is not None or fill.closed is not None

    @property
    def first_at(self) -> datetime:
        """Time of the first fill."""
        return self.parts[0].fill.filled_at

    @property
    def last_at(self) -> datetime:
        """Time of the last fill."""
        return self.parts[-1].fill.filled_at

    def take(self, row: LedgerRow, quantity: Decimal) -> Decimal:
        """Account up to `quantity` of the row to this order; return what was taken."""
        taken = min(quantity, self.rest)
        self.accounted += taken
        self.accounted_by.append(row)
        return taken

    def price(self) -> Decimal:
        """Volume-weighted average of the parts."""
        cost = sum((part.quantity * part.fill.price for part in self.parts), ZERO)
        return cost / self.filled

    def fees(self) -> tuple[Money, ...] | None:
        """Fees of the parts per currency; None when the exchange left one of them out."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for part in self.parts:
            if part.fill.fees is None:
                return None
            for fee in part.fill.fees:
                totals[fee.currency] += fee.amount * part.quantity / part.fill.quantity
        return tuple(Money(currency=name, amount=totals[name]) for name in sorted(totals))

    def base_fee(self) -> Decimal:
        """The fee taken in the asset itself; zero where none is told, or a rebate."""
        if self.base is None:
            return ZERO
        told = (fee.amount for fee in self.fees() or () if fee.currency == self.base)
        return max(ZERO, sum(told, ZERO))

    def kept(self) -> Decimal:
        """How much of what ledger rows have of the order the exchange kept as a fee in the asset.

        A ledger that books a buy less its fee has none of the fee, and none is taken off twice.
        """
        fee = self.base_fee()
        if self.closing:
            return fee * self.accounted / self.filled
        return max(ZERO, min(fee, self.accounted - (self.filled - fee)))

    def digest(self) -> str:
        """Changes when a fill of the order, or a row that accounts for it, changes."""
        lines = [f"{part.fill.fill_id}|{part.fill.digest}|{part.quantity}" for part in self.parts]
        lines += sorted(f"{row.order_id}|{row.version}" for row in self.accounted_by)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def flows(parts: Sequence[FillPart], *, base: str | None = None) -> tuple[OrderFlow, ...]:
    """Sum the parts of each order on each leg, in the order of their first fill.

    `base` is the asset that a spot market holds, None elsewhere.
    """
    groups: dict[tuple[str, Side, PositionSide, bool], list[FillPart]] = defaultdict(list)
    for part in parts:
        key = (part.fill.exchange_order_id, part.fill.side, part.leg, part.closing)
        groups[key].append(part)
    found = [_flow(group, base) for group in groups.values()]
    return tuple(sorted(found, key=lambda flow: (fill_order(flow.parts[0].fill), not flow.closing)))


def _flow(parts: Sequence[FillPart], base: str | None) -> OrderFlow:
    first = parts[0]
    clients = (part.fill.client_order_id for part in parts)
    return OrderFlow(
        leg=first.leg,
        closing=first.closing,
        side=first.fill.side,
        exchange_order_id=first.fill.exchange_order_id,
        client_order_id=next((client for client in clients if client), None),
        parts=tuple(parts),
        filled=sum((part.quantity for part in parts), ZERO),
        base=base,
    )


# --- ledger rows against flows -----------------------------------------------------------------


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
        since = (size for at, size in self.orphans if size > 0 and (at is None or at >= start_at))
        return min(self.orphaned, sum(since, ZERO))

    def claimable(self, open_qty: Decimal, tolerance: Decimal) -> Decimal:
        """What new rows may close at most: conservation, up to `tolerance` of rounding.

        Closed by the exchange less everything that the ledger recorded as closed (invariant 3). And
        of the leg's `open_qty` only what no EXIT row without a trade_id can have closed already.
        """
        rest = sum((flow.rest for flow in self.closing), ZERO)
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
        for identity in {flow.exchange_order_id, flow.client_order_id} - {None}:
            named[str(identity)].append(flow)
    return named


def _pending_rows(
    evidence: Evidence, legs: Mapping[PositionSide, LegNetting], named: _Named
) -> list[_Pending]:
    directions = _directions(evidence)
    fallback = PositionSide.LONG if evidence.market and evidence.market.spot else None
    pending: list[_Pending] = []
    for row in sorted(evidence.ledger_rows, key=lambda one: one.order_id):
        if not rowfacts.is_filled(row) or rowfacts.is_dust(row):
            continue
        stated = directions.get((row.profile_id, row.trade_id)) or rowfacts.stated_direction(row)
        leg = stated or fallback
        quantity = rowfacts.usable_quantity(row)
        if quantity is None:
            _distrust(row, leg, legs, named)
            continue
        is_entry = rowfacts.action_of(row) == rowfacts.ENTRY
        pending.append(_Pending(row=row, rest=quantity, leg=leg, is_entry=is_entry))
    return pending


def _directions(evidence: Evidence) -> dict[tuple[str, str | None], PositionSide]:
    """The direction of each lifecycle in sight, so that its EXIT rows need none of their own.

    A trade_id that was used for both directions tells nothing: there each row speaks for itself.
    """
    stated: dict[tuple[str, str | None], set[PositionSide]] = defaultdict(set)
    for row in evidence.ledger_rows:
        if rowfacts.action_of(row) == rowfacts.ENTRY and row.trade_id is not None:
            stated[row.profile_id, row.trade_id] |= rowfacts.stated_directions(row)
    for lifecycle in evidence.lifecycles:
        if lifecycle.direction is not None:
            stated[lifecycle.key.profile_id, lifecycle.key.trade_id].add(lifecycle.direction)
    return {key: sides.pop() for key, sides in stated.items() if len(sides) == 1}


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
    """The flows of the exchange order that the row names by its surest id."""
    for identity in rowfacts.linked_ids(row):
        if identity in named:
            return named[identity]
    return ()


def _settle_by_id(one: _Pending, named: _Named, legs: Mapping[PositionSide, LegNetting]) -> bool:
    """Account a row to the order it names: an ENTRY to its opening first, an EXIT to its closing.

    What an EXIT holds beyond the closing part of its order has no fill: it counts against the leg,
    and makes no opening known.
    """
    own = sorted(_named_flows(one.row, named), key=lambda flow: flow.closing is one.is_entry)
    if not own:
        return False
    total = one.rest
    for flow in own:
        if one.is_entry or flow.closing:
            taken = flow.take(one.row, one.rest)
            flow.linked[one.row.order_id] = taken
            one.rest -= taken
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
        _match(entries, legs[leg.opposite].closing, one_way_only=True)
        for one in entries:
            legs[leg].proven_entries[one.row.order_id] = before[one.row.order_id] - one.rest
    # An EXIT of unknown leg may be either's: it takes from both, and is explained by one.
    for one, *rests in zip(astray, *copies.values(), strict=True):
        one.rest = min(copy.rest for copy in rests)


def _match(
    rows: Sequence[_Pending], orders: Sequence[OrderFlow], *, one_way_only: bool = False
) -> None:
    """Exact quantity first, then nearest in time; ties by id, so that input order is nothing."""
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
                one.rest -= flow.take(one.row, one.rest)


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
        kept = flow.kept()
        for name, taken in flow.linked.items():
            if kept and taken:
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
