"""Imported files: kept once, whole, with who stated what."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from unghost.adapters.fills_file import parse
from unghost.adapters.postgres.fill_files import FillFiles, Kept, Statement
from unghost.errors import DatabaseError, RefusedError
from unghost.model import Window

SAMPLES = Path(__file__).parents[1] / "fills_file" / "samples"
NAME = "binance-usdm-trades(UTC+3).csv"
WINDOW = Window(
    start_at=datetime(2026, 8, 20, tzinfo=UTC), end_at=datetime(2026, 8, 21, tzinfo=UTC)
)


def parsed(name=NAME, **more):
    return parse((SAMPLES / name).read_bytes(), file_name=name, **more)


def stated(window=None, *, name=NAME, **changes):
    wanted = {"profile_id": "main", "file_name": name, "actor": "anna", "one_way": False}
    return Statement(**wanted | {"window": window} | changes)


@pytest.fixture
def files(database):
    return FillFiles(database)


def rows(database):
    with database.transaction(read_only=True) as connection:
        return connection.execute("SELECT count(*) AS n FROM reconciliation_file_fill").fetchall()[
            0
        ]["n"]


def test_a_file_comes_back_as_it_was(files):
    assert files.keep(parsed(), stated(WINDOW)) == Kept(added=4, restated=False)
    (found,) = files.covering(["main"], symbols=["BTCUSDT", "ETHUSDT"])
    assert set(found.fills) == set(parsed().fills)
    assert (found.file_name, found.actor, found.window) == (NAME, "anna", WINDOW)
    assert (found.sha256, found.kind, found.one_way) == (parsed().sha256, "binanceusdm", False)


@pytest.mark.parametrize("name", ("okx-trading-history.csv", "kraken-trades.csv"))
def test_legs_contracts_and_missing_fees_are_kept(files, name):
    files.keep(parsed(name), stated(name=name))
    symbols = {one.symbol for one in parsed(name).fills}
    (found,) = files.covering(["main"], symbols=symbols)
    assert set(found.fills) == set(parsed(name).fills)


def test_only_rows_of_the_symbols_and_files_of_the_profiles_are_told(files):
    files.keep(parsed(), stated())
    (found,) = files.covering(["other", "main"], symbols=["ETHUSDT"])
    assert [one.symbol for one in found.fills] == ["ETHUSDT"]
    assert files.covering(["other"], symbols=["ETHUSDT"]) == ()
    assert files.covering(["main"], symbols=["SOLUSDT"]) == ()


def test_the_same_file_again_adds_nothing(files, database):
    files.keep(parsed(), stated(WINDOW))
    again = files.keep(parsed(), stated(WINDOW, name="copy.csv", actor="ben"))
    assert again == Kept(added=0, restated=False)
    assert rows(database) == 4
    assert files.covering(["main"], symbols=["ETHUSDT"])[0].actor == "anna"


def test_a_statement_can_be_made_later(files, database):
    files.keep(parsed(), stated())
    assert files.keep(parsed(), stated(WINDOW, actor="ben")) == Kept(added=0, restated=True)
    assert files.keep(parsed(), stated(one_way=True)).restated
    (found,) = files.covering(["main"], symbols=["BTCUSDT"])
    assert (found.window, found.one_way, rows(database)) == (WINDOW, True, 4)
    assert files.keep(parsed(), stated()) == Kept(added=0, restated=False)


def test_the_same_file_in_another_zone_is_refused(files):
    name = "binance-usdm-old.csv"
    files.keep(parsed(name, zone="UTC"), stated(name=name))
    with pytest.raises(RefusedError, match=r"times in UTC, not in UTC\+3"):
        files.keep(parsed(name, zone="UTC+3"), stated(name=name))


def test_nothing_is_kept_where_one_row_cannot_be(files, database):
    with database.transaction() as connection:
        connection.execute("ALTER TABLE reconciliation_file_fill ADD CHECK (line < 4)")
    with pytest.raises(DatabaseError):
        files.keep(parsed(), stated())
    assert rows(database) == 0
    assert files.covering(["main"], symbols=["BTCUSDT"]) == ()
