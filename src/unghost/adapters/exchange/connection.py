"""How to reach one exchange account, and how to keep its secrets out of every text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Literal, Protocol, get_args
from urllib.parse import quote, urlsplit

from unghost.errors import ConfigurationError

MarketType = Literal["swap", "spot", "margin"]

HIDDEN: Final = "[hidden]"
MAX_TEXT: Final = 240
MIN_SECRET: Final = 4

# Whatever follows the question mark of an address: a signed call carries its signature there.
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_NAMED_SECRET = re.compile(
    r"(?i)\b(signature|sign|(?:x-)?[a-z-]*api[-_]?key|access[-_]?key|api[-_]?secret|secret"
    r"|passphrase|password|token)([\"']?\s*[=:]\s*[\"']?)([^\s&\"',;}]+)"
)


class SecretValue(Protocol):
    """A value that shows itself only when asked, such as pydantic's SecretStr."""

    def get_secret_value(self) -> str:
        """The value."""
        ...


def reveal(secret: str | SecretValue) -> str:
    """The plain text of a secret, needed only where the client is built."""
    return secret if isinstance(secret, str) else secret.get_secret_value()


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionSpec:
    """One exchange account. `exchange` is a CCXT exchange id, `timeout_seconds` is per call.

    `base_url` replaces scheme and host of every call. `account` is the name under which profiles
    share fills. `rate_limit_ms` is between two calls of weight 1; None is CCXT's for the exchange.
    `repr` shows no secret. ConfigurationError where a value cannot be used.
    """

    exchange: str
    market_type: MarketType
    api_key: str | SecretValue = field(repr=False)
    secret: str | SecretValue = field(repr=False)
    password: str | SecretValue = field(default="", repr=False)
    base_url: str | None = None
    timeout_seconds: float = 10.0
    account: str = ""
    rate_limit_ms: int | None = None

    def __post_init__(self) -> None:
        if self.market_type not in get_args(MarketType):
            raise ConfigurationError(f"market must be swap, spot or margin, not {self.market_type}")
        if self.base_url is not None:
            origin_of(self.base_url)

    @property
    def is_loopback(self) -> bool:
        """Whether calls stay on this machine: no proxy may come between then."""
        host = urlsplit(self.base_url or "").hostname
        return host is not None and _is_loopback(host)

    @property
    def is_open_to_read(self) -> bool:
        """Whether whoever is on the way to `base_url` can read the calls, and answer them."""
        scheme = urlsplit(self.base_url or "").scheme
        return scheme == "http" and not self.is_loopback

    @property
    def secrets(self) -> tuple[str, ...]:
        """The plain secrets, for hiding them."""
        return tuple(reveal(each) for each in (self.api_key, self.secret, self.password))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and host (with port) of a URL; ConfigurationError where it has none."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ConfigurationError("base_url must start with http:// or https:// and name a host")
    return parts.scheme, parts.netloc


def moved(urls: Any, base_url: str) -> Any:
    """`urls` (text, or mappings of it to any depth) with the scheme and host of `base_url`.

    Paths stay. A host may hold a placeholder (`api.{hostname}`): it is replaced with the rest.
    """
    if isinstance(urls, Mapping):
        return {name: moved(each, base_url) for name, each in urls.items()}
    if not isinstance(urls, str):
        return urls
    scheme, host = origin_of(base_url)
    return urlsplit(urls)._replace(scheme=scheme, netloc=host).geturl()


def true_origins(urls: Any, base_url: str) -> dict[str, str]:
    """Each moved URL -> where it would have gone; the first of equal ones is kept."""
    if isinstance(urls, str):
        return {moved(urls, base_url): urls}
    found: dict[str, str] = {}
    for each in urls.values() if isinstance(urls, Mapping) else ():
        for here, there in true_origins(each, base_url).items():
            found.setdefault(here, there)
    return found


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` on one line, cut, without secrets, signatures and the queries of addresses."""
    clean = text
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            clean = clean.replace(secret, HIDDEN).replace(quote(secret, safe=""), HIDDEN)
    clean = _NAMED_SECRET.sub(rf"\1\2{HIDDEN}", _QUERY.sub(r"\1", clean))
    clean = " ".join(clean.split())
    return clean if len(clean) <= MAX_TEXT else clean[: MAX_TEXT - 1] + "…"
