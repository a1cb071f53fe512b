"""What is the same on every spot venue: flat is a balance, and a balance has no memory.

A spot account has no positions. It is flat on a market where the base asset is told with a total
(what is free and what orders keep) of zero, or of less than the market can trade. An asset that the
answer leaves out is not proven absent. What is held cannot be told apart: the asset may be this
bot's, another's, or a person's savings, so an account that holds it is not flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from unghost.adapters.exchange.failures import malformed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.venues.reader import unknown_position
from unghost.model import Flatness, Market, PositionLeg, PositionReading

Row = Mapping[str, Any]


def holding_reading(
    market: Market, held: Decimal | None, as_of: datetime, source: str
) -> PositionReading:
    """What a total of the base asset says of a market; None where the balance does not list it.

    Below zero is a debt, which is as little flat as a holding.
    """
    if held is None:
        why = f"{source} does not list {market.base}: an asset left out is not proven absent"
        return unknown_position(as_of, why)
    smallest = market.minimum_quantity or Decimal(0)
    if held and abs(held) >= smallest:
        return PositionReading(
            flatness=Flatness.OPEN,
            as_of=as_of,
            size=abs(held),
            legs=(PositionLeg(position_side=None, quantity=held),),
            detail=f"the account holds {_plain(held)} {market.base}, and the smallest amount that"
            f" {market.unified} trades is {_plain(smallest)}; a balance does not tell whose it is,"
            " so any other holding of the asset must be kept in another account",
        )
    below = f", less than the {_plain(smallest)} that {market.unified} trades" if held else ""
    return PositionReading(
        flatness=Flatness.FLAT,
        as_of=as_of,
        size=abs(held),
        detail=f"{source} tells {_plain(held)} {market.base}{below}",
    )


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def object_of(value: object, name: str) -> Row:
    """The answer as an object, or ReadFailed."""
    if not isinstance(value, Mapping):
        raise malformed(f"{name} is not an object")
    return value


def added(amounts: Iterable[tuple[str, Decimal]]) -> Mapping[str, Decimal]:
    """Amounts by asset, those of equal assets summed; an asset with none is not in it."""
    totals: dict[str, Decimal] = {}
    for asset, amount in amounts:
        totals[asset] = totals.get(asset, Decimal(0)) + amount
    return totals


def rights_finding(granted: Iterable[str]) -> Finding:
    """What the key may do: anything beyond reading is more than unghost needs."""
    more = ", ".join(sorted(granted))
    if not more:
        return Finding(name="key rights", verdict=Verdict.OK, detail="the key may only read")
    return Finding(
        name="key rights",
        verdict=Verdict.WARN,
        detail=f"the key may do more than read: {more}",
        remedy="give unghost a key that may only read",
    )


def account_finding(account: object) -> Finding:
    """Which account the key sees: a key of another one answers well-formed and empty."""
    if not isinstance(account, str | int) or not account:
        return Finding(name="account", verdict=Verdict.WARN, detail="the exchange tells no account")
    return Finding(name="account", verdict=Verdict.OK, detail=f"the key sees account {account}")
