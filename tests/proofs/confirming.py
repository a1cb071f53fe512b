"""What a cycle would decide, decided again with the evidence mixed, lessened and taken away.

The numbers are those of `unghost.decide`. Nothing here asks the database or the venue: it holds
the evidence of one draft against the core, as often as a state machine takes a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from unghost.cycle import Draft
from unghost.decide import decide
from unghost.ids import backfill_order_id
from unghost.model import (
    Candidate,
    Evidence,
    Flatness,
    Mode,
    PauseState,
    PositionSide,
    Rules,
    Ruling,
)

Known = Mapping[str, tuple[object, ...]]
"""By market, what its evidence said when it was confirmed last, times of asking left out."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the evidence may be lessened by, and what must hold even then.

    `own` and `strange` are the exchange orders that closed something in truth: for lifecycles, and
    for somebody who is not in the ledger. `one_sided` are the markets whose orders tell no leg and
    of which the exchange leaves out a closing already. `within` raises AssertionError where a leg
    would be closed by more than was closed there in truth.
    """

    own: Collection[str]
    strange: Collection[str]
    one_sided: Collection[str]
    within: Callable[[Sequence[Candidate]], None]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Decides the evidence of one draft again."""

    draft: Draft
    rules: Rules
    now: datetime

    def __call__(
        self, evidences: Iterable[Evidence], mode: Mode = Mode.APPLY
    ) -> tuple[Ruling, ...]:
        rules = replace(self.rules, mode=mode)
        return decide(evidences, pause=self.draft.pause, rules=rules, now=self.now)


def confirm(
    draft: Draft,
    rules: Rules,
    standing: set[str],
    *,
    paused: bool,
    truth: Truth,
    known: Known,
) -> Known:
    """Raises AssertionError, with the invariant's number, where the draft is unsound.

    Only what closed in truth is taken away: while fills are late, what opened looks as if it had
    closed, and with an opening less a rival is less. So it is with a stranger's closing: a rival is
    less with it, or it stands in for a closing of its size that was taken away, and nothing in what
    is left may tell. And so it is with the second closing that is left out in one-way mode: without
    the one that the other contradicts, the rest may look whole. Then the truth of the leg is the
    bound: no more than was closed there.
    Markets whose evidence is that of the last time are not lessened anew.
    """
    now = max((one.as_of for one in draft.evidences), default=draft.pause.as_of)
    judge = Judge(draft=draft, rules=rules, now=now)
    found = judge(draft.evidences)
    assert judge(map(reversed_, reversed(draft.evidences))) == found, "invariant 1"
    dry = judge(draft.evidences, Mode.DRY_RUN)
    assert candidates(dry) == candidates(found), "invariant 7: a dry run holds something else"
    if candidates(found):
        assert paused, "invariant 8: a row while trading"
        assert draft.pause.state is PauseState.PAUSED, "invariant 8"
    facts = {one.symbol: (draft.pause.state, *_facts(one)) for one in draft.evidences}
    for evidence in draft.evidences:
        if facts[evidence.symbol] != known.get(evidence.symbol):
            _confirm_market(evidence, judge, truth)
    drafted = candidates(draft.rulings)
    assert not {one.order_id for one in drafted} & standing, "invariant 5: it stands already"
    assert all(one.order_id == expected_id(one, draft.evidences) for one in drafted), "invariant 4"
    assert len({one.order_id for one in drafted}) == len(drafted), "invariant 4"
    return facts


def _facts(evidence: Evidence) -> tuple[object, ...]:
    return (
        evidence.lifecycles,
        evidence.ledger_rows,
        evidence.fills.fills,
        evidence.position_before.flatness,
        evidence.position_after.flatness,
    )


def _confirm_market(evidence: Evidence, judge: Judge, truth: Truth) -> None:
    of_market = candidates(judge([evidence]))
    assert not of_market or is_flat(evidence), "invariant 8"
    for less in without_a_reading(evidence):
        assert not candidates(judge([less])), "invariant 2: less evidence, a row more"
    fewer = without_a_closing(evidence, truth.own)
    if fewer is not evidence:
        found = candidates(judge([fewer]))
        truth.within(found)
        own = [one for one in found if one.exchange_order_id not in truth.strange]
        if evidence.symbol not in truth.one_sided:
            assert no_more(own, of_market), "invariant 2: a fill less"
    alone = without_a_closing(evidence, truth.strange)
    if alone is not evidence:
        truth.within(candidates(judge([alone])))


def candidates(rulings: Iterable[Ruling]) -> list[Candidate]:
    return [one for ruling in rulings for one in ruling.candidates]


def reversed_(evidence: Evidence) -> Evidence:
    """The same evidence in another order."""
    return replace(
        evidence,
        lifecycles=evidence.lifecycles[::-1],
        ledger_rows=evidence.ledger_rows[::-1],
        fills=replace(evidence.fills, fills=evidence.fills.fills[::-1]),
    )


def is_flat(evidence: Evidence) -> bool:
    readings = (evidence.position_before, evidence.position_after)
    return all(one.flatness is Flatness.FLAT for one in readings)


def without_a_reading(evidence: Evidence) -> Iterator[Evidence]:
    before, after = evidence.position_before, evidence.position_after
    yield replace(evidence, position_before=replace(before, flatness=Flatness.UNKNOWN, size=None))
    yield replace(evidence, position_after=replace(after, flatness=Flatness.UNKNOWN, size=None))
    yield replace(evidence, fills=replace(evidence.fills, complete=False, detail="cut short"))


def without_a_closing(evidence: Evidence, closings: Collection[str]) -> Evidence:
    """Without the earliest fill that closed something: most of all rests on it."""
    closing = [fill for fill in evidence.fills.fills if fill.exchange_order_id in closings]
    if not closing:
        return evidence
    first = min(closing, key=lambda fill: fill.filled_at)
    left = tuple(fill for fill in evidence.fills.fills if fill != first)
    return replace(evidence, fills=replace(evidence.fills, fills=left))


def no_more(less: Iterable[Candidate], more: Iterable[Candidate]) -> bool:
    before, after = by_leg(more), by_leg(less)
    return all(quantity <= before[leg] for leg, quantity in after.items())


def by_leg(found: Iterable[Candidate]) -> dict[PositionSide, Decimal]:
    total: dict[PositionSide, Decimal] = defaultdict(Decimal)
    for one in found:
        total[one.position_side] += one.quantity
    return total


def expected_id(one: Candidate, evidences: Sequence[Evidence]) -> str:
    """By the checklist's formula, from the fills themselves; dust has no fill."""
    times = [
        fill.filled_at
        for evidence in evidences
        for fill in evidence.fills.fills
        if fill.exchange_order_id == one.exchange_order_id
    ]
    return backfill_order_id(
        profile_id=one.key.profile_id,
        trade_id=one.key.trade_id,
        exchange_order_id=one.exchange_order_id,
        filled_at=max(times, default=one.filled_at),
    )
