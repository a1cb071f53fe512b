"""The world by itself: folding, fees, ids, files and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from unghost.demo.world import FillKind, OrderState, Part, PositionSide, World

BTC = "BTC/USDT:USDT"
AT = 1_770_000_000_000


def trade(world: World, side: str, quantity: str, price: str, **changes: Any) -> Any:
    return world.execute(
        account=changes.pop("account", "main"),
        symbol=changes.pop("symbol", BTC),
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        at=changes.pop("at", AT),
        **changes,
    )


def test_a_position_is_the_sum_of_its_fills_at_their_average_price(world: World) -> None:
    trade(world, "buy", "5", "100")
    trade(world, "buy", "5", "101", at=AT + 1)
    trade(world, "sell", "4", "120", at=AT + 2)
    (position,) = world.positions("main")
    assert (position.quantity, position.entry_price) == (Decimal(6), Decimal("100.5"))
    assert position.updated_at == AT + 2


def test_a_closed_position_is_no_row(world: World) -> None:
    trade(world, "buy", "0.3", "100")
    trade(world, "sell", "0.3", "90", at=AT + 1)
    assert world.positions("main") == ()


def test_a_fill_that_crosses_zero_opens_the_other_way_at_its_own_price(world: World) -> None:
    trade(world, "buy", "1", "100")
    (crossing,) = trade(world, "sell", "3", "110", at=AT + 1)
    (position,) = world.positions("main")
    assert (position.quantity, position.entry_price) == (Decimal(-2), Decimal(110))
    assert world.realized("main", BTC)[crossing] == Decimal(10)


def test_fills_count_in_time_order_however_they_were_made_up(world: World) -> None:
    (late,) = trade(world, "sell", "1", "110", at=AT + 5000)
    (early,) = trade(world, "buy", "1", "100", at=AT)
    assert [fill.at for fill in world.fills("main", BTC)] == [AT, AT + 5000]
    assert early.fill_id < late.fill_id
    assert world.realized("main", BTC)[late] == Decimal(10)


def test_a_short_realises_the_other_way_round(world: World) -> None:
    trade(world, "sell", "2", "100")
    (closing,) = trade(world, "buy", "2", "90", at=AT + 1)
    assert world.realized("main", BTC)[closing] == Decimal(20)


def test_the_legs_of_a_hedged_account_stay_apart(world: World) -> None:
    trade(world, "buy", "2", "100", account="hedged", position_side="long")
    trade(world, "sell", "2", "100", account="hedged", position_side="short")
    held = {each.position_side: each.quantity for each in world.positions("hedged")}
    assert held == {PositionSide.LONG: Decimal(2), PositionSide.SHORT: Decimal(-2)}


def test_parts_are_fills_of_one_order_and_share_a_fee_exactly(world: World) -> None:
    fills = trade(
        world,
        "sell",
        "1",
        "100",
        fee=Decimal("0.1"),
        parts=[Decimal("0.333"), Decimal("0.333"), Decimal("0.334")],
    )
    assert len({fill.order_id for fill in fills}) == 1
    assert len({fill.fill_id for fill in fills}) == 3
    assert {fill.at for fill in fills} == {AT}
    assert sum(fill.fee for fill in fills) == Decimal("0.1")
    assert fills[0].fee == Decimal("0.0333")


def test_a_part_may_have_its_own_price_time_fee_and_id(world: World) -> None:
    part = Part(
        quantity=Decimal("0.4"),
        price=Decimal(99),
        at=AT + 7,
        fee=Decimal("-0.01"),
        fee_currency="BNB",
        fill_id=77,
    )
    _, own = trade(world, "sell", "1", "100", parts=[Decimal("0.6"), part])
    assert (own.price, own.at, own.fee, own.fee_currency, own.fill_id) == (
        Decimal(99),
        AT + 7,
        Decimal("-0.01"),
        "BNB",
        77,
    )


def test_the_usual_fee_depends_on_who_waited(world: World) -> None:
    (taker,) = trade(world, "buy", "1", "1000")
    (maker,) = trade(world, "buy", "1", "1000", maker=True)
    assert (taker.fee, maker.fee) == (Decimal("0.5"), Decimal("0.2"))
    assert taker.fee_currency == "USDT"


def test_an_order_is_filled_only_when_its_quantity_is(world: World) -> None:
    trade(world, "sell", "1", "100", order_id="42", order_quantity=Decimal(3))
    assert world.orders("main")[0].state is OrderState.PARTIALLY_FILLED
    trade(world, "sell", "2", "100", order_id="42", at=AT + 1)
    (order,) = world.orders("main")
    assert (order.state, order.updated_at) == (OrderState.FILLED, AT + 1)
    assert sum(fill.quantity for fill in world.fills_of(order)) == Decimal(3)


def test_one_order_id_may_exist_on_two_symbols(world: World) -> None:
    trade(world, "sell", "1", "100", order_id="42")
    trade(world, "buy", "2", "100", order_id="42", symbol="ETH/USDT:USDT")
    assert [order.quantity for order in world.orders("main")] == [Decimal(1), Decimal(2)]


def test_a_resting_order_can_be_canceled(world: World) -> None:
    order = world.place_order(
        account="main", symbol=BTC, side="buy", quantity=Decimal(1), price=Decimal(9), at=AT
    )
    assert world.orders("main", open_only=True) == (order,)
    world.close_order(order, at=AT + 1)
    assert world.orders("main", open_only=True) == ()


def test_a_liquidation_carries_the_exchange_s_own_client_id(world: World) -> None:
    (fill,) = trade(world, "sell", "1", "100", kind="liquidation")
    assert fill.kind is FillKind.LIQUIDATION
    assert fill.client_order_id.startswith("autoclose")


def test_fill_ids_rise_with_time_and_differ_from_order_ids(world: World) -> None:
    fills = [fill for n in (3, 1, 2) for fill in trade(world, "buy", "1", "100", at=AT + n)]
    by_time = sorted(fills, key=lambda fill: fill.at)
    assert [f.fill_id for f in by_time] == sorted(f.fill_id for f in fills)
    assert not {str(f.fill_id) for f in fills} & {f.order_id for f in fills}


def test_an_override_stands_above_the_fills_until_it_is_cleared(world: World) -> None:
    trade(world, "buy", "1", "100")
    world.override_position(account="main", symbol="BTCUSDT", quantity=Decimal(0))
    assert world.positions("main") == ()
    world.override_position(
        account="main", symbol=BTC, quantity=Decimal(-3), entry_price=Decimal(0)
    )
    assert [(p.quantity, p.entry_price) for p in world.positions("main")] == [
        (Decimal(-3), Decimal(0))
    ]
    world.clear_overrides()
    assert [p.quantity for p in world.positions("main")] == [1]


def test_a_forgotten_fill_is_gone_from_everything(world: World) -> None:
    (fill,) = trade(world, "buy", "1", "100")
    world.forget_fill(fill)
    assert world.fills("main") == ()
    assert world.positions("main") == ()
    assert world.realized("main", BTC) == {}


def test_a_world_survives_its_file(world: World) -> None:
    trade(world, "buy", "0.123456789012345678", "100.5", fee=Decimal("-0.1"))
    trade(world, "sell", "1", "3", account="hedged", position_side="short", maker=True)
    world.override_position(account="main", symbol=BTC, quantity=Decimal("0.5"))
    world.clock.offset_ms = -1500
    again = World.from_json(world.to_json())
    assert again.state() == world.state()
    assert again.fills("main")[0].quantity == Decimal("0.123456789012345678")


def test_a_loaded_world_gives_out_no_id_twice(world: World) -> None:
    (first, second) = (trade(world, "buy", "1", "100")[0] for _ in range(2))
    world.forget_fill(first)
    again = World.from_json(world.to_json())
    (third,) = trade(again, "buy", "1", "100")
    assert third.fill_id > second.fill_id
    assert third.order_id not in {first.order_id, second.order_id}


def test_a_field_the_world_does_not_know_is_refused(world: World) -> None:
    text = world.to_json().replace('"clock_offset_ms"', '"clock_offset_s"')
    with pytest.raises(ValueError, match="clock_offset_s"):
        World.from_json(text)


def test_markets_answer_to_every_name(world: World) -> None:
    names = [BTC, "BTCUSDT", "BTC-USDT-SWAP"]
    assert {world.market(name).symbol for name in names} == {BTC}
    with pytest.raises(KeyError, match="NOPE"):
        world.market("NOPE")
    with pytest.raises(KeyError, match="kraken"):
        world.market(BTC).listing("kraken")


def test_every_market_has_sensible_steps(world: World) -> None:
    assert len(world.markets) >= 12
    for market in world.markets:
        assert 0 < market.price_step < market.reference_price
        assert 0 < market.quantity_step <= 1


def test_a_time_is_milliseconds_or_aware(world: World) -> None:
    aware = datetime(2026, 2, 1, 12, 34, 56, 789_999, tzinfo=UTC)
    assert trade(world, "buy", "1", "1", at=aware)[0].at == 1_769_949_296_789
    with pytest.raises(ValueError, match="zone"):
        trade(world, "buy", "1", "1", at=aware.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    (
        ({"quantity": "0"}, "above zero"),
        ({"quantity": "-1"}, "above zero"),
        ({"parts": [Decimal("0.5")]}, "sum to 0.5"),
        ({"position_side": "long"}, "one-way"),
        ({"account": "hedged"}, "hedge mode"),
        ({"order_id": "42"}, "buy order"),
    ),
)
def test_what_cannot_be_is_refused(world: World, changes: dict[str, Any], complaint: str) -> None:
    trade(world, "buy", "1", "100", order_id="42")
    arguments = {"quantity": "1", **changes}
    with pytest.raises(ValueError, match=complaint):
        trade(world, "sell", arguments.pop("quantity"), "100", **arguments)
    assert len(world.fills("main")) == 1


def test_an_account_is_opened_once(world: World) -> None:
    with pytest.raises(ValueError, match="open already"):
        world.open_account("main")


def test_a_market_that_is_delisted_stays_known(world: World) -> None:
    gone = replace(world.market(BTC), active=False)
    assert not World(markets=[gone]).market("BTCUSDT").active
