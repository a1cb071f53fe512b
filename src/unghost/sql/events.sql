-- Events: what was noticed, at most once in a span for each market.

-- name: lock_profiles
-- who asks "was there one lately?" and then writes must be alone; one order, so nobody deadlocks
SELECT pg_advisory_xact_lock(key)
FROM (
    SELECT DISTINCT hashtextextended('unghost:events:' || profile_id, 0) AS key
    FROM unnest(%(profile_ids)s::text[]) AS profile_id
    ORDER BY key
) AS wanted;

-- name: emit_throttled
-- the first of each kind, where the span before now holds none; a clock set back holds up nothing
WITH offered AS (
    SELECT DISTINCT ON (event_type, profile_id, symbol)
        event_type,
        profile_id,
        symbol,
        payload::jsonb AS payload,
        place
    FROM unnest(
        %(event_types)s::text[],
        %(profile_ids)s::text[],
        %(symbols)s::text[],
        %(payloads)s::text[]
    ) WITH ORDINALITY AS o (event_type, profile_id, symbol, payload, place)
    ORDER BY event_type, profile_id, symbol, place
)
INSERT INTO reconciliation_event (event_type, profile_id, symbol, payload)
SELECT o.event_type, o.profile_id, o.symbol, o.payload
FROM offered AS o
WHERE NOT EXISTS (
    SELECT FROM reconciliation_event AS e
    WHERE e.profile_id = o.profile_id
      AND e.event_type = o.event_type
      AND (e.symbol = o.symbol OR (e.symbol IS NULL AND o.symbol IS NULL))
      AND e.created_at > clock_timestamp() - %(throttle_ms)s * interval '1 millisecond'
      AND e.created_at <= clock_timestamp()
)
ORDER BY o.place
RETURNING event_id, event_type, profile_id, symbol, payload, created_at;

-- name: emit_once
-- what was told is not told again, however long ago it was
INSERT INTO reconciliation_event (event_type, profile_id, symbol, payload)
SELECT o.event_type, o.profile_id, o.symbol, o.payload::jsonb
FROM unnest(
    %(event_types)s::text[],
    %(profile_ids)s::text[],
    %(symbols)s::text[],
    %(payloads)s::text[]
) WITH ORDINALITY AS o (event_type, profile_id, symbol, payload, place)
WHERE NOT EXISTS (
    SELECT FROM reconciliation_event AS e
    WHERE e.profile_id = o.profile_id
      AND e.event_type = o.event_type
      AND e.symbol IS NOT DISTINCT FROM o.symbol
      AND e.payload ->> 'key' = o.payload::jsonb ->> 'key'
)
ORDER BY o.place
RETURNING event_id, event_type, profile_id, symbol, payload, created_at;

-- name: emit
-- whatever came before
INSERT INTO reconciliation_event (event_type, profile_id, symbol, payload)
VALUES (%(event_type)s, %(profile_id)s, %(symbol)s, %(payload)s::text::jsonb);

-- name: recent
-- newest first; before_id is where the page before this one ended
SELECT event_id, event_type, profile_id, symbol, payload, created_at
FROM reconciliation_event
WHERE profile_id = %(profile_id)s
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(before_id)s::bigint IS NULL OR event_id < %(before_id)s)
ORDER BY event_id DESC
LIMIT %(limit)s;

-- name: counts
-- section 8 of the checklist asks whether the noise has ended
SELECT event_type, count(*) AS events
FROM reconciliation_event
WHERE profile_id = %(profile_id)s
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
GROUP BY event_type
ORDER BY event_type;
