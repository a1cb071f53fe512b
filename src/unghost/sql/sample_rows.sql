-- The demo's ledger on its own embedded database, and what is looked at to prove what it shows.

-- name: empty
-- the demo starts anew each time; never run on any other database
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;

-- name: load
-- streamed, because a sample may be large
COPY orders ({columns}) FROM STDIN;

-- name: state
-- digests: of everything, of the bot's own rows, and of all that an undo must leave alone
SELECT
    count(*) AS rows,
    count(*) FILTER (WHERE starts_with(order_id, 'BFILL-')) AS backfill_rows,
    md5(string_agg(md5(o::text), '' ORDER BY order_id)) AS digest,
    md5(string_agg(md5(o::text), '' ORDER BY order_id)
        FILTER (WHERE NOT starts_with(order_id, 'BFILL-'))) AS digest_of_the_bots,
    md5(string_agg(md5((to_jsonb(o) - 'status' - 'updated_at')::text), '' ORDER BY order_id))
        AS digest_without_status
FROM orders AS o;
