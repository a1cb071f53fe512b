"""Fills out of an exchange's export file, and when they take the place of the exchange's own. Pure.

A file proves what it holds, and never what it leaves out. So it counts only over the span of time
that somebody stated it to cover, only for markets of which it holds a row, and only where each of
those rows names its fill and its order. What came after that span is asked of the exchange.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from unghost.model import Fill, FillReading, Market, Money, PositionSide, Side, Window

SOURCE = "file"

KIND_IS_SPOT = {"binanceusdm": False, "kraken": True}
"""Kinds of files that hold fills of one sort of market only: BTCUSDT is the name of two."""

IN_QUOTE = ""
"""The currency of a fee that a file tells without naming it: the market's quote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFill:
    """One execution of a file, as written there; `line` counts from 1.

    `quantity` is in contracts of the market where `in_contracts`, else in base units. `fill_id`
    and `exchange_order_id` are None where the file tells none. `digest` identifies the line.
    """

    line: int
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    filled_at: datetime
    in_contracts: bool = False
    position_side: PositionSide | None = None
    fees: tuple[Money, ...] | None = None
    fill_id: str | None = None
    exchange_order_id: str | None = None
    digest: str = ""

    @property
    def has_ids(self) -> bool:
        """Whether it names its fill and its order; without, it is shown and never used."""
        return self.fill_id is not None and self.exchange_order_id is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class FillFile:
    """A file that was imported, with what was stated about it and by whom.

    `window` is the span that it is stated to cover whole, None where nobody stated one. `one_way`
    is the statement that the account was in one-way position mode all the while. Times in a file
    are whole seconds, cut.
    """

    file_name: str
    sha256: str
    kind: str
    actor: str
    imported_at: datetime
    window: Window | None
    one_way: bool
    fills: tuple[FileFill, ...]

    @property
    def name(self) -> str:
        """What people call it by: its name, and the beginning of its hash."""
        return f"{self.file_name} (sha256 {self.sha256[:12]})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The file that counts for a market, and why each other one does not."""

    file: FillFile | None
    reasons: tuple[str, ...]


def choose(files: Iterable[FillFile], market: Market, window: Window) -> Choice:
    """The usable file that reaches furthest; of equal ones the latest import."""
    usable: list[FillFile] = []
    reasons: list[str] = []
    for file in files:
        why = objection(file, market, window)
        if why is None:
            usable.append(file)
        elif why:
            reasons.append(f"{file.name} does not count: {why}")
    best = max(usable, key=lambda file: (_reach(file), file.imported_at), default=None)
    return Choice(file=best, reasons=tuple(reasons))


def _reach(file: FillFile) -> datetime:
    return file.window.end_at if file.window else file.imported_at


def objection(file: FillFile, market: Market, window: Window) -> str | None:
    """Why a file cannot stand for the fills of a market; None where it can.

    An empty reason is that of a file which does not concern the market at all.
    """
    own = _own(file, market)
    if not own or KIND_IS_SPOT.get(file.kind, market.spot) is not market.spot:
        return ""
    if file.window is None:
        return "nobody stated the window that it covers"
    if not file.window.start_at <= window.start_at < file.window.end_at:
        begin = window.start_at.isoformat()
        return f"the window that it is stated to cover does not hold {begin}, where fills begin"
    return _untold(file, market, own)


def _untold(file: FillFile, market: Market, own: list[FileFill]) -> str | None:
    """What the file's rows would have to tell and do not; None where they tell all."""
    if market.margin:
        return "a file does not tell whether the asset was borrowed, so on margin it is no evidence"
    nameless = [str(one.line) for one in own if not one.has_ids]
    if nameless:
        return f"it holds rows without ids ({len(nameless)}, the first in line {nameless[0]})"
    if not market.spot and not file.one_way and any(one.position_side is None for one in own):
        return "it tells no position side, and nobody stated that the account was in one-way mode"
    return None


def rest(file: FillFile, window: Window) -> Window:
    """What must be asked of the exchange: from the last second that the file is stated to cover.

    A row stamped with an earlier second was executed before it, for times in a file are cut: so no
    fill is counted twice, and none is missed.
    """
    return Window(start_at=_seam(file, window), end_at=window.end_at)


def _seam(file: FillFile, window: Window) -> datetime:
    end = file.window.end_at if file.window else window.start_at
    return max(window.start_at, min(end, window.end_at).replace(microsecond=0))


def noted(reading: FillReading, choice: Choice) -> FillReading:
    """The exchange's reading, with a word on each file that does not count in its place."""
    if not choice.reasons:
        return reading
    return replace(reading, detail="; ".join((reading.detail, *choice.reasons)))


def joined(file: FillFile, market: Market, window: Window, after: FillReading) -> FillReading:
    """The file's fills with those that the exchange told of the time after; complete if they are.

    Where the exchange's part is not complete, nothing is, and no fill may be believed.
    """
    seam = _seam(file, window)
    own = [
        _fill(one, market) for one in _own(file, market) if window.start_at <= one.filled_at < seam
    ]
    told = (
        f"{len(own)} fills before {seam.isoformat()} from {file.name}, imported by {file.actor}"
        f" who stated {_statement(file)}"
    )
    twice = {_identity(fill) for fill in own} & {_identity(fill) for fill in after.fills}
    if twice:
        names = ", ".join(sorted(fill_id for _, _, fill_id in twice)[:5])
        told += (
            f"; the exchange tells {len(twice)} of its fills again ({names}), as of another time:"
            " was the file imported with a wrong time zone?"
        )
    return replace(
        after,
        complete=after.complete and not twice,
        fills=(*sorted(own, key=lambda fill: fill.filled_at), *after.fills),
        window=window,
        source=SOURCE,
        detail=f"{told}; after it: {after.detail}",
    )


def _identity(fill: Fill) -> tuple[Side, str, str]:
    return (fill.side, fill.exchange_order_id, fill.fill_id)


def _statement(file: FillFile) -> str:
    mode = ", in one-way mode" if file.one_way else ""
    if file.window is None:
        return f"no window{mode}"
    start, end = file.window.start_at.isoformat(), file.window.end_at.isoformat()
    return f"that it holds every fill from {start} to {end}{mode}"


def _own(file: FillFile, market: Market) -> list[FileFill]:
    names = names_of(market)
    return [one for one in file.fills if one.symbol in names]


def names_of(market: Market) -> frozenset[str]:
    """Every name under which a file may hold the market."""
    names = {market.unified, market.native_id, *market.spellings}
    return frozenset(names | _old_names(market) if market.spot else names)


def _old_names(market: Market) -> set[str]:
    """How Kraken calls some assets in its files: `XBT/USD` and `XBTUSD` are BTC/USD."""
    base, quote = (_OLD.get(asset, asset) for asset in (market.base, market.quote))
    return {f"{base}/{quote}", f"{base}{quote}"}


_OLD = {"BTC": "XBT", "DOGE": "XDG"}


def _fees(one: FileFill, market: Market) -> tuple[Money, ...] | None:
    if one.fees is None:
        return None
    return tuple(replace(fee, currency=fee.currency or market.quote) for fee in one.fees)


def _fill(one: FileFill, market: Market) -> Fill:
    unit = market.contract_size if one.in_contracts else Decimal(1)
    return Fill(
        fill_id=one.fill_id or "",
        exchange_order_id=one.exchange_order_id or "",
        market=market.unified,
        side=one.side,
        quantity=one.quantity * unit,
        price=one.price,
        filled_at=one.filled_at,
        position_side=one.position_side,
        fees=_fees(one, market),
        digest=one.digest,
    )
