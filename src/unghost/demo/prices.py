"""Made-up prices for the sample: a path per market that wanders, and is the same each time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from unghost.demo.world import Market

STEP = timedelta(minutes=15)
LARGEST_STEP_TEN_THOUSANDTHS = 40


class PricePaths:
    """Prices by market and by how long ago; the last one is the market's reference price."""

    def __init__(self, markets: Sequence[Market], *, reach: timedelta, seed: str) -> None:
        self._paths = {market.symbol: _path(market, reach // STEP + 2, seed) for market in markets}

    def at(self, market: Market, ago: timedelta) -> Decimal:
        """The price so long ago, on the market's price step."""
        path = self._paths[market.symbol]
        place, beyond = divmod(ago, STEP)
        earlier, later = path[place + 1], path[place]
        price = later + (earlier - later) * (beyond // timedelta(seconds=1)) / STEP.seconds
        return on_step(price, market.price_step)


def _path(market: Market, steps: int, seed: str) -> list[Decimal]:
    """Prices from now backwards."""
    rng = random.Random(f"{seed} {market.symbol}")  # noqa: S311 - made-up prices, the same each time
    prices = [market.reference_price]
    for _ in range(steps):
        change = rng.randint(-LARGEST_STEP_TEN_THOUSANDTHS, LARGEST_STEP_TEN_THOUSANDTHS)
        prices.append(prices[-1] * (1 + Decimal(change) / 10_000))
    return prices


def on_step(value: Decimal, step: Decimal) -> Decimal:
    """The nearest multiple of a step."""
    return (value / step).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * step
