"""The shape of the bot's `orders` table, as the catalogue tells it (DESIGN section 7).

unghost never alters that table: it adapts to what it finds, and refuses in sentences where it
cannot. Nothing here reads a row of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import DictRow

from unghost.adapters.postgres.sql_blocks import block

REQUIRED: Final = ("order_id", "profile_id", "symbol", "trade_id", "action", "status", "price")
QUANTITIES: Final = ("quantity", "qty")
TIMES: Final = ("filled_at", "created_at", "updated_at")
FILLED_BY_US: Final = frozenset(
    {
        *REQUIRED,
        *QUANTITIES,
        *TIMES,
        "side",
        "position_side",
        "exchange_order_id",
        "client_order_id",
        "fee",
        "fee_currency",
    }
)
"""What a backfill row brings its own value for; every other column is the bot's business."""

SAME_IN_A_LIFECYCLE: Final = frozenset({"profile_id", "symbol", "trade_id"})
BACKFILL_ID_LENGTH: Final = len("BFILL-") + 32
STATUSES_WRITTEN: Final = ("filled", "canceled")
ACTION_WRITTEN: Final = "EXIT"

_FLOAT_SCALES: Final = {"double precision": 12, "real": 6}
_WHOLE: Final = frozenset({"smallint", "integer", "bigint"})
_TEXTS: Final = frozenset({"text", "character varying", "character", "citext", "name"})
_NAIVE: Final = "timestamp without time zone"
_MOMENTS: Final = frozenset({_NAIVE, "timestamp with time zone"})
_CAST: Final = r"::[\w .\"]+(?:\(\d+\))?"
_WORD: Final = rf"\(*'(?:[^']|'')*'(?:{_CAST}\)*)*"
_LISTED: Final = re.compile(
    rf"\(+[\w\"]+\)?(?:{_CAST})? = ANY \(+ARRAY\[(?P<words>{_WORD}(?:, {_WORD})*)\]"
    rf"\)*(?:{_CAST}\[\]\)*)?"
)
"""How PostgreSQL prints `CHECK (status IN ('new', 'filled'))`, with the casts that it adds."""
_QUOTED: Final = re.compile(r"'((?:[^']|'')*)'")
_KINDS: Final = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "c": "a composite type",
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column. `scale` is decimal places, None where unlimited or not a number.

    `type_name` is as the table declares it, `base_type` the type under a domain, without its
    modifier. `length` is the most characters that a text column holds. `labels` are an enum's,
    `listed` the words that each CHECK of the form `IN (...)` allows; what other checks say of a
    word is found out by writing it. `folds`: texts that differ by case, say, are equal in it.
    `unique_alone`: some unique index, also a partial one, has this column as its only key.
    """

    name: str
    type_name: str
    nullable: bool
    has_default: bool
    generated: bool
    scale: int | None
    unique_alone: bool
    base_type: str = ""
    length: int | None = None
    labels: tuple[str, ...] = ()
    listed: tuple[frozenset[str], ...] = ()
    folds: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers that add up."""
        return self.base_type in _WHOLE or self.base_type in {"numeric", *_FLOAT_SCALES}

    @property
    def must_be_given(self) -> bool:
        """Whether an INSERT without it fails."""
        return not (self.nullable or self.has_default or self.generated)

    def holds(self, word: str) -> bool:
        """Whether this text or enum column can hold the word."""
        if self.labels and word not in self.labels:
            return False
        fits = self.length is None or len(word) <= self.length
        return fits and all(word in words for words in self.listed)


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerShape:
    """What `orders` looks like. `problems` are sentences; with any, nothing may be written.

    `order_id_unique`: ON CONFLICT (order_id) has an index to rest on. `hiding` says in a sentence
    that row security may keep rows from us; then nothing may be concluded from what is read either.
    """

    columns: Mapping[str, Column] = field(hash=False)
    order_id_unique: bool
    problems: tuple[str, ...] = ()
    schema_name: str | None = None
    hiding: str = ""

    def has(self, name: str) -> bool:
        """Whether the table has this column."""
        return name in self.columns

    @property
    def quantity_columns(self) -> tuple[str, ...]:
        """The quantity columns that exist, in the order in which they are coalesced."""
        return tuple(name for name in QUANTITIES if self.has(name))

    @property
    def quantity_scale(self) -> int | None:
        """Decimal places that every quantity column holds; None is unlimited."""
        return self._least_scale(self.quantity_columns)

    @property
    def price_scale(self) -> int | None:
        """Decimal places of `price`; None is unlimited."""
        return self._least_scale(("price",))

    @property
    def fee_scale(self) -> int | None:
        """Decimal places of `fee`; None is unlimited, or no such column."""
        return self._least_scale(("fee",))

    @property
    def copied_columns(self) -> tuple[str, ...]:
        """NOT NULL columns of the bot's own, taken from the lifecycle's last ENTRY row.

        Never a unique one, which would clash, and never a direction, which an EXIT turns round.
        """
        return tuple(
            column.name
            for column in self.columns.values()
            if column.must_be_given and column.name not in FILLED_BY_US and not column.unique_alone
        )

    @property
    def naive_time_columns(self) -> frozenset[str]:
        """Columns of times without a zone, which are read as UTC (FAILURES 12)."""
        return frozenset(
            column.name for column in self.columns.values() if column.base_type == _NAIVE
        )

    def _least_scale(self, names: Sequence[str]) -> int | None:
        scales = (self.columns[name].scale for name in names if self.has(name))
        return min((scale for scale in scales if scale is not None), default=None)


def read_shape(connection: Connection[DictRow]) -> LedgerShape:
    """Read the shape of `orders`, wherever the search path finds it.

    Raises nothing for a table that is missing or unfit: that is in `problems`.
    """
    relation = connection.execute(block("schema", "relation")).fetchone()
    if relation is None:
        sentence = (
            "There is no table orders where this role looks for it: check the database that"
            " DATABASE_URL names, and the role's search_path."
        )
        return LedgerShape(columns={}, order_id_unique=False, problems=(sentence,))
    indexes = connection.execute(block("schema", "unique_indexes"), relation).fetchall()
    found = connection.execute(block("schema", "columns"), relation).fetchall()
    columns = {row["name"]: _column(row, indexes) for row in found}
    shape = LedgerShape(
        columns=columns,
        order_id_unique=any(_is_arbiter(index) for index in indexes),
        schema_name=relation["schema_name"],
    )
    return LedgerShape(
        columns=columns,
        order_id_unique=shape.order_id_unique,
        problems=tuple(_problems(shape, relation, indexes)),
        schema_name=shape.schema_name,
        hiding=_hiding(relation),
    )


def read_hiding(connection: Connection[DictRow]) -> str:
    """`LedgerShape.hiding` alone, as it is now; empty where nothing is hidden."""
    relation = connection.execute(block("schema", "relation")).fetchone()
    return "" if relation is None else _hiding(relation)


def _hiding(relation: DictRow) -> str:
    """An EXIT that a policy hides would make a ghost of what is none."""
    if not relation["may_hide_rows"]:
        return ""
    return (
        f"Row security of orders may hide rows from role {relation['role_name']}, and a hidden EXIT"
        " looks like a ghost: use a role with BYPASSRLS, or give this one a policy that shows it"
        " every row (FOR SELECT USING (true))."
    )


def _column(row: DictRow, indexes: Sequence[DictRow]) -> Column:
    return Column(
        name=row["name"],
        type_name=row["type_name"],
        base_type=row["base_type"],
        nullable=not row["not_null"],
        has_default=row["has_default"],
        generated=row["generated"],
        scale=_scale(row["base_type"], row["modifier"]),
        length=_length(row["base_type"], row["modifier"]),
        unique_alone=any(index["names"] == [row["name"]] for index in indexes),
        labels=tuple(row["labels"]),
        listed=() if row["folds"] else tuple(_listed(row["checks"])),
        folds=row["folds"],
    )


def _listed(checks: Sequence[str]) -> Iterator[frozenset[str]]:
    """The words that each check lists; one of another form says nothing here."""
    for found in filter(None, map(_LISTED.fullmatch, checks)):
        words = (word.replace("''", "'") for word in _QUOTED.findall(found["words"]))
        yield frozenset(words)


def _scale(base_type: str, modifier: int) -> int | None:
    """Decimal places; PostgreSQL keeps those of numeric in the low 11 bits, with a sign."""
    if base_type in _WHOLE:
        return 0
    if base_type != "numeric" or modifier < 0:
        return _FLOAT_SCALES.get(base_type)
    return (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400


def _length(base_type: str, modifier: int) -> int | None:
    """Characters; PostgreSQL counts its four bytes of header in, and `name` is always 63."""
    if base_type == "name":
        return 63
    return modifier - 4 if base_type in _TEXTS and modifier >= 0 else None


def _is_arbiter(index: DictRow) -> bool:
    """Whether ON CONFLICT (order_id) can rest on this index: a deferrable one cannot serve."""
    fit = index["usable"] and index["immediate"] and not index["partial"]
    return bool(fit) and index["names"] == ["order_id"]


def _problems(shape: LedgerShape, relation: DictRow, indexes: Sequence[DictRow]) -> Iterator[str]:
    yield from filter(None, (_hiding(relation),))
    yield from _kind_problems(relation)
    yield from _missing_columns(shape)
    yield from _unfit_numbers(shape)
    yield from _unfit_times(shape)
    yield from _unfit_texts(shape)
    yield from _unfillable_columns(shape)
    yield from _index_problems(shape, indexes)


def _kind_problems(relation: DictRow) -> Iterator[str]:
    kind = _KINDS.get(relation["kind"])
    if kind is not None:
        yield f"orders is {kind}, and only a table can be written safely."
    if relation["has_heirs"]:
        yield "Other tables inherit from orders, and no unique index spans them all."
    if relation["has_rules"]:
        yield "orders has rewrite rules (CREATE RULE), with which ON CONFLICT cannot be used."


def _missing_columns(shape: LedgerShape) -> Iterator[str]:
    for name in REQUIRED:
        if not shape.has(name):
            yield f"orders has no column {name}."
    for names in (QUANTITIES, TIMES[:2]):
        if not any(shape.has(name) for name in names):
            yield f"orders has neither a column {names[0]} nor {names[1]}."


def _unfit_numbers(shape: LedgerShape) -> Iterator[str]:
    for name in (*QUANTITIES, "price", "fee"):
        column = shape.columns.get(name)
        if column is not None and not column.numeric:
            yield f"Column {name} of orders is {column.type_name}: it must be a number."


def _unfit_times(shape: LedgerShape) -> Iterator[str]:
    for name in TIMES:
        column = shape.columns.get(name)
        if column is not None and column.base_type not in _MOMENTS:
            yield f"Column {name} of orders is {column.type_name}: it must be a timestamp."


def _unfit_texts(shape: LedgerShape) -> Iterator[str]:
    order_id = shape.columns.get("order_id")
    if order_id is not None and not _holds_backfill_ids(order_id):
        yield (
            f"Column order_id of orders is {order_id.type_name}:"
            f" it must hold texts of {BACKFILL_ID_LENGTH} characters."
        )
    for name in ("profile_id", "trade_id"):
        column = shape.columns.get(name)
        if column is not None and column.folds:
            yield (
                f"Column {name} of orders is {column.type_name} and takes different spellings for"
                " one: rows of another case would be counted here and not there; it must tell"
                " them apart."
            )
    for name, words in (("status", STATUSES_WRITTEN), ("action", (ACTION_WRITTEN,))):
        column = shape.columns.get(name)
        for word in words:
            if column is not None and not column.holds(word):
                yield f"Column {name} of orders is {column.type_name}: it cannot hold {word!r}."


def _holds_backfill_ids(column: Column) -> bool:
    return column.base_type in _TEXTS and column.holds("x" * BACKFILL_ID_LENGTH)


def _unfillable_columns(shape: LedgerShape) -> Iterator[str]:
    for column in shape.columns.values():
        if column.generated and column.name in REQUIRED:
            yield f"Column {column.name} of orders is generated and cannot be given a value."
        if column.must_be_given and column.unique_alone and column.name not in FILLED_BY_US:
            yield (
                f"Column {column.name} of orders is unique, NOT NULL and without a default:"
                " unghost has no value for it."
            )
    quantities = [shape.columns[name] for name in shape.quantity_columns]
    if quantities and all(column.generated for column in quantities):
        yield "Every quantity column of orders is generated and cannot be given a value."


def _index_problems(shape: LedgerShape, indexes: Sequence[DictRow]) -> Iterator[str]:
    if not shape.order_id_unique:
        yield _no_arbiter(indexes)
    repeated = SAME_IN_A_LIFECYCLE.union(shape.copied_columns)
    for index in indexes:
        names: list[Any] = index["names"]
        if len(names) > 1 and not index["partial"] and repeated.issuperset(names):
            yield (
                f"The unique index {index['name']} on ({', '.join(names)}) allows one row"
                " for each lifecycle: an EXIT row cannot be added."
            )


def _no_arbiter(indexes: Sequence[DictRow]) -> str:
    near = next((index for index in indexes if index["names"] == ["order_id"]), None)
    remedy = "CREATE UNIQUE INDEX CONCURRENTLY ON orders (order_id)"
    if near is None:
        return (
            f"orders has no unique index on order_id alone; the bot's owner can add one: {remedy}."
        )
    why = "partial" if near["partial"] else "not valid" if not near["usable"] else "deferrable"
    return (
        f"The unique index {near['name']} on order_id is {why}, and ON CONFLICT cannot rest on it:"
        f" add another ({remedy})."
    )
