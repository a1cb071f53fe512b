"""What went wrong in the database, as one sentence that says what failed and what to do.

Conninfo may hold a password: the `Target` keeps only what may be shown, and whatever text of the
server or of its library is passed on has the password taken out first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from unghost.errors import (
    CommitOutcomeUnknownError,
    ConfigurationError,
    DatabaseError,
    LedgerSchemaError,
)

OLDEST_SERVER: Final = 13
"""The oldest PostgreSQL release that unghost runs on (DESIGN section 8)."""

_NOT_UNDERSTOOD: Final = (
    "DATABASE_URL cannot be understood (its value is secret and not shown): give"
    " postgresql://user:password@host:port/name, with special characters percent-encoded."
)
_OURS: Final = re.compile(r"\b(reconciliation_\w+|trading_profile)\b")
_FATAL: Final = re.compile(r"(?:FATAL|PANIC):\s+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where a database is, without its password (kept only to take it out of foreign texts)."""

    host: str
    port: str
    name: str
    role: str
    secret: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """The server, for people: host and port, or the folder of its socket."""
        return f"{self.host} port {self.port}"

    def redacted(self, text: str) -> str:
        """A foreign text on one line, without the password."""
        clean = text.replace(self.secret, "***") if self.secret else text
        return " ".join(clean.split()).rstrip(".")


def read_target(conninfo: str) -> Target:
    """Take apart a URL or key=value string. Raises ConfigurationError that shows nothing of it."""
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.Error as error:
        raise ConfigurationError(_unreadable(str(error))) from None
    known = {name: str(value) for name, value in parts.items() if value is not None}
    if _holds_password_pieces(known):
        raise ConfigurationError(_NOT_UNDERSTOOD)
    role = known.get("user") or os.environ.get("PGUSER", "")
    return Target(
        host=known.get("host") or os.environ.get("PGHOST") or "the local socket",
        port=known.get("port") or os.environ.get("PGPORT") or "5432",
        name=known.get("dbname") or os.environ.get("PGDATABASE") or role,
        role=role,
        secret=known.get("password", ""),
    )


def _holds_password_pieces(parts: Mapping[str, str]) -> bool:
    """A password with a bare @, : or / in it spills over into what is taken for host and name."""
    misplaced = "@" in parts.get("host", "") + parts.get("dbname", "")
    return misplaced or not re.fullmatch(r"[\d,]*", parts.get("port", ""))


def _unreadable(text: str) -> str:
    """The library quotes what it does not understand, which may be a piece of the password."""
    parameter = re.search(r'invalid URI query parameter: "(\w+)"', text)
    if parameter is None:
        return _NOT_UNDERSTOOD
    return (
        f"DATABASE_URL holds the parameter {parameter[1]}, which PostgreSQL does not know:"
        " take it out."
    )


# --- connecting --------------------------------------------------------------------------------

# What a server says while a connection is made has no code, only text; first match wins.
_WHILE_CONNECTING: Final = {
    r"database .* does not exist": (
        "There is no database {name} at {place}: create it, or correct DATABASE_URL."
    ),
    r"authentication failed|no password|role .* does not exist|not permitted to log"
    r"|user not found|wrong password|SASL|SCRAM": (
        "The database at {place} did not let the role {role} in: check user and password in"
        " DATABASE_URL."
    ),
    r"pg_hba\.conf": (
        "The database at {place} does not accept role {role} from this machine:"
        " its pg_hba.conf has no entry for it, or demands encryption (sslmode=require)."
    ),
    r"permission denied for database": (
        "The role {role} may not connect to database {name} at {place}: grant it CONNECT."
    ),
    r"too many (clients|connections)|connection slots|max.* connections? (reached|limit)": (
        "The database at {place} has no connection left: close some, or raise its limit."
    ),
    r"starting up|shutting down|recovery mode|not yet accepting": (
        "The database at {place} is starting up or shutting down: try again in a moment."
    ),
    r"resolve|translate host name|not known|nodename": (
        "The database's host {host} is not known to this machine: correct DATABASE_URL."
    ),
    r"\bSSL\b|\bTLS\b|certificate": (
        "The encrypted connection to the database at {place} failed ({detail}):"
        " check sslmode and certificates in DATABASE_URL."
    ),
    r"timeout|timed out": (
        "The database at {place} did not answer in time: check host, port and firewall."
    ),
    r"refused|No such file|Is the server running|unreachable|No route": (
        "The database at {place} cannot be reached: check that it runs, and host and port in"
        " DATABASE_URL."
    ),
}


def connection_failed(error: psycopg.Error, target: Target) -> DatabaseError:
    """Why no connection could be made. Never chain this to `error`: it may quote the conninfo."""
    text = str(error)
    for pattern, sentence in _WHILE_CONNECTING.items():
        if re.search(pattern, text, re.IGNORECASE):
            return DatabaseError(_filled(sentence, target, text))
    return DatabaseError(
        _filled("No connection to the database at {place}: {detail}.", target, text)
    )


def _filled(sentence: str, target: Target, text: str) -> str:
    return sentence.format(
        place=target.place,
        host=target.host,
        name=target.name,
        role=target.role or "(unnamed)",
        detail=target.redacted(_FATAL.split(text)[-1]),
    )


def too_old(server_version: int, target: Target) -> DatabaseError:
    """The refusal of a server older than what the statements need."""
    return DatabaseError(
        f"The database at {target.place} is PostgreSQL {server_version // 10_000}:"
        f" unghost needs {OLDEST_SERVER} or newer."
    )


# --- statements --------------------------------------------------------------------------------

_BY_STATE: Final = {
    "22021": "A text cannot be stored: {detail}.",
    "22P05": "A text cannot be stored in the database's encoding: {detail}.",
    "22P02": "A value cannot be read by the database: {detail}.",
    "23502": "The database refused a row because column {column} of {table} has no value.",
    "23503": "The database refused a row because of constraint {constraint}: {detail}.",
    "23505": "The database refused a row because {constraint} allows no second one: {detail}.",
    "23514": "The database refused a row because of the check {constraint} of {table}.",
    "25006": "The database is read-only for this role (a standby, or a read-only default):"
    " point DATABASE_URL at the primary.",
    "25P03": "The database ended a transaction that stood idle too long: run the command again.",
    "40001": "Another process changed the same rows at the same time: run the command again.",
    "40P01": "Two processes waited for each other and the database stopped this one:"
    " run the command again.",
    "42501": "The role {role} lacks a right ({detail}): grant it, see unghost doctor.",
    "42703": "The database does not know a column ({detail}): see unghost doctor.",
    "42P07": "The database has a table of that name already, made by others ({detail}): rename it,"
    " or give unghost a schema of its own by the role's search_path.",
    "53100": "The database's disk is full: make room on it, nothing was written.",
    "53200": "The database is out of memory: {detail}.",
    "53300": "The database at {place} has no connection left: close some, or raise its limit.",
    "55P03": "A lock is held by another process for too long: find out which one writes to these"
    " tables, and run the command again.",
    "57014": "The database stopped a statement that ran longer than its time limit:"
    " run the command again when the database is less busy.",
}
_NO_ROOM: Final = re.compile(r"could not extend file|no space left|quota exceeded", re.IGNORECASE)
"""Not every file system says it in a way for which PostgreSQL has a code."""

_LOST: Final = (
    "The connection to the database at {place} was lost: nothing of this transaction was kept."
)
_LOST_STATES: Final = frozenset({"57P01", "57P02", "57P03", "57P05"})


def statement_failed(error: Exception, target: Target, *, lost: bool) -> DatabaseError:
    """Why a statement failed. `lost`: the connection is gone too, which explains everything."""
    if isinstance(error, UnicodeError):
        return DatabaseError(
            "A text holds characters that the database or UTF-8 cannot hold: nothing was written."
        )
    if not isinstance(error, psycopg.Error):
        return DatabaseError(target.redacted(str(error)))
    if lost or error.sqlstate in _LOST_STATES or (error.sqlstate or "").startswith("08"):
        return DatabaseError(_LOST.format(place=target.place))
    if error.sqlstate == "42P01":
        return _undefined_table(error, target)
    return DatabaseError(_explained(error, target))


def _explained(error: psycopg.Error, target: Target) -> str:
    told = error.diag
    state = "53100" if _NO_ROOM.search(told.message_primary or "") else error.sqlstate or ""
    sentence = _BY_STATE.get(state, "The database refused a statement: {detail}.")
    return sentence.format(
        place=target.place,
        role=target.role or "(unnamed)",
        table=told.table_name or "a table",
        column=told.column_name or "(unnamed)",
        constraint=told.constraint_name or "a constraint",
        detail=target.redacted(told.message_detail or told.message_primary or str(error)),
    )


def _undefined_table(error: psycopg.Error, target: Target) -> DatabaseError:
    """Ours are made by `unghost init`; the bot's table never is."""
    text = error.diag.message_primary or str(error)
    ours = _OURS.search(text)
    if ours is not None:
        return DatabaseError(f"The table {ours[1]} does not exist yet: run unghost init.")
    return LedgerSchemaError(
        f"A table does not exist in database {target.name} ({target.redacted(text)}): check that"
        " DATABASE_URL names the bot's database, and the role's search_path."
    )


def commit_failed(error: psycopg.Error, target: Target, *, lost: bool) -> DatabaseError:
    """Why a COMMIT failed; where its answer was lost, nobody knows yet whether it took effect."""
    if not lost:
        return statement_failed(error, target, lost=False)
    return CommitOutcomeUnknownError(
        f"The connection to the database at {target.place} was lost during COMMIT:"
        " whether it took effect must be read back."
    )
