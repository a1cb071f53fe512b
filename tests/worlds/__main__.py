"""`make fidelity`: worlds, one seed after another, until enough lifecycles were held to the truth.

    python -m tests.worlds [--lifecycles 20000] [--seed 0] [--closings] [--json] [--show SEED]

With `--closings` the exchange tells how much of each fill closed a position, as Bybit does.

Exit code 1 where a recoverable exit was not restored, a close was false, or a refusal had another
reason than the right one; each such world is then told by its seed, and at its smallest.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field

from tests.worlds.judge import Findings, judged, kinds
from tests.worlds.shrinking import smallest
from tests.worlds.world import World, of_seed

SHRUNK = 5
"""Failing worlds that are made smaller; more are named by their seeds."""

LINES = (
    ("worlds", "worlds"),
    ("lifecycles", "lifecycles in their ledgers"),
    ("ghosts", "ghosts"),
    ("recoverable exits", "recoverable exits"),
    ("recoverable in full", "ghosts recoverable in full"),
    ("false closes", "false closes"),
    ("indistinguishable", "closes that nothing in the evidence tells from right"),
    ("beyond the definition, closed without a false close", "closed beyond the definition"),
    ("refused", "ghosts refused"),
    ("refused for another reason", "refused for another than the right reason"),
)


@dataclass(kw_only=True)
class Run:
    """What a run found, with the seeds of the worlds that failed."""

    first_seed: int
    next_seed: int = 0
    findings: Findings = field(default_factory=Findings)
    causes: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)


def seen(seed: int, *, closings: bool) -> World:
    """The world of a seed, as an exchange tells it."""
    return of_seed(seed).told(closings=closings)


def run(lifecycles: int, *, first_seed: int, closings: bool = False) -> Run:
    """Judge worlds until there were so many lifecycles."""
    found = Run(first_seed=first_seed, next_seed=first_seed)
    while found.findings.counts["lifecycles"] < lifecycles:
        world = seen(found.next_seed, closings=closings)
        one = judged(world)
        found.findings.add(one)
        found.causes.update(str(mishap.fault) for mishap in world.mishaps)
        if one.violations:
            found.failed.append(found.next_seed)
        found.next_seed += 1
    return found


def figures(found: Run) -> dict:
    """All numbers of a run, JSON-ready."""
    counts = found.findings.counts
    exact = counts["recoverable exits"] - counts["recoverable, not restored exactly"]
    in_full = counts["recoverable in full"] - counts["recoverable, not closed in full"]
    return {
        "seeds": [found.first_seed, found.next_seed - 1],
        **{name: counts[name] for name, _ in LINES},
        "restored exactly": exact,
        "closed in full": in_full,
        "refusals": dict(sorted(found.findings.reasons.items())),
        "mishaps": dict(sorted(found.causes.items())),
        "failed seeds": found.failed,
    }


def told(found: Run) -> str:
    """The figures for people."""
    numbers = figures(found)
    first, last = numbers["seeds"]
    lines = [f"seeds {first} to {last}"]
    lines += [f"{numbers[name]:>8}  {words}" for name, words in LINES]
    lines.insert(
        5,
        f"{numbers['restored exactly']:>8}  of them restored exactly: lifecycle, quantity, VWAP,"
        " time, id, fee",
    )
    lines.insert(7, f"{numbers['closed in full']:>8}  of them closed in full")
    lines.append("refused, by reason")
    lines += [f"{count:>8}  {reason}" for reason, count in numbers["refusals"].items()]
    lines.append("what befell the ledgers")
    lines += [f"{count:>8}  {cause}" for cause, count in numbers["mishaps"].items()]
    return "\n".join(lines)


def counterexample(seed: int, *, closings: bool = False) -> str:
    """The smallest world that fails like the one of this seed."""
    world = seen(seed, closings=closings)
    kind = min(kinds(judged(world)))

    def fails(other: World) -> bool:
        return kind in kinds(judged(other))

    small = smallest(world, fails)
    broken = [f"  {one.kind}: {one.trade_id} {one.words}" for one in judged(small).violations]
    return "\n".join([f"seed {seed} fails; at its smallest it is", repr(small), *broken])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--lifecycles", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--closings", action="store_true", help="as Bybit tells its fills")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--show", type=int, metavar="SEED", help="tell one world, and judge it")
    chosen = parser.parse_args(arguments)
    if chosen.show is not None:
        return _show(seen(chosen.show, closings=chosen.closings))
    found = run(chosen.lifecycles, first_seed=chosen.seed, closings=chosen.closings)
    print(json.dumps(figures(found), indent=2) if chosen.json else told(found))
    for seed in found.failed[:SHRUNK]:
        print(f"\n{counterexample(seed, closings=chosen.closings)}", file=sys.stderr)
    if len(found.failed) > SHRUNK:
        print(f"\nmore seeds that fail: {found.failed[SHRUNK:]}", file=sys.stderr)
    return 1 if found.failed else 0


def _show(world: World) -> int:
    print(world)
    violations = judged(world).violations
    for one in violations:
        print(f"  {one.kind}: {one.trade_id} {one.words}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
