"""Fills count only when the window was read to its end, each of them once."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from unghost.demo.venue import Fault, FaultKind
from unghost.demo.world import Part, to_ms
from unghost.model import FillKind, Money, PositionSide, Side, Window

BTC = "BTC/USDT:USDT"


def read(account, market, window):
    return account.fills({market: window})[market.unified]


def trade(world, side="buy", at=None, **changes):
    wanted = {"quantity": Decimal(1), "price": Decimal(65000), **changes}
    return world.execute(account="main", symbol=BTC, side=side, at=at, **wanted)


def many(world, count, until, *, per_ms=1):
    """`count` fills of one order, `per_ms` in each millisecond, the last one a second ago."""
    last = to_ms(until) - 1000
    first = last - (count - 1) // per_ms
    parts = [Part(quantity=Decimal("0.001"), at=first + i // per_ms) for i in range(count)]
    return trade(world, quantity=Decimal("0.001") * count, parts=parts, at=first)


def test_a_fill_arrives_whole(account, btc, world, window, now):
    (told,) = trade(
        world,
        "sell",
        now - timedelta(hours=1),
        quantity=Decimal("0.5"),
        price=Decimal("65000.1"),
        fee=Decimal("3.2"),
    )
    reading = read(account, btc, window)
    (fill,) = reading.fills
    assert reading.complete
    assert (fill.side, fill.quantity, fill.price) == (Side.SELL, Decimal("0.5"), Decimal("65000.1"))
    assert fill.filled_at == now - timedelta(hours=1)
    assert fill.fees == (Money(currency="USDT", amount=Decimal("3.2")),)
    assert (fill.fill_id, fill.exchange_order_id) == (str(told.fill_id), told.order_id)
    assert (fill.market, fill.position_side, fill.kind) == (BTC, None, FillKind.TRADE)
    assert len(fill.digest) == 64


def test_a_proven_empty_window_is_complete(account, btc, window):
    reading = read(account, btc, window)
    assert (reading.fills, reading.complete, reading.pages) == ((), True, 1)


def test_the_window_is_respected_at_both_ends(account, btc, world, now):
    span = Window(start_at=now - timedelta(hours=2), end_at=now - timedelta(hours=1))
    edge = timedelta(milliseconds=1)
    times = [span.start_at - edge, span.start_at, span.end_at, span.end_at + edge]
    for at in times:
        trade(world, at=at)
    reading = read(account, btc, span)
    assert reading.complete
    assert [fill.filled_at for fill in reading.fills] == times[1:3]


def test_fills_after_the_window_are_read_and_dropped(account, btc, world, now):
    many(world, 1000, now - timedelta(hours=1))
    trade(world, at=now - timedelta(minutes=1))
    early = Window(start_at=now - timedelta(hours=3), end_at=now - timedelta(minutes=30))
    reading = read(account, btc, early)
    assert (len(reading.fills), reading.complete, reading.pages) == (1000, True, 2)
    assert "1001 fills read" in reading.detail


@pytest.mark.parametrize(
    ("count", "pages"), ((1, 1), (999, 1), (1000, 2), (1001, 2), (2300, 3), (3000, 4))
)
def test_failures_7_no_fill_is_lost_and_no_page_is_read_in_vain(bench, count, pages):
    made = many(bench.world, count, bench.now, per_ms=7)
    bench.venue.clear_requests()
    reading = read(bench.account, bench.btc, bench.window)
    assert reading.complete
    assert [fill.fill_id for fill in reading.fills] == [str(each.fill_id) for each in made]
    assert len(bench.venue.requests("userTrades")) == reading.pages == pages
    assert len(bench.venue.requests()) == pages


def test_failures_7_a_window_of_twenty_days_with_fills_only_in_the_last(
    account, btc, world, venue, now
):
    (made,) = trade(world, at=now - timedelta(hours=1))
    reading = read(account, btc, Window(start_at=now - timedelta(days=20), end_at=now))
    assert reading.complete
    assert [fill.fill_id for fill in reading.fills] == [str(made.fill_id)]
    assert len(venue.requests("userTrades")) == 3


def test_a_window_of_twenty_days_with_fills_in_its_first_and_last(account, btc, world, venue, now):
    trade(world, at=now - timedelta(days=19))
    trade(world, "sell", at=now - timedelta(hours=1))
    reading = read(account, btc, Window(start_at=now - timedelta(days=20), end_at=now))
    assert (len(reading.fills), reading.complete) == (2, True)
    assert len(venue.requests("userTrades")) == 2


def test_slices_leave_no_gap_between_them(account, btc, venue, now):
    start = now - timedelta(days=20)
    read(account, btc, Window(start_at=start, end_at=now))
    spans = [
        (int(r.params["startTime"]), int(r.params["endTime"])) for r in venue.requests("userTrades")
    ]
    assert (spans[0][0], spans[-1][1]) == (to_ms(start), to_ms(now))
    assert all(after[0] == before[1] + 1 for before, after in pairwise(spans))
    assert all(end - begin < 7 * 24 * 3600 * 1000 for begin, end in spans)


def test_a_limit_below_the_one_asked_for_is_noticed(bench):
    made = many(bench.world, 1200, bench.now)
    bench.venue.fault(Fault(kind=FaultKind.KEEP_ROWS, endpoint="userTrades", rows_kept=500))
    reading = read(bench.account, bench.btc, bench.window)
    assert reading.complete
    assert len(reading.fills) == len(made)


def test_an_empty_page_in_the_middle_is_incomplete(bench):
    many(bench.world, 1500, bench.now)
    bench.venue.fault(Fault(kind=FaultKind.EMPTY_LIST, endpoint="userTrades").since_call(2))
    reading = read(bench.account, bench.btc, bench.window)
    assert (reading.fills, reading.complete) == ((), False)
    assert f"Fills of {BTC} at binanceusdm could not be read" in reading.detail
    assert "does not go on from id" in reading.detail


def test_a_page_that_repeats_for_ever_is_incomplete(bench):
    (fill, *_) = many(bench.world, 1000, bench.now)
    bench.venue.fault(
        Fault(
            kind=FaultKind.SET_FIELD,
            endpoint="userTrades",
            row=None,
            field_name="id",
            value=fill.fill_id,
        )
    )
    reading = read(bench.account, bench.btc, bench.window)
    assert not reading.complete
    assert "do not move on" in reading.detail
    assert BTC in reading.detail


def test_a_page_out_of_order_is_incomplete(bench):
    many(bench.world, 3, bench.now)
    bench.venue.fault(
        Fault(kind=FaultKind.SET_FIELD, endpoint="userTrades", row=0, field_name="id", value=2**60)
    )
    reading = read(bench.account, bench.btc, bench.window)
    assert not reading.complete
    assert "not in the order of its ids" in reading.detail


def test_the_same_fill_told_twice_counts_once(bench):
    trade(bench.world, at=bench.now - timedelta(hours=1))
    bench.venue.fault(Fault(kind=FaultKind.DUPLICATE_ROW, endpoint="userTrades"))
    reading = read(bench.account, bench.btc, bench.window)
    assert (len(reading.fills), reading.complete) == (1, True)


@pytest.mark.parametrize(
    ("field", "value"), (("price", "64999.0"), ("realizedPnl", "7"), ("commission", "9"))
)
def test_the_same_fill_with_other_contents_is_incomplete(bench, field, value):
    trade(bench.world, at=bench.now - timedelta(hours=1))
    bench.venue.fault(
        Fault(kind=FaultKind.CONTRADICT_ROW, endpoint="userTrades", field_name=field, value=value)
    )
    reading = read(bench.account, bench.btc, bench.window)
    assert (reading.fills, reading.complete) == ((), False)
    assert "came twice, with different contents" in reading.detail


def test_failures_9_both_halves_of_a_self_trade_count_also_at_the_edge_of_a_page(
    account, btc, world, window, now
):
    made = many(world, 999, now)
    shared = made[-1].fill_id + 5
    at = now - timedelta(milliseconds=500)
    for side, order in (("buy", "77"), ("sell", "78")):
        part = Part(quantity=Decimal(1), fill_id=shared)
        trade(world, side, at, quantity=Decimal(1), order_id=order, parts=[part])
    reading = read(account, btc, window)
    assert reading.complete
    assert len(reading.fills) == 1001
    assert [fill.fill_id for fill in reading.fills].count(str(shared)) == 2


@pytest.mark.parametrize(
    "field",
    ("id", "orderId", "side", "price", "qty", "time", "positionSide", "symbol"),
)
def test_a_fill_without_a_needed_field_is_incomplete(bench, field):
    trade(bench.world, at=bench.now - timedelta(hours=1))
    bench.venue.fault(Fault(kind=FaultKind.DROP_FIELD, endpoint="userTrades", field_name=field))
    reading = read(bench.account, bench.btc, bench.window)
    assert (reading.fills, reading.complete) == ((), False)
    assert f"Fills of {BTC} at binanceusdm could not be read" in reading.detail


@pytest.mark.parametrize(
    ("field", "value"),
    (
        ("qty", "0"),
        ("qty", "-1"),
        ("qty", "NaN"),
        ("price", "0"),
        ("price", "x"),
        ("side", "HOLD"),
        ("positionSide", "SIDEWAYS"),
        ("quoteQty", "1950000"),
        ("time", "yesterday"),
        ("commission", "much"),
        ("symbol", "ETHUSDT"),
    ),
)
def test_a_fill_that_cannot_be_is_incomplete(bench, field, value):
    trade(bench.world, at=bench.now - timedelta(hours=1))
    bench.venue.fault(
        Fault(kind=FaultKind.SET_FIELD, endpoint="userTrades", field_name=field, value=value)
    )
    reading = read(bench.account, bench.btc, bench.window)
    assert (reading.fills, reading.complete) == ((), False)


def test_a_fee_that_is_not_told_is_unknown_and_not_zero(bench):
    trade(bench.world, at=bench.now - timedelta(hours=1))
    bench.venue.fault(
        Fault(kind=FaultKind.DROP_FIELD, endpoint="userTrades", field_name="commission")
    )
    reading = read(bench.account, bench.btc, bench.window)
    assert reading.complete
    assert reading.fills[0].fees is None


def test_a_rebate_stays_negative_and_currencies_stay_apart(account, btc, world, window, now):
    trade(world, at=now - timedelta(hours=2), fee=Decimal("-0.5"))
    trade(world, at=now - timedelta(hours=1), fee=Decimal("0.05"), fee_currency="BNB")
    first, second = read(account, btc, window).fills
    assert first.fees == (Money(currency="USDT", amount=Decimal("-0.5")),)
    assert second.fees == (Money(currency="BNB", amount=Decimal("0.05")),)


def test_the_position_side_tells_the_leg(account, btc, world, window, now):
    world.set_mode("main", "hedge")
    for side in ("long", "short"):
        trade(world, at=now - timedelta(hours=1), position_side=side)
    found = {fill.position_side for fill in read(account, btc, window).fills}
    assert found == {PositionSide.LONG, PositionSide.SHORT}


@pytest.mark.parametrize(
    ("begins", "kind"),
    (
        ("autoclose-1771", FillKind.LIQUIDATION),
        ("adl_autoclose", FillKind.DELEVERAGE),
        ("settlement_autoclose-1", FillKind.SETTLEMENT),
        ("mine-1", FillKind.TRADE),
    ),
)
def test_the_client_order_id_tells_who_caused_a_fill_where_it_is_told(bench, begins, kind):
    trade(bench.world, at=bench.now - timedelta(hours=1))
    bench.venue.fault(
        Fault(
            kind=FaultKind.SET_FIELD,
            endpoint="userTrades",
            field_name="clientOrderId",
            value=begins,
        )
    )
    (fill,) = read(bench.account, bench.btc, bench.window).fills
    assert (fill.kind, fill.client_order_id) == (kind, begins)


def test_markets_are_read_side_by_side_one_call_each(account, venue, window):
    names = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOTUSDT"]
    markets = list(account.resolve(names).values())
    venue.clear_requests()
    readings = account.fills(dict.fromkeys(markets, window))
    assert all(reading.complete for reading in readings.values())
    assert sorted(r.params["symbol"] for r in venue.requests("userTrades")) == sorted(names)
    assert len(venue.requests()) == len(names)


def test_one_market_that_fails_leaves_the_others_whole(account, btc, venue, window):
    eth = account.resolve(["ETHUSDT"])["ETHUSDT"]
    venue.fault(Fault(kind=FaultKind.HTML, endpoint="userTrades", where={"symbol": "BTCUSDT"}))
    readings = account.fills({btc: window, eth: window})
    assert [readings[m.unified].complete for m in (btc, eth)] == [False, True]


def test_a_window_that_ends_before_it_begins_is_incomplete(account, btc, venue, now):
    reading = read(account, btc, Window(start_at=now, end_at=now - timedelta(hours=1)))
    assert not reading.complete
    assert "ends before it begins" in reading.detail
    assert venue.requests("userTrades") == ()


# Client order ids


def test_client_order_ids_are_told_by_one_call(bench):
    (fill,) = trade(bench.world, at=bench.now - timedelta(hours=1), client_order_id="bot-1")
    assert bench.account.client_order_ids({bench.btc: bench.window}) == {
        BTC: {fill.order_id: "bot-1"}
    }
    assert len(bench.venue.requests("allOrders")) == 1


def resting(bench, name, back):
    return bench.world.place_order(
        account="main",
        symbol=BTC,
        side="buy",
        quantity=Decimal(1),
        price=Decimal(60000),
        at=bench.window.start_at - back,
        client_order_id=name,
    )


def test_orders_made_before_the_window_and_filled_in_it_are_told_by_one_more_call(bench):
    older, old = (resting(bench, f"bot-{n}", timedelta(days=n)) for n in (9, 2))
    for order in (older, old):
        trade(bench.world, at=bench.now - timedelta(hours=1), order_id=order.order_id)
    (new,) = trade(bench.world, at=bench.now - timedelta(hours=1), client_order_id="bot-new")
    assert read(bench.account, bench.btc, bench.window).complete
    assert bench.account.client_order_ids({bench.btc: bench.window}) == {
        BTC: {older.order_id: "bot-9", old.order_id: "bot-2", new.order_id: "bot-new"}
    }
    assert len(bench.venue.requests("allOrders")) == 2


def test_where_every_order_is_of_the_window_no_call_is_made_for_older_ones(bench):
    (fill,) = trade(bench.world, at=bench.now - timedelta(hours=1), client_order_id="bot-1")
    assert read(bench.account, bench.btc, bench.window).complete
    told = bench.account.client_order_ids({bench.btc: bench.window})
    assert told == {BTC: {fill.order_id: "bot-1"}}
    assert len(bench.venue.requests("allOrders")) == 1


@pytest.mark.parametrize("kind", (FaultKind.HTML, FaultKind.CUT_JSON, FaultKind.EMPTY_OBJECT))
def test_an_older_order_that_cannot_be_asked_for_leaves_all_out(bench, kind):
    old = resting(bench, "bot-old", timedelta(days=2))
    trade(bench.world, at=bench.now - timedelta(hours=1), order_id=old.order_id)
    read(bench.account, bench.btc, bench.window)
    bench.venue.fault(Fault(kind=kind, endpoint="allOrders", first_call=2))
    assert bench.account.client_order_ids({bench.btc: bench.window}) == {}


def test_orders_that_the_exchange_has_forgotten_are_asked_for_once_and_left_out(bench):
    """What filled them is told all the same; no client id is put to it."""
    for back in (3, 2):
        old = resting(bench, f"bot-{back}", timedelta(days=back))
        trade(bench.world, at=bench.now - timedelta(hours=1), order_id=old.order_id)
    (new,) = trade(bench.world, at=bench.now - timedelta(hours=1), client_order_id="bot-new")
    read(bench.account, bench.btc, bench.window)
    bench.venue.fault(
        Fault(
            kind=FaultKind.STATUS,
            endpoint="allOrders",
            status=200,
            body=f'[{{"symbol":"BTCUSDT","orderId":{new.order_id},"clientOrderId":"bot-new"}}]',
        )
    )
    told = bench.account.client_order_ids({bench.btc: bench.window})
    assert told == {BTC: {new.order_id: "bot-new"}}
    assert len(bench.venue.requests("allOrders")) == 2


def test_a_page_of_orders_that_begins_before_what_was_asked_for_leaves_all_out(bench):
    old = resting(bench, "bot-old", timedelta(days=2))
    trade(bench.world, at=bench.now - timedelta(hours=1), order_id=old.order_id)
    read(bench.account, bench.btc, bench.window)
    fault = Fault(
        kind=FaultKind.SET_FIELD, endpoint="allOrders", field_name="orderId", value=1, first_call=2
    )
    bench.venue.fault(fault)
    assert bench.account.client_order_ids({bench.btc: bench.window}) == {}


def test_thousands_of_orders_are_told_to_the_end(bench):
    first = bench.now - timedelta(hours=1)
    orders = {}
    for number in range(1500):
        at = first + timedelta(milliseconds=number)
        order = bench.world.place_order(
            account="main", symbol=BTC, side="buy", quantity=Decimal(1), price=Decimal(1), at=at
        )
        orders[order.order_id] = order.client_order_id
    assert bench.account.client_order_ids({bench.btc: bench.window}) == {BTC: orders}
    assert len(bench.venue.requests("allOrders")) == 2


@pytest.mark.parametrize(
    "fault",
    (
        Fault(kind=FaultKind.HTML, endpoint="allOrders"),
        Fault(kind=FaultKind.DROP_FIELD, endpoint="allOrders", field_name="clientOrderId"),
        Fault(kind=FaultKind.DROP_FIELD, endpoint="allOrders", field_name="orderId"),
        Fault(
            kind=FaultKind.CONTRADICT_ROW,
            endpoint="allOrders",
            field_name="clientOrderId",
            value="x",
        ),
    ),
    ids=lambda fault: f"{fault.kind}-{fault.field_name}",
)
def test_orders_that_were_not_read_to_the_end_are_left_out(bench, fault):
    trade(bench.world, at=bench.now - timedelta(hours=1))
    bench.venue.fault(fault)
    assert bench.account.client_order_ids({bench.btc: bench.window}) == {}


def test_more_pages_than_the_bound_are_incomplete(bench, monkeypatch):
    from unghost.adapters.exchange.venues import time_then_id

    monkeypatch.setattr(time_then_id, "MAX_PAGES", 2)
    many(bench.world, 2300, bench.now)
    reading = read(bench.account, bench.btc, bench.window)
    assert (reading.fills, reading.complete) == ((), False)
    assert f"Fills of {BTC} could not be read: there are more than 2 pages" in reading.detail


def test_a_mistake_of_ours_is_incomplete_too(bench, monkeypatch):
    from unghost.adapters.exchange.venues.binanceusdm import BinanceUsdmReader

    async def mistaken(self, client, market, window):
        raise ZeroDivisionError("with a secret-of-desk-1 in it")

    monkeypatch.setattr(BinanceUsdmReader, "fills", mistaken)
    reading = read(bench.account, bench.btc, bench.window)
    assert not reading.complete
    assert reading.detail == (
        f"Fills of {BTC} could not be read: ZeroDivisionError: with a [hidden] in it."
    )
