"""What the shared demands on readers need to know of a venue: see `test_conformance.py`.

A case is a face (one exchange's protocol, put on a simulated world) and the figures of its paging.
A venue without a face among `unghost.demo.venue` brings one of its own from the tests: whatever
turns the world's truth into the HTTP bodies of that exchange will do, written by hand or scripted.
Faults, the request log and the clock are the venue's own, so every case has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from unghost.demo.venue.binanceusdm import BinanceUsdm
from unghost.demo.venue.bybit import Bybit, execution_id
from unghost.demo.venue.okx import Okx
from unghost.demo.venue.protocol import Face
from unghost.demo.world import DEFAULT_MARKETS, Fill, FillKind, Market


class Question(StrEnum):
    """What a reader asks a venue for."""

    MARKETS = "markets"
    POSITIONS = "positions"
    FILLS = "fills"
    DEBTS = "debts"
    """What was borrowed, where fills prove nothing without it."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """How a question looks on the wire: the end of its path, and parameters it must carry."""

    endpoint: str
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class VenueCase:
    """One venue. Quantities are in base units, as everything that a reader tells."""

    exchange: str
    """The CCXT id."""
    face: Face
    calls: Mapping[Question, Call]
    page: int
    """The most fills of one page."""
    symbol: str
    """A market that is traded here, with contracts of another size than 1 where there are some."""
    step: Decimal
    """A quantity of that market that is a whole number of contracts."""
    fill_id: Callable[[Fill], str] = lambda fill: str(fill.fill_id)
    hedges: bool = True
    """Whether the venue has a hedge mode."""
    tells_client_ids: bool = True
    """Whether fills carry the client order id."""
    calls_when_empty: int = 1
    spare_calls: int = 1
    """Calls for fills beyond one a page: the one that finds no more."""
    depth: timedelta | None = None
    """How far back the venue tells fills, where there is an end to it."""
    lists_pages_of_positions: bool = False
    """Whether positions come in pages, of which the last is empty."""
    needed_of_a_position: tuple[str, ...] = ()
    needed_of_a_fill: tuple[str, ...] = ()
    """Names of raw fields without which nothing may be believed."""
    amount_field: str = ""
    """The raw field that holds the quantity of a fill."""
    size_field: str = ""
    """The raw field that holds the size of a position."""
    cost_field: str = ""
    """The raw field by which the unit of quantities can be cross-checked, where there is one."""
    wrong_cost: Any = "1234567"
    kinds: tuple[FillKind, ...] = tuple(FillKind)
    """The kinds of fills that the venue tells apart from trades."""
    markets: tuple[Market, ...] = DEFAULT_MARKETS
    secret: str = "secret-of-desk-1"
    """Where an exchange's secrets have a form of their own."""
    tells_fees: bool = True
    """Whether fills carry their fees."""
    other_fee: str | None = "BNB"
    """Another currency in which a fee may be told, where that is possible."""
    signs_amounts: bool = False
    """Whether the sign of a fill's quantity tells its side."""
    many: int = 2300
    """Fills for the test of many pages: fewer where the venue lets nobody ask so often."""
    calls_besides: int = 0
    """Calls that a connection makes once, whatever it is asked."""
    market_type: str = "swap"
    tells_account: bool = True
    """Whether any call tells which account a key sees."""
    others_funding: bool = False
    """Whether funding comes among the fills."""
    adds_up: bool = False
    """Whether an asset may be told in several rows, which are added up."""

    @property
    def name(self) -> str:
        """The exchange, and the sort of its markets where that is not perpetuals."""
        usual = self.market_type == "swap"
        return self.exchange if usual else f"{self.exchange}-{self.market_type}"


XRP, DOGE = "XRP/USDT:USDT", "DOGE/USDT:USDT"

CASES: tuple[VenueCase, ...] = (
    VenueCase(
        exchange="binanceusdm",
        face=BinanceUsdm(),
        calls={
            Question.MARKETS: Call(endpoint="exchangeInfo"),
            Question.POSITIONS: Call(endpoint="positionRisk"),
            Question.FILLS: Call(endpoint="userTrades"),
        },
        page=1000,
        symbol=XRP,
        step=Decimal(100),
        tells_client_ids=False,
        kinds=(FillKind.TRADE,),
        needed_of_a_position=("symbol", "positionAmt", "positionSide"),
        needed_of_a_fill=("qty", "price", "time", "orderId", "id", "side", "positionSide"),
        amount_field="qty",
        size_field="positionAmt",
        cost_field="quoteQty",
    ),
    VenueCase(
        exchange="bybit",
        face=Bybit(),
        calls={
            Question.MARKETS: Call(endpoint="instruments-info"),
            Question.POSITIONS: Call(endpoint="position/list"),
            Question.FILLS: Call(endpoint="execution/list"),
        },
        page=100,
        symbol=XRP,
        step=Decimal(100),
        fill_id=lambda fill: execution_id(fill.fill_id),
        depth=timedelta(days=730),
        lists_pages_of_positions=True,
        needed_of_a_position=("symbol", "size", "side", "positionIdx"),
        needed_of_a_fill=(
            "symbol",
            "execQty",
            "execPrice",
            "execTime",
            "orderId",
            "execId",
            "side",
            "execType",
            "closedSize",
        ),
        amount_field="execQty",
        size_field="size",
        cost_field="execValue",
        others_funding=True,
    ),
    VenueCase(
        exchange="okx",
        face=Okx(),
        calls={
            Question.MARKETS: Call(endpoint="public/instruments"),
            Question.POSITIONS: Call(endpoint="account/positions"),
            Question.FILLS: Call(endpoint="trade/fills-history"),
        },
        page=100,
        symbol=DOGE,
        step=Decimal(1000),
        depth=timedelta(days=90),
        needed_of_a_position=("instId", "pos", "posSide", "posId", "instType"),
        needed_of_a_fill=(
            "instId",
            "fillSz",
            "fillPx",
            "ts",
            "ordId",
            "billId",
            "side",
            "posSide",
        ),
        amount_field="fillSz",
        size_field="pos",
        cost_field="feeRate",
        wrong_cost="0.9",
    ),
)
"""The venues that a face of `unghost.demo.venue` stands for."""
