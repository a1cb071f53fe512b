"""Cases of venues whose faces live in the tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from tests.exchange.bodies_bitget import MARKETS as OF_BITGET
from tests.exchange.bodies_bitget import Bitget
from tests.exchange.bodies_coinbase import MARKETS as OF_COINBASE
from tests.exchange.bodies_coinbase import Coinbase
from tests.exchange.bodies_gate import MARKETS as OF_GATE
from tests.exchange.bodies_gate import Gate
from tests.exchange.bodies_hyperliquid import MARKETS as OF_HYPERLIQUID
from tests.exchange.bodies_hyperliquid import Hyperliquid
from tests.exchange.bodies_kraken import MARKETS as OF_KRAKEN
from tests.exchange.bodies_kraken import Kraken
from tests.exchange.bodies_krakenfutures import MARKETS as OF_KRAKENFUTURES
from tests.exchange.bodies_krakenfutures import KrakenFutures
from tests.exchange.bodies_margin import BinanceMargin
from tests.exchange.venue_case import Call, Question, VenueCase

from unghost.demo.venue.binance_spot import SPOT_MARKETS, BinanceSpot
from unghost.demo.world import FillKind

BINANCE_SPOT = VenueCase(
    exchange="binance",
    market_type="spot",
    face=BinanceSpot(),
    markets=SPOT_MARKETS,
    calls={
        Question.MARKETS: Call(endpoint="exchangeInfo"),
        Question.POSITIONS: Call(endpoint="account"),
        Question.FILLS: Call(endpoint="myTrades"),
    },
    page=1000,
    symbol="SOL/USDT",
    step=Decimal("0.1"),
    hedges=False,
    tells_client_ids=False,
    kinds=(),
    calls_when_empty=4,
    spare_calls=5,
    needed_of_a_position=("asset", "free", "locked"),
    needed_of_a_fill=("qty", "price", "time", "orderId", "id", "isBuyer", "symbol"),
    amount_field="qty",
    size_field="free",
    cost_field="quoteQty",
)
BINANCE_MARGIN = replace(
    BINANCE_SPOT,
    market_type="margin",
    face=BinanceMargin(),
    calls={
        **BINANCE_SPOT.calls,
        Question.POSITIONS: Call(endpoint="margin/account"),
        Question.DEBTS: Call(endpoint="borrow-repay"),
    },
    tells_account=False,
    needed_of_a_position=(*BINANCE_SPOT.needed_of_a_position, "borrowed", "interest", "netAsset"),
    needed_of_a_fill=(*BINANCE_SPOT.needed_of_a_fill, "isIsolated"),
)
KRAKEN_SECRET = "c2VjcmV0LW9mLWRlc2stMQ=="
"""Kraken's are base64."""

MORE_CASES: tuple[VenueCase, ...] = (
    BINANCE_SPOT,
    BINANCE_MARGIN,
    VenueCase(
        exchange="coinbase",
        market_type="spot",
        face=Coinbase(),
        markets=OF_COINBASE,
        calls={
            Question.MARKETS: Call(endpoint="products"),
            Question.POSITIONS: Call(endpoint="accounts"),
            Question.FILLS: Call(endpoint="fills"),
        },
        page=1000,
        symbol="SOL/USD",
        step=Decimal("0.1"),
        hedges=False,
        tells_client_ids=False,
        kinds=(),
        other_fee=None,
        adds_up=True,
        needed_of_a_position=("currency", "available_balance", "hold"),
        needed_of_a_fill=(
            "trade_id",
            "order_id",
            "trade_time",
            "trade_type",
            "price",
            "size",
            "size_in_quote",
            "product_id",
            "side",
        ),
        amount_field="size",
        size_field="available_balance",
    ),
    VenueCase(
        exchange="kraken",
        market_type="spot",
        face=Kraken(),
        markets=OF_KRAKEN,
        calls={
            Question.MARKETS: Call(endpoint="AssetPairs"),
            Question.POSITIONS: Call(endpoint="BalanceEx"),
            Question.FILLS: Call(endpoint="TradesHistory"),
        },
        page=50,
        symbol="SOL/USD",
        step=Decimal("0.1"),
        fill_id=lambda fill: f"T{fill.fill_id}",
        secret=KRAKEN_SECRET,
        hedges=False,
        tells_client_ids=False,
        kinds=(),
        other_fee=None,
        adds_up=True,
        needed_of_a_position=("balance",),
        needed_of_a_fill=("ordertxid", "pair", "time", "type", "price", "vol", "margin"),
        amount_field="vol",
        size_field="balance",
        cost_field="cost",
    ),
    VenueCase(
        exchange="bitget",
        face=Bitget(),
        markets=OF_BITGET,
        calls={
            Question.MARKETS: Call(endpoint="contracts"),
            Question.POSITIONS: Call(endpoint="all-position"),
            Question.FILLS: Call(endpoint="fills"),
        },
        page=100,
        symbol="XRP/USDT:USDT",
        step=Decimal(100),
        fill_id=lambda fill: str(fill.record_id),
        tells_client_ids=False,
        depth=timedelta(days=90),
        needed_of_a_position=("symbol", "total", "holdSide", "posMode"),
        needed_of_a_fill=(
            "tradeId",
            "symbol",
            "orderId",
            "price",
            "baseVolume",
            "side",
            "tradeSide",
            "posMode",
            "cTime",
        ),
        amount_field="baseVolume",
        size_field="total",
        cost_field="quoteVolume",
    ),
    VenueCase(
        exchange="gate",
        face=Gate(),
        markets=OF_GATE,
        calls={
            Question.MARKETS: Call(endpoint="contracts"),
            Question.POSITIONS: Call(endpoint="positions"),
            Question.FILLS: Call(endpoint="my_trades_timerange"),
        },
        page=1000,
        symbol="DOGE/USDT:USDT",
        step=Decimal(1000),
        depth=timedelta(days=180),
        other_fee=None,
        signs_amounts=True,
        needed_of_a_position=("contract", "size", "mode"),
        needed_of_a_fill=(
            "trade_id",
            "create_time",
            "contract",
            "order_id",
            "size",
            "price",
        ),
        amount_field="size",
        size_field="size",
    ),
    VenueCase(
        exchange="hyperliquid",
        face=Hyperliquid(),
        markets=OF_HYPERLIQUID,
        calls={
            Question.MARKETS: Call(endpoint="info", where={"type": "metaAndAssetCtxs"}),
            Question.POSITIONS: Call(endpoint="info", where={"type": "clearinghouseState"}),
            Question.FILLS: Call(endpoint="info", where={"type": "userFillsByTime"}),
        },
        page=2000,
        symbol="XRP/USDC:USDC",
        step=Decimal(100),
        hedges=False,
        calls_besides=1,
        needed_of_a_position=("type", "position"),
        needed_of_a_fill=("coin", "px", "sz", "side", "time", "startPosition", "oid", "tid"),
        amount_field="sz",
        size_field="position",
    ),
    VenueCase(
        exchange="krakenfutures",
        tells_account=False,
        face=KrakenFutures(),
        markets=OF_KRAKENFUTURES,
        calls={
            Question.MARKETS: Call(endpoint="instruments"),
            Question.POSITIONS: Call(endpoint="openpositions"),
            Question.FILLS: Call(endpoint="fills"),
        },
        page=100,
        symbol="XRP/USD:USD",
        step=Decimal(100),
        many=1150,
        secret=KRAKEN_SECRET,
        hedges=False,
        tells_fees=False,
        kinds=(FillKind.TRADE, FillKind.LIQUIDATION, FillKind.ADL),
        needed_of_a_position=("symbol", "side", "size"),
        needed_of_a_fill=(
            "fill_id",
            "symbol",
            "side",
            "order_id",
            "size",
            "price",
            "fillTime",
            "fillType",
        ),
        amount_field="size",
        size_field="size",
    ),
)
