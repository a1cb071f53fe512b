"""Whole worlds for the property tests: what bots and people did, and what the ledger kept of it.

A world is true first: trades open and close on the exchange, and it ends flat. Then the ledger
forgets: EXIT rows are lost, or kept with ids or without, late, short, orphaned, merely intended.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hypothesis import strategies as st
from tests.core.builders import (
    LONG,
    SHORT,
    dec,
    evidence,
    fill,
    row,
)

from unghost.model import Evidence, Fill, LedgerRow, PositionSide

QUANTITIES = ["1", "2", "2", "3", "5", "0.4", "0.0007", "4.9995"]
LINKS = ["xid", "cid", "order_id", "none", "none"]
MEMORIES = ["lost", "lost", "kept", "kept", "short", "late", "orphan", "intended", "sideless"]
TIDY_MEMORIES = ["lost", "lost", "kept", "intended"]
TICK = 40
"""Seconds between events: near enough for the netting span to reach several."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One exchange order of one trade; a close order may be shared by several trades."""

    name: str
    opens: bool
    leg: PositionSide
    owner: str | None
    trade: str
    quantity: Decimal
    seconds: int
    parts: int
    link: str
    memory: str


@dataclass(frozen=True, kw_only=True, repr=False)
class World:
    """The truth and the ledger. `hedged` fills tell their position side."""

    rows: tuple[LedgerRow, ...]
    fills: tuple[Fill, ...]
    hedged: bool
    orders: tuple[Order, ...] = ()

    def __repr__(self) -> str:
        """Short: a counterexample is read by people."""
        return "\n".join(["World", *map(_row_line, self.rows), *map(_fill_line, self.fills)])

    def _repr_pretty_(self, printer, cycle) -> None:
        """What hypothesis prints."""
        printer.text(repr(self))

    def evidence(self, profile: str = "main", **more) -> Evidence:
        return evidence(self.rows, self.fills, profile=profile, **more)

    def without(self, lost: Fill) -> World:
        return replace(self, fills=tuple(one for one in self.fills if one != lost))

    def plus(self, rows: Iterable[LedgerRow]) -> World:
        return replace(self, rows=(*self.rows, *rows))


def _row_line(one: LedgerRow) -> str:
    words = (one.profile_id, one.trade_id, one.action, one.side, one.quantity, one.status)
    ids = (one.order_id, one.exchange_order_id, one.client_order_id)
    return f"  row  {one.at:%H:%M:%S} {' '.join(map(str, words))} ids {' '.join(map(str, ids))}"


def _fill_line(one: Fill) -> str:
    words = (one.exchange_order_id, one.side, one.quantity, one.position_side or "")
    return f"  fill {one.filled_at:%H:%M:%S} {' '.join(map(str, words))}"


@dataclass
class _Teller:
    """Draws one world. Every number comes from `pick`, so that hypothesis can shrink it."""

    draw: st.DrawFn
    tidy: bool
    clock: int = 0
    serial: int = 0
    orders: list[Order] = field(default_factory=list)

    def pick(self, choices):
        return self.draw(st.sampled_from(choices))

    def order(self, owner: str | None, trade: str, leg: PositionSide, **more) -> Order:
        self.serial += 1
        self.clock += TICK * self.pick([1, 1, 2, 5])
        memories = TIDY_MEMORIES if self.tidy else MEMORIES
        return Order(
            name=f"o{self.serial}",
            leg=leg,
            owner=owner,
            trade=trade,
            seconds=self.clock,
            parts=self.pick([1, 1, 2]),
            link=self.pick(LINKS[:3] if self.tidy else LINKS),
            memory=self.pick(memories),
            **more,
        )


@st.composite
def worlds(draw: st.DrawFn, *, tidy: bool = False) -> World:
    """Trades in one or two spells; within a spell of a one-way account all have one direction.

    A tidy world has no manual orders, every trade is closed by an order of its own, and whatever
    was recorded names its order.
    """
    tell = _Teller(draw, tidy)
    hedged = draw(st.booleans())
    for spell in range(draw(st.integers(1, 2))):
        _spell(tell, spell, hedged=hedged)
    orders = tuple(tell.orders)
    return World(
        rows=tuple(_rows(orders, draw, tidy=tidy)),
        fills=tuple(one for order in orders for one in _fills(order, hedged=hedged)),
        hedged=hedged,
        orders=orders,
    )


def _spell(tell: _Teller, spell: int, *, hedged: bool) -> None:
    direction = tell.pick([LONG, SHORT])
    open_: list[tuple[str | None, str, PositionSide, Decimal]] = []
    for number in range(tell.draw(st.integers(1, 3))):
        owner = tell.pick(["main", "main", "main", "other"] + ([] if tell.tidy else [None]))
        leg = tell.pick([LONG, SHORT]) if hedged else direction
        trade = f"t-{spell}{number}"
        total = Decimal(0)
        for _ in range(tell.pick([1, 1, 2])):
            quantity = dec(tell.pick(QUANTITIES))
            tell.orders.append(tell.order(owner, trade, leg, opens=True, quantity=quantity))
            total += quantity
        open_.append((owner, trade, leg, total))
        if tell.draw(st.booleans()):
            _close(tell, open_)
    while open_:
        _close(tell, open_)


def _close(tell: _Teller, open_: list[tuple[str | None, str, PositionSide, Decimal]]) -> None:
    """Close one trade, or part of it, or two trades by one order."""
    owner, trade, leg, left = open_.pop(tell.draw(st.integers(0, len(open_) - 1)))
    part = left / 2 if not tell.tidy and tell.pick([False, False, True]) else left
    if part < left:
        open_.append((owner, trade, leg, left - part))
    order = tell.order(owner, trade, leg, opens=False, quantity=part)
    tell.orders.append(order)
    partner = next((one for one in open_ if one[2] is leg and one[1] != trade), None)
    if partner is not None and not tell.tidy and tell.pick([False, False, True]):
        open_.remove(partner)
        tell.orders.append(
            replace(order, owner=partner[0], trade=partner[1], quantity=partner[3], parts=1)
        )


def _fills(order: Order, *, hedged: bool) -> Iterable[Fill]:
    side = order.leg.opening_side if order.opens else order.leg.closing_side
    whole = order.quantity
    parts = [whole] if order.parts == 1 else [whole / 4, whole - whole / 4]
    for number, quantity in enumerate(parts):
        yield fill(
            order.name,
            side,
            quantity,
            order.seconds + 3 * number,
            price=str(100 + order.seconds % 7),
            cid=f"c{order.name}",
            leg=order.leg if hedged else None,
            fill_id=f"{order.name}.{order.trade}.{number}",
        )


def _rows(orders: Iterable[Order], draw: st.DrawFn, *, tidy: bool) -> Iterable[LedgerRow]:
    for number, order in enumerate(orders):
        if order.owner is None:
            continue
        late = draw(st.sampled_from([0, 1] if tidy else [0, 0, 1, 30]))
        found = _row(number, order, late)
        if order.opens:
            yield found
        else:
            yield from _remembered(found, order)


def _row(number: int, order: Order, late: int) -> LedgerRow:
    ids = {"xid": {"xid": order.name}, "cid": {"cid": f"c{order.name}"}}.get(order.link, {})
    by_name = order.link == "order_id" and order.opens
    name = order.name if by_name else f"r{number}"
    return row(
        name,
        "ENTRY" if order.opens else "EXIT",
        order.quantity,
        order.seconds + late,
        trade=order.trade,
        profile=order.owner or "main",
        side=order.leg.opening_side if order.opens else order.leg.closing_side,
        **(ids or ({"xid": order.name} if order.link == "order_id" else {})),
    )


def _remembered(found: LedgerRow, order: Order) -> Iterable[LedgerRow]:
    if order.memory == "kept":
        yield found
    elif order.memory == "short" and found.quantity is not None:
        yield replace(found, quantity=found.quantity / 2)
    elif order.memory == "late" and found.filled_at is not None:
        yield replace(found, filled_at=None, created_at=found.filled_at.replace(hour=13))
    elif order.memory == "orphan":
        yield replace(found, trade_id=None)
    elif order.memory == "intended":
        yield replace(found, status="canceled", quantity=Decimal(0))
    elif order.memory == "sideless":
        yield replace(found, side=None)


def shuffled(items: Iterable, seed: int) -> tuple:
    """The same items in another order."""
    found = list(items)
    random.Random(seed).shuffle(found)
    return tuple(found)
