"""The bot's own trading status, asked over HTTP (checklist section 2: it returns `PAUSED`).

Only a clear answer counts. Whatever else happens is UNKNOWN with a sentence, and never raises.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from unghost.model import PauseReading, PauseState

LARGEST_ANSWER_BYTES: Final = 64 * 1024
_CHUNK_BYTES: Final = 4096
_PAUSED: Final = "PAUSED"
_STATUS: Final = "status"
_WORDS: Final = re.compile(rf"\b(?:{PauseState.PAUSED}|{PauseState.RUNNING})\b")
_NO_LETTERS: Final = re.compile("[^a-z]")
_TELLING: Final = frozenset(
    {"status", "state", "states", "mode", "trading", "tradingstatus", "tradingstate"}
)
"""Names of fields, without all that is no letter, that tell of trading."""

_SWITCHES: Final = {
    "paused": (PauseState.PAUSED, PauseState.RUNNING),
    "running": (PauseState.RUNNING, PauseState.PAUSED),
}
_SWITCHED: Final = {"TRUE": True, "FALSE": False}
_HEADERS: Final = {"Accept": "application/json, text/plain", "Cache-Control": "no-cache"}


class _NoAnswerError(Exception):
    """The source gave no answer that could be believed; the message is the end of a sentence."""


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    """An answer from elsewhere is not the bot's."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the redirect itself is the answer, an HTTP status like another."""


class StatusUrlGate:
    """The `status_url` of a profile; a `ports.PauseGate`.

    The whole answer must be there within `timeout_seconds`, in at most 64 KiB. Proxies of the
    environment are not used: the bot is asked directly.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 3) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self.source: Final = shown_url(url)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _RefuseRedirects()
        )

    def read(self, profile_id: str) -> PauseReading:  # noqa: ARG002 - a URL belongs to one profile
        """The status now: PAUSED by its word, UNKNOWN without a good answer, else RUNNING."""
        try:
            return self._reading(*_judged(self._answer()))
        except _NoAnswerError as error:
            said = str(error)
        except urllib.error.HTTPError as error:
            error.close()
            said = f"it answered with HTTP status {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            said = _failure(error)
        return self._reading(
            PauseState.UNKNOWN, f"{self.source} does not tell whether trading is paused: {said}."
        )

    def _reading(self, state: PauseState, detail: str) -> PauseReading:
        return PauseReading(state=state, source=self.source, as_of=datetime.now(UTC), detail=detail)

    def _answer(self) -> bytes:
        deadline = time.monotonic() + self._timeout_seconds
        request = urllib.request.Request(self._url, headers=_HEADERS)  # noqa: S310 - see below
        if request.type not in {"http", "https"}:
            raise _NoAnswerError("its address is not one of the web")
        body = b""
        with self._opener.open(request, timeout=self._timeout_seconds) as response:
            while chunk := response.read1(_CHUNK_BYTES):
                body += chunk
                if len(body) > LARGEST_ANSWER_BYTES:
                    raise _NoAnswerError(f"its answer exceeds {LARGEST_ANSWER_BYTES // 1024} KiB")
                if time.monotonic() > deadline:
                    raise TimeoutError
            if response.length:
                raise _NoAnswerError("its answer was cut short")
        return body


def shown_url(url: str) -> str:
    """An address without what may be secret in it: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        netloc = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        return "the status address"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def _judged(body: bytes) -> tuple[PauseState, str]:
    """What an answer means: `PAUSED`, or JSON {"status": "PAUSED"}; all else is not paused."""
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _NoAnswerError("its answer is not text") from None
    if not text:
        raise _NoAnswerError("its answer is empty")
    if text == _PAUSED or _status_in(text) == _PAUSED:
        return PauseState.PAUSED, "The bot says that it is paused."
    return PauseState.RUNNING, "The bot says that it is not paused."


def _status_in(text: str) -> Any:
    """The status in a JSON object, None in anything else that is well-formed."""
    looks_like_json = text.startswith(("{", "["))
    try:
        answer = json.loads(text, object_pairs_hook=_told_once)
    except (ValueError, RecursionError):
        if looks_like_json:
            raise _NoAnswerError("its answer is broken JSON") from None
        answer = _WORDS.findall(text.upper())
    if len(set(_said_by(answer))) > 1:
        raise _NoAnswerError("its answer says both that it is paused and that it is running")
    return answer.get(_STATUS) if isinstance(answer, dict) else None


def _told_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object, if it tells its status once: of PAUSED and RUNNING the last would be believed."""
    names = Counter(name.strip().lower() for name, _ in pairs)
    if names[_STATUS] > 1:
        raise _NoAnswerError("its answer tells the status more than once")
    return dict(pairs)


def _said_by(answer: Any) -> Iterator[PauseState]:
    """What an answer says of trading: itself, or its fields of such names. What is deeper in it is
    of something else: a database that is running says nothing of the bot.
    """
    fields = answer.items() if isinstance(answer, dict) else [(_STATUS, answer)]
    for name, value in fields:
        key = _NO_LETTERS.sub("", name.lower())
        for one in value if isinstance(value, list) else [value]:
            yield from _said(key, one)


def _said(key: str, value: object) -> Iterator[PauseState]:
    word = str(value).strip().upper() if isinstance(value, str | bool) else ""
    if key in _TELLING and _WORDS.fullmatch(word):
        yield PauseState(word)
    switch = key.removeprefix("is").removeprefix("trading")
    if switch in _SWITCHES and word in _SWITCHED:
        on, off = _SWITCHES[switch]
        yield on if _SWITCHED[word] else off


def _failure(error: Exception) -> str:
    """The cause in a few words; never the address, which an error may quote with its secrets."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "it did not answer in time"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return f"the answer is not HTTP ({type(cause).__name__})"
