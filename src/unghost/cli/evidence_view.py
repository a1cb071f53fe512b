"""What is known about one symbol, as normalised: readings, close orders, claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from unghost.cli import tables
from unghost.cli.numbers import plain
from unghost.cli.views import pause_words
from unghost.model import Evidence, FillReading, Flatness, PositionReading, Ruling

if TYPE_CHECKING:
    from unghost.cycle import SymbolReport

FILLS_SHOWN = 20

FLATNESS_STYLES = {Flatness.FLAT: "green", Flatness.OPEN: "red", Flatness.UNKNOWN: "yellow"}


def document(report: SymbolReport) -> dict[str, Any]:
    """The report as one document: what is left of each order has names of its own."""
    told = {one.name: getattr(report, one.name) for one in fields(report)}
    left = [{"exchange_order_id": name, "quantity": rest} for name, rest in report.unclaimed]
    return told | {"unclaimed": left}


def shown(report: SymbolReport) -> Iterator[RenderableType]:
    """Readings first, then what was made of them."""
    yield tables.facts_table(f"Evidence for {report.evidence.symbol}", _readings(report))
    if report.evidence.lifecycles:
        yield tables.lifecycles_table(report.evidence.lifecycles)
    if report.evidence.fills.fills:
        yield _fills(report.evidence.fills)
    if report.orders:
        yield _orders(report)
    if report.claims:
        yield _claims(report)
    if report.unclaimed:
        yield _unclaimed(report)
    for doubt in report.doubts:
        yield Text(f"Doubt: {doubt}", style="yellow")
    for ruling in report.rulings:
        yield _gates(ruling)
        for refusal in ruling.refusals:
            yield Text(f"{refusal.reason}: {refusal.sentence}", style="red")


def _readings(report: SymbolReport) -> Iterator[tuple[str, str | Text]]:
    evidence = report.evidence
    yield "market", _market(evidence)
    yield "trading", pause_words(report.pause)
    yield "position before", _position(evidence.position_before)
    yield "position after", _position(evidence.position_after)
    fills = evidence.fills
    yield "fills", f"{len(fills.fills)} from {fills.source}, as of {tables.moment(fills.as_of)}"
    yield (
        "window",
        f"{tables.moment(fills.window.start_at)} to {tables.moment(fills.window.end_at)}",
    )
    yield "pages", str(fills.pages)
    yield "complete", _completeness(fills)
    yield "unclaimed", plain(sum((rest for _, rest in report.unclaimed), Decimal(0)))
    calls = ", ".join(f"{path} {count}" for path, count in report.calls.by_method)
    yield "calls", f"{report.calls.total}{f' ({calls})' if calls else ''}"


def _completeness(fills: FillReading) -> Text:
    word = ("yes", "green") if fills.complete else ("NO", "red")
    return Text.assemble(word, "  ", (fills.detail, "dim"))


def _market(evidence: Evidence) -> str:
    market = evidence.market
    if market is None:
        return f"unknown: {evidence.position_before.detail}"
    return f"{market.unified} ({market.native_id}), contract size {plain(market.contract_size)}"


def _position(reading: PositionReading) -> Text:
    word = tables.styled(reading.flatness, FLATNESS_STYLES)
    facts = f"size {plain(reading.size)}, as of {tables.moment(reading.as_of)}. {reading.detail}"
    return Text.assemble(word, "  ", (facts, "dim"))


def _fills(reading: FillReading) -> RenderableType:
    shown = reading.fills[-FILLS_SHOWN:]
    more = len(reading.fills) - len(shown)
    return tables.table(
        "Fills"
        + (f" (the latest {len(shown)}; {more} earlier ones are in --json)" if more else ""),
        ("at", [one.filled_at for one in shown]),
        ("side", [one.side for one in shown]),
        ("quantity", [one.quantity for one in shown]),
        ("price", [one.price for one in shown]),
        ("fee", [_fee(one.fees) for one in shown]),
        ("leg", [one.position_side for one in shown]),
        ("kind", [one.kind for one in shown]),
        ("exchange_order_id", [one.exchange_order_id for one in shown]),
        ("fill_id", [one.fill_id for one in shown]),
    )


def _unclaimed(report: SymbolReport) -> RenderableType:
    return tables.table(
        "Left unclaimed",
        ("exchange_order_id", [order_id for order_id, _ in report.unclaimed]),
        ("quantity", [quantity for _, quantity in report.unclaimed]),
    )


def _orders(report: SymbolReport) -> RenderableType:
    orders = report.orders
    return tables.table(
        "Close orders on the exchange",
        ("exchange_order_id", [one.exchange_order_id for one in orders]),
        ("leg", [one.leg for one in orders]),
        ("filled", [one.filled for one in orders]),
        ("accounted", [one.accounted for one in orders]),
        ("claimable", [one.claimable for one in orders]),
        ("price", [one.price for one in orders]),
        ("last fill", [one.last_fill_at for one in orders]),
        ("accounted by", [", ".join(one.accounted_by) for one in orders]),
    )


def _claims(report: SymbolReport) -> RenderableType:
    claims = report.claims
    return tables.table(
        "Claims",
        ("profile_id", [one.lifecycle.profile_id for one in claims]),
        ("trade_id", [one.lifecycle.trade_id for one in claims]),
        ("exchange_order_id", [one.order.exchange_order_id for one in claims]),
        ("quantity", [one.quantity for one in claims]),
        ("by", [one.attribution for one in claims]),
        ("fee", [_fee(one.fees) for one in claims]),
    )


def _fee(fees: object) -> Decimal | str | None:
    if fees is None or not isinstance(fees, tuple):
        return None
    return ", ".join(f"{plain(fee.amount)} {fee.currency}" for fee in fees)


def _gates(ruling: Ruling) -> RenderableType:
    gates = ruling.gates
    return tables.table(
        f"Gates of {ruling.lifecycle.key.trade_id}",
        ("gate", [one.name for one in gates]),
        ("verdict", [tables.styled(one.verdict, tables.GATE_STYLES) for one in gates]),
        ("value", [one.value for one in gates]),
        ("source", [one.source for one in gates]),
        ("", [one.detail for one in gates]),
    )
