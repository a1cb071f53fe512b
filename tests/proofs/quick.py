"""A bench whose own looks cost little: one kept connection, and connections to the venue kept too.

unghost works as everywhere: its own transactions, its own client, HTTP.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql
from tests.cycle.bench import Bench, open_account

from unghost.adapters.exchange import ExchangeAccount
from unghost.adapters.postgres.connection import Database
from unghost.desk import Desk

_AT_WORK = "SELECT FROM pg_stat_activity WHERE usename = %s AND state <> 'idle'"


@dataclass
class QuickBench(Bench):
    """The same books and the same exchange as the bench that it is made of."""

    spare: list[ExchangeAccount] = field(default_factory=list)

    @cached_property
    def books(self) -> psycopg.Connection:
        """The bot's own connection; every statement is a transaction."""
        return psycopg.connect(self.database_url, autocommit=True)

    @cached_property
    def other_database(self) -> Database:
        """As a second worker has it."""
        return Database(self.service_url)

    def insert(self, row: dict[str, Any]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        marks = sql.SQL(", ").join(sql.Placeholder() * len(row))
        statement = sql.SQL("INSERT INTO orders ({}) VALUES ({})").format(names, marks)
        self.books.execute(statement, list(row.values()))

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.books.execute(statement, values or None).fetchall()

    def run(self, statement: str, *values: Any) -> None:
        self.books.execute(statement, values or None)

    def second_desk(self, database: Database | None = None) -> Desk:
        """A desk as another process has it, with an account of its own that is kept."""
        if not self.spare:
            self.spare.append(open_account(self.venue, exchange=self.exchange))
        return self.new_desk(database=database or self.other_database, account=self.spare[0])

    def be_silent(self) -> None:
        """Wait until the server has ended all that it does for unghost, also for the dead."""
        while self.rows(_AT_WORK, self.roles.service):
            time.sleep(0.001)

    def leave(self) -> None:
        """Let go of what is kept here; the bench that it is made of closes the rest."""
        self.books.close()
        self.other_database.close()
        for one in self.spare:
            one.close()


def quick(bench: Bench) -> QuickBench:
    return QuickBench(**{one.name: getattr(bench, one.name) for one in fields(bench)})
