"""The legs of an account, in both versions of the endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from unghost.demo.venue.binanceusdm.asking import VENUE, Asked
from unghost.demo.venue.binanceusdm.spelling import upper
from unghost.demo.venue.figures import (
    LEVERAGE,
    Valued,
    money,
    plain,
    stepped,
    valued,
)
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import Account, Market, Position, PositionMode, PositionSide, World


def position_risk_v3(asked: Asked) -> Json:
    """GET v3 positionRisk: rows only for legs with a position or an open order."""
    held = asked.held()
    wanted = set(held) | {
        (order.symbol, order.position_side)
        for order in asked.world.orders(asked.account, open_only=True)
    }
    one = asked.market()
    return [
        _risk_row_v3(asked.world, asked.world.market(symbol), side, held.get((symbol, side)))
        for symbol, side in sorted(wanted)
        if one is None or one.symbol == symbol
    ]


def position_risk_v2(asked: Asked) -> Json:
    """GET v2 positionRisk: rows for every market, flat ones too, one per leg of the mode."""
    held = asked.held()
    one = asked.market()
    return [
        _risk_row_v2(asked.world, market, side, held.get((market.symbol, side)))
        for market in asked.world.listed(VENUE)
        if one in (None, market)
        for side in reported_legs(asked.account, market, held)
    ]


def reported_legs(
    account: Account, market: Market, held: Mapping[tuple[str, PositionSide], Position]
) -> list[PositionSide]:
    """The mode's legs, and any leg that a scripted world holds against the mode."""
    hedged = account.mode is PositionMode.HEDGE
    legs = [PositionSide.LONG, PositionSide.SHORT] if hedged else [PositionSide.BOTH]
    stray = [side for symbol, side in held if symbol == market.symbol and side not in legs]
    return legs + stray


def _risk_row(market: Market, side: PositionSide, leg: Valued) -> Row:
    entry = plain(leg.entry_price) if leg.entry_price else "0.0"
    return {
        "symbol": market.listing(VENUE).native_id,
        "positionSide": upper(side),
        "positionAmt": stepped(leg.quantity, market.quantity_step),
        "entryPrice": entry,
        "breakEvenPrice": entry,
        "markPrice": money(leg.mark_price),
        "unRealizedProfit": money(leg.profit),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": money(leg.notional) if leg.notional else "0",
        "isolatedWallet": "0",
        "updateTime": leg.updated_at,
    }


def _risk_row_v3(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Row:
    leg = valued(world, market, position)
    return {
        **_risk_row(market, side, leg),
        "marginAsset": market.quote,
        "initialMargin": money(leg.margin),
        "maintMargin": money(leg.maintenance),
        "positionInitialMargin": money(leg.margin),
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
    }


def _risk_row_v2(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Row:
    return {
        **_risk_row(market, side, valued(world, market, position)),
        "leverage": str(LEVERAGE),
        "maxNotionalValue": "80000000",
        "marginType": "cross",
        "isAutoAddMargin": "false",
        "isolated": False,
        "adlQuantile": 1,
    }
