"""The numbered invariants (DESIGN section 10) as properties over whole worlds.

Every run tries the same examples, so that a failure can be repeated. For a long search:

    UNGHOST_EXAMPLES=20000 python -m pytest tests/core/test_invariants.py
"""

import os
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.builders import (
    LONG,
    NOW,
    PAUSED,
    SHORT,
    candidates,
    lifecycles_of,
    row,
    ruled,
    written,
)
from tests.core.worlds import World, shuffled, worlds

from unghost import rowfacts
from unghost.confront import confront
from unghost.gates import Case, pass_gates, unusable_fills
from unghost.ids import DUST_ORDER, backfill_order_id
from unghost.model import (
    Attribution,
    AttributionPolicy,
    Flatness,
    GateVerdict,
    Mode,
    PauseState,
    PositionSide,
    Rules,
)
from unghost.netting import split

EXAMPLES = int(os.environ.get("UNGHOST_EXAMPLES", "300"))
PROFILES = ("main", "other")
POLICIES = st.sampled_from(AttributionPolicy)

properties = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 300,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def closed_by_leg(world: World, rules: Rules) -> dict[PositionSide, Decimal]:
    """What the rulings of all profiles close on each leg."""
    total: dict[PositionSide, Decimal] = defaultdict(Decimal)
    for profile in PROFILES:
        for one in candidates(ruled(world.evidence(profile), rules=rules)):
            total[one.position_side] += one.quantity
    return total


# 1 -----------------------------------------------------------------------------------------------


@properties
@given(world=worlds(), policy=POLICIES, seed=st.integers(0, 999))
def test_1_same_evidence_same_decisions_in_any_input_order(world, policy, seed):
    rules = Rules(attribution=policy)
    found = world.evidence()
    mixed = replace(
        found,
        lifecycles=shuffled(found.lifecycles, seed),
        ledger_rows=shuffled(found.ledger_rows, seed + 1),
        fills=replace(found.fills, fills=shuffled(found.fills.fills, seed + 2)),
    )
    assert ruled(mixed, rules=rules) == ruled(found, rules=rules)


# 2 -----------------------------------------------------------------------------------------------


@properties
@given(
    world=worlds(),
    doubt=st.sampled_from(
        [
            {"before": Flatness.UNKNOWN},
            {"after": Flatness.UNKNOWN},
            {"before": Flatness.OPEN},
            {"after": Flatness.OPEN},
            {"complete": False},
        ]
    ),
)
def test_2_a_reading_less_never_adds_a_row(world, doubt):
    assert candidates(ruled(world.evidence(**doubt))) == []


@properties
@given(world=worlds(), policy=POLICIES, which=st.integers(0, 999))
def test_2_a_closing_fill_less_never_adds_to_what_a_leg_closes(world, policy, which):
    rules = Rules(attribution=policy)
    found = world.evidence()
    parts = split(found.fills.fills, found.position_after, spot=False)
    opening = {part.fill for part in parts if not part.closing}
    closing = [one for one in world.fills if one not in opening]
    before = closed_by_leg(world, rules)
    after = closed_by_leg(world.without(closing[which % len(closing)]), rules)
    assert all(after[leg] <= before[leg] for leg in (LONG, SHORT)), (before, after)


# 3 -----------------------------------------------------------------------------------------------


@properties
@given(world=worlds(), policy=POLICIES)
def test_3_closed_by_us_never_exceeds_closed_by_the_exchange(world, policy):
    rules = Rules(attribution=policy)
    closed: dict[PositionSide, Decimal] = defaultdict(Decimal)
    for order in world.orders:
        closed[order.leg] += 0 if order.opens else order.quantity
    recorded = recorded_closings(world)
    ours: dict[PositionSide, Decimal] = defaultdict(Decimal)
    for profile in PROFILES:
        for one in candidates(ruled(world.evidence(profile), rules=rules)):
            if one.attribution is not Attribution.DUST:
                ours[one.position_side] += one.quantity
    for leg, quantity in ours.items():
        assert quantity + recorded[leg] <= closed[leg] + rules.dust_abs_qty


def recorded_closings(world: World) -> dict[PositionSide, Decimal]:
    total: dict[PositionSide, Decimal] = defaultdict(Decimal)
    legs = {order.trade: order.leg for order in world.orders}
    for one in world.rows:
        if one.action == "EXIT" and rowfacts.is_filled(one) and one.quantity:
            leg = rowfacts.stated_direction(one) or legs[one.trade_id or ""]
            total[leg] += one.quantity
    return total


@properties
@given(world=worlds(), policy=POLICIES)
def test_3_no_lifecycle_is_closed_beyond_what_is_open(world, policy):
    for ruling in ruled(world.evidence(), rules=Rules(attribution=policy)):
        closing = sum(one.quantity for one in ruling.candidates)
        left = sum(one.quantity for one in ruling.refusals)
        assert closing + left == ruling.lifecycle.open_qty


@properties
@given(world=worlds(tidy=True))
def test_3_what_is_proven_is_closed(world):
    """Nothing is refused where every order is the bot's and every kept row names its order."""
    rulings = ruled(world.evidence())
    assert [one for ruling in rulings for one in ruling.refusals] == []


# 4 -----------------------------------------------------------------------------------------------


@properties
@given(world=worlds(), policy=POLICIES)
def test_4_same_lifecycle_same_close_order_same_id(world, policy):
    last = {}
    for one in sorted(world.fills, key=lambda one: one.filled_at):
        last[one.exchange_order_id] = one.filled_at
    rulings = ruled(world.evidence(), rules=Rules(attribution=policy))
    found = candidates(rulings)
    for one in found:
        dust = one.exchange_order_id == DUST_ORDER
        assert one.order_id == backfill_order_id(
            profile_id=one.key.profile_id,
            trade_id=one.key.trade_id,
            exchange_order_id=one.exchange_order_id,
            filled_at=one.filled_at if dust else last[one.exchange_order_id],
        )
    assert len({one.order_id for one in found}) == len(found)


# 5 -----------------------------------------------------------------------------------------------


@properties
@given(
    world=worlds(),
    policy=POLICIES,
    scale=st.sampled_from([None, 0, 1, 3]),
    turns=st.lists(st.sampled_from(PROFILES), min_size=3, max_size=4),
)
def test_5_apply_then_apply_again_finds_nothing_new(world, policy, scale, turns):
    rules = Rules(attribution=policy, quantity_scale=scale)
    span = world.evidence().fills.window
    done = set()
    for profile in turns:
        rulings = ruled(world.evidence(profile, span=span), rules=rules)
        new = candidates(confront(rulings, {one.order_id: one for one in world.rows}))
        assert new == candidates(rulings)
        assert not (profile in done and new)
        done.add(profile)
        world = world.plus(written(one) for one in new)


@properties
@given(world=worlds(), policy=POLICIES)
def test_5_apply_then_detect_what_was_applied_is_closed(world, policy):
    rulings = ruled(world.evidence(), rules=Rules(attribution=policy))
    after = {one.key for one in lifecycles_of((*world.rows, *map(written, candidates(rulings))))}
    for ruling in rulings:
        assert (ruling.lifecycle.key in after) is bool(ruling.refusals)


# 7 -----------------------------------------------------------------------------------------------


@properties
@given(world=worlds(), policy=POLICIES)
def test_7_a_dry_run_holds_what_an_apply_writes(world, policy):
    dry, real = (Rules(attribution=policy, mode=mode) for mode in Mode)
    assert ruled(world.evidence(), rules=dry) == ruled(world.evidence(), rules=real)


# 8 -----------------------------------------------------------------------------------------------


@properties
@given(
    world=worlds(),
    pause=st.sampled_from(PauseState),
    blocker=st.sampled_from([None, "new", "PENDING", "", "half-done", None]),
    flat=st.sampled_from([Flatness.FLAT, Flatness.FLAT, Flatness.UNKNOWN]),
    quiet=st.sampled_from([60, 7200, 7000]),
)
def test_8_no_candidate_while_any_gate_is_closed(world, pause, blocker, flat, quiet):
    rules = Rules(quiet_seconds=quiet)
    blockers = [] if blocker is None else [row("b", "EXIT", 1, trade="t-00", status=blocker)]
    reading = replace(PAUSED, state=pause)
    found = world.plus(blockers).evidence(after=flat)
    for ruling in ruled(found, rules=rules, pause=reading):
        case = Case(
            lifecycle=ruling.lifecycle,
            evidence=found,
            pause=reading,
            direction=LONG,
            rules=rules,
            now=NOW,
            unusable_fills=unusable_fills(found),
        )
        if any(gate.verdict is not GateVerdict.OPEN for gate in pass_gates(case)):
            assert ruling.candidates == ()
            assert len(ruling.refusals) == 1
