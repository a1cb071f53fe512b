"""The two ids of the design, and what an id may not depend on (FAILURES 13)."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import NOW, PAUSED, buy, candidates, entry, evidence, sell

from unghost.decide import decide, fingerprint
from unghost.ids import DUST_ORDER, backfill_order_id, is_backfill_id, iso, iso_milliseconds
from unghost.model import Rules

AT = datetime(2026, 2, 1, 12, 34, 56, 789_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("order", "expected"),
    (
        ("8389765591", "BFILL-5223307d789d39cb26c2a9f579f98f86"),
        (DUST_ORDER, "BFILL-5d23aa9fb304da089c37e116b847437c"),
    ),
)
def test_the_ids_of_the_design(order, expected):
    found = backfill_order_id(
        profile_id="main", trade_id="t-1001", exchange_order_id=order, filled_at=AT
    )
    assert found == expected
    assert is_backfill_id(found)


@pytest.mark.parametrize(
    "same",
    (
        AT + timedelta(microseconds=999),
        AT.astimezone(timezone(timedelta(hours=5, minutes=30))),
    ),
)
def test_an_id_has_whole_milliseconds_in_utc(same):
    parts = {"profile_id": "main", "trade_id": "t", "exchange_order_id": "1"}
    assert backfill_order_id(**parts, filled_at=same) == backfill_order_id(**parts, filled_at=AT)
    later = AT + timedelta(milliseconds=1)
    assert backfill_order_id(**parts, filled_at=later) != backfill_order_id(**parts, filled_at=AT)


def test_failures_13_an_id_knows_nothing_of_the_run():
    """Two runs a day apart, one of them with other settings, give the same ids; dust too."""
    found = evidence([entry("e1", 10, 0)], [buy("xe1", 10, 0), sell("s1", "9.99", 600)])
    ids = [
        [one.order_id for one in candidates(decide((read,), pause=PAUSED, rules=rules, now=now))]
        for read, rules, now in (
            (found, Rules(), NOW),
            (found, Rules(reading_max_age_seconds=99_999, max_rows=2), NOW + timedelta(hours=24)),
        )
    ]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 2


def test_each_part_makes_another_id():
    parts = {"profile_id": "p", "trade_id": "t", "exchange_order_id": "1", "filled_at": AT}
    others = {"profile_id": "q", "trade_id": "u", "exchange_order_id": "2"}
    ids = {backfill_order_id(**{**parts, name: value}) for name, value in others.items()}
    assert len(ids | {backfill_order_id(**parts)}) == 4


TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))]))


@given(moment=TIMES)
def test_a_time_is_told_as_iso_8601(moment):
    assert iso(moment) == moment.isoformat()


@given(moment=TIMES.filter(lambda one: 1 < one.year < 9999))
def test_a_stamp_is_iso_8601_in_utc_with_three_decimals(moment):
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    assert iso_milliseconds(moment) == f"{utc.isoformat(timespec='milliseconds')}Z"


TEXTS = st.text() | st.text("ab1 .") | st.text('a"],[\\\n')
"""Any, such as we have, and such as look like the JSON around them."""


@given(basis=st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_a_fingerprint_is_over_canonical_json(basis):
    """Any other tool can make it again: compact JSON, everything beyond ASCII escaped."""
    text = json.dumps([list(pair) for pair in basis], ensure_ascii=True, separators=(",", ":"))
    assert fingerprint(basis) == hashlib.sha256(text.encode()).hexdigest()
