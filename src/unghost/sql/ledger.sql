-- The bot's table: what is read of it, and the one INSERT into it.

-- name: detect
-- section 1 of the checklist: the lifecycles that the ledger believes to be open
WITH lifecycle AS (
    SELECT
        profile_id,
        symbol,
        trade_id,
        SUM(CASE WHEN {action_word} = 'ENTRY' THEN COALESCE({quantities}, 0) ELSE 0 END) AS entry_qty,
        SUM(CASE WHEN {action_word} = 'EXIT' THEN COALESCE({quantities}, 0) ELSE 0 END) AS exit_qty
    FROM orders
    WHERE profile_id = %(profile_id)s
      AND {status_word} IN ('filled', 'partially_filled', 'partially-filled')
      AND trade_id IS NOT NULL
    GROUP BY profile_id, symbol, trade_id
)
SELECT
    profile_id,
    symbol,
    trade_id,
    entry_qty,
    exit_qty,
    (entry_qty - exit_qty) AS open_qty
FROM lifecycle
WHERE (entry_qty - exit_qty) > 0
ORDER BY symbol, trade_id;

-- name: open_lifecycles
-- the same for several profiles at once, or for some lifecycles alone; NaN counts as more than zero
-- and must be seen
WITH lifecycle AS (
    SELECT
        o.profile_id,
        o.symbol,
        o.trade_id,
        SUM(CASE WHEN {action} = 'ENTRY' THEN {counted} ELSE 0 END) AS entry_qty,
        SUM(CASE WHEN {action} = 'EXIT' THEN {counted} ELSE 0 END) AS exit_qty
    FROM orders AS o
    WHERE {of_profiles}
      AND {status} IN ('filled', 'partially_filled', 'partially-filled')
      AND o.trade_id IS NOT NULL
      AND (%(symbols)s::text[] IS NULL OR {symbol} = ANY(%(symbols)s::text[]))
    GROUP BY o.profile_id, o.symbol, o.trade_id
)
SELECT
    profile_id::text AS profile_id,
    COALESCE(symbol::text, '') AS symbol,
    trade_id::text AS trade_id,
    entry_qty::text AS entry_qty,
    exit_qty::text AS exit_qty,
    (entry_qty - exit_qty)::text AS open_qty
FROM lifecycle
WHERE (entry_qty - exit_qty) > 0
ORDER BY {in_order};

-- name: open_versions
-- the rows of the same lifecycles by id and version alone, to see right before a write what moved
WITH lifecycle AS (
    SELECT o.profile_id, o.symbol, o.trade_id
    FROM orders AS o
    WHERE {of_profiles}
      AND {status} IN ('filled', 'partially_filled', 'partially-filled')
      AND o.trade_id IS NOT NULL
      AND {symbol} = ANY(%(symbols)s::text[])
    GROUP BY o.profile_id, o.symbol, o.trade_id
    HAVING SUM(CASE WHEN {action} = 'ENTRY' THEN {counted} ELSE 0 END)
         - SUM(CASE WHEN {action} = 'EXIT' THEN {counted} ELSE 0 END) > 0
)
SELECT
    k.profile_id::text AS profile_id,
    COALESCE(k.symbol::text, '') AS symbol,
    k.trade_id::text AS trade_id,
    COALESCE(o.order_id::text, '') AS order_id,
    md5((o.*)::text) AS version
FROM lifecycle AS k
JOIN orders AS o ON {profile_id} = k.profile_id::text AND {trade_id} = k.trade_id::text;

-- name: touched_trades
-- a watermark with an index under it; it overlaps, because a transaction may commit late
SELECT DISTINCT {profile_id}::text AS profile_id, o.trade_id::text AS trade_id
FROM orders AS o
WHERE {profile_id} = ANY(%(profile_ids)s::text[])
  AND {latest} >= %(since)s::timestamptz
  AND o.trade_id IS NOT NULL;

-- name: moved_trades
-- which of these trades are not as they were read: every version of a row has a place and a
-- transaction of its own, whatever was changed in it. The index hands them out by place, so they
-- need no order; told in another one, they would be read again for nothing
SELECT k.profile_id, k.trade_id, found.mark
FROM unnest(%(profile_ids)s::text[], %(trade_ids)s::text[], %(marks)s::text[])
    AS k (profile_id, trade_id, mark)
CROSS JOIN LATERAL (
    SELECT COALESCE(
        string_agg(o.tableoid::text || o.ctid::text || o.xmin::text, ' '), 'none'
    ) AS mark
    FROM orders AS o
    WHERE {profile_id} = k.profile_id
      AND {trade_id} = k.trade_id
) AS found
WHERE found.mark <> k.mark;

-- name: has_profile
-- whether the ledger has a row of the profile at all
SELECT EXISTS (
    SELECT
    FROM orders AS o
    WHERE {profile_id} = %(profile_id)s::text
) AS has_profile;

-- name: several_profiles
-- an account that several profiles trade on
{profile_id} = ANY(%(profile_ids)s::text[])

-- name: one_profile
-- with one value the rows come out of the index in the order of their groups, and sort quicker
{profile_id} = (%(profile_ids)s::text[])[1]

-- name: by_profile
-- the order of what is asked of several profiles
lifecycle.profile_id, lifecycle.symbol, lifecycle.trade_id

-- name: within_profile
-- the checklist's own order: the planner sees that the groups have it already, and shares the work
-- between processes as it does for the checklist
lifecycle.symbol, lifecycle.trade_id

-- name: named_trades
-- the lifecycles of these trade_ids alone
({profile_id}, {trade_id}) IN (
        SELECT k.profile_id, k.trade_id
        FROM unnest(%(profile_ids)s::text[], %(trade_ids)s::text[]) AS k (profile_id, trade_id)
    )

-- name: row_columns
-- numbers travel as text, so that a float keeps its digits and NaN stays NaN
COALESCE(o.order_id::text, '') AS order_id,
    COALESCE(o.profile_id::text, '') AS profile_id,
    COALESCE(o.symbol::text, '') AS symbol,
    o.trade_id::text AS trade_id,
    o.action::text AS action,
    o.status::text AS status,
    COALESCE({o_quantities})::text AS quantity,
    {price} AS price,
    {side} AS side,
    {position_side} AS position_side,
    COALESCE({exchange_order_id}, recorded.exchange_order_id) AS exchange_order_id,
    COALESCE(recorded.exchange_client_order_id, {client_order_id}) AS client_order_id,
    {fee} AS fee,
    {fee_currency} AS fee_currency,
    {filled_at} AS filled_at,
    {created_at} AS created_at,
    {updated_at} AS updated_at,
    md5((o.*)::text) AS version

-- name: recorded
-- the exchange's ids of our own rows, for ledgers that have no column for them
LEFT JOIN LATERAL (
    SELECT a.exchange_order_id, a.exchange_client_order_id
    FROM reconciliation_backfill_audit AS a
    WHERE a.backfill_order_id = {order_id}
      AND {order_id} LIKE 'BFILL-%%'
    ORDER BY (a.decision = 'APPLIED') DESC, a.audit_id DESC
    LIMIT 1
) AS recorded ON true

-- name: rows_of_trades
-- every row of a trade_id, of any status and symbol: blockers and stray rows count too
SELECT {row_columns}
FROM unnest(%(profile_ids)s::text[], %(trade_ids)s::text[]) AS k (profile_id, trade_id)
JOIN orders AS o ON {profile_id} = k.profile_id AND {trade_id} = k.trade_id
{recorded};

-- name: time
-- what Python's calendar cannot hold (infinity, year 10000, BC) is no time
CASE
        WHEN {moment} >= '0001-01-01 00:00:00+00'::timestamptz
         AND {moment} < '9999-12-31 00:00:00+00'::timestamptz
        THEN {moment}
    END

-- name: entry_rows
-- the ENTRY rows alone, which give an EXIT row its direction
SELECT {row_columns}
FROM unnest(%(profile_ids)s::text[], %(trade_ids)s::text[]) AS k (profile_id, trade_id)
JOIN orders AS o ON {profile_id} = k.profile_id AND {trade_id} = k.trade_id
{recorded}
WHERE upper(btrim({action}, E' \t\n\r\f\x0b')) = 'ENTRY';

-- name: rows_by_order_id
-- whoever holds these ids, in whatever profile
SELECT {row_columns}
FROM orders AS o
{recorded}
WHERE {order_id} = ANY(%(order_ids)s::text[]);

-- name: latest
-- never before a row's own time, nor its last touch; what has no time counts as of all times
GREATEST(COALESCE({filled_time}, {created_time}, 'infinity'::timestamptz), {touched_moment})

-- name: accounting
-- rows in the window, and rows of any time that an id links. Each way is one that an index answers;
-- where one is missing, the table is read once for all of them
({latest} >= %(start_at)s::timestamptz
     AND {symbol} = ANY(%(symbols)s::text[])
     AND ({at} IS NULL OR {at} >= %(start_at)s::timestamptz))
    OR {order_id} = ANY(%(exchange_ids)s::text[])
    OR {exchange_order_id} = ANY(%(exchange_ids)s::text[])
    OR {client_order_id} = ANY(%(exchange_ids)s::text[])
    OR {order_id} = ANY(ARRAY(
        SELECT a.backfill_order_id
        FROM reconciliation_backfill_audit AS a
        WHERE a.backfill_order_id IS NOT NULL
          AND (a.exchange_order_id = ANY(%(exchange_ids)s::text[])
               OR a.exchange_client_order_id = ANY(%(exchange_ids)s::text[])){not_ignored}
    ))

-- name: not_ignored
-- what is being written stands in the record already: thousands of ids, to be looked through for
-- each row, that are left out anyhow
AND (a.backfill_order_id IN (SELECT unnest(%(ignoring)s::text[]))) IS NOT TRUE

-- name: account_rows
-- what already accounts for fills
SELECT {row_columns}
FROM orders AS o
{recorded}
WHERE {profile_id} = ANY(%(profile_ids)s::text[])
  AND {status_lower} = ANY(%(filled)s::text[])
  AND ({accounting});

-- name: held_rows
-- account_rows right before and after a write: what surely concerns a market is only compared;
-- OFFSET keeps `told` from being made for it
SELECT
    s.sure,
    COALESCE(o.symbol::text, '') AS held_symbol,
    COALESCE(o.order_id::text, '') AS held_id,
    md5((o.*)::text) AS held_version,
    told.*
FROM orders AS o
LEFT JOIN unnest(%(names)s::text[], %(starts)s::timestamptz[]) AS w (name, start_at)
    ON w.name = {symbol}
CROSS JOIN LATERAL (
    SELECT w.name IS NOT NULL AND ({at} IS NULL OR {at} >= w.start_at) AS sure
) AS s
LEFT JOIN LATERAL (
    SELECT {row_columns}
    FROM (SELECT) AS one
    {recorded}
    WHERE NOT s.sure
    OFFSET 0
) AS told ON true
WHERE {profile_id} = ANY(%(profile_ids)s::text[])
  AND {status_lower} = ANY(%(filled)s::text[])
  AND ({order_id} IN (SELECT unnest(%(ignoring)s::text[]))) IS NOT TRUE
  AND ({accounting_but});

-- name: rows_of_strangers
-- rows of profiles that are said to be of other accounts, and yet name an order of this one
SELECT {row_columns}
FROM orders AS o
{recorded}
WHERE {symbol} = ANY(%(symbols)s::text[])
  AND {profile_id} <> ALL(%(no_strangers)s::text[])
  AND (
      {order_id} = ANY(%(order_ids)s::text[])
      OR {exchange_order_id} = ANY(%(order_ids)s::text[])
      OR {order_id} = ANY(ARRAY(
          SELECT a.backfill_order_id
          FROM reconciliation_backfill_audit AS a
          WHERE a.backfill_order_id IS NOT NULL
            AND a.exchange_order_id = ANY(%(order_ids)s::text[])
      ))
  );

-- name: candidates
-- the rows to write, one array per field
SELECT *
    FROM unnest(
        %(order_ids)s::text[],
        %(profile_ids)s::text[],
        %(symbols)s::text[],
        %(trade_ids)s::text[],
        %(exchange_order_ids)s::text[],
        %(sides)s::text[],
        %(position_sides)s::text[],
        %(quantities)s::numeric[],
        %(prices)s::numeric[],
        %(fees)s::numeric[],
        %(fee_currencies)s::text[],
        %(filled_ats)s::timestamptz[]
    ) AS c (
        order_id, profile_id, symbol, trade_id, exchange_order_id, side, position_side,
        quantity, price, fee, fee_currency, filled_at
    )

-- name: insert
-- spellings and what the ledger demands besides come from the lifecycle's last ENTRY row
WITH candidate AS (
    {candidates}
), last_entry AS (
    SELECT DISTINCT ON (k.profile_id, k.symbol, k.trade_id)
        k.profile_id, k.symbol, k.trade_id, o.order_id AS entry_order_id
    FROM (SELECT DISTINCT profile_id, symbol, trade_id FROM candidate) AS k
    JOIN orders AS o
      ON {profile_id} = k.profile_id AND {symbol} = k.symbol AND {trade_id} = k.trade_id
    WHERE {action} = 'ENTRY'
      AND {status} IN ('filled', 'partially_filled', 'partially-filled')
    ORDER BY k.profile_id, k.symbol, k.trade_id, {at} DESC NULLS LAST, o.order_id DESC
)
INSERT INTO orders AS o ({insert_columns})
SELECT {insert_values}
FROM candidate AS c
JOIN last_entry USING (profile_id, symbol, trade_id)
JOIN orders AS e ON e.order_id = last_entry.entry_order_id
ORDER BY c.order_id
ON CONFLICT (order_id) DO NOTHING
RETURNING o.order_id::text AS order_id;

-- name: fire_deferred
-- what a deferred constraint or trigger would do to the rows at COMMIT it does now, before they are
-- read back
SET CONSTRAINTS ALL IMMEDIATE;

-- name: closing_side
-- BUY closes as SELL, buy as sell, Buy as Sell; a ledger of longs and shorts keeps its word
CASE
        WHEN lower(e.side::text) IN ('long', 'short') THEN e.side::text
        WHEN e.side::text = upper(e.side::text) THEN upper(c.side)
        WHEN e.side::text = initcap(e.side::text) THEN initcap(c.side)
        ELSE c.side
    END

-- name: read_back
-- DO NOTHING says nothing about what stands under the id: compare it, field by field, and tell of
-- each row that is not what was asked for
WITH candidate AS (
    {candidates}
), compared AS (
    SELECT
        c.order_id,
        o.order_id IS NOT NULL AS present,
        COALESCE({same_content}, false) AS same,
        COALESCE({status_lower} = ANY(%(filled)s::text[]), false) AS standing
    FROM candidate AS c
    LEFT JOIN orders AS o ON {order_id} = c.order_id
)
SELECT order_id, present, same, standing
FROM compared
WHERE NOT (present AND same AND standing)
ORDER BY order_id;

-- name: try_lock
-- without waiting; whoever gets it has it until the transaction ends
SELECT pg_try_advisory_xact_lock(hashtextextended(%(key)s, 0)) AS taken;

-- name: write_lock
-- the same, and room for the sets that a write compares: without it they are searched one by one
SELECT
    set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')) / 1024, 65536) || 'kB', true),
    pg_advisory_xact_lock(hashtextextended(%(key)s, 0));

-- name: lock
-- until the transaction ends; also behind a transaction pooler
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0));
