-- The service: the state of its loop, requests that were answered, and figures for the metrics.

-- name: begin_cycle
-- who works on the profile now
INSERT INTO reconciliation_loop AS l (profile_id, worker)
VALUES (%(profile_id)s, %(worker)s)
ON CONFLICT (profile_id) DO UPDATE
SET worker = excluded.worker, started_at = clock_timestamp(), finished_at = NULL
RETURNING digest, hint;

-- name: end_cycle
-- the counters only rise, so that rates can be taken of them
UPDATE reconciliation_loop
SET
    finished_at = clock_timestamp(),
    outcome = %(outcome)s,
    detail = %(detail)s,
    digest = %(digest)s,
    batch_id = COALESCE(%(batch_id)s, batch_id),
    gates = %(gates)s::text::jsonb,
    hint = COALESCE(%(hint)s::text::jsonb, hint),
    cycles = cycles + 1,
    failures = failures + %(failures)s,
    last_seconds = extract(epoch FROM clock_timestamp() - started_at),
    total_seconds = total_seconds + extract(epoch FROM clock_timestamp() - started_at)
WHERE profile_id = %(profile_id)s;

-- name: loop_states
-- where the loop stands, by profile
SELECT
    profile_id, worker, started_at, finished_at, outcome, detail, digest, batch_id, gates,
    cycles, failures, total_seconds, last_seconds, clock_timestamp() AS as_of
FROM reconciliation_loop
WHERE profile_id = ANY(%(profile_ids)s::text[])
ORDER BY profile_id;

-- name: queue_beat
-- how long ago a process of the loop was last heard of; NULL where there is none
SELECT extract(epoch FROM clock_timestamp() - max(last_heartbeat))::numeric AS seconds
FROM procrastinate_workers;

-- name: queue_present
-- whether the queue's own tables are there
SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS present;

-- name: take_request
-- the first with this key does it; a request that failed may be tried again
INSERT INTO reconciliation_request AS r (actor, request_key, digest, state)
VALUES (%(actor)s, %(request_key)s, %(digest)s, 'running')
ON CONFLICT (actor, request_key) DO UPDATE
SET state = 'running', created_at = clock_timestamp()
WHERE r.state = 'failed' AND r.digest = excluded.digest
RETURNING actor;

-- name: find_request
-- what became of it
SELECT digest, state, status, answer
FROM reconciliation_request
WHERE actor = %(actor)s AND request_key = %(request_key)s;

-- name: end_request
-- kept for whoever sends it again
UPDATE reconciliation_request
SET state = %(state)s, status = %(status)s, answer = %(answer)s::text::jsonb
WHERE actor = %(actor)s AND request_key = %(request_key)s;

-- name: decisions
-- for the metrics
SELECT profile_id, decision, reason, count(*) AS rows
FROM reconciliation_backfill_audit
WHERE profile_id = ANY(%(profile_ids)s::text[])
GROUP BY profile_id, decision, reason
ORDER BY profile_id, decision, reason;

-- name: batch_figures
-- for the metrics
SELECT profile_id, mode, status, count(*) AS batches
FROM reconciliation_backfill_batch
WHERE profile_id = ANY(%(profile_ids)s::text[])
GROUP BY profile_id, mode, status
ORDER BY profile_id, mode, status;

-- name: audit_page
-- newest first; an empty filter lets everything pass, before_id is where the page before ended
SELECT *
FROM {whole_audit} AS whole
WHERE profile_id = ANY(%(profile_ids)s::text[])
  AND (%(profile)s = '' OR profile_id = %(profile)s)
  AND (%(batch)s = '' OR batch_id = %(batch)s)
  AND (%(symbol)s = '' OR lower(symbol) = lower(%(symbol)s))
  AND (%(trade)s = '' OR trade_id = %(trade)s)
  AND (%(decision)s = '' OR decision = %(decision)s)
  AND (%(before_id)s::bigint IS NULL OR audit_id < %(before_id)s)
ORDER BY audit_id DESC
LIMIT %(limit)s;

-- name: event_page
-- the same for events
SELECT event_id, event_type, profile_id, symbol, payload, created_at
FROM reconciliation_event
WHERE profile_id = ANY(%(profile_ids)s::text[])
  AND (%(profile)s = '' OR profile_id = %(profile)s)
  AND (%(type)s = '' OR lower(event_type) = lower(%(type)s))
  AND (%(symbol)s = '' OR lower(symbol) = lower(%(symbol)s))
  AND (%(before_id)s::bigint IS NULL OR event_id < %(before_id)s)
ORDER BY event_id DESC
LIMIT %(limit)s;

-- name: newest_apply
-- whether somebody has applied since a page was drawn
SELECT batch_id
FROM reconciliation_backfill_batch
WHERE profile_id = %(profile_id)s
  AND mode = 'apply'
ORDER BY started_at DESC, batch_id DESC
LIMIT 1;

-- name: undone
-- how many rows of a batch are rolled back; what else stands in them is not looked at
SELECT count(*) AS undone
FROM reconciliation_backfill_audit
WHERE batch_id = %(batch_id)s
  AND reverted_at IS NOT NULL;

-- name: last_decisions
-- the latest about each lifecycle, without the evidence: that is long, and shown by itself
SELECT DISTINCT ON (symbol, trade_id)
    symbol, trade_id, audit_id, batch_id, decision, reason, filled_qty, remainder_qty, price,
    attribution, actor, created_at, reverted_at
FROM reconciliation_backfill_audit
WHERE profile_id = %(profile_id)s
  AND trade_id = ANY(%(trade_ids)s::text[])
ORDER BY symbol, trade_id, audit_id DESC;
