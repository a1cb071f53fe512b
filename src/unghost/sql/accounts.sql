-- Which exchange account each profile's key sees.

-- name: known
-- what was told to this key, under whatever profile: one call serves all of them
SELECT
    profile_id = %(profile_id)s AND account = %(account)s AS is_own,
    account_id,
    clock_timestamp() - asked_at < %(max_age)s::interval AS is_fresh,
    asked_at
FROM reconciliation_account
WHERE venue = %(venue)s AND key_mark = %(key_mark)s
ORDER BY is_own DESC, asked_at DESC;

-- name: keep
-- where the exchange did not answer this time, what it told the same key before still holds
INSERT INTO reconciliation_account AS a
    (profile_id, venue, account, key_mark, account_id, asked_at)
VALUES
    (%(profile_id)s, %(venue)s, %(account)s, %(key_mark)s, %(account_id)s,
     COALESCE(%(asked_at)s::timestamptz, clock_timestamp()))
ON CONFLICT (profile_id) DO UPDATE SET
    venue = EXCLUDED.venue,
    account = EXCLUDED.account,
    key_mark = EXCLUDED.key_mark,
    account_id = COALESCE(
        EXCLUDED.account_id,
        CASE WHEN (a.venue, a.key_mark) = (EXCLUDED.venue, EXCLUDED.key_mark) THEN a.account_id END
    ),
    asked_at = EXCLUDED.asked_at;

-- name: same_account
-- profiles of other account names whose key is this one's, or sees the account that this one sees
SELECT other.profile_id, other.account, other.account_id
FROM reconciliation_account AS own
JOIN reconciliation_account AS other
  ON other.venue = own.venue
 AND (other.key_mark = own.key_mark OR other.account_id = own.account_id)
WHERE own.profile_id = %(profile_id)s
  AND other.profile_id <> ALL(%(no_strangers)s::text[])
ORDER BY other.profile_id;

-- name: looked_at
-- of these profiles, those whose keys were asked before
SELECT profile_id
FROM reconciliation_account
WHERE venue = %(venue)s AND profile_id = ANY(%(profile_ids)s::text[]);
