-- The record looked back upon, for people: what was last decided, at which gates, and since when.

-- name: last_decisions
-- a lifecycle may have several rows in one batch; those of the latest batch that judged it count
SELECT
    a.symbol,
    a.trade_id,
    a.batch_id,
    a.decision,
    a.reason,
    a.created_at,
    a.evidence->>'direction' AS direction,
    a.evidence->>'market' AS market,
    a.evidence->>'ledger_unit' AS ledger_unit
FROM {whole_audit} AS a
JOIN (
    SELECT DISTINCT ON (symbol, trade_id) symbol, trade_id, batch_id
    FROM reconciliation_backfill_audit
    WHERE profile_id = %(profile_id)s
    ORDER BY symbol, trade_id, created_at DESC, audit_id DESC
) AS latest USING (symbol, trade_id, batch_id)
WHERE a.profile_id = %(profile_id)s
ORDER BY a.symbol, a.trade_id, a.audit_id;

-- name: gates
-- one account of the gates for each lifecycle of a batch, and when it was written down
SELECT DISTINCT ON (symbol, trade_id)
    created_at,
    evidence->'gates' AS gates
FROM {whole_audit} AS whole
WHERE batch_id = %(batch_id)s
ORDER BY symbol, trade_id, jsonb_array_length(COALESCE(evidence->'gates', '[]')) DESC, audit_id;

-- name: lives
-- a ghost begins when the exchange executes the exit; min() because a rest may be closed as dust
SELECT
    profile_id,
    symbol,
    trade_id,
    min(filled_at) AS began_at,
    max(created_at) AS seen_at
FROM reconciliation_backfill_audit
WHERE profile_id = ANY(%(profile_ids)s::text[])
  AND filled_at IS NOT NULL
  AND decision <> 'NO_GO'
GROUP BY profile_id, symbol, trade_id;

-- name: closings
-- what each batch closed, and since when it is rolled back; a reinstate takes that time away again
SELECT
    profile_id,
    symbol,
    trade_id,
    max(created_at) AS applied_at,
    min(reverted_at) AS reverted_at
FROM reconciliation_backfill_audit
WHERE profile_id = ANY(%(profile_ids)s::text[])
  AND decision = 'APPLIED'
GROUP BY profile_id, symbol, trade_id, batch_id
ORDER BY applied_at;
