"""On margin a lifecycle is not long merely because nobody says so: it may have been a short."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.core.builders import (
    NOW,
    SPOT,
    START,
    at,
    buy,
    entry,
    evidence,
    quantities,
    reasons,
    ruled,
    sell,
)

from unghost.filefills import FileFill, FillFile, choose
from unghost.model import Reason, Side, Window

MARGIN = replace(SPOT, margin=True)


def ghost(market, *, bought="xe1", side=None):
    fills = [buy(bought, 5, 0), sell("s1", 5, 600)]
    fills = [replace(one, market=market.unified) for one in fills]
    return evidence([entry("e1", 5, 0, side=side)], fills, market=market)


def test_a_direction_that_nobody_tells_is_long_on_spot_and_refused_on_margin():
    assert quantities(ruled(ghost(SPOT, bought="elsewhere"))) != {"t-1": []}
    rulings = ruled(ghost(MARGIN, bought="elsewhere"))
    assert quantities(rulings) == {"t-1": []}
    assert reasons(rulings) == {"t-1": [Reason.INVALID_LEDGER_ROW]}


@pytest.mark.parametrize("told", ({"side": "buy"}, {"bought": "xe1"}))
def test_a_long_that_the_ledger_or_its_entry_tells_is_closed_by_spot_rules(told):
    assert quantities(ruled(ghost(MARGIN, **told))) == quantities(ruled(ghost(SPOT, **told)))
    assert quantities(ruled(ghost(MARGIN, **told)))["t-1"]


def test_a_short_is_never_closed_by_the_sales_of_a_long():
    assert quantities(ruled(ghost(MARGIN, side="sell"))) == {"t-1": []}


def test_a_file_of_fills_is_no_evidence_where_the_asset_may_be_borrowed():
    line = FileFill(
        line=2,
        symbol="BTCUSDT",
        side=Side.SELL,
        quantity=Decimal(2),
        price=Decimal(110),
        filled_at=at(60),
        fill_id="f2",
        exchange_order_id="x2",
        fees=(),
        digest="d2",
    )
    window = Window(start_at=START, end_at=NOW)
    file = FillFile(
        file_name="export.csv",
        sha256="a" * 64,
        kind="spot-export",
        actor="anna",
        imported_at=NOW,
        window=window,
        one_way=True,
        fills=(line,),
    )
    assert choose([file], SPOT, window).files == (file,)
    choice = choose([file], MARGIN, window)
    assert choice.files == ()
    assert "does not tell whether the asset was borrowed" in choice.reasons[0]
