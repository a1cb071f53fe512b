-- The trading status of a profile, where the bot does not tell its own.

-- name: read
-- one row always: a profile that was never paused has none of its own
SELECT p.status, p.actor, p.reason, p.since, clock_timestamp() AS as_of
FROM (VALUES (%(profile_id)s::text)) AS asked (profile_id)
LEFT JOIN trading_profile AS p USING (profile_id);

-- name: set
-- saying the same twice changes nothing: whoever paused first did it, since then
INSERT INTO trading_profile AS p (profile_id, status, actor, reason)
VALUES (%(profile_id)s, %(status)s, %(actor)s, %(reason)s)
ON CONFLICT (profile_id) DO UPDATE
SET
    status = excluded.status,
    actor = excluded.actor,
    reason = excluded.reason,
    since = clock_timestamp()
WHERE p.status <> excluded.status;

-- name: all
-- every profile whose status was ever set
SELECT profile_id, status, actor, reason, since, clock_timestamp() AS as_of
FROM trading_profile
ORDER BY profile_id;
