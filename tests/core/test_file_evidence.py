"""When an imported file takes the place of the exchange's fills, and when it does not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.core.builders import BTC, LONG, NOW, SPOT, START, at, fees, sell

from unghost.filefills import IN_QUOTE, FileFill, FillFile, choose, joined, names_of, rest
from unghost.model import FillReading, Side, Window

SPAN = Window(start_at=START, end_at=NOW)


def row(line=2, seconds=60, **changes):
    wanted = {
        "line": line,
        "symbol": "BTCUSDT",
        "side": Side.SELL,
        "quantity": Decimal(2),
        "price": Decimal(110),
        "filled_at": at(seconds),
        "fill_id": f"f{line}",
        "exchange_order_id": f"x{line}",
        "fees": fees(("USDT", "0.1")),
        "digest": f"d{line}",
    }
    return FileFill(**wanted | changes)


def file(*rows, start=-60, end=3600, **changes):
    wanted = {
        "file_name": "export.csv",
        "sha256": "a" * 64,
        "kind": "binanceusdm",
        "actor": "anna",
        "imported_at": NOW,
        "window": Window(start_at=at(start), end_at=at(end)),
        "one_way": True,
        "fills": rows or (row(),),
    }
    return FillFile(**wanted | changes)


def after(*fills, complete=True):
    window = Window(start_at=at(3600), end_at=NOW)
    told = "fills read" if complete else "no answer"
    return FillReading(
        fills=fills, complete=complete, window=window, as_of=NOW, pages=1, detail=told
    )


def test_a_file_counts_where_its_window_holds_the_beginning():
    assert choose([file()], BTC, SPAN).file == file()
    assert rest(file(), SPAN) == Window(start_at=at(3600), end_at=NOW)


@pytest.mark.parametrize(
    ("found", "why"),
    (
        (file(window=None), "nobody stated the window"),
        (file(start=1), "does not hold"),
        (file(end=0), "does not hold"),
        (file(row(fill_id=None)), "rows without ids (1, the first in line 2)"),
        (file(row(), row(3, exchange_order_id=None)), "the first in line 3"),
        (file(one_way=False), "one-way mode"),
    ),
)
def test_a_file_that_does_not_count_says_why(found, why):
    choice = choose([found], BTC, SPAN)
    assert choice.file is None
    assert why in choice.reasons[0]
    assert choice.reasons[0].startswith("export.csv (sha256 aaaaaaaaaaaa) does not count")


def test_a_file_without_a_row_of_the_market_says_nothing_about_it():
    choice = choose([file(row(symbol="ETHUSDT"))], BTC, SPAN)
    assert (choice.file, choice.reasons) == (None, ())


def test_a_file_of_futures_says_nothing_about_spot_though_the_name_is_the_same():
    assert choose([file()], SPOT, SPAN) == choose([file(kind="kraken")], BTC, SPAN)
    assert choose([file()], SPOT, SPAN).file is None


def test_a_leg_that_is_told_needs_no_statement_and_spot_needs_none():
    assert choose([file(row(position_side=LONG), one_way=False)], BTC, SPAN).file
    spot = file(row(symbol="XBT/USDT"), one_way=False, kind="kraken")
    assert choose([spot], SPOT, SPAN).file


def test_the_file_that_reaches_furthest_is_taken():
    near, far = file(end=600), file(end=3600, sha256="b" * 64)
    assert choose([near, far], BTC, SPAN).file == choose([far, near], BTC, SPAN).file == far


def test_fills_of_the_file_come_before_those_of_the_exchange():
    late = sell("x9", 1, 4000)
    reading = joined(file(row(3, 120), row(2, 60)), BTC, SPAN, after(late))
    assert [one.exchange_order_id for one in reading.fills] == ["x2", "x3", "x9"]
    assert (reading.complete, reading.source, reading.window) == (True, "file", SPAN)
    assert "2 fills before" in reading.detail
    assert "imported by anna who stated that it holds every fill from" in reading.detail
    assert "in one-way mode" in reading.detail
    assert reading.fills[0].fees == fees(("USDT", "0.1"))


def test_an_incomplete_answer_about_the_time_after_makes_all_of_it_incomplete():
    assert not joined(file(), BTC, SPAN, after(complete=False)).complete


def test_a_fill_that_both_tell_at_different_times_makes_all_of_it_incomplete():
    """A file read in a wrong zone puts fills before the seam that the exchange tells after it."""
    late = replace(sell("x2", 2, 4000), fill_id=row(2, 60).fill_id or "")
    own = file(replace(row(2, 60), side=late.side, exchange_order_id="x2"))
    reading = joined(own, BTC, SPAN, after(late))
    assert not reading.complete
    assert "wrong time zone" in reading.detail


def test_no_fill_counts_twice_at_the_seam_and_none_is_missed():
    """The file cuts times to seconds: its last second is asked of the exchange."""
    end = at(600) + timedelta(milliseconds=700)
    found = file(row(2, 599), row(3, 600), end=0, window=Window(start_at=START, end_at=end))
    seam = rest(found, SPAN).start_at
    assert seam == at(600)
    told = replace(after(sell("x3", 2, 600.4)), window=rest(found, SPAN))
    reading = joined(found, BTC, SPAN, told)
    assert [one.exchange_order_id for one in reading.fills] == ["x2", "x3"]


def test_rows_before_the_window_are_left_out():
    assert joined(file(row(seconds=-30)), BTC, SPAN, after()).fills == ()


def test_a_file_that_reaches_beyond_the_window_asks_for_its_last_moment_only():
    found = file(end=10**6)
    assert rest(found, SPAN) == Window(start_at=NOW, end_at=NOW)


def test_contracts_become_base_units():
    doge = replace(BTC, contract_size=Decimal(100))
    found = file(row(in_contracts=True), row(3, 90))
    quantities = [one.quantity for one in joined(found, doge, SPAN, after()).fills]
    assert quantities == [200, 2]


def test_a_fee_without_a_currency_is_in_quote():
    found = file(row(fees=fees((IN_QUOTE, "2.4"))))
    assert joined(found, BTC, SPAN, after()).fills[0].fees == fees(("USDT", "2.4"))


def test_kraken_calls_bitcoin_by_an_old_name():
    assert {"XBT/USDT", "XBTUSDT", "BTC/USDT"} <= names_of(SPOT)
    assert "XBT/USDT" not in names_of(BTC)
