"""Deciding: lifecycles and fills in memory become rulings, on one core, by number of lifecycles.

    python -m benchmarks.deciding [--small] [--json]

Every lifecycle is open and every market flat, so each gets all gates, a claim and a row with its
fingerprint: the dearest case. A lifecycle has one ENTRY row and three fills, one that opened it and
two of the order that closed it. They lie in 50 markets and overlap in time. Rounds of both sizes
take turns; the figures are medians.

The account of a decision, which the audit keeps and `unghost explain` shows, is made when it is
read, so it is no part of deciding: a cycle that records nothing makes none. What recording pays for
it is told by itself.

The time is spread thin: no function has a tenth of it. The nouns that are handed on (parts of
fills, close order, claim, gates, row, ruling: some eighty fields) are made without the guard of a
frozen dataclass, which cost more than the rest of making them. What is left is a few hundred small
calls for each lifecycle, most of them on Decimals and texts; the row with its id, its basis and its
fingerprint is the dearest part of it, and is made at once because every cycle reads it. The profile
is taken with 10 000 lifecycles; it makes small functions look dearer than they are, so the share of
a module is the surer number.
"""

from __future__ import annotations

import cProfile
import gc
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from types import CodeType

from benchmarks.report import Chart, Figure, Report, Series, figure, main
from unghost.decide import decide
from unghost.model import (
    Evidence,
    Fill,
    FillReading,
    Flatness,
    LedgerRow,
    Lifecycle,
    LifecycleKey,
    Market,
    Money,
    PauseReading,
    PauseState,
    PositionReading,
    PositionSide,
    Rules,
    Ruling,
    Side,
    Window,
)

SIZES = (10_000, 100_000)
ROUNDS = 3
SYMBOLS = 50
FILLS = 3
"""Of each lifecycle."""

SECONDS = "3"
GROWTH = "15"
START = datetime(2026, 2, 1, tzinfo=UTC)
NOW = START + timedelta(days=3)
SHOWN = 12
"""Functions in the profile."""


def evidences(lifecycles: int) -> list[Evidence]:
    """What gathering would hand over, one piece of evidence for each market."""
    return [_market(number, lifecycles // SYMBOLS) for number in range(SYMBOLS)]


def _market(number: int, lifecycles: int) -> Evidence:
    name = f"C{number}USDT"
    market = Market(
        unified=f"C{number}/USDT:USDT",
        native_id=name,
        base=f"C{number}",
        quote="USDT",
        spellings=(name,),
    )
    pairs = [_lifecycle(name, place) for place in range(lifecycles)]
    fills = tuple(fill for place in range(lifecycles) for fill in _fills(market.unified, place))
    flat = PositionReading(flatness=Flatness.FLAT, as_of=NOW, size=Decimal(0))
    return Evidence(
        profile_id="main",
        symbol=market.unified,
        market=market,
        as_of=NOW,
        lifecycles=tuple(pairs),
        ledger_rows=tuple(row for one in pairs for row in one.rows),
        position_before=flat,
        position_after=flat,
        fills=FillReading(
            fills=fills, complete=True, window=Window(start_at=START, end_at=NOW), as_of=NOW
        ),
    )


def _opened_at(place: int) -> datetime:
    return START + timedelta(seconds=20 * place)


def _quantity(place: int) -> Decimal:
    """Different within a market, so that each order fits one lifecycle."""
    return Decimal(2) + Decimal(place) / 100


def _lifecycle(symbol: str, place: int) -> Lifecycle:
    quantity, at = _quantity(place), _opened_at(place)
    row = LedgerRow(
        order_id=f"e-{symbol}-{place}",
        profile_id="main",
        symbol=symbol,
        trade_id=f"t-{symbol}-{place}",
        action="ENTRY",
        status="filled",
        quantity=quantity,
        price=Decimal(100),
        side="buy",
        exchange_order_id=f"buy-{place}",
        filled_at=at,
        created_at=at,
        updated_at=at,
        version=f"{symbol}{place}",
    )
    return Lifecycle(
        key=LifecycleKey(profile_id="main", symbol=symbol, trade_id=f"t-{symbol}-{place}"),
        entry_qty=quantity,
        exit_qty=Decimal(0),
        open_qty=quantity,
        rows=(row,),
        direction=PositionSide.LONG,
        first_entry_at=at,
    )


def _fills(market: str, place: int) -> Iterator[Fill]:
    quantity, at = _quantity(place), _opened_at(place)
    half = quantity / 2
    yield _fill(market, f"buy-{place}", Side.BUY, quantity, at, part=0)
    yield _fill(market, f"sell-{place}", Side.SELL, half, at + timedelta(minutes=30), part=1)
    yield _fill(market, f"sell-{place}", Side.SELL, half, at + timedelta(minutes=30), part=2)


def _fill(
    market: str, order: str, side: Side, quantity: Decimal, at: datetime, *, part: int
) -> Fill:
    return Fill(
        fill_id=f"{order}-{part}",
        exchange_order_id=order,
        market=market,
        side=side,
        quantity=quantity,
        price=Decimal("101.5"),
        filled_at=at + timedelta(milliseconds=part),
        fees=(Money(currency="USDT", amount=Decimal("0.04")),),
        digest=f"{order}{part}",
    )


def rule(given: list[Evidence]) -> tuple[Ruling, ...]:
    """What a cycle does between gathering and recording."""
    pause = PauseReading(state=PauseState.PAUSED, as_of=NOW, source="benchmark")
    return decide(given, pause=pause, rules=Rules(), now=NOW)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Seconds of the processor: it is said on one core, and others may use the machine."""

    deciding: float
    explaining: float


def timed(given: list[Evidence], lifecycles: int) -> Taken:
    """Decide, then read every account, as recording does."""
    gc.collect()
    begun = time.process_time()
    rulings = rule(given)
    decided = time.process_time()
    for ruling in rulings:
        dict(ruling.evidence)
    told = time.process_time()
    written = sum(len(ruling.candidates) for ruling in rulings)
    if written != lifecycles:
        raise RuntimeError(f"{written} rows for {lifecycles} ghosts")
    return Taken(deciding=decided - begun, explaining=told - decided)


def _profile(given: list[Evidence]) -> str:
    """Where the time goes: by module, and in which functions."""
    profiler = cProfile.Profile()
    profiler.runcall(rule, given)
    # Not through pstats: it takes all constructors that dataclass compiles for one function.
    entries = profiler.getstats()
    whole = sum(entry.inlinetime for entry in entries)
    count = sum(len(one.lifecycles) for one in given)
    modules: defaultdict[str, float] = defaultdict(float)
    for entry in entries:
        modules[_place(entry.code)[0]] += entry.inlinetime / whole
    lines = ["share itself  module"]
    dearest = sorted(modules, key=modules.__getitem__, reverse=True)[:SHOWN]
    lines += [f"{modules[name]:12.1%}  {name}" for name in dearest]
    lines += ["", "share itself  share with callees  calls per lifecycle  function"]
    lines += [
        f"{entry.inlinetime / whole:12.1%}  {entry.totaltime / whole:18.1%}"
        f"  {entry.callcount / count:19.1f}  {': '.join(_place(entry.code))}"
        for entry in sorted(entries, key=lambda one: -one.inlinetime)[:SHOWN]
    ]
    return "\n".join(lines)


def _place(code: CodeType | str) -> tuple[str, str]:
    """Module and name of a profiled function; dataclass compiles constructors from strings."""
    if isinstance(code, str):
        return "built in", code.strip("<>")
    if code.co_filename == "<string>":
        return "made by dataclass", code.co_qualname
    return Path(code.co_filename).stem, code.co_qualname


def measure(*, small: bool) -> Report:
    """Seconds for the most lifecycles, and how they grow with their number."""
    sizes = (100, 1_000) if small else SIZES
    given = {size: evidences(size) for size in sizes}
    taken: dict[int, list[Taken]] = {size: [] for size in sizes}
    for _ in range(1 if small else ROUNDS):
        for size in sizes:
            taken[size].append(timed(given[size], size))
    few, many = (median(one.deciding for one in taken[size]) for size in sizes)
    explained = median(one.explaining for one in taken[sizes[1]])
    points = ((Decimal(sizes[0]), figure(few)), (Decimal(sizes[1]), figure(many)))
    return Report(
        name="deciding",
        title="Deciding",
        text=(__doc__ or "").partition("[--json]")[2],
        figures=(
            Figure(
                name=f"deciding, {sizes[1]} lifecycles, {sizes[1] * FILLS} fills",
                target=f"under {SECONDS} s of one core",
                value=figure(many),
                unit="s",
                limit=None if small else Decimal(SECONDS),
                detail=f"{many / sizes[1] * 1e6:.0f} microseconds per lifecycle",
            ),
            Figure(
                name="deciding, ten times the lifecycles",
                target=f"at most {GROWTH} times the time",
                value=figure(many / few),
                limit=Decimal(GROWTH),
            ),
            Figure(
                name=f"accounts of {sizes[1]} decisions, made when they are recorded",
                target="told",
                value=figure(explained),
                unit="s",
                detail=f"{explained / sizes[1] * 1e6:.0f} microseconds per lifecycle",
            ),
        ),
        charts=(
            Chart(
                key="seconds",
                title="Seconds to decide",
                across="lifecycles",
                up="seconds",
                series=(Series(name="decided", points=points),),
            ),
        ),
        profile=_profile(given[sizes[0]]),
    )


if __name__ == "__main__":
    main(measure, __doc__)
