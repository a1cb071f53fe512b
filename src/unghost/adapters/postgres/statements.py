"""Fits the named SQL blocks to the `orders` table that was found.

A ledger has one quantity column or two, words or enums, times with or without a zone, and half of
the columns may be absent. The blocks in `unghost/sql` leave a hole wherever that matters; here the
holes are filled, from a fixed vocabulary and from the catalog, never from data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import dropwhile
from typing import Final

from psycopg import sql

from unghost.adapters.postgres.schema import Column, LedgerShape
from unghost.adapters.postgres.sql_blocks import block
from unghost.errors import LedgerSchemaError, UsageError
from unghost.ids import DUST_ORDER

__all__ = [
    "PRINTABLE",
    "compose",
    "compose_named",
    "compose_open",
    "printable",
    "require_readable",
    "require_whole",
    "require_writable",
    "suits",
]

PRINTABLE: Final[Mapping[str, str]] = {
    "detect": "ledger",
    "verify": "books",
    "dry_run_rows": "books",
    "applied_rows": "books",
    "validate": "validation",
    "decisions": "validation",
    "rollback": "undo",
    "mark_reverted": "undo",
    "open_lifecycles": "ledger",
    "touched_trades": "ledger",
    "account_rows": "ledger",
    "rows_of_strangers": "ledger",
    "insert": "ledger",
    "detection_index": "indexes",
    "lifecycle_index": "indexes",
    "times_index": "indexes",
    "exchange_order_index": "indexes",
    "client_order_index": "indexes",
}
"""What `unghost sql NAME` prints, and the file it is in."""

_KEPT_SHAPES: Final = 8
"""A process has one ledger, or few; its table is altered seldom."""

_KEPT_STATEMENTS: Final = 32 * _KEPT_SHAPES
_MOMENTS: Final = frozenset({"timestamp with time zone", "timestamp without time zone"})
_WORD_TYPES: Final = frozenset({"text", "character varying"})
_NEEDED: Final[Mapping[str, tuple[tuple[str, ...], frozenset[str]]]] = {
    "detection_index": (("status",), _WORD_TYPES),
    "touched_trades": (("updated_at",), _MOMENTS),
    "times_index": (("filled_at", "created_at", "updated_at"), _MOMENTS),
    "exchange_order_index": (("exchange_order_id",), _WORD_TYPES),
    "client_order_index": (("client_order_id",), _WORD_TYPES),
}
"""Statements that rest on one of these columns, which a ledger may lack or have of another type."""

_KEYS = ("order_id", "profile_id", "symbol", "trade_id", "action", "status")
_WORDS = ("side", "position_side", "fee_currency")
_IDS = ("exchange_order_id", "client_order_id")
_NUMBERS = ("price", "fee")
_TIMES = ("filled_at", "created_at", "updated_at")
_TEXT_TYPES = frozenset({"text", "character varying", "character", "citext", "name"})
_FLOAT_TYPES = frozenset({"real", "double precision"})
_NAIVE_TYPES = frozenset({"timestamp without time zone", "date"})
_TIME_TYPES = _NAIVE_TYPES | {"timestamp with time zone"}
_ROW, _BARE = sql.SQL("o.{}"), sql.SQL("{}")
_NO_TEXT = sql.SQL("NULL::text")
_NO_TIME = sql.SQL("NULL::timestamptz")
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")


def compose(stem: str, name: str, shape: LedgerShape, **more: sql.Composable) -> sql.SQL:
    """Return block `name` of `sql/<stem>.sql`, fitted to the table; parameters stay parameters.

    `more` fills holes that have nothing to do with the table's shape.
    """
    if more:
        return _whole(_fill(stem, name, {**_holes(shape), **more}))
    return _composed(stem, name, shape)


def compose_open(shape: LedgerShape, profiles: int, *, name: str = "open_lifecycles") -> sql.SQL:
    """The question for open lifecycles, for one profile or for several."""
    if profiles == 1:
        return _composed_of("one_profile", name, shape, in_order="within_profile")
    return _composed_of("several_profiles", name, shape)


def compose_named(shape: LedgerShape) -> sql.SQL:
    """The same question for the lifecycles of some trade_ids alone."""
    return _composed_of("named_trades", "open_lifecycles", shape)


@lru_cache(maxsize=_KEPT_STATEMENTS)
def _composed(stem: str, name: str, shape: LedgerShape) -> sql.SQL:
    """To fill the holes and to join the pieces anew takes longer than most statements do."""
    return _whole(_fill(stem, name, _holes(shape)))


@lru_cache(maxsize=5 * _KEPT_SHAPES)
def _composed_of(
    asked: str, name: str, shape: LedgerShape, *, in_order: str = "by_profile"
) -> sql.SQL:
    return compose(
        "ledger",
        name,
        shape,
        of_profiles=compose("ledger", asked, shape),
        in_order=compose("ledger", in_order, shape),
    )


def _whole(statement: sql.Composed) -> sql.SQL:
    """In one piece; nothing of it came from data."""
    return sql.SQL(statement.as_string(None))


def require_readable(shape: LedgerShape) -> None:
    """Raise LedgerSchemaError where a column is missing that no question can do without."""
    if not shape.columns:
        raise LedgerSchemaError("; ".join(shape.problems) or "there is no table orders")
    missing = [name for name in _KEYS if not shape.has(name)]
    if not shape.quantity_columns:
        missing.append("quantity or qty")
    if missing:
        raise LedgerSchemaError(f"the orders table lacks {', '.join(missing)}")


def require_whole(shape: LedgerShape) -> None:
    """Raise LedgerSchemaError where rows may be hidden: nothing follows from a part of a ledger."""
    require_readable(shape)
    if shape.hiding:
        raise LedgerSchemaError(shape.hiding)


def require_writable(shape: LedgerShape) -> None:
    """Raise LedgerSchemaError with every problem, because an insert must not be tried."""
    require_readable(shape)
    if shape.problems:
        raise LedgerSchemaError("; ".join(shape.problems))


def printable(name: str, shape: LedgerShape, values: Mapping[str, object] | None = None) -> str:
    """Return the statement that a command runs, readable and ready for psql.

    `values` fills parameters by name (`profile_id`, `batch_id`, ...); what is not given stays as a
    placeholder in the checklist's style, `'<<PROFILE_ID>>'`. Raises UsageError for an unknown name,
    LedgerSchemaError where the statement is not for this ledger.
    """
    stem = PRINTABLE.get(name)
    if stem is None:
        raise UsageError(f"no statement is called {name!r}; there are: {', '.join(PRINTABLE)}")
    require_readable(shape)
    if not suits(name, shape):
        columns, types = _NEEDED[name]
        raise LedgerSchemaError(
            f"{name} is not for this ledger: it needs a column {' or '.join(columns)} of type"
            f" {' or '.join(sorted(types))}; unghost does without"
        )
    known = values or {}
    text = compose(stem, name, shape).as_string(None)
    return _PARAMETER.sub(lambda found: _printed(found, known), text) + ";"


def suits(name: str, shape: LedgerShape) -> bool:
    """Whether the statement can run on the ledger. An index cannot rest on the text of an enum."""
    if name not in _NEEDED:
        return True
    columns, types = _NEEDED[name]
    return any(shape.has(one) and shape.columns[one].base_type in types for one in columns)


def _printed(found: re.Match[str], values: Mapping[str, object]) -> str:
    name = found[1]
    if name is None:
        return "%"
    if name in values:
        return sql.Literal(values[name]).as_string(None)
    return f"'<<{name.upper()}>>'"


def _fill(stem: str, name: str, holes: Mapping[str, sql.Composable]) -> sql.Composed:
    """Fill the holes of a block, without its comment and its semicolon, so that blocks nest."""
    lines = block(stem, name).splitlines(keepends=True)
    bare = "".join(dropwhile(lambda line: line.startswith("--"), lines))
    return sql.SQL(bare.removesuffix(";")).format(**holes)


# --- holes -------------------------------------------------------------------------------------


def _holes(shape: LedgerShape) -> dict[str, sql.Composable]:
    """Everything that a block may leave open; parts that are blocks themselves come last."""
    holes = _column_holes(shape) | _checklist_holes(shape) | _time_holes(shape)
    holes["of_profiles"] = _fill("ledger", "several_profiles", holes)
    holes["in_order"] = _fill("ledger", "by_profile", holes)
    holes["row_columns"] = _fill("ledger", "row_columns", holes)
    holes["recorded"] = _fill("ledger", "recorded", holes)
    ignored = {"not_ignored": sql.SQL("\n          ") + _fill("ledger", "not_ignored", holes)}
    holes["accounting"] = _fill("ledger", "accounting", {**holes, "not_ignored": sql.SQL("")})
    holes["accounting_but"] = _fill("ledger", "accounting", holes | ignored)
    holes["candidates"] = _fill("ledger", "candidates", holes)
    holes["validate"] = _fill("validation", "validate", holes)
    holes["counts"] = _fill("books", "counts", holes)
    holes["same_content"] = _same_content(shape, holes)
    holes["same_filled_qty"] = sql.SQL(" AND ").join(_same_quantities(shape, "a.filled_qty"))
    return holes | _insert_holes(shape)


def _column_holes(shape: LedgerShape) -> dict[str, sql.Composable]:
    """Columns of `orders AS o`: compared as text, with the index where the type is text."""
    holes: dict[str, sql.Composable] = {}
    for name in (*_KEYS, *_IDS):
        holes[name] = _comparable(shape, name)
    for name in (*_WORDS, *_NUMBERS):
        holes[name] = _text(shape, name)
    holes["status_lower"] = sql.SQL(r"lower(btrim({}, E' \t\n\r\f\x0b'))").format(holes["status"])
    return holes


def _of_row(name: str, alias: str = "o") -> sql.Composed:
    """A column from the fixed vocabulary above, unquoted as in the checklist."""
    return sql.SQL("{}.{}").format(sql.SQL(alias), sql.SQL(name))


def _text(shape: LedgerShape, name: str) -> sql.Composable:
    return sql.SQL("{}::text").format(_of_row(name)) if shape.has(name) else _NO_TEXT


def _comparable(shape: LedgerShape, name: str) -> sql.Composable:
    return _as_words(shape, name, _of_row(name)) if shape.has(name) else _NO_TEXT


def _as_words(shape: LedgerShape, name: str, column: sql.Composable) -> sql.Composable:
    """An enum refuses words that it does not know, also in a comparison; its text does not."""
    return column if _is_text(shape.columns[name]) else sql.SQL("{}::text").format(column)


def _checklist_holes(shape: LedgerShape) -> dict[str, sql.Composable]:
    """What the checklist's own blocks leave open: nothing, for the table that it describes."""
    names = shape.quantity_columns
    aliased = sql.SQL(", ").join(_of_row(name) for name in names)
    times = [name for name in ("filled_at", "created_at") if shape.has(name)]
    touched = ",\n    updated_at = now()" if shape.has("updated_at") else ""
    return {
        "quantities": sql.SQL(", ").join(sql.SQL(name) for name in names),
        "o_quantities": aliased,
        "counted": sql.SQL("COALESCE({}, 0)").format(aliased),
        "times": sql.SQL(",\n    ").join(sql.SQL(name) for name in times),
        "written_at": sql.SQL(times[-1] if times else "order_id"),
        "qty": sql.SQL("qty" if "qty" in names else "quantity"),
        "action_word": _as_words(shape, "action", sql.SQL("action")),
        "status_word": _as_words(shape, "status", sql.SQL("status")),
        "bare_order_id": _as_words(shape, "order_id", sql.SQL("order_id")),
        "touched": sql.SQL(touched),
        "tolerance": sql.SQL("0.000001" if _keeps_floats(shape) else "0"),
    }


def _keeps_floats(shape: LedgerShape) -> bool:
    """Sums of floats miss by a hair, so they are compared with the checklist's own hair."""
    return any(shape.columns[name].base_type in _FLOAT_TYPES for name in shape.quantity_columns)


def _time_holes(shape: LedgerShape) -> dict[str, sql.Composable]:
    holes = {name: _time(shape, name) for name in _TIMES}
    at = sql.SQL("COALESCE({}, {})").format(holes["filled_at"], holes["created_at"])
    latest, indexed = _latest(shape, _ROW), _latest(shape, _BARE)
    return {**holes, "at": at, "latest": latest, "indexed": indexed}


def _latest(shape: LedgerShape, place: sql.SQL) -> sql.Composed:
    """The moment that the index on times holds; an index names its columns without an alias."""
    holes = {
        "filled_time": _time(shape, "filled_at", place),
        "created_time": _time(shape, "created_at", place),
        "touched_moment": _moment(shape, "updated_at", place),
    }
    return _fill("ledger", "latest", holes)


def _time(shape: LedgerShape, name: str, place: sql.SQL | None = None) -> sql.Composable:
    """A time column as aware UTC, NULL where it is no time."""
    moment = _moment(shape, name, place or _ROW)
    return moment if moment is _NO_TIME else _fill("ledger", "time", {"moment": moment})


def _moment(shape: LedgerShape, name: str, place: sql.SQL) -> sql.Composable:
    """A time column as it is, aware; a naive one is read as UTC (FAILURES 12)."""
    if not shape.has(name) or shape.columns[name].base_type not in _TIME_TYPES:
        return _NO_TIME
    zone = "({}::timestamp AT TIME ZONE 'UTC')" if _is_naive(shape, name) else "{}::timestamptz"
    return sql.SQL(zone).format(place.format(sql.SQL(name)))


# --- the insert --------------------------------------------------------------------------------


def _insert_holes(shape: LedgerShape) -> dict[str, sql.Composable]:
    values = _insert_values(shape)
    return {
        "insert_columns": sql.SQL(", ").join(sql.Identifier(name) for name in values),
        "insert_values": sql.SQL(",\n    ").join(values.values()),
    }


def _insert_values(shape: LedgerShape) -> dict[str, sql.Composable]:
    """Column -> value. What the ledger demands is copied, what we know is set over it."""
    copied: dict[str, sql.Composable] = {
        name: sql.SQL("e.{}").format(sql.Identifier(name)) for name in shape.copied_columns
    }
    known = _known_values(shape)
    kept = {name: value for name, value in known.items() if _is_ours_to_fill(shape, name)}
    return {name: value for name, value in copied.items() if name not in known} | kept


def _is_ours_to_fill(shape: LedgerShape, name: str) -> bool:
    if not shape.has(name) or shape.columns[name].generated:
        return False
    # A client id belongs to the bot: it is left alone unless the table insists on one.
    return name != "client_order_id" or shape.columns[name].must_be_given


def _known_values(shape: LedgerShape) -> dict[str, sql.Composable]:
    """What is known of an EXIT row, from the candidate `c` or its ENTRY row `e`."""
    texts: dict[str, sql.Composable] = {
        "order_id": sql.SQL("c.order_id"),
        "action": sql.SQL("'EXIT'"),
        "status": sql.SQL("'filled'"),
        "side": _fill("ledger", "closing_side", {}),
        "exchange_order_id": _stored_exchange_order_id(shape),
        "client_order_id": sql.SQL("c.order_id"),
        "fee_currency": _stored_fee_currency(shape),
    }
    return {
        **{name: _as_column(shape, name, value) for name, value in texts.items()},
        **{name: _of_row(name, "e") for name in _FROM_ENTRY},
        **{name: sql.SQL("c.quantity") for name in ("quantity", "qty")},
        **{name: sql.SQL("now()") for name in ("created_at", "updated_at")},
        "price": sql.SQL("c.price"),
        "fee": _stored_fee(shape),
        "filled_at": _stored_filled_at(shape),
    }


_FROM_ENTRY = ("profile_id", "symbol", "trade_id", "position_side")


def _as_column(shape: LedgerShape, name: str, value: sql.Composable) -> sql.Composable:
    """Cast words for enums, uuids and numbers; never for text, where a cast cuts silently."""
    if not shape.has(name) or _is_text(shape.columns[name]):
        return value
    return sql.SQL("({})::{}").format(value, sql.SQL(shape.columns[name].type_name))


def _stored_exchange_order_id(shape: LedgerShape) -> sql.Composable:
    """No exchange order stands behind dust: NULL, unless the column insists on a value."""
    if _insists(shape, "exchange_order_id"):
        return sql.SQL("c.exchange_order_id")
    return sql.SQL("NULLIF(c.exchange_order_id, {})").format(sql.Literal(DUST_ORDER))


def _stored_fee(shape: LedgerShape) -> sql.Composable:
    """An unknown fee stays NULL; only a column that forbids NULL gets 0 (the audit keeps NULL)."""
    return sql.SQL("COALESCE(c.fee, 0)" if _insists(shape, "fee") else "c.fee")


def _stored_fee_currency(shape: LedgerShape) -> sql.Composable:
    if _insists(shape, "fee_currency"):
        return sql.SQL("COALESCE(c.fee_currency, e.fee_currency::text)")
    return sql.SQL("c.fee_currency")


def _stored_filled_at(shape: LedgerShape) -> sql.Composable:
    if shape.has("filled_at") and _is_naive(shape, "filled_at"):
        return sql.SQL("c.filled_at AT TIME ZONE 'UTC'")
    return sql.SQL("c.filled_at")


def _same_content(shape: LedgerShape, holes: Mapping[str, sql.Composable]) -> sql.Composed:
    """What must agree for a row found under the id to be the very row that was asked for."""
    same = [_equals(holes[name], name) for name in ("profile_id", "symbol", "trade_id")]
    same.append(sql.SQL("{} = 'EXIT'").format(holes["action"]))
    same += _same_quantities(shape, "c.quantity")
    if shape.has("price"):
        same.append(_same_number(shape, "price", "c.price"))
    if shape.has("exchange_order_id"):
        expected = _stored_exchange_order_id(shape)
        same.append(_same_or_null(holes["exchange_order_id"], expected))
    if shape.has("side"):
        same.append(sql.SQL("lower({}) IN (c.side, c.position_side)").format(holes["side"]))
    return sql.SQL("\n        AND ").join(same)


def _equals(column: sql.Composable, field: str) -> sql.Composed:
    return sql.SQL("{} = {}").format(column, _of_row(field, "c"))


def _same_or_null(column: sql.Composable, expected: sql.Composable) -> sql.Composed:
    return sql.SQL("{} IS NOT DISTINCT FROM {}").format(column, expected)


def _same_quantities(shape: LedgerShape, expected: str) -> list[sql.Composed]:
    return [_same_number(shape, name, expected) for name in shape.quantity_columns]


def _same_number(shape: LedgerShape, name: str, expected: str) -> sql.Composed:
    # A real compared with a numeric is widened first, and then 0.1 is no longer 0.1.
    cast = sql.SQL("::real" if shape.columns[name].base_type == "real" else "")
    return sql.SQL("{} = {}{}").format(_of_row(name), sql.SQL(expected), cast)


def _insists(shape: LedgerShape, name: str) -> bool:
    return shape.has(name) and not shape.columns[name].nullable


def _is_text(column: Column) -> bool:
    return column.base_type in _TEXT_TYPES


def _is_naive(shape: LedgerShape, name: str) -> bool:
    return shape.columns[name].base_type in _NAIVE_TYPES
