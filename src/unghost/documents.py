"""What `--json` prints: nouns as plain JSON. Decimals are strings, times ISO 8601 in UTC."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

from unghost.model import Lifecycle, Ruling

JsonValue = bool | int | str | list["JsonValue"] | dict[str, "JsonValue"] | None

_LEFT_OUT = {Lifecycle: frozenset({"rows"}), Ruling: frozenset({"evidence"})}
"""Long, and told by `unghost explain` and `unghost audit`."""


def document_text(value: object) -> str:
    """One JSON document, indented for people who look at it."""
    return json.dumps(as_json(value), indent=2, ensure_ascii=False)


def as_json(value: object) -> JsonValue:
    """Turn nouns into JSON values, as deep as they go."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return _listed(value)
    if dataclasses.is_dataclass(value):
        return _fields(value)
    return _word(value)


def _word(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return utc_text(value) if isinstance(value, datetime) else str(value)


def _listed(values: Iterable[object]) -> list[JsonValue]:
    ordered = sorted(values, key=str) if isinstance(values, AbstractSet) else values
    return [as_json(item) for item in ordered]


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC: `2026-02-01T12:34:56.789000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _fields(value: object) -> dict[str, JsonValue]:
    left_out = _LEFT_OUT.get(cast("type[Lifecycle]", type(value)), frozenset())
    names = [field.name for field in dataclasses.fields(cast("Lifecycle", value))]
    return {name: as_json(getattr(value, name)) for name in names if name not in left_out}
