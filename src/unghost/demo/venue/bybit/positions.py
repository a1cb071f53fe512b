"""The legs of an account."""

from __future__ import annotations

from unghost.demo.venue.bybit.asking import VENUE, Asked, bad_parameter
from unghost.demo.venue.bybit.pages import Line, listed, page_of
from unghost.demo.venue.bybit.spelling import INDEX_OF_LEG, LAUNCHED_MS, direction
from unghost.demo.venue.figures import LEVERAGE, Valued, money, plain, short, stepped, valued
from unghost.demo.venue.protocol import Row
from unghost.demo.world import Market, Position, PositionSide, World


def position_list(asked: Asked) -> Row:
    """GET position/list: of a symbol every leg of the mode, empty ones too; of a settle coin
    only what is held.
    """
    page = page_of(asked, default=20, most=200)
    if asked.category() != "linear":
        return listed(asked, page, [])
    one = asked.market()
    if one is None and asked.text("settleCoin") is None:
        raise bad_parameter("Missing some parameters that must be filled in, symbol or settleCoin")
    wanted = asked.symbols()
    held = asked.held()
    named = [] if one is None else [(one.symbol, leg) for leg in asked.account.legs]
    legs = {*named, *held}
    lines = [
        _position_line(asked.world, asked.world.market(symbol), leg, held.get((symbol, leg)))
        for symbol, leg in legs
        if symbol in wanted
    ]
    return listed(asked, page, lines)


def _position_line(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Line:
    key = (market.listing(VENUE).native_id, INDEX_OF_LEG[side])
    return Line(key=key, make=lambda: _position_row(market, side, valued(world, market, position)))


def _position_row(market: Market, side: PositionSide, leg: Valued) -> Row:
    return {
        "positionIdx": INDEX_OF_LEG[side],
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": market.listing(VENUE).native_id,
        "side": direction(leg.quantity),
        "size": stepped(abs(leg.quantity), market.quantity_step) if leg.quantity else "0",
        "avgPrice": short(leg.entry_price),
        "positionValue": short(abs(leg.quantity) * leg.entry_price) if leg.quantity else "",
        "tradeMode": 0,
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": str(LEVERAGE),
        "markPrice": plain(leg.mark_price),
        "liqPrice": "",
        "bustPrice": "",
        "positionIM": money(leg.margin) if leg.quantity else "",
        "positionMM": money(leg.maintenance) if leg.quantity else "",
        "positionBalance": "0",
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": money(leg.profit) if leg.quantity else "",
        "curRealisedPnl": "0",
        "cumRealisedPnl": "0",
        "adlRankIndicator": 2 if leg.quantity else 0,
        "isReduceOnly": False,
        "createdTime": str(leg.updated_at or LAUNCHED_MS),
        "updatedTime": str(leg.updated_at or LAUNCHED_MS),
        "seq": leg.updated_at or -1,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
    }
