"""How a noun is made quickly, where a cycle makes very many of them. Pure.

A frozen dataclass sets each of its own fields through the guard that keeps all others from setting
them, which takes longer than everything else about it. A maker sets the fields while the noun is
still open: it fills an instance of a subclass without the guard, and as its last step makes it one
of the noun's own class. What it hands out is the same as what the class makes, and as frozen. That
the layouts agree is checked by the interpreter itself, whenever the class is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, ParamSpec, TypeVar

__all__ = ["maker"]

P = ParamSpec("P")
T = TypeVar("T")

_OPEN = {
    "__slots__": (),
    "__init__": object.__init__,
    "__setattr__": object.__setattr__,
    "__delattr__": object.__delattr__,
}
"""What the subclass has of its own: it is made empty, and both guards are taken off, or the
interpreter keeps to the slow way of setting either.
"""


def maker(noun: Callable[P, T]) -> Callable[P, T]:
    """A function that takes what the noun's class takes, and makes what it makes.

    Raises TypeError for what is no dataclass with slots whose fields are all given, or reckoned by
    `__post_init__`.
    """
    if not isinstance(noun, type) or not is_dataclass(noun) or not _is_plain(noun):
        message = f"{noun} is no dataclass of slots that are all given: make it by its class"
        raise TypeError(message)
    names: dict[str, Any] = {
        "noun": noun,
        "opened": type(noun.__name__, (noun,), dict(_OPEN)),
        "MISSING": MISSING,
    }
    for one in fields(noun):
        names[f"default_{one.name}"] = one.default
        names[f"factory_{one.name}"] = one.default_factory
    exec(_text(noun), names)  # noqa: S102 - from names of fields, as dataclasses does it
    made: Callable[P, T] = names["make"]
    return made


def _is_plain(noun: type) -> bool:
    reckoned = [one for one in fields(noun) if not one.init]
    told = all(one.default is one.default_factory is MISSING for one in reckoned)
    return "__slots__" in vars(noun) and told


def _text(noun: type) -> str:
    parts = [one for one in fields(noun) if one.init]
    placed = [_parameter(one) for one in parts if not one.kw_only]
    named = [_parameter(one) for one in parts if one.kw_only]
    lines = [
        f"def make({', '.join([*placed, *(['*'] if named else []), *named])}):",
        "made = opened()",
        *(f"made.{one.name} = {_value(one)}" for one in parts),
        "made.__class__ = noun",
        *(["made.__post_init__()"] if hasattr(noun, "__post_init__") else []),
        "return made",
    ]
    return "\n    ".join(lines)


def _parameter(one: Field[Any]) -> str:
    if one.default is not MISSING:
        return f"{one.name}=default_{one.name}"
    return one.name if one.default_factory is MISSING else f"{one.name}=MISSING"


def _value(one: Field[Any]) -> str:
    if one.default_factory is MISSING:
        return one.name
    return f"factory_{one.name}() if {one.name} is MISSING else {one.name}"
