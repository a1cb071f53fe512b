"""The account: its balances, with the positions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from unghost.demo.venue.binanceusdm.asking import VENUE, Asked
from unghost.demo.venue.binanceusdm.positions import reported_legs
from unghost.demo.venue.binanceusdm.settings import trading_settings
from unghost.demo.venue.binanceusdm.spelling import upper
from unghost.demo.venue.figures import LEVERAGE, money, plain, stepped, valued
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import ZERO, Market, Position, PositionSide, World


def account_v3(asked: Asked) -> Json:
    """GET v3 account: balances, and positions only where something is held."""
    held = asked.world.positions(asked.account)
    legs = [(asked.world.market(p.symbol), p.position_side, p) for p in held]
    return _account(asked, [_account_row(asked.world, *leg) for leg in legs])


def account_v2(asked: Asked) -> Json:
    """GET v2 account: positions of every market, with the account's settings."""
    held = asked.held()
    rows: list[Json] = []
    for market in asked.world.listed(VENUE):
        for side in reported_legs(asked.account, market, held):
            position = held.get((market.symbol, side))
            rows.append(
                {
                    **_account_row(asked.world, market, side, position),
                    "leverage": str(LEVERAGE),
                    "entryPrice": plain(position.entry_price) if position else "0.0",
                    "isolated": False,
                    "maxNotional": "80000000",
                }
            )
    return {**_account(asked, rows), **trading_settings()}


def _account_row(
    world: World, market: Market, side: PositionSide, position: Position | None
) -> Row:
    leg = valued(world, market, position)
    return {
        "symbol": market.listing(VENUE).native_id,
        "positionSide": upper(side),
        "positionAmt": stepped(leg.quantity, market.quantity_step),
        "unrealizedProfit": money(leg.profit),
        "isolatedMargin": "0",
        "notional": money(leg.notional) if leg.notional else "0",
        "isolatedWallet": "0",
        "initialMargin": money(leg.margin) if leg.margin else "0",
        "maintMargin": money(leg.maintenance) if leg.maintenance else "0",
        "updateTime": leg.updated_at,
    }


def _account(asked: Asked, positions: Sequence[Json]) -> Row:
    total = sum(asked.account.balances.values(), ZERO)
    zero = money(ZERO)
    return {
        "totalInitialMargin": zero,
        "totalMaintMargin": zero,
        "totalWalletBalance": money(total),
        "totalUnrealizedProfit": zero,
        "totalMarginBalance": money(total),
        "totalPositionInitialMargin": zero,
        "totalOpenOrderInitialMargin": zero,
        "totalCrossWalletBalance": money(total),
        "totalCrossUnPnl": zero,
        "availableBalance": money(total),
        "maxWithdrawAmount": money(total),
        "assets": [_asset_row(asked, *each) for each in asked.account.balances.items()],
        "positions": list(positions),
    }


def _asset_row(asked: Asked, asset: str, total: Decimal) -> Row:
    zero = money(ZERO)
    return {
        "asset": asset,
        "walletBalance": money(total),
        "unrealizedProfit": zero,
        "marginBalance": money(total),
        "maintMargin": zero,
        "initialMargin": zero,
        "positionInitialMargin": zero,
        "openOrderInitialMargin": zero,
        "crossWalletBalance": money(total),
        "crossUnPnl": zero,
        "availableBalance": money(total),
        "maxWithdrawAmount": money(total),
        "updateTime": asked.now_ms,
    }


def balance(asked: Asked) -> Json:
    """GET balance: one row per asset held."""
    return [
        {
            "accountAlias": asked.account.name,
            "asset": asset,
            "balance": money(total),
            "crossWalletBalance": money(total),
            "crossUnPnl": money(ZERO),
            "availableBalance": money(total),
            "maxWithdrawAmount": money(total),
            "marginAvailable": True,
            "updateTime": asked.now_ms,
        }
        for asset, total in asked.account.balances.items()
    ]
