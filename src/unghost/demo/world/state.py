"""Everything that a world holds, as one value and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from unghost.demo.world.events import Override
from unghost.demo.world.markets import Market
from unghost.demo.world.records import Account, Fill, Funding, Order
from unghost.demo.world.words import STRICT


@dataclass(frozen=True, kw_only=True)
class WorldState:
    """Everything a world holds, as written to a file."""

    __pydantic_config__ = STRICT
    markets: tuple[Market, ...]
    accounts: tuple[Account, ...] = ()
    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    fundings: tuple[Funding, ...] = ()
    overrides: tuple[Override, ...] = ()
    clock_offset_ms: int = 0


STATE: Final[TypeAdapter[WorldState]] = TypeAdapter(WorldState)
