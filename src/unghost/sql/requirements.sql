-- What `unghost doctor` asks the database about itself. Everything here is a read of the catalogue.

-- name: server
-- what answers, and in which state; reset_val is the time zone that other sessions get
SELECT
    current_setting('server_version') AS version,
    current_user AS role_name,
    current_database() AS database_name,
    current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() AS standby,
    current_setting('default_transaction_read_only') = 'on' AS read_only,
    (SELECT s.reset_val FROM pg_catalog.pg_settings AS s WHERE s.name = 'TimeZone') AS time_zone,
    clock_timestamp() AS now;

-- name: rights_on_orders
-- what the two statements that change orders need
SELECT
    has_table_privilege(c.oid, 'SELECT') AS may_select,
    has_table_privilege(c.oid, 'INSERT') AS may_insert,
    COALESCE((
        SELECT bool_and(has_column_privilege(c.oid, a.attnum, 'UPDATE'))
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attname IN ('status', 'updated_at')
    ), false) OR COALESCE(has_function_privilege(
        to_regprocedure('unghost_set_backfill_status(text[], text)'), 'EXECUTE'
    ), false) AS may_update,
    c.relrowsecurity AS has_policies,
    row_security_active(c.oid) AS policies_apply,
    ARRAY(
        SELECT t.tgname::text
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
          AND (t.tgtype & 20) <> 0 -- of INSERT (4) or UPDATE (16)
        ORDER BY t.tgname
    ) AS triggers
FROM pg_catalog.pg_class AS c
WHERE c.oid = to_regclass('orders');

-- name: sequences_kept_away
-- a number that a default of orders draws for each row, and the role may not draw; CASE keeps the
-- question from what is no sequence
SELECT DISTINCT s.oid::regclass::text AS name
FROM pg_catalog.pg_attrdef AS f
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
    AND d.refclassid = 'pg_catalog.pg_class'::regclass
JOIN pg_catalog.pg_class AS s ON s.oid = d.refobjid
WHERE f.adrelid = to_regclass('orders')
  AND a.attname <> ALL(%(given)s::text[])
  AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END
ORDER BY 1;

-- name: rights_on_record
-- each of our tables that exists, with the rights that the role lacks on it
SELECT
    wanted.table_name,
    array_agg(wanted.privilege ORDER BY wanted.privilege)
        FILTER (WHERE NOT CASE
            WHEN wanted.column_name IS NULL
                THEN has_table_privilege(to_regclass(wanted.table_name), wanted.privilege)
            ELSE has_column_privilege(
                to_regclass(wanted.table_name), wanted.column_name, wanted.privilege)
        END) AS lacking
FROM (VALUES
    ('reconciliation_migration', 'SELECT', NULL),
    ('reconciliation_backfill_batch', 'SELECT', NULL),
    ('reconciliation_backfill_batch', 'INSERT', NULL),
    ('reconciliation_backfill_batch', 'UPDATE', 'status'),
    ('reconciliation_backfill_audit', 'SELECT', NULL),
    ('reconciliation_backfill_audit', 'INSERT', NULL),
    ('reconciliation_backfill_audit', 'UPDATE', 'decision'),
    ('reconciliation_chain', 'SELECT', NULL),
    ('reconciliation_chain_head', 'SELECT', NULL),
    ('reconciliation_account', 'INSERT', NULL),
    ('reconciliation_account', 'UPDATE', 'asked_at'),
    ('reconciliation_evidence', 'SELECT', NULL),
    ('reconciliation_evidence', 'INSERT', NULL),
    ('reconciliation_event', 'SELECT', NULL),
    ('reconciliation_event', 'INSERT', NULL),
    ('reconciliation_fill_file', 'SELECT', NULL),
    ('reconciliation_fill_file', 'INSERT', NULL),
    ('reconciliation_fill_file', 'UPDATE', 'window_to'),
    ('reconciliation_file_fill', 'SELECT', NULL),
    ('reconciliation_file_fill', 'INSERT', NULL),
    ('trading_profile', 'SELECT', NULL),
    ('trading_profile', 'INSERT', NULL),
    ('trading_profile', 'UPDATE', 'status')
) AS wanted (table_name, privilege, column_name)
WHERE to_regclass(wanted.table_name) IS NOT NULL
GROUP BY wanted.table_name
ORDER BY wanted.table_name;

-- name: record_kept_away
-- our own tables on which row security applies to this role
SELECT c.relname::text AS name
FROM pg_catalog.pg_class AS c
WHERE c.oid = ANY(ARRAY(SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name))
  AND row_security_active(c.oid)
ORDER BY c.relname;

-- name: strangers
-- who has rights on what is ours that none of the three roles has; a schema may give them to everybody,
-- and a function that was restored without its privileges is everybody's by itself
SELECT
    CASE h.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(h.grantee)::text END AS role_name,
    array_agg(DISTINCT h.name ORDER BY h.name) AS names
FROM (
    SELECT c.relname::text AS name, a.grantee
    FROM pg_catalog.pg_class AS c
    CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    WHERE c.oid = ANY(ARRAY(SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name))
      AND a.grantee NOT IN (c.relowner, current_user::regrole)
      AND (a.grantee = 0 OR a.privilege_type IN ('DELETE', 'TRUNCATE', 'TRIGGER')
           OR (a.privilege_type IN ('INSERT', 'UPDATE')
               AND c.relname IN ('reconciliation_migration', 'reconciliation_chain',
                                 'reconciliation_chain_head')))
    UNION
    SELECT p.proname::text || '()', a.grantee
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = p.pronamespace
    CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
    WHERE c.oid = to_regclass('reconciliation_backfill_audit')
      AND p.prosecdef
      AND a.grantee <> p.proowner
      AND (p.proname LIKE 'reconciliation\_%%'
           OR (p.proname = 'unghost_set_backfill_status' AND a.grantee = 0))
) AS h
GROUP BY h.grantee
ORDER BY role_name;
