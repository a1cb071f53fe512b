"""Rules that hold for the answers of every exchange: what cannot be read exactly is not read.

Each function raises `ReadFailed` of kind BAD_RESPONSE with a reason that names the field; nothing
here ever falls back to a default for a quantity, a price, a side or an id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final

from unghost.adapters.exchange.failures import malformed
from unghost.model import Fill, FillKind, Market, Money, PositionSide, Side, Window

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
COST_TOLERANCE: Final = Decimal("0.01")
"""Costs come rounded. A wrong contract size is off by far more than one part in a hundred."""
MAX_MS: Final = 4_102_444_800_000
"""The year 2100: a time beyond it is in other units than milliseconds."""
MAX_MAGNITUDE: Final = 30
"""Powers of ten: products of such numbers cannot overflow."""
MAX_DIGITS: Final = 60


def exact(value: object, name: str) -> Decimal:
    """A finite Decimal from text or a whole number; binary floats are refused."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise malformed(f"{name} is not an exact number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise malformed(f"{name} is not a number") from None
    if not number.is_finite():
        raise malformed(f"{name} is not a finite number")
    # Of zero too: written out, 0E+999999999 has as many digits.
    if abs(number.adjusted()) > MAX_MAGNITUDE or len(number.as_tuple().digits) > MAX_DIGITS:
        raise malformed(f"{name} is beyond any size that is traded")
    return number


def above_zero(value: object, name: str) -> Decimal:
    """As `exact`, and above zero."""
    number = exact(value, name)
    if number <= 0:
        raise malformed(f"{name} is not above zero")
    return number


def base_units(quantity: Decimal, contract_size: Decimal) -> Decimal:
    """Contracts in base units, with every digit of both numbers."""
    with localcontext(prec=2 * MAX_DIGITS):
        return quantity * contract_size


def text(value: object, name: str) -> str:
    """A text that is not empty; a whole number becomes one (ids come as either)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise malformed(f"{name} is missing")
    return value


def moment(value: object, name: str) -> datetime:
    """Aware UTC from whole milliseconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < MAX_MS:
        raise malformed(f"{name} is not a time in milliseconds")
    return EPOCH + value * MILLISECOND


def to_ms(at: datetime) -> int:
    """Whole milliseconds since 1970, cut; aware times only."""
    return (at - EPOCH) // MILLISECOND


def rows_of(answer: object, name: str) -> list[Mapping[str, Any]]:
    """The answer as a list of objects: an object, a text or null in its place is no empty list."""
    if not isinstance(answer, list):
        raise malformed(f"{name} did not answer with a list")
    if not all(isinstance(row, dict) for row in answer):
        raise malformed(f"{name} answered with a row that is no object")
    return answer


def digest(raw: object) -> str:
    """A fingerprint of a raw answer: equal for equal contents in any order of keys."""
    canonical = json.dumps(raw, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def fill_of(
    trade: Mapping[str, Any],
    market: Market,
    *,
    position_side: PositionSide | None = None,
    kind: FillKind = FillKind.TRADE,
    client_order_id: str | None = None,
) -> Fill:
    """One of CCXT's trades as a fill, in base units.

    The quantity is the amount times the market's contract size, and must agree with the cost where
    the exchange tells one (FAILURES 8).
    """
    if trade.get("symbol") != market.unified:
        raise malformed(f"a fill of {trade.get('symbol')} came with those of {market.unified}")
    amount = above_zero(trade.get("amount"), "the quantity of a fill")
    quantity = base_units(amount, market.contract_size)
    price = above_zero(trade.get("price"), "the price of a fill")
    _check_cost(trade.get("cost"), price * quantity)
    return Fill(
        fill_id=text(trade.get("id"), "the id of a fill"),
        exchange_order_id=text(trade.get("order"), "the order id of a fill"),
        market=market.unified,
        side=_side(trade.get("side")),
        quantity=quantity,
        price=price,
        filled_at=moment(trade.get("timestamp"), "the time of a fill"),
        client_order_id=client_order_id,
        position_side=position_side,
        fees=_fees(trade),
        kind=kind,
        digest=digest(trade.get("info")),
    )


def _side(value: object) -> Side:
    if value not in {"buy", "sell"}:
        raise malformed("the side of a fill is neither buy nor sell")
    return Side(str(value))


def _check_cost(told: object, expected: Decimal) -> None:
    if told is None:
        return
    cost = exact(told, "the cost of a fill")
    # One unit of the last digit told besides, for the cost of a tiny fill is rounded coarsely.
    last_digit = Decimal((0, (1,), int(cost.as_tuple().exponent)))
    if abs(cost - expected) > expected * COST_TOLERANCE + last_digit:
        raise malformed(
            f"a fill's cost {cost} is not price times quantity {expected}: the unit is in doubt"
        )


def _fees(trade: Mapping[str, Any]) -> tuple[Money, ...] | None:
    """The fees told; None as soon as one of them is not (an unknown fee is never 0)."""
    told = trade.get("fees") or [trade.get("fee")]
    fees = []
    for fee in told:
        if not isinstance(fee, Mapping) or fee.get("cost") is None or not fee.get("currency"):
            return None
        amount = exact(fee["cost"], "the fee of a fill")
        fees.append(Money(currency=str(fee["currency"]), amount=amount))
    return tuple(fees)


class FillSet:
    """The fills of one market read so far, each once.

    The key has five parts: account, market, side, order id and fill id. One order id was seen on
    two markets, and a self-trade shares its fill id (FAILURES 9).
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._fills: dict[tuple[str, str, Side, str, str], Fill] = {}

    def add(self, fills: Iterable[Fill]) -> None:
        """Add fills. The same one again is nothing new; with other contents it is an error."""
        for fill in fills:
            known = self._fills.setdefault(self._key(fill), fill)
            if known.digest != fill.digest:
                raise malformed(
                    f"fill {fill.fill_id} of order {fill.exchange_order_id} came twice, "
                    "with different contents"
                )

    def _key(self, fill: Fill) -> tuple[str, str, Side, str, str]:
        return (self._account, fill.market, fill.side, fill.exchange_order_id, fill.fill_id)

    def within(self, window: Window) -> tuple[Fill, ...]:
        """The fills of the window, oldest first, equal times in the order they were told."""
        start, end = window.start_at, window.end_at
        inside = (fill for fill in self._fills.values() if start <= fill.filled_at <= end)
        return tuple(sorted(inside, key=lambda fill: fill.filled_at))

    def __len__(self) -> int:
        return len(self._fills)
