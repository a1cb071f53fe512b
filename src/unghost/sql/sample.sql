-- A ledger for those who have none yet; only ever made on the embedded database.

-- name: orders_present
-- a table of the bot's own is left alone
SELECT to_regclass('orders') IS NOT NULL AS present;

-- name: create_orders
-- the columns that the checklist names, and those that bots usually keep
CREATE TABLE orders (
    order_id           text NOT NULL UNIQUE,
    profile_id         text,
    symbol             text,
    trade_id           text,
    action             text,
    side               text,
    status             text,
    quantity           numeric(28, 12),
    qty                numeric(28, 12),
    price              numeric(28, 12),
    exchange_order_id  text,
    client_order_id    text,
    position_side      text,
    fee                numeric(28, 12),
    fee_currency       text,
    filled_at          timestamptz,
    created_at         timestamptz DEFAULT now(),
    updated_at         timestamptz DEFAULT now()
);

-- name: index_orders
-- what every question of unghost starts from
CREATE INDEX orders_lifecycle ON orders (profile_id, trade_id);
