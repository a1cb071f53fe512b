"""Why a question to the exchange has no answer.

Inside this package a failed read is an exception, so that a half-read page can never be taken for
a whole one. At the edge (`ExchangeAccount`) it becomes a value: an UNKNOWN or incomplete reading.
"""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """What a failure means for trying again; the table is in `retrying`."""

    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    BAD_RESPONSE = "bad_response"
    CONNECTION = "connection"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    SKEW = "skew"
    REFUSED = "refused"


class ReadFailed(Exception):
    """One read that did not succeed. `reason` is fit for people: short, and without secrets.

    `status` is the HTTP status where there was one, `retry_after_seconds` what the exchange asked
    for. `sentence` names what was asked once the caller has said so (see `about`).
    """

    def __init__(
        self,
        kind: FailureKind,
        reason: str,
        *,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        sentence: str = "",
    ) -> None:
        super().__init__(sentence or reason)
        self.kind = kind
        self.reason = reason
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.sentence = sentence or reason
        self._is_about_something = bool(sentence)

    def about(self, question: str, attempts: int = 1) -> ReadFailed:
        """The same failure with a sentence that names the question and the attempts made.

        A failure that names its question already stays as it is.
        """
        if self._is_about_something:
            return self
        tried = f" ({attempts} attempts)" if attempts > 1 else ""
        return ReadFailed(
            self.kind,
            self.reason,
            status=self.status,
            retry_after_seconds=self.retry_after_seconds,
            sentence=f"{question} could not be read: {self.reason}{tried}.",
        )


def malformed(reason: str) -> ReadFailed:
    """An answer that does not have the shape it must have: never to be read as empty."""
    return ReadFailed(FailureKind.BAD_RESPONSE, reason)
