-- What must hold afterwards, and whether the record can be kept at all.

-- name: validate
-- section 8 of the checklist: lifecycles that are still open by more than next to nothing
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
SELECT *
FROM lifecycle
WHERE (entry_qty - exit_qty) > 0.000001
ORDER BY symbol, trade_id;

-- name: ghosts_left
-- the same, with numbers as text: a float keeps its digits, NaN stays NaN
SELECT
    ghost.profile_id::text AS profile_id,
    COALESCE(ghost.symbol::text, '') AS symbol,
    ghost.trade_id::text AS trade_id,
    ghost.entry_qty::text AS entry_qty,
    ghost.exit_qty::text AS exit_qty
FROM ({validate}) AS ghost
ORDER BY ghost.symbol, ghost.trade_id;

-- name: decisions
-- section 8 of the checklist: audit rows by decision
SELECT
    decision,
    COUNT(*) AS rows
FROM reconciliation_backfill_audit
WHERE profile_id = %(profile_id)s
GROUP BY decision
ORDER BY decision;

-- name: over_closed
-- a real EXIT came after ours: the lifecycle, and our rows in it that it supersedes
WITH lifecycle AS (
    SELECT
        o.profile_id,
        o.symbol,
        o.trade_id,
        SUM(CASE WHEN {action} = 'ENTRY' THEN {counted} ELSE 0 END) AS entry_qty,
        SUM(CASE WHEN {action} = 'EXIT' THEN {counted} ELSE 0 END) AS exit_qty
    FROM orders AS o
    WHERE {profile_id} = %(profile_id)s
      AND {status} IN ('filled', 'partially_filled', 'partially-filled')
      AND o.trade_id IS NOT NULL
    GROUP BY o.profile_id, o.symbol, o.trade_id
)
SELECT
    l.profile_id::text AS profile_id,
    COALESCE(l.symbol::text, '') AS symbol,
    l.trade_id::text AS trade_id,
    l.entry_qty::text AS entry_qty,
    l.exit_qty::text AS exit_qty,
    o.order_id::text AS order_id,
    COALESCE({o_quantities})::text AS quantity,
    (
        SELECT a.batch_id
        FROM reconciliation_backfill_audit AS a
        WHERE a.backfill_order_id = o.order_id::text
          AND a.decision = 'APPLIED'
        ORDER BY a.audit_id
        LIMIT 1
    ) AS batch_id
FROM lifecycle AS l
LEFT JOIN orders AS o
  ON o.profile_id = l.profile_id
 AND o.symbol IS NOT DISTINCT FROM l.symbol
 AND o.trade_id = l.trade_id
 AND o.order_id LIKE 'BFILL-%%'
 AND {status} IN ('filled', 'partially_filled', 'partially-filled')
WHERE (l.exit_qty - l.entry_qty) > {tolerance}
ORDER BY l.profile_id, l.symbol, l.trade_id, {at} DESC NULLS LAST, o.order_id DESC;

-- name: superseded
-- the same for lifecycles that we have written to: what a cycle asks, without reading the rest
WITH ours AS (
    SELECT DISTINCT a.trade_id
    FROM reconciliation_backfill_audit AS a
    WHERE a.profile_id = %(profile_id)s
      AND a.decision = 'APPLIED'
), lifecycle AS (
    SELECT
        o.profile_id,
        o.symbol,
        o.trade_id,
        SUM(CASE WHEN {action} = 'ENTRY' THEN {counted} ELSE 0 END) AS entry_qty,
        SUM(CASE WHEN {action} = 'EXIT' THEN {counted} ELSE 0 END) AS exit_qty
    FROM ours
    JOIN orders AS o ON {profile_id} = %(profile_id)s AND {trade_id} = ours.trade_id
    WHERE {status} IN ('filled', 'partially_filled', 'partially-filled')
    GROUP BY o.profile_id, o.symbol, o.trade_id
)
SELECT
    l.profile_id::text AS profile_id,
    COALESCE(l.symbol::text, '') AS symbol,
    l.trade_id::text AS trade_id,
    l.entry_qty::text AS entry_qty,
    l.exit_qty::text AS exit_qty,
    o.order_id::text AS order_id,
    COALESCE({o_quantities})::text AS quantity,
    (
        SELECT a.batch_id
        FROM reconciliation_backfill_audit AS a
        WHERE a.backfill_order_id = o.order_id::text
          AND a.decision = 'APPLIED'
        ORDER BY a.audit_id
        LIMIT 1
    ) AS batch_id
FROM lifecycle AS l
JOIN orders AS o
  ON o.profile_id = l.profile_id
 AND o.symbol IS NOT DISTINCT FROM l.symbol
 AND o.trade_id = l.trade_id
 AND {order_id} LIKE 'BFILL-%%'
 AND {status} IN ('filled', 'partially_filled', 'partially-filled')
WHERE (l.exit_qty - l.entry_qty) > {tolerance}
ORDER BY l.profile_id, l.symbol, l.trade_id, {at} DESC NULLS LAST, o.order_id DESC;

-- name: try_batch
-- tried and taken back: shows that the record can be kept before anything rests on it
INSERT INTO reconciliation_backfill_batch (batch_id, profile_id, mode, status, actor)
VALUES (%(batch_id)s, 'none', 'dry_run', 'running', 'unghost');

-- name: try_evidence
-- the same for evidence that several rows share
INSERT INTO reconciliation_evidence (digest, body)
SELECT encode(sha256(convert_to(t.body::text, 'UTF8')), 'hex'), t.body
FROM (SELECT jsonb_build_object('tried', %(batch_id)s::text) AS body) AS t;

-- name: try_audit
-- the same for an audit row, and for the one change that an apply makes to it
INSERT INTO reconciliation_backfill_audit (
    batch_id, profile_id, symbol, trade_id, decision, reason, actor
)
VALUES (%(batch_id)s, 'none', 'none', 'none', 'PENDING_APPLY', 'fill_evidence', 'unghost');

-- name: try_settle
-- an intent that could not be settled would stay open for ever
UPDATE reconciliation_backfill_audit
SET decision = 'NO_GO', reason = 'interrupted_before_apply'
WHERE batch_id = %(batch_id)s;
