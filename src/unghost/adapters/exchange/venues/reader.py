"""What a venue must be able to tell, and the readings that every venue builds alike.

To add a venue: write `venues/<ccxt id>.py` with a class that fits `VenueReader`, and enter it in
`venues/__init__.py`. Take the facts from the exchange's documentation and measure them; then decide
per method what proves the answer whole. The rules:

- A position reading is FLAT only where the raw answer is proven to hold every position. Check its
  shape row by row, sum absolute sizes over all rows and both sides, compare with CCXT's reading.
- A fill reading is complete only where the exchange's own cursor said that there is no more. Never
  use CCXT's `paginate`. A page as long as the limit is not the last one.
- Everything is in base units: amounts times `Market.contract_size`.
- Which leg a fill belongs to is the exchange's to tell: by `position_side` in hedge mode, or by
  `closed`, how much of the fill closed a position. In one-way mode neither is needed: the stages
  replay the position. Where hedge mode cannot be told from one-way mode, refuse.
- Whatever is in doubt raises `ReadFailed` (`failures.malformed`); nothing is guessed.
- Liquidations, deleveraging and settlements are fills too: find out where the exchange hides them.

An exchange without a reader of its own is read by `generic.py`, which believes less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from unghost.adapters.exchange.client import Answer, ReadOnlyClient
from unghost.adapters.exchange.failures import FailureKind, ReadFailed
from unghost.adapters.exchange.findings import Finding, Verdict
from unghost.adapters.exchange.strict import MILLISECOND
from unghost.model import (
    FillReading,
    Flatness,
    Market,
    PositionLeg,
    PositionReading,
    PositionSide,
    Window,
)


class VenueReader(Protocol):
    """One exchange's way of telling positions and fills.

    The coroutines may raise `ReadFailed`; the account makes UNKNOWN readings of it. The markets
    have been read before any of them is called.
    """

    @property
    def endpoints(self) -> frozenset[str]:
        """The exchange's own endpoints that are read, as CCXT names them."""
        ...

    @property
    def verbs(self) -> frozenset[str]:
        """The HTTP methods by which this exchange is read."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings for CCXT's constructor, `options` among them."""
        ...

    async def positions(
        self, client: ReadOnlyClient, markets: Sequence[Market]
    ) -> Mapping[str, PositionReading]:
        """One reading per market, by unified symbol."""
        ...

    async def fills(self, client: ReadOnlyClient, market: Market, window: Window) -> FillReading:
        """The account's fills of a market over a window."""
        ...

    async def client_order_ids(
        self, client: ReadOnlyClient, market: Market, window: Window
    ) -> Mapping[str, str] | None:
        """Exchange order id -> client order id; None where no own call tells it in full."""
        ...

    async def account_id(self, client: ReadOnlyClient) -> str | None:
        """Which account the key sees, by one call; None where the exchange tells none."""
        ...

    async def check(self, client: ReadOnlyClient) -> tuple[Finding, ...]:
        """What the exchange tells about the account and the key, for `unghost doctor`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """One row of positions: signed base units, and the side in hedge mode (None in one-way)."""

    position_side: PositionSide | None
    quantity: Decimal


def position_reading(legs: Sequence[Leg], as_of: datetime, source: str) -> PositionReading:
    """FLAT where all legs are zero, else OPEN; net zero of two legs is OPEN (FAILURES 3)."""
    held = [leg for leg in legs if leg.quantity]
    size = sum((abs(leg.quantity) for leg in held), Decimal(0))
    return PositionReading(
        flatness=Flatness.OPEN if held else Flatness.FLAT,
        as_of=as_of,
        size=size,
        legs=tuple(_told(leg) for leg in held),
        detail=f"{len(held)} of {len(legs)} rows of {source} are not zero"
        if held
        else f"every row of {source} is zero",
    )


def _told(leg: Leg) -> PositionLeg:
    quantity = leg.quantity if leg.position_side is None else abs(leg.quantity)
    return PositionLeg(position_side=leg.position_side, quantity=quantity)


def unknown_position(as_of: datetime, why: str) -> PositionReading:
    """A reading that proves nothing and blocks."""
    return PositionReading(flatness=Flatness.UNKNOWN, as_of=as_of, size=None, detail=why)


def incomplete_fills(window: Window, as_of: datetime, why: str) -> FillReading:
    """A reading that proves nothing and blocks; it holds no fills, for none may be believed."""
    return FillReading(fills=(), complete=False, window=window, as_of=as_of, detail=why)


def spans(window: Window, longest: timedelta) -> tuple[Window, ...]:
    """The window cut into spans of at most `longest`, oldest first, without gap or overlap.

    In whole milliseconds, as exchanges count. ReadFailed where the window ends before it begins.
    """
    if window.start_at > window.end_at:
        raise ReadFailed(FailureKind.REFUSED, "the window ends before it begins")
    start, found = window.start_at, list[Window]()
    while start <= window.end_at:
        end = min(start + longest - MILLISECOND, window.end_at)
        found.append(Window(start_at=start, end_at=end))
        start = end + MILLISECOND
    return tuple(found)


def require_depth(window: Window, depth: timedelta) -> None:
    """Raise ReadFailed where the exchange has forgotten the beginning of the window.

    Or where there is no window at all, because it ends before it begins.
    """
    if window.start_at > window.end_at:
        raise ReadFailed(FailureKind.REFUSED, "the window ends before it begins")
    if window.start_at < window.end_at - depth:
        why = f"the exchange keeps fills for {depth.days} days, the window begins earlier"
        raise ReadFailed(FailureKind.REFUSED, why)


async def finding_from(
    client: ReadOnlyClient,
    endpoint: str,
    name: str,
    judge: Callable[[Answer], Finding],
    *,
    params: Mapping[str, Any] | None = None,
    untold: Verdict = Verdict.WARN,
) -> Finding:
    """A finding from one endpoint; where the exchange does not tell it, that is the finding."""
    try:
        return await client.read(endpoint, params or {}, question=f"The {name}", parse=judge)
    except ReadFailed as failure:
        return Finding(name=name, verdict=untold, detail=f"not told: {failure.sentence}")
