"""What the evidence of a market's lifecycles has in common is kept once, and named by its digest.

The first lifecycle of a market gives the common part; what another one has otherwise stands in its
own row and goes before it. Whoever reads the audit reads it through `of_whole_audit`, which puts
both together again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg import Connection

from unghost.adapters.postgres import arrays
from unghost.adapters.postgres.json_values import json_text
from unghost.adapters.postgres.sql_blocks import block

__all__ = ["shortened"]

Account = Mapping[str, Any]
"""The evidence of one audit row."""

_SHARED: Final = "shared"
_GATES: Final = "gates"
_OWN: Final = frozenset({"basis", "fees", "orders", "sentence"})
"""What no two lifecycles have in common."""


def shortened(conn: Connection[dict[str, Any]], accounts: Sequence[Account]) -> list[Account]:
    """The accounts as they are to be stored, in the same order; one statement for what they share.

    What is shared by one alone stays with it, and so does an account without gates.
    """
    told = list(accounts)
    parts: list[tuple[int, int, dict[str, Any]]] = []
    bodies: list[Account] = []
    for places in _alike(accounts):
        body = {name: part for name, part in accounts[places[0]].items() if name not in _OWN}
        own = {place: _own_part(accounts[place], body) for place in places}
        parts += [(place, len(bodies), part) for place, part in own.items() if part is not None]
        bodies.append(body)
    digests = _kept(conn, bodies)
    for place, number, part in parts:
        told[place] = {_SHARED: digests[number], **part}
    return told


def _alike(accounts: Sequence[Account]) -> list[list[int]]:
    """Places of the accounts that may share: two or more of one leg of a market."""
    found: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, account in enumerate(accounts):
        gates = account.get(_GATES)
        if isinstance(gates, list) and _SHARED not in account:
            found[account.get("market"), account.get("leg"), len(gates)].append(place)
    return [places for places in found.values() if len(places) > 1]


def _kept(conn: Connection[dict[str, Any]], bodies: Sequence[Account]) -> list[str]:
    """Also where there is none: the number of statements is that of any other batch."""
    parameters = {"bodies": arrays.texts(map(json_text, bodies))}
    found = conn.execute(block("books", "keep_evidence"), parameters).fetchall()
    return [row["digest"] for row in found]


def _own_part(account: Account, body: Account) -> dict[str, Any] | None:
    """What the body does not say; None where the body says what the account does not."""
    if not body.keys() <= account.keys():
        return None
    own = {
        name: part
        for name, part in account.items()
        if name not in body or (name != _GATES and not _same(part, body[name]))
    }
    return own | _own_gates(account[_GATES], body[_GATES])


def _own_gates(gates: Sequence[Account], shared: Sequence[Account]) -> dict[str, Any]:
    """Of each gate what differs, by its place; all of them where a gate has other parts."""
    told = {}
    for place, (one, other) in enumerate(zip(gates, shared, strict=True)):
        if one is other or (one == other and _types(one) == _types(other)):
            continue
        if one.keys() != other.keys():
            return {_GATES: gates}
        parts = {name: part for name, part in one.items() if not _same(part, other[name])}
        if parts:
            told[str(place)] = parts
    return {_GATES: told} if told else {}


def _types(gate: Account) -> tuple[type, ...]:
    return tuple(map(type, gate.values()))


def _same(one: object, other: object) -> bool:
    """Whether both are written the same: 1, 1.0 and True are equal, and are not."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (str, int, float)):
        return one == other
    if not one and not other:
        return True
    return json_text(one) == json_text(other)
