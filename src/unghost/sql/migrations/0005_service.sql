-- The service: where its loop stands, and which requests it has answered.

-- one row for each profile: what the loop last found there
CREATE TABLE reconciliation_loop (
    profile_id     text PRIMARY KEY,
    worker         text NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz,
    outcome        text,
    detail         text NOT NULL DEFAULT '',
    digest         text NOT NULL DEFAULT '',
    batch_id       text,
    gates          jsonb NOT NULL DEFAULT '[]',
    cycles         bigint NOT NULL DEFAULT 0,
    failures       bigint NOT NULL DEFAULT 0,
    total_seconds  numeric NOT NULL DEFAULT 0,
    last_seconds   numeric,
    calls          jsonb NOT NULL DEFAULT '{}'
);

-- an answer is kept under the key that its request came with: sent twice, done once
CREATE TABLE reconciliation_request (
    actor        text NOT NULL,
    request_key  text NOT NULL,
    digest       text NOT NULL,
    state        text NOT NULL CHECK (state IN ('running', 'answered', 'failed')),
    status       int,
    answer       jsonb,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (actor, request_key)
);
