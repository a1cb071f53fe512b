"""Stage 5: say in sentences what was decided and why. Pure; words for people, from the record.

Everything here is read off the audit rows, so that what a person is told later is what was known
when the decision was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote
from typing import Any, Final

from unghost.gates import plain
from unghost.model import Attribution, AuditRow, Decision, OverClosed, Reason

VERDICTS: Mapping[Decision, str] = {
    Decision.DRY_RUN: "a dry run would write this row",
    Decision.PENDING_APPLY: "the intent to write this row is recorded; the write is not confirmed",
    Decision.APPLIED: "this row was written",
    Decision.SKIP_EXISTING: "this row exists already, so nothing was written",
    Decision.NO_GO: "nothing was written",
}

REASONS: Mapping[Reason, str] = {
    Reason.FILL_EVIDENCE: "Fills of the exchange prove the quantity.",
    Reason.DUST_REMAINDER: "What no fill covers is within the dust threshold.",
    Reason.BASE_FEE_REMAINDER: "What no fill covers went as a fee taken in the asset itself.",
    Reason.BACKFILL_EXISTS: "The same backfill row stands already.",
    Reason.BACKFILL_ROLLED_BACK: (
        "The same backfill row was rolled back by somebody; `unghost reinstate` brings it back."
    ),
    Reason.PROFILE_NOT_PAUSED: "Trading of the profile is not paused.",
    Reason.PAUSE_STATUS_UNKNOWN: "Nobody could say whether trading is paused.",
    Reason.EXCHANGE_NOT_FLAT: "The exchange has a position on this symbol, so it may be real.",
    Reason.EXCHANGE_STATE_UNKNOWN: "The exchange gave no answer that proves the symbol flat.",
    Reason.PENDING_LIFECYCLE_BLOCKER: "A row of this trade_id is still pending.",
    Reason.RECENT_ACTIVITY: "The bot touched the lifecycle a moment ago.",
    Reason.FILL_EVIDENCE_INCOMPLETE: "The fills could not be read to their end.",
    Reason.MISSING_FILL_EVIDENCE: "No fill covers the remainder, and it is too large to be dust.",
    Reason.AMBIGUOUS_ATTRIBUTION: "Fills are there, but nothing tells whose exit they are.",
    Reason.ORDER_ID_CONFLICT: "The row's order_id is taken by something else.",
    Reason.INVALID_LEDGER_ROW: "A row of the lifecycle cannot be judged.",
    Reason.LEDGER_CHANGED: "The ledger changed between the decision and the write.",
    Reason.PLAN_DRIFT: "What the plan rested on has moved.",
    Reason.LIMIT_EXCEEDED: "The batch would write more than it may.",
    Reason.INTERRUPTED: "The run ended before this row was written.",
}
"""What each reason means, in one sentence; docs and console show the same words."""

WHAT_TO_DO: Mapping[Reason, str] = {
    Reason.FILL_EVIDENCE: "Nothing: fills of the exchange cover it.",
    Reason.DUST_REMAINDER: "Nothing: it is too small to be a position.",
    Reason.BASE_FEE_REMAINDER: "Nothing: the exchange kept it as a fee.",
    Reason.BACKFILL_EXISTS: "Nothing: an earlier batch has written this row.",
    Reason.BACKFILL_ROLLED_BACK: (
        "If it shall stand again, run `unghost reinstate` for the batch that was rolled back;"
        " where a person canceled the row, first `unghost rollback` for the batch that wrote it."
    ),
    Reason.PROFILE_NOT_PAUSED: "Pause the profile (`unghost pause`, or in the bot) and run again.",
    Reason.PAUSE_STATUS_UNKNOWN: (
        "See that the pause source answers (`unghost doctor`), then run again."
    ),
    Reason.EXCHANGE_NOT_FLAT: (
        "The position is real: leave it, or close it on the exchange and run again."
    ),
    Reason.EXCHANGE_STATE_UNKNOWN: (
        "See that the exchange answers (`unghost doctor`) and knows the symbol, then run again."
    ),
    Reason.PENDING_LIFECYCLE_BLOCKER: (
        "An order of the lifecycle is still pending in the ledger: settle that row first."
    ),
    Reason.RECENT_ACTIVITY: "Wait until the bot has left the lifecycle alone, then run again.",
    Reason.FILL_EVIDENCE_INCOMPLETE: (
        "The fills could not be read to their end: run again, or check the connection."
    ),
    Reason.MISSING_FILL_EVIDENCE: (
        "No fill covers it: look further back (RECON_EXIT_BACKFILL_LOOKBACK_HOURS), or find out"
        " how the position was closed."
    ),
    Reason.AMBIGUOUS_ATTRIBUTION: (
        "The fills could belong to several lifecycles: `unghost explain` shows which; decide by"
        " hand."
    ),
    Reason.ORDER_ID_CONFLICT: "The id is taken by a row with other content: look at that row.",
    Reason.INVALID_LEDGER_ROW: "Correct the rows that `unghost explain` names, then run again.",
    Reason.LEDGER_CHANGED: "The ledger moved while the batch ran: run again.",
    Reason.PLAN_DRIFT: "The world moved since the plan: make a new dry run and look at it.",
    Reason.LIMIT_EXCEEDED: (
        "The batch is too large: its sentence names the ceiling; raise it, or allow the share for"
        " this batch (--allow-share, or the console's box), if that much is right."
    ),
    Reason.INTERRUPTED: "An earlier run died before this row was written: run again.",
}
"""What a person does about each reason; one sentence, on the terminal and in the console."""

TIERS: Mapping[Attribution, str] = {
    Attribution.ID_LINK: "an id links the order to this lifecycle",
    Attribution.EXACT_QUANTITY: "its quantity is exactly this lifecycle's, and nobody else's",
    Attribution.FIFO: "first in, first out, where that cannot go wrong in total",
    Attribution.BASE_FEE: "fee in the asset",
    Attribution.DUST: "dust",
}

NOT_OURS: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a JSON value of another shape than ours comes to."""


def explain_rows(rows: Sequence[AuditRow]) -> tuple[str, ...]:
    """Tell why a lifecycle got its decision, from the audit rows of one batch.

    Gates with values, sources and ages first; then fills used and not used; then each row. Evidence
    that somebody has changed into what is none of ours is said to be that, and the rest is told.
    """
    if not rows:
        return ()
    evidence = max((row.evidence for row in rows), key=len)
    return (
        *_headline(rows),
        *_as_written(_gates(evidence)),
        *_as_written(_fills(evidence)),
        *_as_written(_orders(evidence, rows[0].profile_id, rows[0].trade_id)),
        *(sentence for row in rows for sentence in _row(row)),
    )


def _as_written(sentences: Iterator[str]) -> Iterator[str]:
    """The sentences as far as the evidence has the shape in which unghost writes it."""
    try:
        yield from sentences
    except NOT_OURS:
        yield (
            "What follows in the evidence is not as unghost writes it: `unghost audit verify` tells"
            " whether the record was changed."
        )


def _headline(rows: Sequence[AuditRow]) -> Iterator[str]:
    row = rows[0]
    direction = row.evidence.get("direction")
    side = f"{direction} " if direction else ""
    open_qty = "an unusable quantity" if row.open_qty is None else plain(row.open_qty)
    yield (
        f"Lifecycle {row.trade_id} of profile {row.profile_id} on {row.symbol}: the ledger says"
        f" {side}{open_qty} is open"
        f" (batch {row.batch_id}, {row.created_at:%Y-%m-%d %H:%M:%S} UTC, by {row.actor})."
    )


def _gates(evidence: Mapping[str, Any]) -> Iterator[str]:
    for gate in evidence.get("gates", ()):
        age = gate.get("age_seconds")
        aged = "" if age is None else f", {age:g} s old"
        detail = f" — {gate['detail']}" if gate.get("detail") else ""
        told = f"Gate {gate['name']} is {gate['verdict']}: {gate['value']} ({gate['source']}{aged})"
        yield _ended(f"{told}{detail}")


def _fills(evidence: Mapping[str, Any]) -> Iterator[str]:
    fills = evidence.get("fills")
    if not fills:
        return
    start, end = fills["window"]
    state = "read to the end" if fills["complete"] else "not read to the end"
    yield f"Fills from {start} to {end}: {fills['count']}, {state}, source {fills['source']}."
    for doubt in evidence.get("doubts", ()):
        yield _ended(f"Doubt on the {evidence.get('leg')} leg: {doubt}")
    if evidence.get("unexplained", "0") != "0":
        yield (
            f"The ledger records {evidence['unexplained']} closed that no exchange order explains;"
            " as much of the fills is held back."
        )


def _orders(evidence: Mapping[str, Any], profile_id: str, trade_id: str) -> Iterator[str]:
    for order in evidence.get("orders", ()):
        used = [claim for claim in order["claims"] if _is_own(claim, profile_id, trade_id)]
        others = [claim for claim in order["claims"] if not _is_own(claim, profile_id, trade_id)]
        yield _order_sentence(order, used, others)
    hidden = evidence.get("orders_not_shown", 0)
    if hidden:
        yield f"{hidden} more close orders of this leg are not shown."


def _is_own(claim: Mapping[str, Any], profile_id: str, trade_id: str) -> bool:
    return (claim["profile_id"], claim["trade_id"]) == (profile_id, trade_id)


def _order_sentence(
    order: Mapping[str, Any],
    used: Iterable[Mapping[str, Any]],
    others: Iterable[Mapping[str, Any]],
) -> str:
    parts = [f"{claim['quantity']} used here: {_tier(claim['attribution'])}" for claim in used]
    parts += [f"{claim['quantity']} goes to {claim['trade_id']}" for claim in others]
    if order["accounted_by"]:
        named = ", ".join(order["accounted_by"])
        parts.append(f"{order['accounted']} is in the ledger already ({named})")
    if order["unclaimed"] != "0":
        parts.append(f"{order['unclaimed']} stays unclaimed")
    told = "; ".join(parts) or "nothing of it is left to claim"
    return (
        f"Exchange order {order['exchange_order_id']} closed {order['filled']} at {order['price']}"
        f" until {order['last_fill_at']}: {told}."
    )


def _tier(attribution: str) -> str:
    return TIERS[Attribution(attribution)]


def _row(row: AuditRow) -> Iterator[str]:
    what = "" if row.filled_qty is None else f" EXIT {plain(row.filled_qty)} at {row.price}"
    name = f" {row.backfill_order_id}" if row.backfill_order_id else ""
    undone = f" Rolled back at {row.reverted_at:%Y-%m-%d %H:%M:%S} UTC." if row.reverted_at else ""
    yield (
        f"{row.decision}{name}{what}: {VERDICTS[row.decision]}."
        f" {REASONS[row.reason]}{_said(row)}{undone}"
    )


def _said(row: AuditRow) -> str:
    sentence = row.evidence.get("sentence")
    return f" {_ended(str(sentence))}" if sentence else ""


def _ended(sentence: str) -> str:
    """With one full stop: some of the sentences inside come with theirs."""
    return f"{sentence.rstrip('.')}."


# --- a real EXIT that came after ours ----------------------------------------------------------


def way_back(over: OverClosed) -> str | None:
    """The one command that takes back what a later EXIT made superfluous; None: no row of ours.

    The row that holds exactly what is closed too much, else the batch's rows of the lifecycle: what
    is still missing then is found again by the next cycle.
    """
    if not over.superseded:
        return None
    excess = over.exit_qty - over.entry_qty
    for order_id, quantity, batch_id in over.superseded:
        if quantity == excess:
            return f"unghost rollback {batch_id or 'BATCH'} --order {order_id}"
    _, _, batch_id = over.superseded[0]
    return f"unghost rollback {batch_id or 'BATCH'} --trade {quote(over.key.trade_id)}"
