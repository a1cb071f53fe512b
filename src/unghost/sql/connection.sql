-- What every transaction starts with.

-- name: settings
-- local to the transaction: a session's settings would leak to others behind a pooler. Where commits
-- are told before they are on the disk, ours are not: a rollback that was told must outlive a crash
SELECT
    set_config('statement_timeout', %(statement_timeout)s, true),
    set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('idle_in_transaction_session_timeout', %(idle_timeout)s, true),
    set_config('timezone', 'UTC', true),
    set_config('datestyle', 'ISO', true),
    set_config('extra_float_digits', '1', true),
    set_config('quote_all_identifiers', 'off', true),
    set_config('array_nulls', 'on', true),
    set_config(
        'synchronous_commit',
        CASE current_setting('synchronous_commit')
            WHEN 'off' THEN 'local' ELSE current_setting('synchronous_commit')
        END,
        true
    );
