"""The loop's fast path: quick where little was touched, late at worst, never wrong."""

from __future__ import annotations

import operator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from tests.cycle.bench import PROFILE, SYMBOL, Bench, hours_ago, told, utc_now

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.indexes import create_indexes
from unghost.adapters.postgres.known import KnownLifecycles
from unghost.adapters.postgres.ledger import PostgresLedger
from unghost.adapters.postgres.service import ServiceBooks
from unghost.cycle import Watched, detect_ghosts, watch
from unghost.detect import detect
from unghost.hints import MISSED_EVENT, Look, look
from unghost.model import Hint, Mode

HOUR = timedelta(hours=1)


@pytest.fixture
def bench(own_bench: Bench) -> Bench:
    """With the indexes that the fast path needs, made by the owner of the table."""
    database = Database(own_bench.database_url)
    create_indexes(database)
    database.close()
    return own_bench


def looked(bench: Bench, hint: Hint | None, every: timedelta = HOUR) -> Look:
    return look(bench.desk.ledger, (PROFILE,), hint=hint, every=every, now=utc_now())


def trades(seen: Look) -> list[str]:
    return [one.key.trade_id for one in seen.lifecycles]


def watched(bench: Bench, before: Watched | None = None, **rules) -> Watched:
    return watch(
        bench.at(**rules),
        actor="loop",
        known=before.digest if before else "",
        hint=before.hint if before else None,
        full_every=HOUR,
    )


def missed(bench: Bench) -> list[str]:
    found = bench.rows(
        "SELECT payload FROM reconciliation_event WHERE event_type = %s", MISSED_EVENT
    )
    return [sentence for (payload,) in found for sentence in payload["missed"]]


# --- quick ---------------------------------------------------------------------------------------


def test_what_was_touched_and_what_is_open_is_read_exactly(bench):
    bench.book("t-open", "ENTRY", "1")
    first = looked(bench, None)
    assert (trades(first), first.full) == (["t-open"], True)
    bench.book("t-new", "ENTRY", "2", updated_at=utc_now())
    second = looked(bench, first.hint)
    assert (trades(second), second.full) == (["t-new", "t-open"], False)
    assert second.lifecycles == detect_ghosts(bench.desk)
    bench.book("t-open", "EXIT", "1")  # its updated_at is old: what is known to be open is read
    third = looked(bench, second.hint)
    assert (trades(third), third.full) == (["t-new"], False)


def test_everything_is_looked_at_when_the_time_has_come(bench):
    first = looked(bench, None)
    later = look(bench.desk.ledger, (PROFILE,), hint=first.hint, every=HOUR, now=utc_now() + HOUR)
    assert (later.full, later.missed) == (True, ())
    assert looked(bench, first.hint, timedelta()).full


def test_a_hint_for_other_profiles_is_not_followed(bench):
    hint = replace(looked(bench, None).hint, profile_ids=(PROFILE, "second"))
    assert looked(bench, hint).full


def test_without_the_indexes_everything_is_looked_at(bench):
    first = looked(bench, None)
    bench.run("DROP INDEX orders_unghost_times")
    assert looked(bench, first.hint).full


def test_what_has_not_moved_is_not_read_again(bench):
    bench.book("t-1", "ENTRY", "1")
    bench.book("t-2", "ENTRY", "1")
    first = looked(bench, looked(bench, None).hint)
    again = looked(bench, first.hint)
    assert all(map(operator.is_, again.lifecycles, first.lifecycles))
    bench.book("t-2", "ENTRY", "5", status="new")
    moved = looked(bench, again.hint)
    assert moved.lifecycles[0] is first.lifecycles[0]
    assert moved.lifecycles == detect_ghosts(bench.desk)
    assert len(moved.lifecycles[1].rows) == 2


CHANGES = (
    "UPDATE orders SET quantity = 3",
    "UPDATE orders SET price = price + 1",
    "UPDATE orders SET client_order_id = 'other'",
    "UPDATE orders SET status = 'canceled' WHERE action = 'EXIT'",
    "UPDATE orders SET trade_id = 't-moved' WHERE action = 'EXIT'",
    "UPDATE orders SET symbol = 'ETHUSDT'",
    "DELETE FROM orders WHERE action = 'EXIT'",
    "DELETE FROM orders",
    "UPDATE orders SET side = 'sell' WHERE action = 'ENTRY'",
)


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_changed_in_a_known_lifecycle_is_read(bench, change):
    """None of these touches `updated_at`."""
    bench.book("t-1", "ENTRY", "2")
    bench.book("t-1", "EXIT", "1")
    hint = looked(bench, looked(bench, None).hint).hint
    bench.run(change)
    seen = looked(bench, hint)
    fresh = detect(PostgresLedger(bench.database), (PROFILE,))
    assert (seen.lifecycles, seen.full) == (fresh, False)


def test_what_was_known_is_forgotten_when_the_table_is_altered(bench):
    """The loop makes its ledger anew for each cycle, and looks at the table's columns then."""
    bench.book("t-1", "ENTRY", "2")
    known = KnownLifecycles()

    def seen_by(hint: Hint | None) -> Look:
        ledger = PostgresLedger(bench.database, known=known)
        return look(ledger, (PROFILE,), hint=hint, every=HOUR, now=utc_now())

    hint = seen_by(seen_by(None).hint).hint
    bench.run("UPDATE orders SET qty = 7")
    before = seen_by(hint)
    bench.run("ALTER TABLE orders DROP COLUMN quantity")
    assert [one.open_qty for one in (*before.lifecycles, *seen_by(hint).lifecycles)] == [2, 7]


def test_what_holds_rows_of_ours_is_read_each_time(bench):
    """What is told of those comes from the record too, and that may change without the row."""
    bench.ghost("t-1", "0.5")
    bench.pause()
    bench.apply()
    bench.run("UPDATE orders SET quantity = quantity * 2 WHERE action = 'ENTRY'")
    first = looked(bench, looked(bench, None).hint)
    again = looked(bench, first.hint)
    assert again.lifecycles == first.lifecycles
    assert again.lifecycles[0] is not first.lifecycles[0]


def test_no_more_is_kept_than_a_process_can_hold(bench, monkeypatch):
    monkeypatch.setattr("unghost.adapters.postgres.known.MOST_KEPT", 1)
    for number in range(3):
        bench.book(f"t-{number}", "ENTRY", "1")
    first = looked(bench, looked(bench, None).hint)
    again = looked(bench, first.hint)
    assert again.lifecycles == first.lifecycles
    assert sum(map(operator.is_, again.lifecycles, first.lifecycles)) == 1


# --- late, and told ------------------------------------------------------------------------------


def late_commit(bench: Bench) -> None:
    """A transaction that began long ago and commits now."""
    bench.book("t-late", "ENTRY", "1", updated_at=utc_now() - timedelta(minutes=10))


def silent_update(bench: Bench) -> None:
    bench.run("UPDATE orders SET status = 'canceled' WHERE trade_id = 't-late' AND action = 'EXIT'")


def removal(bench: Bench) -> None:
    bench.run("DELETE FROM orders WHERE trade_id = 't-late' AND action = 'EXIT'")


@pytest.mark.parametrize("change", (late_commit, silent_update, removal))
def test_what_leaves_no_trace_is_found_by_the_full_scan_and_told(bench, change):
    if change is not late_commit:
        bench.book("t-late", "ENTRY", "1")
        bench.book("t-late", "EXIT", "1")
    before = watched(bench)
    assert before.report.lifecycles == ()
    change(bench)
    quick = watched(bench, before)
    assert quick.report.lifecycles == ()
    assert missed(bench) == []
    late = watch(
        bench.desk, actor="loop", known=quick.digest, hint=quick.hint, full_every=timedelta()
    )
    assert [one.key.trade_id for one in late.report.lifecycles] == ["t-late"]
    (sentence,) = missed(bench)
    assert sentence.startswith(f"t-late on {bench.native()} ({PROFILE}) is open: 1")


def test_a_commit_that_is_a_little_late_is_seen(bench):
    before = watched(bench)
    bench.book("t-1", "ENTRY", "1", updated_at=utc_now() - timedelta(minutes=1))
    assert len(watched(bench, before).report.lifecycles) == 1


def test_a_transaction_that_was_open_while_the_loop_looked_is_seen_after_its_commit(bench):
    before = watched(bench)
    with psycopg.connect(bench.database_url) as connection:
        connection.execute(
            "INSERT INTO orders (order_id, profile_id, symbol, trade_id, action, side, status,"
            " quantity, price, filled_at, updated_at) VALUES"
            " ('o', 'main', %s, 't-1', 'ENTRY', 'buy', 'filled', 1, 1, now(), now())",
            [bench.native()],
        )
        during = watched(bench, before)
        assert during.report.lifecycles == ()
    assert len(watched(bench, during).report.lifecycles) == 1


# --- never wrong ---------------------------------------------------------------------------------


def two_of_which_one_hides(bench: Bench) -> Watched:
    """A ghost that the loop will see, and an older rival for its exit that came without a trace."""
    before = watched(bench)
    at = {"created_at": hours_ago(5), "updated_at": hours_ago(5)}
    entry = bench.trade("buy", "0.5", at=hours_ago(6))
    bench.book("t-rival", "ENTRY", "0.5", exchange_order_id=entry, at=hours_ago(6), **at)
    bench.ghost("t-seen", "0.5", updated_at=utc_now() - timedelta(seconds=90))
    bench.trade("sell", "0.5", at=hours_ago(2))
    return before


@pytest.mark.parametrize("mode", tuple(Mode))
def test_a_flat_market_is_never_ruled_upon_without_its_hidden_rivals(bench, mode):
    bench.pause()
    before = two_of_which_one_hides(bench)
    quick = looked(bench, before.hint)
    assert (trades(quick), quick.full) == (["t-seen"], False)
    expected = told(bench.dry_run(quiet_seconds=0))
    found = watched(bench, before, mode=mode, quiet_seconds=0)
    assert {one.key.trade_id for one in found.report.lifecycles} == {"t-rival", "t-seen"}
    done = {"DRY_RUN": "APPLIED"} if mode is Mode.APPLY else {}
    assert told(found.report) == [
        (trade, done.get(decision, decision), reason) for trade, decision, reason in expected
    ]
    assert missed(bench) != []


def test_an_open_market_needs_no_full_look(bench):
    before = watched(bench)
    bench.opened("t-1", "0.5", at=hours_ago(1), updated_at=utc_now())
    bench.book("t-hidden", "ENTRY", "1")
    found = watched(bench, before)
    assert told(found.report) == [("t-1", "NO_GO", "profile_not_paused")]
    assert found.hint.full_at == before.hint.full_at
    assert bench.held(SYMBOL) > 0


def test_what_was_found_before_needs_no_full_look(bench):
    bench.ghost("t-1")
    before = watched(bench)
    again = watched(bench, before)
    assert again.report.batch is None
    assert (again.digest, again.hint.full_at) == (before.digest, before.hint.full_at)


def test_looking_only_follows_the_hint_too(bench):
    desk = replace(bench.desk, enabled=False)
    first = watch(desk, actor="loop", known="", full_every=HOUR)
    bench.book("t-1", "ENTRY", "1", updated_at=utc_now())
    second = watch(desk, actor="loop", known="", hint=first.hint, full_every=HOUR)
    assert [one.key.trade_id for one in second.report.lifecycles] == ["t-1"]
    assert second.hint.full_at == first.hint.full_at


def test_the_hint_is_kept_between_cycles_and_a_failure_keeps_it(bench):
    books = ServiceBooks(bench.database)
    assert books.begin_cycle(PROFILE, worker="w").hint is None
    bench.book("t-1", "ENTRY", "1")
    hint = looked(bench, None).hint
    books.end_cycle(PROFILE, outcome="clean", digest="d", hint=hint)
    assert books.begin_cycle(PROFILE, worker="w").hint == hint
    books.end_cycle(PROFILE, outcome="environment", digest="d", failed=True)
    assert books.begin_cycle(PROFILE, worker="w").hint == hint
