"""The exports that are known: Binance USD-M, Bybit, OKX and Kraken. Pure.

Each is told by its columns. Formats: VENUES, last section.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from unghost.adapters.fills_file.line import Line
from unghost.adapters.fills_file.zones import offset_in
from unghost.errors import quoted
from unghost.filefills import IN_QUOTE, FileFill
from unghost.model import Money, PositionSide, Side

LONGEST_WORD: Final = 40
"""Characters of a word by which lines that are no executions are counted."""
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
class Heading:
    """What stands around the table: lines before its header, the header, the name of the file."""

    preamble: Sequence[str]
    columns: Sequence[str]
    file_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One exchange's export: the columns that tell it, its zone, and how a line is read.

    `read` answers with a text where a line is no execution.
    """

    name: str
    title: str
    columns: frozenset[str]
    zone: Callable[[Heading], str | None]
    read: Callable[[Line], FileFill | str]


# zones ----------------------------------------------------------------------------------------


def _zone_in_name(heading: Heading) -> str | None:
    return "UTC" if TIME_IN_UTC in heading.columns else offset_in(heading.file_name)


def _zone_in_preamble(heading: Heading) -> str | None:
    for text in heading.preamble:
        found = re.search(r"Time Zone:\s*((?:UTC|GMT)[^,\s]*)", text)
        if found is not None:
            return found[1]
    return None


def _always_utc(_: Heading) -> str | None:
    return "UTC"


# lines ----------------------------------------------------------------------------------------


def _binance(line: Line) -> FileFill:
    symbol = line.text("Symbol")
    quantity, price = line.above_zero("Quantity", symbol), line.above_zero("Price", symbol)
    line.check_cost("Amount", quantity * price, symbol)
    fee, asset = line.amount("Fee")
    asset = asset or line.optional("Quote Asset")
    time = TIME_IN_UTC if TIME_IN_UTC in line.cells else "Time"
    return FileFill(
        line=line.number,
        symbol=symbol,
        side=line.side("Side"),
        quantity=quantity,
        price=price,
        filled_at=line.time(time),
        fees=None if asset is None else (Money(currency=asset, amount=fee),),
        fill_id=line.optional("Trade ID"),
        exchange_order_id=line.optional("Order ID"),
        digest=line.digest(),
    )


def _bybit(line: Line) -> FileFill | str:
    """The log of the unified account: trades are lines among transfers and funding; no ids."""
    kind = line.text("Type").upper()
    if kind not in BYBIT_EXECUTIONS:
        return f"{kind[:LONGEST_WORD]} is no execution"
    quantity = abs(line.bare("Quantity"))
    if not quantity:
        raise line.wrong("Quantity is zero")
    fee = line.bare("Fee Paid") if line.cells["Fee Paid"] not in {"", "--"} else None
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


def _okx(line: Line) -> FileFill | str:
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


def _okx_fee(line: Line) -> tuple[Money, ...] | None:
    """A fee that was paid is below zero here; None where the file does not tell it."""
    currency = line.cells.get("Fee Unit", "") or line.cells.get("Fee Currency", "")
    if line.cells.get("Fee", "") in {"", "--"} or currency in {"", "--"}:
        return None
    return (Money(currency=currency, amount=-line.bare("Fee")),)


def _kraken(line: Line) -> FileFill:
    """Spot. The fee is in the quote currency, which the pair's name does not set apart."""
    if line.bare("margin"):
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
        fees=(Money(currency=IN_QUOTE, amount=line.bare("fee")),),
        fill_id=line.optional("txid"),
        exchange_order_id=line.optional("ordertxid"),
        digest=line.digest(),
    )


def _columns(text: str) -> frozenset[str]:
    return frozenset(text.split(","))


KINDS: Final = (
    Kind(
        name="binanceusdm",
        title="Binance USD-M",
        columns=_columns("Time,Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit"),
        zone=_zone_in_name,
        read=_binance,
    ),
    Kind(
        name="binanceusdm",
        title="Binance USD-M with times in UTC",
        columns=_columns("Date(UTC),Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit"),
        zone=_zone_in_name,
        read=_binance,
    ),
    Kind(
        name="bybit",
        title="Bybit's unified account",
        columns=_columns(
            "Currency,Contract,Type,Direction,Quantity,Filled Price,Fee Paid,Time(UTC)"
        ),
        zone=_always_utc,
        read=_bybit,
    ),
    Kind(
        name="okx",
        title="OKX",
        columns=_columns("id,Order id,Time,Symbol,Action,Amount,Trading Unit,Filled Price"),
        zone=_zone_in_preamble,
        read=_okx,
    ),
    Kind(
        name="kraken",
        title="Kraken",
        columns=_columns("txid,ordertxid,pair,time,type,price,cost,fee,vol,margin"),
        zone=_always_utc,
        read=_kraken,
    ),
)
