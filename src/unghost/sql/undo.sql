-- Taking a batch back, and forward again: a status, a time and a mark, nothing else.

-- name: rollback
-- section 9 of the checklist, whole
UPDATE orders
SET
    status = 'canceled'{touched}
WHERE order_id IN (
    SELECT backfill_order_id
    FROM reconciliation_backfill_audit
    WHERE batch_id = %(batch_id)s
      AND decision IN ('APPLIED', 'SKIP_EXISTING')
      AND backfill_order_id IS NOT NULL
);

-- name: mark_reverted
-- section 9 of the checklist, the marker
UPDATE reconciliation_backfill_audit
SET reverted_at = now()
WHERE batch_id = %(batch_id)s;

-- name: batch_rows
-- the rows that section 9 is about, with the batch that really inserted each
SELECT DISTINCT ON ({order_id})
    a.audit_id,
    a.profile_id,
    a.symbol,
    a.trade_id,
    a.decision,
    a.batch_id,
    a.reverted_at IS NOT NULL AS reverted,
    o.order_id::text AS order_id,
    COALESCE(o.status::text, '') AS status_before,
    COALESCE({o_quantities}, a.filled_qty, 0)::text AS quantity,
    COALESCE((
        SELECT origin.batch_id
        FROM reconciliation_backfill_audit AS origin
        WHERE origin.backfill_order_id = a.backfill_order_id
          AND origin.decision = 'APPLIED'
        ORDER BY origin.audit_id
        LIMIT 1
    ), a.batch_id) AS first_batch_id
FROM reconciliation_backfill_audit AS a
JOIN orders AS o ON {order_id} = a.backfill_order_id
WHERE a.batch_id = %(batch_id)s
  AND a.decision IN ('APPLIED', 'SKIP_EXISTING')
  AND (%(trade_id)s::text IS NULL OR a.trade_id = %(trade_id)s)
  AND (%(order_id)s::text IS NULL OR a.backfill_order_id = %(order_id)s)
ORDER BY {order_id}, a.audit_id;

-- name: holds
-- whether the batch has such a row at all; what else stands in its rows is not looked at
SELECT EXISTS (
    SELECT
    FROM reconciliation_backfill_audit
    WHERE batch_id = %(batch_id)s
      AND (%(trade_id)s::text IS NULL OR trade_id = %(trade_id)s)
      AND (%(order_id)s::text IS NULL OR backfill_order_id = %(order_id)s)
) AS holds;

-- name: lock_undoing
-- one undo at a time: row locks would demand a right on orders that the service is not given
SELECT pg_advisory_xact_lock(hashtextextended('unghost undo', 0));

-- name: hold_batch
-- an apply that is writing rows of the batch right now is waited for: they belong to the rollback
SELECT
FROM reconciliation_backfill_batch
WHERE batch_id = %(batch_id)s
FOR NO KEY UPDATE;

-- name: has_function
-- where the roles of `unghost grants` are in use, the function is the only way to a status
SELECT to_regprocedure('unghost_set_backfill_status(text[], text)') IS NOT NULL AS has_function;

-- name: set_by_function
-- section 9 by way of the function, which looks at the ids once more
SELECT order_id, status
FROM unghost_set_backfill_status(%(order_ids)s::text[], %(status)s);

-- name: set_canceled
-- section 9 for the rows that a preview named
UPDATE orders
SET
    status = 'canceled'{touched}
WHERE {bare_order_id} = ANY(%(order_ids)s::text[])
RETURNING order_id::text AS order_id, status::text AS status;

-- name: set_filled
-- the way back of section 9
UPDATE orders
SET
    status = 'filled'{touched}
WHERE {bare_order_id} = ANY(%(order_ids)s::text[])
RETURNING order_id::text AS order_id, status::text AS status;

-- name: mark
-- marks what is not marked yet; a row that was filled again since is marked anew
UPDATE reconciliation_backfill_audit
SET reverted_at = now()
WHERE batch_id = %(batch_id)s
  AND (%(trade_id)s::text IS NULL OR trade_id = %(trade_id)s)
  AND (%(order_id)s::text IS NULL OR backfill_order_id = %(order_id)s)
  AND (reverted_at IS NULL OR backfill_order_id = ANY(%(changed)s::text[]));

-- name: unmark
-- the rows that are filled again, and the rows of the batch that never stood for any
UPDATE reconciliation_backfill_audit
SET reverted_at = NULL
WHERE batch_id = %(batch_id)s
  AND (%(trade_id)s::text IS NULL OR trade_id = %(trade_id)s)
  AND reverted_at IS NOT NULL
  AND (decision NOT IN ('APPLIED', 'SKIP_EXISTING')
       OR backfill_order_id = ANY(%(changed)s::text[]));

-- name: would_over_close
-- the checklist's sums as they would be once these rows counted again
SELECT
    profile_id::text AS profile_id,
    symbol::text AS symbol,
    trade_id::text AS trade_id,
    SUM(CASE WHEN action::text = 'ENTRY' THEN COALESCE({quantities}, 0) ELSE 0 END)::text AS entry_qty,
    SUM(CASE WHEN action::text = 'EXIT' THEN COALESCE({quantities}, 0) ELSE 0 END)::text AS exit_qty
FROM orders
WHERE (profile_id, symbol, trade_id) IN (
        SELECT o.profile_id, o.symbol, o.trade_id
        FROM orders AS o
        WHERE {order_id} = ANY(%(order_ids)s::text[])
    )
  AND (status::text IN ('filled', 'partially_filled', 'partially-filled')
       OR {bare_order_id} = ANY(%(order_ids)s::text[]))
GROUP BY profile_id, symbol, trade_id
HAVING SUM(CASE WHEN action::text = 'EXIT' THEN COALESCE({quantities}, 0) ELSE 0 END)
     - SUM(CASE WHEN action::text = 'ENTRY' THEN COALESCE({quantities}, 0) ELSE 0 END) > {tolerance}
ORDER BY profile_id, symbol, trade_id;

-- name: tell
-- who did it: the audit row itself is fixed
INSERT INTO reconciliation_event (event_type, profile_id, payload)
SELECT
    %(event_type)s, b.profile_id,
    jsonb_build_object(
        'batch_id', b.batch_id, 'actor', %(actor)s::text, 'order_ids', %(changed)s::text[]
    )
FROM reconciliation_backfill_batch AS b
WHERE b.batch_id = %(batch_id)s;
