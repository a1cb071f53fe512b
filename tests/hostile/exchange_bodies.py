"""Answers of exchanges that are almost right, through the real client over HTTP.

What a strict reader says of such an answer is a doubt, or is told in the answer itself. The oracle
here reads the spoiled body on its own and knows little: which rows name the market, what stands in
their quantity, and that a row nobody touched cannot be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final

from hypothesis import strategies as st
from tests.exchange.conftest import KEY, PASSWORD, SIMULATED_MS
from tests.exchange.more_cases import MORE_CASES
from tests.exchange.venue_case import CASES, Call, Question, VenueCase
from tests.hostile import json_bodies
from tests.hostile.harness import Check, Harness, assert_for_people
from tests.hostile.json_bodies import SPOILINGS, Path, Spoiling, spoiled

from unghost.adapters.exchange import (
    ConnectionSpec,
    ExchangeAccount,
    InProcessMarkets,
    MarketsCache,
    RetryPolicy,
)
from unghost.demo.venue import running_venue
from unghost.demo.venue.protocol import Answer
from unghost.demo.venue.protocol import Call as Asked
from unghost.demo.world import World
from unghost.documents import document_text
from unghost.model import Fill, FillReading, Flatness, Market, PositionReading, Window

HOUR: Final = timedelta(hours=1)
LONGEST_DOCUMENT: Final = 200_000
"""Characters that a reading of two fills may take as JSON."""
ONCE: Final = RetryPolicy(
    attempts=1, first_wait_seconds=0.001, question_seconds=20, read_seconds=30
)
SIZE_FIELDS: Final = {"hyperliquid": "szi"}
"""Where the size of a position is deeper in its row than the case's `size_field`."""
REMEMBERING: Final = frozenset({"kraken"})
"""Exchanges whose reader keeps the fills of all markets, once read: each sample has a new one."""
ALL: Final = (*CASES, *MORE_CASES)


class SpoilingFace:
    """An exchange of which one call is answered with a spoiled body; keeps what it told."""

    def __init__(self, face: Any) -> None:
        self._face = face
        self._call: Call | None = None
        self._how: Spoiling | None = None
        self.good: list[bytes] = []
        self.told: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._face, name)

    def spoil(self, call: Call, how: Spoiling | None) -> None:
        """Answer this call so from now on; None: as it should be."""
        self._call, self._how = call, how
        self.good, self.told = [], []

    def answer(self, world: World, call: Asked) -> Answer:
        answer: Answer = self._face.answer(world, call)
        if self._call is None or not _is(self._call, call):
            return answer
        content = answer.content()
        self.good.append(content)
        if self._how is not None:
            content = spoiled(content, self._how)
        self.told.append(content)
        return replace(answer, raw=content)


def _is(wanted: Call, call: Asked) -> bool:
    named = call.path.endswith(f"/{wanted.endpoint}")
    return named and all(call.params.get(name) == text for name, text in wanted.where.items())


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One question to one venue, and what becomes of the answer."""

    question: Question
    how: Spoiling


SAMPLES: Final = st.builds(
    Sample,
    question=st.sampled_from((Question.POSITIONS, Question.FILLS, Question.MARKETS)),
    how=SPOILINGS,
)


@dataclass(kw_only=True)
class Stage:
    """A venue where a position is open and two fills were made, and readers of it."""

    case: VenueCase
    face: SpoilingFace
    base_url: str
    now: datetime
    kept: MarketsCache = field(default_factory=InProcessMarkets)

    def connect(self, cache: MarketsCache | None) -> ExchangeAccount:
        spec = ConnectionSpec(
            exchange=self.case.exchange,
            market_type=self.case.market_type,
            api_key=KEY,
            secret=self.case.secret,
            password=PASSWORD,
            base_url=self.base_url,
            timeout_seconds=20,
            account="desk-1",
            rate_limit_ms=SIMULATED_MS,
        )
        return ExchangeAccount(spec, policy=ONCE, cache=cache, clock=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.account = self.connect(self.kept)
        found = self.account.resolve([self.case.symbol])[self.case.symbol]
        assert found is not None
        self.market: Market = found

    @property
    def window(self) -> Window:
        return Window(start_at=self.now - 72 * HOUR, end_at=self.now)

    def try_(self, sample: Sample) -> None:
        """Ask, and hold what is said against the body that was told."""
        if self.case.exchange in REMEMBERING:
            self.account.close()
            self.account = self.connect(self.kept)
        call = self.case.calls[sample.question]
        self.face.spoil(call, sample.how)
        try:
            match sample.question:
                case Question.POSITIONS:
                    self._check_position()
                case Question.FILLS:
                    self._check_fills()
                case _:
                    self._check_markets()
        finally:
            self.face.spoil(call, None)

    # What must hold ---------------------------------------------------------------------------

    def _check_position(self) -> None:
        reading = self.account.positions([self.market])[self.market.unified]
        assert_small(reading)
        if reading.flatness is Flatness.UNKNOWN:
            assert (reading.size, reading.legs) == (None, ())
            return assert_for_people(reading.detail)
        assert reading.size == sum((abs(leg.quantity) for leg in reading.legs), Decimal(0))
        assert (reading.flatness is Flatness.FLAT) == (reading.size == 0)
        self._assert_containers()
        size_field = SIZE_FIELDS.get(self.case.exchange, self.case.size_field)
        for row in self._rows(size_field):
            open_or_unclear = number(row[size_field]) != 0
            assert not (open_or_unclear and reading.flatness is Flatness.FLAT), row
        return None

    def _check_fills(self) -> None:
        reading = self.account.fills({self.market: self.window})[self.market.unified]
        assert_small(reading)
        if not reading.complete:
            assert reading.fills == ()
            return assert_for_people(reading.detail)
        self._assert_containers()
        rows = list(self._rows(self.case.amount_field))
        for fill in reading.fills:
            assert any(says(row, fill, self.market) for row in rows), fill
        quantities = [number(row[self.case.amount_field]) for row in rows]
        assert all(amount is not None and amount != 0 for amount in quantities), rows
        kept = [row for row in rows if row in self._good_rows()]
        told = {fill.exchange_order_id for fill in reading.fills}
        assert all(told & {str(value) for value in scalars(row)} for row in kept), kept
        return None

    def _check_markets(self) -> None:
        fresh = self.connect(None)
        try:
            found = fresh.resolve([self.case.symbol])
            market = found[self.case.symbol]
        finally:
            fresh.close()
        if market is None:
            return assert_for_people(found.reasons[self.case.symbol])
        bodies = [json_bodies.read(content) for content in self.face.told]
        numbers = {number(value) for body in bodies for value in scalars(body)}
        assert market.contract_size in {*numbers, Decimal(1)}, market
        assert market.contract_size > 0
        return None

    # The oracle -------------------------------------------------------------------------------

    def _assert_containers(self) -> None:
        """What is believed was asked for, and came as JSON with the rows where they belong."""
        assert self.face.told, "nothing was asked"
        for good, told in zip(self.face.good, self.face.told, strict=True):
            body = json_bodies.read(told)
            assert body is not None, told[:200]
            path = rows_path(json_bodies.read(good), self._names())
            if path is None:
                continue
            try:
                held = json_bodies.at(body, path)
            except (LookupError, TypeError):
                raise AssertionError(f"nothing is at {path}") from None
            assert type(held) is type(json_bodies.at(json_bodies.read(good), path)), held

    def _rows(self, needed: str) -> Iterator[dict[str, Any]]:
        for content in self.face.told:
            yield from rows_naming(json_bodies.read(content), self._names(), needed)

    def _good_rows(self) -> list[dict[str, Any]]:
        bodies = map(json_bodies.read, self.face.good)
        return [
            row
            for body in bodies
            for row in rows_naming(body, self._names(), self.case.amount_field)
        ]

    def _names(self) -> frozenset[str]:
        """What the venue calls the market, or its asset where balances are told."""
        base = {self.market.base} if self.case.market_type != "swap" else set()
        coin = {self.market.base} if self.case.exchange == "hyperliquid" else set()
        return frozenset({*self.market.spellings, *base, *coin})


def assert_small(reading: PositionReading | FillReading) -> None:
    """A reading is kept as evidence: no number in it may be written out by the million digits."""
    assert len(document_text(reading)) < LONGEST_DOCUMENT


def number(value: Any) -> Decimal | None:
    """A plain finite number as sent, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        found = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 1000 else None


def scalars(node: Any) -> Iterator[Any]:
    """Every value of a body that is no container, and the names of members."""
    for path, value in json_bodies.paths(node) if isinstance(node, dict | list) else ():
        yield from path[-1:]
        if not isinstance(value, dict | list):
            yield value


def rows_naming(body: Any, names: frozenset[str], needed: str) -> Iterator[dict[str, Any]]:
    """Objects that have the member `needed` and name the market, themselves or by their key."""
    for path, value in json_bodies.paths(body) if isinstance(body, dict | list) else ():
        if isinstance(value, dict) and needed in value:
            told = {one for one in value.values() if isinstance(one, str)}
            if names & {*told, *path[-1:]}:
                yield value


def rows_path(body: Any, names: frozenset[str]) -> Path | None:
    """The way to the first list of rows of which one names the market; None without one."""
    for path, value in json_bodies.paths(body):
        if isinstance(value, list) and any(
            isinstance(row, dict) and names & set(map(str, scalars(row))) for row in value
        ):
            return path
    return None


def says(row: dict[str, Any], fill: Fill, market: Market) -> bool:
    """Whether everything told of a fill stands in a row."""
    values = list(scalars(row))
    numbers = {found.copy_abs() for found in map(number, values) if found is not None}
    with localcontext(prec=100):
        amounts = {found * market.contract_size for found in numbers}
    texts = {str(value) for value in values}
    return fill.quantity in amounts and fill.price in numbers and {fill.exchange_order_id} <= texts


@contextmanager
def opened(case: VenueCase) -> Iterator[Check]:
    """A venue and its reader for many samples."""
    now = datetime.now(UTC).replace(microsecond=0)
    world = World(markets=case.markets)
    world.open_account("main", api_key=KEY, secret=case.secret, password=PASSWORD)
    face = SpoilingFace(case.face)
    for side, count, back in (("buy", 3, 5 * HOUR), ("sell", 1, 2 * HOUR)):
        world.execute(
            account="main",
            symbol=case.symbol,
            side=side,
            quantity=case.step * count,
            price=Decimal("0.5"),
            at=now - back,
        )
    with running_venue(world, faces=[face]) as venue:
        stage = Stage(case=case, face=face, base_url=venue.base_url, now=now)
        try:
            yield stage.try_
        finally:
            stage.account.close()


def harness_of(case: VenueCase) -> Harness:
    return Harness(
        name=f"exchange bodies: {case.name}", samples=SAMPLES, opened=lambda: opened(case)
    )


HARNESSES: Final[Sequence[Harness]] = tuple(map(harness_of, ALL))
