"""How an account is set up: modes, leverage, fees, what its key may do."""

from __future__ import annotations

from decimal import Decimal

from unghost.demo.venue.asking import RefusalError
from unghost.demo.venue.binanceusdm.asking import VENUE, Asked, missing
from unghost.demo.venue.binanceusdm.markets import ONBOARD_MS
from unghost.demo.venue.figures import LEVERAGE, MAINTENANCE_RATE
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import PositionMode


def nothing(_: Asked) -> Json:
    """The lists this world has nothing for: algo orders, margin pairs."""
    return []


def trading_settings() -> Row:
    """What the accounts of both versions, and accountConfig, tell alike."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "feeBurn": False,
        "tradeGroupId": -1,
        "updateTime": 0,
        "multiAssetsMargin": False,
    }


def account_config(asked: Asked) -> Json:
    """GET accountConfig: the settings, with the position mode."""
    return {**trading_settings(), "dualSidePosition": asked.account.mode is PositionMode.HEDGE}


def symbol_config(asked: Asked) -> Json:
    """GET symbolConfig: margin type and leverage by market."""
    one = asked.market()
    return [
        {
            "symbol": market.listing(VENUE).native_id,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": LEVERAGE,
            "maxNotionalValue": "80000000",
        }
        for market in ((one,) if one else asked.world.listed(VENUE))
    ]


def position_mode(asked: Asked) -> Json:
    """GET positionSide/dual: whether the account is in hedge mode."""
    return {"dualSidePosition": asked.account.mode is PositionMode.HEDGE}


def change_position_mode(asked: Asked) -> Json:
    """POST positionSide/dual: -4059 where nothing would change, -4068 while a position is open."""
    wanted = {"true": PositionMode.HEDGE, "false": PositionMode.ONE_WAY}.get(
        (asked.text("dualSidePosition") or "").lower()
    )
    if wanted is None:
        raise missing("dualSidePosition")
    if wanted is asked.account.mode:
        raise RefusalError(400, -4059, "No need to change position side.")
    if asked.world.positions(asked.account):
        raise RefusalError(400, -4068, "Position side cannot be changed if there exists position.")
    asked.world.set_mode(asked.account, wanted)
    return {"code": 200, "msg": "success"}


def multi_assets_mode(_: Asked) -> Json:
    """GET multiAssetsMargin: never."""
    return {"multiAssetsMargin": False}


def commission_rate(asked: Asked) -> Json:
    """GET commissionRate: the usual rates."""
    return {
        "symbol": asked.required_market().listing(VENUE).native_id,
        "makerCommissionRate": "0.000200",
        "takerCommissionRate": "0.000500",
        "rpiCommissionRate": "0.000050",
    }


def leverage_brackets(asked: Asked) -> Json:
    """GET leverageBracket: one bracket per market; its ratio is a JSON number."""
    one = asked.market()
    return [
        {
            "symbol": market.listing(VENUE).native_id,
            "notionalCoef": Decimal("1.50"),
            "brackets": [
                {
                    "bracket": 1,
                    "initialLeverage": LEVERAGE,
                    "notionalCap": 80_000_000,
                    "notionalFloor": 0,
                    "maintMarginRatio": MAINTENANCE_RATE,
                    "cum": 0,
                }
            ],
        }
        for market in ((one,) if one else asked.world.listed(VENUE))
    ]


def key_rights(asked: Asked) -> Json:
    """GET sapi account/apiRestrictions: what the key may do."""
    may_trade = not asked.account.read_only
    return {
        "ipRestrict": False,
        "createTime": ONBOARD_MS,
        "enableReading": True,
        "enableFutures": may_trade,
        "enableSpotAndMarginTrading": may_trade,
        "enableWithdrawals": False,
        "enableMargin": False,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
    }


def coins(asked: Asked) -> Json:
    """GET sapi capital/config/getall, which a client asks along when it loads currencies."""
    return [
        {"coin": name, "name": name, "free": "0", "locked": "0", "trading": True, "networkList": []}
        for name in asked.assets()
    ]
