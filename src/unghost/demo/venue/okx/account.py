"""The account: its settings, its balances and its fees."""

from __future__ import annotations

from decimal import Decimal

from unghost.demo.venue.figures import money, plain
from unghost.demo.venue.okx.asking import Asked
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import MAKER_RATE, TAKER_RATE, ZERO, PositionMode


def account_config(asked: Asked) -> list[Json]:
    """GET account/config: who it is, its position mode, and what its key may do."""
    account = asked.account
    is_hedged = account.mode is PositionMode.HEDGE
    return [
        {
            "uid": str(account.uid),
            "mainUid": str(account.uid),
            "acctLv": "2",
            "posMode": "long_short_mode" if is_hedged else "net_mode",
            "perm": "read_only" if account.read_only else "read_only,trade",
            "label": account.name,
            "level": "Lv1",
            "levelTmp": "",
            "autoLoan": False,
            "ctIsoMode": "automatic",
            "mgnIsoMode": "automatic",
            "greeksType": "PA",
            "ip": "",
            "kycLv": "3",
            "opAuth": "0",
            "roleType": "0",
            "type": "0",
            "settleCcy": "USDT",
        }
    ]


def balance(asked: Asked) -> list[Json]:
    """GET account/balance: one account with a row for each currency."""
    wanted = asked.names("ccy")
    total = money(sum(asked.account.balances.values(), ZERO))
    return [
        {
            "totalEq": total,
            "adjEq": total,
            "availEq": total,
            "isoEq": "0",
            "ordFroz": "0",
            "imr": "0",
            "mmr": "0",
            "mgnRatio": "",
            "notionalUsd": "0",
            "upl": "0",
            "uTime": str(asked.now_ms),
            "details": [
                _currency_row(asked, currency, held)
                for currency, held in asked.account.balances.items()
                if wanted is None or currency in wanted
            ],
        }
    ]


def _currency_row(asked: Asked, currency: str, total: Decimal) -> Row:
    return {
        "ccy": currency,
        "eq": money(total),
        "eqUsd": money(total),
        "cashBal": money(total),
        "availBal": money(total),
        "availEq": money(total),
        "disEq": money(total),
        "frozenBal": "0",
        "ordFrozen": "0",
        "isoEq": "0",
        "liab": "0",
        "crossLiab": "0",
        "isoLiab": "0",
        "interest": "0",
        "upl": "0",
        "uTime": str(asked.now_ms),
    }


def trade_fee(asked: Asked) -> list[Json]:
    """GET account/trade-fee: the usual rates, below zero because they are paid."""
    kind = asked.required("instType")
    maker, taker = plain(-MAKER_RATE), plain(-TAKER_RATE)
    return [
        {
            "instType": kind,
            "level": "Lv1",
            "category": "1",
            "maker": maker,
            "taker": taker,
            "makerU": maker,
            "takerU": taker,
            "delivery": "",
            "exercise": "",
            "ts": str(asked.now_ms),
        }
    ]


def currencies(asked: Asked) -> list[Json]:
    """GET asset/currencies, which a client asks along when it loads currencies."""
    return [
        {
            "ccy": name,
            "name": name,
            "chain": f"{name}-Own",
            "canDep": True,
            "canWd": True,
            "canInternal": True,
            "mainNet": True,
            "fee": "0",
            "minWd": "1",
            "maxWd": "1000000",
            "wdTickSz": "8",
        }
        for name in asked.assets()
    ]
