"""Values of Python as JSON that PostgreSQL can hold: decimals as strings, times as ISO 8601."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Final

__all__ = ["clean", "json_text"]


def json_text(value: object) -> str:
    """The quick way for what JSON and PostgreSQL can hold as it is, else the thorough one."""
    try:
        text = _QUICK.encode(value)
    except (TypeError, ValueError):
        return _thorough_json(value)
    return _thorough_json(value) if "\\u0000" in text or "\\ud" in text else text


def _thorough_json(value: object) -> str:
    return json.dumps(_ready(value), allow_nan=False)


def _plain(value: object) -> object:
    """What the encoder does not know by itself, one level deep."""
    if isinstance(value, Decimal):
        return str(value)
    return _ready(value)


_QUICK: Final = json.JSONEncoder(allow_nan=False, default=_plain)
"""Made once: `json.dumps` would make one for each value."""


def _ready(value: object) -> object:
    """What JSON can hold: numbers that must be exact travel as strings."""
    if isinstance(value, Enum):
        return _ready(value.value)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    return _ready_container(value)


def _ready_container(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return _ready(asdict(value))
    if isinstance(value, Mapping):
        return {clean(str(name)): _ready(part) for name, part in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((_ready(part) for part in value), key=str)
    if isinstance(value, Collection) and not isinstance(value, (bytes, bytearray)):
        return [_ready(part) for part in value]
    return clean(str(value))


def clean(text: str) -> str:
    """PostgreSQL stores neither NUL nor half a surrogate pair; both may come from an exchange."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
