-- What the catalogue says about the bot's table. Only pg_catalog: it is readable without rights.

-- name: relation
-- which object the name `orders` means here: the search path decides, as it does for the bot
-- Row security shows every row to a role that a policy says `true` to, and no restrictive one less.
SELECT
    c.oid::bigint AS oid,
    n.nspname AS schema_name,
    c.relkind::text AS kind,
    EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid)
        AND c.relkind = 'r' AS has_heirs,
    EXISTS (
        SELECT FROM pg_catalog.pg_rewrite AS r
        WHERE r.ev_class = c.oid AND r.ev_type IN ('2', '3') AND r.ev_enabled <> 'D'
    ) AS has_rules,
    row_security_active(c.oid)
        AND (p.opened IS NOT TRUE OR p.narrowed) AS may_hide_rows,
    current_user::text AS role_name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT
        bool_or(o.polpermissive AND e.shows_all) AS opened,
        bool_or(NOT o.polpermissive AND NOT e.shows_all) AS narrowed
    FROM pg_catalog.pg_policy AS o
    CROSS JOIN LATERAL (
        SELECT pg_get_expr(o.polqual, o.polrelid) IS NOT DISTINCT FROM 'true' AS shows_all
    ) AS e
    WHERE o.polrelid = c.oid
      AND o.polcmd IN ('*', 'r')
      AND EXISTS (
          SELECT FROM unnest(o.polroles) AS r (oid)
          WHERE r.oid = 0 OR pg_has_role(r.oid, 'USAGE')
      )
) AS p
WHERE c.oid = to_regclass('orders');

-- name: columns
-- its columns; a domain is followed down to the type that it stands for. `checks` are the
-- expressions of the CHECK constraints that speak of this column alone, the domain's too
WITH RECURSIVE unfolded AS (
    SELECT
        a.attnum,
        a.atttypid AS type_id,
        a.atttypmod AS modifier,
        false AS not_null,
        false AS has_default
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT
        u.attnum,
        t.typbasetype,
        CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE u.modifier END,
        u.not_null OR t.typnotnull,
        u.has_default OR t.typdefault IS NOT NULL
    FROM unfolded AS u
    JOIN pg_catalog.pg_type AS t ON t.oid = u.type_id AND t.typtype = 'd'
),
base AS (
    SELECT
        u.attnum,
        u.type_id,
        u.modifier,
        u.not_null,
        u.has_default,
        t.typtype,
        t.typname = 'citext' AS is_citext
    FROM unfolded AS u
    JOIN pg_catalog.pg_type AS t ON t.oid = u.type_id AND t.typtype <> 'd'
)
SELECT
    a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type_name,
    format_type(b.type_id, NULL) AS base_type,
    b.modifier,
    b.is_citext OR EXISTS (
        SELECT FROM pg_catalog.pg_collation AS l
        WHERE l.oid = a.attcollation AND NOT l.collisdeterministic
    ) AS folds,
    a.attnotnull OR b.not_null AS not_null,
    a.atthasdef OR a.attidentity <> '' OR b.has_default AS has_default,
    a.attidentity = 'a' OR a.attgenerated <> '' AS generated,
    ARRAY(
        SELECT e.enumlabel::text
        FROM pg_catalog.pg_enum AS e
        WHERE e.enumtypid = b.type_id
        ORDER BY e.enumsortorder
    ) AS labels,
    ARRAY(
        SELECT COALESCE(pg_get_expr(k.conbin, k.conrelid), '')
        FROM pg_catalog.pg_constraint AS k
        WHERE k.contype = 'c'
          AND COALESCE((to_jsonb(k) ->> 'conenforced')::boolean, true)
          AND (
              k.conrelid = a.attrelid AND k.conkey = ARRAY[a.attnum]
              OR k.contypid IN (SELECT u.type_id FROM unfolded AS u WHERE u.attnum = a.attnum)
          )
        ORDER BY k.oid
    ) AS checks
FROM pg_catalog.pg_attribute AS a
JOIN base AS b USING (attnum)
WHERE a.attrelid = %(oid)s::oid
ORDER BY a.attnum;

-- name: unique_indexes
-- what may not occur twice; `names` holds the key columns, NULL in the place of an expression
SELECT
    i.indexrelid::regclass::text AS name,
    i.indimmediate AS immediate,
    i.indisvalid AND i.indisready AND i.indislive AS usable,
    i.indpred IS NOT NULL AS partial,
    ARRAY(
        SELECT a.attname::text
        FROM generate_series(0, i.indnkeyatts - 1) AS place
        LEFT JOIN pg_catalog.pg_attribute AS a
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place] AND a.attnum > 0
        ORDER BY place
    ) AS names
FROM pg_catalog.pg_index AS i
WHERE i.indrelid = %(oid)s::oid AND i.indisunique
ORDER BY i.indexrelid;
