-- The record: batches, and what was decided in them.

-- name: verify
-- section 5 of the checklist: what the dry run decided
SELECT
    batch_id,
    profile_id,
    symbol,
    trade_id,
    decision,
    reason,
    filled_qty,
    backfill_order_id,
    created_at
FROM reconciliation_backfill_audit
WHERE profile_id = %(profile_id)s
ORDER BY created_at DESC
LIMIT 200;

-- name: dry_run_rows
-- section 5 of the checklist: proves that a dry run left orders alone
SELECT COUNT(*) AS dry_run_backfill_rows
FROM orders
WHERE profile_id = %(profile_id)s
  AND order_id LIKE 'BFILL-%%';

-- name: applied_rows
-- section 7 of the checklist: the rows that an apply inserted
SELECT
    order_id,
    profile_id,
    symbol,
    trade_id,
    action,
    status,
    {qty},
    price,
    {times}
FROM orders
WHERE profile_id = %(profile_id)s
  AND order_id LIKE 'BFILL-%%'
ORDER BY {written_at} DESC;

-- name: start_batch
-- the id carries the database's time, so that batches sort by name
INSERT INTO reconciliation_backfill_batch (
    batch_id, profile_id, mode, status, actor, plan_batch_id, settings, notes
)
VALUES (
    to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"') || %(suffix)s::text,
    %(profile_id)s, %(mode)s, 'running', %(actor)s, %(plan_batch_id)s,
    %(settings)s::jsonb, %(notes)s::text[]
)
RETURNING batch_id;

-- name: finish_batch
-- the counts are taken from the audit, never from what the run believes; a batch ends once
UPDATE reconciliation_backfill_batch AS b
SET
    status = %(status)s,
    finished_at = clock_timestamp(),
    counts = {counts},
    calls = %(calls)s::jsonb,
    notes = b.notes || %(notes)s::text[]
WHERE b.batch_id = %(batch_id)s
  AND b.status = 'running'
RETURNING b.*;

-- name: counts
-- rows of the batch by decision
COALESCE((
        SELECT jsonb_object_agg(t.decision, t.n)
        FROM (
            SELECT a.decision, count(*) AS n
            FROM reconciliation_backfill_audit AS a
            WHERE a.batch_id = b.batch_id
            GROUP BY a.decision
        ) AS t
    ), '{{}}'::jsonb)

-- name: batch
-- one batch by its id
SELECT * FROM reconciliation_backfill_batch WHERE batch_id = %(batch_id)s;

-- name: batches
-- the latest batches of a profile
SELECT *
FROM reconciliation_backfill_batch
WHERE profile_id = %(profile_id)s
ORDER BY started_at DESC, batch_id DESC
LIMIT %(limit)s;

-- name: newest_audit
-- ids that are given from now on are above it; and room for the rows that the chain is made of
SELECT
    COALESCE(max(audit_id), 0) AS audit_id,
    set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')) / 1024, 65536) || 'kB', true)
FROM reconciliation_backfill_audit;

-- name: write_audit
-- the ids rise in the order given; COPY takes half the time of arrays
COPY reconciliation_backfill_audit (
    batch_id, actor, profile_id, symbol, trade_id, decision, reason,
    filled_qty, open_qty, remainder_qty, price, fee, fee_currency,
    backfill_order_id, exchange_order_id, exchange_client_order_id, filled_at,
    attribution, fingerprint, evidence
)
FROM STDIN;

-- name: keep_evidence
-- what several audit rows share, by its digest; in the order of the digests, so that two runs that
-- keep the same wait for each other and no more
WITH named AS MATERIALIZED (
    SELECT g.place, g.body, encode(sha256(convert_to(g.body::text, 'UTF8')), 'hex') AS digest
    FROM (
        SELECT place, told::jsonb AS body
        FROM unnest(%(bodies)s::text[]) WITH ORDINALITY AS u (told, place)
    ) AS g
), kept AS (
    INSERT INTO reconciliation_evidence (digest, body)
    SELECT DISTINCT ON (digest) digest, body
    FROM named
    ORDER BY digest
    ON CONFLICT (digest) DO NOTHING
)
SELECT digest FROM named ORDER BY place;

-- name: written_audit
-- what was just written: no other run writes into this batch
SELECT audit_id
FROM reconciliation_backfill_audit
WHERE audit_id > %(newest)s
  AND batch_id = %(batch_id)s;

-- name: whole_audit
-- the audit for reading: every row with all of its evidence
(
    SELECT
        a.audit_id, a.batch_id, a.profile_id, a.symbol, a.trade_id, a.decision, a.reason,
        a.filled_qty, a.open_qty, a.remainder_qty, a.price, a.fee, a.fee_currency,
        a.backfill_order_id, a.exchange_order_id, a.exchange_client_order_id, a.filled_at,
        a.attribution, a.fingerprint,
        CASE
            WHEN e.digest IS NULL THEN a.evidence
            ELSE reconciliation_joined_evidence(a.evidence, e.body)
        END AS evidence,
        a.actor, a.created_at, a.reverted_at
    FROM reconciliation_backfill_audit AS a
    LEFT JOIN reconciliation_evidence AS e ON e.digest = a.evidence->>'shared'
)

-- name: audit_rows
-- a NULL filter lets everything pass
SELECT *
FROM {whole_audit} AS whole
WHERE (%(batch_id)s::text IS NULL OR batch_id = %(batch_id)s)
  AND (%(profile_id)s::text IS NULL OR profile_id = %(profile_id)s)
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(trade_id)s::text IS NULL OR trade_id = %(trade_id)s)
  AND (%(decision)s::text IS NULL OR decision = %(decision)s)
ORDER BY created_at DESC, audit_id DESC
LIMIT %(limit)s;

-- name: hold_batches
-- a rollback of the batch waits until this transaction has written; one that came first is seen next
SELECT batch_id
FROM reconciliation_backfill_batch
WHERE batch_id IN (
    SELECT a.batch_id
    FROM reconciliation_backfill_audit AS a
    WHERE a.audit_id = ANY(%(audit_ids)s::bigint[])
)
FOR SHARE;

-- name: settle
-- a decision leaves PENDING_APPLY once and never comes back; what somebody has begun to roll back is
-- not written any more
UPDATE reconciliation_backfill_audit AS a
SET decision = s.decision, reason = s.reason
FROM unnest(
    %(audit_ids)s::bigint[], %(decisions)s::text[], %(reasons)s::text[]
) AS s (audit_id, decision, reason)
WHERE a.audit_id = s.audit_id
  AND a.decision = 'PENDING_APPLY'
  AND (s.decision = 'NO_GO'
       OR a.reverted_at IS NULL
          AND a.batch_id NOT IN (
              SELECT undone.batch_id
              FROM reconciliation_backfill_audit AS undone
              WHERE undone.reverted_at IS NOT NULL
                AND undone.batch_id IN (
                    SELECT k.batch_id
                    FROM reconciliation_backfill_audit AS k
                    WHERE k.audit_id = ANY(%(audit_ids)s::bigint[])
                )
          ));

-- name: settle_interrupted
-- orders decides what became of an intent; an earlier intent for the same id owns the row
WITH pending AS (
    SELECT
        a.audit_id,
        o.order_id IS NOT NULL AS present,
        COALESCE(
            {profile_id} = a.profile_id AND {symbol} = a.symbol AND {trade_id} = a.trade_id
            AND {action} = 'EXIT' AND {same_filled_qty},
            false
        ) AS same,
        COALESCE({status_lower} = ANY(%(filled)s::text[]), false) AS standing,
        EXISTS (
            SELECT
            FROM reconciliation_backfill_audit AS earlier
            WHERE earlier.backfill_order_id = a.backfill_order_id
              AND earlier.audit_id < a.audit_id
              AND earlier.decision IN ('APPLIED', 'PENDING_APPLY')
        ) AS owned_before
    FROM reconciliation_backfill_audit AS a
    LEFT JOIN orders AS o ON {order_id} = a.backfill_order_id
    WHERE a.decision = 'PENDING_APPLY'
      AND a.profile_id = ANY(%(profile_ids)s::text[])
      AND a.batch_id IN (
          SELECT batch_id
          FROM reconciliation_backfill_batch
          WHERE profile_id = ANY(%(profile_ids)s::text[])
            AND (status = 'running' OR counts ? 'PENDING_APPLY')
      )
)
UPDATE reconciliation_backfill_audit AS a
SET
    decision = CASE
        WHEN NOT p.present OR NOT p.same THEN 'NO_GO'
        WHEN p.owned_before THEN 'SKIP_EXISTING'
        ELSE 'APPLIED'
    END,
    reason = CASE
        WHEN NOT p.present THEN 'interrupted_before_apply'
        WHEN NOT p.same THEN 'order_id_conflict'
        WHEN p.owned_before AND p.standing THEN 'backfill_exists'
        WHEN p.owned_before THEN 'backfill_rolled_back'
        ELSE a.reason
    END
FROM pending AS p
WHERE a.audit_id = p.audit_id
  AND a.decision = 'PENDING_APPLY'
RETURNING a.audit_id, a.batch_id;

-- name: recount_batches
-- batches whose audit was settled late are counted anew
UPDATE reconciliation_backfill_batch AS b
SET counts = {counts}
WHERE b.batch_id = ANY(%(batch_ids)s::text[])
  AND b.profile_id = ANY(%(profile_ids)s::text[])
  AND b.status <> 'running';

-- name: left_behind
-- the usual answer is no: then no lock is tried
SELECT EXISTS (
    SELECT FROM reconciliation_backfill_batch
    WHERE profile_id = ANY(%(profile_ids)s::text[])
      AND (status = 'running' OR counts ? 'PENDING_APPLY')
) AS anything;

-- name: dead_batches
-- who runs a dry run holds its lock, who applies the account's: a lock that can be had is nobody's
WITH running AS MATERIALIZED (
    SELECT batch_id, mode
    FROM reconciliation_backfill_batch
    WHERE status = 'running' AND profile_id = ANY(%(profile_ids)s::text[])
)
SELECT batch_id
FROM running
WHERE CASE mode
    WHEN 'apply' THEN %(no_apply_lives)s::boolean
    ELSE pg_try_advisory_xact_lock(hashtextextended(%(key)s::text || batch_id, 0))
END;

-- name: interrupt_batches
-- their runs are dead; whoever comes first tells it, in the same statement
WITH closed AS (
    UPDATE reconciliation_backfill_batch AS b
    SET
        status = 'interrupted',
        finished_at = clock_timestamp(),
        counts = {counts},
        notes = b.notes || %(note)s::text
    WHERE b.batch_id = ANY(%(batch_ids)s::text[])
      AND b.status = 'running'
    RETURNING b.batch_id, b.profile_id, b.mode, b.actor, b.started_at, b.counts
)
INSERT INTO reconciliation_event (event_type, profile_id, payload)
SELECT
    %(event_type)s,
    profile_id,
    jsonb_build_object(
        'batch_id', batch_id, 'mode', mode, 'actor', actor, 'started_at', started_at,
        'counts', counts
    )
FROM closed
ORDER BY batch_id
RETURNING payload ->> 'batch_id' AS batch_id;

-- name: pause_state
-- FOR SHARE: a resume has to wait until this transaction has written
SELECT status, actor, reason, since, clock_timestamp() AS as_of
FROM trading_profile
WHERE profile_id = %(profile_id)s
FOR SHARE;

-- name: now
-- the one clock that all processes share
SELECT clock_timestamp() AS now;
