-- Where the loop's fast path goes on: how far it has looked, and which lifecycles it knows to be open.
-- A hint: whatever is wrong in it is put right by the next full scan.

ALTER TABLE reconciliation_loop ADD COLUMN hint jsonb;
