"""Recorded answers as an exchange that gives them over HTTP, and as questions to our readers.

The first answer to each question is the recorded body, byte for byte JSON; what follows is the same
body without its rows, as the page behind the last one would be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from unghost.demo.venue.protocol import Answer, Call, Json
from unghost.demo.world import World

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "ccxt"
METHODS = ("fetchMyTrades", "fetchPositions", "fetchBalance")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One recorded answer: the raw body, and what CCXT made of it when it was recorded."""

    exchange: str
    method: str
    number: int
    description: str
    asked: tuple[Any, ...]
    body: Any
    parsed: Any

    def __str__(self) -> str:
        return f"{self.exchange}-{self.method}-{self.number}"

    @property
    def listing(self) -> Mapping[str, Any]:
        """The exchange's markets as recorded, and those of the answer that are not among them."""
        known = markets_of(self.exchange)
        strangers = (symbol for symbol in self.symbols if symbol not in known)
        made = {symbol: _like_another(symbol, known) for symbol in strangers}
        return {**known, **{symbol: market for symbol, market in made.items() if market}}

    @property
    def params(self) -> Mapping[str, Any]:
        """The extra parameters of the recorded question."""
        return next((each for each in self.asked if isinstance(each, dict)), {})

    @property
    def symbols(self) -> tuple[str, ...]:
        """The markets that the answer is about: those asked for, and those told of."""
        rows = self.parsed if isinstance(self.parsed, list) else []
        told = [row["symbol"] for row in rows if row.get("symbol")]
        first = self.asked[0] if self.asked else None
        named = [first] if isinstance(first, str) else first if isinstance(first, list) else []
        return tuple(dict.fromkeys([*named, *told]))


def recorded(method: str) -> list[Recorded]:
    """Every recorded answer of a method, of every exchange in the folder."""
    return [each for path in sorted(FOLDER.glob("response/*.json")) for each in _of(path, method)]


def _of(path: Path, method: str) -> Iterator[Recorded]:
    text = path.read_text(encoding="utf-8")
    raw, exact = json.loads(text), json.loads(text, parse_float=Decimal)
    for number, case in enumerate(exact["methods"].get(method, ())):
        yield Recorded(
            exchange=raw["exchange"],
            method=method,
            number=number,
            description=case["description"],
            asked=tuple(case["input"]),
            body=raw["methods"][method][number]["httpResponse"],
            parsed=case["parsedResponse"],
        )


@cache
def markets_of(exchange: str) -> Mapping[str, Any]:
    """Numbers with a fraction as text, as the client itself reads them."""
    path = FOLDER / "markets" / f"{exchange}.json"
    if not path.is_file():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8"), parse_float=str))


def _like_another(symbol: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A market that the recording left out, made after one that differs in the base only."""
    base, _, rest = symbol.partition("/")
    for name, market in known.items():
        if name.partition("/")[2] == rest and str(market["baseId"]) in str(market["id"]):
            native_id = market["id"].replace(market["baseId"], base, 1)
            return {**market, "symbol": symbol, "id": native_id, "base": base, "baseId": base}
    return None


class KeptMarkets:
    """A cache of markets that holds the recorded ones, so that none is asked for."""

    def __init__(self, listing: Mapping[str, Any]) -> None:
        self._listing = listing

    def load(self, _: str) -> Mapping[str, Any]:
        return self._listing

    def store(self, _: str, listing: Mapping[str, Any]) -> None:
        del listing


class RecordedFace:
    """Answers every path with the one body that it was given."""

    name = "recorded"

    def __init__(self) -> None:
        self.body: Json = {}
        self._asked: set[str] = set()

    def give(self, body: Json) -> None:
        """Answer with `body` from now on."""
        self.body = body
        self._asked.clear()

    def owns(self, _: str) -> bool:
        return True

    def weight(self, _: Call) -> int:
        return 1

    def meter_headers(self, _: int) -> Mapping[str, str]:
        return {}

    def answer(self, _: World, call: Call) -> Answer:
        if '"userRole"' in call.body:
            # A question of ours that nobody has recorded; it is about the account, not the answer.
            return Answer(body={"role": "user"})
        again = call.path in self._asked
        self._asked.add(call.path)
        body = rest_of(self.body, call.params) if again else self.body
        return Answer(raw=json.dumps(body).encode())

    def too_many(self, call: Call, excess: Any) -> Answer:
        raise NotImplementedError

    def rows(self, _: Json) -> list[Json] | None:
        return None


def rest_of(body: Any, params: Mapping[str, str]) -> Json:
    """What the page behind the last one holds: nothing, save where pages overlap by time."""
    if "startTime" in params and isinstance(body, list):
        return [row for row in body if int(row["time"]) >= int(params["startTime"])]
    if "lastFillTime" in params:
        before = params["lastFillTime"]
        return {**body, "fills": [row for row in body["fills"] if row["fillTime"] < before]}
    return without_rows(body)


def without_rows(body: Json, name: str = "") -> Json:
    """The body with every list of objects empty and every cursor gone."""
    if isinstance(body, list):
        return [] if all(isinstance(each, dict) for each in body) else body
    if isinstance(body, dict):
        return {key: without_rows(each, key) for key, each in body.items()}
    return "" if "cursor" in name.lower() else body


def at(ms: int) -> datetime:
    """The moment of a recorded time."""
    return datetime.fromtimestamp(ms // 1000, tz=UTC)
