"""Ceilings: how much one batch may do, whatever the evidence says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.postgres.test_ledger_shapes import exit_of

from unghost.ceilings import Load, limit, load_of, measure, with_share_allowed
from unghost.model import Lifecycle, LifecycleKey, Mode, Reason, Rules, Ruling

APPLY = Rules(mode=Mode.APPLY)
SMALL = Load(rows=3, notional=(("USDT", Decimal(1000)),), closing=3, open=3)


def ruling(number: int, quantity: str = "2", price: str = "100", **evidence: str) -> Ruling:
    """A lifecycle that one row would close; quantity 0: nothing would be written."""
    key = LifecycleKey(profile_id="main", symbol="BTCUSDT", trade_id=f"t{number}")
    row = replace(exit_of(), key=key, quantity=Decimal(quantity), price=Decimal(price))
    lifecycle = Lifecycle(
        key=key,
        entry_qty=Decimal(2),
        exit_qty=Decimal(0),
        open_qty=Decimal(2),
        rows=(),
    )
    found = {"market": "BTC/USDT:USDT", "ledger_unit": "1"} | evidence
    rows = () if quantity == "0" else (row,)
    return Ruling(lifecycle=lifecycle, gates=(), candidates=rows, evidence=found)


def exceeded(load: Load, rules: Rules) -> list[str]:
    return [one.name for one in measure(load, rules) if one.exceeded]


def test_what_a_batch_would_do_is_summed_by_quote_currency_in_base_units():
    rulings = (
        ruling(1),
        ruling(2, "3", ledger_unit="0.1"),
        ruling(3, market="ETH/BTC"),
        ruling(4, "0"),
        ruling(5, price="-1", market="OIL/USDT:USDT"),
    )
    load = load_of(rulings)
    assert load == Load(
        rows=4,
        notional=(("BTC", Decimal(200)), ("USDT", Decimal(232))),
        closing=4,
        open=5,
    )


def test_without_a_market_the_currency_is_unknown_and_still_counts():
    (told,) = load_of((ruling(1, market=""),)).notional
    assert told == ("of unknown currency", Decimal(200))


@pytest.mark.parametrize(
    ("changes", "rules", "told"),
    (
        ({}, {}, []),
        ({"rows": 4}, {"max_rows": 4}, []),
        ({"rows": 5}, {"max_rows": 4}, ["rows"]),
        ({}, {"max_notional": Decimal(1000)}, []),
        ({}, {"max_notional": Decimal("999.99")}, ["notional"]),
        ({}, {"max_notional": None}, []),
        ({"closing": 19, "open": 19}, {"max_share": Decimal("0.5")}, []),
        ({"closing": 20, "open": 40}, {"max_share": Decimal("0.5")}, []),
        ({"closing": 20, "open": 39}, {"max_share": Decimal("0.5")}, ["share"]),
        ({"closing": 20, "open": 20}, {"max_share": Decimal(1)}, []),
        ({"closing": 20, "open": 20}, {"max_share": Decimal(0)}, ["share"]),
    ),
)
def test_each_ceiling_at_its_edge(changes, rules, told):
    assert exceeded(replace(SMALL, **changes), replace(APPLY, **rules)) == told


def test_each_currency_has_the_ceiling_for_itself():
    load = replace(SMALL, notional=(("BTC", Decimal(900)), ("USDT", Decimal(900))))
    assert exceeded(load, replace(APPLY, max_notional=Decimal(1000))) == []


@pytest.mark.parametrize("mode", (Mode.APPLY, Mode.DRY_RUN))
def test_beyond_rows_or_notional_the_whole_batch_is_refused(mode):
    rulings = (ruling(1), ruling(2), ruling(3, "0"))
    for name, rules in (
        ("ROWS", Rules(mode=mode, max_rows=1)),
        ("NOTIONAL", Rules(mode=mode, max_notional=Decimal(399))),
    ):
        refused = limit(rulings, rules)
        assert [one.candidates for one in refused] == [(), (), ()]
        reasons = [refusal.reason for one in refused for refusal in one.refusals]
        assert reasons == [Reason.LIMIT_EXCEEDED] * 2
        assert f"RECON_EXIT_BACKFILL_MAX_{name}" in refused[0].refusals[0].sentence


def test_the_share_stops_an_apply_until_it_is_allowed_and_a_dry_run_never():
    rulings = tuple(ruling(number) for number in range(20))
    rules = replace(APPLY, max_share=Decimal("0.9"))
    (refusal, *_) = limit(rulings, rules)[0].refusals
    assert "share: 20 of 20 open lifecycles (100 %) of at most 90 %" in refusal.sentence
    assert "--allow-share" in refusal.sentence
    assert limit(rulings, with_share_allowed(rules)) == rulings
    assert limit(rulings, replace(rules, mode=Mode.DRY_RUN)) == rulings


@pytest.mark.parametrize(
    ("closing", "opened", "share", "shown"),
    ((20, 30, "0.667", "66.7 %"), (20, 60, "0.334", "33.4 %"), (20, 20, "1.000", "100 %")),
)
def test_the_share_that_is_shown_is_enough_and_not_one_lifecycle_more(
    closing, opened, share, shown
):
    rules = replace(APPLY, max_share=Decimal("0.1"))
    load = Load(rows=closing, notional=(), closing=closing, open=opened)
    asked = measure(load, rules)[-1]
    assert (asked.exceeded, asked.allowable) == (True, Decimal(share))
    assert shown in asked.value
    allowed = with_share_allowed(rules, asked.allowable)
    assert not measure(load, allowed)[-1].exceeded
    if closing < opened:
        assert measure(replace(load, closing=closing + 1), allowed)[-1].exceeded


def test_an_allowance_below_the_ceiling_takes_nothing_away():
    assert with_share_allowed(APPLY, Decimal("0.001")).max_share == APPLY.max_share
