"""Named blocks of SQL: every statement of its own lives in a file of `unghost/sql`.

A block starts at `-- name: NAME`, goes on with a comment that says why it exists, and ends where
the next one starts. `{placeholders}` are filled with `psycopg.sql`, never by pasting text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from psycopg import sql

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def load(file_stem: str) -> Mapping[str, str]:
    """All blocks of `unghost/sql/<file_stem>.sql` by name, each with its leading comment."""
    text = files("unghost.sql").joinpath(f"{file_stem}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return dict(zip(parts[::2], (body.strip() for body in parts[1::2]), strict=True))


def block(file_stem: str, name: str) -> str:
    """One block as it stands in the file. Raises KeyError where there is none of that name."""
    return load(file_stem)[name]


def composed(file_stem: str, name: str, **parts: sql.Composable) -> sql.Composed:
    """One block with its `{placeholders}` filled: identifiers and fragments, never values."""
    return sql.SQL(block(file_stem, name)).format(**parts)


@cache
def of_whole_audit(file_stem: str, name: str) -> sql.Composed:
    """One block that reads the audit with all of the evidence, also what rows share."""
    return composed(file_stem, name, whole_audit=sql.SQL(block("books", "whole_audit")))
