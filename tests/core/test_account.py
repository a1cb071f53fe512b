"""The account of a decision: made when it is read, from what decided, and the same whenever."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext

from tests.core.builders import (
    NOW,
    PAUSED,
    buy,
    entry,
    evidence,
    only,
    ruled,
    sell,
)

from unghost import account
from unghost.ceilings import load_of
from unghost.decide import decide
from unghost.model import Rules

ROWS = (entry("e1", 1, 0), entry("e2", 2, 60, trade="t-2"))
FILLS = (buy("xe1", 1, 0), buy("xe2", 2, 60), sell("s1", 1, 600), sell("s2", 2, 660))


def test_nothing_is_told_before_somebody_reads_it(monkeypatch):
    """Also the ceilings, which every cycle asks, read only what the market shares."""
    told = []
    real = account.leg_account

    def noted(case, *more, **others):
        told.append(case.lifecycle.key)
        return real(case, *more, **others)

    monkeypatch.setattr(account, "leg_account", noted)
    rulings = ruled(evidence(ROWS, FILLS))
    assert load_of(rulings).notional == (("USDT", Decimal(330)),)
    assert told == []

    assert [one.evidence["direction"] for one in rulings] == ["long", "long"]
    assert [one.evidence["doubts"] for one in rulings] == [[], []]
    assert told == [one.lifecycle.key for one in rulings]


def test_what_is_read_late_has_every_digit_of_what_was_decided():
    """Deciding reckons with more digits than the reader's arithmetic may have."""
    long = Decimal("1.2345678901234567890123456789012345")
    found = evidence([entry("e1", long, 0)], [buy("xe1", long, 0), sell("s1", long, 600)])
    late = only(ruled(found))
    with localcontext(prec=5):
        (order,) = late.evidence["orders"]
    assert order["filled"] == str(long)
    assert order["unclaimed"] == "0"


def test_an_account_is_json_and_reads_like_a_dict():
    (first, second) = ruled(evidence(ROWS, FILLS))
    whole = dict(first.evidence)
    assert list(whole) == list(first.evidence) == list(first.evidence.keys())
    assert json.loads(json.dumps(whole))["market"] == "BTC/USDT:USDT"
    assert len(first.evidence) == len(whole)
    assert repr(first.evidence) == repr(whole)
    assert first.evidence == whole
    assert first.evidence != dict(second.evidence)
    assert first.evidence.get("nothing") is None


def test_two_readers_are_told_the_same():
    found = evidence(ROWS, FILLS)
    one, other = (decide([found], pause=PAUSED, rules=Rules(), now=NOW) for _ in range(2))
    assert [ruling.evidence for ruling in one] == [dict(ruling.evidence) for ruling in other]
