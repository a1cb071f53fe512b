"""Windows, pages and cursors of fills and orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from unghost.demo.venue import Venue
from unghost.demo.world import World

BTC = "BTC/USDT:USDT"
DAY = 24 * 3600 * 1000
WEEK = 7 * DAY


def fill_at(world: World, *times: int) -> list[str]:
    """One fill of 1 at each time; their ids."""
    made = [
        world.execute(
            account="main",
            symbol=BTC,
            side="buy",
            quantity=Decimal(1),
            price=Decimal(100),
            at=at,
        )[0]
        for at in times
    ]
    return [str(fill.fill_id) for fill in made]


def ids(rows: list[Any]) -> list[str]:
    return [str(row["id"]) for row in rows]


@pytest.fixture
def busy(world: World) -> World:
    """2300 fills, seven to a millisecond, so that pages of 1000 end inside one."""
    start = world.clock.now_ms() - DAY
    fill_at(world, *(start + number // 7 for number in range(2300)))
    return world


def test_2300_fills_are_all_read_by_time_and_then_by_id(
    ask: Any, busy: World, venue: Venue
) -> None:
    since = busy.clock.now_ms() - 2 * DAY

    async def read(client: Any) -> list[str]:
        page = await client.fetch_my_trades(BTC, since, 1000)
        told = ids(page)
        while len(page) == 1000:
            page = await client.fetch_my_trades(BTC, None, 1000, {"fromId": int(told[-1]) + 1})
            told += ids(page)
        return told

    told = ask(read)
    assert told == [str(fill.fill_id) for fill in busy.fills("main", BTC)]
    assert len(set(told)) == 2300
    assert [len(r.params) for r in venue.requests("userTrades")] == [5, 5, 5]


def test_the_client_s_own_paging_loses_what_shares_a_millisecond(ask: Any, busy: World) -> None:
    since = busy.clock.now_ms() - 2 * DAY
    rows = ask(
        lambda client: client.fetch_my_trades(
            BTC, since, None, {"paginate": True, "paginationDirection": "forward"}
        )
    )
    assert len(rows) < 2300


def test_a_page_holds_500_unless_asked_for_up_to_1000(ask: Any, busy: World) -> None:
    since = busy.clock.now_ms() - 2 * DAY
    assert len(ask(lambda client: client.fetch_my_trades(BTC, since))) == 500
    assert len(ask(lambda client: client.fetch_my_trades(BTC, since, 1000))) == 1000
    with pytest.raises(ccxt.BadRequest, match="-1130"):
        ask(lambda client: client.fetch_my_trades(BTC, since, None, {"limit": 1001}))


def test_a_start_gives_the_oldest_and_none_gives_the_newest(ask: Any, busy: World) -> None:
    true = [str(fill.fill_id) for fill in busy.fills("main", BTC)]
    since = busy.clock.now_ms() - 2 * DAY
    assert ids(ask(lambda client: client.fetch_my_trades(BTC, since, 10))) == true[:10]
    assert ids(ask(lambda client: client.fetch_my_trades(BTC, None, 10))) == true[-10:]


def test_without_times_only_seven_days_are_told(ask: Any, world: World) -> None:
    now = world.clock.now_ms()
    fill_at(world, now - 8 * DAY)
    recent = fill_at(world, now - 6 * DAY)
    assert ids(ask(lambda client: client.fetch_my_trades(BTC))) == recent


def test_a_start_alone_gives_its_first_seven_days_only(sync_client: Any, world: World) -> None:
    now = world.clock.now_ms()
    early = fill_at(world, now - 19 * DAY)
    fill_at(world, now - DAY)
    client = sync_client()
    rows = client.fapiPrivateGetUserTrades({"symbol": "BTCUSDT", "startTime": now - 20 * DAY})
    assert ids(rows) == early
    assert ids(client.fetch_my_trades(BTC, now - 20 * DAY)) == early


def test_both_ends_of_a_window_belong_to_it(ask: Any, world: World) -> None:
    now = world.clock.now_ms()
    start, end = now - 3000, now - 1000
    fill_at(world, start - 1, end + 1)
    inside = fill_at(world, start, end)
    rows = ask(lambda client: client.fetch_my_trades(BTC, start, None, {"until": end}))
    assert ids(rows) == inside


def test_an_end_alone_gives_the_newest_before_it(ask: Any, world: World) -> None:
    now = world.clock.now_ms()
    first, second, _ = fill_at(world, now - 3000, now - 2000, now - 1000)
    rows = ask(lambda client: client.fetch_my_trades(BTC, None, 5, {"until": now - 1500}))
    assert ids(rows) == [first, second]


@pytest.mark.parametrize("method", ("fetch_my_trades", "fetch_orders"))
def test_a_span_above_seven_days_is_refused(ask: Any, world: World, method: str) -> None:
    now = world.clock.now_ms()

    def over(days_ms: int) -> Any:
        return ask(
            lambda client: getattr(client, method)(
                BTC, now - 20 * DAY, None, {"until": now - 20 * DAY + days_ms}
            )
        )

    assert over(WEEK) == []
    with pytest.raises(ccxt.ExchangeError, match="-4165"):
        over(WEEK + 1)


def test_a_window_that_ends_before_it_starts_is_refused(ask: Any, world: World) -> None:
    now = world.clock.now_ms()
    with pytest.raises(ccxt.ExchangeError, match="-1023"):
        ask(lambda client: client.fetch_my_trades(BTC, now, None, {"until": now - 1}))


@pytest.mark.parametrize("extra", ("startTime", "endTime"))
def test_an_id_does_not_go_with_times(ask: Any, world: World, extra: str) -> None:
    now = world.clock.now_ms()
    with pytest.raises(ccxt.BadRequest, match="-1128"):
        ask(lambda client: client.fetch_my_trades(BTC, None, 5, {"fromId": 1, extra: now}))


def test_an_id_reaches_back_beyond_seven_days(ask: Any, world: World) -> None:
    now = world.clock.now_ms()
    told = fill_at(world, now - 60 * DAY, now - 30 * DAY, now)
    rows = ask(lambda client: client.fetch_my_trades(BTC, None, 5, {"fromId": int(told[1])}))
    assert ids(rows) == told[1:]


def test_the_fills_of_one_order(ask: Any, world: World) -> None:
    now = world.clock.now_ms()
    fill_at(world, now - 10)
    world.execute(
        account="main",
        symbol=BTC,
        side="sell",
        price=Decimal(100),
        at=now,
        order_id="55",
        parts=[Decimal("0.4"), Decimal("0.6")],
    )
    rows = ask(lambda client: client.fetch_my_trades(BTC, None, None, {"orderId": 55}))
    assert [row["amount"] for row in rows] == ["0.400", "0.600"]


@pytest.mark.parametrize(
    ("params", "code", "error"),
    (
        ({}, "-1102", ccxt.BadRequest),
        ({"symbol": "NOPEUSDT"}, "-1121", ccxt.BadSymbol),
        ({"symbol": "BTCUSDT", "startTime": "soon"}, "-1100", ccxt.BadRequest),
        ({"symbol": "BTCUSDT", "limit": 0}, "-1130", ccxt.BadRequest),
    ),
)
def test_bad_parameters_are_refused(
    sync_client: Any, params: dict[str, Any], code: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=code):
        sync_client().fapiPrivateGetUserTrades(params)


def test_orders_by_time_and_by_id(ask: Any, world: World) -> None:
    now = world.clock.now_ms()
    fill_at(world, now - 8 * DAY, now - 3000, now - 2000, now - 1000)
    true = [order.order_id for order in world.orders("main")]
    assert ids(ask(lambda client: client.fetch_orders(BTC))) == true[1:]
    assert ids(ask(lambda client: client.fetch_orders(BTC, None, 2))) == true[-2:]
    assert ids(ask(lambda client: client.fetch_orders(BTC, now - 9 * DAY))) == true[:1]
    by_id = {"orderId": true[0]}
    assert ids(ask(lambda client: client.fetch_orders(BTC, None, 3, by_id))) == true[:3]
