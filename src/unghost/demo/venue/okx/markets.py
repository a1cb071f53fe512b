"""The public endpoints: the time, and the instruments."""

from __future__ import annotations

from typing import Final

from unghost.demo.venue.figures import plain, short
from unghost.demo.venue.okx.asking import TYPES, VENUE, Asked, bad_parameter
from unghost.demo.venue.okx.spelling import contracts
from unghost.demo.venue.protocol import Json, Row
from unghost.demo.world import Market

LISTED_MS: Final = 1_585_000_000_000


def server_time(asked: Asked) -> list[Json]:
    """GET public/time."""
    return [{"ts": str(asked.now_ms)}]


def instruments(asked: Asked) -> list[Json]:
    """GET public/instruments: swaps and spot; of the other types there are none."""
    kind = asked.required("instType")
    if kind not in TYPES:
        raise bad_parameter("instType")
    name = asked.text("instId")
    make = {"SWAP": _swap_row, "SPOT": _spot_row}.get(kind)
    rows = [] if make is None else [make(market) for market in asked.world.listed(VENUE)]
    return [row for row in rows if name in (None, row["instId"])]


def _swap_row(market: Market) -> Row:
    lot = contracts(market, market.quantity_step)
    pair = f"{market.base}-{market.quote}"
    return {
        **_instrument_row(market),
        "instType": "SWAP",
        "instId": market.listing(VENUE).native_id,
        "uly": pair,
        "instFamily": pair,
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": market.quote,
        "ctVal": short(market.listing(VENUE).contract_size),
        "ctMult": "1",
        "ctValCcy": market.base,
        "ctType": "linear",
        "lever": "100",
        "lotSz": lot,
        "minSz": lot,
    }


def _spot_row(market: Market) -> Row:
    step = plain(market.quantity_step)
    return {
        **_instrument_row(market),
        "instType": "SPOT",
        "instId": f"{market.base}-{market.quote}",
        "uly": "",
        "instFamily": "",
        "baseCcy": market.base,
        "quoteCcy": market.quote,
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "ctType": "",
        "lever": "10",
        "lotSz": step,
        "minSz": step,
    }


def _instrument_row(market: Market) -> Row:
    return {
        "tickSz": plain(market.price_step),
        "state": "live" if market.active else "suspend",
        "listTime": str(LISTED_MS),
        "expTime": "",
        "alias": "",
        "category": "1",
        "optType": "",
        "stk": "",
        "ruleType": "normal",
        "maxLmtSz": "100000000",
        "maxMktSz": "100000",
        "maxStopSz": "100000",
        "maxTriggerSz": "100000000",
    }
