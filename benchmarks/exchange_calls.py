"""Exchange calls: how many a cycle makes, and how long they take, by number of symbols.

    python -m benchmarks.exchange_calls [--small] [--json]

A simulated Binance USD-M in a process of its own answers 50 ms late. Every symbol is flat and has a
few fills, one in fifty more than a page. What a cycle asks is asked by the true adapter: positions,
the fills of each symbol, positions again. The calls are those in the venue's own request log; what
they must be is two readings of positions and, for each symbol, its full pages and one more.

The yardstick of the time is the longer of two: the calls' latency, by the calls that are in flight
at once (and not less than that of the four calls that wait for one another), and their weight by
what the exchange allows an address in a minute. Up to 500 symbols no pace is kept, so that the
first shows. Then the pace is kept that CCXT has for this exchange: half of what is allowed, for the
bot trades from the same address; so this figure is near 2 by choice. The venue refuses what is
above the exchange's own allowance, and none may be refused. By the clock counts also what the venue
works on the same cores; what our own process used of the processor is told beside. Of one symbol
nine rounds are taken and of 50 three, and the median is told.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus

from benchmarks.report import Chart, Figure, Report, Series, figure, main
from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount
from unghost.adapters.exchange.account import SIDE_BY_SIDE
from unghost.demo.venue import Fault, FaultKind, Request, VenueControl, spawned_venue
from unghost.demo.venue.binanceusdm import ENDPOINTS
from unghost.demo.world import DEFAULT_MARKETS, Listing, Market, Part, World
from unghost.model import Window

SYMBOLS = (1, 50, 500)
ROUNDS = {1: 9, 50: 3}
"""Of these the median is told; what takes many seconds is taken once."""

LATENCY = 0.05
"""Seconds that the venue takes for each answer."""

PAGE = 1000
CHAIN = 4
"""Calls that wait for one another: positions, the two pages of a long symbol, positions again."""

LONG_EVERY = 50
LONG_FILLS = 1100
KEY, SECRET = "key-of-the-benchmark", "secret-of-the-benchmark"
ALLOWANCE = 2400
"""Weight that the exchange allows an address in a minute."""

PACE_MS = 50
"""CCXT's between two calls of weight 1: 1200 in a minute."""

FREE_MS = 1
"""Between two calls where no pace is kept; only a loopback address may be asked so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One cycle's questions: the venue's log of them and the seconds they took."""

    calls: int
    expected: int
    weight: int
    refused: int
    seconds: float
    processor: float
    """Seconds of it that our own process used."""

    def least(self, pace_ms: int) -> float:
        """Seconds that these calls take at best."""
        paced = self.weight * 60 / ALLOWANCE if pace_ms > FREE_MS else 0.0
        return max(self.calls * LATENCY / SIDE_BY_SIDE, CHAIN * LATENCY, paced)


def _markets(count: int) -> list[Market]:
    model = DEFAULT_MARKETS[0]
    return [
        replace(
            model,
            symbol=f"C{number}/USDT:USDT",
            base=f"C{number}",
            listings=(Listing(venue="binanceusdm", native_id=f"C{number}USDT"),),
        )
        for number in range(count)
    ]


def _fills_of(number: int) -> int:
    """An even number, not a round one: a page of 100 may be cut, and is asked after."""
    return LONG_FILLS + 2 if number % LONG_EVERY == 0 else 2


def _world(count: int, now: datetime) -> World:
    world = World(markets=_markets(count))
    world.open_account("main", api_key=KEY, secret=SECRET, read_only=True)
    for number, market in enumerate(world.markets):
        half = _fills_of(number) // 2
        for side, hours in (("buy", 40), ("sell", 30)):
            world.execute(
                account="main",
                symbol=market.symbol,
                side=side,
                price=Decimal(100),
                at=now - timedelta(hours=hours),
                parts=tuple(Part(quantity=Decimal(1)) for _ in range(half)),
            )
    return world


def _ask(venue: VenueControl, count: int, pace_ms: int, now: datetime) -> Asked:
    spec = ConnectionSpec(
        exchange="binanceusdm",
        market_type="swap",
        api_key=KEY,
        secret=SECRET,
        base_url=venue.base_url,
        account="main",
        rate_limit_ms=pace_ms,
    )
    account = ExchangeAccount(spec)
    try:
        found = account.resolve([f"C{number}USDT" for number in range(count)]).markets
        markets = [market for market in found.values() if market is not None]
        venue.clear_requests()
        begun, used = time.perf_counter(), time.process_time()
        account.positions(markets)
        window = Window(start_at=now - timedelta(hours=72), end_at=now)
        readings = account.fills(dict.fromkeys(markets, window))
        account.positions(markets)
        seconds, processor = time.perf_counter() - begun, time.process_time() - used
    finally:
        account.close()
    short = [name for name, one in readings.items() if not one.complete]
    if short or len(markets) != count:
        raise RuntimeError(f"not all was read: {short[:3]}, {len(markets)} markets")
    return _asked(venue.requests(), count, seconds, processor)


def _asked(log: tuple[Request, ...], count: int, seconds: float, processor: float) -> Asked:
    return Asked(
        calls=len(log),
        expected=2 + sum(_fills_of(number) // PAGE + 1 for number in range(count)),
        weight=sum(ENDPOINTS[one.method, one.path].weight for one in log),
        refused=sum(one.status != HTTPStatus.OK for one in log),
        seconds=seconds,
        processor=processor,
    )


def _measured(count: int, pace_ms: int) -> Asked:
    """The round of median length, each against a venue and with an adapter of its own."""
    rounds = [_round(count, pace_ms) for _ in range(ROUNDS.get(count, 1))]
    return sorted(rounds, key=lambda one: one.seconds)[len(rounds) // 2]


def _round(count: int, pace_ms: int) -> Asked:
    now = datetime.now(UTC)
    with spawned_venue(_world(count, now)) as venue:
        venue.fault(Fault(kind=FaultKind.DELAY, delay_ms=int(LATENCY * 1000)))
        if pace_ms > FREE_MS:
            venue.limit_weight(ALLOWANCE)
        return _ask(venue, count, pace_ms, now)


def _figures(count: int, pace_ms: int, asked: Asked) -> tuple[Figure, ...]:
    paced = pace_ms > FREE_MS
    name = f"{count} symbols{', at the pace' if paced else ''}"
    least = asked.least(pace_ms)
    return (
        Figure(
            name=f"calls, {name}",
            target="position reads and full pages + 1 of each symbol",
            value=figure(asked.calls / asked.expected, 4),
            limit=Decimal(1),
            detail=f"{asked.calls} calls of {asked.expected}, weight {asked.weight},"
            f" {asked.refused} refused",
        ),
        Figure(
            name=f"time of the calls, {name}",
            target="at most 1.5 times the longer of latency and weight",
            value=figure(asked.seconds / least),
            limit=Decimal("1.5"),
            detail=f"{asked.seconds:.2f} s beside {least:.2f} s, {SIDE_BY_SIDE} in flight;"
            f" {asked.processor:.2f} s of the processor",
        ),
    )


def measure(*, small: bool) -> Report:
    """Calls and seconds by number of symbols; at the pace for the most of them."""
    sizes = (1, 10) if small else SYMBOLS
    runs = [(count, FREE_MS) for count in sizes] + ([] if small else [(SYMBOLS[-1], PACE_MS)])
    found = [(count, pace, _measured(count, pace)) for count, pace in runs]
    free = [(count, one) for count, pace, one in found if pace == FREE_MS]
    lines = (
        ("measured", [(count, one.seconds) for count, one in free]),
        ("latency by calls in flight", [(count, one.least(FREE_MS)) for count, one in free]),
    )
    return Report(
        name="exchange_calls",
        title="Exchange calls",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=tuple(one for run in found for one in _figures(*run)),
        charts=(
            Chart(
                key="seconds",
                title="Seconds to read positions and fills",
                across="symbols",
                up="seconds",
                series=tuple(
                    Series(
                        name=name,
                        points=tuple((Decimal(x), figure(y)) for x, y in points),
                    )
                    for name, points in lines
                ),
            ),
        ),
    )


if __name__ == "__main__":
    main(measure, __doc__)
