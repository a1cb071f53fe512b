-- What was written into the audit, and each change to it, is hashed into one chain. Whoever gets
-- past the triggers, or edits the files, leaves a break that `unghost audit verify` finds.
--
-- One link for each statement and each thousand rows: set-based, so that a large batch stays quick.
-- A link holds, row by row, the state (decision, reason, reverted_at) and, where rows were written,
-- the SHA-256 of the canonical text of all that never changes. Canonical text is a JSON array:
-- numbers as text without trailing zeros, times ISO 8601 in UTC, jsonb as PostgreSQL orders it.
-- `version` says which rules of canonical text a link was made by.

CREATE TABLE reconciliation_chain (
    seq            bigint PRIMARY KEY,
    version        smallint NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('written', 'changed')),
    audit_ids      bigint[] NOT NULL,
    states         text[] NOT NULL,
    digests        text[] NOT NULL,
    db_role        text NOT NULL,
    created_at     timestamptz NOT NULL,
    previous_hash  text NOT NULL,
    hash           text NOT NULL
);

-- The tail is found by this row and locked by it, never by sorting: that forks with many writers.
CREATE TABLE reconciliation_chain_head (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seq       bigint NOT NULL,
    hash      text NOT NULL
);

INSERT INTO reconciliation_chain_head (seq, hash) VALUES (0, repeat('0', 64));

-- The one way to a new link; it runs as the owner, so that nobody else needs rights on the chain.
CREATE FUNCTION reconciliation_chain_append(
    new_kind text, new_ids bigint[], new_states text[], new_digests text[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    head reconciliation_chain_head%ROWTYPE;
    linked_at timestamptz := clock_timestamp();
    new_hash text;
BEGIN
    SELECT * INTO STRICT head FROM reconciliation_chain_head FOR UPDATE;
    new_hash := encode(sha256(convert_to(json_build_array(
        1, head.seq + 1, new_kind, new_ids, new_states, new_digests,
        session_user::text, linked_at, head.hash
    )::text, 'UTF8')), 'hex');
    INSERT INTO reconciliation_chain VALUES (
        head.seq + 1, 1, new_kind, new_ids, new_states, new_digests,
        session_user, linked_at, head.hash, new_hash
    );
    UPDATE reconciliation_chain_head SET seq = head.seq + 1, hash = new_hash;
END
$$;

CREATE FUNCTION reconciliation_chain_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    link record;
BEGIN
    FOR link IN
        SELECT
            array_agg(r.audit_id) AS ids,
            array_agg(r.state) AS states,
            array_agg(r.digest) AS digests
        FROM (
            SELECT
                a.audit_id,
                json_build_array(a.decision, a.reason, a.reverted_at)::text AS state,
                encode(sha256(convert_to(json_build_array(
                    a.audit_id, a.batch_id, a.profile_id, a.symbol, a.trade_id,
                    trim_scale(a.filled_qty)::text, trim_scale(a.open_qty)::text,
                    trim_scale(a.remainder_qty)::text, trim_scale(a.price)::text,
                    trim_scale(a.fee)::text, a.fee_currency,
                    a.backfill_order_id, a.exchange_order_id, a.exchange_client_order_id,
                    a.filled_at, a.attribution, a.fingerprint, a.evidence, a.actor, a.created_at
                )::text, 'UTF8')), 'hex') AS digest,
                (row_number() OVER () - 1) / 1000 AS part
            FROM added AS a
        ) AS r
        GROUP BY r.part
        ORDER BY r.part
    LOOP
        PERFORM reconciliation_chain_append('written', link.ids, link.states, link.digests);
    END LOOP;
    RETURN NULL;
END
$$;

-- Only the new rows are asked: a join with the old ones would be planned once, for the size of the
-- first statement of a session, and be quadratic ever after.
CREATE FUNCTION reconciliation_chain_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    link record;
BEGIN
    FOR link IN
        SELECT array_agg(r.audit_id) AS ids, array_agg(r.state) AS states
        FROM (
            SELECT
                a.audit_id,
                json_build_array(a.decision, a.reason, a.reverted_at)::text AS state,
                (row_number() OVER () - 1) / 1000 AS part
            FROM updated AS a
        ) AS r
        GROUP BY r.part
        ORDER BY r.part
    LOOP
        PERFORM reconciliation_chain_append('changed', link.ids, link.states, '{}');
    END LOOP;
    RETURN NULL;
END
$$;

-- A function that runs as its owner must not look names up where others may put theirs.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'reconciliation_chain_append(text, bigint[], text[], text[])',
        'reconciliation_chain_written()',
        'reconciliation_chain_changed()'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET timezone = ''UTC''', name);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END
$$;

CREATE TRIGGER reconciliation_backfill_audit_chain_written
    AFTER INSERT ON reconciliation_backfill_audit
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_chain_written();
CREATE TRIGGER reconciliation_backfill_audit_chain_changed
    AFTER UPDATE ON reconciliation_backfill_audit
    REFERENCING NEW TABLE AS updated
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_chain_changed();

-- What the former guard did in PL/pgSQL for each row is now a condition, and a call only where it
-- is broken. A statement that names a fixed column is refused whole, whatever it sets it to.

CREATE OR REPLACE FUNCTION reconciliation_guard_audit_update() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' AND OLD.audit_id = NEW.audit_id
       AND (NEW.decision, NEW.reason) IS DISTINCT FROM (OLD.decision, OLD.reason) THEN
        RAISE EXCEPTION 'the decision of audit row % is final', OLD.audit_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RAISE EXCEPTION 'an audit row is fixed once written: only its decision and reverted_at change'
        USING ERRCODE = 'restrict_violation';
END
$$;

DROP TRIGGER reconciliation_backfill_audit_update ON reconciliation_backfill_audit;
CREATE TRIGGER reconciliation_backfill_audit_update
    BEFORE UPDATE ON reconciliation_backfill_audit
    FOR EACH ROW
    WHEN (
        (OLD.audit_id, OLD.batch_id, OLD.profile_id, OLD.symbol, OLD.trade_id,
         OLD.filled_qty, OLD.open_qty, OLD.remainder_qty, OLD.price, OLD.fee, OLD.fee_currency,
         OLD.backfill_order_id, OLD.exchange_order_id, OLD.exchange_client_order_id,
         OLD.filled_at, OLD.attribution, OLD.fingerprint, OLD.actor, OLD.created_at)
        IS DISTINCT FROM
        (NEW.audit_id, NEW.batch_id, NEW.profile_id, NEW.symbol, NEW.trade_id,
         NEW.filled_qty, NEW.open_qty, NEW.remainder_qty, NEW.price, NEW.fee, NEW.fee_currency,
         NEW.backfill_order_id, NEW.exchange_order_id, NEW.exchange_client_order_id,
         NEW.filled_at, NEW.attribution, NEW.fingerprint, NEW.actor, NEW.created_at)
        OR (
            (NEW.decision, NEW.reason) IS DISTINCT FROM (OLD.decision, OLD.reason)
            AND NOT (OLD.decision = 'PENDING_APPLY'
                     AND NEW.decision IN ('APPLIED', 'SKIP_EXISTING', 'NO_GO'))
        )
    )
    EXECUTE FUNCTION reconciliation_guard_audit_update();
CREATE TRIGGER reconciliation_backfill_audit_fixed
    BEFORE UPDATE OF
        audit_id, batch_id, profile_id, symbol, trade_id, filled_qty, open_qty, remainder_qty,
        price, fee, fee_currency, backfill_order_id, exchange_order_id, exchange_client_order_id,
        filled_at, attribution, fingerprint, evidence, actor, created_at
    ON reconciliation_backfill_audit
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_guard_audit_update();

-- The chain itself: added to, and nothing else.

CREATE FUNCTION reconciliation_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the chain of the record is added to, never changed (%)', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER reconciliation_chain_no_change
    BEFORE UPDATE OR DELETE ON reconciliation_chain
    FOR EACH ROW EXECUTE FUNCTION reconciliation_refuse_change();
CREATE TRIGGER reconciliation_chain_no_truncate
    BEFORE TRUNCATE ON reconciliation_chain
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_refuse_change();
CREATE TRIGGER reconciliation_chain_head_forward
    BEFORE UPDATE ON reconciliation_chain_head
    FOR EACH ROW WHEN (NEW.seq IS DISTINCT FROM OLD.seq + 1)
    EXECUTE FUNCTION reconciliation_refuse_change();
CREATE TRIGGER reconciliation_chain_head_no_delete
    BEFORE DELETE ON reconciliation_chain_head
    FOR EACH ROW EXECUTE FUNCTION reconciliation_refuse_change();
CREATE TRIGGER reconciliation_chain_head_no_truncate
    BEFORE TRUNCATE ON reconciliation_chain_head
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_refuse_change();

-- A batch says who ran it, in which mode and under which settings.

CREATE FUNCTION reconciliation_guard_batch_update() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'who ran a batch, when, how and under which settings is fixed'
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER reconciliation_backfill_batch_no_delete
    BEFORE DELETE ON reconciliation_backfill_batch
    FOR EACH ROW EXECUTE FUNCTION reconciliation_refuse_removal();
CREATE TRIGGER reconciliation_backfill_batch_no_truncate
    BEFORE TRUNCATE ON reconciliation_backfill_batch
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_refuse_removal();
CREATE TRIGGER reconciliation_backfill_batch_fixed
    BEFORE UPDATE OF batch_id, profile_id, mode, actor, started_at, plan_batch_id, settings
    ON reconciliation_backfill_batch
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_guard_batch_update();

-- Also where a session replays changes from elsewhere (session_replication_role = replica).

DO $$
DECLARE
    guard record;
BEGIN
    FOR guard IN
        SELECT t.tgname, t.tgrelid::regclass AS of_table
        FROM pg_catalog.pg_trigger AS t
        WHERE NOT t.tgisinternal
          AND t.tgrelid IN (
              'reconciliation_backfill_audit'::regclass,
              'reconciliation_backfill_batch'::regclass,
              'reconciliation_chain'::regclass,
              'reconciliation_chain_head'::regclass
          )
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.of_table, guard.tgname);
    END LOOP;
END
$$;

-- Rows from before the chain are linked as they stand now.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM reconciliation_backfill_audit) THEN
        RETURN;
    END IF;
    CREATE TEMP TABLE reconciliation_adopted (LIKE reconciliation_backfill_audit);
    CREATE TRIGGER adopt
        AFTER INSERT ON reconciliation_adopted
        REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_chain_written();
    INSERT INTO reconciliation_adopted
    SELECT * FROM reconciliation_backfill_audit ORDER BY audit_id;
    DROP TABLE reconciliation_adopted;
END
$$;
