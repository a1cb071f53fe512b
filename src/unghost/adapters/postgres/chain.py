"""Verifies the chain over the record: a second opinion on what migration 3 hashes in SQL.

Nothing here calls the functions that made the chain. The canonical text is built anew from the
values as they are stored, so that a change of a row, of a link or of those functions is noticed.
Rows and links are streamed: the memory needed does not grow with the record.

Who owns the tables can leave anything in them, of any type. So what is read is looked at before it
is hashed, and what cannot even be read is a break like another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import psycopg
from psycopg import Connection

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import DatabaseError, quoted
from unghost.model import ChainHead

__all__ = [
    "Verification",
    "chain_head",
    "fixed_text",
    "link_text",
    "read_head",
    "state_text",
    "verify",
]

VERSION: Final = 1
"""The rules of canonical text that are known here."""

BEFORE_THE_FIRST: Final = ChainHead(seq=0, hash="0" * 64)
MOST_BREAKS: Final = 20
_PAGE: Final = 500
_LONGEST_SHOWN: Final = 200
_HEAD: Final = re.compile(r"[0-9]{1,18}:[0-9a-fA-F]{64}")

Row = Mapping[str, Any]

_BEFORE_CHRIST: Final = " BC"
_NUMBERS: Final = frozenset({"filled_qty", "open_qty", "remainder_qty", "price", "fee"})
_TIMES: Final = frozenset({"filled_at", "created_at", "reverted_at"})
_FIXED: Final = (
    "audit_id",
    "batch_id",
    "profile_id",
    "symbol",
    "trade_id",
    "filled_qty",
    "open_qty",
    "remainder_qty",
    "price",
    "fee",
    "fee_currency",
    "backfill_order_id",
    "exchange_order_id",
    "exchange_client_order_id",
    "filled_at",
    "attribution",
    "fingerprint",
    "evidence",
    "actor",
    "created_at",
)
"""What of an audit row never changes, in the order in which it is hashed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was found. `breaks` are sentences, the first broken link or row first; at most 20."""

    links: int
    rows: int
    head: ChainHead
    breaks: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether everything agrees."""
        return not self.breaks


def chain_head(conn: Connection[dict[str, Any]]) -> ChainHead:
    """Where the chain ends now. Raises DatabaseError where it does not tell."""
    head, wrong = _only_head(conn.execute(block("chain", "head")).fetchall())
    if head is None:
        raise DatabaseError(f"{wrong}. Run unghost audit verify.")
    return head


def verify(database: Database, *, kept: ChainHead | None = None) -> Verification:
    """Compare every audit row with its links, every link with the one before it, and the evidence
    that rows share with the digest by which they name it.

    `kept` is a head that was noted elsewhere: the chain must still hold it. One snapshot, whatever
    is written meanwhile. Raises DatabaseError where the database fails.
    """
    with database.transaction(read_only=True, statement_timeout_ms=0) as conn:
        look = _Look(conn=conn)
        head = look.head()
        look.at("chain", "links", lambda links: _broken_links(links, head, kept))
        look.at("audit", "rows", _broken_rows)
        look.at("evidence that rows share", "evidence", _broken_evidence)
    return Verification(
        links=look.counts.get("links", 0),
        rows=look.counts.get("rows", 0),
        head=head or BEFORE_THE_FIRST,
        breaks=tuple(look.breaks),
    )


# --- reading -----------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Look:
    """One look at the record: what was broken, and how much was seen."""

    conn: Connection[dict[str, Any]]
    breaks: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def head(self) -> ChainHead | None:
        """Where the chain ends by its own word; None where that is a break."""
        with self._readable("head of the chain"):
            head, wrong = _only_head(self.conn.execute(block("chain", "head")).fetchall())
            if head is None:
                self.breaks.append(wrong)
            return head
        return None

    def at(self, what: str, name: str, broken: Callable[[Iterable[Row]], Iterator[str]]) -> None:
        """Read one part row by row, and note what is broken in it."""
        with self._readable(what):
            for one in islice(broken(self._streamed(name)), MOST_BREAKS - len(self.breaks)):
                self.breaks.append(one)

    def _streamed(self, name: str) -> Iterator[Row]:
        (size,) = self.conn.execute(block("chain", f"giant_{name}")).fetchall()
        with self.conn.cursor(name=f"chain_{name}") as cursor:
            cursor.itersize = 1 if size["giant"] else _PAGE
            cursor.execute(block("chain", name))
            for one in cursor:
                self.counts[name] = self.counts.get(name, 0) + 1
                yield one

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        """A savepoint: what cannot be read is a break, and the rest is read nevertheless."""
        try:
            with self.conn.transaction():
                yield
        except psycopg.Error as error:
            if not _is_of_the_tables(error):
                raise
            said = _shown(error.diag.message_primary or error)
            self.breaks.append(f"the {what} cannot be read ({said}): its table was changed")


def _is_of_the_tables(error: psycopg.Error) -> bool:
    """Whether tables, columns or values are not what unghost made, and not the server at fault."""
    state = error.sqlstate or ""
    if state == psycopg.errors.InsufficientPrivilege.sqlstate:
        return False
    return isinstance(error, psycopg.DataError) or state.startswith(("42", "54", "XX"))


def _only_head(rows: list[dict[str, Any]]) -> tuple[ChainHead | None, str]:
    """The head, or why there is none."""
    if len(rows) != 1:
        told = f"the chain has {len(rows)} heads instead of one"
        return None, f"{told}: its head was removed or doubled"
    (row,) = rows
    wrong = _unlike(row, _HEAD_SHAPE)
    if wrong:
        return None, f"the chain's head is none ({wrong}): the end differs"
    return ChainHead(seq=row["seq"], hash=row["hash"]), ""


# --- shapes ------------------------------------------------------------------------------------


def _is_whole(value: object) -> bool:
    return type(value) is int


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_nothing(value: object) -> bool:
    return value is None or isinstance(value, str)


def _are_whole(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_whole, value))


def _are_text(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_Shape = Mapping[str, Callable[[object], bool]]

_HEAD_SHAPE: Final[_Shape] = {"seq": _is_whole, "hash": _is_text}
_LINK_SHAPE: Final[_Shape] = {
    "seq": _is_whole,
    "version": _is_whole,
    "kind": _is_text,
    "audit_ids": _are_whole,
    "states": _are_text,
    "digests": _are_text,
    "db_role": _is_text,
    "created_at": _is_text,
    "previous_hash": _is_text,
    "hash": _is_text,
}
_ROW_SHAPE: Final[_Shape] = {
    "audit_id": _is_whole,
    **dict.fromkeys((*_FIXED[1:], "decision", "reason", "reverted_at"), _is_text_or_nothing),
}


def _unlike(row: Row, shape: _Shape) -> str:
    """Which value is of a kind that is never written there; empty where each is as it should be."""
    for name, fits in shape.items():
        if not fits(row[name]):
            value = "nothing" if row[name] is None else _shown(row[name])
            return f"it holds {value} as {name}"
    return ""


def _shown(value: object) -> str:
    """A foreign value within a sentence: on one line, cut where it is long."""
    text = str(value)[: _LONGEST_SHOWN + 1]
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= _LONGEST_SHOWN else f"{clean[:_LONGEST_SHOWN]}..."


# --- links -------------------------------------------------------------------------------------


def _broken_links(
    links: Iterable[Row], head: ChainHead | None, kept: ChainHead | None
) -> Iterator[str]:
    last = BEFORE_THE_FIRST
    if kept is not None and kept.seq == last.seq and kept.hash != last.hash:
        yield "link 0 is not the one that was kept: the chain was made anew"
    for link in links:
        wrong = _unlike(link, _LINK_SHAPE)
        if wrong:
            yield f"{_named(link)} is not what was hashed: {wrong}"
            last = _past(link, last)
            continue
        yield from _broken_order(link, last)
        yield from _broken_link(link)
        if kept is not None and kept.seq == link["seq"] and kept.hash != link["hash"]:
            yield f"{_named(link)} is not the one that was kept: the chain was made anew"
        last = ChainHead(seq=link["seq"], hash=link["hash"])
    yield from _broken_end(last, head, kept)


def _past(link: Row, last: ChainHead) -> ChainHead:
    """Where the chain goes on behind a link that cannot be hashed."""
    if not _is_whole(link["seq"]):
        return last
    return ChainHead(seq=link["seq"], hash=link["hash"] if _is_text(link["hash"]) else "")


def _broken_order(link: Row, last: ChainHead) -> Iterator[str]:
    if link["seq"] <= last.seq:
        yield f"{_named(link)} stands there more than once, or out of order"
    elif link["seq"] != last.seq + 1:
        yield f"the chain jumps from link {last.seq} to link {link['seq']}: some were removed"
    elif link["previous_hash"] != last.hash:
        yield f"{_named(link)} does not follow from link {last.seq}"


def _named(link: Row) -> str:
    held = link["audit_ids"] if isinstance(link["audit_ids"], list) else ()
    ids = [one for one in held if _is_whole(one)]
    number = "without a number" if link["seq"] is None else _shown(link["seq"])
    if not ids:
        return f"link {number}"
    rows = f"row {ids[0]}" if len(ids) == 1 else f"rows {min(ids)} to {max(ids)}"
    return f"link {number} (audit {rows}, {_shown(link['created_at'])})"


def _broken_link(link: Row) -> Iterator[str]:
    if link["version"] != VERSION:
        yield f"{_named(link)} has version {link['version']}, known here is {VERSION}"
    elif _hash(link_text(link)) != link["hash"]:
        yield f"{_named(link)} is not what was hashed: it was changed"


def _broken_end(last: ChainHead, head: ChainHead | None, kept: ChainHead | None) -> Iterator[str]:
    if head is not None and last.seq != head.seq:
        yield f"the chain ends at link {last.seq}, its head says link {head.seq}: the end differs"
    elif head is not None and last.hash != head.hash:
        yield f"the chain's head says {_shown(head)}, its last link {_shown(last)}: the end differs"
    if kept is not None and kept.seq > last.seq:
        yield f"the chain ends at link {last.seq}, before link {kept.seq} that was kept: cut off"


# --- rows --------------------------------------------------------------------------------------


def _broken_rows(rows: Iterable[Row]) -> Iterator[str]:
    last: object = None
    for row in rows:
        number = row["audit_id"]
        named = f"audit row {'without an id' if number is None else _shown(number)}"
        if not row["present"]:
            seq = row["seq"]
            yield f"{named} is in link {seq} of the chain, and not in the audit: it was removed"
        elif (why := _changed(row)) or number == last:
            told = f"(batch {_shown(row['batch_id'])}, trade_id {_shown(row['trade_id'])})"
            yield f"{named} {told} {why or 'stands there more than once: it was doubled'}"
        last = number


def _changed(row: Row) -> str:
    """How an audit row differs from what the chain says of it; empty where they agree."""
    wrong = _unlike(row, _ROW_SHAPE)
    if wrong:
        return f"is not what was written: {wrong}"
    if row["times_written"] != 1:
        return "was written past the chain"
    if _hash(fixed_text(row)) != row["digest"]:
        return "is not what was written: it was changed"
    if state_text(row) != row["state"]:
        says, chained = _shown(state_text(row)), _shown(row["state"])
        return f"says {says}, the chain says {chained}: it was changed"
    if row["shared"] is not None and not row["shared_present"]:
        return f"names evidence {_shown(row['shared'])}, which is not there: it was removed"
    return ""


def _broken_evidence(found: Iterable[Row]) -> Iterator[str]:
    """The chain holds the digests, as part of the rows that name them."""
    last: object = None
    for one in found:
        digest, body = one["digest"], one["body"]
        if not _is_text(body) or _hash(body) != digest:
            yield f"evidence {_shown(digest)} is not what was written: it was changed"
        elif digest == last:
            yield f"evidence {_shown(digest)} stands there more than once: it was doubled"
        last = digest


# --- canonical text, version 1 -----------------------------------------------------------------


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def fixed_text(row: Row) -> str:
    """What of an audit row never changes, as one JSON array; numbers, times, jsonb as text."""
    return _array(_part(name, row[name]) for name in _FIXED)


def state_text(row: Row) -> str:
    """What may change: decision, reason, reverted_at."""
    return _array(_part(name, row[name]) for name in ("decision", "reason", "reverted_at"))


def link_text(link: Row) -> str:
    """Everything in a link but its own hash."""
    return _array(
        (
            str(link["version"]),
            str(link["seq"]),
            _string(link["kind"]),
            _list(str(one) for one in link["audit_ids"]),
            _list(_string(one) for one in link["states"]),
            _list(_string(one) for one in link["digests"]),
            _string(link["db_role"]),
            _string(_time(link["created_at"])),
            _string(link["previous_hash"]),
        )
    )


def _part(name: str, value: Any) -> str:
    if value is None:
        return "null"
    if name == "audit_id":
        return str(value)
    if name == "evidence":
        return str(value)  # PostgreSQL keeps jsonb in one order, and prints it in one way
    if name in _NUMBERS:
        return _string(_number(value))
    return _string(_time(value) if name in _TIMES else value)


def _number(text: str) -> str:
    """Without trailing zeros behind the point: 1.50 and 1.5 are one number."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _time(text: str) -> str:
    """PostgreSQL's own text in UTC, made ISO 8601."""
    if text.endswith(_BEFORE_CHRIST):
        return _time(text.removesuffix(_BEFORE_CHRIST)) + _BEFORE_CHRIST
    return text.replace(" ", "T", 1) + ":00" if text.endswith("+00") else text


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _array(parts: Iterable[str]) -> str:
    return f"[{', '.join(parts)}]"


def _list(parts: Iterable[str]) -> str:
    return f"[{','.join(parts)}]"


def read_head(text: str) -> ChainHead:
    """A head as it was printed: `SEQ:HASH`. Raises ValueError."""
    if not _HEAD.fullmatch(text.strip()):
        raise ValueError(f"a head is SEQ:HASH, as a batch's log line gives it, not {quoted(text)}")
    number, _, digest = text.strip().partition(":")
    return ChainHead(seq=int(number), hash=digest.lower())
