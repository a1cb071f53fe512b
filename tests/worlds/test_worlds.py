"""Worlds with their truth, through the pure path; `make fidelity` does the same for many more."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.worlds.__main__ import counterexample, main, run
from tests.worlds.books import Fault
from tests.worlds.ghosts import Reach
from tests.worlds.judge import decided, judged, kinds
from tests.worlds.oracle import survey
from tests.worlds.shrinking import smallest
from tests.worlds.truth import pieces, quantities
from tests.worlds.world import World, of_seed

LIFECYCLES = 2_000
FIRST_SEED = 1_000_000
"""Other worlds than those that `make fidelity` begins with."""


@pytest.mark.parametrize("closings", (False, True), ids=("told by a replay", "told by each fill"))
def test_every_recoverable_exit_is_restored_and_nothing_is_closed_falsely(closings):
    found = run(LIFECYCLES // 2, first_seed=FIRST_SEED + closings * LIFECYCLES, closings=closings)
    failed = [counterexample(seed, closings=closings) for seed in found.failed[:2]]
    assert failed == []
    counts = found.findings.counts
    assert counts["worlds"] >= 150
    assert counts["recoverable exits"] >= 150
    assert counts["recoverable in full"] >= 25
    assert counts["refused"] >= 75
    assert set(found.causes) >= {str(one) for one in Fault}


def test_a_seed_is_the_same_world_for_ever():
    assert [of_seed(seed) for seed in range(20)] == [of_seed(seed) for seed in range(20)]


def test_what_the_exchange_executed_is_what_the_trades_did():
    for seed in range(200):
        history = of_seed(seed).history
        for order in history.orders:
            laid = pieces(history, order)
            assert sum(one.quantity for one in laid) == sum(quantities(history, order))
            assert all(one.quantity > 0 for one in laid)
        for trade in history.trades:
            own = [one for one in history.deeds if one.trade == trade.trade_id]
            opened = sum(one.quantity for one in own if one.opens)
            assert opened == sum(one.quantity for one in own if not one.opens)


# --- the judge is no rubber stamp --------------------------------------------------------------


def a_world_with(reach: Reach) -> tuple[World, dict]:
    """A world with a ghost of such reach, and what the product decides on it."""
    for seed in range(500):
        world = of_seed(seed)
        for leg in survey(world):
            if any(one.reach is reach and not one.is_small for one in leg.ghosts):
                return world, dict(decided(world))
    raise AssertionError(f"no ghost is recoverable {reach}")


@pytest.mark.parametrize(
    ("change", "kind"),
    (
        ({"quantity": Decimal("0.123")}, "recoverable, not restored exactly"),
        ({"price": Decimal("0.5")}, "recoverable, not restored exactly"),
        ({"fee": Decimal("0.5")}, "recoverable, not restored exactly"),
        ({"fee_currency": "DOGE"}, "recoverable, not restored exactly"),
        ({"order_id": "BFILL-0"}, "recoverable, not restored exactly"),
        ({"exchange_order_id": "x99999"}, "recoverable, not restored exactly"),
        ({"quantity": Decimal(100_000)}, "false closes"),
    ),
)
def test_a_row_that_differs_from_the_truth_is_noticed(change, kind):
    world, rulings = a_world_with(Reach.EXACTLY)
    spoilt = {
        key: replace(one, candidates=tuple(replace(row, **change) for row in one.candidates))
        for key, one in rulings.items()
    }
    assert not judged(world, rulings).violations
    assert kind in kinds(judged(world, spoilt))


@pytest.mark.parametrize(
    ("reach", "kind"),
    (
        (Reach.EXACTLY, "recoverable, not restored exactly"),
        (Reach.NOT, "refused for another reason"),
    ),
)
def test_an_answer_taken_from_another_world_is_noticed(reach, kind):
    """Everything is refused, for one reason that is never right here."""
    world, rulings = a_world_with(reach)
    reason = next(one for one in map(str, _reasons()) if one == "plan_drift")
    spoilt = {}
    for key, one in rulings.items():
        refusal = _refusal(key, reason)
        spoilt[key] = replace(one, candidates=(), refusals=(refusal,))
    assert kind in kinds(judged(world, spoilt))


def _reasons():
    from unghost.model import Reason

    return Reason


def _refusal(key, reason):
    from unghost.model import Reason, Refusal

    return Refusal(reason=Reason(reason), quantity=Decimal(1), sentence=str(key))


def test_a_failing_world_is_made_as_small_as_it_fails():
    world = next(
        one
        for one in map(of_seed, range(500))
        if any(mishap.fault is Fault.ORPHAN for mishap in one.mishaps)
        and len(one.history.trades) > 3
    )

    def fails(other: World) -> bool:
        return any(one.trade_id is None for one in other.rows)

    small = smallest(world, fails)
    assert fails(small)
    assert len(small.history.trades) == 1
    assert [one.fault for one in small.mishaps] == [Fault.ORPHAN]


# --- the command -------------------------------------------------------------------------------


def test_the_figures_are_told_as_json(capsys):
    assert main(["--lifecycles", "60", "--seed", "7", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["seeds"][0] == 7
    assert told["lifecycles"] >= 60
    assert told["restored exactly"] == told["recoverable exits"]
    assert told["false closes"] == 0


def test_the_figures_are_told_for_people(capsys):
    assert main(["--lifecycles", "60"]) == 0
    assert "recoverable exits" in capsys.readouterr().out


def test_one_world_is_told(capsys):
    assert main(["--show", "3"]) == 0
    assert "seed 3" in capsys.readouterr().out
