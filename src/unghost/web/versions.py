"""What a page or an answer showed, as a short text that comes back; and what moved since. Pure.

An action is done only where the parts that it rests on are still what was seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from unghost.model import PauseReading, PauseState

_LINES: Final = {
    "pause": "Trading was {then}, and is {now}.",
    "status": "The batch was {then}, and is {now}.",
    "apply": "The newest apply of the profile was {then}, and is {now}.",
    "undone": "{then} of the batch's rows were rolled back, and now {now} are.",
}


def version(**parts: object) -> str:
    """The parts in one text: `apply=none;pause=PAUSED`."""
    return ";".join(f"{name}={_shown(part)}" for name, part in sorted(parts.items()))


def etag(text: str) -> str:
    """A version as an entity tag, which holds no spaces."""
    return f'"{text.replace(" ", "_")}"'


def pause_words(pause: PauseReading) -> str:
    """The trading status with its time, so that paused, resumed and paused again has moved."""
    if pause.state is PauseState.UNKNOWN or pause.since is None:
        return str(pause.state)
    return f"{pause.state} since {pause.since:%Y-%m-%d %H:%M:%S.%f}"


def _shown(part: object) -> str:
    return str(part).replace(";", ",").replace("=", ":") or "none"


def moved(seen: str, now: str, names: Collection[str]) -> tuple[str, ...]:
    """One sentence for each part of these names that differs; empty where nothing moved."""
    then_parts, now_parts = _parts(seen), _parts(now)
    return tuple(
        _LINES[name].format(then=then_parts.get(name, "not shown"), now=now_parts.get(name))
        for name in names
        if then_parts.get(name) != now_parts.get(name)
    )


def _parts(text: str) -> Mapping[str, str]:
    pairs = (one.partition("=") for one in text.strip('"').replace("_", " ").split(";"))
    return {name: part for name, _, part in pairs}
