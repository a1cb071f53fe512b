"""Fills out of the CSV exports of Binance USD-M, Bybit, OKX and Kraken. Pure: bytes in, rows out.

The kind of a file is told by its header. A file is taken whole or not at all: the first line that
cannot be read exactly is named, and nothing is kept. Formats: VENUES, last section.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from unghost.errors import UsageError, quoted
from unghost.filefills import IN_QUOTE, FileFill
from unghost.model import Money, PositionSide, Side, is_amount

HEADER_WITHIN: Final = 5
"""Lines within which the header must be: before it may stand a preamble."""
COST_TOLERANCE: Final = Decimal("0.01")
"""Costs come rounded; a wrong unit is off by far more than one part in a hundred."""
BOM: Final = "\ufeff"
FULL_YEAR: Final = 4
MAX_MAGNITUDE: Final = 30
"""Powers of ten, as for what an exchange answers."""
LONGEST_WORD: Final = 40
"""Characters of a word by which lines that are no executions are counted."""
LONGEST_TEXT: Final = 200
"""Characters of a symbol or an id: no exchange writes longer ones."""

_OFFSET = re.compile(r"(?:UTC|GMT)\s*([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)
_UTC = re.compile(r"(?:UTC|GMT|Z)", re.IGNORECASE)
_AMOUNT = re.compile(
    r"\s*([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([A-Za-z][A-Za-z0-9]*)?\s*", re.ASCII
)
_TIME = re.compile(
    r"(\d{4}|\d{2})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?", re.ASCII
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedFile:
    """What a file holds. `zone` is the one its times were read in; `left_out` counts by why."""

    kind: str
    zone: str
    sha256: str
    fills: tuple[FileFill, ...]
    left_out: Mapping[str, int]

    @property
    def without_ids(self) -> int:
        """Rows that are shown and never written from."""
        return sum(not one.has_ids for one in self.fills)


def parse(data: bytes, *, file_name: str, zone: str | None = None) -> ParsedFile:
    """Every row of the file, in its order. Times are aware UTC.

    `zone` is a name (`Europe/Berlin`) or `UTC+3`, needed where the file does not tell its own.
    UsageError names the file and the line.
    """
    lines = _lines(data, file_name)
    table = _table(lines, file_name)
    at, zone_name = _zone(table, file_name, zone)
    left_out: dict[str, int] = {}
    fills: list[FileFill] = []
    for number, cells in table.rows:
        line = _Line(file_name=file_name, number=number, cells=cells, zone=at)
        found = table.kind.read(line)
        if isinstance(found, str):
            left_out[found] = left_out.get(found, 0) + 1
        else:
            fills.append(found)
    _refuse_twins(fills, file_name)
    return ParsedFile(
        kind=table.kind.name,
        zone=zone_name,
        sha256=hashlib.sha256(data).hexdigest(),
        fills=tuple(fills),
        left_out=left_out,
    )


def _refuse_twins(fills: Sequence[FileFill], file_name: str) -> None:
    """One execution in two lines would count twice; a self-trade has two sides."""
    seen: dict[tuple[object, ...], int] = {}
    for one in fills:
        key = (one.symbol, one.side, one.exchange_order_id, one.fill_id)
        if one.has_ids and seen.setdefault(key, one.line) != one.line:
            raise UsageError(
                f"{file_name}, line {one.line}: fill {one.fill_id} of order"
                f" {one.exchange_order_id} stands in line {seen[key]} already; nothing was kept."
            )


# The table ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    kind: _Kind
    preamble: Sequence[str]
    header: Sequence[str]
    rows: Sequence[tuple[int, Mapping[str, str]]]


def _lines(data: bytes, file_name: str) -> list[str]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file_name} is not a text in UTF-8: export it as CSV.") from None
    if "\0" in text:
        raise UsageError(f"{file_name} holds a character NUL: export it anew as CSV.")
    return text.replace(BOM, "").splitlines(keepends=True)


def _table(lines: Sequence[str], file_name: str) -> _Table:
    """The table behind the first line that is the header of a known kind."""
    for place, text in enumerate(lines[:HEADER_WITHIN]):
        header = _cells(text)
        for kind in KINDS:
            if kind.columns <= set(header):
                _refuse_twin_columns(header, file_name)
                rows = tuple(_rows(lines, place, header, file_name))
                return _Table(kind=kind, preamble=lines[:place], header=header, rows=rows)
    raise UsageError(
        f"{file_name} has no header that is known within its first {HEADER_WITHIN} lines. Known are"
        f" the trade histories of {', '.join(kind.title for kind in KINDS)}."
    )


def _cells(text: str) -> list[str]:
    """The cells of a line that may be the header; none of what is too long to be one."""
    try:
        return [cell.strip() for cell in next(csv.reader([text]), [])]
    except csv.Error:
        return []


def _refuse_twin_columns(header: Sequence[str], file_name: str) -> None:
    """Of two columns with one name nobody knows which is meant."""
    twins = sorted({name for name in header if name and header.count(name) > 1})
    if twins:
        raise UsageError(f"{file_name} has two columns {quoted(twins[0])}: export it anew.")


def _rows(
    lines: Sequence[str], place: int, header: Sequence[str], file_name: str
) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(io.StringIO("".join(lines[place + 1 :])), strict=True)
    try:
        for cells in reader:
            number = place + 1 + reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UsageError(
                    f"{file_name}, line {number}: {len(cells)} columns where the header has"
                    f" {len(header)}; nothing was kept."
                )
            values = (cell.strip() for cell in cells)
            yield number, dict(zip(header, values, strict=True))
    except csv.Error as error:
        number = place + 1 + reader.line_num
        raise UsageError(f"{file_name}, line {number}: {error}; nothing was kept.") from None


# Zones -------------------------------------------------------------------------------------------


def _zone(table: _Table, file_name: str, asked: str | None) -> tuple[tzinfo, str]:
    """The zone of the times: as the file tells, else as was said. They must not contradict."""
    told = table.kind.zone(table, file_name)
    if told is None and asked is None:
        raise UsageError(
            f"{file_name} does not tell the time zone of its times: say it with --timezone, as in"
            " --timezone UTC+3 or --timezone Europe/Berlin."
        )
    if told is not None and asked is not None and _offset(told) != _offset(asked):
        raise UsageError(f"{file_name} tells times in {told}, and --timezone says {asked}.")
    name = told or asked or ""
    return zone_of(name), name


def zone_of(name: str) -> tzinfo:
    """A zone by `UTC`, `UTC+3`, `UTC+05:30` or its name. UsageError for what is none."""
    if _UTC.fullmatch(name.strip()):
        return UTC
    found = _OFFSET.fullmatch(name.strip())
    if found is not None:
        return timezone(_delta(found))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        why = f"{quoted(name)} is no time zone: name one as UTC+3 or Europe/Berlin."
        raise UsageError(why) from None


def _offset(name: str) -> tzinfo | timedelta | None:
    zone = zone_of(name)
    return zone if isinstance(zone, ZoneInfo) else zone.utcoffset(None)


def _delta(found: re.Match[str]) -> timedelta:
    sign, hours, minutes = found.groups(default="0")
    size = timedelta(hours=int(hours), minutes=int(minutes))
    if size > timedelta(hours=14):
        raise UsageError(f"{found.group()!r} is no time zone: no place is so far from UTC.")
    return -size if sign == "-" else size


def _zone_in_name(table: _Table, file_name: str) -> str | None:
    if TIME_IN_UTC in table.header:
        return "UTC"
    found = _OFFSET.search(file_name)
    return None if found is None else found.group()


def _zone_in_preamble(table: _Table, _: str) -> str | None:
    for text in table.preamble:
        found = re.search(r"Time Zone:\s*((?:UTC|GMT)[^,\s]*)", text)
        if found is not None:
            return found[1]
    return None


def _always_utc(_: _Table, __: str) -> str | None:
    return "UTC"


# Lines -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """One line while it is read. Every method raises UsageError that names it."""

    file_name: str
    number: int
    cells: Mapping[str, str]
    zone: tzinfo

    def wrong(self, why: str) -> UsageError:
        return UsageError(f"{self.file_name}, line {self.number}: {why}; nothing was kept.")

    def quoted(self, column: str) -> str:
        """What stands in the cell, for a sentence."""
        return quoted(self.cells[column])

    def text(self, column: str) -> str:
        value = self.cells[column]
        if value in {"", "--"}:
            raise self.wrong(f"{column} is empty")
        if len(value) > LONGEST_TEXT:
            raise self.wrong(f"{column} {self.quoted(column)} is longer than {LONGEST_TEXT}")
        return value

    def optional(self, column: str) -> str | None:
        empty = self.cells.get(column, "") in {"", "--", "0"}
        return None if empty else self.text(column)

    def amount(self, column: str) -> tuple[Decimal, str | None]:
        """A number, and the asset that may be glued to it (`0.0073USDT`)."""
        found = _AMOUNT.fullmatch(self.text(column))
        if found is None:
            raise self.wrong(f"{column} {self.quoted(column)} is not a number")
        try:
            number = Decimal(found[1])
        except InvalidOperation:
            raise self.wrong(f"{column} {self.quoted(column)} is not a number") from None
        if not is_amount(number) or abs(number.adjusted()) > MAX_MAGNITUDE:
            raise self.wrong(f"{column} {self.quoted(column)} is beyond what is traded")
        return number, found[2]

    def above_zero(self, column: str) -> Decimal:
        number, _ = self.amount(column)
        if number <= 0:
            raise self.wrong(f"{column} {number} is not above zero")
        return number

    def side(self, column: str) -> Side:
        word = self.text(column).lower()
        if word not in {"buy", "sell"}:
            raise self.wrong(f"{column} {self.quoted(column)} is neither BUY nor SELL")
        return Side(word)

    def time(self, column: str) -> datetime:
        """In UTC. A local time that came twice, or never, when clocks were changed is refused."""
        found = _TIME.fullmatch(self.text(column))
        if found is None:
            raise self.wrong(f"{column} {self.quoted(column)} is not a time")
        year, month, day, hour, minute, second, fraction = found.groups(default="0")
        century = "" if len(year) == FULL_YEAR else "20"
        written = f"{century}{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction[:6]:0<6}"
        try:
            local = datetime.fromisoformat(written).replace(tzinfo=self.zone)
            is_ambiguous = local.utcoffset() != local.replace(fold=1).utcoffset()
            at = local.astimezone(UTC)
        except (ValueError, OverflowError):  # the first and the last day end elsewhere in UTC
            raise self.wrong(f"{column} {self.quoted(column)} is not a time") from None
        if is_ambiguous:
            raise self.wrong(f"{column} {self.quoted(column)} is ambiguous in its zone")
        return at

    def check_cost(self, column: str, expected: Decimal) -> None:
        """Quantity, price and amount must agree: else the unit is in doubt."""
        cost = abs(self.amount(column)[0])
        last_digit = Decimal((0, (1,), int(cost.as_tuple().exponent)))
        if abs(cost - expected) > expected * COST_TOLERANCE + last_digit:
            raise self.wrong(f"{column} {cost} is not price times quantity {expected}")

    def digest(self) -> str:
        text = "\x1f".join(f"{name}={value}" for name, value in sorted(self.cells.items()))
        return hashlib.sha256(text.encode()).hexdigest()


# Kinds -------------------------------------------------------------------------------------------


def _binance(line: _Line) -> FileFill:
    quantity, price = line.above_zero("Quantity"), line.above_zero("Price")
    line.check_cost("Amount", quantity * price)
    fee, asset = line.amount("Fee")
    asset = asset or line.optional("Quote Asset")
    time = TIME_IN_UTC if TIME_IN_UTC in line.cells else "Time"
    return FileFill(
        line=line.number,
        symbol=line.text("Symbol"),
        side=line.side("Side"),
        quantity=quantity,
        price=price,
        filled_at=line.time(time),
        fees=None if asset is None else (Money(currency=asset, amount=fee),),
        fill_id=line.optional("Trade ID"),
        exchange_order_id=line.optional("Order ID"),
        digest=line.digest(),
    )


def _bybit(line: _Line) -> FileFill | str:
    """The log of the unified account: trades are lines among transfers and funding; no ids."""
    kind = line.text("Type").upper()
    if kind not in BYBIT_EXECUTIONS:
        return f"{kind[:LONGEST_WORD]} is no execution"
    quantity = abs(line.amount("Quantity")[0])
    if not quantity:
        raise line.wrong("Quantity is zero")
    fee = line.amount("Fee Paid")[0] if line.cells["Fee Paid"] not in {"", "--"} else None
    currency = line.text("Currency")
    return FileFill(
        line=line.number,
        symbol=line.text("Contract"),
        side=line.side("Direction"),
        quantity=quantity,
        price=line.above_zero("Filled Price"),
        filled_at=line.time("Time(UTC)"),
        fees=None if fee is None else (Money(currency=currency, amount=abs(fee)),),
        digest=line.digest(),
    )


def _okx(line: _Line) -> FileFill | str:
    """In contracts (`cont`) or in the base asset; an action may name the leg."""
    action = line.text("Action").lower()
    if action not in OKX_ACTIONS:
        return f"{line.cells['Action'][:LONGEST_WORD]} is no execution"
    side, leg = OKX_ACTIONS[action]
    unit = line.text("Trading Unit").lower()
    symbol = line.text("Symbol")
    if unit not in {*OKX_CONTRACTS, symbol.split("-")[0].lower()}:
        raise line.wrong(
            f"Trading Unit {quoted(unit)} is neither contracts nor the asset of its symbol"
        )
    return FileFill(
        line=line.number,
        symbol=symbol,
        side=side,
        quantity=line.above_zero("Amount"),
        in_contracts=unit in OKX_CONTRACTS,
        price=line.above_zero("Filled Price"),
        filled_at=line.time("Time"),
        position_side=leg,
        fees=_okx_fee(line),
        fill_id=line.optional("id"),
        exchange_order_id=line.optional("Order id"),
        digest=line.digest(),
    )


def _okx_fee(line: _Line) -> tuple[Money, ...] | None:
    """A fee that was paid is below zero here; None where the file does not tell it."""
    currency = line.cells.get("Fee Unit", "") or line.cells.get("Fee Currency", "")
    if line.cells.get("Fee", "") in {"", "--"} or currency in {"", "--"}:
        return None
    return (Money(currency=currency, amount=-line.amount("Fee")[0]),)


def _kraken(line: _Line) -> FileFill:
    """Spot. The fee is in the quote currency, which the pair's name does not set apart."""
    if line.amount("margin")[0]:
        raise line.wrong("it is a trade on margin, which moves a position and not the balance")
    quantity, price = line.above_zero("vol"), line.above_zero("price")
    line.check_cost("cost", quantity * price)
    return FileFill(
        line=line.number,
        symbol=line.text("pair"),
        side=line.side("type"),
        quantity=quantity,
        price=price,
        filled_at=line.time("time"),
        fees=(Money(currency=IN_QUOTE, amount=line.amount("fee")[0]),),
        fill_id=line.optional("txid"),
        exchange_order_id=line.optional("ordertxid"),
        digest=line.digest(),
    )


TIME_IN_UTC: Final = "Date(UTC)"
BYBIT_EXECUTIONS: Final = frozenset({"TRADE", "LIQUIDATION", "ADL"})
OKX_CONTRACTS: Final = frozenset({"cont", "conts", "contract", "contracts"})
OKX_ACTIONS: Final[Mapping[str, tuple[Side, PositionSide | None]]] = {
    "buy": (Side.BUY, None),
    "sell": (Side.SELL, None),
    "open long": (Side.BUY, PositionSide.LONG),
    "close long": (Side.SELL, PositionSide.LONG),
    "open short": (Side.SELL, PositionSide.SHORT),
    "close short": (Side.BUY, PositionSide.SHORT),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """One exchange's export: the columns that tell it, its zone, and how a line is read.

    `read` answers with a text where a line is no execution.
    """

    name: str
    title: str
    columns: frozenset[str]
    zone: Callable[[_Table, str], str | None]
    read: Callable[[_Line], FileFill | str]


def _columns(text: str) -> frozenset[str]:
    return frozenset(text.split(","))


KINDS: Final = (
    _Kind(
        name="binanceusdm",
        title="Binance USD-M",
        columns=_columns("Time,Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit"),
        zone=_zone_in_name,
        read=_binance,
    ),
    _Kind(
        name="binanceusdm",
        title="Binance USD-M with times in UTC",
        columns=_columns("Date(UTC),Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit"),
        zone=_zone_in_name,
        read=_binance,
    ),
    _Kind(
        name="bybit",
        title="Bybit's unified account",
        columns=_columns(
            "Currency,Contract,Type,Direction,Quantity,Filled Price,Fee Paid,Time(UTC)"
        ),
        zone=_always_utc,
        read=_bybit,
    ),
    _Kind(
        name="okx",
        title="OKX",
        columns=_columns("id,Order id,Time,Symbol,Action,Amount,Trading Unit,Filled Price"),
        zone=_zone_in_preamble,
        read=_okx,
    ),
    _Kind(
        name="kraken",
        title="Kraken",
        columns=_columns("txid,ordertxid,pair,time,type,price,cost,fee,vol,margin"),
        zone=_always_utc,
        read=_kraken,
    ),
)
