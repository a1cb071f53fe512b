"""What stops a run: one tree, so that the edge can map each branch to one exit code.

The docstring of a class is its default message. A failed question to the exchange is *not* here:
it is a value (an UNKNOWN reading) in the evidence, because doubt must never look like an exception
that somebody could swallow.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BatchNotFoundError",
    "CommitOutcomeUnknownError",
    "ConfigurationError",
    "DatabaseError",
    "EnvironmentFailure",
    "ExchangeError",
    "LedgerSchemaError",
    "PlanError",
    "RefusedError",
    "UnghostError",
    "UsageError",
    "quoted",
]

LONGEST_QUOTE: Final = 80
"""Characters; a person who wrote more recognises it by its beginning."""


def quoted(value: object) -> str:
    """A foreign value within a sentence: as Python writes it, cut where it is long."""
    text = str(value)
    rest = len(text) - LONGEST_QUOTE
    return repr(text) if rest <= 0 else f"{text[:LONGEST_QUOTE]!r} and {rest} characters more"


class UnghostError(Exception):
    """Something stopped the run."""

    exit_code = 70

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(UnghostError):
    """The command was called with something that does not exist or does not fit."""

    exit_code = 2


class BatchNotFoundError(UsageError):
    """No such batch."""


class EnvironmentFailure(UnghostError):
    """The surroundings of unghost do not work."""

    exit_code = 3


class ConfigurationError(EnvironmentFailure):
    """A setting has a value that cannot be used."""


class DatabaseError(EnvironmentFailure):
    """The database cannot be reached or refuses what unghost needs."""


class CommitOutcomeUnknownError(DatabaseError):
    """The connection was lost during COMMIT: whether it took effect must be read back."""


class LedgerSchemaError(DatabaseError):
    """The orders table lacks something that unghost cannot do without."""


class ExchangeError(EnvironmentFailure):
    """The exchange cannot be read."""


class RefusedError(UnghostError):
    """The state of the world does not allow what was asked."""

    exit_code = 4


class PlanError(RefusedError):
    """The plan cannot be applied."""
