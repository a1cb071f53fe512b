"""The legs of an account."""

from __future__ import annotations

from typing import Final
from zlib import crc32

from unghost.demo.venue.asking import DAY_MS
from unghost.demo.venue.figures import LEVERAGE, money, plain, valued
from unghost.demo.venue.okx.asking import VENUE, Asked, bad_parameter
from unghost.demo.venue.okx.spelling import LEG_NAMES, contracts
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import Position, PositionSide

FLAT_ROWS_MS: Final = 30 * DAY_MS
MAX_NAMES: Final = 10


def positions(asked: Asked) -> list[Json]:
    """GET account/positions: what is held; of instruments named, also what was closed lately."""
    wanted = asked.names("instId")
    if wanted is not None and len(wanted) > MAX_NAMES:
        raise bad_parameter("instId")
    if not asked.is_about_swaps():
        return []
    held = asked.held()
    if wanted is None:
        listed = {market.symbol for market in asked.world.listed(VENUE)}
        legs = {leg for leg in held if leg[0] in listed}
    else:
        named = {asked.named(name).symbol for name in wanted}
        legs = {leg for leg in {*held, *_lately(asked)} if leg[0] in named}
    rows = [_position_row(asked, *leg, held.get(leg)) for leg in sorted(legs)]
    return [row for row in rows if asked.text("posId") in (None, row["posId"])]


def _lately(asked: Asked) -> set[tuple[str, PositionSide]]:
    """The legs with fills in the last thirty days, flat now or not."""
    since = asked.now_ms - FLAT_ROWS_MS
    fills = asked.world.fills(asked.account)
    return {(fill.symbol, fill.position_side) for fill in fills if fill.at >= since}


def _position_row(asked: Asked, symbol: str, side: PositionSide, position: Position | None) -> Row:
    market = asked.world.market(symbol)
    leg = valued(asked.world, market, position)
    size = leg.quantity if side is PositionSide.BOTH else abs(leg.quantity)
    at = str(leg.updated_at or asked.now_ms)
    is_held = bool(leg.quantity)
    return {
        "instType": "SWAP",
        "instId": market.listing(VENUE).native_id,
        "mgnMode": "cross",
        "posId": str(crc32(f"{asked.account.name}/{symbol}/{side}".encode())),
        "posSide": LEG_NAMES[side],
        "pos": contracts(market, size),
        "availPos": contracts(market, abs(size)) if is_held else "",
        "posCcy": "",
        "avgPx": plain(leg.entry_price) if is_held else "",
        "markPx": plain(leg.mark_price),
        "last": plain(leg.mark_price),
        "lever": str(LEVERAGE),
        "liqPx": "",
        "margin": "",
        "imr": money(leg.margin) if is_held else "",
        "mmr": money(leg.maintenance) if is_held else "",
        "mgnRatio": "",
        "notionalUsd": money(abs(leg.notional)) if is_held else "",
        "upl": money(leg.profit) if is_held else "",
        "uplRatio": "0" if is_held else "",
        "realizedPnl": "0",
        "pnl": "0",
        "fee": "0",
        "fundingFee": "0",
        "liqPenalty": "0",
        "interest": "",
        "ccy": market.quote,
        "adl": "1" if is_held else "",
        "optVal": "",
        "tradeId": "",
        "closeOrderAlgo": [],
        "cTime": at,
        "uTime": at,
    }
