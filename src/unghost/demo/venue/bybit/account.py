"""The account: its settings, what its key may do, its wallet and its fees."""

from __future__ import annotations

from decimal import Decimal

from unghost.demo.venue.bybit.asking import VENUE, Asked, bad_parameter
from unghost.demo.venue.figures import money, plain
from unghost.demo.venue.protocol import Row
from unghost.demo.world import MAKER_RATE, TAKER_RATE, ZERO


def account_info(asked: Asked) -> Row:
    """GET account/info: a unified account of the second kind."""
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": str(asked.now_ms),
        "unifiedMarginStatus": 5,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def key_info(asked: Asked) -> Row:
    """GET user/query-api: whose key it is and what it may do.

    A key that may only read still names what it may read: `readOnly` tells.
    """
    account = asked.account
    return {
        "id": str(account.uid % 100_000_000),
        "note": account.name,
        "apiKey": account.api_key,
        "readOnly": int(account.read_only),
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": [],
            "Wallet": [],
            "Options": [],
            "Derivatives": ["DerivativesTrade"],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 83,
        "expiredAt": "2099-05-15T03:21:05Z",
        "createdAt": "2022-10-16T02:24:40Z",
        "unified": 0,
        "uta": 1,
        "userID": account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
    }


def wallet_balance(asked: Asked) -> Row:
    """GET account/wallet-balance: one account with a row for each coin."""
    if asked.text("accountType") != "UNIFIED":
        raise bad_parameter("accountType only support UNIFIED.")
    coins = asked.text("coin")
    wanted = None if coins is None else coins.split(",")
    total = money(sum(asked.account.balances.values(), ZERO))
    return {
        "list": [
            {
                "accountType": "UNIFIED",
                "accountLTV": "",
                "accountIMRate": "0",
                "accountMMRate": "0",
                "totalEquity": total,
                "totalWalletBalance": total,
                "totalMarginBalance": total,
                "totalAvailableBalance": total,
                "totalPerpUPL": "0",
                "totalInitialMargin": "0",
                "totalMaintenanceMargin": "0",
                "coin": [
                    _coin_row(coin, held)
                    for coin, held in asked.account.balances.items()
                    if wanted is None or coin in wanted
                ],
            }
        ]
    }


def _coin_row(coin: str, total: Decimal) -> Row:
    return {
        "coin": coin,
        "equity": money(total),
        "usdValue": money(total),
        "walletBalance": money(total),
        "free": "",
        "locked": "0",
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "availableToWithdraw": "",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
    }


def fee_rate(asked: Asked) -> Row:
    """GET account/fee-rate: the usual rates."""
    one = asked.market()
    return {
        "category": asked.category(),
        "list": [
            {
                "symbol": market.listing(VENUE).native_id,
                "baseCoin": "",
                "takerFeeRate": plain(TAKER_RATE),
                "makerFeeRate": plain(MAKER_RATE),
            }
            for market in asked.world.listed(VENUE)
            if one in (None, market)
        ],
    }


def coins_info(asked: Asked) -> Row:
    """GET asset/coin/query-info, which a client asks along when it loads currencies."""
    return {"rows": [{"name": name, "coin": name, "chains": []} for name in asked.assets()]}
