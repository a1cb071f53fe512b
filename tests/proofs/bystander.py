"""The process that is killed: one run of one operation, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Final

from tests.cycle.bench import ACCOUNT, MARKETS, PROFILE, QUICK, desk_at

from unghost.adapters.exchange import ConnectionSpec, ExchangeAccount
from unghost.adapters.postgres.connection import Database
from unghost.cycle import run_cycle
from unghost.desk import Desk
from unghost.model import Mode
from unghost.rollback import reinstate, roll_back

ACTOR: Final = "tester"


def _cycle(desk: Desk, mode: Mode, plan: str | None = None) -> None:
    run_cycle(replace(desk, rules=replace(desk.rules, mode=mode)), actor=ACTOR, plan=plan)


def look(desk: Desk, batch_id: str) -> None:
    """A cycle that plans; it needs no batch."""
    del batch_id
    _cycle(desk, Mode.DRY_RUN)


def apply(desk: Desk, batch_id: str) -> None:
    """A cycle that writes; it needs no batch."""
    del batch_id
    _cycle(desk, Mode.APPLY)


def apply_plan(desk: Desk, batch_id: str) -> None:
    """A cycle that writes what the plan says and nothing else."""
    _cycle(desk, Mode.APPLY, batch_id)


def undo(desk: Desk, batch_id: str) -> None:
    roll_back(desk, batch_id, actor=ACTOR)


def redo(desk: Desk, batch_id: str) -> None:
    reinstate(desk, batch_id, actor=ACTOR)


OPERATIONS: Final[dict[str, Callable[[Desk, str], None]]] = {
    "dry run": look,
    "apply": apply,
    "pinned apply": apply_plan,
    "rollback": undo,
    "reinstate": redo,
}
AFTERWARDS: Final = OPERATIONS | {"pinned apply": apply}
"""What comes next. A plan is not applied twice: after it comes a cycle like any other."""


def _spec(base_url: str) -> ConnectionSpec:
    return ConnectionSpec(
        exchange="binanceusdm",
        market_type="swap",
        api_key=f"{PROFILE}-key",
        secret=f"{PROFILE}-secret",
        base_url=base_url,
        account=ACCOUNT,
        rate_limit_ms=1,
    )


def _open_account(base_url: str) -> ExchangeAccount:
    return ExchangeAccount(_spec(base_url), cache=MARKETS, policy=QUICK)


def read_markets(base_url: str) -> None:
    """Read the list of markets, which is then known to this process and to what it forks."""
    with closing(_open_account(base_url)) as account:
        account.resolve(("BTCUSDT",))


def run(operation: str, batch_id: str, conninfo: str, base_url: str) -> None:
    """Open a desk of its own and do it."""
    with (
        closing(Database(conninfo)) as database,
        closing(_open_account(base_url)) as account,
    ):
        OPERATIONS[operation](desk_at(database, account, profiles=(PROFILE,)), batch_id)
