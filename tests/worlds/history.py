"""Makes up whole trading histories: what bots and people did on one account, which ends flat.

Every choice comes from one `random.Random`, so a seed is a history. In one-way mode all trades of
a market that are open at one time have one direction, as they net there; an order may cross zero.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count

from tests.core.builders import LONG, SHORT
from tests.worlds.truth import MARKETS, ZERO, Deed, History, Order, Trade

from unghost.model import FillKind, PositionSide

ROUND_SIZES = [Decimal(text) for text in ("1", "1", "2", "2", "3", "5", "0.4", "4.9995")]
SMALL_SIZE = Decimal("0.0007")
"""Less than the dust threshold: a trade that is nothing but dust."""

CALM = [250_000, 400_000, 900_000, 3_600_000]
CROWDED = [0, 0, 1, 40, 900, 5_000, 40_000, 90_000]
LONG_PAUSES = [*CALM, 10 * 3_600_000, 26 * 3_600_000]
CHARGES = ["usdt"] * 6 + ["bnb", "both", "rebate", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How an account is traded: drawn once for a history."""

    hedged: bool
    gaps: tuple[int, ...]
    fine: bool
    people: bool
    profiles: tuple[str, ...]
    reckless: bool
    """Closes in parts, two trades by one order, across zero: everything but the simplest."""


@dataclass
class _Open:
    """A trade that is open, and how much of it."""

    trade: Trade
    left: Decimal


@dataclass
class _Teller:
    """Tells one market's days."""

    rng: random.Random
    habits: Habits
    symbol: str
    names: count
    fill_ids: count
    clock: int
    open: list[_Open] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def size(self) -> Decimal:
        if self.chance(3):
            return SMALL_SIZE
        if self.habits.fine:
            return Decimal(self.rng.randint(20, 9_000)) / 1000
        return self.rng.choice(ROUND_SIZES)


def histories(rng: random.Random, *, trades: int) -> History:
    """A history of about so many trades, on one to three markets."""
    habits = _habits(rng)
    symbols = rng.sample(sorted(MARKETS), rng.choice([1, 1, 1, 2, 3]))
    names, fill_ids = count(1), count(1000)
    tellers = []
    for symbol in symbols:
        tell = _Teller(
            rng=rng,
            habits=habits,
            symbol=symbol,
            names=names,
            fill_ids=fill_ids,
            clock=rng.randrange(3_600_000),
        )
        _tell(tell, max(1, trades // len(symbols)))
        tellers.append(tell)
    return History(
        hedged=habits.hedged,
        trades=tuple(one for tell in tellers for one in tell.trades),
        orders=tuple(one for tell in tellers for one in tell.orders),
        deeds=tuple(one for tell in tellers for one in tell.deeds),
    )


def _habits(rng: random.Random) -> Habits:
    return Habits(
        hedged=rng.randrange(100) < 35,
        gaps=tuple(rng.choice([CALM, CROWDED, CALM + CROWDED, LONG_PAUSES])),
        fine=rng.randrange(100) < 60,
        people=rng.randrange(100) < 15,
        profiles=rng.choice([("main",), ("main",), ("main", "other"), ("main", "other", "third")]),
        reckless=rng.randrange(100) < 65,
    )


def _tell(tell: _Teller, trades: int) -> None:
    while len(tell.trades) < trades or tell.open:
        budget = len(tell.trades) < trades
        if budget and (not tell.open or tell.chance(45)):
            _open(tell)
        elif tell.habits.reckless and tell.chance(35):
            _something_rare(tell, budget=budget)
        else:
            _close(tell, [tell.rng.choice(tell.open)])


def _something_rare(tell: _Teller, *, budget: bool) -> None:
    roll = tell.rng.randrange(7)
    chosen = tell.rng.choice(tell.open)
    mates = [one for one in tell.open if one.trade.leg is chosen.trade.leg]
    if roll == 0:
        _add(tell, chosen)
    elif roll in {1, 2}:
        _close(tell, [chosen], part=tell.rng.choice([2, 4, 5]))
    elif roll == 3 and len(mates) > 1:
        _close(tell, tell.rng.sample(mates, 2))
    elif roll == 4:
        _close(tell, mates, kind=FillKind.LIQUIDATION)
    elif roll == 5 and budget and not tell.habits.hedged:
        _cross(tell)
    else:
        _close(tell, [chosen])


def _new_trade(tell: _Teller, leg: PositionSide) -> Trade:
    by_hand = tell.habits.people and tell.chance(25)
    trade = Trade(
        trade_id=f"t{tell.symbol[0]}{len(tell.trades)}",
        profile=None if by_hand else tell.rng.choice(tell.habits.profiles),
        symbol=tell.symbol,
        leg=leg,
    )
    tell.trades.append(trade)
    return trade


def _open(tell: _Teller) -> None:
    free = tell.habits.hedged or not tell.open
    leg = tell.rng.choice([LONG, SHORT]) if free else tell.open[0].trade.leg
    trade, quantity = _new_trade(tell, leg), tell.size()
    _order(tell, leg, [(trade, True, quantity)])
    tell.open.append(_Open(trade=trade, left=quantity))


def _add(tell: _Teller, chosen: _Open) -> None:
    quantity = tell.size()
    _order(tell, chosen.trade.leg, [(chosen.trade, True, quantity)])
    chosen.left += quantity


def _close(
    tell: _Teller, chosen: list[_Open], *, part: int = 1, kind: FillKind = FillKind.TRADE
) -> None:
    leg = chosen[0].trade.leg
    shares = [(one, _share(one.left, part)) for one in chosen]
    _order(tell, leg, [(one.trade, False, quantity) for one, quantity in shares], kind=kind)
    for one, quantity in shares:
        one.left -= quantity
    tell.open = [one for one in tell.open if one.left]


def _share(left: Decimal, part: int) -> Decimal:
    share = (left / part).quantize(Decimal("0.0001"))
    return share if 0 < share < left else left


def _cross(tell: _Teller) -> None:
    """One order closes all there is and opens the other way."""
    leg, closing = tell.open[0].trade.leg, [(one.trade, False, one.left) for one in tell.open]
    trade, quantity = _new_trade(tell, leg.opposite), tell.size()
    _order(tell, leg, [*closing, (trade, True, quantity)])
    tell.open = [_Open(trade=trade, left=quantity)]


def _order(
    tell: _Teller,
    leg: PositionSide,
    work: list[tuple[Trade, bool, Decimal]],
    *,
    kind: FillKind = FillKind.TRADE,
) -> None:
    rng = tell.rng
    tell.clock += rng.choice(tell.habits.gaps)
    weights = tuple(rng.randint(1, 5) for _ in range(rng.choice([1, 1, 1, 2, 3, 7])))
    times = [tell.clock]
    for _ in weights[1:]:
        times.append(times[-1] + rng.choice([0, 0, 1, 70, 3_000]))
    tell.clock = times[-1]
    opens_only = all(opens for _, opens, _ in work)
    number = next(tell.names)
    tell.orders.append(
        Order(
            name=f"x{number}",
            symbol=tell.symbol,
            side=leg.opening_side if opens_only else leg.closing_side,
            times=tuple(times),
            weights=weights,
            prices=tuple(Decimal(rng.randint(9_000, 11_000)) / 100 for _ in weights),
            charge=rng.choice(CHARGES),
            kind=kind,
            first_fill=next(tell.fill_ids),
        )
    )
    for _ in weights[1:]:
        next(tell.fill_ids)
    tell.deeds += [
        Deed(order=f"x{number}", trade=trade.trade_id, opens=opens, quantity=quantity)
        for trade, opens, quantity in work
        if quantity != ZERO
    ]
