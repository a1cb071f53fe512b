"""`unghost import-fills` as a person runs it."""

from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "fills_file" / "samples"
BINANCE = "binance-usdm-trades(UTC+3).csv"
WINDOW = ("--window-from", "2026-08-20", "--window-to", "2026-08-21T00:00:00+03:00")


def kept(place):
    return place.sql(
        "SELECT f.file_name, f.actor, count(*) FROM reconciliation_fill_file f"
        " JOIN reconciliation_file_fill USING (file_id) GROUP BY 1, 2"
    )


@pytest.fixture
def books(books):
    """The ledger with a profile, and the samples beside it."""
    books.configure(
        '[profiles.main]\nexchange = "binanceusdm"\nmarket = "swap"\n'
        'api_key_env = "MAIN_API_KEY"\nsecret_env = "MAIN_SECRET"\n'
    )
    for sample in SAMPLES.glob("*.csv"):
        (books.folder / sample.name).write_bytes(sample.read_bytes())
    return books


def test_a_file_is_kept_once(books):
    ran = books.run("import-fills", BINANCE, *WINDOW, "--one-way")
    assert ran.code == 0, ran.err
    assert "4 fills of binanceusdm, times in UTC+3" in ran.out
    assert "5100000003" in ran.out
    assert kept(books) == [(BINANCE, "tester@desk", 4)]

    again = books.run("import-fills", BINANCE, *WINDOW, "--one-way", "--json", "-p", "main")
    assert (again.code, again.data["added"], again.data["restated"]) == (0, 0, False)
    assert kept(books) == [(BINANCE, "tester@desk", 4)]
    assert "no row added" in again.err


def test_json_tells_every_row_with_decimals_as_text(books):
    data = books.run("import-fills", BINANCE, *WINDOW, "--json").data
    assert (data["rows"], data["added"], data["one_way"]) == (4, 4, False)
    assert data["window_to"].startswith("2026-08-20T21:00:00")
    assert data["fills"][0]["price"] == "65000.10"
    assert len(data["sha256"]) == 64
    events = books.sql("SELECT event_type, payload->>'sha256' FROM reconciliation_event")
    assert events == [("FILLS_IMPORTED", data["sha256"])]


def test_rows_without_ids_are_shown_and_said_to_be_no_evidence(books):
    ran = books.run("import-fills", "binance-usdm-old.csv", "--timezone", "UTC+3")
    assert ran.code == 0, ran.err
    assert "1 row without ids: shown here, and never written from." in ran.out


def test_without_a_window_nothing_is_evidence(books):
    ran = books.run("import-fills", BINANCE)
    assert "No window was stated" in ran.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    (
        (["nowhere.csv"], "nowhere.csv cannot be read"),
        (["binance-usdm-old.csv"], "--timezone"),
        (["okx-trading-history.csv"], "is an export of okx, but profile main trades swap on"),
        ([BINANCE, "--window-from", "2026-08-20"], "Say both"),
        ([BINANCE, "--window-from", "soon", "--window-to", "2026-08-21"], "'soon' is not a time"),
        ([BINANCE, "--window-from", "2026-08-01", "--window-to", "2996-08-21"], "in the future"),
        ([BINANCE, "--window-from", "2026-08-01", "--window-to", "2026-08-19"], "line 2"),
    ),
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(books, arguments, why):
    ran = books.run("import-fills", *arguments)
    assert ran.code == 2
    assert why in ran.err
    assert kept(books) == []


def test_a_bad_line_is_named_and_nothing_of_the_file_is_kept(books):
    file = books.folder / BINANCE
    file.write_text(file.read_text().replace("3200.00", "3.00"))
    ran = books.run("import-fills", BINANCE)
    assert (ran.code, kept(books)) == (2, [])
    assert "line 5: Amount 4800.00000000 is not price times quantity" in ran.err


def test_a_file_of_futures_is_none_of_a_spot_profile_s(books):
    toml = books.folder / "unghost.toml"
    text = toml.read_text().replace("binanceusdm", "binance").replace("swap", "spot")
    books.configure(text)
    ran = books.run("import-fills", BINANCE, *WINDOW)
    assert (ran.code, kept(books)) == (2, [])
    assert "but profile main trades spot on binance" in ran.err
