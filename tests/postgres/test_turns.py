"""Turns go by the order in which they were asked for, also past whoever asks again and again."""

from __future__ import annotations

import threading

from unghost.adapters.postgres.turns import Turns

PATIENCE_SECONDS = 20


def waiting(turns: Turns, count: int) -> None:
    """Come back once so many wait."""
    pause = threading.Event()
    while len(turns._waiting) < count:
        pause.wait(0.001)


def test_a_turn_that_is_given_back_goes_to_who_waits_longest_and_not_to_who_runs():
    turns, order = Turns(1), []
    assert turns.take(timeout=0)

    def take(name: str) -> None:
        assert turns.take(timeout=PATIENCE_SECONDS)
        order.append(name)

    first, second = (threading.Thread(target=take, args=(name,)) for name in ("first", "second"))
    first.start()
    waiting(turns, 1)
    second.start()
    waiting(turns, 2)
    turns.give_back()
    assert not turns.take(timeout=0), "whoever runs took the turn of one who waits"
    first.join()
    turns.give_back()
    second.join()
    assert order == ["first", "second"]


def test_no_more_turns_at_a_time_than_there_are():
    turns = Turns(2)
    assert [turns.take(timeout=0) for _ in range(3)] == [True, True, False]
    turns.give_back()
    assert [turns.take(timeout=0) for _ in range(2)] == [True, False]


def test_who_gave_up_waiting_is_handed_nothing():
    turns = Turns(1)
    assert turns.take(timeout=0)
    assert not turns.take(timeout=0.001)
    turns.give_back()
    assert turns.take(timeout=0)


def test_a_turn_that_comes_in_the_last_moment_is_taken():
    turns = Turns(1)
    assert turns.take(timeout=0)
    mine = threading.Event()
    turns._waiting.append(mine)
    turns.give_back()
    assert not turns._left(mine)
