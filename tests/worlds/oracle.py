"""What can be known of a world, told from the truth and never from what the product answers.

A *ghost* is a lifecycle that the ledger says is open. What it *misses* of an order is what the
order closed of it, within the window, and no row of the ledger stands for.

**Recoverable** is defined by what a look at ledger and exchange can prove. A ghost is out of reach
where the account could not be read, or its own rows stop it. Else, with `named`, `clear` and
`whole` as below:

- *exactly*: the rows to write are determined one by one (lifecycle, order, quantity, VWAP, time,
  id), because
  1. the ledger is readable and a row of the ghost names the order, and nobody else misses anything
     of it or names it (a row that is filled and done has had its part: it speaks for the rest of
     the order only where the leg is clear and whole, the rest is just what the ghost needs, and no
     other ghost needs as much, give or take its dust); or
  2. the leg is clear and, of the ghosts it knows, only this one was open when the order began, and
     nobody else misses anything of the order, nor could a row without a trade_id be its own; or
  3. the leg is clear and whole, and there is no other way to hand out what its orders have left so
     that all ghosts are served in full (first in, first out only); or
  4. the leg is clear and whole, the order has left just what the ghost needs, and neither of them
     has a second partner of that quantity who was open when the order began.
  By 2 and 3 only where no order of a ghost of nothing but dust lies in its reach: such a ghost
  claims nothing, so what closed it is anybody's.
  What is no more than dust may be closed as dust instead.
- *in full*: which order served whom is a convention, but that all of it was closed is certain:
  the leg is clear and whole (first in, first out only), and no order that a row names is shared:
  the row says whose it is, not how much. Also a ghost of nothing but dust.
- *not*: everything else. It must be refused, and for the right reason.

A ledger is **readable** on a leg where no row lacks its quantity, no ENTRY row says more than an
order that crossed zero opened, the edge of the window cuts no order, and no row is astray. A row is
astray that names no order of the window, unless it is stamped within 10 s of its own and no other
order with something left for it lies within the 120 s of netting; an order has
something left that rows with ids do not stand for in full. In one-way mode both legs must be so,
because a replay cannot tell whose position an order reduced; in hedge mode, and where the exchange
tells how much of each fill closed, rows and orders of the other leg have no part in it, save a row
that names an order of both. A leg is **clear** when, besides, no
person trades on it.

A leg is **whole** when every ghost on it misses, within the window, all that the ledger says is
open of it. An ENTRY that never filled therefore spoils its leg: to leave it out of the reckoning
where the window proves it void would be more repair on less evidence, as invariant 2 has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from tests.core.builders import LONG, SHORT, at
from tests.worlds.books import Booking, Fault
from tests.worlds.ghosts import Ghost, Leg, Reach
from tests.worlds.truth import ZERO, Deed, Order
from tests.worlds.world import World

from unghost.model import AttributionPolicy, LifecycleKey, PositionSide, Reason
from unghost.netting import NETTING_SPAN

SKEW = timedelta(seconds=10)
NEIGHBOURHOOD = NETTING_SPAN
LOOKBACK = timedelta(hours=72)
FILLED = ("filled", "partially_filled")


# --- the ledger's arithmetic -------------------------------------------------------------------


def survey(world: World) -> list[Leg]:
    """All legs with a ghost on them, judged."""
    return [leg for symbol in world.symbols for leg in _legs(world, symbol)]


def _legs(world: World, symbol: str) -> list[Leg]:
    sums: dict[LifecycleKey, Decimal] = defaultdict(lambda: ZERO)
    rows: dict[LifecycleKey, list[Booking]] = defaultdict(list)
    for one in world.bookings:
        found = one.row
        if found.symbol == symbol and found.trade_id is not None:
            key = LifecycleKey(profile_id=found.profile_id, symbol=symbol, trade_id=found.trade_id)
            rows[key].append(one)
            if found.status in FILLED:
                sign = 1 if found.action == "ENTRY" else -1
                sums[key] += sign * (found.quantity or ZERO)
    keys = sorted(key for key, need in sums.items() if need > 0)
    if not keys:
        return []
    entered = {key: _entered_at(rows[key]) for key in keys}
    start_at = max(world.now - LOOKBACK, min(entered.values()) - SKEW)
    missing = _missing(world, symbol, start_at)
    ghosts = [
        Ghost(
            key=key,
            leg=_leg_of(world, key),
            need=sums[key],
            entered_at=entered[key],
            missing=missing.get(key.trade_id, {}),
            opened=_opened(world, rows[key], start_at),
            named=_named(world, rows[key]),
            intended=_named(world, (one for one in rows[key] if one.row.status != "filled")),
            blocked=_blocked(world, symbol, rows[key]),
        )
        for key in keys
    ]
    return [_leg(world, symbol, side, start_at, ghosts) for side in (LONG, SHORT)]


def _entered_at(rows: Iterable[Booking]) -> datetime:
    return min(one.row.at for one in rows if one.row.action == "ENTRY" and one.row.at)


def _leg_of(world: World, key: LifecycleKey) -> PositionSide:
    return world.history.trade_of[key.trade_id.removesuffix("-never")].leg


def _began(order: Order) -> datetime:
    return at(order.times[0] / 1000)


def _ended(order: Order) -> datetime:
    return at(order.times[-1] / 1000)


def _missing(world: World, symbol: str, start_at: datetime) -> dict[str, dict[str, Decimal]]:
    """By trade and order: what was closed within the window less what rows stand for."""
    recorded: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for one in world.bookings:
        if one.deed is not None and one.row.status in FILLED:
            usable = one.row.quantity if one.row.quantity is not None else one.deed.quantity
            recorded[one.deed.trade, one.deed.order] += usable
    found: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for deed in world.history.deeds:
        order = world.history.order_of[deed.order]
        if deed.opens or order.symbol != symbol or _ended(order) < start_at:
            continue
        left = deed.quantity - recorded[deed.trade, deed.order]
        if left > 0:
            found[deed.trade][deed.order] = left
    return found


def _opened(world: World, rows: Iterable[Booking], start_at: datetime) -> Decimal:
    opened = sum((_opened_by(world, one, start_at) for one in rows), ZERO)
    exits = (one.row for one in rows if one.row.action == "EXIT" and one.row.status in FILLED)
    return opened - sum((found.quantity or ZERO for found in exits), ZERO)


def _opened_by(world: World, one: Booking, start_at: datetime) -> Decimal:
    deed = one.deed
    if deed is None or not deed.opens or _began(world.history.order_of[deed.order]) < start_at:
        return ZERO
    return min(deed.quantity, one.row.quantity or ZERO)


def _named(world: World, rows: Iterable[Booking]) -> frozenset[str]:
    ids = {
        name
        for one in rows
        if one.row.action != "ENTRY"
        for name in (one.row.order_id, one.row.exchange_order_id, one.row.client_order_id)
    }
    return frozenset(order.name for order in world.history.orders if ids & order.ids)


def _blocked(world: World, symbol: str, rows: Iterable[Booking]) -> Reason | None:
    """The first gate that stops it, in the order of the checklist."""
    if world.has(Fault.OPEN_BEFORE, symbol):
        return Reason.EXCHANGE_NOT_FLAT
    if world.has(Fault.UNKNOWN_AFTER, symbol):
        return Reason.EXCHANGE_STATE_UNKNOWN
    if any(one.row.status == "new" for one in rows):
        return Reason.PENDING_LIFECYCLE_BLOCKER
    if any(one.row.quantity is None for one in rows):
        return Reason.INVALID_LEDGER_ROW
    return Reason.FILL_EVIDENCE_INCOMPLETE if world.has(Fault.INCOMPLETE, symbol) else None


# --- what is clear -----------------------------------------------------------------------------


def _leg(
    world: World, symbol: str, side: PositionSide, start_at: datetime, ghosts: Sequence[Ghost]
) -> Leg:
    deeds = [
        deed
        for deed in world.history.deeds
        if world.history.trade_of[deed.trade].symbol == symbol
        and _ended(world.history.order_of[deed.order]) >= start_at
    ]
    own = [deed for deed in deeds if world.history.leg(deed) is side]
    readable = _is_readable(world, symbol, side, start_at, deeds)
    leg = Leg(
        world=world,
        symbol=symbol,
        side=side,
        start_at=start_at,
        ghosts=[one for one in ghosts if one.leg is side],
        readable=readable,
        clear=readable and _is_clear(world, side, start_at, deeds),
        held_before=_net(own),
        foreign=_net(deed for deed in own if world.history.trade_of[deed.trade].profile is None),
    )
    _judge(leg)
    return leg


def _net(deeds: Iterable[Deed]) -> Decimal:
    """Closed less opened: what must have been held before."""
    return sum((-deed.quantity if deed.opens else deed.quantity for deed in deeds), ZERO)


def _near(
    world: World, side: PositionSide, deeds: Sequence[Deed]
) -> tuple[list[Deed], list[Order]]:
    history = world.history
    near = [one for one in deeds if not history.tells_legs or history.leg(one) is side]
    return near, [history.order_of[one.order] for one in near]


def _is_clear(world: World, side: PositionSide, start_at: datetime, deeds: Sequence[Deed]) -> bool:
    near, _ = _near(world, side, deeds)
    by_hand = any(world.history.trade_of[deed.trade].profile is None for deed in near)
    return not by_hand


def _is_readable(
    world: World, symbol: str, side: PositionSide, start_at: datetime, deeds: Sequence[Deed]
) -> bool:
    _, orders = _near(world, side, deeds)
    books = [
        one
        for one in world.bookings
        if one.row.symbol == symbol and (_bears(world, one, side) or _names_one_of(one, orders))
    ]
    if any(one.row.quantity is None or _says_more(world, one) for one in books):
        return False
    if any(_began(order) < start_at for order in orders):
        return False
    linked = [one for one in books if _names_one_of(one, orders)]
    loose = _loose(world, orders, linked)
    strays = [one for one in books if one not in linked and one.row.status in FILLED]
    return not any(_is_astray(one, world, start_at, loose) for one in strays)


def _bears(world: World, one: Booking, side: PositionSide) -> bool:
    """Whether a row can have to do with the leg. In hedge mode each fill tells its own; a row that
    nobody knows the leg of may be of either.
    """
    if not world.history.tells_legs:
        return True
    if one.deed is not None:
        return world.history.leg(one.deed) is side
    trade = world.history.trade_of.get((one.row.trade_id or "").removesuffix("-never"))
    return trade is None or trade.leg is side


def _says_more(world: World, one: Booking) -> bool:
    """An ENTRY row too large for an order that crossed zero seems to stand for its closing too."""
    if one.deed is None or not one.deed.opens or (one.row.quantity or ZERO) <= one.deed.quantity:
        return False
    return any(not deed.opens for deed in world.history.deeds_of[one.deed.order])


def _names_one_of(one: Booking, orders: Iterable[Order]) -> bool:
    ids = {one.row.order_id, one.row.exchange_order_id, one.row.client_order_id}
    return any(ids & order.ids for order in orders)


def _loose(world: World, orders: Iterable[Order], linked: Iterable[Booking]) -> list[Order]:
    """Orders with something left that rows with ids do not stand for."""
    stood: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for one in linked:
        if one.deed is not None and one.row.status in FILLED:
            stood[one.deed.order] += one.row.quantity or ZERO
    whole = {name: sum(deed.quantity for deed in of) for name, of in world.history.deeds_of.items()}
    found = {order.name: order for order in orders}
    return [order for name, order in found.items() if stood[name] < whole[name]]


def _is_astray(one: Booking, world: World, start_at: datetime, loose: Iterable[Order]) -> bool:
    stamp = one.row.at
    if stamp is None:
        return True
    if stamp < start_at:
        return False
    own = None if one.deed is None else world.history.order_of[one.deed.order]
    is_near = own is not None and _began(own) >= start_at and abs(stamp - _ended(own)) <= SKEW
    if not is_near and one.row.action != "ENTRY":
        return True
    rivals = (each for each in loose if each is not own)
    return any(_apart(stamp, each) <= NEIGHBOURHOOD for each in rivals)


def _apart(stamp: datetime, order: Order) -> timedelta:
    return min(abs(stamp - _began(order)), abs(stamp - _ended(order)))


# --- what can be known -------------------------------------------------------------------------


def _judge(leg: Leg) -> None:
    for ghost in leg.ghosts:
        ghost.never = leg.clear and not ghost.missing and ghost.opened <= 0 and leg.held_before <= 0
    everybody = leg.ghosts
    fifo = leg.world.policy is AttributionPolicy.FIFO
    served = leg.clear and leg.whole
    shared = any(
        leg.left[name] != ghost.missing.get(name)
        for ghost in leg.ghosts
        for name in ghost.intended & leg.left.keys()
    )
    alone = served and fifo and not shared and _has_one_solution(leg)
    for ghost in everybody:
        if ghost.blocked is not None:
            continue
        for name, quantity in ghost.missing.items():
            if quantity > ghost.dust and (
                _is_named(leg, ghost, name)
                or (leg.clear and _is_alone(leg, ghost, name) and not _dust_is_left(leg, ghost))
                or (served and _is_unique(leg, ghost, name))
                or (alone and not _dust_is_left(leg, ghost))
            ):
                ghost.exact.add(name)
        ghost.reach = _reach(ghost, served=served and fifo and not shared)


def _dust_is_left(leg: Leg, ghost: Ghost) -> bool:
    """Whether the ghost may be given what a ghost of nothing but dust claims nothing of."""
    small = (one for one in leg.ghosts if one.is_small and one is not ghost)
    names = {name for one in small for name in one.missing}
    return any(ghost.entered_at <= _first(leg, name) + SKEW for name in names)


def _reach(ghost: Ghost, *, served: bool) -> Reach:
    if ghost.is_small:
        return Reach.IN_FULL
    if ghost.exact:
        most = {name for name, quantity in ghost.missing.items() if quantity > ghost.dust}
        return Reach.EXACTLY if ghost.exact == most or not served else Reach.IN_FULL
    return Reach.IN_FULL if served and not ghost.never else Reach.NOT


def _is_own(leg: Leg, ghost: Ghost, name: str) -> bool:
    history = leg.world.history
    if any(history.trade_of[one.trade].profile is None for one in history.deeds_of[name]):
        return False
    return leg.left[name] == ghost.missing[name] and ghost.entered_at <= _first(leg, name) + SKEW


def _first(leg: Leg, name: str) -> datetime:
    return _began(leg.world.history.order_of[name])


def _is_named(leg: Leg, ghost: Ghost, name: str) -> bool:
    others = (one for one in leg.ghosts if one is not ghost)
    if name not in ghost.named or not leg.readable or not _is_own(leg, ghost, name):
        return False
    if any(name in one.named for one in others):
        return False
    if name in ghost.intended:
        return True
    left = leg.left[name]
    return (
        leg.clear
        and leg.whole
        and left == ghost.need
        and not any(abs(one.need - left) <= one.dust for one in leg.ghosts if one is not ghost)
    )


def _is_alone(leg: Leg, ghost: Ghost, name: str) -> bool:
    latest = _first(leg, name) + SKEW
    others = (one for one in leg.ghosts if one is not ghost and not one.is_small)
    if not _is_own(leg, ghost, name) or any(one.entered_at <= latest for one in others):
        return False
    return not any(_may_be_its(one, ghost) for one in leg.world.bookings)


def _may_be_its(one: Booking, ghost: Ghost) -> bool:
    found = one.row
    since = ghost.entered_at - SKEW
    is_orphan = found.trade_id is None and found.symbol == ghost.key.symbol
    return is_orphan and (found.at is None or found.at >= since)


def _is_unique(leg: Leg, ghost: Ghost, name: str) -> bool:
    """The order has left what the ghost needs, and there is no second of either quantity."""
    if not _is_own(leg, ghost, name) or ghost.need != leg.left[name]:
        return False
    latest = _first(leg, name) + SKEW
    orders = [
        other
        for other, left in leg.left.items()
        if left == ghost.need and ghost.entered_at <= _first(leg, other) + SKEW
    ]
    ghosts = [one for one in leg.ghosts if one.need == ghost.need and one.entered_at <= latest]
    return len(orders) == len(ghosts) == 1


def _has_one_solution(leg: Leg) -> bool:
    """Whether what the orders have left can be handed out in one way only.

    It can be in another way just when parts can be passed on in a circle: from an order to a ghost
    that may take more of it, from there to another order that this ghost holds a part of, and so on
    back to the first.
    """
    ghosts = {one.key.trade_id: one for one in leg.ghosts}
    if any(one.need != one.missed for one in ghosts.values()):
        return False
    may = {
        name: [trade for trade, one in ghosts.items() if one.entered_at <= _first(leg, name) + SKEW]
        for name in leg.left
    }
    return not any(
        _leads_back(ghosts, may, name, trade) for name, takers in may.items() for trade in takers
    )


def _leads_back(
    ghosts: Mapping[str, Ghost], may: Mapping[str, list[str]], name: str, trade: str
) -> bool:
    """Whether more of the order for this ghost can be made good by others."""
    seen, queue = {name}, [other for other in ghosts[trade].missing if other != name]
    while queue:
        order = queue.pop()
        if order in seen:
            continue
        seen.add(order)
        for taker in may[order]:
            holds = ghosts[taker].missing
            if taker != trade and name in holds:
                return True
            queue += [other for other in holds if other not in seen]
    return False
