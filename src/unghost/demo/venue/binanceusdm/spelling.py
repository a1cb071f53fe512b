"""How Binance spells enumerations and the ids of orders."""

from __future__ import annotations

from unghost.demo.venue.protocol import Json


def upper(value: str) -> str:
    """An enumeration's value as this exchange spells it."""
    return value.upper()


def numeral(order_id: str) -> Json:
    """Order ids are numbers here; one that a test made of letters is sent as it is."""
    return int(order_id) if order_id.isdigit() else order_id
