"""What an examination of the connection found; shown by `unghost doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a finding bears on the work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fact: its name, how it bears, what was seen, and what a person can do about it."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""
