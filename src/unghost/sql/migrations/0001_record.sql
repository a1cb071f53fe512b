-- The record: who decided what, on which evidence, and when. Beside the bot's table, never in it.

CREATE TABLE reconciliation_backfill_batch (
    batch_id       text PRIMARY KEY,
    profile_id     text NOT NULL,
    mode           text NOT NULL CHECK (mode IN ('dry_run', 'apply')),
    status         text NOT NULL CHECK (status IN ('running', 'finished', 'failed', 'interrupted')),
    actor          text NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz,
    plan_batch_id  text REFERENCES reconciliation_backfill_batch (batch_id),
    settings       jsonb NOT NULL DEFAULT '{}',
    counts         jsonb NOT NULL DEFAULT '{}',
    calls          jsonb NOT NULL DEFAULT '{}',
    notes          text[] NOT NULL DEFAULT '{}'
);

CREATE INDEX reconciliation_backfill_batch_profile
    ON reconciliation_backfill_batch (profile_id, started_at DESC);

CREATE TABLE reconciliation_backfill_audit (
    audit_id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id                  text NOT NULL REFERENCES reconciliation_backfill_batch (batch_id),
    profile_id                text NOT NULL,
    symbol                    text NOT NULL,
    trade_id                  text NOT NULL,
    decision                  text NOT NULL CHECK (decision IN
                                  ('DRY_RUN', 'PENDING_APPLY', 'APPLIED', 'SKIP_EXISTING', 'NO_GO')),
    reason                    text NOT NULL,
    filled_qty                numeric,
    open_qty                  numeric,
    remainder_qty             numeric,
    price                     numeric,
    fee                       numeric,
    fee_currency              text,
    backfill_order_id         text,
    exchange_order_id         text,
    exchange_client_order_id  text,
    filled_at                 timestamptz,
    attribution               text,
    fingerprint               text,
    evidence                  jsonb NOT NULL DEFAULT '{}',
    actor                     text NOT NULL,
    created_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    reverted_at               timestamptz
);

CREATE INDEX reconciliation_backfill_audit_batch
    ON reconciliation_backfill_audit (batch_id);
CREATE INDEX reconciliation_backfill_audit_profile
    ON reconciliation_backfill_audit (profile_id, created_at DESC);
CREATE INDEX reconciliation_backfill_audit_lifecycle
    ON reconciliation_backfill_audit (profile_id, trade_id, created_at DESC);
CREATE INDEX reconciliation_backfill_audit_order
    ON reconciliation_backfill_audit (backfill_order_id)
    WHERE backfill_order_id IS NOT NULL;
CREATE INDEX reconciliation_backfill_audit_pending
    ON reconciliation_backfill_audit (profile_id)
    WHERE decision = 'PENDING_APPLY';

CREATE TABLE reconciliation_event (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_type  text NOT NULL,
    profile_id  text NOT NULL,
    symbol      text,
    payload     jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX reconciliation_event_throttle
    ON reconciliation_event (profile_id, event_type, symbol, created_at DESC);

CREATE TABLE trading_profile (
    profile_id  text PRIMARY KEY,
    status      text NOT NULL CHECK (status IN ('PAUSED', 'RUNNING')),
    actor       text NOT NULL,
    reason      text,
    since       timestamptz NOT NULL DEFAULT clock_timestamp()
);
