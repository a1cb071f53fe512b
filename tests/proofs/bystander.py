"""The process that is killed: one run of one operation, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Final

from tests.cycle.bench import ACCOUNT, PROFILE, desk_at

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount
from unghost.adapters.postgres.connection import Database
from unghost.cycle import Desk, run_cycle
from unghost.model import Mode
from unghost.rollback import reinstate, roll_back

ACTOR: Final = "tester"


def apply(desk: Desk, batch_id: str) -> None:
    """A cycle that writes; it needs no batch."""
    del batch_id
    run_cycle(desk, actor=ACTOR)


def undo(desk: Desk, batch_id: str) -> None:
    roll_back(desk, batch_id, actor=ACTOR)


def redo(desk: Desk, batch_id: str) -> None:
    reinstate(desk, batch_id, actor=ACTOR)


OPERATIONS: Final[dict[str, Callable[[Desk, str], None]]] = {
    "apply": apply,
    "rollback": undo,
    "reinstate": redo,
}


def _spec(base_url: str) -> ConnectionSpec:
    return ConnectionSpec(
        exchange="binanceusdm",
        market_type="swap",
        api_key=f"{PROFILE}-key",
        secret=f"{PROFILE}-secret",
        base_url=base_url,
        account=ACCOUNT,
    )


def run(operation: str, batch_id: str, conninfo: str, base_url: str) -> None:
    """Open a desk of its own and do it."""
    with (
        closing(Database(conninfo)) as database,
        closing(ExchangeAccount(_spec(base_url))) as account,
    ):
        desk = desk_at(database, account, profiles=(PROFILE,))
        OPERATIONS[operation](replace(desk, rules=replace(desk.rules, mode=Mode.APPLY)), batch_id)
