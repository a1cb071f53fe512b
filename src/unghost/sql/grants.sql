-- What `unghost grants` prints: three roles, and in the database itself what each may do.

-- name: place
-- where our tables are, and in which database
SELECT
    n.nspname AS schema_name,
    current_database() AS database_name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass('reconciliation_backfill_audit');

-- name: tables
-- those of ours that are there
SELECT c.relname::text AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema_name)s AND c.relkind IN ('r', 'p') AND c.relname = ANY(%(known)s)
ORDER BY c.relname;

-- name: functions
-- ours, ready to be named in a statement
SELECT format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = %(schema_name)s AND p.proname LIKE 'reconciliation\_%%'
ORDER BY 1;

-- name: beginning
-- printed first
-- Roles of unghost, as printed by `unghost grants`. Run it as a superuser, or as a role that owns
-- orders and is a member of the three. It may be run again, and should be after each `unghost init`
-- that made new tables. The roles have no passwords yet: give them some with \password in psql.
BEGIN;

-- name: role
-- made where it is missing, left as it is where it is there
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name}) THEN
        CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
END
$$;
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT USAGE ON SCHEMA {orders_schema} TO {role};

-- name: owner
-- makes tables (unghost init), and lends its right on two columns of orders to one function
GRANT CREATE ON SCHEMA {schema} TO {owner};
GRANT SELECT, UPDATE ({touchable}) ON {orders} TO {owner};

-- name: table
-- the service gets what its statements need, and no DELETE anywhere
ALTER TABLE {table} OWNER TO {owner};
REVOKE ALL ON {table} FROM {service}, {reader};
GRANT {rights} ON {table} TO {service};
GRANT SELECT ON {table} TO {reader};

-- name: function
-- triggers and what they call run as the owner
ALTER FUNCTION {function} OWNER TO {owner};

-- name: queue
-- the tables of procrastinate, which holds the loop's jobs and takes them away when they are done
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT c.oid::regclass AS name, c.relkind
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = {schema_name} AND c.relname LIKE 'procrastinate\_%' AND c.relkind IN ('r', 'S')
    LOOP
        IF one.relkind = 'S' THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', one.name, {service});
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', one.name, {service});
            EXECUTE format('GRANT SELECT ON %s TO %I', one.name, {reader});
        END IF;
    END LOOP;
END
$$;

-- name: orders
-- no UPDATE and no DELETE on the bot's table: what may change there goes through the function below
REVOKE ALL ON {orders} FROM {service}, {reader};
GRANT SELECT, INSERT ON {orders} TO {service};
GRANT SELECT ON {orders} TO {reader};

-- name: sequences
-- a number that the bot's table gives to each row by its default (serial) is drawn by whoever inserts
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT DISTINCT d.refobjid::regclass AS name
        FROM pg_catalog.pg_attrdef AS f
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        JOIN pg_catalog.pg_depend AS d
            ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
            AND d.refclassid = 'pg_class'::regclass
        JOIN pg_catalog.pg_class AS s ON s.oid = d.refobjid
        WHERE f.adrelid = {orders_name}::regclass AND a.attname <> ALL({given}::text[])
          AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege({service_name}, s.oid, 'USAGE') END
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', one.name, {service_name});
    END LOOP;
END
$$;

-- name: set_status
-- rolling back and reinstating: filled or canceled, and rows of unghost alone
CREATE OR REPLACE FUNCTION {schema}.unghost_set_backfill_status(wanted text[], new_status text)
RETURNS TABLE (order_id text, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    target {orders}.status%TYPE := new_status;
BEGIN
    IF new_status IS NULL OR new_status NOT IN ('filled', 'canceled') THEN
        RAISE EXCEPTION 'a row of unghost is filled or canceled, not %', new_status
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (
        SELECT FROM unnest(wanted) AS one WHERE one IS NULL OR one !~ '^BFILL-[0-9a-f]{{32}}$'
    ) THEN
        RAISE EXCEPTION 'only rows of unghost (BFILL-...) may change their status'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
    UPDATE {orders}
    SET
        status = target{touched}
    WHERE {bare_order_id} = ANY(wanted)
    RETURNING order_id::text, status::text;
END
$$;
ALTER FUNCTION {schema}.unghost_set_backfill_status(text[], text) OWNER TO {owner};
REVOKE ALL ON FUNCTION {schema}.unghost_set_backfill_status(text[], text) FROM PUBLIC, {reader};
GRANT EXECUTE ON FUNCTION {schema}.unghost_set_backfill_status(text[], text) TO {service};

-- name: strangers
-- a schema may give whatever is made in it to everybody (ALTER DEFAULT PRIVILEGES); ours is not theirs.
-- A function of which nothing is said, as after a restore without privileges, is everybody's too
-- Whoever else was given something here loses it; who shall read becomes a member of the reader.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT DISTINCT
            CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
            c.oid::regclass::text AS name,
            c.relkind <> 'S' OR c.relname LIKE 'procrastinate\_%' AS is_of_the_roles,
            a.grantee
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT x.grantee FROM aclexplode(c.relacl) AS x
            UNION
            SELECT x.grantee
            FROM pg_catalog.pg_attribute AS t
            CROSS JOIN LATERAL aclexplode(t.attacl) AS x
            WHERE t.attrelid = c.oid
        ) AS a
        WHERE n.nspname = {schema_name}
          AND c.relkind IN ('r', 'p', 'S')
          AND (c.relname = ANY({tables}::text[]) OR c.relname LIKE 'procrastinate\_%'
               OR EXISTS (
                   SELECT
                   FROM pg_catalog.pg_depend AS d
                   JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid
                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                     AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                     AND t.relname = ANY({tables}::text[])
               ))
          AND a.grantee <> c.relowner
        UNION
        SELECT
            'FUNCTION', p.oid::regprocedure::text, p.proname = 'unghost_set_backfill_status',
            a.grantee
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
        WHERE n.nspname = {schema_name}
          AND p.prosecdef
          AND (p.proname LIKE 'reconciliation\_%' OR p.proname = 'unghost_set_backfill_status')
          AND a.grantee <> p.proowner
    LOOP
        CONTINUE WHEN one.is_of_the_roles AND one.grantee IN (
            SELECT oid FROM pg_catalog.pg_roles WHERE rolname IN ({service}, {reader})
        );
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM %s CASCADE', one.kind, one.name,
            CASE one.grantee
                WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee))
            END
        );
    END LOOP;
END
$$;

-- name: end
-- printed last
COMMIT;
