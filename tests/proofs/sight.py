"""What the database holds after a step, asked in one question, and what must be true of it.

Invariants 3, 4, 6 and 8 are judged by the books alone, here; the numbers are those of
`unghost.decide`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tests.proofs.quick import QuickBench
from tests.proofs.street import MARKETS, ZERO, Leg, Street

from unghost.ids import DUST_ORDER
from unghost.model import Candidate

GENESIS: Final = "0" * 64
_LOOK: Final = """
    SELECT CASE WHEN starts_with(order_id, 'BFILL-') THEN 'ours' ELSE 'bot' END, order_id,
           CASE WHEN starts_with(order_id, 'BFILL-')
                THEN (to_jsonb(o) - '{status,updated_at}'::text[])::text ELSE o::text END,
           status, symbol, side, action, quantity, exchange_order_id, trade_id
    FROM orders o
    UNION ALL
    SELECT 'audit and ledger disagree', COALESCE(a.backfill_order_id, o.order_id),
           a.decision, o.status, o.symbol, o.side, o.action, o.quantity, o.exchange_order_id,
           o.trade_id
    FROM (SELECT * FROM reconciliation_backfill_audit WHERE decision = 'APPLIED') AS a
    FULL JOIN (SELECT * FROM orders WHERE starts_with(order_id, 'BFILL-')) AS o
      ON o.order_id = a.backfill_order_id
    WHERE o.order_id IS NULL
       OR (a.audit_id IS NULL AND NOT EXISTS (
            SELECT FROM reconciliation_backfill_audit AS p
            WHERE p.backfill_order_id = o.order_id AND p.decision = 'PENDING_APPLY'))
       OR a.trade_id IS DISTINCT FROM o.trade_id OR a.filled_qty IS DISTINCT FROM o.quantity
    UNION ALL
    SELECT 'two ids for one close order', trade_id, exchange_order_id,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM reconciliation_backfill_audit
    WHERE backfill_order_id IS NOT NULL AND exchange_order_id IS NOT NULL
    GROUP BY profile_id, trade_id, exchange_order_id, filled_at
    HAVING count(DISTINCT backfill_order_id) > 1
    UNION ALL
    SELECT 'told twice', payload->>'key', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM reconciliation_event WHERE event_type = 'BACKFILL_SUPERSEDED'
    GROUP BY 2 HAVING count(*) > 1
    UNION ALL
    SELECT 'pending', backfill_order_id, batch_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM reconciliation_backfill_audit WHERE decision = 'PENDING_APPLY'
    UNION ALL
    SELECT DISTINCT 'batch', batch_id, NULL, NULL, NULL, NULL, NULL, NULL::numeric, NULL, NULL
    FROM reconciliation_backfill_audit WHERE decision IN ('APPLIED', 'SKIP_EXISTING')
    UNION ALL
    SELECT 'head', seq::text, hash, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM reconciliation_chain_head
    UNION ALL
    SELECT 'link', seq::text, hash, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM reconciliation_chain WHERE seq = %s
"""
_WRONG: Final = frozenset(
    {"audit and ledger disagree", "two ids for one close order", "told twice"}
)


_FACTS: Final = ("text", "status", "symbol", "side", "action", "quantity", "order", "trade_id")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of `orders`. `text` is all of it, of ours without what may change."""

    text: str
    status: str
    symbol: str
    side: str
    action: str
    quantity: Decimal
    order: str | None
    trade_id: str

    @property
    def counts(self) -> bool:
        return self.status == "filled" and self.action == "EXIT"

    @property
    def open(self) -> Decimal:
        """What it adds to what its lifecycle holds open."""
        if self.status != "filled":
            return ZERO
        return self.quantity if self.action == "ENTRY" else -self.quantity


@dataclass(frozen=True, kw_only=True)
class Sight:
    """The books as of one moment; rows by their order_id."""

    bots: Mapping[str, Row]
    ours: Mapping[str, Row]
    wrong: tuple[str, ...]
    pending: tuple[str, ...]
    batches: tuple[str, ...]
    """Those with rows that can be rolled back, oldest first within seconds."""
    head: tuple[int, str]
    link: str
    """The hash that the chain holds now where its head was when last seen."""

    @property
    def standing(self) -> Mapping[str, Row]:
        return {name: row for name, row in self.ours.items() if row.counts}

    def canceled(self) -> bool:
        """Whether a row of ours was rolled back."""
        return any(not row.counts for row in self.ours.values())

    def rows(self) -> tuple[Mapping[str, Row], Mapping[str, Row]]:
        """What a decision rests on."""
        return self.bots, self.ours

    def fresh(self, before: Sight) -> Mapping[str, Row]:
        """Rows of ours that stand and did not before."""
        known = before.standing
        return {name: row for name, row in self.standing.items() if name not in known}

    def exits(self) -> Iterable[Row]:
        """Every EXIT that counts, whoever wrote it."""
        return (row for rows in self.rows() for row in rows.values() if row.counts)

    def over_closed(self) -> set[str]:
        """Lifecycles whose EXIT rows are more than their ENTRY rows."""
        left: dict[str, Decimal] = defaultdict(Decimal)
        for rows in self.rows():
            for row in rows.values():
                left[row.trade_id] += row.open
        return {trade_id for trade_id, quantity in left.items() if quantity < 0}

    def closed(self) -> Mapping[Leg, Decimal]:
        """By leg, and of each lifecycle no more than it entered: what a real EXIT wrote a second
        time, after ours, was closed once.
        """
        entered = dict(self._entered())
        total: dict[Leg, Decimal] = defaultdict(Decimal)
        for row in self.exits():
            counted = min(row.quantity, entered.get(row.trade_id, ZERO))
            entered[row.trade_id] = entered.get(row.trade_id, ZERO) - counted
            total[row.symbol, row.side] += counted
        return total

    def _entered(self) -> Mapping[str, Decimal]:
        total: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.bots.values():
            if row.status == "filled" and row.action == "ENTRY":
                total[row.trade_id] += row.quantity
        return total

    def repaired(self) -> set[str]:
        """Lifecycles with a row of ours that stands."""
        return {row.trade_id for row in self.standing.values()}


def look(bench: QuickBench, head: tuple[int, str] = (0, GENESIS)) -> Sight:
    """Ask; `head` is where the chain ended when last seen."""
    rows: dict[str, dict[str, Row]] = {"bot": {}, "ours": {}}
    told: dict[str, list[tuple[str, str]]] = {"link": [], "pending": [], "batch": []}
    wrong = []
    for kind, name, *facts in bench.rows(_LOOK, head[0]):
        if kind in rows:
            rows[kind][name] = Row(**dict(zip(_FACTS, facts, strict=True)))
        elif kind in _WRONG:
            wrong.append(f"{kind}: {name} {facts}")
        else:
            told.setdefault(kind, []).append((name, facts[0]))
    ((seq, end),) = told["head"]
    return Sight(
        bots=rows["bot"],
        ours=rows["ours"],
        wrong=tuple(wrong),
        pending=tuple(name for name, _ in told["pending"]),
        batches=tuple(sorted(name for name, _ in told["batch"])),
        head=(int(seq), end),
        link=told["link"][0][1] if told["link"] else GENESIS,
    )


# --- what must be true -------------------------------------------------------------------------


def confirm_books(now: Sight, before: Sight, written: Mapping[str, Row], street: Street) -> None:
    """Raises AssertionError where the books are unsound; `written` is what the bot wrote."""
    assert now.bots == written, "a row of the bot was changed"
    assert not now.wrong, f"invariants 4 and 8: {now.wrong}"
    for name, row in before.ours.items():
        assert name in now.ours, "invariant 6: a row of ours is gone"
        assert now.ours[name].text == row.text, "invariant 6: more than the status was changed"
    assert {row.status for row in now.ours.values()} <= {"filled", "canceled"}, "invariant 6"
    assert now.head[0] >= before.head[0], "the chain was cut"
    assert now.link == before.head[1], "the chain was written anew"
    for order, quantity in by_order(now.standing.values()).items():
        assert quantity <= street.filled[order], f"invariant 3: order {order} was used twice"
    for leg, quantity in by_leg(now.standing.values()).items():
        most = street.closed[_unified(leg, street)] + street.dust(_unified(leg, street))
        assert quantity <= most, f"invariant 3: {leg} was closed by more than the exchange"


def confirm_fresh(now: Sight, before: Sight, street: Street, *, paused: bool) -> int:
    """The number of rows that now stand; raises AssertionError where one of them may not."""
    fresh = now.fresh(before)
    if not fresh:
        return 0
    assert paused, "invariant 8: written while trading"
    held = street.held() & {row.symbol for row in fresh.values()}
    assert not held, f"invariant 8: written on a market that is not flat: {held}"
    at_work = {one.trade_id for one in street.working()}
    assert not at_work & {row.trade_id for row in fresh.values()}, "invariant 8: order at work"
    accounted = by_order(now.exits())
    for row in fresh.values():
        if row.order is not None:
            assert accounted[row.order] <= street.filled[row.order], "invariant 3: used twice"
    closed, closed_before = now.closed(), before.closed()
    for leg in {(row.symbol, row.side) for row in fresh.values()}:
        most = most_closed(leg, closed_before, street)
        assert closed[leg] <= most, f"invariant 3: {leg} is closed by more than the exchange"
    return len(fresh)


def confirm_claims(claims: Sequence[Candidate], now: Sight, street: Street) -> None:
    """Raises AssertionError where what would be written claims what is used already."""
    accounted = by_order(now.exits())
    for order, quantity in _claimed_by_order(claims).items():
        assert accounted[order] + quantity <= street.filled[order], f"invariant 3: {order} twice"
    confirm_legs(claims, now, street)


def confirm_legs(claims: Sequence[Candidate], now: Sight, street: Street) -> None:
    """Raises AssertionError where a leg would be closed by more than was closed there in truth."""
    closed = now.closed()
    for leg, quantity in _claimed_by_leg(claims).items():
        most = most_closed(leg, closed, street)
        assert closed[leg] + quantity <= most, f"invariant 3: {leg} would be closed by too much"


def most_closed(leg: Leg, booked: Mapping[Leg, Decimal], street: Street) -> Decimal:
    """What may be closed on a leg in all: what was closed in truth, and dust.

    The bot may have booked an exit of which the exchange has not told the fills yet.
    """
    named = _unified(leg, street)
    happened = street.closed[named] + street.untold(named)
    return max(happened, booked[leg]) + street.dust(named)


def _claimed_by_order(claims: Sequence[Candidate]) -> Mapping[str, Decimal]:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for one in claims:
        if one.exchange_order_id != DUST_ORDER:
            total[one.exchange_order_id] += one.quantity
    return total


def _claimed_by_leg(claims: Sequence[Candidate]) -> Mapping[Leg, Decimal]:
    total: dict[Leg, Decimal] = defaultdict(Decimal)
    for one in claims:
        total[one.key.symbol, one.side.value] += one.quantity
    return total


def by_order(rows: Iterable[Row]) -> Mapping[str, Decimal]:
    """Quantity by the exchange's order; dust names none."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.order is not None:
            total[row.order] += row.quantity
    return total


def by_leg(rows: Iterable[Row]) -> Mapping[Leg, Decimal]:
    """Quantity by the ledger's name of the market, and side."""
    total: dict[Leg, Decimal] = defaultdict(Decimal)
    for row in rows:
        total[row.symbol, row.side] += row.quantity
    return total


def _unified(leg: Leg, street: Street) -> Leg:
    native, side = leg
    return next(one for one in MARKETS if street.bench.native(one) == native), side
