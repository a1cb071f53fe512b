"""Every scripted fault, as a real client sees it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from unghost.demo.venue import Fault, FaultKind, Venue
from unghost.demo.world import Execution, Override, Side, World

BTC = "BTC/USDT:USDT"
POSITIONS = Fault(kind=FaultKind.HTML, endpoint="positionRisk")
FILLS = Fault(kind=FaultKind.HTML, endpoint="userTrades")

SWALLOWED = [
    FaultKind.HTML,
    FaultKind.EMPTY_BODY,
    FaultKind.NULL,
    FaultKind.EMPTY_LIST,
    FaultKind.EMPTY_OBJECT,
    FaultKind.CUT_JSON,
    FaultKind.NO_CONTENT,
]


@pytest.fixture(autouse=True)
def _open_position(world: World) -> None:
    for _ in range(3):
        world.execute(
            account="main", symbol=BTC, side="buy", quantity=Decimal(1), price=Decimal(100)
        )


def positions(ask: Any) -> Any:
    return ask(lambda client: client.fetch_positions())


def fills(ask: Any) -> Any:
    return ask(lambda client: client.fetch_my_trades(BTC))


def fills_since(ask: Any, venue: Venue) -> Any:
    since = venue.world.clock.now_ms() - 3_600_000
    return ask(lambda client: client.fetch_my_trades(BTC, since))


def test_without_a_fault_the_position_is_there(ask: Any) -> None:
    assert [row["contracts"] for row in positions(ask)] == ["3"]
    assert len(fills(ask)) == 3


@pytest.mark.parametrize("kind", SWALLOWED)
def test_what_is_no_answer_reads_as_nothing_at_all(ask: Any, venue: Venue, kind: FaultKind) -> None:
    venue.fault(replace(POSITIONS, kind=kind))
    venue.fault(replace(FILLS, kind=kind))
    assert positions(ask) == []
    assert fills_since(ask, venue) == []
    assert {line.status for line in venue.requests() if line.faults} <= {200, 204}


@pytest.mark.parametrize("kind", (FaultKind.HTML, FaultKind.NULL, FaultKind.CUT_JSON))
def test_without_a_start_every_letter_of_the_body_becomes_a_fill(
    ask: Any, venue: Venue, kind: FaultKind
) -> None:
    venue.fault(replace(FILLS, kind=kind))
    told = fills(ask)
    assert len(told) >= 4
    assert {(row["id"], row["amount"], row["timestamp"]) for row in told} == {(None, None, None)}


def test_the_content_type_does_not_matter_to_the_client(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.WRONG_CONTENT_TYPE))
    assert len(fills(ask)) == 3


def test_the_wrong_content_type_is_sent(sync_client: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.WRONG_CONTENT_TYPE))
    client = sync_client()
    client.fetch_my_trades(BTC)
    assert client.last_response_headers["Content-Type"] == "text/html"


@pytest.mark.parametrize(
    ("status", "error"),
    (
        (429, ccxt.DDoSProtection),
        (418, ccxt.DDoSProtection),
        (500, ccxt.ExchangeNotAvailable),
        (502, ccxt.ExchangeNotAvailable),
        (503, ccxt.ExchangeNotAvailable),
    ),
)
def test_refusals_by_status(ask: Any, venue: Venue, status: int, error: type[Exception]) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.STATUS, status=status))
    with pytest.raises(error):
        fills(ask)


def test_retry_after_is_told(sync_client: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.STATUS, status=429, retry_after_seconds=7))
    client = sync_client()
    with pytest.raises(ccxt.DDoSProtection):
        client.fetch_my_trades(BTC)
    assert client.last_response_headers["Retry-After"] == "7"


def test_a_status_with_the_exchange_s_own_words(ask: Any, venue: Venue) -> None:
    body = '{"code":-1001,"msg":"Internal error; unable to process your request."}'
    venue.fault(replace(FILLS, kind=FaultKind.STATUS, status=400, body=body))
    with pytest.raises(ccxt.OperationFailed, match="-1001"):
        fills(ask)


def test_a_delay_beyond_patience_is_a_time_out(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.DELAY, delay_ms=20_000))
    with pytest.raises(ccxt.RequestTimeout):
        ask(patiently(300))


def test_a_short_delay_is_only_slow(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.DELAY, delay_ms=50))
    assert len(fills(ask)) == 3


def patiently(timeout_ms: int) -> Any:
    async def read(client: Any) -> Any:
        await client.load_markets()
        client.timeout = timeout_ms
        return await client.fetch_my_trades(BTC)

    return read


def test_a_torn_connection_is_an_error(ask: Any, sync_client: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.RESET))
    with pytest.raises(ccxt.BaseError):
        fills(ask)
    with pytest.raises(ccxt.BaseError):
        sync_client().fetch_my_trades(BTC)
    assert {line.status for line in venue.requests("userTrades")} == {0}


def test_a_skewed_call_is_refused(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.SKEW, skew_ms=-60_000).on_call(1))
    with pytest.raises(ccxt.InvalidNonce):
        fills(ask)
    assert len(fills(ask)) == 3


def test_the_second_call_only(ask: Any, venue: Venue) -> None:
    venue.fault(POSITIONS.on_call(2))
    assert [len(positions(ask)) for _ in range(3)] == [1, 0, 1]


def test_from_the_second_call_on(ask: Any, venue: Venue) -> None:
    venue.fault(POSITIONS.since_call(2))
    assert [len(positions(ask)) for _ in range(3)] == [1, 0, 0]


def test_faults_can_be_listed_and_taken_off(ask: Any, venue: Venue) -> None:
    venue.fault(POSITIONS)
    assert venue.faults() == (POSITIONS,)
    venue.clear_faults()
    assert len(positions(ask)) == 1


def test_a_fault_may_concern_one_symbol(ask: Any, venue: Venue, world: World) -> None:
    eth = "ETH/USDT:USDT"
    world.execute(account="main", symbol=eth, side="buy", quantity=Decimal(1), price=Decimal(9))
    venue.fault(replace(FILLS, kind=FaultKind.EMPTY_BODY, where={"symbol": "ETHUSDT"}))
    assert ask(lambda client: client.fetch_my_trades(eth)) == []
    assert len(fills(ask)) == 3


def test_a_fault_may_concern_every_endpoint(ask: Any, venue: Venue) -> None:
    venue.fault(Fault(kind=FaultKind.STATUS, status=503))
    with pytest.raises(ccxt.ExchangeNotAvailable):
        ask(lambda client: client.load_markets())


def test_the_position_changes_between_two_reads(ask: Any, venue: Venue) -> None:
    def close(world: World) -> None:
        world.execute(
            account="main", symbol=BTC, side="sell", quantity=Decimal(3), price=Decimal(101)
        )

    venue.before("positionRisk", close, call=2)
    assert [len(positions(ask)) for _ in range(3)] == [1, 0, 0]
    assert len(fills(ask)) == 4


def test_an_edit_may_be_a_value(ask: Any, venue: Venue) -> None:
    sale = Execution(
        account="main", symbol=BTC, side=Side.SELL, quantity=Decimal(1), price=Decimal(9)
    )
    odd = Override(account="main", symbol="ETH/USDT:USDT", quantity=Decimal(5))
    venue.fault(
        Fault(
            kind=FaultKind.EDIT_WORLD,
            endpoint="positionRisk",
            executions=(sale,),
            overrides=(odd,),
        ).on_call(1)
    )
    assert {row["contracts"] for row in positions(ask)} == {"2", "5"}


def test_a_row_without_a_field(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.DROP_FIELD, row=1, field_name="qty"))
    assert [row["amount"] for row in fills(ask)] == ["1.000", None, "1.000"]


def test_every_row_without_a_field(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.DROP_FIELD, row=None, field_name="qty"))
    assert [row["amount"] for row in fills(ask)] == [None, None, None]


def test_a_row_with_another_value(ask: Any, venue: Venue) -> None:
    venue.fault(
        replace(POSITIONS, kind=FaultKind.SET_FIELD, field_name="positionAmt", value="nonsense")
    )
    raw = ask(lambda client: client.fapiPrivateV3GetPositionRisk())
    assert raw[0]["positionAmt"] == "nonsense"


def test_the_same_fill_twice(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.DUPLICATE_ROW, row=1))
    told = fills(ask)
    assert len(told) == 4
    assert told[1] == told[2]


def test_the_same_fill_id_with_another_payload(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.CONTRADICT_ROW, field_name="qty", value="9.000"))
    told = fills(ask)
    assert told[0]["id"] == told[1]["id"]
    assert [told[0]["amount"], told[1]["amount"]] == ["1.000", "9.000"]


def test_a_page_cut_to_fewer_rows(ask: Any, venue: Venue) -> None:
    venue.fault(replace(FILLS, kind=FaultKind.KEEP_ROWS, rows_kept=2))
    assert len(fills(ask)) == 2


def test_row_faults_reach_into_an_account_answer(ask: Any, venue: Venue) -> None:
    venue.fault(Fault(kind=FaultKind.KEEP_ROWS, endpoint="account"))
    assert ask(lambda client: client.fapiPrivateV3GetAccount())["positions"] == []


def test_row_faults_leave_an_answer_without_rows_alone(ask: Any, venue: Venue) -> None:
    venue.fault(Fault(kind=FaultKind.DUPLICATE_ROW, endpoint="dual"))
    venue.fault(Fault(kind=FaultKind.DUPLICATE_ROW, endpoint="openOrders"))
    assert ask(lambda client: client.fetch_position_mode())["hedged"] is False
    assert ask(lambda client: client.fetch_open_orders(BTC)) == []


def test_the_log_names_the_faults(ask: Any, venue: Venue) -> None:
    venue.fault(POSITIONS)
    positions(ask)
    assert [line.faults for line in venue.requests("positionRisk")] == [(FaultKind.HTML,)]
