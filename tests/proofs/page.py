"""The page of what was tried and what held, from kept results alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tests.proofs.results import Result

HEAD: Final = """# What was tried, and what held

Written by `make proof` from the results of its runs, which are in `proof.json` beside it; change
nothing here by hand: a test holds both together. Each part may have run at another time and on
another commit: each line says when (UTC) and on which. A part that was run again replaces what it
found before; soaks add up, those that broke something included. A part that says "not run" was not
run for this page. A commit that ends in `+` had changes that were not committed.
"""
WORDS: Final = {
    "crash points": "A process is killed before and after each statement of a dry run, an apply, a"
    " pinned apply, a rollback and a reinstate, and the server under it crashes at the same points;"
    " the next run must leave what an undisturbed one leaves",
    "fault matrix": "Every fault of an exchange, at every call of a cycle, on each simulated venue;"
    " and a database in trouble: locks, time limits, a deadlock, a full disk",
    "races": "Up to eight applies at once, a rollback against an apply, a bot that writes"
    " meanwhile, connections that are cut at each message and in the middle of COMMIT, runs that"
    " died; directly and through a transaction pooler",
    "chain": "The hash chain of the record: tampering is found, concurrent writers do not fork it",
    "rights": "What each database role may do, and what the database itself refuses",
    "hostile input": "Answers, files, settings and requests that are broken or meant to harm",
    "fidelity": "Made-up trading histories whose truth is known",
    "soak": "A bot, an exchange and an operator that do anything at any time; the invariants are"
    " checked after every step",
    "mutants": "Guards broken one by one in a copy of the source: a test must notice each",
}


def written(results: Sequence[Result], names: Sequence[str]) -> str:
    """The page as Markdown, a section for each name."""
    lines = [HEAD]
    for name in names:
        of_part = [one for one in results if one.part == name]
        lines += [f"## {name.capitalize()}", "", f"{WORDS[name]}.", ""]
        lines += [*_section(of_part), ""] if of_part else ["Not run.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(results: Sequence[Result]) -> Iterator[str]:
    yield "| when | commit | machine | figures | violations |"
    yield "|---|---|---|---|---|"
    for one in sorted(results, key=_in_time):
        told = "; ".join(figures(one))
        where = f"{one.at} | `{one.commit}` | {_machine(one)}"
        yield f"| {where} | {told} | {len(set(one.violations))} |"
    yield from _steps(results)
    yield from _violations(results)
    yield from _mutants(results)


def _in_time(result: Result) -> tuple[str, str, str]:
    return result.at, result.commit, str(result.figures)


def _steps(results: Sequence[Result]) -> Iterator[str]:
    """In all, and since something broke: what was mended then has held for so long."""
    if not any("steps" in one.figures for one in results):
        return
    ends = [one.at for one in results if one.violations]
    since = [one for one in results if not ends or (one.at > max(ends) and not one.violations)]
    told = f" Since the last violation: {_counted(since)}." if ends else ""
    yield ""
    yield f"Steps in all: {_counted(results)}.{told}"


def _counted(results: Sequence[Result]) -> int:
    return sum(one.figures.get("steps", 0) for one in results)


def figures(result: Result) -> Iterator[str]:
    """Each figure that is a number or a range, by its name."""
    for name, value in result.figures.items():
        if name == "seeds":
            yield f"seeds {value[0]} to {value[1]}"
        elif name == "mutants":
            yield f"{len(value)} mutants, {sum(by is not None for by in value.values())} caught"
        elif isinstance(value, int):
            yield f"{name} {value}"


def _machine(result: Result) -> str:
    machine = result.machine
    return f"{machine.cores} cores, {machine.processor}, {machine.system}, Python {machine.python}"


def _violations(results: Sequence[Result]) -> Iterator[str]:
    found = Counter(
        (one.commit, " ".join(words.split())) for one in results for words in one.violations
    )
    if found:
        yield ""
    for (commit, words), count in found.items():
        again = f" ({count} times, while a shorter way was sought)" if count > 1 else ""
        yield f"- on `{commit}`: {words}{again}"


def _mutants(results: Sequence[Result]) -> Iterator[str]:
    for one in results:
        if "mutants" in one.figures:
            yield ""
            yield from (
                f"- {name}: {f'`{by}`' if by else 'no test notices'}"
                for name, by in one.figures["mutants"].items()
            )
