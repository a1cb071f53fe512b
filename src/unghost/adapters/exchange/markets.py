"""Which market a ledger's symbol means.

Native ids and unified symbols of the profile's market type resolve, spelled exactly as the exchange
and CCXT spell them. Of contracts only linear perpetuals do: inverse ones, options and dated futures
count in other units or expire, and nothing here vouches for their arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Protocol, assert_never

from unghost.adapters.exchange.connection import ConnectionSpec, MarketType
from unghost.adapters.exchange.failures import ReadFailed
from unghost.adapters.exchange.strict import exact
from unghost.model import Market, Resolution

Listing = Mapping[str, Mapping[str, Any]]
"""What CCXT makes of the exchange's own list: unified symbol -> market."""


MAX_AGE: Final = timedelta(hours=1)
"""How long a list is believed: exchanges rarely change what a contract is worth, but they do."""


class MarketsCache(Protocol):
    """Where the exchange's list of markets is kept between questions, under a key per venue."""

    def load(self, key: str) -> Listing | None:
        """The list kept under `key`, None where there is none that may still be used."""
        ...

    def store(self, key: str, listing: Listing) -> None:
        """Keep a list that was just read; must not raise."""
        ...


class InProcessMarkets:
    """Keeps lists as long as the process lives."""

    def __init__(self) -> None:
        self._kept: dict[str, Listing] = {}

    def load(self, key: str) -> Listing | None:
        """The list kept under `key`."""
        return self._kept.get(key)

    def store(self, key: str, listing: Listing) -> None:
        """Keep a list."""
        self._kept[key] = listing


def names_of(listing: Listing, market_type: MarketType) -> dict[str, Market | None]:
    """Every name -> its market; None for a name that several markets of the type share."""
    names: dict[str, Market | None] = {}
    for raw in listing.values():
        market = market_of(raw, market_type)
        for name in market.spellings if market else ():
            names[name] = None if name in names else market
    return names


KINDS: Final[Mapping[MarketType, str]] = {
    "swap": "linear perpetual",
    "spot": "spot market",
    "margin": "margin market",
}


def resolution(
    symbols: Iterable[str], names: Mapping[str, Market | None], spec: ConnectionSpec
) -> Resolution:
    """What a list of markets that was read says of each symbol."""
    markets = {name: names.get(name) for name in symbols}
    kind = KINDS[spec.market_type]
    reasons = {
        name: f"Several markets of {spec.exchange} go by the name {name!r}."
        if name in names
        else f"The symbol {name!r} does not resolve: {spec.exchange} has no {kind} of that name."
        for name, market in markets.items()
        if market is None
    }
    return Resolution(markets=markets, reasons=reasons)


def market_of(raw: Mapping[str, Any], market_type: MarketType) -> Market | None:
    """One of CCXT's markets as ours; None for another type, or where a size is not told."""
    if not _is_of_type(raw, market_type):
        return None
    unified, native_id = raw.get("symbol"), raw.get("id")
    spot = market_type != "swap"
    size = Decimal(1) if spot else _positive(raw.get("contractSize"))
    if not isinstance(unified, str) or not isinstance(native_id, str) or size is None:
        return None
    # Where ids are only numbers, people call a market by the name beside it (`BTC`).
    names = (native_id, unified, raw.get("baseName"))
    minimum = _positive(((raw.get("limits") or {}).get("amount") or {}).get("min"))
    return Market(
        unified=unified,
        native_id=native_id,
        base=str(raw.get("base")),
        quote=str(raw.get("quote")),
        spot=spot,
        margin=market_type == "margin",
        contract_size=size,
        minimum_quantity=None if minimum is None else minimum * size,
        spellings=tuple(dict.fromkeys(name for name in names if name)),
    )


def _is_of_type(raw: Mapping[str, Any], market_type: MarketType) -> bool:
    match market_type:
        case "swap":
            return raw.get("swap") is True and raw.get("linear") is True
        case "spot":
            return raw.get("spot") is True
        case "margin":
            return raw.get("spot") is True and raw.get("margin") is True
        case _ as unknown:
            assert_never(unknown)


def _positive(value: object) -> Decimal | None:
    try:
        number = exact(value, "size")
    except ReadFailed:
        return None
    return number if number > 0 else None
