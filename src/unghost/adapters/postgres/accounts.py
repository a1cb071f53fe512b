"""Which exchange account each profile's key sees: table `reconciliation_account`.

A profile's fills are those of its exchange account. Two profiles that are said to be of two
accounts, and whose keys see one, would each use the fills of the other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from psycopg import Connection
from psycopg.rows import DictRow

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.model import ProfileRef
from unghost.ports import Exchange

MAX_AGE: Final = timedelta(days=1)
"""A key may be moved to another account, but nobody does so every day."""


class SeenAccounts:
    """A `ports.SeenAccounts`. Every method raises DatabaseError where the database fails."""

    def __init__(self, database: Database, *, max_age: timedelta = MAX_AGE) -> None:
        self._database = database
        self._max_age = max_age

    def doubt(self, profile: ProfileRef, exchange: Exchange) -> str:
        """Why the profile's account may be another profile's as well; empty where nothing says so.

        At most one call to the exchange, and none while what it told last is young.
        """
        self._look(profile, exchange)
        with self._database.transaction(read_only=True) as connection:
            return _clash(connection, profile) or _unknown(connection, profile, exchange)

    def clash(self, profile: ProfileRef, exchange: Exchange) -> str:
        """The same, for profiles that were looked at; those that were not are no reason."""
        self._look(profile, exchange)
        with self._database.transaction(read_only=True) as connection:
            return _clash(connection, profile)

    def _look(self, profile: ProfileRef, exchange: Exchange) -> None:
        """Have a row of the profile that is young; committed before others are looked at."""
        mine = _values(profile, exchange)
        wanted = {**mine, "max_age": self._max_age}
        with self._database.transaction(read_only=True) as connection:
            rows = connection.execute(block("accounts", "known"), wanted).fetchall()
        fresh = next((row for row in rows if row["is_fresh"]), None)
        if fresh is not None and fresh["is_own"]:
            return
        told = fresh or {"account_id": exchange.account_id(), "asked_at": None}
        with self._database.transaction() as connection:
            connection.execute(block("accounts", "keep"), {**told, **mine})


def _values(profile: ProfileRef, exchange: Exchange) -> dict[str, str]:
    return {
        "profile_id": profile.profile_id,
        "account": profile.account,
        "venue": exchange.key.venue,
        "key_mark": exchange.key.mark,
    }


def _clash(connection: Connection[DictRow], profile: ProfileRef) -> str:
    wanted = {
        "profile_id": profile.profile_id,
        "no_strangers": list(profile.no_strangers),
    }
    rows = connection.execute(block("accounts", "same_account"), wanted).fetchall()
    if not rows:
        return ""
    names = ", ".join(f"{row['profile_id']} (account {row['account']!r})" for row in rows)
    return (
        f"the key of profile {profile.profile_id} (account {profile.account!r}) sees the same"
        f" exchange account as that of {names}, and the same fills would be used twice: give them"
        " the same `account` in one profiles' file"
    )


def _unknown(connection: Connection[DictRow], profile: ProfileRef, exchange: Exchange) -> str:
    if not profile.neighbours:
        return ""
    wanted = {"venue": exchange.key.venue, "profile_ids": list(profile.neighbours)}
    rows = connection.execute(block("accounts", "looked_at"), wanted).fetchall()
    unknown = sorted(set(profile.neighbours) - {row["profile_id"] for row in rows})
    if not unknown:
        return ""
    return (
        f"nobody has looked yet which exchange account the key of profile {', '.join(unknown)}"
        f" sees, and it may be that of {profile.profile_id}: run `unghost doctor`, which asks with"
        " each profile's key"
    )
