"""What a page showed, as a short text that its forms send back; and what moved since. Pure.

A form acts only where the parts that it rests on are still what the page showed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LINES: Final = {
    "pause": "Trading was {then}, and is {now}.",
    "status": "The batch was {then}, and is {now}.",
    "apply": "The newest apply of the profile was {then}, and is {now}.",
    "undone": "{then} of the batch's rows were rolled back, and now {now} are.",
}


def version(**parts: object) -> str:
    """The parts in one text: `pause=PAUSED;apply=none`."""
    return ";".join(f"{name}={_shown(part)}" for name, part in sorted(parts.items()))


def _shown(part: object) -> str:
    return str(part).replace(";", ",").replace("=", ":") or "none"


def moved(seen: str, now: str) -> tuple[str, ...]:
    """One sentence for each part that differs; empty where nothing moved."""
    then_parts, now_parts = _parts(seen), _parts(now)
    return tuple(
        _sentence(name, then_parts.get(name, "not shown"), part)
        for name, part in now_parts.items()
        if then_parts.get(name) != part
    )


def _parts(text: str) -> Mapping[str, str]:
    pairs = (one.partition("=") for one in text.split(";"))
    return {name: part for name, _, part in pairs}


def _sentence(name: str, then: str, now: str) -> str:
    return _LINES.get(name, name + " was {then}, and is {now}.").format(then=then, now=now)
