"""A venue whose face lives in the tests, with one account, and our reader of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.exchange.more_cases import MORE_CASES
from tests.exchange.venue_case import Question

from unghost.adapters.exchange import InProcessMarkets, Verdict
from unghost.demo.venue import Fault, FaultKind, Venue
from unghost.demo.world import World
from unghost.model import FillReading, Market, Window

HOUR = timedelta(hours=1)
CASES = {case.exchange: case for case in MORE_CASES}
KEPT = {name: InProcessMarkets() for name in CASES}


@dataclass
class Stage:
    """A venue with one account, and our reader of it."""

    exchange: str
    venue: Venue
    account: Any
    market: Market
    now: Any

    @property
    def world(self) -> World:
        return self.venue.world

    def trade(self, side: str, count: int = 1, **more: Any) -> Any:
        return self.world.execute(
            account="main",
            symbol=self.market.unified,
            side=side,
            quantity=count * CASES[self.exchange].step,
            price=Decimal("0.5"),
            at=more.pop("at", self.now - HOUR),
            **more,
        )

    def fills(self, back: timedelta = 72 * HOUR) -> FillReading:
        window = Window(start_at=self.now - back, end_at=self.now)
        return self.account.fills({self.market: window})[self.market.unified]

    def position(self) -> Any:
        return self.account.positions([self.market])[self.market.unified]

    def spoil(self, question: Question, kind: FaultKind, **what: Any) -> None:
        call = CASES[self.exchange].calls[question]
        fault = Fault(kind=kind, endpoint=call.endpoint, where=call.where, **what)
        self.venue.fault(fault)

    def findings(self) -> dict[str, Verdict]:
        return {each.name: each.verdict for each in self.account.check()}


def doubt(reading: FillReading) -> str:
    assert (reading.complete, reading.fills) == (False, ())
    return reading.detail
