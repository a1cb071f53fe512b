"""Small builders for the pure stages: a ledger and a list of fills become evidence and rulings.

A test says what stands in the ledger and what the exchange did; everything else has a default under
which every gate is open. Times are seconds after `START`. `LEDGER` order ids count upwards.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from unghost.decide import decide
from unghost.detect import judge
from unghost.gather import _scaled, _scaled_row, window
from unghost.model import (
    FILLED_STATUSES,
    AuditRow,
    Candidate,
    Decision,
    Evidence,
    Fill,
    FillReading,
    Flatness,
    LedgerRow,
    Lifecycle,
    LifecycleKey,
    Market,
    Money,
    PauseReading,
    PauseState,
    PositionReading,
    PositionSide,
    Reason,
    Rules,
    Ruling,
    Side,
    Window,
)
from unghost.selection import row_filter

START = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
NOW = START + timedelta(hours=2)
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
BUY, SELL = Side.BUY, Side.SELL

BTC = Market(
    unified="BTC/USDT:USDT",
    native_id="BTCUSDT",
    base="BTC",
    quote="USDT",
    spellings=("BTCUSDT", "BTC/USDT:USDT", "BTC/USDT"),
)
ETH = replace(BTC, unified="ETH/USDT:USDT", native_id="ETHUSDT", base="ETH", spellings=("ETHUSDT",))
SPOT = replace(BTC, unified="BTC/USDT", spot=True, spellings=("BTCUSDT", "BTC/USDT"))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _digest(found: object) -> str:
    return hashlib.sha256(repr(found).encode()).hexdigest()


def dec(number: str | int | Decimal) -> Decimal:
    return Decimal(number)


# --- the ledger --------------------------------------------------------------------------------


def row(
    order_id: str,
    action: str | None,
    quantity: str | int | Decimal | None,
    seconds: float | None = 0,
    *,
    trade: str | None = "t-1",
    profile: str = "main",
    symbol: str = "BTCUSDT",
    status: str | None = "filled",
    side: str | Side | None = None,
    price: str | int | None = "100",
    xid: str | None = None,
    cid: str | None = None,
    position_side: str | None = None,
    created: float | None = None,
) -> LedgerRow:
    """One row; `seconds` is filled_at, `xid` the exchange's order id, `cid` the client's."""
    found = LedgerRow(
        order_id=order_id,
        profile_id=profile,
        symbol=symbol,
        trade_id=trade,
        action=action,
        status=status,
        quantity=None if quantity is None else dec(quantity),
        price=None if price is None else dec(price),
        side=side,
        position_side=position_side,
        exchange_order_id=xid,
        client_order_id=cid,
        filled_at=None if seconds is None else at(seconds),
        created_at=None if created is None else at(created),
    )
    return replace(found, version=_digest(found))


def entry(order_id: str, quantity, seconds: float | None = 0, **more) -> LedgerRow:
    """A filled ENTRY of a long, linked to the exchange order `x<order_id>`."""
    return row(
        order_id,
        "ENTRY",
        quantity,
        seconds,
        **{"side": "buy", "xid": f"x{order_id}"} | more,
    )


def exit_(order_id: str, quantity, seconds: float | None = 0, **more) -> LedgerRow:
    """A filled EXIT of a long, linked to the exchange order `x<order_id>`."""
    return row(
        order_id,
        "EXIT",
        quantity,
        seconds,
        **{"side": "sell", "xid": f"x{order_id}"} | more,
    )


def lifecycles_of(rows: Iterable[LedgerRow]) -> tuple[Lifecycle, ...]:
    """What the checklist's section 1 finds open in these rows, judged."""
    rows = tuple(rows)
    sums: dict[LifecycleKey, list[Decimal]] = defaultdict(lambda: [dec(0), dec(0)])
    for one in rows:
        if one.status in FILLED_STATUSES and one.trade_id is not None:
            key = LifecycleKey(profile_id=one.profile_id, symbol=one.symbol, trade_id=one.trade_id)
            for place, action in enumerate(("ENTRY", "EXIT")):
                sums[key][place] += (one.quantity or dec(0)) if one.action == action else dec(0)
    found = (_lifecycle(key, *sums[key], rows) for key in sums)
    return tuple(judge(one) for one in found if one is not None and not _is_closed(one.open_qty))


def _is_closed(open_qty: Decimal) -> bool:
    return not open_qty.is_nan() and open_qty <= 0


def _lifecycle(
    key: LifecycleKey, entry_qty: Decimal, exit_qty: Decimal, rows: Sequence[LedgerRow]
) -> Lifecycle:
    own = [one for one in rows if (one.profile_id, one.trade_id) == (key.profile_id, key.trade_id)]
    return Lifecycle(
        key=key,
        entry_qty=entry_qty,
        exit_qty=exit_qty,
        open_qty=entry_qty - exit_qty,
        rows=tuple(sorted(own, key=lambda one: one.at or datetime.max.replace(tzinfo=UTC))),
    )


# --- the exchange ------------------------------------------------------------------------------


def fill(
    order_id: str,
    side: Side,
    quantity: str | int | Decimal,
    seconds: float,
    *,
    price: str | int = "110",
    cid: str | None = None,
    leg: PositionSide | None = None,
    fees: tuple[Money, ...] | None = (),
    fill_id: str | None = None,
    market: Market = BTC,
) -> Fill:
    found = Fill(
        fill_id=fill_id or f"{order_id}@{seconds}",
        exchange_order_id=order_id,
        market=market.unified,
        side=side,
        quantity=dec(quantity),
        price=dec(price),
        filled_at=at(seconds),
        client_order_id=cid,
        position_side=leg,
        fees=fees,
    )
    return replace(found, digest=_digest(found))


def buy(order_id: str, quantity, seconds: float, **more) -> Fill:
    return fill(order_id, BUY, quantity, seconds, **{"price": "100"} | more)


def opened(rows: Iterable[LedgerRow]) -> list[Fill]:
    """The fills of the orders that ENTRY rows of longs are linked to."""
    return [
        buy(str(one.exchange_order_id), one.quantity, (one.at - at(0)).total_seconds())
        for one in rows
        if one.action == "ENTRY" and one.at is not None
    ]


def sell(order_id: str, quantity, seconds: float, **more) -> Fill:
    return fill(order_id, SELL, quantity, seconds, **more)


def fees(*pairs: tuple[str, str]) -> tuple[Money, ...]:
    return tuple(Money(currency=currency, amount=dec(amount)) for currency, amount in pairs)


def position(flatness: Flatness = Flatness.FLAT, *, as_of: datetime = NOW) -> PositionReading:
    size = {Flatness.FLAT: dec(0), Flatness.OPEN: dec(3), Flatness.UNKNOWN: None}[flatness]
    return PositionReading(flatness=flatness, as_of=as_of, size=size)


# --- together ----------------------------------------------------------------------------------


def evidence(
    rows: Iterable[LedgerRow],
    fills: Iterable[Fill],
    *,
    profile: str = "main",
    market: Market = BTC,
    before: Flatness = Flatness.FLAT,
    after: Flatness = Flatness.FLAT,
    complete: bool = True,
    span: Window | None = None,
    unit: Decimal = Decimal(1),
    now: datetime = NOW,
) -> Evidence:
    """The evidence for one market, chosen from the whole ledger as the gather stage does."""
    rows, fills = tuple(rows), tuple(fills)
    names = {*market.spellings, market.unified, market.native_id}
    lifecycles = [one for one in lifecycles_of(rows) if one.key.symbol in names]
    span = span or window(lifecycles, Rules(), now)
    fills = tuple(one for one in fills if span.start_at <= one.filled_at <= span.end_at)
    chosen = row_filter(market, span, fills)
    resolved = dict.fromkeys((*BTC.spellings, *ETH.spellings), market)
    return Evidence(
        profile_id=profile,
        symbol=market.unified,
        market=market,
        as_of=now,
        lifecycles=tuple(_scaled(one, unit) for one in lifecycles),
        ledger_rows=tuple(
            _scaled_row(one, unit)
            for one in rows
            if (one.status or "").lower() in FILLED_STATUSES and chosen.holds(one, resolved)
        ),
        position_before=position(before, as_of=now),
        position_after=position(after, as_of=now),
        fills=FillReading(fills=fills, complete=complete, window=span, as_of=now),
        ledger_unit=unit,
    )


PAUSED = PauseReading(state=PauseState.PAUSED, source="test", as_of=NOW)


def ruled(
    *evidences: Evidence,
    rules: Rules | None = None,
    pause: PauseReading = PAUSED,
    now: datetime = NOW,
) -> tuple[Ruling, ...]:
    return decide(evidences, pause=pause, rules=rules or Rules(), now=now)


def only(rulings: Sequence[Ruling]) -> Ruling:
    (ruling,) = rulings
    return ruling


def candidates(rulings: Iterable[Ruling]) -> list[Candidate]:
    return [one for ruling in rulings for one in ruling.candidates]


def quantities(rulings: Iterable[Ruling]) -> dict[str, list[str]]:
    """`{trade_id: ["<exchange order> <quantity> <attribution>", ...]}`, nothing left out."""
    return {
        ruling.lifecycle.key.trade_id: [
            f"{one.exchange_order_id} {one.quantity.normalize():f} {one.attribution}"
            for one in ruling.candidates
        ]
        for ruling in rulings
    }


def reasons(rulings: Iterable[Ruling]) -> dict[str, list[Reason]]:
    return {
        ruling.lifecycle.key.trade_id: [one.reason for one in ruling.refusals] for ruling in rulings
    }


def written(candidate: Candidate, *, status: str = "filled") -> LedgerRow:
    """The ledger row that an apply writes for the candidate."""
    found = LedgerRow(
        order_id=candidate.order_id,
        profile_id=candidate.key.profile_id,
        symbol=candidate.key.symbol,
        trade_id=candidate.key.trade_id,
        action="EXIT",
        status=status,
        quantity=candidate.quantity,
        price=candidate.price,
        side=candidate.side,
        exchange_order_id=candidate.exchange_order_id,
        client_order_id=candidate.client_order_id,
        fee=candidate.fee,
        fee_currency=candidate.fee_currency,
        filled_at=candidate.filled_at,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(found, version=_digest(found))


def planned(candidate: Candidate) -> AuditRow:
    """The audit row that a dry run writes for the candidate."""
    return AuditRow(
        audit_id=1,
        batch_id="plan",
        profile_id=candidate.key.profile_id,
        symbol=candidate.key.symbol,
        trade_id=candidate.key.trade_id,
        decision=Decision.DRY_RUN,
        reason=candidate.reason,
        filled_qty=candidate.quantity,
        open_qty=candidate.open_qty,
        remainder_qty=candidate.remainder_qty,
        price=candidate.price,
        fee=candidate.fee,
        fee_currency=candidate.fee_currency,
        backfill_order_id=candidate.order_id,
        exchange_order_id=candidate.exchange_order_id,
        exchange_client_order_id=candidate.client_order_id,
        filled_at=candidate.filled_at,
        attribution=candidate.attribution,
        fingerprint=candidate.fingerprint,
        evidence={"basis": [list(pair) for pair in candidate.basis]},
        actor="test",
        created_at=NOW,
    )
