"""What an execution costs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from unghost.demo.world.events import Execution, Part
from unghost.demo.world.words import ZERO

FEE_STEP = Decimal("0.00000001")
TAKER_RATE = Decimal("0.0005")
MAKER_RATE = Decimal("0.0002")


def check_parts(execution: Execution, parts: Sequence[Part]) -> None:
    """ValueError for a quantity not above zero, and for parts that do not sum to the whole."""
    if any(not part.quantity > 0 for part in parts):
        raise ValueError("a fill's quantity is above zero")
    total = sum((part.quantity for part in parts), ZERO)
    if total != execution.quantity:
        raise ValueError(f"the parts sum to {total}, not to {execution.quantity}")


def fees_of(execution: Execution, parts: Sequence[Part]) -> list[Decimal]:
    """A fee per part: its own, its share of the whole, or the usual rate. Shares sum exactly."""
    if execution.fee is None:
        return [_usual_fee(execution, part) if part.fee is None else part.fee for part in parts]
    shares = [
        (execution.fee * part.quantity / execution.quantity).quantize(FEE_STEP, ROUND_HALF_EVEN)
        for part in parts
    ]
    shares[-1] = execution.fee - sum(shares[:-1], ZERO)
    return [
        share if part.fee is None else part.fee for share, part in zip(shares, parts, strict=True)
    ]


def _usual_fee(execution: Execution, part: Part) -> Decimal:
    price = execution.price if part.price is None else part.price
    rate = MAKER_RATE if execution.maker else TAKER_RATE
    return (part.quantity * price * rate).quantize(FEE_STEP, ROUND_HALF_EVEN)
