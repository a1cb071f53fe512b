"""When an imported file takes the place of the exchange's fills, and when it does not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.core.builders import BTC, LONG, NOW, SPOT, START, at, fees, sell

from unghost.filefills import IN_QUOTE, Choice, FileFill, FillFile, choose, joined, names_of, rest
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


def only(one):
    return Choice(files=(one,))


def after(*fills, complete=True):
    window = Window(start_at=at(3600), end_at=NOW)
    told = "fills read" if complete else "no answer"
    return FillReading(
        fills=fills, complete=complete, window=window, as_of=NOW, pages=1, detail=told
    )


def test_a_file_counts_where_its_window_holds_the_beginning():
    assert choose([file()], BTC, SPAN).files == (file(),)
    assert rest(only(file()), SPAN) == Window(start_at=at(3600), end_at=NOW)


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
    assert choice.files == ()
    assert why in choice.reasons[0]
    assert choice.reasons[0].startswith("export.csv (sha256 aaaaaaaaaaaa) does not count")


def test_a_file_without_a_row_of_the_market_says_nothing_about_it():
    choice = choose([file(row(symbol="ETHUSDT"))], BTC, SPAN)
    assert choice == Choice(files=())


def test_a_file_of_futures_says_nothing_about_spot_though_the_name_is_the_same():
    assert choose([file()], SPOT, SPAN) == choose([file(kind="kraken")], BTC, SPAN)
    assert choose([file()], SPOT, SPAN).files == ()


def test_a_leg_that_is_told_needs_no_statement_and_spot_needs_none():
    assert choose([file(row(position_side=LONG), one_way=False)], BTC, SPAN).files
    spot = file(row(symbol="XBT/USDT"), one_way=False, kind="kraken")
    assert choose([spot], SPOT, SPAN).files


def test_the_file_that_reaches_furthest_is_taken():
    near, far = file(end=600), file(end=3600, sha256="b" * 64)
    assert choose([near, far], BTC, SPAN) == choose([far, near], BTC, SPAN) == Choice(files=(far,))


# --- several files -----------------------------------------------------------------------------


def parted(*, seam=600, other=None, **changes):
    """Two exports: one of the first ten minutes, one that goes on from a seam."""
    first = file(row(2, 60), row(3, 599), end=600)
    rows = other if other is not None else (row(4, seam), row(5, 900))
    return first, file(*rows, start=seam, **{"sha256": "b" * 64, "file_name": "next.csv"} | changes)


@pytest.mark.parametrize("seam", (600, 300))
def test_files_that_adjoin_or_overlap_are_joined(seam):
    """What both hold counts once."""
    both = parted(seam=seam, other=(*((row(3, 599),) if seam < 600 else ()), row(4, 600)))
    choice = choose(reversed(both), BTC, SPAN)
    assert choice == Choice(files=both)
    assert rest(choice, SPAN).start_at == at(3600)
    reading = joined(choice, BTC, SPAN, after(sell("x9", 1, 4000)))
    assert [one.exchange_order_id for one in reading.fills] == ["x2", "x3", "x4", "x9"]
    assert reading.complete
    assert "2 fills before" in reading.detail
    assert "1 fills before" in reading.detail


def test_a_file_that_leaves_a_gap_is_not_joined():
    first, second = parted(seam=601)
    choice = choose([first, second], BTC, SPAN)
    assert choice.files == (first,)
    (why,) = choice.reasons
    assert why.startswith("next.csv (sha256 bbbbbbbbbbbb) does not count")
    assert at(600).isoformat() in why
    assert rest(choice, SPAN).start_at == at(600)


def test_files_are_joined_at_a_whole_second_that_both_cover():
    """Ten minutes and a bit: the second that has begun is the next one's, if it holds all of it."""
    bit = timedelta(milliseconds=400)
    first = file(
        row(2, 60), row(3, 600), end=0, window=Window(start_at=at(-60), end_at=at(600) + bit)
    )
    whole, part = (
        file(row(3, 600), row(4, 700), window=Window(start_at=start, end_at=at(3600)))
        for start in (at(600), at(600) + bit / 2)
    )
    joint = choose([first, whole], BTC, SPAN)
    assert joint.files == (first, whole)
    orders = [one.exchange_order_id for one in joined(joint, BTC, SPAN, after()).fills]
    assert orders == ["x2", "x3", "x4"]
    assert choose([first, part], BTC, SPAN).files == (first,)


def test_three_files_are_joined_one_after_another():
    three = [
        file(row(count, 1200 * count - 1), start=1200 * (count - 1), end=1200 * count)
        for count in (1, 2, 3)
    ]
    assert choose(reversed(three), BTC, SPAN).files == tuple(three)
    assert choose([three[0], three[2]], BTC, SPAN).files == (three[0],)


@pytest.mark.parametrize(
    "changes",
    (
        {"price": Decimal(111)},
        {"quantity": Decimal(1)},
        {"side": Side.BUY},
        {"filled_at": at(598)},
        {"fill_id": "f9"},
        {"exchange_order_id": "x9"},
        {"fees": None},
        {"position_side": LONG},
    ),
)
def test_files_that_do_not_tell_the_same_time_alike_prove_nothing(changes):
    both = parted(seam=300, other=(replace(row(3, 599), **changes), row(4, 700)))
    reading = joined(choose(both, BTC, SPAN), BTC, SPAN, after())
    assert not reading.complete
    assert "export.csv (sha256 aaaaaaaaaaaa) and next.csv (sha256 bbbbbbbbbbbb)" in reading.detail
    assert "f3" in reading.detail


@pytest.mark.parametrize("order", (slice(None), slice(None, None, -1)))
def test_a_fill_that_one_of_two_files_leaves_out_proves_nothing(order):
    both = parted(seam=300, other=(row(4, 700),))
    reading = joined(choose(both[order], BTC, SPAN), BTC, SPAN, after())
    assert not reading.complete
    assert "do not tell the same (f3)" in reading.detail


def test_a_file_that_is_not_needed_must_not_contradict_either():
    """It is stated to hold every fill of a time that another one tells otherwise."""
    short = file(row(2, 60), end=600, sha256="b" * 64)
    whole = file(row(2, 60), row(3, 599))
    choice = choose([short, whole], BTC, SPAN)
    assert (choice.files, choice.reasons) == ((whole,), ())
    assert not joined(choice, BTC, SPAN, after()).complete


def test_what_files_tell_of_other_times_than_the_window_is_nobodys_business():
    late = Window(start_at=at(700), end_at=NOW)
    both = parted(seam=300, other=(row(4, 700), row(5, 900)))
    choice = choose(both, BTC, late)
    assert choice.files == (both[1],)
    assert choice.clashes == ()
    assert joined(choice, BTC, late, after()).complete


def test_a_line_may_be_spelt_otherwise_in_another_export():
    both = parted(seam=300, other=(replace(row(3, 599), line=7, digest="else"), row(4, 700)))
    assert choose(both, BTC, SPAN).clashes == ()


def test_a_fill_that_two_files_tell_at_different_times_makes_all_of_it_incomplete():
    """They adjoin, so that no time is told by both; one was read in a wrong zone."""
    both = parted(other=(replace(row(2, 660)), row(5, 900)))
    reading = joined(choose(both, BTC, SPAN), BTC, SPAN, after())
    assert not reading.complete
    assert "told again (f2)" in reading.detail


def test_each_of_several_files_must_tell_the_leg():
    first, second = parted(one_way=False)
    choice = choose([first, second], BTC, SPAN)
    assert choice.files == (first,)
    assert "one-way mode" in choice.reasons[0]


# --- joined with the exchange ------------------------------------------------------------------


def test_fills_of_the_file_come_before_those_of_the_exchange():
    late = sell("x9", 1, 4000)
    reading = joined(only(file(row(3, 120), row(2, 60))), BTC, SPAN, after(late))
    assert [one.exchange_order_id for one in reading.fills] == ["x2", "x3", "x9"]
    assert (reading.complete, reading.source, reading.window) == (True, "file", SPAN)
    assert "2 fills before" in reading.detail
    assert "imported by anna who stated that it holds every fill from" in reading.detail
    assert "in one-way mode" in reading.detail
    assert reading.fills[0].fees == fees(("USDT", "0.1"))


def test_an_incomplete_answer_about_the_time_after_makes_all_of_it_incomplete():
    assert not joined(only(file()), BTC, SPAN, after(complete=False)).complete


def test_a_fill_that_both_tell_at_different_times_makes_all_of_it_incomplete():
    """A file read in a wrong zone puts fills before the seam that the exchange tells after it."""
    late = replace(sell("x2", 2, 4000), fill_id=row(2, 60).fill_id or "")
    own = file(replace(row(2, 60), side=late.side, exchange_order_id="x2"))
    reading = joined(only(own), BTC, SPAN, after(late))
    assert not reading.complete
    assert "wrong time zone" in reading.detail


def test_no_fill_counts_twice_at_the_seam_and_none_is_missed():
    """The file cuts times to seconds: its last second is asked of the exchange."""
    end = at(600) + timedelta(milliseconds=700)
    found = file(row(2, 599), row(3, 600), end=0, window=Window(start_at=START, end_at=end))
    seam = rest(only(found), SPAN).start_at
    assert seam == at(600)
    told = replace(after(sell("x3", 2, 600.4)), window=rest(only(found), SPAN))
    reading = joined(only(found), BTC, SPAN, told)
    assert [one.exchange_order_id for one in reading.fills] == ["x2", "x3"]


def test_rows_before_the_window_are_left_out():
    assert joined(only(file(row(seconds=-30))), BTC, SPAN, after()).fills == ()


def test_a_file_that_reaches_beyond_the_window_asks_for_its_last_moment_only():
    found = file(end=10**6)
    assert rest(only(found), SPAN) == Window(start_at=NOW, end_at=NOW)


def test_contracts_become_base_units():
    doge = replace(BTC, contract_size=Decimal(100))
    found = file(row(in_contracts=True), row(3, 90))
    quantities = [one.quantity for one in joined(only(found), doge, SPAN, after()).fills]
    assert quantities == [200, 2]


def test_a_fee_without_a_currency_is_in_quote():
    found = file(row(fees=fees((IN_QUOTE, "2.4"))))
    assert joined(only(found), BTC, SPAN, after()).fills[0].fees == fees(("USDT", "2.4"))


def test_kraken_calls_bitcoin_by_an_old_name():
    assert {"XBT/USDT", "XBTUSDT", "BTC/USDT"} <= names_of(SPOT)
    assert "XBT/USDT" not in names_of(BTC)
