-- Indexes on the bot's table that make a cycle follow what is open and what is new. Nothing needs them, and only
-- `unghost init --indexes` makes them: CONCURRENTLY, so that the bot goes on writing.

-- name: detection_index
-- everything that section 1 of the checklist asks of a row, in the order in which it is grouped
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unghost_detection
    ON orders (profile_id, symbol, trade_id)
    INCLUDE (action, {quantities})
    WHERE status IN ('filled', 'partially_filled', 'partially-filled')
      AND trade_id IS NOT NULL;

-- name: lifecycle_index
-- all rows of one lifecycle, of whatever status
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unghost_lifecycle
    ON orders (profile_id, trade_id);

-- name: times_index
-- what the bot wrote last, where the loop's fast path begins; and what lies in a window of time
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unghost_times
    ON orders (profile_id, ({indexed}));

-- name: exchange_order_index
-- which row names an order of the exchange, of whatever time
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unghost_exchange_order
    ON orders (exchange_order_id)
    WHERE exchange_order_id IS NOT NULL;

-- name: client_order_index
-- the same by the id that the bot gave it
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unghost_client_order
    ON orders (client_order_id)
    WHERE client_order_id IS NOT NULL;

-- name: present
-- the table's kind and estimated length, and which of the five it has; `broken` are left overs of a
-- CREATE INDEX CONCURRENTLY that failed, which IF NOT EXISTS would take for whole, and one on times
-- that was made when the table had other columns of time
SELECT
    c.relkind = 'r' AS plain,
    GREATEST(c.reltuples, 0)::bigint AS rows,
    COALESCE(bool_or(i.usable AND i.partial AND i.names[1:3] = '{profile_id,symbol,trade_id}'), false)
        AS has_detection,
    COALESCE(bool_or(
        i.usable AND NOT i.partial
        AND (i.names[1:2] IN ('{profile_id,trade_id}', '{trade_id,profile_id}')
             OR i.names[1] = 'trade_id')
    ), false) AS has_lifecycle,
    COALESCE(bool_or(i.usable AND i.on_times), false) AS has_times,
    COALESCE(bool_or(
        i.usable AND i.names[1] = 'exchange_order_id'
        AND (NOT i.partial OR i.condition = '(exchange_order_id IS NOT NULL)')
    ), false) AS has_exchange_order,
    COALESCE(bool_or(
        i.usable AND i.names[1] = 'client_order_id'
        AND (NOT i.partial OR i.condition = '(client_order_id IS NOT NULL)')
    ), false) AS has_client_order,
    COALESCE(
        array_agg(i.name) FILTER (
            WHERE NOT i.usable OR (i.name = 'orders_unghost_times' AND NOT i.on_times)
        ),
        '{}'
    ) AS broken
FROM pg_catalog.pg_class AS c
LEFT JOIN LATERAL (
    SELECT
        r.relname::text AS name,
        x.indisvalid AND x.indisready AND x.indislive AS usable,
        x.indpred IS NOT NULL AS partial,
        pg_get_expr(x.indpred, x.indrelid) AS condition,
        r.relname = 'orders_unghost_times'
            AND ARRAY(
                SELECT a.attname::text
                FROM pg_catalog.pg_depend AS d
                JOIN pg_catalog.pg_attribute AS a
                    ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.objid = x.indexrelid
                  AND d.classid = 'pg_catalog.pg_class'::regclass
                  AND d.refclassid = 'pg_catalog.pg_class'::regclass
                  AND d.refobjid = x.indrelid
            ) @> %(times)s::text[] AS on_times,
        ARRAY(
            SELECT a.attname::text
            FROM generate_series(0, x.indnkeyatts - 1) AS place
            LEFT JOIN pg_catalog.pg_attribute AS a
                ON a.attrelid = x.indrelid AND a.attnum = x.indkey[place] AND a.attnum > 0
            ORDER BY place
        ) AS names
    FROM pg_catalog.pg_index AS x
    JOIN pg_catalog.pg_class AS r ON r.oid = x.indexrelid
    WHERE x.indrelid = c.oid
) AS i ON true
WHERE c.oid = to_regclass('orders')
GROUP BY c.oid, c.relkind, c.reltuples;

-- name: drop_broken
-- only one of ours is ever taken away, and only to be made anew
DROP INDEX CONCURRENTLY IF EXISTS {broken};

-- name: take_stock
-- of an expression the planner knows nothing until somebody has counted
ANALYZE orders;
