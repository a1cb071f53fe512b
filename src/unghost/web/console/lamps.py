"""The gates of a profile as one lamp each, out of what the last cycle recorded. Pure.

A cycle passes every lifecycle through every gate. The lamp shows the worst verdict among them and
how many gave it: a closed gate is known to be closed, so it comes before one that is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from unghost.adapters.postgres.history import GatesSeen
from unghost.model import GateVerdict

_WORST_FIRST: Final = (GateVerdict.CLOSED, GateVerdict.UNKNOWN, GateVerdict.OPEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateLamp:
    """One gate over all lifecycles of a cycle. `age_seconds` is that of the oldest reading."""

    name: str
    rule: str
    verdict: GateVerdict
    value: str
    source: str
    age_seconds: int


def gate_lamps(seen: Iterable[GatesSeen], now: datetime) -> tuple[GateLamp, ...]:
    """One lamp for each gate, in the order in which they are passed."""
    found: dict[str, list[tuple[datetime, Mapping[str, Any]]]] = {}
    for one in seen:
        for gate in one.gates:
            found.setdefault(str(gate["name"]), []).append((one.written_at, gate))
    return tuple(_lamp(name, results, now) for name, results in found.items())


def _lamp(
    name: str, results: Sequence[tuple[datetime, Mapping[str, Any]]], now: datetime
) -> GateLamp:
    gates = [gate for _, gate in results]
    verdicts = Counter(GateVerdict(gate["verdict"]) for gate in gates)
    worst = next(one for one in _WORST_FIRST if verdicts[one])
    return GateLamp(
        name=name,
        rule=str(gates[0]["rule"]),
        verdict=worst,
        value=_value(worst, verdicts[worst], gates),
        source=str(gates[0]["source"]),
        age_seconds=max(_age(at, gate, now) for at, gate in results),
    )


def _value(worst: GateVerdict, number: int, gates: Sequence[Mapping[str, Any]]) -> str:
    values = {str(gate["value"]) for gate in gates}
    if len(values) == 1:
        return next(iter(values))
    if worst is GateVerdict.OPEN:
        return f"all {len(gates)}"
    return f"{number} of {len(gates)}"


def _age(at: datetime, gate: Mapping[str, Any], now: datetime) -> int:
    """Seconds since the reading: since the row was written, and what it was old by then."""
    then = Decimal(str(gate.get("age_seconds") or 0))
    return max(0, (now - at) // timedelta(seconds=1) + int(then))
