"""Verifies the chain over the record: a second opinion on what migration 3 hashes in SQL.

Nothing here calls the functions that made the chain. The canonical text is built anew from the
values as they are stored, so that a change of a row, of a link or of those functions is noticed.
Rows and links are streamed: the memory needed does not grow with the record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from psycopg import Connection

from unghost.adapters.postgres.connection import Database
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import DatabaseError
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
_COUNT: Final = re.compile("[0-9]{1,18}")

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
    """Where the chain ends now. Raises DatabaseError where that is not one place."""
    heads = _heads(conn)
    if len(heads) != 1:
        raise DatabaseError(_not_one(heads))
    return heads[0]


def _heads(conn: Connection[dict[str, Any]]) -> list[ChainHead]:
    return [ChainHead(**row) for row in conn.execute(block("chain", "head")).fetchall()]


def _not_one(heads: Sequence[ChainHead]) -> str:
    return f"the chain has {len(heads)} heads instead of one: its head was removed or doubled"


def verify(database: Database, *, kept: ChainHead | None = None) -> Verification:
    """Compare every audit row with its links, every link with the one before it, and the evidence
    that rows share with the digest by which they name it.

    `kept` is a head that was noted elsewhere: the chain must still hold it. One snapshot, whatever
    is written meanwhile. Raises DatabaseError where the database fails.
    """
    counts = {"links": 0, "rows": 0}
    with database.transaction(read_only=True, statement_timeout_ms=0) as conn:
        heads = _heads(conn)
        head = heads[0] if heads else BEFORE_THE_FIRST
        breaks = [] if len(heads) == 1 else [_not_one(heads)]
        links = _counted(_streamed(conn, "links"), counts, "links")
        breaks += islice(_broken_links(links, head, kept), MOST_BREAKS - len(breaks))
        rows = _counted(_streamed(conn, "rows"), counts, "rows")
        breaks += islice(_broken_rows(rows), MOST_BREAKS - len(breaks))
        evidence = _broken_evidence(_streamed(conn, "evidence"))
        breaks += islice(evidence, MOST_BREAKS - len(breaks))
    return Verification(head=head, breaks=tuple(breaks), **counts)


def _streamed(conn: Connection[dict[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    with conn.cursor(name=f"chain_{name}") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(block("chain", name))
        yield from cursor


def _counted(
    found: Iterable[Mapping[str, Any]], counts: dict[str, int], name: str
) -> Iterator[Mapping[str, Any]]:
    for one in found:
        counts[name] += 1
        yield one


# --- links -------------------------------------------------------------------------------------


def _broken_links(
    links: Iterable[Mapping[str, Any]], head: ChainHead, kept: ChainHead | None
) -> Iterator[str]:
    last = BEFORE_THE_FIRST
    for link in links:
        found = ChainHead(seq=link["seq"], hash=link["hash"])
        if link["seq"] != last.seq + 1:
            yield f"the chain jumps from link {last.seq} to link {link['seq']}: some were removed"
        elif link["previous_hash"] != last.hash:
            yield f"{_named(link)} does not follow from link {last.seq}"
        yield from _broken_link(link)
        if kept is not None and kept.seq == link["seq"] and kept.hash != link["hash"]:
            yield f"{_named(link)} is not the one that was kept: the chain was made anew"
        last = found
    yield from _broken_end(last, head, kept)


def _named(link: Mapping[str, Any]) -> str:
    ids = [one for one in link["audit_ids"] or () if isinstance(one, int)]
    if not ids:
        return f"link {link['seq']}"
    rows = f"row {ids[0]}" if len(ids) == 1 else f"rows {min(ids)} to {max(ids)}"
    return f"link {link['seq']} (audit {rows}, {link['created_at']})"


def _broken_link(link: Mapping[str, Any]) -> Iterator[str]:
    if link["version"] != VERSION:
        yield f"{_named(link)} has version {link['version']}, known here is {VERSION}"
    elif _hash_of(link_text, link) != link["hash"]:
        yield f"{_named(link)} is not what was hashed: it was changed"


def _broken_end(last: ChainHead, head: ChainHead, kept: ChainHead | None) -> Iterator[str]:
    if last != head:
        yield f"the chain ends at link {last.seq}, its head says link {head.seq}: the end differs"
    if kept is not None and kept.seq > last.seq:
        yield f"the chain ends at link {last.seq}, before link {kept.seq} that was kept: cut off"


# --- rows --------------------------------------------------------------------------------------


def _broken_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    before = None
    for row in rows:
        why = _broken_row(row)
        if row["audit_id"] == before:
            why = "stands there more than once: it was doubled"
        before = row["audit_id"]
        if why is not None:
            yield f"audit row {row['audit_id']} {why}"


def _broken_row(row: Mapping[str, Any]) -> str | None:
    if not row["present"]:
        return f"is in link {row['seq']} of the chain, and not in the audit: it was removed"
    told = f"(batch {row['batch_id']}, trade_id {row['trade_id']})"
    if row["times_written"] != 1:
        return f"{told} was written past the chain"
    if _hash_of(fixed_text, row) != row["digest"]:
        return f"{told} is not what was written: it was changed"
    if state_text(row) != row["state"]:
        return f"{told} says {state_text(row)}, the chain says {row['state']}: it was changed"
    if row["shared"] is not None and not row["shared_present"]:
        return f"{told} names evidence {row['shared']}, which is not there: it was removed"
    return None


def _broken_evidence(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The chain holds the digests, as part of the rows that name them."""
    for one in found:
        if _hash_of(itemgetter("body"), one) != one["digest"]:
            yield f"evidence {one['digest']} is not what was written: it was changed"


# --- canonical text, version 1 -----------------------------------------------------------------


def _hash_of(text_of: Callable[[Mapping[str, Any]], str], found: Mapping[str, Any]) -> str | None:
    """The hash of a text; None where there is none, as of a NULL that the table once forbade."""
    try:
        return sha256(text_of(found).encode()).hexdigest()
    except (AttributeError, TypeError):
        return None


def fixed_text(row: Mapping[str, Any]) -> str:
    """What of an audit row never changes, as one JSON array; numbers, times, jsonb as text."""
    return _array(_part(name, row[name]) for name in _FIXED)


def state_text(row: Mapping[str, Any]) -> str:
    """What may change: decision, reason, reverted_at."""
    return _array(_part(name, row[name]) for name in ("decision", "reason", "reverted_at"))


def link_text(link: Mapping[str, Any]) -> str:
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
    number, _, digest = text.strip().partition(":")
    if not _COUNT.fullmatch(number) or len(digest) != len(BEFORE_THE_FIRST.hash):
        raise ValueError(f"a head is SEQ:HASH, as a batch's log line gives it, not {text!r}")
    return ChainHead(seq=int(number), hash=digest.lower())
