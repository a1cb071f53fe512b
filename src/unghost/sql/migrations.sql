-- Which migrations a database has had.

-- name: lock
-- several processes may migrate at once: the others wait, and then find it done
SELECT pg_advisory_xact_lock(hashtextextended('unghost:migrate', 0));

-- name: situation
-- whether the table is there, and whether this role could make one
SELECT
    to_regclass('reconciliation_migration') IS NOT NULL AS present,
    current_schema() AS schema_name,
    current_user AS role_name,
    COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create;

-- name: create
-- only where it is missing: IF NOT EXISTS would demand the right to create it even then
CREATE TABLE reconciliation_migration (
    version     int PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- name: applied
-- what has been applied, with what it was then
SELECT version, name, checksum FROM reconciliation_migration ORDER BY version;

-- name: record
-- in the transaction of the migration itself
INSERT INTO reconciliation_migration (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s);
