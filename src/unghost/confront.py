"""What stops a candidate that was decided: a row that exists already, or the plan. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unghost import rowfacts
from unghost.gates import show_key
from unghost.model import AuditRow, Candidate, LedgerRow, Reason, Refusal, Ruling, Skip

# --- what exists already -----------------------------------------------------------------------


def confront(rulings: Sequence[Ruling], existing: Mapping[str, LedgerRow]) -> tuple[Ruling, ...]:
    """Compare candidates with the rows that hold their ids, and with each other.

    The same row standing is skipped, the same row rolled back is skipped too (reinstate is the way
    back), other content is a conflict; so are two candidates of the batch with one id.
    """
    counts = Counter(one.order_id for ruling in rulings for one in ruling.candidates)
    return tuple(_confront_one(ruling, existing, counts) for ruling in rulings)


def _confront_one(
    ruling: Ruling, existing: Mapping[str, LedgerRow], counts: Mapping[str, int]
) -> Ruling:
    keep: list[Candidate] = []
    skips: list[Skip] = []
    refusals: list[Refusal] = []
    for candidate in ruling.candidates:
        row = existing.get(candidate.order_id)
        if counts[candidate.order_id] > 1:
            refusals.append(_conflict(candidate, "another candidate of this batch has the same id"))
        elif row is None:
            keep.append(candidate)
        elif not is_same_row(row, candidate):
            refusals.append(_conflict(candidate, "a row with this id and other content exists"))
        else:
            skips.append(_skip(candidate, row))
    return replace(
        ruling,
        candidates=tuple(keep),
        skips=(*ruling.skips, *skips),
        refusals=(*ruling.refusals, *refusals),
    )


def is_same_row(row: LedgerRow, candidate: Candidate) -> bool:
    """Whether a row found under the candidate's id is that very backfill, whatever its status."""
    key = candidate.key
    return (
        (row.profile_id, row.symbol, row.trade_id) == (key.profile_id, key.symbol, key.trade_id)
        and row.action == rowfacts.EXIT
        and row.quantity == candidate.quantity
        and row.price == candidate.price
    )


def _conflict(candidate: Candidate, why: str) -> Refusal:
    return Refusal(
        reason=Reason.ORDER_ID_CONFLICT,
        quantity=candidate.quantity,
        sentence=f"{show_key(candidate.key)}: {why} ({candidate.order_id})",
        order_id=candidate.order_id,
    )


def _skip(candidate: Candidate, row: LedgerRow) -> Skip:
    if rowfacts.is_filled(row):
        reason, words = Reason.BACKFILL_EXISTS, "stands already"
    else:
        reason, words = Reason.BACKFILL_ROLLED_BACK, "was rolled back; reinstate brings it back"
    sentence = f"{show_key(candidate.key)}: {candidate.order_id} {words}"
    return Skip(candidate=candidate, reason=reason, sentence=sentence)


# --- the plan ----------------------------------------------------------------------------------


def pin(
    rulings: Sequence[Ruling], plan: Sequence[AuditRow]
) -> tuple[tuple[Ruling, ...], tuple[AuditRow, ...]]:
    """Keep only candidates that the plan held unchanged; return also the planned rows now gone.

    What moved is refused as plan_drift, and the sentence names which row or which fill.
    """
    planned = {row.backfill_order_id: row for row in plan if row.backfill_order_id}
    closes = {(row.symbol, row.trade_id, row.exchange_order_id): row for row in plan}
    pinned = tuple(_pin_one(ruling, _Plan(rows=planned, closes=closes)) for ruling in rulings)
    seen = {one.order_id for ruling in rulings for one in ruling.candidates}
    seen |= {skip.candidate.order_id for ruling in rulings for skip in ruling.skips}
    seen |= {one.order_id for ruling in rulings for one in ruling.refusals if one.order_id}
    gone = tuple(row for order_id, row in planned.items() if order_id not in seen)
    return pinned, gone


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """The planned rows by their id; and by what they close, for an order that has gained fills
    since goes by the id of its new last one.
    """

    rows: Mapping[str, AuditRow]
    closes: Mapping[tuple[str, str, str | None], AuditRow]

    def row(self, candidate: Candidate) -> AuditRow | None:
        key = candidate.key
        close = (key.symbol, key.trade_id, candidate.exchange_order_id)
        return self.rows.get(candidate.order_id) or self.closes.get(close)


def _pin_one(ruling: Ruling, plan: _Plan) -> Ruling:
    keep = [one for one in ruling.candidates if _drift(one, plan) is None]
    drifts = [(one, _drift(one, plan)) for one in ruling.candidates]
    refusals = tuple(
        Refusal(
            reason=Reason.PLAN_DRIFT,
            quantity=one.quantity,
            sentence=f"{show_key(one.key)}: {moved}",
            order_id=one.order_id,
        )
        for one, moved in drifts
        if moved is not None
    )
    return replace(ruling, candidates=tuple(keep), refusals=(*ruling.refusals, *refusals))


def _drift(candidate: Candidate, plan: _Plan) -> str | None:
    row = plan.row(candidate)
    if row is None:
        return f"{candidate.order_id} is not in the plan"
    if row.fingerprint == candidate.fingerprint:
        return None
    try:
        before = _stored_basis(row.evidence)
    except (TypeError, ValueError):
        return f"audit row {row.audit_id} of the plan does not say any more what it rested on"
    return f"moved since the plan: {what_moved(before, candidate.basis)}"


def _stored_basis(evidence: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Raises TypeError or ValueError where somebody has made something else of it."""
    return tuple((str(name), str(value)) for name, value in evidence.get("basis", ()))


def what_moved(before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]]) -> str:
    """Name every part of the basis that differs: values with both sides, rows by their id."""
    old, new = dict(before), dict(after)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return "; ".join(_moved(name, old.get(name), new.get(name)) for name in names) or "nothing"


def _moved(name: str, old: str | None, new: str | None) -> str:
    if old is None:
        return f"{name} is new"
    if new is None:
        return f"{name} is gone"
    if name.startswith(("ledger row", "fills of")):
        return f"{name} changed"
    return f"{name} was {old}, is {new}"
