"""Takes secrets out of whatever is about to be shown or logged."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
SHORTEST_SECRET: Final = 8
"""A shorter value would be found inside ordinary words and numbers."""

_SECRET_KEYS: Final = re.compile(
    r"password|passwd|secret|token|api_?key|signature|authorization|database_url", re.IGNORECASE
)
_SECRET_PARTS: Final = (
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@?#]*:)[^\s@/]+(?=@)", re.IGNORECASE),
    re.compile(
        r"(?P<keep>\b(?:signature|password|secret|token|api_?key|passphrase)=)[^\s&'\"]+",
        re.IGNORECASE,
    ),
)


def _spellings(secret: str) -> set[str]:
    """As it is, and as addresses, forms and HTTP's credentials spell it."""
    raw = secret.encode("utf-8", "surrogateescape")  # the environment may hold loose bytes
    return {secret, quote(raw, safe=""), quote_plus(raw), b64encode(raw).decode("ascii")}


class Redactor:
    """Knows the secrets of this run and takes them out of whatever is about to be shown."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, secrets: Iterable[str]) -> None:
        """Remember values that must never be shown, in no spelling that a protocol gives them."""
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                self._known |= _spellings(secret)

    def clean(self, text: str) -> str:
        """The text with every known secret, and whatever is shaped like one, masked."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, MASK)
        for part in _SECRET_PARTS:
            text = part.sub(rf"\g<keep>{MASK}", text)
        return text

    def clean_value(self, value: object) -> object:
        """The same for a value as deep as it goes; keys that name a secret lose their value."""
        match value:
            case str():
                return self.clean(value)
            case dict():
                return {key: self._clean_item(str(key), item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.clean_value(item) for item in value]
            case BaseException():
                return self.clean(f"{type(value).__name__}: {value}")
            case _:
                return value

    def _clean_item(self, key: str, value: object) -> object:
        if _SECRET_KEYS.search(key) and not key.endswith("_env"):
            return MASK
        return self.clean_value(value)

    def clean_event(self, event: Mapping[str, object]) -> dict[str, object]:
        """The same for one log event."""
        return {key: self._clean_item(key, value) for key, value in event.items()}


redactor: Final = Redactor()
"""The one of this process: secrets are the process's own, and any line may carry one."""
