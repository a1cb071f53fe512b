"""What the faces of this folder share: a call that is answered from a table, or refused.

A face turns the truth of a simulated world into the HTTP bodies of one exchange, written after its
documentation. Signatures are not checked here: it is the reading that is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

from unghost.demo.venue.protocol import Answer, Call, Excess, Json
from unghost.demo.world import DEFAULT_MARKETS, Account, Listing, Market, World

Row = dict[str, Json]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call, the world it asks, and the account whose key came with it (None: public)."""

    world: World
    params: Mapping[str, str]
    now_ms: int
    caller: Account | None

    @property
    def account(self) -> Account:
        """The caller of a private question; KeyError for a stranger."""
        if self.caller is None:
            raise KeyError("no account has this key")
        return self.caller

    def number(self, name: str, otherwise: int) -> int:
        """A whole number among the parameters."""
        return int(self.params.get(name, otherwise))


class TableFace:
    """A face that is a table of paths."""

    name: ClassVar[str]
    prefix: ClassVar[str]
    key_header: ClassVar[str]

    def owns(self, path: str) -> bool:
        return path.startswith(self.prefix)

    def weight(self, _: Call) -> int:
        return 1

    def meter_headers(self, _: int) -> Mapping[str, str]:
        return {}

    def too_many(self, _: Call, excess: Excess) -> Answer:
        return Answer(status=429, body={}, headers={"Retry-After": str(excess.seconds_left)})

    def answer(self, world: World, call: Call) -> Answer:
        make = self.table().get(call.path.removeprefix(self.prefix))
        caller = world.account_of_key(call.headers.get(self.key_header, ""))
        if make is None:
            return Answer(status=404, body={"error": f"no such path: {call.path}"})
        asked = Asked(world=world, params=call.params, now_ms=call.now_ms, caller=caller)
        try:
            return Answer(body=make(asked))
        except KeyError as error:
            return Answer(status=401, body=self.stranger(str(error)))

    def table(self) -> Mapping[str, Callable[[Asked], Json]]:
        raise NotImplementedError

    def stranger(self, why: str) -> Json:
        return {"error": why}


def listed_at(venue: str, spell: Callable[[Market], Listing], **changes: str) -> tuple[Market, ...]:
    """The usual markets as a venue lists them; `quote` and `settle` may be other than USDT."""
    quote = changes.get("quote", "USDT")
    return tuple(
        replace(
            market,
            symbol=f"{market.base}/{quote}:{quote}",
            quote=quote,
            listings=(replace(spell(market), venue=venue),),
        )
        for market in DEFAULT_MARKETS
    )


def size_of(market: Market) -> Decimal:
    """Base units in a contract of the market's only listing."""
    return market.listings[0].contract_size
