"""CSV exports, written by hand after the formats of the exchanges: taken whole or not at all."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from unghost.adapters.fills_file import parse
from unghost.errors import UsageError
from unghost.model import Money, PositionSide, Side

SAMPLES = Path(__file__).parent / "samples"
BINANCE = "binance-usdm-trades(UTC+3).csv"
HEADER = (
    "Uid,Time,Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit,Buyer,Maker,Trade ID,Order ID"
)
ROW = "1,2026-08-20 17:17:15,BTCUSDT,BUY,65000,0.010,650,0.3USDT,0,true,false,51,88"


def sample(name, **more):
    return parse((SAMPLES / name).read_bytes(), file_name=name, **more)


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def money(amount, currency="USDT"):
    return (Money(currency=currency, amount=Decimal(amount)),)


def binance(*rows, header=HEADER, name="export.csv", zone="UTC"):
    return parse("\n".join((header, *rows)).encode(), file_name=name, zone=zone)


# Kinds -------------------------------------------------------------------------------------------


def test_binance_tells_its_zone_in_the_name_and_glues_the_asset_to_the_fee():
    found = sample(BINANCE)
    assert (found.kind, found.zone, found.without_ids) == ("binanceusdm", "UTC+3", 0)
    first, second, third, last = found.fills
    assert (first.line, first.symbol, first.side) == (2, "BTCUSDT", Side.BUY)
    assert (first.quantity, first.price) == (Decimal("0.010"), Decimal("65000.10"))
    assert first.filled_at == at(2026, 8, 20, 14, 17, 15)
    assert (first.fill_id, first.exchange_order_id) == ("5100000001", "880000001")
    assert [one.fees for one in (first, second, third)] == [
        money("0.32500050"),
        money("0.00034000", "BNB"),
        money("-0.02604008"),
    ]
    assert last.filled_at == at(2026, 8, 20, 16)


def test_an_old_binance_file_has_no_ids_and_needs_its_zone():
    with pytest.raises(UsageError, match="does not tell the time zone"):
        sample("binance-usdm-old.csv")
    found = sample("binance-usdm-old.csv", zone="UTC+3")
    assert found.without_ids == 1
    assert found.fills[0].filled_at == at(2026, 3, 17, 6, 34, 12)


def test_bybit_has_a_preamble_and_no_ids_and_holds_more_than_trades():
    found = sample("bybit-unified.csv")
    assert (found.kind, found.zone, found.without_ids) == ("bybit", "UTC", 2)
    assert dict(found.left_out) == {
        "SETTLEMENT is no execution": 1,
        "TRANSFER_IN is no execution": 1,
    }
    closing, opening = found.fills
    assert (closing.side, closing.quantity, closing.line) == (Side.SELL, Decimal("0.01"), 3)
    assert (opening.side, opening.fees) == (Side.BUY, money("0.352"))
    assert closing.filled_at == at(2026, 8, 20, 14, 17, 15)


def test_okx_tells_its_zone_above_counts_contracts_and_may_name_the_leg():
    found = sample("okx-trading-history.csv")
    assert (found.kind, found.zone) == ("okx", "UTC+8")
    closing, opening = found.fills
    assert (closing.quantity, closing.in_contracts, closing.position_side) == (12, True, None)
    assert (opening.quantity, opening.in_contracts) == (1200, False)
    assert (opening.side, opening.position_side) == (Side.BUY, PositionSide.LONG)
    assert closing.filled_at == at(2026, 8, 20, 14, 17, 15)
    assert closing.fees == money("0.023286")
    assert closing.exchange_order_id == "770000000000000002"
    assert dict(found.left_out) == {"Funding fee is no execution": 1}


def test_kraken_is_in_utc_and_tells_fees_in_quote():
    found = sample("kraken-trades.csv")
    assert (found.kind, found.zone, found.without_ids) == ("kraken", "UTC", 0)
    bought, sold = found.fills
    assert bought.filled_at == at(2026, 3, 17, 9, 34, 12).replace(microsecond=123400)
    assert (bought.fill_id, bought.exchange_order_id) == (
        "TCWJEG-FL4SZ-3FKGH6",
        "OQCLML-BW3P3-BUCMWZ",
    )
    assert (sold.symbol, sold.fees) == ("XBT/USD", money("2.44", ""))


def test_the_same_bytes_have_the_same_hash():
    assert sample(BINANCE).sha256 == sample(BINANCE).sha256
    assert len({one.digest for one in sample(BINANCE).fills}) == 4


# Zones -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "hour"),
    (
        ("UTC", 17),
        ("utc+3", 14),
        ("UTC-05:30", 22),
        ("Europe/Berlin", 15),
    ),
)
def test_a_zone_is_an_offset_or_a_name(zone, hour):
    assert binance(ROW, zone=zone).fills[0].filled_at.hour == hour


@pytest.mark.parametrize(
    "zone", ("Nowhere/At all", "UTC+15", "+3", "../etc/passwd", "UTC+05:99", "x" * 500)
)
def test_what_is_no_zone_is_told(zone):
    with pytest.raises(UsageError, match="no time zone"):
        binance(ROW, zone=zone)


def test_a_zone_against_the_file_is_refused():
    assert sample(BINANCE, zone="UTC+03:00").zone == "UTC+3"
    with pytest.raises(UsageError, match=r"tells times in UTC\+3, and --timezone says UTC"):
        sample(BINANCE, zone="UTC")


@pytest.mark.parametrize("time", ("2026-10-25 02:30:00", "2026-03-29 02:30:00"))
def test_an_hour_that_came_twice_or_never_is_refused(time):
    with pytest.raises(UsageError, match=r"line 2: Time .* is ambiguous"):
        binance(ROW.replace("2026-08-20 17:17:15", time), zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("time", "zone"),
    (
        ("0001-01-01 00:00:00", "UTC+3"),
        ("9999-12-31 23:59:59", "UTC-3"),
        ("0001-01-01 00:00:00", "Asia/Tokyo"),
    ),
)
def test_a_day_that_utc_does_not_have_is_refused(time, zone):
    with pytest.raises(UsageError, match=r"line 2: Time .* is not a time"):
        binance(ROW.replace("2026-08-20 17:17:15", time), zone=zone)


def test_a_header_may_tell_utc():
    header = "Date(UTC),Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit,Quote Asset"
    row = "2026-08-20 17:17:15,BTCUSDT,BUY,65000,0.010,650,0.3,0,USDT"
    (fill,) = binance(row, header=header, zone=None).fills
    assert (fill.filled_at.hour, fill.fees) == (17, money("0.3"))


# Bad lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "why"),
    (
        ("650,", "660,", "Amount 660 is not price times quantity"),
        ("0.010", "10", "is not price times quantity"),
        ("0.010", "0", "Quantity 0 is not above zero"),
        ("0.010", "-0.010", "is not above zero"),
        ("0.010", "NaN", "is not a number"),
        ("0.010", "ten", "is not a number"),
        ("0.010", "", "Quantity is empty"),
        ("0.010", "1e40", "is beyond what is traded"),
        ("0.010", "1e9999999", "is beyond what is traded"),
        ("0.010", "1e-9999999", "is beyond what is traded"),
        ("0.010", "9" * 199, r"'9{80}' and 119 characters more is beyond"),
        ("0.010", "\u0660\u0661", "is not a number"),
        ("BTCUSDT", "B" * 300, "is longer than 200"),
        ("2026-08-20 17:17:15", "0000-01-01 00:00:00", "is not a time"),
        ("65000,", "1 000,", "is not a number"),
        ("65000,", "65000K,", "Price '65000K' ends in what is no asset of its symbol"),
        ("0.010", "0.010ETH", "Quantity '0.010ETH' ends in what is no asset of its symbol"),
        ("650,", "650M,", "Amount '650M' ends in what is no asset of its symbol"),
        ("BUY", "HOLD", "neither BUY nor SELL"),
        ("2026-08-20 17:17:15", "20/08/2026", "is not a time"),
        ("2026-08-20 17:17:15", "2026-13-20 17:17:15", "is not a time"),
        ("BTCUSDT", "", "Symbol is empty"),
        (",51,88", ",51", "12 columns where the header has 13"),
    ),
)
def test_a_bad_line_is_named_by_its_number_and_nothing_is_kept(old, new, why):
    with pytest.raises(UsageError, match=rf"export\.csv, line 3: .*{why}.*nothing was kept"):
        binance(ROW, ROW.replace(old, new))


def test_the_assets_of_its_symbol_may_be_glued_to_a_number():
    glued = ROW.replace("65000,", "65000USDT,").replace("0.010", "0.010BTC")
    (fill,) = binance(glued).fills
    assert (fill.quantity, fill.price) == (Decimal("0.010"), Decimal(65000))


def test_an_execution_that_stands_twice_is_refused():
    with pytest.raises(UsageError, match="line 3: fill 51 of order 88 stands in line 2 already"):
        binance(ROW, ROW)
    assert len(binance(ROW, ROW.replace("BUY", "SELL")).fills) == 2  # a self-trade


def test_a_margin_trade_of_kraken_is_refused():
    text = (SAMPLES / "kraken-trades.csv").read_text().replace('0.00000,"","L3', '120.0,"","L3')
    with pytest.raises(UsageError, match="line 3: it is a trade on margin"):
        parse(text.encode(), file_name="trades.csv")


def test_an_unknown_unit_of_okx_is_refused():
    text = (SAMPLES / "okx-trading-history.csv").read_text("utf-8").replace(",cont,", ",USDT,", 1)
    with pytest.raises(UsageError, match="line 3: Trading Unit 'usdt' is neither"):
        parse(text.encode(), file_name="okx.csv")


@pytest.mark.parametrize(
    ("data", "why"),
    (
        (b"", "no header that is known"),
        (b"a,b,c\n1,2,3\n", "Known are the trade histories of Binance USD-M, "),
        (b"\xff\xfe\x00\x01", "not a text in UTF-8"),
        (b"PK\x03\x04", "no header that is known"),
        (b"x" * 200_000, "no header that is known"),
        (HEADER.encode() + b"\n\x00", "holds a character NUL"),
        (HEADER.encode() + b",Quantity\n", "has two columns 'Quantity'"),
    ),
)
def test_a_file_that_is_no_export_is_told(data, why):
    with pytest.raises(UsageError, match=why):
        parse(data, file_name="file.csv")


def test_empty_lines_are_nothing():
    assert len(binance("", ROW, "", "").fills) == 1
