"""Made-up worlds through the whole cycle: real database, real client, simulated venue over HTTP.

`tests/worlds` judges what is decided, in memory and by the truth. Here the same worlds are traded
on a simulated venue and booked in PostgreSQL, an apply is run for each profile, and what was
written is held against the decision that the truth has judged: nothing may be lost or added on the
way, fees included. The venues take turns; on OKX every other ledger is kept in contracts, and on
each every other pair of worlds is booked by unified symbols. `UNGHOST_WORLDS` is the number of
worlds, `UNGHOST_WORLDS_FROM` the first seed; `make fidelity` asks for more than `make test`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.cycle.bench import PROFILE, Bench, utc_now
from tests.worlds.books import Fault
from tests.worlds.judge import decided, judged
from tests.worlds.oracle import survey
from tests.worlds.truth import MARKETS
from tests.worlds.world import World, of_seed

from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.demo.world import World as Traded
from unghost.desk import Desk
from unghost.model import Decision, Fill, LedgerRow, Rules

COUNT = int(os.environ.get("UNGHOST_WORLDS", "24"))
FIRST_SEED = int(os.environ.get("UNGHOST_WORLDS_FROM", "0"))
OF_A_READING = {Fault.INCOMPLETE, Fault.OPEN_BEFORE, Fault.UNKNOWN_AFTER}
"""What befalls a reading is the fault matrix's business; here every answer is whole."""
VENUES = ("binanceusdm", "bybit", "okx")
TOLD = {"both": "mixed", "unknown": "usdt"}
"""An exchange tells one fee for each fill, and always tells it."""
FIRST_ORDER = 700_001
PLACES = Decimal("1e-12")
"""Of the sample ledger's columns."""

Written = tuple[str, str, str, Decimal, Decimal, Any, Decimal | None, str | None]
"""(profile, trade, exchange order, quantity, price, time, fee, its currency)."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A world of long ago, set up on the bench as if it had ended just now."""

    world: World
    shift: timedelta
    numbers: Mapping[str, str]
    """The world's name of an order -> the number that the exchange gives it."""
    names: Mapping[str, str]
    """The world's symbol -> what the ledger calls it."""
    units: Mapping[str, Decimal]
    """The world's symbol -> what one of the ledger's units is in base units."""

    @property
    def in_contracts(self) -> bool:
        return any(unit != 1 for unit in self.units.values())

    def number(self, name: str | None) -> str | None:
        return self.numbers.get(name, name) if name is not None else None

    def later(self, moment: Any) -> Any:
        return None if moment is None else moment + self.shift


def staged(world: World, venue: str, turn: int) -> Stage:
    now = utc_now()
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    orders = sorted(world.history.orders, key=lambda one: one.times[0])
    traded = {symbol: Traded().market(market.unified) for symbol, market in MARKETS.items()}
    listed = {symbol: market.listing(venue) for symbol, market in traded.items()}
    by_native, by_base = turn % 4 < 2, turn % 2 == 0
    return Stage(
        world=world,
        shift=now - world.now,
        numbers={one.name: str(FIRST_ORDER + count) for count, one in enumerate(orders)},
        names={
            symbol: one.native_id if by_native else traded[symbol].symbol
            for symbol, one in listed.items()
        },
        units={
            symbol: Decimal(1) if by_base else one.contract_size for symbol, one in listed.items()
        },
    )


def as_told(world: World, venue: str) -> World:
    """The world as a venue can tell it: every answer whole, one fee for each fill, and on Bybit how
    much each fill closed.
    """
    orders = (replace(one, charge=TOLD.get(one.charge, one.charge)) for one in world.history.orders)
    return replace(
        world,
        history=replace(world.history, orders=tuple(orders), closings=venue == "bybit"),
        mishaps=tuple(one for one in world.mishaps if one.fault not in OF_A_READING),
    )


def trade(bench: Bench, stage: Stage) -> None:
    """Every execution of the truth, oldest first."""
    bench.venue.world = Traded()
    bench.world.open_account(PROFILE, mode="hedge" if stage.world.history.hedged else "one_way")
    # A venue in hedge mode wants to know the leg, also the one that never tells it again.
    fills = stage.world.told(closings=False).fills
    for one in sorted(fills, key=lambda fill: fill.filled_at):
        bench.world.execute(
            account=PROFILE,
            symbol=one.market,
            side=str(one.side),
            quantity=one.quantity,
            price=one.price,
            at=stage.later(one.filled_at),
            order_id=stage.number(one.exchange_order_id),
            client_order_id=one.client_order_id,
            position_side=None if one.position_side is None else str(one.position_side),
            kind=str(one.kind),
            **fee_of(one),
        )


def fee_of(one: Fill) -> dict[str, Any]:
    [fee] = one.fees or ()
    return {"fee": fee.amount, "fee_currency": fee.currency}


def book(bench: Bench, stage: Stage, row: LedgerRow) -> None:
    bench.insert(
        {
            "order_id": stage.number(row.order_id),
            "profile_id": row.profile_id,
            "symbol": stage.names[row.symbol],
            "trade_id": row.trade_id,
            "action": row.action,
            "status": row.status,
            "side": None if row.side is None else str(row.side),
            "position_side": row.position_side,
            "quantity": None if row.quantity is None else row.quantity / stage.units[row.symbol],
            "price": row.price,
            "exchange_order_id": stage.number(row.exchange_order_id),
            "client_order_id": row.client_order_id,
            "filled_at": stage.later(row.filled_at),
            "created_at": stage.later(row.created_at),
            "updated_at": None,
        }
    )


def rules_of(bench: Bench, world: World) -> Rules:
    """The world's, with the scales of the ledger's columns."""
    shape = PostgresLedger(bench.database).shape()
    return replace(
        world.rules,
        quantity_scale=shape.quantity_scale,
        price_scale=shape.price_scale,
        fee_scale=shape.fee_scale,
    )


def desk_of(bench: Bench, stage: Stage, profile: str) -> Desk:
    desk = bench.new_desk(profile, stage.world.profiles, account=bench.accounts[0])
    bench.pause(profile)
    rules = rules_of(bench, stage.world)
    return bench.applying(replace(desk, rules=rules, ledger_in_contracts=stage.in_contracts))


def expected(bench: Bench, stage: Stage) -> set[Written]:
    """What the pure decision says, in the words of the ledger. The truth has judged it."""
    assert judged(stage.world).violations == []
    rulings = decided(stage.world, rules_of(bench, stage.world))
    return {
        (
            key.profile_id,
            key.trade_id,
            str(stage.number(one.exchange_order_id)),
            (one.quantity / stage.units[key.symbol]).quantize(PLACES),
            one.price.quantize(PLACES),
            stage.later(one.filled_at),
            None if one.fee is None else one.fee.quantize(PLACES),
            one.fee_currency,
        )
        for key, ruling in rulings.items()
        for one in ruling.candidates
    }


def missed(stage: Stage) -> set[tuple[str, str, str, Decimal]]:
    """What no row stands for, by the truth: profile, trade, exchange order, quantity."""
    return {
        (
            ghost.key.profile_id,
            ghost.key.trade_id,
            str(stage.number(name)),
            (quantity / stage.units[leg.symbol]).quantize(PLACES),
        )
        for leg in survey(stage.world)
        for ghost in leg.ghosts
        for name, quantity in ghost.missing.items()
    }


def written(bench: Bench) -> set[Written]:
    return set(
        bench.rows(
            "SELECT profile_id, trade_id, COALESCE(exchange_order_id, 'DUST'), quantity, price,"
            " filled_at, fee, fee_currency FROM orders WHERE order_id LIKE 'BFILL-%'"
        )
    )


@contextmanager
def told(world: World) -> Iterator[None]:
    """Name the world where it fails."""
    try:
        yield
    except AssertionError as failure:
        failure.add_note(f"{world!r}")
        raise


def turns() -> list[Any]:
    """Seed after seed, each on the next venue; the id of a test names both."""
    return [
        pytest.param(VENUES[seed % 3], seed, seed // 3, id=f"{VENUES[seed % 3]}-{seed}")
        for seed in range(FIRST_SEED, FIRST_SEED + COUNT)
    ]


@pytest.mark.parametrize(("exchange", "seed", "turn"), turns())
def test_what_is_written_is_what_the_truth_has_judged(
    bench: Bench, exchange: str, seed: int, turn: int
):
    stage = staged(as_told(of_seed(seed), exchange), exchange, turn)
    world = stage.world
    trade(bench, stage)
    for row in world.rows:
        book(bench, stage, row)
    desks = [desk_of(bench, stage, profile) for profile in world.profiles]
    with told(world):
        wanted, audit = expected(bench, stage), []
        for turn_of, desk in enumerate(desks):
            audit += bench.apply(desk=desk).audit
            if turn_of == 0:
                own = desk.profile.profile_id
                assert written(bench) == {row for row in wanted if row[0] == own}
        # Where the oldest ghost of a market is closed, the next window begins later, also for the
        # next profile: a person's opening may be out of it, and more or less is clear then. What
        # is written all the same must be true.
        first = written(bench)
        assert {row[:4] for row in first - wanted} <= missed(stage)
        applied = [row for row in audit if row.decision is Decision.APPLIED]
        assert len(applied) == len(bench.backfills())
        for desk in desks:
            bench.apply(desk=desk)
        second = written(bench)
        assert second >= first
        assert {row[:4] for row in second - first} <= missed(stage)
        assert len({row[:3] for row in second}) == len(second)


def test_the_worlds_are_traded_on_markets_of_the_venue():
    listed = {market.symbol for market in Traded().markets}
    assert {market.unified for market in MARKETS.values()} <= listed
