"""Ledgers as bots really keep them: the DDL of `orders`, and what unghost must make of each."""

from __future__ import annotations

STANDARD = """
CREATE TABLE orders (
    order_id text PRIMARY KEY, profile_id text NOT NULL, symbol text NOT NULL, trade_id text,
    action text NOT NULL, side text, status text NOT NULL, quantity numeric(20, 8), qty numeric,
    price numeric(20, 10), fee numeric(18, 6), fee_currency text, exchange_order_id text,
    client_order_id text, filled_at timestamptz, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
)"""

QTY_ONLY = """
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id varchar(64) NOT NULL UNIQUE,
    profile_id text NOT NULL, symbol text NOT NULL, trade_id text, action text, status text,
    qty double precision, price double precision, created_at timestamp DEFAULT now()
)"""

DEMANDING = """
CREATE TABLE orders (
    order_id text UNIQUE, profile_id text, symbol text, trade_id text, action text, status text,
    quantity integer, price numeric, filled_at timestamptz,
    venue text NOT NULL, strategy text NOT NULL, leverage int NOT NULL DEFAULT 1,
    side text NOT NULL, position_side text NOT NULL, note text
)"""

ENUMS = """
CREATE TYPE order_status AS ENUM ('new', 'filled', 'canceled');
CREATE TYPE order_action AS ENUM ('ENTRY', 'EXIT');
CREATE TABLE orders (
    order_id text UNIQUE, profile_id text, symbol text, trade_id text, action order_action,
    status order_status, quantity numeric, price numeric, filled_at timestamptz
)"""

DOMAINS = """
CREATE DOMAIN amount AS numeric(20, 5);
CREATE DOMAIN label AS varchar(64) NOT NULL DEFAULT 'none';
CREATE TABLE orders (
    order_id text UNIQUE, profile_id text, symbol text, trade_id text, action text, status text,
    quantity amount, price amount, filled_at timestamptz, tag label
)"""

GENERATED_TWIN = """
CREATE TABLE orders (
    order_id text UNIQUE, profile_id text, symbol text, trade_id text, action text, status text,
    quantity numeric, qty numeric GENERATED ALWAYS AS (quantity) STORED, price numeric,
    filled_at timestamptz
)"""

PARTITIONED = """
CREATE TABLE orders (
    order_id text UNIQUE, profile_id text, symbol text, trade_id text, action text, status text,
    quantity numeric, price numeric, filled_at timestamptz
) PARTITION BY HASH (order_id);
CREATE TABLE orders_0 PARTITION OF orders FOR VALUES WITH (MODULUS 1, REMAINDER 0)"""

CHECKED = """
CREATE DOMAIN word AS varchar(20) CHECK (VALUE IN ('new', 'filled', 'canceled'));
CREATE TABLE orders (
    order_id text UNIQUE, profile_id text, symbol text, trade_id text,
    action varchar(8) CHECK (action IN ('ENTRY', 'EXIT')), status word CHECK (length(status) > 2),
    quantity numeric CHECK (quantity > 0), price numeric CHECK (price = ANY ('{40000, 41000}')),
    filled_at timestamptz, CHECK (status = 'filled' OR action <> 'ENTRY')
)"""

NUMBERED = """
CREATE SEQUENCE "Rows of all";
CREATE TABLE orders (
    id bigserial PRIMARY KEY, nr bigint NOT NULL DEFAULT nextval('"Rows of all"'),
    order_id text UNIQUE, profile_id text, symbol text, trade_id text, action text, status text,
    quantity numeric, price numeric, filled_at timestamptz
)"""

FIT = {
    "standard": STANDARD,
    "qty only": QTY_ONLY,
    "demanding": DEMANDING,
    "enums": ENUMS,
    "domains": DOMAINS,
    "generated twin": GENERATED_TWIN,
    "partitioned": PARTITIONED,
    "checked": CHECKED,
    "numbered": NUMBERED,
}
"""Ledgers that can be written as they are."""


def _after(*statements: str) -> str:
    return "; ".join(statements)


_PLAIN = """
CREATE TABLE orders (
    order_id text, profile_id text, symbol text, trade_id text, action text, status text,
    quantity numeric, price numeric, filled_at timestamptz, created_at timestamptz
)"""

_CANCELLED = "CHECK (status IN ('new', 'filled', 'cancelled', 'it''s odd'))"

_CITEXT = """
CREATE TYPE citext;
CREATE FUNCTION citextin(cstring) RETURNS citext
    LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION citextout(citext) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, LIKE = text);
CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT;
"""
"""As the extension begins; the embedded server does not have it."""

UNFIT = {
    "no index": (_PLAIN, "no unique index on order_id alone"),
    "index of two": (
        _after(_PLAIN, "CREATE UNIQUE INDEX pair ON orders (profile_id, order_id)"),
        "no unique index on order_id alone",
    ),
    "partial index": (
        _after(_PLAIN, "CREATE UNIQUE INDEX part ON orders (order_id) WHERE status = 'filled'"),
        "part on order_id is partial",
    ),
    "index of an expression": (
        _after(_PLAIN, "CREATE UNIQUE INDEX folded ON orders (lower(order_id))"),
        "no unique index on order_id alone",
    ),
    "deferrable": (
        _after(_PLAIN, "ALTER TABLE orders ADD CONSTRAINT late UNIQUE (order_id) DEFERRABLE"),
        "late on order_id is deferrable",
    ),
    "invalid index": (
        _after(
            _PLAIN,
            "CREATE UNIQUE INDEX broken ON orders (order_id)",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
        ),
        "broken on order_id is not valid",
    ),
    "view": (
        _after(
            _PLAIN,
            "ALTER TABLE orders RENAME TO kept",
            "CREATE VIEW orders AS SELECT * FROM kept",
        ),
        "orders is a view",
    ),
    "materialized view": (
        _after(
            _PLAIN,
            "ALTER TABLE orders RENAME TO kept",
            "CREATE MATERIALIZED VIEW orders AS SELECT * FROM kept",
        ),
        "orders is a materialized view",
    ),
    "heirs": (
        _after(STANDARD, "CREATE TABLE old_orders () INHERITS (orders)"),
        "Other tables inherit from orders",
    ),
    "rules": (
        _after(STANDARD, "CREATE RULE twice AS ON INSERT TO orders DO ALSO NOTHING"),
        "rewrite rules",
    ),
    "no trade_id": (_after(STANDARD, "ALTER TABLE orders DROP trade_id"), "no column trade_id"),
    "no quantity": (
        _after(STANDARD, "ALTER TABLE orders DROP quantity, DROP qty"),
        "neither a column quantity nor qty",
    ),
    "no time": (
        _after(STANDARD, "ALTER TABLE orders DROP filled_at, DROP created_at"),
        "neither a column filled_at nor created_at",
    ),
    "text quantity": (
        _after(STANDARD, "ALTER TABLE orders ALTER qty TYPE text"),
        "Column qty of orders is text: it must be a number",
    ),
    "epoch times": (
        _after(
            STANDARD, "ALTER TABLE orders DROP filled_at; ALTER TABLE orders ADD filled_at bigint"
        ),
        "Column filled_at of orders is bigint: it must be a timestamp",
    ),
    "short order_id": (
        _after(STANDARD, "ALTER TABLE orders ALTER order_id TYPE varchar(36)"),
        "it must hold texts of 38 characters",
    ),
    "uuid order_id": (
        _PLAIN.replace("order_id text", "order_id uuid UNIQUE"),
        "Column order_id of orders is uuid",
    ),
    "status without canceled": (
        "CREATE TYPE order_status AS ENUM ('new', 'filled');"
        + STANDARD.replace("status text", "status order_status"),
        "it cannot hold 'canceled'",
    ),
    "status checked by a list": (
        STANDARD.replace("status text NOT NULL", f"status text NOT NULL {_CANCELLED}"),
        "Column status of orders is text: it cannot hold 'canceled'",
    ),
    "status checked by a list, with casts": (
        STANDARD.replace("status text NOT NULL", f"status varchar(20) NOT NULL {_CANCELLED}"),
        "it cannot hold 'canceled'",
    ),
    "status of a domain with a list": (
        "CREATE DOMAIN label AS text CHECK (VALUE IN ('new', 'filled', 'cancelled'));"
        + STANDARD.replace("status text", "status label"),
        "it cannot hold 'canceled'",
    ),
    "action checked by a list": (
        STANDARD.replace("action text", "action text CHECK (action IN ('ENTRY', 'CLOSE'))"),
        "Column action of orders is text: it cannot hold 'EXIT'",
    ),
    "trade_id without case": (
        _CITEXT + STANDARD.replace("trade_id text", "trade_id citext"),
        "Column trade_id of orders is citext and takes different spellings for one",
    ),
    "profile_id without case": (
        _CITEXT
        + "CREATE DOMAIN name_of_profile AS citext;"
        + STANDARD.replace("profile_id text", "profile_id name_of_profile"),
        "Column profile_id of orders is name_of_profile and takes different spellings for one",
    ),
    "short status": (
        _after(STANDARD, "ALTER TABLE orders ALTER status TYPE varchar(6)"),
        "it cannot hold 'canceled'",
    ),
    "unique without default": (
        _after(STANDARD, "ALTER TABLE orders ADD serial_number int NOT NULL UNIQUE"),
        "Column serial_number of orders is unique, NOT NULL and without a default",
    ),
    "all quantities generated": (
        _PLAIN.replace("order_id text", "order_id text UNIQUE").replace(
            "quantity numeric", "lots int, quantity numeric GENERATED ALWAYS AS (lots * 10) STORED"
        ),
        "Every quantity column of orders is generated",
    ),
    "generated symbol": (
        _PLAIN.replace("order_id text", "order_id text UNIQUE").replace(
            "symbol text", "pair text, symbol text GENERATED ALWAYS AS (upper(pair)) STORED"
        ),
        "Column symbol of orders is generated",
    ),
    "one row for each lifecycle": (
        _after(STANDARD, "CREATE UNIQUE INDEX once ON orders (profile_id, trade_id)"),
        "once on (profile_id, trade_id) allows one row for each lifecycle",
    ),
}
"""Ledgers that must not be written, and a piece of the sentence that says why."""
