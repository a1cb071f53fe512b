-- Which exchange account each profile's key sees, as the exchange tells it: two profiles that are said
-- to be of two accounts and see one would use the same fills twice.

CREATE TABLE reconciliation_account (
    profile_id  text PRIMARY KEY,
    venue       text NOT NULL,
    account     text NOT NULL,
    key_mark    text NOT NULL,
    account_id  text,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
