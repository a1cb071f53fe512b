-- Indexes on the bot's table that make detection follow what is open. Nothing needs them, and only
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

-- name: touched_index
-- what the bot wrote last: where the loop's fast path begins
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unghost_touched
    ON orders (updated_at);

-- name: present
-- the table's kind and estimated length, and which of the three it has; `broken` are left overs of a
-- CREATE INDEX CONCURRENTLY that failed, which IF NOT EXISTS would take for whole
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
    COALESCE(bool_or(
        i.usable AND NOT i.partial
        AND (i.names[1] = 'updated_at' OR i.names[1:2] = '{profile_id,updated_at}')
    ), false) AS has_touched,
    COALESCE(array_agg(i.name) FILTER (WHERE NOT i.usable), '{}') AS broken
FROM pg_catalog.pg_class AS c
LEFT JOIN LATERAL (
    SELECT
        r.relname::text AS name,
        x.indisvalid AND x.indisready AND x.indislive AS usable,
        x.indpred IS NOT NULL AS partial,
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
