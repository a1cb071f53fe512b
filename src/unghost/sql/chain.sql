-- The chain over the record: where it ends, and everything that verifying it needs.

-- name: head
-- one row, if nobody meddled
SELECT seq, hash FROM reconciliation_chain_head;

-- name: links
-- every link, oldest first
SELECT
    seq, version, kind, audit_ids, states, digests, db_role,
    created_at::text AS created_at, previous_hash, hash
FROM reconciliation_chain
ORDER BY seq;

-- name: rows
-- each audit row as it stands, beside what the chain says of it; a FULL JOIN, so that neither a
-- row without a link nor a link without a row is overlooked
WITH linked AS (
    SELECT
        l.audit_id,
        count(*) FILTER (WHERE c.kind = 'written') AS times_written,
        min(l.digest) FILTER (WHERE c.kind = 'written') AS digest,
        (array_agg(l.state ORDER BY c.seq DESC))[1] AS state,
        max(c.seq) AS seq
    FROM reconciliation_chain AS c
    CROSS JOIN LATERAL unnest(c.audit_ids, c.states, c.digests) AS l (audit_id, state, digest)
    GROUP BY l.audit_id
)
SELECT
    COALESCE(a.audit_id, l.audit_id) AS audit_id,
    a.tableoid IS NOT NULL AS present,
    COALESCE(l.times_written, 0) AS times_written,
    l.digest,
    l.state,
    l.seq,
    a.batch_id, a.profile_id, a.symbol, a.trade_id, a.decision, a.reason,
    a.filled_qty::text AS filled_qty,
    a.open_qty::text AS open_qty,
    a.remainder_qty::text AS remainder_qty,
    a.price::text AS price,
    a.fee::text AS fee,
    a.fee_currency, a.backfill_order_id, a.exchange_order_id, a.exchange_client_order_id,
    a.filled_at::text AS filled_at,
    a.attribution, a.fingerprint,
    a.evidence::text AS evidence,
    a.actor,
    a.created_at::text AS created_at,
    a.reverted_at::text AS reverted_at,
    a.evidence->>'shared' AS shared,
    EXISTS (
        SELECT FROM reconciliation_evidence AS e WHERE e.digest = a.evidence->>'shared'
    ) AS shared_present
FROM reconciliation_backfill_audit AS a
FULL JOIN linked AS l ON l.audit_id = a.audit_id
ORDER BY 1;

-- name: evidence
-- what audit rows name by its digest
SELECT digest, body::text AS body
FROM reconciliation_evidence
ORDER BY digest;

-- name: giant_links
-- whether a link is so large (a million bytes) that few of them fit into memory at once; the stored
-- size is asked first, for it costs nothing
SELECT EXISTS (
    SELECT FROM reconciliation_chain AS c
    WHERE pg_column_size(c.*) > 2000 AND octet_length(c::text) > 1000000
) AS giant;

-- name: giant_rows
-- the same of audit rows
SELECT EXISTS (
    SELECT FROM reconciliation_backfill_audit AS a
    WHERE pg_column_size(a.*) > 2000 AND octet_length(a::text) > 1000000
) AS giant;

-- name: giant_evidence
-- the same of what rows share
SELECT EXISTS (
    SELECT FROM reconciliation_evidence AS e
    WHERE pg_column_size(e.*) > 2000 AND octet_length(e::text) > 1000000
) AS giant;
