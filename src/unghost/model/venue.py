"""What an exchange says: markets, positions, fills, and the calls that asked for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from unghost.model.words import MAX_AMOUNT, FillKind, Flatness, PositionSide, Side

_NONE = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Market:
    """One market as the exchange knows it. `unified` is the key everywhere inside a cycle.

    `spellings` are all the names under which a ledger may hold it. `contract_size` is base units
    per contract (1 on spot). `minimum_quantity` is the smallest tradable amount in base units.
    `margin` is spot on borrowed money, where a lifecycle is not long merely because nobody says so.
    """

    unified: str
    native_id: str
    base: str
    quote: str
    spot: bool = False
    margin: bool = False
    contract_size: Decimal = Decimal(1)
    minimum_quantity: Decimal | None = None
    spellings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Resolution(Mapping[str, Market | None]):
    """The market behind each spelling that was asked for, None where there is none.

    `reasons` holds one sentence for each None: a symbol that the exchange does not know is not the
    same as an exchange that does not answer.
    """

    markets: Mapping[str, Market | None]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, symbol: str) -> Market | None:
        return self.markets[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self.markets)

    def __len__(self) -> int:
        return len(self.markets)

    def why_not(self, symbol: str) -> str:
        """One sentence, fit for people: why the symbol has no market."""
        return self.reasons.get(symbol, f"The symbol {symbol} was not looked up.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionLeg:
    """One position row that is not zero. `position_side` is None in one-way mode.

    `quantity` is signed in one-way mode (short below zero) and absolute in hedge mode.
    """

    position_side: PositionSide | None
    quantity: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionReading:
    """What the exchange said about one market at one time. An absence is never FLAT.

    `size` is the sum of the absolute sizes of all rows of both sides, None when UNKNOWN.
    `detail` says in one sentence where the verdict comes from, or why there is none.
    """

    flatness: Flatness
    as_of: datetime
    size: Decimal | None
    legs: tuple[PositionLeg, ...] = ()
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """An amount in one currency; negative is a rebate."""

    currency: str
    amount: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """One execution. `quantity` is positive, in base units; `position_side` None in one-way mode.

    `closed` is how much of the quantity closed a position, where the exchange tells (in either
    mode); None where it does not, and then the position side or a replay says so.
    `fees` is None when the exchange did not tell (never booked as 0). `digest` identifies the raw
    answer, so that the same fill id with another payload is noticed.
    """

    fill_id: str
    exchange_order_id: str
    market: str
    side: Side
    quantity: Decimal
    price: Decimal
    filled_at: datetime
    client_order_id: str | None = None
    position_side: PositionSide | None = None
    closed: Decimal | None = None
    fees: tuple[Money, ...] | None = ()
    kind: FillKind = FillKind.TRADE
    digest: str = ""

    @property
    def is_execution(self) -> bool:
        """Whether something was executed, at a price: numbers that can be reckoned with."""
        quantity, price = self.quantity, self.price
        if not (quantity.is_finite() and price.is_finite()):
            return False
        # As in `is_amount`, which is not called: every fill of every window is asked this.
        return _NONE < quantity < MAX_AMOUNT and price.copy_abs() < MAX_AMOUNT


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The span of time, both ends included, over which fills count."""

    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FillReading:
    """The fills of one market over a window.

    `complete` only when the exchange's own cursor said that there is no more. Where it is False,
    `detail` says why and `fills` must not be believed.
    """

    fills: tuple[Fill, ...]
    complete: bool
    window: Window
    as_of: datetime
    pages: int = 0
    source: str = "exchange"
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallLog:
    """Calls made to the exchange, by endpoint or method name; shown in the batch.

    `failed_by_kind` are those, repeats included, that had no usable answer.
    """

    by_method: tuple[tuple[str, int], ...] = ()
    failed_by_kind: tuple[tuple[str, int], ...] = ()

    @property
    def total(self) -> int:
        """All calls."""
        return sum(count for _, count in self.by_method)

    def since(self, before: CallLog) -> dict[str, int]:
        """The calls made after `before` was taken, by endpoint or method name."""
        return _more(self.by_method, before.by_method)

    def failed_since(self, before: CallLog) -> dict[str, int]:
        """The failures since `before` was taken, by kind."""
        return _more(self.failed_by_kind, before.failed_by_kind)


def _more(now: tuple[tuple[str, int], ...], before: tuple[tuple[str, int], ...]) -> dict[str, int]:
    known = dict(before)
    more = {name: count - known.get(name, 0) for name, count in now}
    return {name: count for name, count in more.items() if count}
