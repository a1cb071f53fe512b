"""Trading in a world, for the tests of the faces that are put on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from unghost.demo.world import World

BTC, ETH, DOGE = "BTC/USDT:USDT", "ETH/USDT:USDT", "DOGE/USDT:USDT"
HOUR = 3600 * 1000
DAY = 24 * HOUR


def trade(world: World, side: str, quantity: str, account: str = "main", **changes: Any) -> Any:
    """An order that fills: of BTC at 100, unless told otherwise."""
    return world.execute(
        account=account,
        symbol=changes.pop("symbol", BTC),
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(changes.pop("price", 100)),
        **changes,
    )
