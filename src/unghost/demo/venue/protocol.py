"""What passes between the HTTP server and a face: a call in, an answer out, no sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, TypeAlias
from urllib.parse import parse_qsl

from unghost.demo.world import World

Json: TypeAlias = "bool | int | str | Decimal | list[Json] | dict[str, Json] | None"
Row: TypeAlias = "dict[str, Json]"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as it arrived. `now_ms` is the venue's clock for this request."""

    method: str
    path: str
    query: str
    body: str
    headers: Mapping[str, str]
    now_ms: int

    @property
    def signed_text(self) -> str:
        """Query and body in the order in which they are signed, as sent."""
        return self.query + self.body

    @property
    def params(self) -> dict[str, str]:
        """The decoded parameters of query and body, the signature among them.

        The body is a form, or a JSON object, of which the values that are texts or numbers count.
        """
        return dict(parse_qsl(self.query)) | _of_body(self.body)


def _of_body(body: str) -> dict[str, str]:
    if not body.startswith("{"):
        return dict(parse_qsl(body))
    told = json.loads(body)
    return {name: str(value) for name, value in told.items() if isinstance(value, str | int)}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One response. `raw` is sent instead of `body` where a fault put something there."""

    status: int = 200
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    raw: bytes | None = None

    def content(self) -> bytes:
        """The bytes to send."""
        return encode(self.body).encode() if self.raw is None else self.raw


@dataclass(frozen=True, kw_only=True)
class Excess:
    """A rate limit that was passed: weight used and allowed, and when it is lifted."""

    used: int
    limit: int
    seconds_left: int

    @property
    def is_stubborn(self) -> bool:
        """Whether the client kept on, to twice what it may."""
        return self.used > 2 * self.limit


class Face(Protocol):
    """One exchange's REST protocol, put on a world."""

    @property
    def name(self) -> str:
        """The CCXT id of the exchange."""

    def owns(self, path: str) -> bool:
        """Whether a path belongs to this exchange."""

    def weight(self, call: Call) -> int:
        """What the call costs against the rate limit."""

    def meter_headers(self, used: int) -> Mapping[str, str]:
        """How the exchange tells the weight used in this minute."""

    def too_many(self, call: Call, excess: Excess) -> Answer:
        """What the exchange says beyond its rate limit."""

    def answer(self, world: World, call: Call) -> Answer:
        """The exchange's answer to a call."""

    def rows(self, body: Json) -> list[Json] | None:
        """The list inside an answer that its rows are in, itself and no copy; None without."""


def encode(value: Json) -> str:
    """JSON text. A Decimal becomes a JSON number without passing through a float."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return "[" + ",".join(encode(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{encode(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)
