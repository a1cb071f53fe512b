"""A ghost and its leg, as the truth has them; `oracle` says how they are reckoned."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from tests.worlds.truth import ZERO
from tests.worlds.world import World

from unghost.model import LifecycleKey, PositionSide, Reason

DUST_ABS, DUST_REL = Decimal("0.001"), Decimal("0.002")


class Reach(StrEnum):
    """How much of a ghost can be known."""

    EXACTLY = "exactly"
    IN_FULL = "in full"
    NOT = "not"


@dataclass(kw_only=True)
class Ghost:
    """A lifecycle that is open in the ledger, with the truth about it."""

    key: LifecycleKey
    leg: PositionSide
    need: Decimal
    entered_at: datetime
    missing: dict[str, Decimal]
    """By order, what it closed of this ghost and no row stands for; within the window."""
    opened: Decimal
    """What of the need the window shows as opened."""
    named: frozenset[str]
    """Orders that rows of it name which are not ENTRY rows."""
    intended: frozenset[str]
    """Those of them that a row names which is not filled, or only in part."""
    blocked: Reason | None = None
    exact: set[str] = field(default_factory=set)
    """Orders whose part in this ghost is determined."""
    reach: Reach = Reach.NOT
    never: bool = False
    """The window proves that it never was."""

    @property
    def dust(self) -> Decimal:
        return max(DUST_ABS, self.need * DUST_REL)

    @property
    def is_small(self) -> bool:
        return self.need <= self.dust

    @property
    def missed(self) -> Decimal:
        return sum(self.missing.values(), ZERO)


@dataclass(kw_only=True)
class Leg:
    """One leg of one market, as the truth has it."""

    world: World
    symbol: str
    side: PositionSide
    start_at: datetime
    ghosts: list[Ghost]
    readable: bool
    clear: bool
    held_before: Decimal
    """What was held when the window began, by anybody."""
    foreign: Decimal
    """What people closed of it within the window that they had opened before."""

    @cached_property
    def left(self) -> dict[str, Decimal]:
        """By order, what ghosts miss of it."""
        total: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for ghost in self.ghosts:
            for name, quantity in ghost.missing.items():
                total[name] += quantity
        return total

    @property
    def whole(self) -> bool:
        return all(one.need - one.missed <= one.dust for one in self.ghosts)
