"""Fills out of an exchange's export files, and when they take the place of its own. Pure.

A file proves what it holds, and never what it leaves out. So it counts only over the span of time
that somebody stated it to cover, only for markets of which it holds a row, and only where each of
those rows names its fill and its order. What came after that span is asked of the exchange.

Where no file reaches far enough, the next one goes on from its *seam*: the last whole second that
the one before is stated to cover, which the next one must be stated to cover too. Files that are
stated to hold every fill of the same time must hold the same fills of it; else none is believed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations

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
    """The files that count for a market, each from the seam of the one before, oldest span first.

    `reasons` say why another does not count, `clashes` where two that are stated to hold the same
    time do not tell it alike.
    """

    files: tuple[FillFile, ...]
    reasons: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()


def choose(files: Iterable[FillFile], market: Market, window: Window) -> Choice:
    """The files that take the place of the exchange's fills, from the window's beginning on."""
    found = [(file, objection(file, market)) for file in files]
    usable = [file for file, why in found if why is None]
    chain = _chain(usable, window)
    believed = Window(start_at=window.start_at, end_at=_reach(chain, window))
    aside = [(file, _misplaced(file, believed)) for file in usable]
    pairs = combinations(usable, 2)
    return Choice(
        files=chain,
        reasons=tuple(
            f"{file.name} does not count: {why}" for file, why in (*found, *aside) if why
        ),
        clashes=tuple(why for pair in pairs if (why := _clash(*pair, market, believed))),
    )


def objection(file: FillFile, market: Market) -> str | None:
    """Why a file cannot stand for the fills of a market, at any time; None where it can.

    An empty reason is that of a file which does not concern the market at all.
    """
    own = _own(file, market)
    if not own or KIND_IS_SPOT.get(file.kind, market.spot) is not market.spot:
        return ""
    if file.window is None:
        return "nobody stated the window that it covers"
    return _untold(file, market, own)


def _chain(usable: Sequence[FillFile], window: Window) -> tuple[FillFile, ...]:
    """Of the files that hold where the one before ends, always the one that reaches furthest."""
    chain: tuple[FillFile, ...] = ()
    while following := _following(usable, _reach(chain, window), window):
        chain = (*chain, following)
    return chain


def _following(usable: Sequence[FillFile], begin: datetime, window: Window) -> FillFile | None:
    """The file that goes on from `begin`; of equal ones the latest import."""
    held = [one for one in usable if _stated(one).start_at <= begin < _seam(one, window)]
    return max(held, key=lambda one: (_stated(one).end_at, one.imported_at), default=None)


def _stated(file: FillFile) -> Window:
    """What it is stated to cover; without a statement nothing."""
    return file.window or Window(start_at=file.imported_at, end_at=file.imported_at)


def _reach(chain: Sequence[FillFile], window: Window) -> datetime:
    """Up to where files take the place of the exchange's fills."""
    return _seam(chain[-1], window) if chain else window.start_at


def _misplaced(file: FillFile, believed: Window) -> str | None:
    """Why a usable file has no part in what is believed; None where it has, or has the same."""
    stated = _stated(file)
    if stated.start_at <= believed.end_at and stated.end_at > believed.start_at:
        return None
    begin = believed.start_at if stated.end_at <= believed.start_at else believed.end_at
    return (
        f"the window that it is stated to cover does not hold {begin.isoformat()}, from where on"
        " fills are needed"
    )


def _clash(one: FillFile, other: FillFile, market: Market, believed: Window) -> str | None:
    """Why two files cannot both hold every fill of the time that both are stated to cover."""
    spans = [believed, *map(_whole_seconds, (one, other))]
    begin, end = max(each.start_at for each in spans), min(each.end_at for each in spans)
    told = [Counter(_contents(file, market, begin, end)) for file in (one, other)]
    unlike = (told[0] - told[1]) + (told[1] - told[0])
    if not unlike:
        return None
    names = ", ".join(sorted({fill.fill_id for fill in unlike})[:5])
    return (
        f"{one.name} and {other.name} are both stated to hold every fill from {begin.isoformat()}"
        f" to {end.isoformat()}, and do not tell the same ({names}): state the window of the wrong"
        " one anew"
    )


def _contents(file: FillFile, market: Market, begin: datetime, end: datetime) -> Iterator[Fill]:
    """Fills without what their lines look like: one may be spelt differently in another export."""
    return (replace(fill, digest="") for fill in _fills(file, market, begin, end))


def _whole_seconds(file: FillFile) -> Window:
    """The seconds that a file covers from their beginning to their end: its times are cut."""
    stated = _stated(file)
    begin = stated.start_at.replace(microsecond=0)
    if begin < stated.start_at:
        begin += timedelta(seconds=1)
    return Window(start_at=begin, end_at=stated.end_at.replace(microsecond=0))


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


def rest(choice: Choice, window: Window) -> Window:
    """What must be asked of the exchange: from the last second that files are stated to cover.

    A row stamped with an earlier second was executed before it, for times in a file are cut: so no
    fill is counted twice, and none is missed. For the same reason files join at whole seconds.
    """
    return Window(start_at=_reach(choice.files, window), end_at=window.end_at)


def _seam(file: FillFile, window: Window) -> datetime:
    end = min(_stated(file).end_at, window.end_at)
    return max(window.start_at, end.replace(microsecond=0))


def noted(reading: FillReading, choice: Choice) -> FillReading:
    """The exchange's reading, with a word on each file that does not count in its place."""
    if not choice.reasons:
        return reading
    return replace(reading, detail="; ".join((reading.detail, *choice.reasons)))


def joined(choice: Choice, market: Market, window: Window, after: FillReading) -> FillReading:
    """The fills of the files with those that the exchange told of the time after.

    Complete where the exchange's part is, no two files clash, and no fill is told twice; else no
    fill may be believed.
    """
    parts = _parts(choice, market, window)
    notes = [
        f"{len(fills)} fills before {_seam(file, window).isoformat()} from {file.name}, imported"
        f" by {file.actor} who stated {_statement(file)}"
        for file, fills in parts
    ]
    twice = _told_twice([*(fills for _, fills in parts), after.fills])
    if twice:
        notes.append(
            f"of its fills {len(twice)} are told again ({', '.join(twice[:5])}), as of another"
            " time: was a file imported with a wrong time zone?"
        )
    return replace(
        after,
        complete=after.complete and not twice and not choice.clashes,
        fills=(*(fill for _, fills in parts for fill in fills), *after.fills),
        window=window,
        source=SOURCE,
        detail="; ".join((*notes, *choice.clashes, f"after it: {after.detail}")),
    )


def _parts(
    choice: Choice, market: Market, window: Window
) -> list[tuple[FillFile, tuple[Fill, ...]]]:
    """Each file with its fills from the seam of the one before up to its own."""
    begin, parts = window.start_at, []
    for file in choice.files:
        end = _seam(file, window)
        parts.append((file, _fills(file, market, begin, end)))
        begin = end
    return parts


def _told_twice(parts: Iterable[Sequence[Fill]]) -> list[str]:
    """The ids of fills that more than one of the parts tells."""
    told = Counter(name for fills in parts for name in {_identity(fill) for fill in fills})
    return sorted(fill_id for (_, _, fill_id), times in told.items() if times > 1)


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


def _money(one: FileFill, market: Market) -> tuple[Money, ...] | None:
    if one.fees is None:
        return None
    return tuple(replace(fee, currency=fee.currency or market.quote) for fee in one.fees)


def _fills(file: FillFile, market: Market, begin: datetime, end: datetime) -> tuple[Fill, ...]:
    """The fills of a market from `begin` on and before `end`, oldest first."""
    own = [_fill(one, market) for one in _own(file, market) if begin <= one.filled_at < end]
    return tuple(sorted(own, key=lambda fill: fill.filled_at))


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
        fees=_money(one, market),
        digest=one.digest,
    )
