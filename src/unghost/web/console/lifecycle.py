"""What the page of a lifecycle shows: rows, record, and one reading of its leg. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from unghost import rowfacts
from unghost.flows import FillPart, split
from unghost.ids import DUST_ORDER
from unghost.model import (
    AuditRow,
    Decision,
    LedgerRow,
    LifecycleKey,
    PositionSide,
    Side,
)
from unghost.report import NOT_OURS, explain_rows
from unghost.web.console.charts import Chart, Line, Mark
from unghost.web.console.figures import plain
from unghost.web.console.leg import LegReading
from unghost.web.console.positions import exchange_points, held_now, ledger_points
from unghost.web.console.scales import ZERO

UNREAD: Final = "not known"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExchangeOrder:
    """The fills of one order on the leg. `lost` when it closed this lifecycle and no row says so.

    Base units.
    """

    order_id: str
    at: datetime
    action: str
    side: Side
    quantity: Decimal
    price: Decimal
    standing: str
    lost: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LifecycleView:
    """Ledger and exchange side by side. `latest` is the row that says most about the decision."""

    key: LifecycleKey
    direction: PositionSide | None
    open_qty: Decimal
    exchange_words: str
    difference_words: str
    rows: tuple[LedgerRow, ...]
    orders: tuple[ExchangeOrder, ...]
    latest: AuditRow | None
    sentences: tuple[str, ...]
    history: tuple[AuditRow, ...]
    trouble: str
    chart: Chart | None


_SIDES: Final = frozenset(side.value for side in PositionSide)


def lifecycle_view(
    key: LifecycleKey,
    rows: Sequence[LedgerRow],
    record: Sequence[AuditRow],
    reading: LegReading,
) -> LifecycleView:
    """Put it together. `rows` in units of the ledger; `record` newest first."""
    own = [row for row in rows if row.symbol == key.symbol]
    direction = _direction(own, record)
    latest = _latest_batch(record)
    parts = _parts(reading)
    lost = _lost_orders(key, latest, own)
    counted = _open(own)
    held = _held(reading, direction)
    return LifecycleView(
        key=key,
        direction=direction,
        open_qty=counted,
        exchange_words=UNREAD if held is None else plain(held),
        difference_words=_difference(counted * reading.unit, held),
        rows=tuple(own),
        orders=_orders(parts, direction, reading.rows, lost),
        latest=_headline(latest),
        sentences=explain_rows(latest),
        history=tuple(record),
        trouble=reading.trouble,
        chart=_chart(key, direction, reading, parts, lost) if direction else None,
    )


# --- the ledger --------------------------------------------------------------------------------


def _open(rows: Iterable[LedgerRow]) -> Decimal:
    """Entry less exit as the checklist counts it."""
    total = ZERO
    for row in rows:
        amount = rowfacts.usable_quantity(row)
        if amount is not None and rowfacts.is_counted(row):
            total += amount if row.action == rowfacts.ENTRY else ZERO
            total -= amount if row.action == rowfacts.EXIT else ZERO
    return total


def _direction(rows: Iterable[LedgerRow], record: Iterable[AuditRow]) -> PositionSide | None:
    """As the entries state it, else as the record has found it out."""
    entries = [row for row in rows if rowfacts.action_of(row) == rowfacts.ENTRY]
    stated = {side for row in entries for side in rowfacts.stated_directions(row)}
    if len(stated) == 1:
        return stated.pop()
    found = (str(row.evidence.get("direction")) for row in record)
    return next((PositionSide(one) for one in found if one in _SIDES), None)


# --- the record --------------------------------------------------------------------------------


def _latest_batch(record: Sequence[AuditRow]) -> tuple[AuditRow, ...]:
    """The rows of the batch that judged last."""
    return tuple(row for row in record if row.batch_id == record[0].batch_id) if record else ()


def _headline(rows: Sequence[AuditRow]) -> AuditRow | None:
    """What stays open is what people ask about: NO_GO before any other decision."""
    refused = [row for row in rows if row.decision is Decision.NO_GO]
    return next(iter([*refused, *rows]), None)


def _lost_orders(
    key: LifecycleKey, latest: Sequence[AuditRow], rows: Iterable[LedgerRow]
) -> frozenset[str]:
    """Orders that the record gives to this lifecycle and that no row of it stands for.

    No order where the evidence is not as unghost writes it, as the sentences say.
    """
    booked = {name for row in rows if rowfacts.is_filled(row) for name in rowfacts.linked_ids(row)}
    claimed: set[str] = set()
    with suppress(*NOT_OURS):
        claimed = set(_claimed(key, latest))
    written = {
        row.exchange_order_id
        for row in latest
        if row.backfill_order_id in booked and row.exchange_order_id
    }
    return frozenset(claimed - written - {DUST_ORDER})


def _claimed(key: LifecycleKey, latest: Sequence[AuditRow]) -> Iterator[str]:
    for row in latest:
        for order in row.evidence.get("orders", ()):
            if any(_is_own(claim, key) for claim in order["claims"]):
                yield str(order["exchange_order_id"])


def _is_own(claim: Mapping[str, Any], key: LifecycleKey) -> bool:
    return (claim["profile_id"], claim["trade_id"]) == (key.profile_id, key.trade_id)


# --- the exchange ------------------------------------------------------------------------------


def _parts(reading: LegReading) -> tuple[FillPart, ...]:
    if reading.position is None or reading.fills is None or reading.market is None:
        return ()
    return split(reading.fills.fills, reading.position, spot=reading.market.spot)


def _held(reading: LegReading, direction: PositionSide | None) -> Decimal | None:
    if reading.position is None or direction is None:
        return None
    return held_now(reading.position, direction)


def _difference(counted: Decimal, held: Decimal | None) -> str:
    if held is None:
        return UNREAD
    return plain(max(ZERO, counted - held)) if counted else plain(ZERO)


def _orders(
    parts: Sequence[FillPart],
    direction: PositionSide | None,
    rows: Iterable[LedgerRow],
    lost: Collection[str],
) -> tuple[ExchangeOrder, ...]:
    """One line for each order of the leg, oldest first."""
    booked: dict[str, LedgerRow] = {}
    for row in rows:
        booked.update(dict.fromkeys(rowfacts.linked_ids(row), row))
    groups: dict[tuple[str, bool], list[FillPart]] = defaultdict(list)
    for part in parts:
        if part.leg is direction:
            groups[part.fill.exchange_order_id, part.closing].append(part)
    orders = (_order(group, booked, lost) for group in groups.values())
    return tuple(sorted(orders, key=lambda order: order.at))


def _order(
    parts: Sequence[FillPart], booked: Mapping[str, LedgerRow], lost: Collection[str]
) -> ExchangeOrder:
    last = parts[-1].fill
    quantity = sum((part.quantity for part in parts), ZERO)
    cost = sum((part.quantity * part.fill.price for part in parts), ZERO)
    is_lost = parts[-1].closing and last.exchange_order_id in lost
    return ExchangeOrder(
        order_id=last.exchange_order_id,
        at=last.filled_at,
        action="closed" if parts[-1].closing else "opened",
        side=last.side,
        quantity=quantity,
        price=(cost / quantity).quantize(Decimal("1E-8")).normalize(),
        standing=_standing(parts, booked),
        lost=is_lost,
    )


def _standing(parts: Sequence[FillPart], booked: Mapping[str, LedgerRow]) -> str:
    """Which lifecycle the ledger books the order under."""
    ids = (parts[-1].fill.exchange_order_id, parts[-1].fill.client_order_id or "")
    row = next((booked[name] for name in ids if name in booked), None)
    if row is None:
        return "no row names it"
    owner = row.trade_id or "no lifecycle"
    return f"{owner}, our row" if rowfacts.is_ours(row) else owner


# --- the chart ---------------------------------------------------------------------------------


def _chart(
    key: LifecycleKey,
    leg: PositionSide,
    reading: LegReading,
    parts: Sequence[FillPart],
    lost: Collection[str],
) -> Chart | None:
    held = _held(reading, leg)
    if held is None or reading.trouble or reading.market is None:
        return None
    ledger = ledger_points(reading.rows, leg, reading.start_at)
    exchange = exchange_points(parts, held, leg, reading.start_at)
    return Chart(
        key="leg",
        title=f"Position of {key.symbol}, {leg} leg, in {reading.market.base}",
        description=(
            f"At the end the ledger counts {plain(ledger[-1].value)} {reading.market.base},"
            f" the exchange holds {plain(exchange[-1].value)}."
        ),
        lines=(
            Line(name="counted by the ledger", kind="ledger", points=ledger),
            Line(name="held on the exchange", kind="exchange", points=exchange),
        ),
        start_at=reading.start_at,
        end_at=reading.end_at,
        marks=_marks(parts, leg, lost),
        apart=True,
    )


def _marks(parts: Sequence[FillPart], leg: PositionSide, lost: Collection[str]) -> tuple[Mark, ...]:
    """The last fill of each exit that is missing in the ledger."""
    last: dict[str, datetime] = {}
    for part in parts:
        if part.leg is leg and part.closing and part.fill.exchange_order_id in lost:
            last[part.fill.exchange_order_id] = part.fill.filled_at
    return tuple(Mark(at=at, label="lost exit") for at in last.values())
