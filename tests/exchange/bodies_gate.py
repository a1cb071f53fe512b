"""Gate's futures v4: bare lists, contracts, times in seconds with a fraction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from tests.exchange.bodies import Asked, Row, TableFace, listed_at, size_of

from unghost.demo.venue.figures import plain, short, valued
from unghost.demo.venue.protocol import Json
from unghost.demo.world import (
    Fill,
    FillKind,
    Listing,
    Market,
    Position,
    PositionMode,
    PositionSide,
    Side,
)

POSITION_PAGE, FILL_PAGE = 100, 1000
TEXTS: Final = {
    FillKind.LIQUIDATION: "liq-123",
    FillKind.ADL: "auto_deleveraging",
    FillKind.SETTLEMENT: "settlement",
}
MODES: Final = {
    PositionSide.BOTH: "single",
    PositionSide.LONG: "dual_long",
    PositionSide.SHORT: "dual_short",
}


def _spelled(market: Market) -> Listing:
    size = next(each.contract_size for each in market.listings if each.venue == "okx")
    return Listing(venue="gate", native_id=f"{market.base}_USDT", contract_size=size)


MARKETS = listed_at("gate", _spelled)


class Gate(TableFace):
    """`untraded` are bases whose contracts the account has never held: they are not listed."""

    name = "gate"
    prefix = "/api/v4"
    key_header = "KEY"

    def __init__(self, *untraded: str) -> None:
        self.untraded = untraded

    def table(self) -> Mapping[str, Callable[[Asked], Json]]:
        return {
            "/spot/time": lambda asked: {"server_time": asked.now_ms},
            "/futures/usdt/contracts": _contracts,
            "/futures/btc/contracts": lambda _: [],
            "/futures/usdt/accounts": _account,
            "/futures/usdt/positions": self._positions,
            "/futures/usdt/my_trades_timerange": _fills,
        }

    def rows(self, body: Json) -> list[Json] | None:
        return body if isinstance(body, list) else None

    def stranger(self, why: str) -> Json:
        return {"label": "INVALID_KEY", "message": why}

    def _positions(self, asked: Asked) -> Json:
        held = {(p.symbol, p.position_side): p for p in asked.world.positions(asked.account)}
        is_dual = asked.account.mode is PositionMode.HEDGE
        sides = [PositionSide.LONG, PositionSide.SHORT] if is_dual else [PositionSide.BOTH]
        rows: list[Json] = [
            _position(asked, market, side, held.get((market.symbol, side)))
            for market in asked.world.listed("gate")
            if market.base not in self.untraded
            for side in sides
        ]
        first = asked.number("offset", 0)
        return rows[first:][: min(asked.number("limit", POSITION_PAGE), POSITION_PAGE)]


def _contracts(asked: Asked) -> Json:
    return [
        {
            "name": market.listings[0].native_id,
            "type": "direct",
            "quanto_multiplier": plain(size_of(market)),
            "order_size_min": 1,
            "order_size_max": 1_000_000,
            "order_price_round": plain(market.price_step),
            "order_price_deviate": "0.5",
            "mark_price": plain(market.reference_price),
            "leverage_min": "1",
            "leverage_max": "100",
            "status": "trading",
        }
        for market in asked.world.listed("gate")
    ]


def _account(asked: Asked) -> Json:
    is_dual = asked.account.mode is PositionMode.HEDGE
    return {"user": asked.account.uid, "currency": "USDT", "in_dual_mode": is_dual}


def _position(asked: Asked, market: Market, side: PositionSide, position: Position | None) -> Row:
    leg = valued(asked.world, market, position)
    return {
        "contract": market.listings[0].native_id,
        "mode": MODES[side],
        "size": short(leg.quantity / size_of(market)),
        "value": plain(abs(leg.notional)),
        "entry_price": plain(leg.entry_price),
        "mark_price": plain(leg.mark_price),
        "leverage": "0",
        "margin": plain(leg.margin),
        "unrealised_pnl": short(leg.profit),
        "update_time": leg.updated_at // 1000,
        "user": asked.account.uid,
    }


def _fills(asked: Asked) -> Json:
    """Newest first; `from` and `to` in whole seconds."""
    market = asked.world.market(asked.params["contract"])
    first, last = asked.number("from", 0), asked.number("to", asked.now_ms)
    found = [
        fill
        for fill in reversed(asked.world.fills(asked.account, market.symbol))
        if first * 1000 <= fill.at <= last * 1000
    ]
    page = found[asked.number("offset", 0) :][: min(asked.number("limit", 100), FILL_PAGE)]
    return [_row(asked, market, fill) for fill in page]


def _row(asked: Asked, market: Market, fill: Fill) -> Row:
    sign = 1 if fill.side is Side.BUY else -1
    closed = asked.world.legs(asked.account, fill.symbol)[fill].closed
    return {
        "trade_id": str(fill.fill_id),
        # A number, as the exchange sends it: it must not pass through a float.
        "create_time": Decimal(fill.at) / 1000,
        "contract": market.listings[0].native_id,
        "order_id": fill.order_id,
        "size": short(sign * fill.quantity / size_of(market)),
        "close_size": short(sign * closed / size_of(market)),
        "price": plain(fill.price),
        "role": "maker" if fill.maker else "taker",
        "text": TEXTS.get(fill.kind, fill.client_order_id),
        "fee": plain(fill.fee),
        "point_fee": "0",
    }
