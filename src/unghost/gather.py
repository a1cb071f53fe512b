"""Stage 2: the evidence for every market on which the profile has an open lifecycle.

Positions are read before the fills and after them, so that a position that opens meanwhile is seen;
fills are read only where the first reading says flat, because elsewhere nothing may be written.
Nothing that fails here raises: it becomes a reading that proves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from unghost import filefills, rowfacts
from unghost.filefills import Choice
from unghost.model import (
    Evidence,
    Fill,
    FillReading,
    Flatness,
    LedgerRow,
    Lifecycle,
    Market,
    PositionReading,
    ProfileRef,
    Rules,
    Window,
)
from unghost.ports import Clock, Exchange, FillFiles, LedgerReader, Progress, SeenAccounts
from unghost.selection import (
    Resolved,
    RowFilter,
    exchange_ids,
    names_an_order,
    order_names,
    row_filter,
    spellings,
)

ENTRY_MARGIN = timedelta(seconds=10)
"""How far before the earliest ENTRY the window of fills begins."""

END_MARGIN = timedelta(seconds=10)
"""How far the exchange's clock may run ahead of ours before its newest fills are left out."""

STILL_MARGIN = timedelta(seconds=10)
"""How long before the first position reading the market must have been without a fill, so that
the clocks may differ by as much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What to gather: the account's open lifecycles (all profiles) and how to read them."""

    profile: ProfileRef
    lifecycles: tuple[Lifecycle, ...]
    rules: Rules
    ledger_in_contracts: bool
    read_all_fills: bool = False
    """Read fills of markets that are not flat too: for people who look, never for a write."""
    positions_only: bool = False
    """Read no fills at all: enough to tell that ledger and exchange disagree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """The lifecycles of one market; `market` None where the symbol does not resolve (`why_not`)."""

    symbol: str
    market: Market | None
    why_not: str
    lifecycles: tuple[Lifecycle, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _World:
    """Where answers come from."""

    ledger: LedgerReader
    exchange: Exchange
    clock: Clock
    files: FillFiles | None
    accounts: SeenAccounts | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Readings:
    """Everything that was read, by market."""

    before: Mapping[str, PositionReading]
    after: Mapping[str, PositionReading]
    fills: Mapping[str, FillReading]
    rows: Mapping[str, tuple[LedgerRow, ...]]


def gather(
    question: Question,
    *,
    ledger: LedgerReader,
    exchange: Exchange,
    clock: Clock,
    files: FillFiles | None = None,
    accounts: SeenAccounts | None = None,
    progress: Progress | None = None,
) -> tuple[Evidence, ...]:
    """Return one Evidence per market with a lifecycle of the profile, in base units.

    Calls to the exchange: two position readings, and the fills of each flat market. Imported
    files take the place of its fills over the span that they are stated to cover (`filefills`).
    Where another profile, said to be of another account, may use the same fills, none are believed.
    """
    world = _World(ledger=ledger, exchange=exchange, clock=clock, files=files, accounts=accounts)
    groups = _groups(question, exchange)
    readings = _read(question, groups, world, progress)
    return tuple(_evidence(question, group, readings, clock()) for group in groups)


def _read(
    question: Question, groups: Sequence[_Group], world: _World, progress: Progress | None
) -> _Readings:
    markets = [group.market for group in groups if group.market is not None]
    _tell(progress, "reading positions", 0, 2)
    before = world.exchange.positions(markets) if markets else {}
    windows = {} if question.positions_only else _windows(question, groups, before, world.clock())
    _tell(progress, "reading fills", 0, len(windows))
    fills = _fills(question, windows, world) if windows else {}
    fills = {name: _still(one, before.get(name)) for name, one in fills.items()}
    _tell(progress, "reading positions again", 1, 2)
    after = _read_again(windows, world)
    fills, rows = _ledger_rows(question, groups, windows, fills, world)
    fills = _ours_alone(question, windows, fills, world)
    _tell(progress, "evidence gathered", 2, 2)
    return _Readings(before=before, after=after, fills=fills, rows=rows)


def _fills(
    question: Question, windows: Mapping[Market, Window], world: _World
) -> dict[str, FillReading]:
    """From the exchange, save what an imported file tells."""
    choices = _choices(question, windows, world)
    asked = {market: filefills.rest(choices[market], span) for market, span in windows.items()}
    told = world.exchange.fills(asked)
    return {
        market.unified: _with_file(choices[market], market, span, told[market.unified])
        for market, span in windows.items()
        if market.unified in told
    }


def _choices(
    question: Question, windows: Mapping[Market, Window], world: _World
) -> dict[Market, Choice]:
    names = sorted({name for market in windows for name in filefills.names_of(market)})
    profiles = question.profile.account_profiles
    found = world.files.covering(profiles, symbols=names) if world.files else ()
    return {market: filefills.choose(found, market, span) for market, span in windows.items()}


def _with_file(choice: Choice, market: Market, span: Window, told: FillReading) -> FillReading:
    if not choice.files:
        return filefills.noted(told, choice)
    return filefills.joined(choice, market, span, told)


def _read_again(windows: Mapping[Market, Window], world: _World) -> dict[str, PositionReading]:
    """The second reading; where none came, the first must not stand for both."""
    if not windows:
        return {}
    told = world.exchange.positions(list(windows))
    now = world.clock()
    return {market.unified: told.get(market.unified) or _unread(now) for market in windows}


def _tell(progress: Progress | None, stage: str, done: int, total: int) -> None:
    if progress is not None:
        progress.step(stage, done, total)


# --- which markets -----------------------------------------------------------------------------


def _groups(question: Question, exchange: Exchange) -> list[_Group]:
    """Group by market, whatever the spelling; only markets where the profile itself has a ghost."""
    resolved = exchange.resolve(sorted({one.key.symbol for one in question.lifecycles}))
    by_name: dict[str, list[Lifecycle]] = defaultdict(list)
    for lifecycle in question.lifecycles:
        market = resolved.get(lifecycle.key.symbol)
        by_name[market.unified if market else lifecycle.key.symbol].append(lifecycle)
    known = {market.unified: market for market in resolved.values() if market is not None}
    own = question.profile.profile_id
    return [
        _Group(
            symbol=name,
            market=known.get(name),
            why_not="" if name in known else resolved.why_not(name),
            lifecycles=tuple(by_name[name]),
        )
        for name in sorted(by_name)
        if any(one.key.profile_id == own for one in by_name[name])
    ]


def _windows(
    question: Question,
    groups: Sequence[_Group],
    before: Mapping[str, PositionReading],
    now: datetime,
) -> dict[Market, Window]:
    return {
        group.market: window(group.lifecycles, question.rules, now)
        for group in groups
        if group.market is not None
        and (question.read_all_fills or _is_flat(before.get(group.symbol)))
    }


def _is_flat(reading: PositionReading | None) -> bool:
    return reading is not None and reading.flatness is Flatness.FLAT


def _still(fills: FillReading, before: PositionReading | None) -> FillReading:
    """Doubt fills of a market that is traded while it is read.

    A position that opens before the fills are read and closes after them is seen by neither
    position reading; replayed backwards, its opening looks like the close of somebody else.
    """
    if before is None or before.flatness is not Flatness.FLAT:
        return fills
    latest = max((fill.filled_at for fill in fills.fills), default=None)
    if latest is None or latest < before.as_of - STILL_MARGIN:
        return fills
    detail = f"the account traded this market while it was read: a fill at {latest.isoformat()}"
    return replace(fills, complete=False, detail=detail)


def window(lifecycles: Iterable[Lifecycle], rules: Rules, now: datetime) -> Window:
    """`[max(now - lookback, earliest ENTRY - 10 s), now]` (DESIGN section 4).

    Without any entry time the whole lookback is read.
    """
    earliest = now - timedelta(hours=rules.lookback_hours)
    entries = [one.first_entry_at for one in lifecycles if one.first_entry_at is not None]
    # Compared before it is moved: the calendar begins somewhere, and an ENTRY may lie on its edge.
    first = max(min(entries, default=earliest), earliest + ENTRY_MARGIN)
    return Window(start_at=first - ENTRY_MARGIN, end_at=now + END_MARGIN)


# --- the ledger's side -------------------------------------------------------------------------


def _ledger_rows(
    question: Question,
    groups: Sequence[_Group],
    windows: Mapping[Market, Window],
    fills: Mapping[str, FillReading],
    world: _World,
) -> tuple[dict[str, FillReading], dict[str, tuple[LedgerRow, ...]]]:
    """Read the account's rows; ask for client order ids only where a row's ids link nothing."""
    readings = dict(fills)
    if not windows:
        return readings, {}
    rows = _rows_by_market(question, windows, readings, world)
    asked = {
        market: span
        for market, span in windows.items()
        if _has_unlinked(rows[market.unified], groups, readings[market.unified], market)
    }
    if asked:
        _with_client_ids(readings, asked, world.exchange)
        rows = _rows_by_market(question, windows, readings, world)
    return readings, rows


def _has_unlinked(
    rows: Iterable[LedgerRow],
    groups: Iterable[_Group],
    reading: FillReading,
    market: Market,
) -> bool:
    if not reading.complete or not reading.fills or _tells_client_ids(reading.fills):
        return False
    names = exchange_ids(reading.fills)
    own = [row for group in groups if group.market == market for row in _attempts(group)]
    return any(not names.intersection(rowfacts.linked_ids(row)) for row in (*rows, *own))


def _attempts(group: _Group) -> list[LedgerRow]:
    """Rows of the lifecycles that never counted as filled but may name an order that was."""
    return [
        row
        for lifecycle in group.lifecycles
        for row in lifecycle.rows
        if not rowfacts.is_filled(row) and not rowfacts.is_ours(row)
    ]


def _tells_client_ids(fills: Iterable[Fill]) -> bool:
    return any(fill.client_order_id for fill in fills)


def _with_client_ids(
    readings: dict[str, FillReading], asked: Mapping[Market, Window], exchange: Exchange
) -> None:
    """Put client order ids to the fills; a market whose orders cannot be read is incomplete."""
    told = exchange.client_order_ids(asked)
    for market in asked:
        reading = readings[market.unified]
        names = told.get(market.unified)
        if names is None:
            readings[market.unified] = replace(
                reading,
                complete=False,
                detail="the orders behind the fills could not be read, so ledger rows that hold"
                " client order ids cannot be linked",
            )
            continue
        readings[market.unified] = replace(
            reading,
            fills=tuple(
                replace(fill, client_order_id=names.get(fill.exchange_order_id))
                for fill in reading.fills
            ),
        )


def _rows_by_market(
    question: Question,
    windows: Mapping[Market, Window],
    readings: Mapping[str, FillReading],
    world: _World,
) -> dict[str, tuple[LedgerRow, ...]]:
    rows = world.ledger.account_rows(
        question.profile.account_profiles,
        symbols=sorted(spellings(windows)),
        start_at=min(span.start_at for span in windows.values()),
        exchange_ids=sorted(
            {name for one in readings.values() for name in exchange_ids(one.fills)}
        ),
    )
    resolved = world.exchange.resolve(sorted({row.symbol for row in rows}))
    return {
        market.unified: _select(
            rows, row_filter(market, span, readings[market.unified].fills), resolved
        )
        for market, span in windows.items()
    }


def _select(
    rows: Iterable[LedgerRow], wanted: RowFilter, resolved: Resolved
) -> tuple[LedgerRow, ...]:
    return tuple(row for row in rows if wanted.holds(row, resolved))


# --- whose fills they are ----------------------------------------------------------------------


def _ours_alone(
    question: Question,
    windows: Mapping[Market, Window],
    fills: Mapping[str, FillReading],
    world: _World,
) -> dict[str, FillReading]:
    """Doubt the fills of an account that another one, by its name, seems to be as well.

    Each profile would use them for its own lifecycles, and so they would be used twice.
    """
    if not windows:
        return dict(fills)
    doubt = world.accounts.doubt(question.profile, world.exchange) if world.accounts else ""
    if doubt:
        return {name: _doubted(one, doubt) for name, one in fills.items()}
    found = world.ledger.rows_of_strangers(
        question.profile.no_strangers,
        symbols=sorted(spellings(windows)),
        order_ids=sorted({name for one in fills.values() for name in order_names(one.fills)}),
    )
    return dict(fills) | {
        market.unified: _doubted(fills[market.unified], _shared(row, question))
        for market in windows
        for row in found
        if names_an_order(row, market, fills[market.unified].fills)
    }


def _doubted(fills: FillReading, why: str) -> FillReading:
    return replace(fills, complete=False, detail=why)


def _shared(row: LedgerRow, question: Question) -> str:
    return (
        f"row {row.order_id} of profile {row.profile_id} names an order among these fills, so its"
        f" exchange account is that of profile {question.profile.profile_id}, and the same fills"
        " would be used twice: give both the same `account` in one profiles' file"
    )


# --- together ----------------------------------------------------------------------------------


def _evidence(question: Question, group: _Group, readings: _Readings, now: datetime) -> Evidence:
    unit = _unit(question, group.market)
    first = readings.before.get(group.symbol) or _unread(now, group.why_not)
    fills = readings.fills.get(group.symbol) or _no_fills(question, group, first, now)
    return Evidence(
        profile_id=question.profile.profile_id,
        symbol=group.symbol,
        market=group.market,
        as_of=now,
        lifecycles=tuple(_scaled(one, unit) for one in group.lifecycles),
        ledger_rows=tuple(_scaled_row(row, unit) for row in readings.rows.get(group.symbol, ())),
        position_before=first,
        position_after=readings.after.get(group.symbol, first),
        fills=fills,
        ledger_unit=unit,
    )


def _unread(now: datetime, why: str = "") -> PositionReading:
    detail = why or "the exchange gave no reading"
    return PositionReading(flatness=Flatness.UNKNOWN, as_of=now, size=None, detail=detail)


def _no_fills(
    question: Question, group: _Group, position: PositionReading, now: datetime
) -> FillReading:
    why = f"fills were not read: the market is {position.flatness}, not proven flat"
    if group.market is not None and position.flatness is Flatness.FLAT:
        why = "the exchange gave no fills reading"
    return FillReading(
        fills=(),
        complete=False,
        window=window(group.lifecycles, question.rules, now),
        as_of=now,
        detail=why,
    )


def _unit(question: Question, market: Market | None) -> Decimal:
    """Base units per unit of the ledger."""
    if market is None or not question.ledger_in_contracts:
        return Decimal(1)
    return market.contract_size


def _scaled(lifecycle: Lifecycle, unit: Decimal) -> Lifecycle:
    if unit == 1:
        return lifecycle
    return replace(
        lifecycle,
        entry_qty=lifecycle.entry_qty * unit,
        exit_qty=lifecycle.exit_qty * unit,
        open_qty=lifecycle.open_qty * unit,
        rows=tuple(_scaled_row(row, unit) for row in lifecycle.rows),
    )


def _scaled_row(row: LedgerRow, unit: Decimal) -> LedgerRow:
    if unit == 1 or row.quantity is None:
        return row
    return replace(row, quantity=row.quantity * unit)
