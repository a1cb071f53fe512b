"""How the text of a setting becomes a value. What is not understood is refused, never guessed.

Every parser raises ValueError with what is allowed, as the end of the sentence
"NAME is 'value': ...".
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_Word = TypeVar("_Word", bound=StrEnum)

CLOSE_ENOUGH = 0.75
"""How alike a misspelt name and a known one must be for the known one to be suggested."""

LARGEST_FILE_BYTES = 64 * 1024 * 1024
"""A hundred thousand profiles take a third of it; a device has no end at all."""


def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """The known name that `name` is most likely meant to be."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=CLOSE_ENOUGH)
    return by_folded[found[0]] if found else None


def suggestion(name: str, known: tuple[str, ...]) -> str:
    """What to say after an unknown name: the nearest one, else all there are."""
    match = nearest(name, known)
    return f"did you mean {match}?" if match else f"known are {', '.join(known)}"


def switch(value: object) -> bool:
    """Read a boolean."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _SWITCH:
        raise ValueError("give true or false (1, 0, yes and no are understood too)")
    return _SWITCH[word]


def amount(value: object) -> Decimal:
    """Read a number that is neither negative nor infinite; never through float."""
    if isinstance(value, Decimal):
        return value
    text = str(value).strip()
    if not _NUMBER.fullmatch(text) or text.startswith("-"):
        raise ValueError("give a finite number that is not negative, with a decimal point")
    return Decimal(text)


def base_units(value: object, *, at_most: Decimal) -> Decimal:
    """Read a quantity of base units. A large one is an amount of money written by mistake."""
    quantity = amount(value)
    if quantity > at_most:
        raise ValueError(
            f"give base units from 0 to {at_most}, not an amount of money: more would close whole"
            " positions without a fill (where an asset is cheap, the fraction is the way)"
        )
    return quantity


def fraction(value: object, *, at_most: Decimal) -> Decimal:
    """Read a share of one. A large one is a percentage written by mistake."""
    share = amount(value)
    if share > at_most:
        raise ValueError(
            f"give a fraction from 0 to {at_most}; it is not a percentage: 0.002 stands for 0.2 %"
        )
    return share


def whole(low: int, high: int, unit: str) -> Callable[[object], int]:
    """Make the parser of a whole number within limits."""

    def parse(value: object) -> int:
        text = str(value).strip()
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"give a whole number of {unit} from {low} to {high}")
        return int(text)

    return parse


def one_of(words: type[_Word]) -> Callable[[object], _Word]:
    """Make the parser of a word out of a few."""

    def parse(value: object) -> _Word:
        try:
            return words(str(value).strip().lower())
        except ValueError:
            raise ValueError(f"give one of {', '.join(words)}") from None

    return parse


MINUTE, HOUR = 60, 3600


def beat(value: object) -> int:
    """Read how many seconds lie between two beats of a clock: a whole part of a minute or hour."""
    seconds = whole(1, HOUR, "seconds")(value)
    fits = MINUTE % seconds == 0 if seconds < MINUTE else _fits_an_hour(seconds)
    if not fits:
        raise ValueError("give seconds that divide a minute, or minutes that divide an hour")
    return seconds


def _fits_an_hour(seconds: int) -> bool:
    return seconds % MINUTE == 0 and HOUR % seconds == 0


def address(value: object) -> str:
    """Read HOST:PORT; an IPv6 address in brackets."""
    text = str(value).strip()
    parts = _split(f"//{text}")
    if (
        not _is_plain(text)
        or parts is None
        or not parts.hostname
        or parts.port is None
        or parts.netloc != text
    ):
        raise ValueError("give a host and a port, as in 127.0.0.1:8787")
    return text


def http_url(value: object) -> str:
    """Read a web address without credentials in it: it is shown to people and written down."""
    text = str(value).strip()
    parts = _split(text)
    if (
        not _is_plain(text)
        or parts is None
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
    ):
        raise ValueError("give an address that starts with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("give an address without a user name and password in it")
    return text


def http_origin(value: object) -> str:
    """Read scheme, host and port of a server, nothing more."""
    text = http_url(value)
    parts = urlsplit(text)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("give scheme, host and port only, as in https://127.0.0.1:9001")
    return f"{parts.scheme}://{parts.netloc}"


def _is_plain(text: str) -> bool:
    """Whether an address is written as addresses are: other letters are percent-encoded there."""
    return text.isascii() and text.isprintable() and " " not in text


def _split(text: str) -> SplitResult | None:
    """The parts of an address, None where it is none (a port that is no number raises late)."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def text_of_file(path: Path) -> str:
    """A file that people write, in UTF-8. Raises OSError (too large, too) or UnicodeDecodeError."""
    with path.open("rb") as file:
        held = file.read(LARGEST_FILE_BYTES + 1)
    if len(held) > LARGEST_FILE_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST_FILE_BYTES >> 20} MiB")
    return held.decode("utf-8")
