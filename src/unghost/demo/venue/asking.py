"""What every face does alike with a call: who sent it, what it asks for, which endpoint answers.

How a call is signed, and the codes and words of a refusal, are each exchange's own.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Generic, TypeVar

from unghost.demo.venue.protocol import Call, Json
from unghost.demo.world import Account, Fill, FillKind, Market, Order, Position, PositionSide, World

DAY_MS: Final = 24 * 3600 * 1000
WEEK_MS: Final = 7 * DAY_MS


class RefusalError(Exception):
    """The exchange's own error: HTTP status, code and message. The face puts it into an answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Asked(ABC):
    """A call that passed the door of `venue`: the world it asks, and who asks (None: public)."""

    venue: str
    world: World
    params: Mapping[str, str]
    now_ms: int
    caller: Account | None

    @abstractmethod
    def no_caller(self) -> RefusalError:
        """What is said where a signed endpoint does not know who asks."""

    @abstractmethod
    def no_number(self, name: str) -> RefusalError:
        """What is said of a parameter that is no whole number."""

    @abstractmethod
    def no_market(self) -> RefusalError:
        """What is said of a market that the venue does not trade."""

    @property
    def account(self) -> Account:
        """The caller of a signed endpoint."""
        if self.caller is None:
            raise self.no_caller()
        return self.caller

    def text(self, name: str) -> str | None:
        """A parameter as sent; an empty one counts as absent."""
        return self.params.get(name) or None

    def number(self, name: str) -> int | None:
        """A parameter that is a whole number."""
        text = self.text(name)
        if text is None:
            return None
        if not is_whole(text):
            raise self.no_number(name)
        return int(text)

    def named(self, native_id: str) -> Market:
        """The market that the venue calls so."""
        for market in self.world.listed(self.venue):
            if market.listing(self.venue).native_id == native_id:
                return market
        raise self.no_market()

    def held(self) -> Mapping[tuple[str, PositionSide], Position]:
        """What the caller holds, by unified symbol and leg."""
        found = self.world.positions(self.account)
        return {(position.symbol, position.position_side): position for position in found}

    def assets(self) -> list[str]:
        """The names of everything that the venue trades, or trades against."""
        markets = self.world.listed(self.venue)
        return sorted({each.base for each in markets} | {each.quote for each in markets})


A = TypeVar("A", bound=Asked)


@dataclass(frozen=True, kw_only=True)
class Endpoint(Generic[A]):
    """One path: who answers it, whether it is signed, and its request weight."""

    answer: Callable[[A], Json]
    signed: bool = True
    weight: int = 1
    weight_of_all: int | None = None


def is_whole(text: str) -> bool:
    """Whether a text is digits and nothing else."""
    return text.isascii() and text.isdigit()


def digest(secret: str, text: str) -> bytes:
    """The HMAC-SHA256 by which all of these exchanges know a caller; they spell it differently."""
    return hmac.new(secret.encode(), text.encode(), sha256).digest()


def own_client_id(each: Fill | Order) -> str:
    """The client's own id; an order that the exchange made has none."""
    return each.client_order_id if each.kind is FillKind.TRADE else ""


def answered(
    endpoint: Endpoint[A],
    call: Call,
    world: World,
    *,
    asked: Callable[..., A],
    authenticate: Callable[[World, Call], Account],
) -> Json:
    """What an endpoint answers to a call. RefusalError where it, or the door, refuses.

    `asked` makes what the endpoint is given; `authenticate` tells whose key signed a call.
    """
    caller = authenticate(world, call) if endpoint.signed else None
    return endpoint.answer(
        asked(world=world, params=call.params, now_ms=call.now_ms, caller=caller)
    )
