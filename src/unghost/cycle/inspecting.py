"""All that is known about one market, for a person who looks."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from unghost.allocate import allocate
from unghost.cycle.draft import gather_evidence
from unghost.decide import decide
from unghost.desk import Desk
from unghost.detect import detect
from unghost.model import CallLog, Claim, CloseOrder, Evidence, PauseReading, Ruling
from unghost.ports import Progress
from unghost.quantities import PRECISION


@dataclass(frozen=True, kw_only=True)
class SymbolReport:
    """The readings, close orders and claims of one market, as normalised (base units)."""

    evidence: Evidence
    pause: PauseReading
    rulings: tuple[Ruling, ...]
    orders: tuple[CloseOrder, ...]
    claims: tuple[Claim, ...]
    unclaimed: tuple[tuple[str, Decimal], ...]
    doubts: tuple[str, ...]
    calls: CallLog


def inspect_symbol(
    desk: Desk, symbol: str, *, progress: Progress | None = None
) -> SymbolReport | None:
    """All that is known about the symbol's open lifecycles; None when it has none."""
    lifecycles = detect(desk.ledger, desk.profile.account_profiles)
    wanted = desk.exchange.resolve((symbol,)).get(symbol)
    evidences = gather_evidence(desk, lifecycles=lifecycles, progress=progress, read_all_fills=True)
    for evidence in evidences:
        if symbol in {evidence.symbol, *(one.key.symbol for one in evidence.lifecycles)} or (
            wanted is not None and evidence.market == wanted
        ):
            return _symbol_report(desk, evidence)
    return None


def _symbol_report(desk: Desk, evidence: Evidence) -> SymbolReport:
    pause = desk.pause.read(desk.profile.profile_id)
    with localcontext(prec=PRECISION):
        legs = allocate(evidence, desk.rules).legs
    return SymbolReport(
        evidence=evidence,
        pause=pause,
        rulings=decide((evidence,), pause=pause, rules=desk.rules, now=desk.clock()),
        orders=tuple(order for leg in legs for order in leg.orders),
        claims=tuple(claim for leg in legs for claim in leg.claims),
        unclaimed=tuple(rest for leg in legs for rest in leg.unclaimed),
        doubts=tuple(doubt for leg in legs for doubt in leg.doubts),
        calls=desk.exchange.calls(),
    )
