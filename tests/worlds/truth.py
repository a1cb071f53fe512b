"""What truly happened on an exchange account: trades, the orders that made them, and their fills.

Nothing here knows a ledger. A *deed* is what one order did for one trade, so an order that closes
two trades has two deeds, and an order that crosses zero has a closing and an opening one. Fills
follow from the deeds: closing deeds come first, as an exchange reduces before it opens.

Times are whole milliseconds after `START`; quantities are in base units.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cached_property

from tests.core.builders import BTC, at, fill

from unghost.model import Fill, FillKind, Market, Money, PositionSide, Side

STEP = Decimal("0.000001")
"""The smallest part into which a fill is cut."""

LAST_PLACE = Decimal("1e-18")
"""Of a price or a fee in a ledger whose columns have no scale."""

ZERO = Decimal(0)

MARKETS = {
    f"{base}USDT": replace(
        BTC,
        unified=f"{base}/USDT:USDT",
        native_id=f"{base}USDT",
        base=base,
        spellings=(f"{base}USDT", f"{base}/USDT:USDT"),
    )
    for base in ("BTC", "ETH", "SOL")
}


@dataclass(frozen=True, kw_only=True)
class Trade:
    """One position, of a bot's profile or (`profile` None) of a person who trades by hand."""

    trade_id: str
    profile: str | None
    symbol: str
    leg: PositionSide


@dataclass(frozen=True, kw_only=True)
class Order:
    """One exchange order, cut into executions by `weights`; `charge` names how its fees are."""

    name: str
    symbol: str
    side: Side
    times: tuple[int, ...]
    weights: tuple[int, ...]
    prices: tuple[Decimal, ...]
    charge: str
    kind: FillKind
    first_fill: int

    @property
    def client(self) -> str | None:
        """The client's own id; an order that the exchange made has none."""
        return f"c{self.name}" if self.kind is FillKind.TRADE else None

    @property
    def ids(self) -> frozenset[str]:
        """All names by which a row may know it."""
        return frozenset({self.name, self.client} - {None})


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What one order did for one trade."""

    order: str
    trade: str
    opens: bool
    quantity: Decimal


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The part of one fill that belongs to one deed."""

    deed: Deed
    number: int
    """Of the fill within its order."""
    at_ms: int
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, kw_only=True)
class History:
    """The whole truth of an account that ends flat.

    An exchange tells the leg of each fill of a `hedged` account; or, where `closings`, in either
    mode how much of each fill closed, and no leg (Bybit).
    """

    hedged: bool
    trades: tuple[Trade, ...]
    orders: tuple[Order, ...]
    deeds: tuple[Deed, ...]
    closings: bool = False

    @property
    def tells_legs(self) -> bool:
        """Whether the fills themselves say which leg each of them moved."""
        return self.hedged or self.closings

    @cached_property
    def trade_of(self) -> dict[str, Trade]:
        return {one.trade_id: one for one in self.trades}

    @cached_property
    def order_of(self) -> dict[str, Order]:
        return {one.name: one for one in self.orders}

    @cached_property
    def deeds_of(self) -> dict[str, list[Deed]]:
        """The deeds of each order, closing ones first."""
        found: dict[str, list[Deed]] = {one.name: [] for one in self.orders}
        for deed in sorted(self.deeds, key=lambda deed: deed.opens):
            found[deed.order].append(deed)
        return found

    @cached_property
    def end_ms(self) -> int:
        return max((one.times[-1] for one in self.orders), default=0)

    def leg(self, deed: Deed) -> PositionSide:
        return self.trade_of[deed.trade].leg

    def without_trade(self, trade_id: str) -> History:
        """The same days without one trade; what its orders did for others stays."""
        deeds = tuple(one for one in self.deeds if one.trade != trade_id)
        used = {one.order for one in deeds}
        return replace(
            self,
            trades=tuple(one for one in self.trades if one.trade_id != trade_id),
            orders=tuple(one for one in self.orders if one.name in used),
            deeds=deeds,
        )


# --- fills -------------------------------------------------------------------------------------


def fills(history: History) -> tuple[Fill, ...]:
    """Everything that the exchange executed, oldest first."""
    return tuple(one for order in history.orders for one in _fills_of(history, order))


def _fills_of(history: History, order: Order) -> Iterator[Fill]:
    deeds = history.deeds_of[order.name]
    leg = history.leg(deeds[0]) if history.hedged and not history.closings else None
    closed = closed_by_fill(history, order)
    for number, quantity in enumerate(quantities(history, order)):
        price = order.prices[number]
        found = fill(
            order.name,
            order.side,
            quantity,
            order.times[number] / 1000,
            price=price,
            cid=order.client,
            leg=leg,
            fees=charged(order.charge, quantity * price, number),
            fill_id=str(order.first_fill + number),
            market=MARKETS[order.symbol],
        )
        told = closed.get(number, ZERO) if history.closings else None
        yield replace(found, kind=order.kind, closed=told)


def quantities(history: History, order: Order) -> list[Decimal]:
    """The quantities of an order's executions; they sum exactly to its deeds."""
    total = sum((deed.quantity for deed in history.deeds_of[order.name]), ZERO)
    whole = sum(order.weights)
    parts = [(total * weight / whole).quantize(STEP) for weight in order.weights[:-1]]
    return [*parts, total - sum(parts, ZERO)]


def charged(how: str, cost: Decimal, number: int) -> tuple[Money, ...] | None:
    """Fees of one fill, the `number`th of its order, by the way in which the account pays them.

    Negative is a rebate. Drawn are all ways but *mixed*, which is *both* as an exchange can tell
    it that has one fee for each fill.
    """
    usdt = (cost * Decimal("0.0005")).quantize(Decimal("0.00000001"))
    bnb = (cost / 1_300_000).quantize(Decimal("0.00000001"))
    in_usdt, in_bnb = Money(currency="USDT", amount=usdt), Money(currency="BNB", amount=bnb)
    return {
        "usdt": (in_usdt,),
        "bnb": (in_bnb,),
        "both": (in_bnb, in_usdt),
        "mixed": (in_bnb,) if number % 2 else (in_usdt,),
        "rebate": (replace(in_usdt, amount=-usdt / 4),),
        "unknown": None,
    }[how]


# --- what belongs to whom ----------------------------------------------------------------------


def pieces(history: History, order: Order) -> list[Piece]:
    """Lay the deeds of an order along its executions, closing deeds first."""
    found: list[Piece] = []
    waiting = list(history.deeds_of[order.name])
    rest = waiting[0].quantity
    for number, quantity in enumerate(quantities(history, order)):
        left = quantity
        while left > 0:
            deed, taken = waiting[0], min(left, rest)
            found.append(
                Piece(
                    deed=deed,
                    number=number,
                    at_ms=order.times[number],
                    quantity=taken,
                    price=order.prices[number],
                )
            )
            left -= taken
            rest -= taken
            if not rest and len(waiting) > 1:
                waiting.pop(0)
                rest = waiting[0].quantity
    return found


def closing_pieces(history: History, order: Order) -> list[Piece]:
    """The part of an order that closed; all of one leg, because an order has one side."""
    return [one for one in pieces(history, order) if not one.deed.opens]


def closed_by_fill(history: History, order: Order) -> dict[int, Decimal]:
    """How much each fill of an order closed, of those that closed anything."""
    closed: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for one in closing_pieces(history, order):
        closed[one.number] += one.quantity
    return closed


def closing_fees(history: History, order: Order) -> dict[str, Decimal] | None:
    """What the part of an order that closed has cost, by currency; None where nobody tells.

    Of a fill that crossed zero it is the share of what it closed, to 18 places.
    """
    whole = quantities(history, order)
    total: dict[str, Decimal] = {}
    for number, quantity in closed_by_fill(history, order).items():
        told = charged(order.charge, whole[number] * order.prices[number], number)
        if told is None:
            return None
        for fee in told:
            share = _share(fee.amount, quantity, whole[number])
            total[fee.currency] = total.get(fee.currency, ZERO) + share
    return total


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    if part == whole:
        return amount
    with localcontext(prec=76):
        return (amount * part / whole).quantize(LAST_PLACE, rounding=ROUND_HALF_EVEN)


def average(parts: Sequence[Piece]) -> Decimal:
    """The volume-weighted price, to 18 places."""
    with localcontext(prec=76):
        total = sum((one.quantity for one in parts), ZERO)
        cost = sum((one.quantity * one.price for one in parts), ZERO)
        return (cost / total).quantize(LAST_PLACE, rounding=ROUND_HALF_EVEN)


def market_of(symbol: str) -> Market:
    return MARKETS[symbol]


def told(history: History) -> Iterable[str]:
    """The history in lines, for people who look at a counterexample."""
    for order in history.orders:
        deeds = ", ".join(
            f"{'opens' if deed.opens else 'closes'} {deed.quantity} of {deed.trade}"
            f" ({history.trade_of[deed.trade].profile or 'a person'}, {history.leg(deed)})"
            for deed in history.deeds_of[order.name]
        )
        span = f"{at(order.times[0] / 1000):%d %H:%M:%S.%f}"
        yield f"order {order.name} {order.symbol} {order.side} {span} {deeds}"
