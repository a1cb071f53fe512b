"""Counters that all processes of the service add to: table `reconciliation_figure`.

Several processes run cycles, and any of them is asked for the metrics: so the counters are kept
where all can reach them, and only rise. They are for looking at; nothing is decided by them, and
what cannot be counted is logged and stops nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from typing import Final, TypeAlias

import structlog

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import DatabaseError
from unghost.ports import Exchange

__all__ = ["CYCLE_BOUNDS", "ENDLESS", "SUM", "Figure", "Figures", "Numbers", "Starter", "buckets"]

log = structlog.get_logger("unghost")

CYCLE_BOUNDS: Final = tuple(map(Decimal, ("0.5", "1", "2.5", "5", "10", "30", "60", "120", "600")))
"""Upper bounds of the buckets for the length of a cycle, in seconds."""

ENDLESS: Final = "+Inf"
SUM: Final = "sum"


class Figure(StrEnum):
    """What is counted, with what `label` and `part` of a counter say."""

    EXCHANGE_CALLS = "exchange_calls"  # label: path of the call
    EXCHANGE_ERRORS = "exchange_errors"  # label: kind of the failure
    CYCLE_SECONDS = "cycle_seconds"  # label: starter; part: a bucket's upper bound, or `sum`


class Starter(StrEnum):
    """Who began a cycle."""

    LOOP = "loop"
    PERSON = "person"


Key: TypeAlias = tuple[Figure, str, str]
"""Figure, label and part."""

Numbers: TypeAlias = Mapping[Key, Decimal]


class Figures:
    """The counters. `of` raises DatabaseError; counting raises nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def counting(self, profile_id: str, exchange: Exchange) -> Iterator[None]:
        """Add the calls that are made meanwhile, and the failures among them."""
        before = exchange.calls()
        try:
            yield
        finally:
            after = exchange.calls()
            made = _by_label(Figure.EXCHANGE_CALLS, after.since(before))
            failed = _by_label(Figure.EXCHANGE_ERRORS, after.failed_since(before))
            self._add(profile_id, {**made, **failed})

    @contextmanager
    def timing(self, profile_id: str, starter: Starter) -> Iterator[None]:
        """Add one cycle to the bucket of its length, however it ends."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.took(profile_id, starter, Decimal(str(time.monotonic() - began)))

    def took(self, profile_id: str, starter: Starter, seconds: Decimal) -> None:
        """Add one cycle of this length."""
        bound = next((str(bound) for bound in CYCLE_BOUNDS if seconds <= bound), ENDLESS)
        figure = Figure.CYCLE_SECONDS
        one = {(figure, starter.value, bound): Decimal(1), (figure, starter.value, SUM): seconds}
        self._add(profile_id, one)

    def of(self, profile_ids: Sequence[str]) -> Mapping[str, Numbers]:
        """All counters by profile; a profile without any is there too."""
        with self._database.transaction(read_only=True) as connection:
            values = {"profile_ids": list(profile_ids), "figures": list(Figure)}
            rows = connection.execute(block("figures", "figures"), values).fetchall()
        found: dict[str, dict[Key, Decimal]] = {name: {} for name in profile_ids}
        for row in rows:
            key = (Figure(row["figure"]), row["label"], row["part"])
            found[row["profile_id"]][key] = row["number"]
        return found

    def _add(self, profile_id: str, numbers: Numbers) -> None:
        if not numbers:
            return
        figures, labels, parts = map(list, zip(*numbers, strict=True))
        values = {"figures": figures, "labels": labels, "parts": parts}
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    block("figures", "add_figures"),
                    {"profile_id": profile_id, "numbers": list(numbers.values()), **values},
                )
        except DatabaseError as error:
            log.warning("figures were not counted", profile_id=profile_id, error=str(error))


def _by_label(figure: Figure, numbers: Mapping[str, int]) -> Numbers:
    return {(figure, label, ""): Decimal(number) for label, number in numbers.items()}


def buckets(starter: Starter, numbers: Numbers) -> tuple[tuple[tuple[str, Decimal], ...], Decimal]:
    """A histogram as Prometheus has it: each upper bound with all cycles up to it; and the sum.

    Bounds of another release stay where they are.
    """
    own = {
        part: number
        for (figure, label, part), number in numbers.items()
        if figure is Figure.CYCLE_SECONDS and label == starter
    }
    seconds = own.pop(SUM, Decimal(0))
    bounds = sorted({*map(str, CYCLE_BOUNDS), ENDLESS, *own}, key=Decimal)
    counts = accumulate(own.get(bound, Decimal(0)) for bound in bounds)
    return tuple(zip(bounds, counts, strict=True)), seconds
