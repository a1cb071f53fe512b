"""Two keys of one account under two account names: neither profile uses a fill of the other.

Where the exchange tells which account a key sees, that is kept and compared. Where it does not, an
order of this account in a row of a profile that is said to be of another one tells as much.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from tests.cycle.bench import (
    Bench,
    hours_ago,
    open_account,
    sentence,
    told,
)

from unghost.adapters.postgres.accounts import SeenAccounts
from unghost.demo.venue import Fault, FaultKind
from unghost.desk import Desk
from unghost.errors import RefusedError
from unghost.model import ProfileRef
from unghost.rollback import reinstate, roll_back

TELLS = {"binanceusdm": "balance", "bybit": "query-api", "okx": "account/config"}
SEALED = {"main": "main", "second": "main", "truly": "truly"}
"""Key -> whose secret signs with it."""
REFUSED = ("NO_GO", "fill_evidence_incomplete")
WRITTEN = ("APPLIED", "fill_evidence")


def named(bench: Bench, profile_id: str, account: str, key: str, **more: tuple[str, ...]) -> Desk:
    """The desk of another process: a profile, the name of its account, and its key."""
    exchange = open_account(bench.venue, exchange=bench.exchange, key=key, sealed=SEALED[key])
    bench.accounts.append(exchange)
    desk = bench.new_desk(profile_id, account=exchange)
    reference = ProfileRef(
        profile_id=profile_id,
        account=account,
        account_profiles=more.pop("together", (profile_id,)),
        **more,
    )
    bench.pause(profile_id)
    return replace(desk, profile=reference, accounts=SeenAccounts(bench.database))


def second_key(bench: Bench) -> None:
    """A second key of the first account, and an account that is truly another."""
    account = bench.world.account("main")
    bench.world.issue_key(account, "second-key")


def look(bench: Bench, desk: Desk) -> str:
    """What `unghost doctor` does for a profile."""
    return SeenAccounts(bench.database).clash(desk.profile, desk.exchange)


def outcome(bench: Bench, desk: Desk) -> list[tuple[str, str]]:
    return [(decision, reason) for _, decision, reason in told(bench.apply(desk=desk))]


@pytest.fixture
def two(bench: Bench) -> Bench:
    second_key(bench)
    bench.ghost("t-1")
    bench.world.open_account("truly")
    return bench


@pytest.mark.parametrize("exchange", TELLS)
def test_two_keys_that_see_one_account_are_refused_from_the_second_on(two: Bench, exchange):
    first = named(two, "main", "desk-1", "main")
    other = named(two, "other", "desk-2", "second")
    two.book("t-9", "ENTRY", "0.5", profile_id="other", at=hours_ago(5))
    assert outcome(two, first) == [WRITTEN]
    report = two.apply(desk=other)
    assert [one[1:] for one in told(report)] == [REFUSED]
    assert "sees the same exchange account as that of main (account 'desk-1')" in sentence(report)
    assert "give them the same `account`" in sentence(report)
    two.ghost("t-2", opened=hours_ago(2), closed=hours_ago(1))
    assert outcome(two, first) == [REFUSED]
    two.run("DELETE FROM orders WHERE trade_id = 't-9'")
    together = named(two, "main", "desk", "main", together=("main", "other"))
    assert WRITTEN in outcome(two, together)


@pytest.mark.parametrize("exchange", TELLS)
def test_the_account_is_asked_once_a_day_and_for_each_key(two: Bench, exchange):
    for _ in range(3):
        two.dry_run(named(two, "main", "desk-1", "main"))
    assert two.asked(TELLS[exchange]) == 1
    two.run("UPDATE reconciliation_account SET asked_at = asked_at - interval '25 hours'")
    desk = named(two, "main", "desk-1", "main")
    report = two.dry_run(desk)
    assert two.asked(TELLS[exchange]) == 2
    assert report.batch is not None
    assert any(path.endswith(TELLS[exchange]) for path in report.batch.calls)
    two.dry_run(desk)
    assert two.asked(TELLS[exchange]) == 2
    two.dry_run(named(two, "main", "desk-1", "second"))
    assert two.asked(TELLS[exchange]) == 3


def test_profiles_of_one_key_share_the_answer(two: Bench):
    together = ("main", "beside")
    two.apply(desk=named(two, "main", "desk", "main", together=together))
    two.book("t-9", "ENTRY", "0.5", profile_id="beside", at=hours_ago(5))
    two.apply(desk=named(two, "beside", "desk", "main", together=together))
    assert two.asked("balance") == 1
    assert two.rows("SELECT count(*), count(DISTINCT account_id) FROM reconciliation_account") == [
        (2, 1)
    ]


def test_one_key_under_two_names_needs_nobody_who_tells(two: Bench):
    two.venue.fault(Fault(kind=FaultKind.STATUS, status=403, endpoint="balance"))
    assert outcome(two, named(two, "main", "desk-1", "main")) == [WRITTEN]
    two.book("t-9", "ENTRY", "0.5", profile_id="other", at=hours_ago(5))
    report = two.apply(desk=named(two, "other", "desk-2", "main"))
    assert [one[1:] for one in told(report)] == [REFUSED]
    assert "sees the same exchange account as that of main" in sentence(report)


def test_an_exchange_that_does_not_answer_today_is_believed_from_before(two: Bench):
    look(two, named(two, "other", "desk-2", "second"))
    look(two, named(two, "main", "desk-1", "main"))
    two.run("UPDATE reconciliation_account SET asked_at = asked_at - interval '25 hours'")
    two.venue.fault(Fault(kind=FaultKind.HTML, endpoint="balance"))
    assert outcome(two, named(two, "main", "desk-1", "main")) == [REFUSED]


def test_an_account_that_is_truly_another_is_no_reason(two: Bench):
    look(two, named(two, "other", "desk-2", "truly"))
    assert outcome(two, named(two, "main", "desk-1", "main", neighbours=("other",))) == [WRITTEN]


def test_a_neighbour_that_was_never_looked_at_may_be_the_same_account(two: Bench):
    report = two.apply(desk=named(two, "main", "desk-1", "main", neighbours=("other",)))
    assert [one[1:] for one in told(report)] == [REFUSED]
    assert "run `unghost doctor`" in sentence(report)
    assert look(two, named(two, "other", "desk-2", "truly")) == ""
    assert outcome(two, named(two, "main", "desk-1", "main", neighbours=("other",))) == [WRITTEN]


def test_another_exchange_s_account_of_the_same_number_is_no_reason(two: Bench):
    look(two, named(two, "other", "desk-2", "second"))
    two.run("UPDATE reconciliation_account SET venue = 'bybit swap' WHERE profile_id = 'other'")
    assert outcome(two, named(two, "main", "desk-1", "main")) == [WRITTEN]


# --- where nobody tells -------------------------------------------------------------------------


def untold(bench: Bench, profile_id: str, **more: tuple[str, ...]) -> Desk:
    """A desk whose exchange tells no account."""
    return replace(named(bench, profile_id, f"of-{profile_id}", "main", **more), accounts=None)


def test_a_stranger_s_row_that_names_an_order_of_this_account_is_a_doubt(two: Bench):
    entry, _ = two.ghost("t-2", opened=hours_ago(2), closed=hours_ago(1))
    two.book("x", "ENTRY", "0.5", profile_id="other", exchange_order_id=entry, at=hours_ago(2))
    report = two.apply(desk=untold(two, "main"))
    assert {one[1:] for one in told(report)} == {REFUSED}
    assert "of profile other names an order among these fills" in sentence(report)
    assert outcome(two, untold(two, "main", elsewhere=("other",))) == [WRITTEN, WRITTEN]


@pytest.fixture
def nameless(bench: Bench) -> Bench:
    """Two profiles with a ghost of the same size and no ids, and one close on the exchange."""
    at = hours_ago(5)
    bench.trade("buy", "0.5", at=at)
    bench.trade("sell", "0.5", at=hours_ago(3))
    bench.book("t-1", "ENTRY", "0.5", at=at)
    bench.book("t-9", "ENTRY", "0.5", profile_id="other", at=at)
    return bench


def test_a_backfill_of_another_account_s_profile_has_used_the_fill(nameless: Bench):
    two = nameless
    assert outcome(two, untold(two, "main")) == [WRITTEN]
    report = two.apply(desk=untold(two, "other"))
    assert [one[1:] for one in told(report)] == [REFUSED]
    assert "row BFILL-" in sentence(report)
    assert len(two.backfills()) == 1


def test_a_ledger_without_the_exchange_s_ids_is_read_with_the_record_s(own_bench: Bench):
    own_bench.run("ALTER TABLE orders DROP COLUMN exchange_order_id")
    at = hours_ago(5)
    own_bench.trade("buy", "0.5", at=at)
    own_bench.trade("sell", "0.5", at=hours_ago(3))
    own_bench.book("t-1", "ENTRY", "0.5", at=at)
    own_bench.book("t-9", "ENTRY", "0.5", profile_id="other", at=at)
    assert outcome(own_bench, untold(own_bench, "main")) == [WRITTEN]
    assert outcome(own_bench, untold(own_bench, "other")) == [REFUSED]


def test_the_same_number_on_another_market_or_in_the_bot_s_own_ids_is_no_reason(two: Bench):
    entry, _ = two.ghost("t-2", opened=hours_ago(2), closed=hours_ago(1))
    two.book("x", "ENTRY", "1", profile_id="other", exchange_order_id=entry, symbol="ETHUSDT")
    two.book("y", "ENTRY", "1", profile_id="other", client_order_id=entry)
    assert outcome(two, untold(two, "main")) == [WRITTEN, WRITTEN]


def test_a_stranger_that_claims_the_order_meanwhile_undoes_the_write(nameless: Bench):
    """Both have gathered before either writes; the one that comes second finds the other's row."""
    two = nameless
    first, second = untold(two, "main"), untold(two, "other")
    read = second.exchange.positions
    asked: list[object] = []

    class Late:
        """The exchange of the second; before its third reading of positions, the first writes."""

        def __getattr__(self, name: str) -> object:
            return getattr(second.exchange, name)

        def positions(self, markets):
            asked.append(markets)
            if len(asked) == 3:
                assert outcome(two, first) == [WRITTEN]
            return read(markets)

    report = two.apply(desk=replace(second, exchange=Late()))
    assert [one[1:] for one in told(report)] == [("NO_GO", "ledger_changed")]
    assert len(two.backfills()) == 1


def test_what_a_stranger_has_used_since_is_not_reinstated(two: Bench):
    first = two.applying(untold(two, "main"))
    report = two.apply(desk=first)
    assert report.batch is not None
    roll_back(first, report.batch.batch_id, actor="tester")
    (exit_id,) = two.rows("SELECT exchange_order_id FROM orders WHERE order_id LIKE 'BFILL-%'")[0]
    two.book("x", "EXIT", "0.5", profile_id="other", exchange_order_id=exit_id)
    with pytest.raises(RefusedError, match=r"closed 0\.5, and the ledger would hold 1"):
        reinstate(first, report.batch.batch_id, actor="tester")


def test_two_that_write_at_the_same_moment_use_a_fill_once(nameless: Bench):
    """Neither sees what the other has not committed; the one that settles second does."""
    gate = Barrier(2, timeout=30)

    class Together:
        """An exchange whose third reading of positions waits for that of the other desk."""

        def __init__(self, exchange: Any) -> None:
            self.exchange = exchange
            self.asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.exchange, name)

        def positions(self, markets: Any) -> Any:
            self.asked += 1
            if self.asked == 3:
                gate.wait()
            return self.exchange.positions(markets)

    desks = [untold(nameless, name) for name in ("main", "other")]
    desks = [replace(desk, exchange=Together(desk.exchange)) for desk in desks]
    with ThreadPoolExecutor(max_workers=2) as pool:
        ends = list(pool.map(lambda desk: outcome(nameless, desk), desks))
    assert sorted(ends) == [[WRITTEN], [("NO_GO", "ledger_changed")]]
    assert len(nameless.backfills()) == 1
