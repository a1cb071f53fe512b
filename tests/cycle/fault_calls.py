"""The calls of a cycle on each simulated venue, and a scene in which each of them is made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid4

from tests.cycle.bench import ETH, PROFILE, Bench, hours_ago, told

from unghost.cycle import CycleReport, Outcome
from unghost.demo.world import Part
from unghost.model import Decision, Reason

UNKNOWN, INCOMPLETE = Reason.EXCHANGE_STATE_UNKNOWN, Reason.FILL_EVIDENCE_INCOMPLETE
PARTS = 99
"""With the entry a hundred fills: so round a page that the next one is asked for."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a cycle: the end of its path, its number there, and why nothing is written."""

    endpoint: str
    number: int
    reason: Reason
    signed: bool = True


def _calls(
    markets: str, positions: str, fills: str, *, reading: int, orders: str | None = None
) -> Mapping[str, Call]:
    """`reading` is how many calls one reading of positions takes, a held market being there."""
    found = {
        "markets": Call(endpoint=markets, number=1, reason=UNKNOWN, signed=False),
        "first-positions": Call(endpoint=positions, number=1, reason=UNKNOWN),
        "second-positions": Call(endpoint=positions, number=1 + reading, reason=UNKNOWN),
        "third-positions": Call(endpoint=positions, number=1 + 2 * reading, reason=UNKNOWN),
        "first-fills": Call(endpoint=fills, number=1, reason=INCOMPLETE),
        "second-fills": Call(endpoint=fills, number=2, reason=INCOMPLETE),
    }
    if reading > 1:
        found["end-of-positions"] = Call(endpoint=positions, number=2, reason=UNKNOWN)
    if orders is not None:
        found["orders"] = Call(endpoint=orders, number=1, reason=INCOMPLETE)
    return found


CALLS: Mapping[str, Mapping[str, Call]] = {
    "binanceusdm": _calls(
        "exchangeInfo", "positionRisk", "userTrades", reading=1, orders="allOrders"
    ),
    "bybit": _calls("instruments-info", "position/list", "execution/list", reading=2),
    "okx": _calls("public/instruments", "account/positions", "trade/fills-history", reading=1),
}


def lose_an_exit(bench: Bench, *, parts: int = 1, linked_by: str = "exchange_order_id") -> str:
    """A ghost of 0.99; and a market of which the ledger knows nothing is truly open."""
    trade_id = f"t-{uuid4().hex[:8]}"
    entry = bench.trade("buy", "0.99", at=hours_ago(5))
    name = entry if linked_by == "exchange_order_id" else f"sim-{entry}"
    bench.book(trade_id, "ENTRY", "0.99", at=hours_ago(5), **{linked_by: name})
    bench.trade("sell", "0.99", parts=pieces(parts))
    bench.trade("buy", "1", symbol=ETH, at=hours_ago(4))
    return trade_id


def pieces(count: int, *, step_ms: int = 10) -> list[Part]:
    """An exit of 0.99 in so many fills, one after the other."""
    first = int(hours_ago(3).timestamp() * 1000)
    whole, size = Decimal("0.99"), Decimal(1).scaleb(-3) * (990 // count)
    sizes = [size] * (count - 1)
    sizes.append(whole - sum(sizes, Decimal(0)))
    return [Part(quantity=one, at=first + number * step_ms) for number, one in enumerate(sizes)]


def set_the_scene(bench: Bench, call: str) -> str:
    """The ghost by which the call is made; returns its trade_id.

    Binance tells a short first page to be the last one, so its second needs many fills.
    """
    is_round = call == "second-fills" and bench.exchange == "binanceusdm"
    return lose_an_exit(
        bench,
        parts=PARTS if is_round else 1,
        linked_by="client_order_id" if call == "orders" else "exchange_order_id",
    )


def is_clear(text: str) -> bool:
    """One sentence that a person may read and anybody may see."""
    secrets = (f"{PROFILE}-key", f"{PROFILE}-secret", "signature", "timestamp=", "Traceback")
    return bool(text) and "\n" not in text and not any(one in text for one in secrets)


def assert_refused(bench: Bench, report: CycleReport, trade_id: str, reason: Reason) -> None:
    assert told(report) == [(trade_id, Decision.NO_GO, reason)]
    assert report.outcome is Outcome.ENVIRONMENT
    assert bench.backfills() == []
