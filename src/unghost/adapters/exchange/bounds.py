"""Numbers that would keep CCXT reckoning for hours: refused before it begins.

CCXT turns `1e999999999` into an integer of as many digits, and a precision of 2147483647 into a
text of as many zeros. While it does, nothing in this process can interrupt it.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from unghost.adapters.exchange.failures import malformed

MOST_EXPONENT_DIGITS: Final = 3
"""No quantity or price has an exponent of a thousand."""
MOST_DECIMALS: Final = 100


def bound_exponents() -> None:
    """Let CCXT's exact numbers refuse long exponents with ReadFailed. Safe to call twice."""
    precise = importlib.import_module("ccxt.base.precise").Precise
    if not hasattr(precise, "unghost_reads"):
        precise.unghost_reads = precise.__init__
        precise.__init__ = _read_bounded


def _read_bounded(self: Any, number: Any, decimals: Any = None) -> None:
    if decimals is None:
        require_short_exponent(number)
    self.unghost_reads(number, decimals)


def require_short_exponent(number: str) -> None:
    """ReadFailed for a text like `1e9999`."""
    exponent = number.lower().partition("e")[2]
    if len(exponent.strip().lstrip("+-0")) > MOST_EXPONENT_DIGITS:
        raise malformed("a number has an exponent beyond any size that is traded")


def require_few_decimals(precision: Any) -> None:
    """ReadFailed for a market whose amounts or prices would have hundreds of decimals."""
    if precision is not None and abs(int(precision)) > MOST_DECIMALS:
        raise malformed("a market's precision is beyond any number of decimals")


def loaded_ccxt() -> Any:
    """CCXT within these bounds, loaded by the first who needs it: half a second and 100 MiB."""
    bound_exponents()
    return importlib.import_module("ccxt.async_support")
