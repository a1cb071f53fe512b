"""A world: the truth of an account, the ledger that was left of it, and the hour of the look.

The ledger and the evidence are reckoned from it; nothing is stored twice. `worlds` tells one for a
seed, and the property tests draw theirs from hypothesis through the same generator.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from tests.core.builders import at, evidence
from tests.worlds.books import Booking, Fault, Mishap, correct, happen, mishaps
from tests.worlds.history import histories
from tests.worlds.truth import MARKETS, History, fills, told

from unghost.model import AttributionPolicy, Evidence, Fill, Flatness, LedgerRow, Rules

QUIET = timedelta(seconds=61)


@dataclass(frozen=True, kw_only=True, repr=False)
class World:
    """`seed` is what it was drawn from, None where it has been changed since."""

    history: History
    mishaps: tuple[Mishap, ...]
    link: str
    age_ms: int
    policy: AttributionPolicy = AttributionPolicy.FIFO
    seed: int | None = None

    @property
    def rules(self) -> Rules:
        return Rules(attribution=self.policy)

    @cached_property
    def now(self) -> datetime:
        """Late enough that every row is quiet."""
        latest = max((one.row.at for one in self.bookings if one.row.at), default=at(0))
        return (
            max(latest, at(self.history.end_ms / 1000))
            + QUIET
            + timedelta(milliseconds=self.age_ms)
        )

    @cached_property
    def bookings(self) -> tuple[Booking, ...]:
        return happen(correct(self.history, link=self.link), self.mishaps, self.history)

    @cached_property
    def rows(self) -> tuple[LedgerRow, ...]:
        return tuple(one.row for one in self.bookings)

    @cached_property
    def fills(self) -> tuple[Fill, ...]:
        return fills(self.history)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted({one.symbol for one in self.history.trades}))

    @cached_property
    def profiles(self) -> tuple[str, ...]:
        return tuple(sorted({one.profile_id for one in self.rows}))

    def has(self, fault: Fault, target: str) -> bool:
        return Mishap(fault=fault, target=(target,)) in self.mishaps

    def evidence(self, symbol: str, profile: str, **more) -> Evidence:
        """The evidence of one market, for one profile of the account."""
        market = MARKETS[symbol]
        return evidence(
            self.rows,
            (one for one in self.fills if one.market == market.unified),
            **{
                "profile": profile,
                "market": market,
                "now": self.now,
                "complete": not self.has(Fault.INCOMPLETE, symbol),
                "before": Flatness.OPEN if self.has(Fault.OPEN_BEFORE, symbol) else Flatness.FLAT,
                "after": (
                    Flatness.UNKNOWN if self.has(Fault.UNKNOWN_AFTER, symbol) else Flatness.FLAT
                ),
            }
            | more,
        )

    def told(self, *, closings: bool) -> World:
        """As an exchange tells it that says, or does not say, how much of each fill closed."""
        return replace(self, history=replace(self.history, closings=closings))

    def without_trade(self, trade_id: str) -> World:
        return replace(self, history=self.history.without_trade(trade_id), seed=None)

    def without_mishap(self, mishap: Mishap) -> World:
        left = tuple(one for one in self.mishaps if one != mishap)
        return replace(self, mishaps=left, seed=None)

    def __repr__(self) -> str:
        """For people: what happened, and what the ledger says."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        yield (
            f"a world of seed {self.seed}, {'hedge' if self.history.hedged else 'one-way'} mode,"
            f" {self.policy}, looked at {self.now:%d %H:%M:%S}"
        )
        yield from (f"  {line}" for line in told(self.history))
        for one in self.mishaps:
            yield f"  mishap {one.fault} {' '.join(one.target)}"
        for found in self.rows:
            words = (found.profile_id, found.trade_id, found.action, found.side, found.quantity)
            ids = (found.order_id, found.exchange_order_id, found.client_order_id)
            when = f"{found.at:%d %H:%M:%S.%f}" if found.at else "no time"
            yield f"  row {when} {found.status} {' '.join(map(str, words))} ids {ids}"


def worlds(rng: random.Random, *, trades: int | None = None, seed: int | None = None) -> World:
    """Draw a world: its history, what befell its ledger, and when it is looked at."""
    history = histories(rng, trades=trades or rng.choice([1, 2, 3, 4, 6, 8, 12]))
    return World(
        history=history,
        mishaps=mishaps(rng, history, mild=rng.randrange(100) < 50),
        link=rng.choice(["xid", "xid", "cid", "order_id"]),
        age_ms=rng.choice([0, 3_600_000, 20 * 3_600_000, 60 * 3_600_000]),
        policy=AttributionPolicy.STRICT if rng.randrange(100) < 15 else AttributionPolicy.FIFO,
        seed=seed,
    )


def of_seed(seed: int) -> World:
    """The world of a seed, the same for ever."""
    return worlds(random.Random(seed), seed=seed)
