-- Imported files of fills: kept once each, and read by the markets that they concern.

-- name: keep_file
-- the same file again is nothing new; what is stated about it now holds from now on
INSERT INTO reconciliation_fill_file AS f
    (profile_id, file_name, sha256, kind, zone, actor, window_from, window_to, one_way)
VALUES
    (%(profile_id)s, %(file_name)s, %(sha256)s, %(kind)s, %(zone)s, %(actor)s,
     %(window_from)s, %(window_to)s, %(one_way)s)
ON CONFLICT (profile_id, sha256) DO NOTHING
RETURNING file_id;

-- name: kept_file
-- the file as it was kept, locked for a statement about it
SELECT file_id, zone, window_from, window_to, one_way
FROM reconciliation_fill_file
WHERE profile_id = %(profile_id)s AND sha256 = %(sha256)s
FOR UPDATE;

-- name: restate
-- a new statement about a file that is kept already; its rows stay as they are
UPDATE reconciliation_fill_file
SET
    window_from = %(window_from)s,
    window_to = %(window_to)s,
    one_way = %(one_way)s,
    actor = %(actor)s
WHERE file_id = %(file_id)s;

-- name: keep_fills
INSERT INTO reconciliation_file_fill
    (file_id, line, symbol, side, position_side, quantity, in_contracts, price, fees, filled_at,
     fill_id, exchange_order_id, digest)
SELECT
    %(file_id)s, line, symbol, side, position_side, quantity, in_contracts, price, fees::jsonb,
    filled_at, fill_id, exchange_order_id, digest
FROM unnest(
    %(lines)s::integer[], %(symbols)s::text[], %(sides)s::text[], %(position_sides)s::text[],
    %(quantities)s::numeric[], %(in_contracts)s::boolean[], %(prices)s::numeric[],
    %(fees)s::text[], %(filled_at)s::timestamptz[], %(fill_ids)s::text[],
    %(exchange_order_ids)s::text[], %(digests)s::text[]
) AS given (line, symbol, side, position_side, quantity, in_contracts, price, fees, filled_at,
            fill_id, exchange_order_id, digest);

-- name: covering
-- every file of the profiles that has a row of one of the symbols, with those rows
SELECT
    f.file_id, f.file_name, f.sha256, f.kind, f.actor, f.imported_at, f.window_from, f.window_to,
    f.one_way, r.line, r.symbol, r.side, r.position_side, r.quantity, r.in_contracts, r.price,
    r.fees::text AS fees, r.filled_at, r.fill_id, r.exchange_order_id, r.digest
FROM reconciliation_fill_file AS f
JOIN reconciliation_file_fill AS r USING (file_id)
WHERE f.profile_id = ANY(%(profile_ids)s::text[])
  AND r.symbol = ANY(%(symbols)s::text[])
ORDER BY f.imported_at, f.file_id, r.filled_at, r.line;
