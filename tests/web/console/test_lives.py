"""Ghosts over time as the record tells it: a rollback makes them rise, a reinstate does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from unghost.adapters.postgres.history import Closing, History, Lived
from unghost.model import LifecycleKey
from unghost.rollback import reinstate, roll_back
from unghost.web.console.pages import lives_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def spans(*closings: tuple[float, float | None], is_open: bool) -> list[tuple[float, float | None]]:
    lived = Lived(
        key=LifecycleKey(profile_id="main", symbol="BTCUSDT", trade_id="t-1"),
        began_at=at(0),
        closings=tuple(
            Closing(applied_at=at(one), reverted_at=None if other is None else at(other))
            for one, other in closings
        ),
        seen_at=at(9),
    )
    return [
        (_hours(life.began_at), None if life.ended_at is None else _hours(life.ended_at))
        for life in lives_of(lived, is_open=is_open)
    ]


def _hours(moment: datetime) -> float:
    return (moment - NOON) / timedelta(hours=1)


def test_a_ghost_lives_again_from_its_rollback_on():
    assert spans(is_open=True) == [(0, None)]
    assert spans((2, None), is_open=False) == [(0, 2)]
    assert spans((2, 5), is_open=True) == [(0, 2), (5, None)]
    assert spans((2, 5), (6, None), is_open=False) == [(0, 2), (5, 6)]
    assert spans((2, 5), is_open=False) == [(0, 2), (5, 9)]  # the bot's own exit came
    assert spans((2, 5), (3, 7), is_open=True) == [
        (0, 2),
        (5, None),
    ]  # no life ends before it began


def test_the_record_tells_it_so(bench):
    bench.ghost("t-1")
    bench.pause()
    batch_id = bench.apply().batch.batch_id
    history = History(bench.database)

    def closings() -> tuple[Closing, ...]:
        (lived,) = history.lives(["main"])
        return lived.closings

    (closed,) = closings()
    assert closed.reverted_at is None
    roll_back(bench.desk, batch_id, actor="tester")
    (rolled_back,) = closings()
    assert rolled_back.reverted_at is not None
    assert rolled_back.reverted_at >= rolled_back.applied_at == closed.applied_at
    reinstate(bench.desk, batch_id, actor="tester")
    assert closings() == (closed,)
