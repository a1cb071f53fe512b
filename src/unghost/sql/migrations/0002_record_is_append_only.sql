-- Audit rows are never deleted; only their decision (away from PENDING_APPLY) and reverted_at change.

CREATE FUNCTION reconciliation_refuse_removal() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never removed', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION reconciliation_guard_audit_update() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(NEW) - '{decision,reason,reverted_at}'::text[])
       IS DISTINCT FROM (to_jsonb(OLD) - '{decision,reason,reverted_at}'::text[]) THEN
        RAISE EXCEPTION 'an audit row is fixed once written: only its decision and reverted_at change'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.decision, NEW.reason) IS DISTINCT FROM (OLD.decision, OLD.reason)
       AND NOT (OLD.decision = 'PENDING_APPLY'
                AND NEW.decision IN ('APPLIED', 'SKIP_EXISTING', 'NO_GO')) THEN
        RAISE EXCEPTION 'the decision of audit row % is final', OLD.audit_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER reconciliation_backfill_audit_no_delete
    BEFORE DELETE ON reconciliation_backfill_audit
    FOR EACH ROW EXECUTE FUNCTION reconciliation_refuse_removal();
CREATE TRIGGER reconciliation_backfill_audit_no_truncate
    BEFORE TRUNCATE ON reconciliation_backfill_audit
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_refuse_removal();
CREATE TRIGGER reconciliation_backfill_audit_update
    BEFORE UPDATE ON reconciliation_backfill_audit
    FOR EACH ROW EXECUTE FUNCTION reconciliation_guard_audit_update();

ALTER TABLE reconciliation_backfill_audit
    ENABLE ALWAYS TRIGGER reconciliation_backfill_audit_no_delete;
ALTER TABLE reconciliation_backfill_audit
    ENABLE ALWAYS TRIGGER reconciliation_backfill_audit_no_truncate;
ALTER TABLE reconciliation_backfill_audit
    ENABLE ALWAYS TRIGGER reconciliation_backfill_audit_update;
