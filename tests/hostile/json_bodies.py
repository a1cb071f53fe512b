"""JSON that was right, and then was not: edits of a good body, and bodies that never were any.

An edit names its place by a number, so that one and the same edit can be made to any body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st

Path = tuple[str | int, ...]

ODD_TEXTS: Final = (
    "",
    " ",
    "0",
    "-0",
    "0.0",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1",
    "0e-999999",
    "0E+999999999",
    "1e999999999",
    "1E-999999999",
    "1." + "123456789" * 4,
    "0." + "0" * 60 + "1",
    "1e-31",
    "9" * 40,
    "9" * 5000,
    "1_000",
    "١٢",
    "0x10",
    "\uff11",
    "null",
    "true",
    "\u0000",
    "\u202e\u200b\ufeff",
    "\ud800",
    "e\u0301" * 20,
    "\U0001f600",
    "'; DROP TABLE orders; --",
    "<script>alert(1)</script>",
    "x" * 10_000,
)
ODD_NUMBERS: Final = (0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63), 10**31, 10**400, True, False)
EMPTIES: Final = (None, [], {}, [None], [[]], [{}], {"": None})

SCALARS: Final = st.one_of(
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(EMPTIES),
    st.integers(),
    st.text(max_size=20),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.floats().map(lambda number: {"__float__": repr(number)}),
)
"""What may come in the place of a value. A float is written as the JSON that Python would write."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change at the `place`-th node of a body, counted around."""

    what: str
    place: int
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Edited:
    """A good body with a few changes."""

    edits: tuple[Edit, ...]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The first part of a good body, in thousandths."""

    thousandths: int


@dataclass(frozen=True, kw_only=True)
class Instead:
    """Something else in the place of the body."""

    content: bytes


Spoiling = Edited | Cut | Instead

WHATS: Final = ("set", "drop", "twice", "rename", "wrap", "twin key")
EDITS: Final = st.builds(
    Edit, what=st.sampled_from(WHATS), place=st.integers(0, 10_000), value=SCALARS
)
OTHERS: Final = st.one_of(
    st.sampled_from(
        (
            b"",
            b" ",
            b"null",
            b"[]",
            b"{}",
            b"0",
            b'""',
            b"true",
            b"[NaN]",
            b"<html><body>502 Bad Gateway</body></html>",
            b"{" * 5000,
            b"[" * 100_000,
            b'[{"a":' * 3000,
            b"\xff\xfe\x00",
            b"\xef\xbb\xbf[]",
            b'{"code": 0, "msg": "ok", "data": null}',
            b'{"retCode": 0, "result": {"list": "none"}}',
        )
    ),
    st.binary(max_size=64),
)
SPOILINGS: Final = st.one_of(
    st.builds(Edited, edits=st.lists(EDITS, min_size=1, max_size=3).map(tuple)),
    st.builds(Cut, thousandths=st.integers(0, 999)),
    st.builds(Instead, content=OTHERS),
)


def spoiled(good: bytes, how: Spoiling) -> bytes:
    """The body that is sent instead of a good one."""
    match how:
        case Instead(content=content):
            return content
        case Cut(thousandths=thousandths):
            return good[: len(good) * thousandths // 1000]
        case Edited(edits=edits):
            body = json.loads(good, parse_float=_kept_float)
            for edit in edits:
                body = _edited(body, replace(edit, value=deepcopy(edit.value)))
            return written(body).encode("utf-8", "surrogatepass")


def read(content: bytes) -> Any:
    """The body as a strict reader has it: numbers exact. None for what is no JSON container."""
    try:
        found = json.loads(content, parse_float=str, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def paths(body: Any, above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every node with the way to it, the body itself first."""
    yield above, body
    inner = body.items() if isinstance(body, dict) else enumerate(body)
    for key, value in inner:
        if isinstance(value, dict | list) and not is_float(value):
            yield from paths(value, (*above, key))
        else:
            yield (*above, key), value


def at(body: Any, path: Path) -> Any:
    """What is at the end of the way. LookupError or TypeError where it leads nowhere."""
    for step in path:
        body = body[step]
    return body


def is_float(value: Any) -> bool:
    """Whether a node stands for a JSON number with a fraction."""
    return isinstance(value, dict) and set(value) == {"__float__"}


def written(value: Any) -> str:
    """JSON text; a Twins node becomes two members of one name."""
    if is_float(value):
        return str(value["__float__"])
    match value:
        case Twins():
            key = json.dumps(value.key)
            return f"{key}:{written(value.first)},{key}:{written(value.second)}"
        case dict():
            members = (
                written(inner)
                if isinstance(inner, Twins)
                else f"{json.dumps(key)}:{written(inner)}"
                for key, inner in value.items()
            )
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


@dataclass(frozen=True, kw_only=True)
class Twins:
    """One member of an object told twice."""

    key: str
    first: Any
    second: Any


def _kept_float(text: str) -> dict[str, str]:
    return {"__float__": text}


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name is told twice")
    return dict(pairs)


def _edited(body: Any, edit: Edit) -> Any:
    ways = [path for path, _ in paths(body)] if isinstance(body, dict | list) else [()]
    path = ways[edit.place % len(ways)]
    if not path:
        return edit.value if edit.what in {"set", "drop"} else [body]
    holder, key = at(body, path[:-1]), path[-1]
    if isinstance(holder, list):
        _edit_list(holder, int(key), edit)
    elif isinstance(holder, dict):
        _edit_object(holder, str(key), edit)
    return body


def _edit_list(rows: list[Any], number: int, edit: Edit) -> None:
    match edit.what:
        case "drop":
            del rows[number]
        case "twice" | "twin key":
            rows.insert(number, deepcopy(rows[number]))
        case "wrap" | "rename":
            rows[number] = [rows[number]]
        case _:
            rows[number] = edit.value


def _edit_object(members: dict[str, Any], key: str, edit: Edit) -> None:
    held = members[key]
    match edit.what:
        case "drop":
            del members[key]
        case "rename":
            del members[key]
            members[f"{key}_"] = held
        case "wrap":
            members[key] = [held]
        case "twin key" if not isinstance(held, Twins):
            members[key] = Twins(key=key, first=held, second=edit.value)
        case "twice" if isinstance(held, str):
            members[key] = held * 2
        case _:
            members[key] = edit.value
