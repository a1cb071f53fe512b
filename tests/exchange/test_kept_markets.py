"""A list of markets is kept between runs while it is young, whole and nobody else's."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from unghost.adapters.exchange import FileMarkets
from unghost.adapters.exchange.markets import MAX_AGE

LISTING = {"BTC/USDT:USDT": {"id": "BTCUSDT", "contractSize": "0.01", "linear": True, "x": None}}
START = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home" / "markets"


@pytest.fixture
def kept(folder, clock):
    return FileMarkets(folder, clock=clock)


def test_what_was_stored_is_found_by_another_run(kept, folder, clock):
    kept.store("okx swap", LISTING)
    again = FileMarkets(folder, clock=clock)
    assert again.load("okx swap") == LISTING
    assert again.load("okx spot") is None
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.suffix for path in folder.iterdir()] == [".json"], "no draft stays behind"


@pytest.mark.parametrize(
    ("age", "found"),
    (
        (timedelta(0), True),
        (MAX_AGE - timedelta(seconds=1), True),
        (MAX_AGE, False),
        (timedelta(seconds=-1), False),
    ),
    ids=str,
)
def test_a_list_is_believed_for_an_hour_and_never_from_the_future(kept, clock, age, found):
    kept.store("okx swap", LISTING)
    clock.now = START + age
    assert (kept.load("okx swap") is not None) is found


def test_fractions_stay_text(kept, folder):
    kept.store("okx swap", {"a": {"contractSize": "0.1"}})
    (path,) = folder.iterdir()
    path.write_text(path.read_text().replace('"0.1"', "0.1"))
    assert kept.load("okx swap") == {"a": {"contractSize": "0.1"}}


@pytest.mark.parametrize(
    "change",
    (
        {"key": "bybit swap"},
        {"ccxt": "0.0.1"},
        {"read_at": None},
        {"read_at": "yesterday"},
        {"read_at": "2026-02-01T12:00:00"},
        {"listing": None},
        {"listing": {}},
        {"listing": []},
        {"listing": {"a": None}},
    ),
    ids=str,
)
def test_a_file_that_is_not_what_it_should_be_is_not_believed(kept, folder, change):
    kept.store("okx swap", LISTING)
    (path,) = folder.iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert kept.load("okx swap") is None


@pytest.mark.parametrize("text", ("", "{", "null", "[]", "\x00"))
def test_a_broken_file_is_not_believed(kept, folder, text):
    kept.store("okx swap", LISTING)
    (path,) = folder.iterdir()
    path.write_text(text)
    assert kept.load("okx swap") is None


def test_a_folder_that_others_may_write_to_is_neither_read_nor_written(kept, folder):
    kept.store("okx swap", LISTING)
    folder.chmod(0o777)
    assert kept.load("okx swap") is None
    kept.store("bybit swap", LISTING)
    assert len(list(folder.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path, clock):
    tmp_path.joinpath("taken").write_text("a file")
    kept = FileMarkets(tmp_path / "taken" / "markets", clock=clock)
    kept.store("okx swap", LISTING)
    assert kept.load("okx swap") is None


def test_what_is_no_json_is_not_kept(kept, folder):
    kept.store("okx swap", {"a": {"x": object()}})
    assert not folder.exists() or list(folder.iterdir()) == []


# --- as the adapter uses it ---------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ("binanceusdm", "bybit", "okx"))
def test_a_second_run_makes_no_call_for_the_list_and_reads_the_same(
    connect, venue, window, folder, exchange
):
    names = ["BTC/USDT:USDT", "XRP/USDT:USDT", "DOGE/USDT:USDT"]
    first = connect(venue.base_url, exchange=exchange, cache=FileMarkets(folder))
    markets = first.resolve(names).markets
    venue.clear_requests()
    second = connect(venue.base_url, exchange=exchange, cache=FileMarkets(folder))
    assert second.resolve(names).markets == markets
    assert venue.requests() == ()
    wanted = [market for market in markets.values() if market]
    assert len(wanted) == 3
    assert {str(one.flatness) for one in second.positions(wanted).values()} == {"flat"}
    assert all(one.complete for one in second.fills(dict.fromkeys(wanted, window)).values())
    assert len(venue.requests()) == 4


def test_an_unknown_symbol_has_the_list_read_anew_although_one_is_kept(connect, venue, folder):
    connect(venue.base_url, cache=FileMarkets(folder)).resolve(["BTCUSDT"])
    venue.clear_requests()
    connect(venue.base_url, cache=FileMarkets(folder)).resolve(["BTCUSDT", "NEWUSDT"])
    assert [each.endpoint for each in venue.requests()] == ["exchangeInfo"]


def test_a_long_run_reads_the_list_anew_after_an_hour(connect, venue, clock):
    account = connect(venue.base_url, clock=clock)
    for age, reads in ((0, 1), (59, 1), (60, 2), (119, 2), (120, 3)):
        clock.now = START + timedelta(minutes=age)
        account.resolve(["BTCUSDT"])
        assert len(venue.requests("exchangeInfo")) == reads
