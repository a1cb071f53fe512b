"""The loop's fast path: look at what was touched and at what is known to be open, not at all.

It is a hint and can only delay a ghost. Each hour, or as often as the setting says, everything is
looked at as well, and what the hint would have missed is told. Nothing is decided on fills by it:
`cycle.watch` looks at everything before a market that is flat is ruled upon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from unghost.detect import judge
from unghost.model import Hint, Lifecycle
from unghost.ports import LedgerReader

MISSED_EVENT = "FAST_PATH_MISSED"
"""What a full scan found and the hint did not, or the other way round."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What was found, how, and the hint for next time.

    `missed` are sentences: lifecycles in which the two ways differ, where both were gone.
    """

    lifecycles: tuple[Lifecycle, ...]
    full: bool
    hint: Hint
    missed: tuple[str, ...] = ()


def look(
    ledger: LedgerReader,
    profile_ids: Sequence[str],
    *,
    hint: Hint | None,
    every: timedelta,
    now: datetime,
) -> Look:
    """Look by the hint, or at everything where there is none or the last full look is `every` ago.

    `every` of zero looks at everything each time. The lifecycles are judged and in order.
    """
    known = hint if hint is not None and hint.profile_ids == tuple(profile_ids) else None
    due = known is None or now - known.full_at >= every or now < known.full_at
    seen = ledger.look(profile_ids, hint=known, full=due, judge=judge)
    found = seen.full if seen.full is not None else seen.by_hint or ()
    ordered = tuple(sorted(found, key=_place))
    full_at = now if seen.full is not None or known is None else known.full_at
    return Look(
        lifecycles=ordered,
        full=seen.full is not None,
        hint=Hint(
            as_of=seen.as_of,
            full_at=full_at,
            profile_ids=tuple(profile_ids),
            trades=tuple(dict.fromkeys((one.key.profile_id, one.key.trade_id) for one in ordered)),
        ),
        missed=_missed(seen.by_hint, seen.full),
    )


def _place(lifecycle: Lifecycle) -> tuple[str, str, str]:
    """In the order of the keys; tuples compare several times as fast."""
    key = lifecycle.key
    return key.profile_id, key.symbol, key.trade_id


def _missed(
    by_hint: Sequence[Lifecycle] | None, full: Sequence[Lifecycle] | None
) -> tuple[str, ...]:
    if by_hint is None or full is None:
        return ()
    hinted = {one.key: one.open_qty for one in by_hint}
    whole = {one.key: one.open_qty for one in full}
    only = sorted(key for key in whole.keys() - hinted.keys())
    gone = sorted(key for key in hinted.keys() - whole.keys())
    return (
        *(
            f"{key.trade_id} on {key.symbol} ({key.profile_id}) is open: {whole[key]}"
            for key in only
        ),
        *(f"{key.trade_id} on {key.symbol} ({key.profile_id}) is not open" for key in gone),
    )
