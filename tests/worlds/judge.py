"""Holds what the product decided against the truth of a world.

A **false close** is one of these, whatever the definition of recoverable says:

- a ghost is given more than the exchange, within the window, closed of it beyond what rows stand
  for (and its dust);
- all ghosts of a leg together are given more than that (a fill used twice, also across profiles);
- an id is said to link an order to a ghost that misses nothing of it;
- a row is written though a gate is closed.

One kind cannot be told from right by anybody who sees only ledger and exchange: a ghost that the
window does not show being opened, or not in full, is given what somebody closed who had opened
before the window. So is one whose ENTRY never filled, stamped within the 120 s of netting of a
person's opening. The same ledger and the same fills belong to another world in which it is right.
Such closes are counted by themselves, as *indistinguishable*.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tests.core.builders import at, ruled
from tests.worlds.ghosts import Ghost, Leg, Reach
from tests.worlds.oracle import survey
from tests.worlds.truth import LAST_PLACE, ZERO, average, closing_fees, closing_pieces
from tests.worlds.world import World

from unghost.model import Attribution, Candidate, LifecycleKey, Reason, Rules, Ruling
from unghost.netting import NETTING_SPAN

OPEN_REASONS = {Reason.MISSING_FILL_EVIDENCE, Reason.AMBIGUOUS_ATTRIBUTION}


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing that must not be; `kind` stays the same while a world is made smaller."""

    kind: str
    trade_id: str
    words: str


@dataclass(kw_only=True)
class Findings:
    """What came of one world, or of many."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.counts += other.counts
        self.reasons += other.reasons
        self.violations += other.violations

    def broken(self, kind: str, ghost: Ghost, words: str) -> None:
        self.counts[kind] += 1
        found = Violation(kind=kind, trade_id=ghost.key.trade_id, words=words)
        self.violations.append(found)


Rulings = Mapping[LifecycleKey, Ruling]


def decided(world: World, rules: Rules | None = None) -> Rulings:
    """What the product decides: every profile for itself, on the same state.

    `rules` may say what the columns of a ledger can hold; by default they hold anything.
    """
    rules = rules or world.rules
    rulings: dict[LifecycleKey, Ruling] = {}
    for profile in world.profiles:
        evidences = (world.evidence(symbol, profile) for symbol in world.symbols)
        found = ruled(*evidences, rules=rules, now=world.now)
        rulings |= {one.lifecycle.key: one for one in found}
    return rulings


def judged(world: World, rulings: Rulings | None = None) -> Findings:
    """Every ghost of the world, held against the truth."""
    rulings = decided(world) if rulings is None else rulings
    findings = Findings()
    findings.counts["worlds"] = 1
    findings.counts["lifecycles"] = len({one.trade_id for one in world.rows if one.trade_id})
    ghosts: set[LifecycleKey] = set()
    for leg in survey(world):
        ghosts |= {one.key for one in leg.ghosts}
        _judge_leg(findings, leg, rulings)
    if ghosts != set(rulings):
        odd = sorted(one.trade_id for one in ghosts ^ set(rulings))
        findings.violations.append(
            Violation(kind="other ghosts were ruled on", trade_id=odd[0], words=", ".join(odd))
        )
    return findings


def _judge_leg(findings: Findings, leg: Leg, rulings: Rulings) -> None:
    given = ZERO
    for ghost in leg.ghosts:
        ruling = rulings.get(ghost.key)
        if ruling is None:
            continue
        claims = _claims(ruling)
        findings.counts["ghosts"] += 1
        _no_false_close(findings, leg, ghost, ruling)
        _as_recoverable(findings, leg, ghost, ruling)
        given += min(sum((one.quantity for one in claims), ZERO), ghost.missed + ghost.dust)
    slack = sum((one.dust for one in leg.ghosts), ZERO)
    if given > sum(leg.left.values(), ZERO) + slack:
        findings.broken("false closes", leg.ghosts[0], f"the leg is given {given}")


def _claims(ruling: Ruling) -> list[Candidate]:
    return [one for one in ruling.candidates if one.attribution is not Attribution.DUST]


# --- false closes ------------------------------------------------------------------------------


def _no_false_close(findings: Findings, leg: Leg, ghost: Ghost, ruling: Ruling) -> None:
    claims = _claims(ruling)
    if ghost.blocked is not None and ruling.candidates:
        findings.broken("false closes", ghost, f"rows are written though {ghost.blocked}")
    total = sum((one.quantity for one in claims), ZERO)
    if total > ghost.missed + ghost.dust:
        words = f"given {_told(claims)}, but only {ghost.missed} of it was closed unrecorded"
        _count_close(findings, leg, ghost, total - ghost.missed, words)
    for one in claims:
        by_id = one.attribution is Attribution.ID_LINK
        if by_id and one.quantity > ghost.dust and not ghost.missing.get(one.exchange_order_id):
            words = f"an id does not link {_told([one])}"
            _count_close(findings, leg, ghost, one.quantity, words)


def _count_close(findings: Findings, leg: Leg, ghost: Ghost, excess: Decimal, words: str) -> None:
    if _cannot_be_told(leg, ghost, excess):
        findings.counts["indistinguishable"] += 1
    else:
        findings.broken("false closes", ghost, words)


def _cannot_be_told(leg: Leg, ghost: Ghost, excess: Decimal) -> bool:
    """Its opening is (in part) out of sight, and what it got was held before the window."""
    if _beside_a_person(leg, ghost):
        return True
    others = leg.held_before
    return ghost.opened < ghost.need - ghost.dust and others >= excess - ghost.dust


def _beside_a_person(leg: Leg, ghost: Ghost) -> bool:
    """A person opened just when its ENTRY is stamped: the row may stand for that order."""
    history = leg.world.history
    by_hand = (
        at(history.order_of[deed.order].times[0] / 1000)
        for deed in history.deeds
        if deed.opens and history.trade_of[deed.trade].profile is None
    )
    return any(abs(stamp - ghost.entered_at) <= NETTING_SPAN for stamp in by_hand)


def _told(claims: Iterable[Candidate]) -> str:
    words = (f"{one.quantity} of {one.exchange_order_id} by {one.attribution}" for one in claims)
    return ", ".join(words) or "nothing"


# --- what must be restored ---------------------------------------------------------------------


def _as_recoverable(findings: Findings, leg: Leg, ghost: Ghost, ruling: Ruling) -> None:
    if ghost.blocked is not None or ghost.reach is Reach.NOT:
        _refused(findings, leg, ghost, ruling)
        return
    if ghost.reach is Reach.IN_FULL:
        findings.counts["recoverable in full"] += 1
        if ruling.refusals:
            findings.broken("recoverable, not closed in full", ghost, _answer(ruling))
    restored = {one.exchange_order_id: one for one in _claims(ruling)}
    for name in sorted(ghost.exact) if not ghost.is_small else ():
        findings.counts["recoverable exits"] += 1
        wrong = _differences(leg, ghost, name, restored.get(name))
        if wrong:
            words = f"{name}: {', '.join(wrong)}; {_answer(ruling)}"
            findings.broken("recoverable, not restored exactly", ghost, words)
    if ghost.reach is Reach.EXACTLY and ghost.exact == set(ghost.missing):
        for name in sorted(set(restored) - ghost.exact):
            findings.broken("recoverable, not restored exactly", ghost, f"also given {name}")


def _answer(ruling: Ruling) -> str:
    reasons = ", ".join(f"{one.reason} {one.quantity}" for one in ruling.refusals)
    return f"given {_told(ruling.candidates)}; refused {reasons or 'nothing'}"


def _differences(leg: Leg, ghost: Ghost, name: str, found: Candidate | None) -> list[str]:
    """What of the row is not as the truth has it."""
    if found is None:
        return ["no row"]
    parts = [
        one
        for one in closing_pieces(leg.world.history, leg.world.history.order_of[name])
        if leg.world.history.leg(one.deed) is ghost.leg
    ]
    stamp = at(max(one.at_ms for one in parts) / 1000)
    moment = stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"
    text = f"{ghost.key.profile_id}:{ghost.key.trade_id}:{name}:{moment}"
    name_of_row = f"BFILL-{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"
    wanted = {
        "lifecycle": (found.key, ghost.key),
        "quantity": (found.quantity, ghost.missing[name]),
        "VWAP": (found.price, average(parts)),
        "time": (found.filled_at, stamp),
        "id": (found.order_id, name_of_row),
        "side": (found.side, ghost.leg.closing_side),
    }
    wrong = [f"{word} {is_} for {be}" for word, (is_, be) in wanted.items() if is_ != be]
    return wrong + _wrong_fee(leg, found, sum((one.quantity for one in parts), ZERO))


def _wrong_fee(leg: Leg, found: Candidate, whole: Decimal) -> list[str]:
    """What of the fee is not its share of what the order's closing part has cost.

    One currency is told in the row. Several, or a fee that nobody told, leave it empty. A share may
    be off by a rounding on either side; the whole may not.
    """
    history = leg.world.history
    cost = closing_fees(history, history.order_of[found.exchange_order_id])
    if cost is None or len(cost) != 1:
        is_empty = found.fee is None and found.fee_currency is None
        return [] if is_empty else [f"fee {found.fee} {found.fee_currency} for none"]
    [(currency, amount)] = cost.items()
    share = amount * found.quantity / whole
    leeway = ZERO if found.quantity == whole else LAST_PLACE
    if found.fee is None or abs(found.fee - share) > leeway or found.fee_currency != currency:
        return [f"fee {found.fee} {found.fee_currency} for {share} {currency}"]
    return []


# --- what must be refused ----------------------------------------------------------------------


def _refused(findings: Findings, leg: Leg, ghost: Ghost, ruling: Ruling) -> None:
    """Beyond the definition: whatever is left open must be refused, for the right reason."""
    if not ruling.refusals:
        findings.counts["beyond the definition, closed without a false close"] += 1
        return
    expected = {ghost.blocked} if ghost.blocked else _right_reasons(leg, ghost)
    findings.counts["refused"] += 1
    for one in ruling.refusals:
        if one.reason in expected:
            findings.reasons[str(one.reason)] += 1
        else:
            words = f"{one.reason} for {'/'.join(sorted(map(str, expected)))}; {_answer(ruling)}"
            findings.broken("refused for another reason", ghost, words)


def _right_reasons(leg: Leg, ghost: Ghost) -> set[Reason]:
    """Missing where nothing is left on the leg to claim; ambiguous where it is anybody's."""
    if leg.clear and not leg.left:
        return {Reason.MISSING_FILL_EVIDENCE}
    if leg.clear and ghost.never:
        return {Reason.MISSING_FILL_EVIDENCE, Reason.AMBIGUOUS_ATTRIBUTION}
    return OPEN_REASONS


# --- many --------------------------------------------------------------------------------------


def kinds(findings: Findings) -> set[str]:
    return {one.kind for one in findings.violations}
