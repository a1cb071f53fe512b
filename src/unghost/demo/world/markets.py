"""Markets, what each venue calls them, and the fourteen that a world has by default."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from unghost.demo.world.words import STRICT


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One venue's name for a market, and the base units in one of its contracts."""

    __pydantic_config__ = STRICT
    venue: str
    native_id: str
    contract_size: Decimal = Decimal(1)


@dataclass(frozen=True, kw_only=True)
class Market:
    """A linear perpetual. `symbol` is unified (`BTC/USDT:USDT`); steps are in base and quote."""

    __pydantic_config__ = STRICT
    symbol: str
    base: str
    quote: str
    price_step: Decimal
    quantity_step: Decimal
    reference_price: Decimal
    listings: tuple[Listing, ...]
    active: bool = True

    def listing(self, venue: str) -> Listing:
        """The market as listed at `venue`; KeyError where it is not listed."""
        for listing in self.listings:
            if listing.venue == venue:
                return listing
        raise KeyError(f"{self.symbol} is not listed at {venue}")

    def is_listed(self, venue: str) -> bool:
        """Whether `venue` trades it."""
        return any(listing.venue == venue for listing in self.listings)

    def is_named(self, name: str) -> bool:
        """Whether `name` is the unified symbol or the native id at any venue."""
        return name == self.symbol or any(name == each.native_id for each in self.listings)


def _perpetual(base: str, price: str, price_step: str, quantity_step: str, okx_size: str) -> Market:
    return Market(
        symbol=f"{base}/USDT:USDT",
        base=base,
        quote="USDT",
        price_step=Decimal(price_step),
        quantity_step=Decimal(quantity_step),
        reference_price=Decimal(price),
        listings=(
            Listing(venue="binanceusdm", native_id=f"{base}USDT"),
            Listing(venue="bybit", native_id=f"{base}USDT"),
            Listing(venue="okx", native_id=f"{base}-USDT-SWAP", contract_size=Decimal(okx_size)),
        ),
    )


DEFAULT_MARKETS: tuple[Market, ...] = (
    _perpetual("BTC", "65000", "0.1", "0.001", "0.01"),
    _perpetual("ETH", "3200", "0.01", "0.001", "0.1"),
    _perpetual("SOL", "150", "0.01", "0.01", "1"),
    _perpetual("BNB", "600", "0.01", "0.01", "0.01"),
    _perpetual("XRP", "0.6", "0.0001", "0.1", "100"),
    _perpetual("DOGE", "0.16", "0.00001", "1", "1000"),
    _perpetual("ADA", "0.45", "0.0001", "1", "100"),
    _perpetual("AVAX", "35", "0.001", "1", "1"),
    _perpetual("LINK", "18", "0.001", "0.01", "1"),
    _perpetual("DOT", "7", "0.001", "0.1", "1"),
    _perpetual("LTC", "85", "0.01", "0.001", "1"),
    _perpetual("TRX", "0.12", "0.00001", "1", "1000"),
    _perpetual("BCH", "450", "0.01", "0.001", "0.1"),
    _perpetual("NEAR", "6.5", "0.001", "1", "10"),
)
