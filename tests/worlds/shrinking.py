"""Makes a failing world smaller: trades and mishaps are left out as long as it still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.worlds.world import World


def smallest(world: World, fails: Callable[[World], bool]) -> World:
    """The smallest world that still fails, found by leaving out one thing after another."""
    found = _smaller(world, fails)
    while found is not None:
        world, found = found, _smaller(found, fails)
    return world


def _smaller(world: World, fails: Callable[[World], bool]) -> World | None:
    return next((one for one in _less(world) if fails(one)), None)


def _less(world: World) -> Iterator[World]:
    for trade in world.history.trades:
        yield world.without_trade(trade.trade_id)
    for mishap in world.mishaps:
        yield world.without_mishap(mishap)
