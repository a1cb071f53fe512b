"""What counts as dust, and which quantities and prices the ledger can hold. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

from unghost.model import Evidence, Rules

_ZERO = Decimal(0)

PRECISION = 76
"""Digits of the arithmetic: numeric columns hold more than the 28 that Decimal keeps by default."""

DEFAULT_SCALE = 18
"""Decimal places kept where the ledger's column sets no limit."""

MAX_SCALE = 36
"""Decimal places that the arithmetic has room for beside the largest amount."""


def dust_threshold(open_qty: Decimal, rules: Rules) -> Decimal:
    """`MAX(dust_abs_qty, open_qty * dust_rel_pct)` in base units (checklist section 4)."""
    share = open_qty * rules.dust_rel_pct
    return share if share > rules.dust_abs_qty else rules.dust_abs_qty


@cache
def last_place(scale: int | None) -> Decimal:
    """One unit of the last decimal place that a column of this scale holds."""
    return Decimal(1).scaleb(-min(DEFAULT_SCALE if scale is None else scale, MAX_SCALE))


def step_of(evidence: Evidence, rules: Rules) -> Decimal | None:
    """The smallest quantity that the ledger can hold, in base units; None where it holds any."""
    if rules.quantity_scale is None and evidence.ledger_unit == 1:
        return None
    return evidence.ledger_unit * last_place(rules.quantity_scale)


def rounded(price: Decimal, scale: int | None) -> Decimal:
    """The price in the decimal places that a column of this scale holds."""
    return price.quantize(last_place(scale), ROUND_HALF_EVEN).normalize() + _ZERO
