"""What is traded, and what the bot writes of it: the truth that the state machine knows.

The exchange is the simulated venue of the bench, the bot's rows go into the real ledger. Times pass
by themselves: what happens later is stamped later, never in the future.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tests.cycle.bench import ETH, PROFILE, SYMBOL, hours_ago
from tests.proofs.quick import QuickBench

MARKETS: Final = (SYMBOL, ETH)
BEGIN_HOURS_AGO: Final = 66
STEP: Final = timedelta(minutes=12)
OPPOSITE: Final = {"buy": "sell", "sell": "buy"}
ZERO: Final = Decimal(0)
DUST, DUST_SHARE = Decimal("0.001"), Decimal("0.002")
"""The thresholds of the checklist, as the rules of the desk have them."""

Leg = tuple[str, str]
"""A market, and the side that closes there."""


@dataclass
class Position:
    """One lifecycle in truth. `side` opened it; `booked` is how much of its exit the bot wrote."""

    trade_id: str
    symbol: str
    quantity: Decimal
    side: str
    close_order: str | None = None
    closed_at: datetime | None = None
    late: bool = False
    booked: Decimal = ZERO
    working: str | None = None

    @property
    def closing_side(self) -> str:
        return OPPOSITE[self.side]

    @property
    def signed(self) -> Decimal:
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def dust(self) -> Decimal:
        return max(DUST, self.quantity * DUST_SHARE)


class Street:
    """An exchange with one account, and a bot; both may do anything that could really happen."""

    def __init__(self, bench: QuickBench, *, hedged: bool) -> None:
        self.bench = bench
        self.hedged = hedged
        self.moment = hours_ago(BEGIN_HOURS_AGO)
        self.positions: list[Position] = []
        self.by_hand: list[Position] = []
        self.filled: dict[str, Decimal] = defaultdict(Decimal)
        """Quantity by exchange order, for those that close and have been told."""
        self.closed: dict[Leg, Decimal] = defaultdict(Decimal)
        """Quantity by leg, of what has been told."""
        self.changes = 0
        bench.world.set_mode(PROFILE, "hedge" if hedged else "one_way")

    # --- what is there -------------------------------------------------------------------------

    def open(self) -> list[Position]:
        """Lifecycles that are truly open."""
        return [one for one in self.positions if one.close_order is None]

    def held_by_hand(self) -> list[Position]:
        return [one for one in self.by_hand if one.close_order is None]

    def closed_by_strangers(self) -> set[str]:
        """The orders by which somebody closed who is not in the ledger."""
        return {one.close_order for one in self.by_hand if one.close_order is not None}

    def is_anything_held(self) -> bool:
        """In truth, or as the exchange still tells it."""
        return bool(self.open() or self.held_by_hand() or self.late())

    def lost(self) -> list[Position]:
        """Closed on the exchange, and the bot has not booked all of it."""
        return [one for one in self.positions if one.closed_at and one.booked < one.quantity]

    def idle(self) -> list[Position]:
        """Lost, and no order of the bot is at work."""
        return [one for one in self.lost() if one.working is None]

    def late(self) -> list[Position]:
        """Closed, and the exchange has not told the fills yet."""
        return [one for one in self.positions if one.late]

    def one_sided(self) -> set[str]:
        """Markets in one-way mode on which an opening shows without its closing."""
        return set() if self.hedged else {one.symbol for one in self.late()}

    def untold(self, leg: Leg) -> Decimal:
        """What was closed on a leg by fills that are late."""
        late = [one for one in self.late() if (one.symbol, one.closing_side) == leg]
        return sum((one.quantity for one in late), ZERO)

    def working(self) -> list[Position]:
        """Those with an order of the bot that has not ended."""
        return [one for one in self.positions if one.working]

    def dust(self, leg: Leg) -> Decimal:
        """How much may be closed on a leg without a fill."""
        return sum(
            (one.dust for one in self.positions if (one.symbol, one.closing_side) == leg), ZERO
        )

    def held(self) -> set[str]:
        """The ledger's names of the markets on which the exchange tells a position."""
        return {self.bench.native(symbol) for symbol in MARKETS if self.bench.held(symbol)}

    # --- the exchange --------------------------------------------------------------------------

    def next_moment(self) -> datetime:
        self.moment += STEP
        return self.moment

    def _net(self, symbol: str) -> Decimal:
        holding = (*self.open(), *self.held_by_hand())
        return sum((one.signed for one in holding if one.symbol == symbol), ZERO)

    def _side(self, symbol: str, wanted: str) -> str:
        """One-way mode holds one side at a time: the other would be a closing."""
        net = self._net(symbol)
        if self.hedged or net == 0:
            return wanted
        return "buy" if net > 0 else "sell"

    def _new(self, symbol: str, quantity: str, side: str) -> Position:
        number = 1 + len(self.positions) + len(self.by_hand)
        return Position(
            trade_id=f"t-{number}",
            symbol=symbol,
            quantity=Decimal(quantity),
            side=self._side(symbol, side),
        )

    def _mode(self, one: Position) -> dict[str, Any]:
        long = one.side == "buy"
        return {"position_side": "long" if long else "short"} if self.hedged else {}

    def opens(self, symbol: str, quantity: str, side: str = "buy", **row: Any) -> Position:
        """The bot opens a position and books its ENTRY."""
        one = self._new(symbol, quantity, side)
        self.bench.opened(
            one.trade_id,
            quantity,
            symbol=symbol,
            side=one.side,
            at=self.next_moment(),
            **self._mode(one),
            **row,
        )
        self.positions.append(one)
        self._show_late()
        return one

    def opens_by_hand(self, symbol: str, quantity: str, side: str) -> None:
        """Somebody trades on the same account, and no ledger knows."""
        one = self._new(symbol, quantity, side)
        self.bench.trade(
            one.side, quantity, symbol=symbol, at=self.next_moment(), **self._mode(one)
        )
        self.by_hand.append(one)
        self._show_late()

    def closes(self, one: Position, *, parts: int = 1, late: bool = False) -> None:
        """The exchange closes a position; with `late` it tells so, but not the fills yet."""
        one.closed_at = self.next_moment()
        one.close_order = f"{880000 + self.bench.number()}"
        one.late = late
        if not late:
            self._fill(one, parts)
        self._show_late()

    def fills_arrive(self, one: Position) -> None:
        """What was held back is told, stamped when it happened."""
        one.late = False
        self._fill(one, 1)
        self._show_late()

    def _fill(self, one: Position, parts: int) -> None:
        self.bench.trade(
            one.closing_side,
            one.quantity,
            symbol=one.symbol,
            at=one.closed_at,
            price="41000",
            order_id=one.close_order,
            parts=[one.quantity / parts] * parts,
            **self._mode(one),
        )
        self.filled[str(one.close_order)] += one.quantity
        self.closed[one.symbol, one.closing_side] += one.quantity

    def _show_late(self) -> None:
        """Positions are told as they are, also where the fills that made them so are not."""
        world = self.bench.world
        world.clear_overrides()
        told = {(one.symbol, one.position_side): one.quantity for one in world.positions(PROFILE)}
        for one in self.late():
            leg = (one.symbol, self._mode(one).get("position_side", "both"))
            told[leg] = told.get(leg, ZERO) - one.signed
            world.override_position(
                account=PROFILE, symbol=leg[0], position_side=leg[1], quantity=told[leg]
            )
        self.changes += 1

    # --- the bot -------------------------------------------------------------------------------

    def books_exit(self, one: Position, *, linked: bool = True, share: int = 1) -> None:
        """The bot writes the EXIT of what is left, or of a share of it."""
        quantity = (one.quantity - one.booked) / share
        self.bench.book(
            one.trade_id,
            "EXIT",
            quantity,
            symbol=self.bench.native(one.symbol),
            side=one.closing_side,
            exchange_order_id=one.close_order if linked else None,
            at=one.closed_at,
            **self._mode(one),
        )
        one.booked += quantity

    def books_what_never_filled(self, symbol: str, side: str) -> None:
        """An ENTRY of which the exchange knows nothing."""
        one = self._new(symbol, "3", side)
        self.bench.book(
            one.trade_id,
            "ENTRY",
            one.quantity,
            symbol=self.bench.native(symbol),
            side=one.side,
            at=self.next_moment(),
            **self._mode(one),
        )
        one.close_order, one.booked = "none", one.quantity
        self.positions.append(one)

    def places_an_order(self, one: Position) -> None:
        """The bot has an order of the lifecycle at work."""
        one.working = self.bench.book(
            one.trade_id,
            "EXIT",
            one.quantity,
            symbol=self.bench.native(one.symbol),
            side=one.closing_side,
            status="new",
            at=self.next_moment(),
            **self._mode(one),
        )

    def order_ends(self, one: Position) -> None:
        self.bench.run("UPDATE orders SET status = 'canceled' WHERE order_id = %s", one.working)
        one.working = None


def pick(found: Iterable[Any], number: int) -> Any:
    """One of them, by any number."""
    every = list(found)
    return every[number % len(every)]
