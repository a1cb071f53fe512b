"""The allow criteria for one lifecycle, in the order of the checklist's section 2. Pure.

A gate is a function of a `Case`; its docstring is the rule that the console and `explain` show.
A gate answers OPEN only on proof. The first gate that is not open names the reason of the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from types import MappingProxyType

from unghost import rowfacts
from unghost.ids import iso
from unghost.makers import maker
from unghost.model import (
    Evidence,
    Flatness,
    GateResult,
    GateVerdict,
    LedgerRow,
    Lifecycle,
    LifecycleKey,
    PauseReading,
    PauseState,
    PositionReading,
    PositionSide,
    Reason,
    Rules,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """All that the gates look at for one lifecycle. `now` is the time of the decision."""

    lifecycle: Lifecycle
    evidence: Evidence
    pause: PauseReading
    direction: PositionSide | None
    rules: Rules
    now: datetime
    unusable_fills: tuple[str, ...]
    """Ids of fills of the market without a usable quantity or price (`unusable_fills`)."""


Gate = Callable[[Case], GateResult]

# Looked up once: each lifecycle is asked, and a member costs more through its class.
_OPEN = GateVerdict.OPEN

new_case = maker(Case)
new_result = maker(GateResult)


@cache
def _seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


@cache
def _rule_of(gate: Gate) -> str:
    return (gate.__doc__ or "").strip()


def _result(
    gate: Gate,
    verdict: GateVerdict,
    *,
    value: str,
    source: str,
    reason: Reason | None = None,
    as_of: datetime | None = None,
    detail: str = "",
) -> GateResult:
    return new_result(
        name=gate.__name__,
        verdict=verdict,
        value=value,
        source=source,
        rule=_rule_of(gate),
        as_of=as_of,
        reason=None if verdict is _OPEN else reason,
        detail=detail,
    )


@lru_cache(maxsize=64)
def _clear(gate: Gate, value: str, as_of: datetime) -> GateResult:
    """A gate on the ledger that is open has the same to say of every lifecycle of a cycle."""
    return _result(gate, GateVerdict.OPEN, value=value, source="ledger", as_of=as_of)


def profile_paused(case: Case) -> GateResult:
    """Trading of the profile is paused, so that no order of the bot can cross the repair."""
    pause = case.pause
    if not case.rules.require_pause:
        return _result(
            profile_paused,
            GateVerdict.OPEN,
            value=pause.state,
            source="RECON_EXIT_BACKFILL_REQUIRE_PAUSE=false",
            as_of=pause.as_of,
            detail="the pause is not required by the settings",
        )
    verdict, reason = _PAUSE_VERDICTS[pause.state]
    return _result(
        profile_paused,
        verdict,
        value=pause.state,
        source=pause.source,
        reason=reason,
        as_of=pause.as_of,
        detail=pause.detail,
    )


_PAUSE_VERDICTS: dict[PauseState, tuple[GateVerdict, Reason | None]] = {
    PauseState.PAUSED: (GateVerdict.OPEN, None),
    PauseState.RUNNING: (GateVerdict.CLOSED, Reason.PROFILE_NOT_PAUSED),
    PauseState.UNKNOWN: (GateVerdict.UNKNOWN, Reason.PAUSE_STATUS_UNKNOWN),
}


def exchange_flat(case: Case) -> GateResult:
    """Two readings, before and after the fills, both say that no side of the market is open."""
    before, after = case.evidence.position_before, case.evidence.position_after
    worst = max((before, after), key=lambda reading: _DOUBT[reading.flatness])
    stale = _is_stale(after, case)
    if worst.flatness is Flatness.OPEN:
        verdict, reason = GateVerdict.CLOSED, Reason.EXCHANGE_NOT_FLAT
    elif worst.flatness is Flatness.UNKNOWN or stale:
        verdict, reason = GateVerdict.UNKNOWN, Reason.EXCHANGE_STATE_UNKNOWN
    else:
        verdict, reason = GateVerdict.OPEN, None
    return _result(
        exchange_flat,
        verdict,
        value=_position_value(worst),
        source="exchange positions",
        reason=reason,
        as_of=after.as_of,
        detail="the reading is too old" if stale and reason else worst.detail,
    )


_DOUBT = {Flatness.FLAT: 0, Flatness.UNKNOWN: 1, Flatness.OPEN: 2}


def _is_stale(reading: PositionReading, case: Case) -> bool:
    return case.now - reading.as_of > timedelta(seconds=case.rules.reading_max_age_seconds)


def _position_value(reading: PositionReading) -> str:
    if reading.flatness is Flatness.OPEN and reading.size is not None:
        return f"open {plain(reading.size)}"
    return str(reading.flatness)


def no_pending_row(case: Case) -> GateResult:
    """No row of the trade_id is still on its way: its fill would close the lifecycle by itself."""
    pending = _pending(case.lifecycle.rows, case.rules)
    if not pending:
        return _clear(no_pending_row, "0 pending", case.evidence.as_of)
    names = ", ".join(f"{row.order_id} ({row.status})" for row in pending[:5])
    return _result(
        no_pending_row,
        GateVerdict.CLOSED,
        value=f"{len(pending)} pending",
        source="ledger",
        reason=Reason.PENDING_LIFECYCLE_BLOCKER,
        as_of=case.evidence.as_of,
        detail=f"pending: {names}",
    )


def _pending(rows: Iterable[LedgerRow], rules: Rules) -> list[LedgerRow]:
    blockers = rules.blocker_statuses
    return [row for row in rows if _blocks(row.status, blockers)]


@lru_cache(maxsize=256)
def _blocks(status: str | None, blockers: frozenset[str]) -> bool:
    """A named blocker, or a status that is neither filled nor final."""
    is_one = rowfacts.standing_of(status) is rowfacts.Standing.BLOCKER
    return is_one or rowfacts.word(status) in blockers


def quiet_period(case: Case) -> GateResult:
    """The bot has left the lifecycle alone for a while, so that it is not just being written."""
    latest = _latest_touch(case.lifecycle.rows)
    recent = _is_recent(latest, case.rules, case.now)
    return new_result(
        name="quiet_period",
        verdict=GateVerdict.CLOSED if recent else _OPEN,
        value="no time" if latest is None else f"last touched {iso(latest)}",
        source="ledger",
        rule=_rule_of(quiet_period),
        as_of=case.evidence.as_of,
        reason=Reason.RECENT_ACTIVITY if recent else None,
        detail=f"touched less than {case.rules.quiet_seconds} s ago" if recent else "",
    )


def _is_recent(latest: datetime | None, rules: Rules, now: datetime) -> bool:
    return latest is not None and now - latest < _seconds(rules.quiet_seconds)


def _latest_touch(rows: Iterable[LedgerRow]) -> datetime | None:
    """When the bot last touched one of the rows; what we wrote does not disturb the quiet."""
    latest: datetime | None = None
    for row in rows:
        if rowfacts.is_ours(row):
            continue
        for at in (row.filled_at, row.created_at, row.updated_at):
            if at is not None and (latest is None or at > latest):
                latest = at
    return latest


def ledger_rows_valid(case: Case) -> GateResult:
    """Every row of the lifecycle can be read: a side, a time, a quantity, the counted spelling."""
    defects = list(case.lifecycle.defects)
    if not defects and case.direction is None:
        defects.append("neither a side nor a linked fill tells whether it is long or short")
    if not defects:
        return _clear(ledger_rows_valid, "valid", case.evidence.as_of)
    return _result(
        ledger_rows_valid,
        GateVerdict.CLOSED,
        value=f"{len(defects)} defects",
        source="ledger",
        reason=Reason.INVALID_LEDGER_ROW,
        as_of=case.evidence.as_of,
        detail="; ".join(defects),
    )


def unusable_fills(evidence: Evidence) -> tuple[str, ...]:
    """Ids of fills that say that something was traded, but not how much or at what price.

    Looked for once per market: its lifecycles share the fills.
    """
    fills = evidence.fills.fills
    return tuple([one.fill_id for one in fills if not one.is_execution and one.quantity != 0])


def fill_evidence_complete(case: Case) -> GateResult:
    """The fills of the window were read to the end of the exchange's own cursor."""
    fills = case.evidence.fills
    window = f"{fills.window.start_at.isoformat()} to {fills.window.end_at.isoformat()}"
    odd = case.unusable_fills
    complete = fills.complete and not odd
    detail = f"fills without a usable quantity or price: {', '.join(odd[:5])}" if odd else ""
    return _result(
        fill_evidence_complete,
        GateVerdict.OPEN if complete else GateVerdict.UNKNOWN,
        value=f"{len(fills.fills)} fills in {fills.pages} pages",
        source=fills.source,
        reason=Reason.FILL_EVIDENCE_INCOMPLETE,
        as_of=fills.as_of,
        detail=detail or fills.detail or window,
    )


GATES: tuple[Gate, ...] = (
    profile_paused,
    exchange_flat,
    no_pending_row,
    quiet_period,
    ledger_rows_valid,
    fill_evidence_complete,
)
"""In the order of the checklist; whether fills support the quantity is decided per candidate."""

MARKET_GATES: frozenset[Gate] = frozenset({profile_paused, exchange_flat, fill_evidence_complete})
"""Those that look at nothing of the lifecycle, so that its market can be asked once for all."""


def ask_market(case: Case) -> dict[Gate, GateResult]:
    """What the gates say that is the same for every lifecycle of the case's market."""
    return {gate: gate(case) for gate in MARKET_GATES}


def pass_gates(
    case: Case, known: Mapping[Gate, GateResult] = MappingProxyType({})
) -> tuple[GateResult, ...]:
    """The result of every gate; none is skipped, so that a person sees all of them at once.

    `known` are results that `ask_market` has for a lifecycle of the same market.
    """
    return tuple([known[gate] if gate in known else gate(case) for gate in GATES])


def first_closed(results: tuple[GateResult, ...]) -> GateResult | None:
    """The first gate that is not open."""
    for one in results:
        if one.verdict is not _OPEN:
            return one
    return None


def pause_doubt(reading: PauseReading, rules: Rules) -> Reason | None:
    """Why the pause does not permit a write, or None."""
    if not rules.require_pause or reading.state is PauseState.PAUSED:
        return None
    if reading.state is PauseState.RUNNING:
        return Reason.PROFILE_NOT_PAUSED
    return Reason.PAUSE_STATUS_UNKNOWN


def flat_doubt(reading: PositionReading | None, rules: Rules, now: datetime) -> Reason | None:
    """Why the position does not permit a write, or None."""
    limit = timedelta(seconds=rules.reading_max_age_seconds)
    if reading is not None and reading.flatness is Flatness.OPEN:
        return Reason.EXCHANGE_NOT_FLAT
    if reading is None or reading.flatness is Flatness.UNKNOWN or now - reading.as_of > limit:
        return Reason.EXCHANGE_STATE_UNKNOWN
    return None


def activity_doubt(rows: Sequence[LedgerRow], rules: Rules, now: datetime) -> Reason | None:
    """Why the rows of a lifecycle do not permit a write, because the bot is at work, or None."""
    if _pending(rows, rules):
        return Reason.PENDING_LIFECYCLE_BLOCKER
    return Reason.RECENT_ACTIVITY if _is_recent(_latest_touch(rows), rules, now) else None


def plain(quantity: Decimal) -> str:
    """A quantity without exponent and without trailing zeros; every other digit is kept."""
    text = str(quantity)
    if "E" in text:
        text = f"{quantity:f}"
    return text.rstrip("0").rstrip(".") if text[-1] == "0" and "." in text else text


def show_key(key: LifecycleKey) -> str:
    """A lifecycle in a sentence."""
    return f"{key.trade_id} ({key.symbol}, profile {key.profile_id})"
